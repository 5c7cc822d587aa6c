"""Fit the score by which a written claim is kept, and from where on it is.

    python -m training.checker --data ../shared/data --out rag/answering/checking.json

Fitted on articles that the reader was never trained on, the dev share of the training data: claims made from their
sentences, true and made untrue (`training/alterations.py`), and claims that people wrote about other evidence. Nothing
of what `benchmarks/checker.py` reports on is read. The threshold is the lowest that lets at most 3 in 100 of the untrue
claims through that the rules and the score are held against.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.answering.checking import Checker, SupportFeatures, Weighed
from rag.answering.judging import Finding, Logistic, Reading
from rag.models.reader import SHIPPED, Reader
from rag.records import Article, Hit, Passage
from rag.sentences import split_sentences
from training.alterations import list_names, make_claims
from training.answerer import held_out_articles
from training.examples import pick_share
from training.measures import fit_logistic
from training.prepare import Recipe
from training.sources import read_claims, read_passages, read_spans

SEED = 20261125
EACH_WAY = 70
NATURAL = 500
NATURAL_SOURCES = frozenset(
    ["fever_dev", "fever_symmetric", "fool_me_twice_dev", "fool_me_twice_test", "factcheck_gpt"]
)
MOST_LET_THROUGH = 0.03
NATURAL_SHARE = 0.25
"""How much a natural claim counts beside a made one: most of the true ones lean on a page title that is not there."""
SIGNS = np.array([1, -1, 1, 1])
"""Which way each feature may count: a weight that would turn it round is no knowledge, and is left out."""
UNSPACED = Logistic((0.0, 0.0, 10.0, 20.0), -24.5)
"""Without a reader that knows Chinese and Japanese, near-verbatim claims alone are kept."""


@dataclass(frozen=True, slots=True)
class Case:
    """A claim with the sentences that it may rest on, whether they support it, and what set it is of."""

    claim: str
    evidence: tuple[Finding, ...]
    true: bool
    origin: str


def make_findings(text: str, *, title: str, name: str = "article", published: str | None = None) -> tuple[Finding, ...]:
    """Return the sentences of a text as evidence, all of one passage."""
    article = Article(id=name, path=name, text=text, title=title, published=published)
    spans = tuple(split_sentences(text))
    reading = Reading(Hit(Passage(name, 0, 0, len(text), spans), 1.0, 1), article)
    return tuple(Finding(reading, span, 0.0) for span in spans)


def made_cases(paragraphs: Sequence[tuple[str, str]], *, wanted: int, seed: int) -> list[Case]:
    """Return claims made from paragraphs (title, text), each before all sentences of its paragraph."""
    findings = [make_findings(text, title=title, name=str(n)) for n, (title, text) in enumerate(paragraphs)]
    sentences = [[finding.text for finding in one] for one in findings]
    names = sorted({name for _, text in paragraphs for name in list_names(text)})
    claims = make_claims(sentences, wanted=wanted, other_names=names, seed=seed)
    return [Case(c.text, findings[c.paragraph], not c.way, c.way or f"true, {c.form}") for c in claims]


def read_held_out(data: Path) -> list[tuple[str, str]]:
    """Return (title, text) of the passages of the articles that the reader was not trained on."""
    passages = read_passages(data)
    held = held_out_articles(read_spans(data, passages=passages), passages=passages)
    return [(passages[i].title or "", passages[i].text) for ids in held.values() for i in ids]


def read_natural(data: Path, *, wanted: int) -> Iterator[Case]:
    """Yield claims that people or models wrote, with evidence, of the dev share."""
    rows = [
        row
        for row in read_claims(data)
        if row.source in NATURAL_SOURCES and pick_share(row.evidence[:80]) < Recipe().dev_share
    ]
    random.Random(SEED).shuffle(rows)
    for row in rows[:wanted]:
        yield Case(
            row.claim, make_findings(row.evidence, title=""), row.label in {"supported", "entailment"}, row.source
        )


def best_of(rows: Sequence[Weighed], score: Logistic | None) -> Weighed | None:
    """Return the sentences that a claim is attributed to: those that break no rule first, then the best score."""
    if not rows:
        return None
    weigh = score or (lambda features: features[0] + 4 * features[2])
    return max(rows, key=lambda row: (row.fault is None, weigh(astuple(row.features))))


def fit(cases: Sequence[Case], weighed: Sequence[Sequence[Weighed]]) -> tuple[Logistic, float]:
    """Return the weights, fitted where no rule decides, and the threshold."""
    labels = np.array([case.true for case in cases])
    made = np.array([case.origin not in NATURAL_SOURCES for case in cases])
    score: Logistic | None = None
    for _ in range(3):  # which sentences are best depends on the weights
        best = [best_of(rows, score) for rows in weighed]
        open_ = np.array([row is not None and row.fault is None for row in best])
        chosen = [place for place in range(len(cases)) if open_[place]]
        features = np.array([astuple(best[place].features) for place in chosen])  # type: ignore[union-attr]  # chosen
        weights = _fit(features, labels[chosen], made[chosen])
        score = Logistic(tuple(map(float, weights[:-1])), float(weights[-1]))
    assert score is not None
    scores = np.array([score(astuple(row.features)) if row is not None and row.fault is None else 0.0 for row in best])
    untrue = np.sort(scores[made & ~labels])[::-1]
    allowed = int(MOST_LET_THROUGH * len(untrue))
    return score, float(min(0.9, max(0.05, untrue[allowed] + 1e-6)))


def _fit(features: NDArray[np.float64], labels: NDArray[np.bool_], made: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return weights of a logistic regression in which true and untrue claims count alike, natural ones for less."""
    rng = np.random.default_rng(SEED)
    size = max(int(((labels == label) & (made == kind)).sum()) for label in (True, False) for kind in (True, False))
    rows = []
    for label in (True, False):
        for kind in (True, False):
            there = np.flatnonzero((labels == label) & (made == kind))
            if len(there):
                rows.append(rng.choice(there, size=size if kind else int(NATURAL_SHARE * size)))
    drawn = np.concatenate(rows)
    spread = features.std(axis=0) + 1e-9
    used = np.ones(features.shape[1], dtype=np.bool_)
    while True:
        fitted = fit_logistic(features[drawn][:, used] / spread[used], labels[drawn])
        weights = np.zeros(features.shape[1])
        weights[used] = fitted[:-1] / spread[used]
        wrong = used & (weights * SIGNS < 0)
        if not wrong.any():
            return np.concatenate([weights, fitted[-1:]])
        used &= ~wrong


