r"""Measure a reader: dev split, the half of SQuAD 2.0 dev, CLAPNQ dev, WiCE dev and altered claims.

    python -m training.evaluate --data ../shared/data --examples build/reader/examples \\
        --model build/reader/export/model.onnx --out build/reader/figures.json

Nothing but the dev split is used to choose anything: thresholds and the answerability combination are fitted there.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training.answerability import Combination, evaluate_dev, list_features, read_combination, score_dev
from training.examples import list_words
from training.measures import (
    Doubles,
    Figure,
    bootstrap,
    bootstrap_auroc,
    bootstrap_mean,
    compute_auroc,
    compute_balanced_accuracy,
)
from training.prepare import make_altered_claims
from training.reference import OnnxScorer, Pair, Scorer, read_pairs
from training.sources import SourcePassage, check_files, read_recorded_checksums
from training.squad import WINDOW_WORDS, cut_passages, evaluate_squad, read_squad
from training.tokens import TokenisedExamples, load_tokenizer

logger = logging.getLogger(__name__)
EVALUATION_FILES = (
    "reading/squad2_dev_half.json",
    "reading/clapnq_dev_answerable.jsonl",
    "reading/clapnq_dev_unanswerable.jsonl",
    "evidence/wice_claim_dev.jsonl",
)


def evaluate_clapnq(
    scorer: Scorer, *, tokenizer: Tokenizer, folder: Path, combination: Combination
) -> dict[str, object]:
    """Return how well CLAPNQ's answerable questions score above its unanswerable ones, each on its own passage."""
    pairs: list[Pair] = []
    owners: list[int] = []
    labels: list[bool] = []
    for name, label in (("clapnq_dev_answerable.jsonl", True), ("clapnq_dev_unanswerable.jsonl", False)):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            for passage in row["passages"]:
                header = f"{passage['title']}. "
                for start, end in cut_passages(passage["text"]):
                    pairs.append(
                        Pair(
                            question=row["input"], passage=header + passage["text"][start:end], header_size=len(header)
                        )
                    )
                    owners.append(len(labels))
            labels.append(label)
    odds = combination.apply(list_features(read_pairs(scorer, tokenizer=tokenizer, pairs=pairs)))
    scores = np.full(len(labels), -np.inf)
    np.maximum.at(scores, owners, odds)
    return {"auroc": bootstrap_auroc(scores, labels)}


def select_evidence(claim: str, *, sentences: Sequence[str], count: int = 8) -> list[int]:
    """Return the sentences that share the most words with the claim, best first."""
    wanted = frozenset(list_words(claim))
    return sorted(range(len(sentences)), key=lambda i: (-len(wanted.intersection(list_words(sentences[i]))), i))[:count]


def evaluate_wice(
    scorer: Scorer, *, tokenizer: Tokenizer, path: Path, embed: Callable[[Sequence[str]], Doubles] | None
) -> dict[str, object]:
    """Return how well fully supported WiCE claims score above the others, P(supports) against cosine.

    The evidence is a whole web page: the claim is compared with the eight sentences that share most words with it, each
    with its neighbours, and keeps its highest probability. The threshold of the balanced accuracy is fitted by two-fold
    cross-validation, for both scores alike.
    """
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    pairs: list[Pair] = []
    owners: list[int] = []
    sentences: list[str] = []
    for number, row in enumerate(rows):
        evidence = row["evidence"]
        for i in select_evidence(row["claim"], sentences=evidence):
            context = " ".join(evidence[max(0, i - 1) : i + 2])
            pairs.append(Pair(question=row["claim"], passage=" ".join(context.split()[:WINDOW_WORDS])))
            owners.append(number)
            sentences.append(" ".join(evidence[i].split()[:WINDOW_WORDS]))
    readings = read_pairs(scorer, tokenizer=tokenizer, pairs=pairs)
    scores = np.full(len(rows), -np.inf)
    np.maximum.at(scores, owners, np.array([reading.support[0] for reading in readings]))
    supported = np.array([row["label"] == "supported" for row in rows])
    figures: dict[str, object] = {
        "auroc": bootstrap_auroc(scores, supported),
        "balanced_accuracy": cross_validate_threshold(scores, supported),
        "auroc_supported_against_not_supported": bootstrap_auroc(
            scores[[row["label"] != "partially_supported" for row in rows]],
            supported[[row["label"] != "partially_supported" for row in rows]],
        ),
    }
    if embed is not None:
        claims = embed([row["claim"] for row in rows])
        cosines = np.full(len(rows), -np.inf)
        np.maximum.at(cosines, owners, np.sum(embed(sentences) * claims[owners], axis=1))
        figures["cosine_auroc"] = bootstrap_auroc(cosines, supported)
        figures["cosine_balanced_accuracy"] = cross_validate_threshold(cosines, supported)
        figures["auroc_gain"] = bootstrap(
            len(rows),
            lambda drawn: (
                compute_auroc(scores[drawn], supported[drawn]) - compute_auroc(cosines[drawn], supported[drawn])
            ),
            resamples=400,
        )
    return figures


