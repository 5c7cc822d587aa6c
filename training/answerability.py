"""Answerability on the dev split: the scores of every pair, how the reader's signs are combined, and the threshold."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.measures import (
    Doubles,
    Figure,
    bootstrap_auroc,
    bootstrap_mean,
    compute_calibration_error,
    fit_logistic,
)
from training.reference import Reading, Scorer, find_best_span, take_log_softmax
from training.tokens import TokenisedExamples, make_batch, plan_batches

COMBINATION = ("answerable", "span_score", "margin")


@dataclass(frozen=True, slots=True)
class Combination:
    """How answerability is computed: weights on features, a bias, and the threshold that is best on dev F1.

    The features are those of `COMBINATION`, or more.
    """

    weights: tuple[float, ...]
    bias: float
    threshold: float

    def apply(self, features: Doubles) -> Doubles:
        """Return the log-odds that a pair is answerable; features: (n, number of weights)."""
        result: Doubles = features @ np.array(self.weights) + self.bias
        return result


@dataclass(frozen=True, slots=True)
class DevScores:
    """Scores on the dev split, a row per example; NaN where an example has no span.

    spans_right: whether the span is the right one or, where a span merely holds the answer, lies within it.
    overlaps: F1 over tokens.
    """

    features: Doubles
    answerable: NDArray[np.int64]
    spans_right: Doubles
    overlaps: Doubles
    support: Doubles
    bits: NDArray[np.int64]
    names: tuple[str, ...]


def list_features(readings: Sequence[Reading]) -> Doubles:
    """Return the features of the combination, (n, 3)."""
    return np.array(
        [[reading.answerable, reading.span_score, reading.margin] for reading in readings], dtype=np.float64
    )


def score_dev(scorer: Scorer, *, dev: TokenisedExamples, max_batch_tokens: int = 1) -> DevScores:
    """Return the scores of every dev example, by default each read by itself.

    That is how the reader reads: what is computed in eight bits depends on what shares a batch.
    """
    features = np.zeros((len(dev), 3))
    spans_right = np.full(len(dev), np.nan)
    overlaps = np.full(len(dev), np.nan)
    support = np.zeros((len(dev), 3))
    for rows in plan_batches(dev.sizes, max_batch_tokens=max_batch_tokens, bucket=len(dev), seed=0):
        batch = make_batch(dev, rows=rows)
        logits = scorer(batch.ids, batch.mask, batch.types)
        support[batch.rows] = np.exp(take_log_softmax(logits.support))
        for i, row in enumerate(batch.rows.tolist()):
            if dev.answerable[row] < 0:
                continue
            span = find_best_span(
                logits.start[i], logits.end[i], begin=int(dev.breaks[row]), stop=int(dev.sizes[row]) - 1
            )
            features[row] = (float(logits.answerable[i]), span.score, span.margin)
            if batch.starts[i] >= 0:
                first, last = int(batch.starts[i]), int(batch.ends[i])
                shared = max(0, min(last, span.last) - max(first, span.first) + 1)
                overlaps[row] = 2 * shared / (last - first + 1 + span.last - span.first + 1)
                spans_right[row] = (
                    float(first <= span.first and span.last <= last)
                    if batch.inside[i]
                    else float((span.first, span.last) == (first, last))
                )
    return DevScores(
        features=features,
        answerable=dev.answerable.astype(np.int64),
        spans_right=spans_right,
        overlaps=overlaps,
        support=support,
        bits=dev.support.astype(np.int64),
        names=tuple(dev.names[group] for group in dev.groups),
    )


def fit_combination(scores: DevScores) -> Combination:
    """Return the combination fitted on the dev questions, its threshold the one with the highest F1 over all.

    For the threshold count the questions that people wrote for a passage (answerable, or impossible on purpose), not
    the mined negatives, and both classes weigh alike: the dev split has twice as many impossible ones, which says
    nothing about the questions that will be asked. An impossible question is worth 1 if declined, others their F1.
    """
    questions = scores.answerable >= 0
    plain = combine(scores.features[questions], scores.answerable[questions] == 1)
    written = np.array(
        [
            name.startswith("squad2_train_rebuilt · ") and name.endswith(("written", "answerable"))
            for name in scores.names
        ]
    )
    odds = plain.apply(scores.features[written])
    overlaps = np.nan_to_num(scores.overlaps[written])
    threshold = best_threshold(odds, scores.answerable[written] == 1, overlaps)
    return replace(plain, threshold=threshold)


def combine(features: Doubles, answerable: NDArray[np.bool_]) -> Combination:
    """Return the weights and the bias that tell the answerable rows of features (n, d) best; the threshold is 0."""
    *weights, bias = map(float, fit_logistic(features, answerable))
    return Combination(weights=tuple(weights), bias=bias, threshold=0.0)


def best_threshold(odds: Doubles, answerable: NDArray[np.bool_], f1: Doubles) -> float:
    """Return the odds above which answering is worth most, the answerable and the others weighing alike.

    All inputs: (n,). An answered question is worth its F1, a question without an answer 1 if it is declined. Questions
    of the same odds are answered or declined together.
    """
    worth = np.where(answerable, f1, 0.0) / max(1, answerable.sum())
    refused = np.where(answerable, 0.0, 1.0) / max(1, (~answerable).sum())
    order = np.argsort(-odds)
    gains = np.concatenate(([0.0], np.cumsum(worth[order] - refused[order])))
    best = int(np.argmax(np.where(list_cuts(odds[order]), gains, -np.inf)))
    edges = np.concatenate(([odds.max() + 1], odds[order], [odds.min() - 1]))
    return float((edges[best] + edges[best + 1]) / 2)


def list_cuts(ranked: Doubles) -> NDArray[np.bool_]:
    """Return before which of falling scores (n,), at least one, and behind the last a threshold can cut: (n + 1,)."""
    return np.concatenate(([True], ranked[:-1] != ranked[1:], [True]))


def read_combination(path: Path) -> Combination:
    """Return the combination that training.export fitted on the dev split and wrote to the model's config."""
    written = json.loads(path.read_text(encoding="utf-8"))["answerability"]
    return Combination(weights=tuple(written["weights"]), bias=written["bias"], threshold=written["threshold"])


