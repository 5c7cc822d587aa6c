"""Measures of reading and of telling apart, with bootstrap intervals."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its 95 % interval and the number of cases."""

    value: float
    low: float
    high: float
    n: int


def normalise_answer(text: str) -> str:
    """Return the text lower-cased, without punctuation, articles and extra space (SQuAD's rule)."""
    kept = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(?:a|an|the)\b", " ", kept).split())


def compute_exact(predicted: str, *, answers: Sequence[str]) -> float:
    """Return 1.0 where the prediction equals an answer; an empty prediction is right where there are no answers."""
    return float(normalise_answer(predicted) in {normalise_answer(answer) for answer in answers or ("",)})


def compute_f1(predicted: str, *, answers: Sequence[str]) -> float:
    """Return the highest F1 over words with an answer; without answers, 1.0 for an empty prediction, 0.0 otherwise."""
    words = normalise_answer(predicted).split()
    best = 0.0
    for answer in answers or ("",):
        wanted = normalise_answer(answer).split()
        if not words or not wanted:
            best = max(best, float(words == wanted))
            continue
        shared = sum((Counter(words) & Counter(wanted)).values())
        best = max(best, 2 * shared / (len(words) + len(wanted)))
    return best


def compute_auroc(scores: Doubles, labels: NDArray[np.bool_]) -> float:
    """Return the chance that a true case scores above a false one, ties counted half.

    Raises:
        ValueError: one of the classes is empty.
    """
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        raise ValueError(f"{positives} true and {negatives} false cases, need both")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def compute_balanced_accuracy(predicted: NDArray[np.bool_], labels: NDArray[np.bool_]) -> float:
    """Return the mean of the share of true cases and of false cases that are told right.

    Raises:
        ValueError: one of the classes is empty.
    """
    if labels.all() or not labels.any():
        raise ValueError(f"{int(labels.sum())} true and {int((~labels).sum())} false cases, need both")
    return float(((predicted & labels).sum() / labels.sum() + (~predicted & ~labels).sum() / (~labels).sum()) / 2)


def bootstrap(
    n: int, measure: Callable[[NDArray[np.int64]], float], *, resamples: int = 1000, seed: int = 13
) -> Figure:
    """Return the measure of all cases with the 2.5th and 97.5th percentile over resamples of the cases.

    `measure` takes the rows that are drawn. A resample that it refuses with ValueError is left out.

    Raises:
        ValueError: `measure` refuses all cases together.
    """
    rng = np.random.default_rng(seed)
    whole = measure(np.arange(n))
    values = []
    for _ in range(resamples):
        try:
            values.append(measure(rng.integers(0, n, size=n)))
        except ValueError:
            continue
    low, high = np.percentile(values or [whole], [2.5, 97.5])
    return Figure(value=whole, low=float(low), high=float(high), n=n)


def bootstrap_mean(values: Sequence[float] | Doubles) -> Figure:
    """Return the mean with its bootstrap interval."""
    array = np.asarray(values, dtype=np.float64)
    return bootstrap(len(array), lambda rows: float(array[rows].mean()))


def bootstrap_auroc(scores: Sequence[float] | Doubles, labels: Sequence[bool] | NDArray[np.bool_]) -> Figure:
    """Return the area under the ROC curve with its bootstrap interval."""
    array, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.bool_)
    return bootstrap(len(array), lambda rows: compute_auroc(array[rows], truth[rows]), resamples=400)


def fit_logistic(features: Doubles, labels: NDArray[np.bool_], *, penalty: float = 1e-3) -> Doubles:
    """Return (weights, bias last) of a logistic regression by Newton's method; features: (n, dim)."""
    design = np.column_stack([features, np.ones(len(features))])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        probabilities = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (probabilities - labels) / len(design) + penalty * weights
        curvature = (design * (probabilities * (1 - probabilities))[:, None]).T @ design / len(design)
        step = np.linalg.solve(curvature + penalty * np.eye(len(weights)), gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def compute_calibration_error(probabilities: Doubles, labels: NDArray[np.bool_], *, bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal size."""
    order = np.argsort(probabilities)
    parts = np.array_split(order, bins)
    gaps = [
        len(part) * abs(float(probabilities[part].mean()) - float(labels[part].mean())) for part in parts if len(part)
    ]
    return float(sum(gaps) / len(order))