def cross_validate_threshold(scores: Doubles, labels: NDArray[np.bool_], *, seed: int = 13) -> Figure:
    """Return the balanced accuracy with each half decided by the threshold that is best on the other."""
    half = np.random.default_rng(seed).random(len(scores)) < 0.5
    predicted = np.zeros(len(scores), dtype=np.bool_)
    for part in (half, ~half):
        other = ~part
        candidates = np.unique(scores[other])
        best = max(candidates, key=lambda edge: compute_balanced_accuracy(scores[other] >= edge, labels[other]))
        predicted[part] = scores[part] >= best
    return bootstrap(len(scores), lambda rows: compute_balanced_accuracy(predicted[rows], labels[rows]))


def evaluate_altered(
    scorer: Scorer,
    *,
    tokenizer: Tokenizer,
    paragraphs: Sequence[SourcePassage],
    embed: Callable[[Sequence[str]], Doubles] | None,
    wanted: int = 1200,
) -> dict[str, object]:
    """Return how well true sentences score above altered ones, over all and by way of altering.

    The sentences are from articles that were not trained on; the script that alters them is that of the training data.
    """
    examples = [
        example
        for example in make_altered_claims(paragraphs, wanted=wanted, rng=random.Random(99))
        if example.kind != "elsewhere"
    ]
    pairs = [Pair(question=example.question, passage=example.passage) for example in examples]
    readings = read_pairs(scorer, tokenizer=tokenizer, pairs=pairs)
    scores = np.array([reading.support[0] for reading in readings])
    true = np.array([example.kind == "true" for example in examples])
    figures: dict[str, object] = {"auroc": bootstrap_auroc(scores, true)}
    for kind in sorted({example.kind for example in examples} - {"true"}):
        rows = np.array([example.kind in {"true", kind} for example in examples])
        figures[f"auroc_{kind}"] = bootstrap_auroc(scores[rows], true[rows])
    figures["three_way_accuracy_true_or_contradicts"] = bootstrap_mean(
        [
            float(np.argmax(reading.support) == (0 if is_true else 1))
            for reading, is_true in zip(readings, true, strict=True)
        ]
    )
    if embed is not None:
        cosines = np.sum(embed([p.question for p in pairs]) * embed([p.passage for p in pairs]), axis=1)
        figures["cosine_auroc"] = bootstrap_auroc(cosines, true)
    return figures