def compare_combinations(scores: DevScores, *, seed: int = 13) -> dict[str, Figure]:
    """Return the AUROC on held-out halves of the dev questions for each choice of features."""
    rows = np.flatnonzero(scores.answerable >= 0)
    rng = np.random.default_rng(seed)
    half = rng.random(len(rows)) < 0.5
    labels = scores.answerable[rows] == 1
    figures = {}
    for name, columns in (
        ("answerable", [0]), ("span_score", [1]), ("margin", [2]), ("answerable + span_score", [0, 1]),
        ("answerable + span_score + margin", [0, 1, 2]),
    ):  # fmt: skip
        features = scores.features[rows][:, columns]
        held_out = np.zeros(len(rows))
        for part in (half, ~half):
            weights = fit_logistic(features[~part], labels[~part])
            held_out[part] = features[part] @ weights[:-1] + weights[-1]
        figures[name] = bootstrap_auroc(held_out, labels)
    return figures


def evaluate_dev(scores: DevScores, *, combination: Combination) -> dict[str, object]:
    """Return the figures on the dev split: by negative kind, spans, support, and the choice of the combination."""
    odds = combination.apply(scores.features)
    answerable = scores.answerable == 1
    kinds: defaultdict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(scores.names):
        if scores.answerable[i] == 0:
            kinds[name.split(" · ")[1]].append(i)
    by_kind = {}
    for kind, rows in sorted(kinds.items()):
        chosen = np.concatenate([np.array(rows), np.flatnonzero(answerable)])
        by_kind[kind] = bootstrap_auroc(odds[chosen], answerable[chosen]) if len(rows) >= 20 else None
    questions = scores.answerable >= 0
    exact = scores.spans_right[~np.isnan(scores.spans_right)]
    decided = np.isin(scores.bits, (1, 2, 4))
    published = np.array([name.endswith(" · claim") for name in scores.names])
    right = np.argmax(scores.support, axis=1) == np.log2(np.maximum(scores.bits, 1)).astype(int)
    # A label that allows two classes, contradicts and neither, still says whether the claim is supported.
    claims = scores.bits > 0
    supported = scores.bits == 1
    probabilities = 1 / (1 + np.exp(-odds[questions]))
    return {
        "answerable_auroc": bootstrap_auroc(odds[questions], answerable[questions]),
        "answerable_auroc_by_negative": by_kind,
        "span_exact": bootstrap_mean(exact),
        "support_accuracy_published": bootstrap_mean(right[decided & published].astype(float)),
        "support_auroc_published": bootstrap_auroc(
            scores.support[claims & published, 0], supported[claims & published]
        ),
        "support_auroc_altered": bootstrap_auroc(
            scores.support[claims & ~published, 0], supported[claims & ~published]
        ),
        "calibration_error": compute_calibration_error(probabilities, answerable[questions]),
        "combinations": compare_combinations(scores),
    }
