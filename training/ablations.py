"""Short runs that differ in one thing each, all from one draw of the data and measured on the same dev pairs.

    python -m training.ablations --examples build/reader/examples --encoder ENCODER --work build/reader/ablations

Each takes a few minutes, so it tells what helps a reader in its first thousands of examples, not what a long run comes
to. What is finished is not run again, and the table is written anew after every run: the queue may be stopped.
Differences to the first row are paired, over bootstrap resamples of the dev pairs.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.answerability import DevScores, score_dev
from training.average import average_weights
from training.compare import TorchScorer
from training.measures import Doubles, Figure, bootstrap, compute_auroc
from training.tokens import TokenisedExamples
from training.train import UNTRAINED, Settings, select_examples, train

logger = logging.getLogger(__name__)
SEED = 29
RESAMPLES = 400
BATCH_TOKENS = 4000
BASE = "base"
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ablation:
    """A run, or an average of runs, and what sets it apart from the first.

    `after` is the run that it goes on from; `average_of` are runs whose weights are averaged instead of training;
    `masters` takes the last weights instead of their running average.
    """

    name: str
    what: str
    settings: Settings
    after: str = ""
    average_of: tuple[str, ...] = ()
    masters: bool = False


def list_ablations(*, max_examples: int) -> list[Ablation]:
    """Return the runs in the order in which they are made, the one that all are compared with first."""
    # Few examples make few steps, so a step has half of the batches that a long run gives it.
    base = Settings(max_examples=max_examples, batches_per_step=2)
    seconds = ("further", "further-again")
    return [
        Ablation(BASE, "bare encoder, all data, the settings of a first run", base),
        Ablation("seed", "another seed: what chance alone does", replace(base, seed=14)),
        Ablation("untrained", "random weights instead of the encoder's", replace(base, start=UNTRAINED)),
        Ablation(
            "no-mined",
            "without mined negatives (same article, other article, sentence removed)",
            replace(base, without="same_article,other_article,removed_sentence"),
        ),
        Ablation("no-edited", "without questions edited until they have no answer", replace(base, without="edited_")),
        Ablation("head-rate", "heads at the rate of the body", replace(base, head_rate=base.body_rate)),
        Ablation("further", "as many examples again, other ones", replace(base, seed=15), after=BASE),
        Ablation("lora", "adapters of rank 16 at 1e-3, body held", replace(base, lora_rank=16, body_rate=1e-3)),
        Ablation("no-news", "without news (ours and OneStopQA)", replace(base, without="news · ")),
        Ablation("further-again", "as `further`, another seed", replace(base, seed=16), after=BASE),
        Ablation("average-seeds", "mean of the weights of these two", base, average_of=seconds),
        Ablation("average-start", "mean of `base` and `further`", base, average_of=(BASE, "further")),
        Ablation("last-weights", "the last weights, not their running average", base, masters=True),
        Ablation("no-claims", "support head without loss", replace(base, support_weight=0.0)),
        Ablation("answerable-2", "answerable loss twice", replace(base, answerable_weight=2.0)),
        Ablation("span-2", "span loss twice", replace(base, span_weight=2.0)),
        Ablation("short", "pairs of at most 112 tokens alone", replace(base, longest=112)),
    ]


def read_weights(folder: Path, *, masters: bool = False) -> dict[str, Tensor]:
    """Return the averaged, or the last, weights of a finished run."""
    weights: dict[str, Tensor] = torch.load(folder / "final.pt", weights_only=True)["weights"][
        "masters" if masters else "average"
    ]
    return weights


def run(ablation: Ablation, examples: TokenisedExamples, *, encoder: Path, work: Path) -> dict[str, Tensor]:
    """Return the weights that an ablation comes to; what it needs of others has to be finished.

    Raises:
        FileNotFoundError: a run that it goes on from, or that it averages, is not there.
    """
    if ablation.average_of:
        share = 1 / len(ablation.average_of)
        return average_weights([(read_weights(work / name), share) for name in ablation.average_of])
    if ablation.masters:
        return read_weights(work / BASE, masters=True)
    folder = work / ablation.name
    if not (folder / "final.pt").exists():
        settings = ablation.settings
        if ablation.after:
            settings = replace(settings, start=str(work / ablation.after))
        chosen = select_examples(examples, without=settings.without, longest=settings.longest)
        train(chosen, encoder=encoder, out=folder, settings=settings, workers=2)
        (folder / "last.pt").unlink(missing_ok=True)
    return read_weights(folder)


def measures(scores: DevScores) -> dict[str, tuple[Rows, Callable[[DevScores, Rows], float]]]:
    """Return by column the rows that it is taken over, and how."""
    asked = np.flatnonzero(scores.answerable >= 0)
    news, squad = (
        np.array([name.startswith(f"{source} · ") for name in scores.names], dtype=np.bool_)
        for source in ("news", "squad2_train_rebuilt")
    )
    claims = np.flatnonzero((scores.bits > 0) & (scores.answerable < 0))
    return {
        "answerable, AUROC": (asked, _answerability),
        "on SQuAD": (asked[squad[asked]], _answerability),
        "on our news": (asked[news[asked]], _answerability),
        "exact span": (np.flatnonzero(~np.isnan(scores.spans_right)), _exact),
        "supported, AUROC": (claims, _support),
    }


def _answerability(scores: DevScores, rows: Rows) -> float:
    return compute_auroc(scores.features[rows, 0], scores.answerable[rows] == 1)


def _exact(scores: DevScores, rows: Rows) -> float:
    return float(scores.spans_right[rows].mean())


def _support(scores: DevScores, rows: Rows) -> float:
    return compute_auroc(scores.support[rows, 0], scores.bits[rows] == 1)


def compare_with(base: DevScores, other: DevScores) -> dict[str, tuple[Figure, Figure]]:
    """Return by column the other's figure and its paired difference to the base; columns without both classes lack."""
    found = {}
    for name, (rows, measure) in measures(base).items():

        def value(drawn: Rows, rows: Rows = rows, measure: Callable[[DevScores, Rows], float] = measure) -> float:
            return measure(other, rows[drawn])

        def gain(drawn: Rows, rows: Rows = rows, measure: Callable[[DevScores, Rows], float] = measure) -> float:
            return measure(other, rows[drawn]) - measure(base, rows[drawn])

        try:
            found[name] = (
                bootstrap(len(rows), value, resamples=RESAMPLES),
                bootstrap(len(rows), gain, resamples=RESAMPLES),
            )
        except (ValueError, IndexError):
            continue
    return found