def make_embedder(encoder: Path, *, tokenizer: Tokenizer) -> Callable[[Sequence[str]], Doubles]:
    """Return a function from texts to unit vectors by all-MiniLM-L6-v2: the baseline."""
    import torch

    from training.model import load_body

    body = load_body(encoder)
    body.train(mode=False)

    def embed(texts: Sequence[str]) -> Doubles:
        vectors = np.zeros((len(texts), body.config.hidden_size))
        encodings = [encoding.ids[:254] for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
        order = sorted(range(len(texts)), key=lambda i: len(encodings[i]))
        for begin in range(0, len(order), 32):
            rows = order[begin : begin + 32]
            length = max(len(encodings[row]) for row in rows) + 2
            ids = torch.zeros((len(rows), length), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for i, row in enumerate(rows):
                full = [101, *encodings[row], 102]
                ids[i, : len(full)] = torch.tensor(full)
                mask[i, : len(full)] = 1
            with torch.inference_mode():
                hidden = body(input_ids=ids, attention_mask=mask).last_hidden_state
            weights = mask.unsqueeze(-1).float()
            pooled = torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=1)
            vectors[rows] = pooled.numpy()
        return vectors

    return embed


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 after writing the figures."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/, reading/ and evidence/")
    parser.add_argument(
        "--examples", type=Path, required=True, help="folder that training.prepare wrote, for its dev split"
    )
    parser.add_argument(
        "--model", type=Path, required=True, help="an exported model, its config and tokenizer beside it"
    )
    parser.add_argument("--out", type=Path, required=True, help="the JSON file that the figures are written to")
    parser.add_argument("--encoder", type=Path, help="folder of all-MiniLM-L6-v2, for the cosine baseline")
    parser.add_argument("--limit", type=int, default=0, help="ask only so many questions of the SQuAD half; 0 asks all")
    parser.add_argument(
        "--dev-limit", type=int, default=0, help="measure on so many dev examples, the sources alike; 0 takes all"
    )
    parser.add_argument("--only", default="dev,squad,clapnq,wice,altered", help="the sets to measure, by comma")
    parser.add_argument("--threads", type=int, default=2, help="threads of ONNX Runtime")
    options = parser.parse_args(arguments)
    check_files(options.data, recorded=read_recorded_checksums(), names=EVALUATION_FILES)
    wanted = options.only.split(",")
    tokenizer = load_tokenizer(options.model.parent)
    scorer = OnnxScorer(options.model, threads=options.threads)
    embed = make_embedder(options.encoder, tokenizer=tokenizer) if options.encoder else None
    began = time.monotonic()
    combination = read_combination(options.model.with_name("config.json"))
    figures: dict[str, object] = {"model": options.model.name, "combination": combination}
    squad = options.data / EVALUATION_FILES[0]
    reading = options.data / "reading"
    steps: dict[str, Callable[[], dict[str, object]]] = {
        "dev": lambda: evaluate_dev(
            score_dev(scorer, dev=TokenisedExamples.load(options.examples / "dev.npz").draw(options.dev_limit)),
            combination=combination,
        ),
        "squad_with_title": lambda: evaluate_squad(
            scorer, tokenizer=tokenizer, path=squad, combination=combination, header=True, limit=options.limit
        ),
        "squad": lambda: evaluate_squad(
            scorer, tokenizer=tokenizer, path=squad, combination=combination, limit=options.limit
        ),
        "clapnq": lambda: evaluate_clapnq(scorer, tokenizer=tokenizer, folder=reading, combination=combination),
        "wice": lambda: evaluate_wice(
            scorer, tokenizer=tokenizer, path=options.data / "evidence/wice_claim_dev.jsonl", embed=embed
        ),
        "altered": lambda: evaluate_altered(scorer, tokenizer=tokenizer, paragraphs=read_squad(squad)[0], embed=embed),
    }
    for name in wanted:
        figures[name] = steps[name]()
        logger.info("%s after %.0f s: %s", name, time.monotonic() - began, describe_figures(figures[name]))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=1, default=asdict), encoding="utf-8")
    return 0


def describe_figures(figures: object) -> str:
    """Return the figures as one line of text."""
    if isinstance(figures, Figure):
        return f"{figures.value:.3f} [{figures.low:.3f}, {figures.high:.3f}] n={figures.n}"
    if isinstance(figures, dict):
        return "; ".join(f"{name} {describe_figures(value)}" for name, value in figures.items())
    return f"{figures:.4f}" if isinstance(figures, float) else str(figures)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main())