def report(cases: Sequence[Case], weighed: Sequence[Sequence[Weighed]], score: Logistic, threshold: float) -> str:
    """Return what is kept, by origin."""
    lines = []
    for origin in sorted({(case.true, case.origin) for case in cases}, key=str):
        mine = [rows for case, rows in zip(cases, weighed, strict=True) if (case.true, case.origin) == origin]
        kept = [any(r.fault is None and score(astuple(r.features)) >= threshold for r in rows) for rows in mine]
        ruled = [any(r.fault is None for r in rows) for rows in mine]
        verdict = "true" if origin[0] else "untrue"
        lines.append(
            f"{origin[1]:28} {verdict:7} n {len(kept):4} kept {np.mean(kept):.3f} past the rules {np.mean(ruled):.3f}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, and write the calibration."""
    parser = argparse.ArgumentParser(prog="python -m training.checker", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the public data")
    parser.add_argument("--reader", type=Path, default=SHIPPED, help="folder of the reading model")
    parser.add_argument("--each", type=int, default=EACH_WAY, help="untrue claims of each kind")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    options = parser.parse_args(arguments)
    reader = Reader(options.reader)
    cases = made_cases(read_held_out(options.data), wanted=options.each, seed=SEED)
    cases += read_natural(options.data, wanted=NATURAL)
    checker = Checker(reader)
    weighed = [checker.weigh(case.claim, case.evidence) for case in cases]
    score, threshold = fit(cases, weighed)
    fitted = {
        "features": [field.name for field in fields(SupportFeatures)],
        "spaced": {"weights": list(score.weights), "bias": score.bias},
        "unspaced": {"weights": list(UNSPACED.weights), "bias": UNSPACED.bias},
        "min_support": round(threshold, 4),
        "reader": reader.revision,
    }
    options.out.write_text(json.dumps(fitted, indent=2) + "\n", encoding="utf-8")
    print(report(cases, weighed, score, threshold))
    print(json.dumps(fitted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