def write_table(
    scored: Sequence[tuple[Ablation, DevScores]], *, max_examples: int, pairs: int, missing: Sequence[str] = ()
) -> str:
    """Return the table as Markdown, the first row the one that the others are compared with, and what is not run."""
    base = scored[0][1]
    columns = list(measures(base))
    lines = [
        "# Ablations",
        "",
        f"Written by `python -m training.ablations` (see its docstring): short runs of {max_examples:,} examples each,",
        f"on {pairs:,} pairs of the dev split drawn once for all, articles apart from those of training.",
        "In brackets 95 % bootstrap intervals over the pairs; below a figure its paired",
        "difference to the first row, **bold** where the interval leaves out 0. The intervals know nothing of the",
        "seed: the second row tells how far two runs lie apart that differ in nothing else. With so many rows and",
        f"columns one bold difference in twenty is chance ({len(scored) - 1} rows of {len(columns)} here).",
        "",
        "| run | differs in | " + " | ".join(columns) + " |",
        "|" + "---|" * (len(columns) + 2),
    ]
    for ablation, scores in scored:
        found = compare_with(base, scores)
        cells = [_cell(*found[name], first=scores is base) if name in found else "–" for name in columns]
        lines.append(f"| `{ablation.name}` | {ablation.what} | " + " | ".join(cells) + " |")
    if missing:
        lines += ["", f"Not run yet: {', '.join(f'`{name}`' for name in missing)}. The same command goes on with them."]
    return "\n".join(lines) + "\n"


def _cell(figure: Figure, gain: Figure, *, first: bool) -> str:
    shown = f"{figure.value:.3f} ({figure.low:.3f}–{figure.high:.3f}), n {figure.n}"
    if first:
        return shown
    difference = f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
    return f"{shown}<br>{f'**{difference}**' if gain.low > 0 or gain.high < 0 else difference}"


def save_scores(path: Path, scores: DevScores) -> None:
    """Write what of the scores is not the dev split's own."""
    kept: dict[str, Doubles] = {
        "features": scores.features,
        "spans_right": scores.spans_right,
        "overlaps": scores.overlaps,
        "support": scores.support,
    }
    np.savez(path, allow_pickle=False, **kept)


def load_scores(path: Path, *, dev: TokenisedExamples) -> DevScores:
    """Return the scores of a file that `save_scores` wrote for these dev pairs."""
    with np.load(path) as file:
        return DevScores(
            **{name: file[name] for name in ("features", "spans_right", "overlaps", "support")},
            answerable=dev.answerable.astype(np.int64),
            bits=dev.support.astype(np.int64),
            names=tuple(dev.names[group] for group in dev.groups),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 after running what is not finished, and writing the table."""
    parser = argparse.ArgumentParser(prog="python -m training.ablations", description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=Path, required=True, help="folder that training.prepare wrote")
    parser.add_argument("--encoder", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs and their scores")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("ABLATIONS.md"))
    parser.add_argument("--max-examples", type=int, default=4000, help="that each run sees")
    parser.add_argument("--pairs", type=int, default=3000, help="of the dev split")
    parser.add_argument("--only", nargs="+", help="these runs alone, beside the first")
    options = parser.parse_args(arguments)
    examples = TokenisedExamples.load(options.examples / "train.npz")
    dev = TokenisedExamples.load(options.examples / "dev.npz")
    dev = dev.take(np.sort(np.random.default_rng(SEED).permutation(len(dev))[: options.pairs]))
    wanted = [
        ablation
        for ablation in list_ablations(max_examples=options.max_examples)
        if not options.only or ablation.name in {BASE, *options.only}
    ]
    scored: list[tuple[Ablation, DevScores]] = []
    for ablation in wanted:
        kept = options.work / f"{ablation.name}.npz"
        if not kept.exists():
            logger.info("run %s", ablation.name)
            weights = run(ablation, examples, encoder=options.encoder, work=options.work)
            scorer = TorchScorer(weights, encoder=options.encoder, lora_rank=ablation.settings.lora_rank)
            save_scores(kept, score_dev(scorer, dev=dev, max_batch_tokens=BATCH_TOKENS))
        scored.append((ablation, load_scores(kept, dev=dev)))
        missing = [other.name for other in wanted[len(scored) :]]
        table = write_table(scored, max_examples=options.max_examples, pairs=len(dev), missing=missing)
        options.out.write_text(table, encoding="utf-8")
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main())
