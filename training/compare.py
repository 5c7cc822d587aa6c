"""Compare the weights of runs, and averages of them, on the dev split, before one is exported.

    python -m training.compare --examples build/reader/examples --encoder ENCODER build/reader/run-6=1 \
        "build/reader/run-3=0.2 build/reader/run-6=0.8"

Each argument is a run, or several with their shares as `training.average` takes them. Printed is a row of a Markdown
table for each, over pairs of the dev split drawn once for all, up to `--each` of SQuAD, of our own news, entries and
non-factoid questions, and of all other sources: answerability AUROC over all of them, on SQuAD, on its questions that
people wrote, on each of the others, and on edited directions; and the share of exact spans on SQuAD and on the news.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.answerability import DevScores, score_dev
from training.average import average_runs, parse_member
from training.measures import compute_auroc
from training.reference import Logits
from training.tokens import TokenisedExamples
from training.train import Settings, make_model

COLUMNS = (
    "weights", "pairs", "all", "SQuAD", "SQuAD, written", "news", "entries", "non-factoid", "edited direction",
    "span, SQuAD", "span, news",
)  # fmt: skip
SOURCES = ("squad2_train_rebuilt", "news", "entries", "nonfactoid")
SEED = 5


class TorchScorer:
    """A scorer that runs weights that were not exported; `lora_rank` is that of their adapters, 0 without."""

    def __init__(self, weights: Mapping[str, Tensor], *, encoder: Path, lora_rank: int = 0) -> None:
        self.model = make_model(encoder, settings=Settings(lora_rank=lora_rank))
        self.model.load_state_dict(dict(weights))
        self.model.eval()

    def __call__(self, ids: NDArray[np.int64], mask: NDArray[np.int64], types: NDArray[np.int64]) -> Logits:
        """Return the logits of a batch. All inputs: (n, length)."""
        with torch.inference_mode():
            output = self.model(torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(types))
        return Logits(
            answerable=output.answerable.numpy(), start=output.start.numpy(), end=output.end.numpy(),
            support=output.support.numpy(),
        )  # fmt: skip


def draw_evenly(dev: TokenisedExamples, *, each: int) -> TokenisedExamples:
    """Return up to so many questions of each of `SOURCES`, and of all others together."""
    sources = dev.list_sources()
    order = np.random.default_rng(SEED).permutation(np.flatnonzero(dev.answerable >= 0))
    kinds = [*(sources[order] == source for source in SOURCES), ~np.isin(sources[order], SOURCES)]
    return dev.take(np.concatenate([order[kind][:each] for kind in kinds]))


def summarise(scores: DevScores) -> list[float]:
    """Return the figures of a row, in the order of `COLUMNS` from "all" on; nan where there is no such pair."""
    sources, kinds = np.array([name.split(" · ") for name in scores.names]).T
    asked, answered = scores.answerable >= 0, scores.answerable == 1
    squad, news, entries, nonfactoid = (sources == source for source in SOURCES)
    written = squad & np.isin(kinds, ("answerable", "written"))
    direction = (kinds == "edited_direction") | (answered & ~news & ~entries & ~nonfactoid)

    def auroc(chosen: NDArray[np.bool_]) -> float:
        labels = answered[chosen & asked]
        return compute_auroc(scores.features[chosen & asked, 0], labels) if 0 < labels.sum() < len(labels) else np.nan

    def exact(chosen: NDArray[np.bool_]) -> float:
        known = scores.spans_right[chosen & ~np.isnan(scores.spans_right)]
        return float(known.mean()) if len(known) else np.nan

    judged = (asked, squad, written, news, entries, nonfactoid, direction)
    return [*(auroc(chosen) for chosen in judged), exact(squad), exact(news)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 after printing the table."""
    parser = argparse.ArgumentParser(prog="python -m training.compare", description=__doc__.splitlines()[0])
    parser.add_argument("members", nargs="+", metavar="FOLDER=SHARE …", help="a run, or several to be averaged")
    parser.add_argument("--examples", type=Path, required=True, help="folder that training.prepare wrote")
    parser.add_argument("--encoder", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--each", type=int, default=1200, help="pairs of each source")
    parser.add_argument("--split", choices=("dev", "train"), default="dev", help="train tells what is known by heart")
    options = parser.parse_args(arguments)
    dev = draw_evenly(TokenisedExamples.load(options.examples / f"{options.split}.npz"), each=options.each)
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for text in options.members:
        weights = average_runs([parse_member(part) for part in text.split()])
        figures = summarise(score_dev(TorchScorer(weights, encoder=options.encoder), dev=dev))
        print(f"| {text} | {len(dev)} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
