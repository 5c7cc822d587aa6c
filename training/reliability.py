"""Whether confidences are what they claim: a table, a diagram, and which calibration fits best.

`training.answerer` knows for every question of its sets how confident the answer was, and whether its first sentence is
right. `compare` tells by cross-validation whether the logistic model alone, Platt's scaling or isotonic regression on
top of it comes nearest, and `table` and `draw` show it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from training.measures import Doubles, Figure, bootstrap, compute_calibration_error

Truth = NDArray[np.bool_]
Calibrate = Callable[[Doubles, Truth, Doubles], Doubles]
BINS = 10
FOLDS = 5
_EDGE = 1e-6


@dataclass(frozen=True, slots=True)
class Bin:
    """Questions of like confidence: how many, their mean confidence, and how many were right, with its interval."""

    n: int
    confidence: float
    right: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Fit:
    """How far confidences are from the truth: expected calibration error and Brier score, lower is better."""

    calibration_error: Figure
    brier: Figure


def reliability(confidences: Doubles, right: Truth, *, bins: int = BINS) -> list[Bin]:
    """Return bins of equally many questions, least confident first, with Wilson's 95 % interval of the share right.

    Raises:
        ValueError: there are no questions, or not one outcome for each confidence.
    """
    if not len(confidences) or len(confidences) != len(right):
        raise ValueError(f"{len(confidences)} confidences, {len(right)} outcomes")
    parts = np.array_split(np.argsort(confidences, kind="stable"), min(bins, len(confidences)))
    return [_bin(confidences[part], right[part]) for part in parts]


def measure(confidences: Doubles, right: Truth) -> Fit:
    """Return both measures with 95 % intervals over the questions."""
    truth = right.astype(np.float64)
    return Fit(
        calibration_error=bootstrap(
            len(right), lambda rows: compute_calibration_error(confidences[rows], right[rows], bins=BINS)
        ),
        brier=bootstrap(len(right), lambda rows: float(np.mean((confidences[rows] - truth[rows]) ** 2))),
    )


def error_by_chance(confidences: Doubles, *, draws: int = 400, seed: int = 13) -> tuple[float, float]:
    """Return the mean ECE, and its 97.5th percentile, if every confidence were true: what few questions make of chance.

    With seven questions a bin, shares are far from confidences even then; an ECE below the second says nothing.
    """
    rng = np.random.default_rng(seed)
    errors = [
        compute_calibration_error(confidences, rng.random(len(confidences)) < confidences, bins=BINS)
        for _ in range(draws)
    ]
    return float(np.mean(errors)), float(np.percentile(errors, 97.5))


def platt(confidences: Doubles, right: Truth, unseen: Doubles) -> Doubles:
    """Return unseen confidences by a logistic model of the log-odds of those that are known."""
    model = LogisticRegression(C=1e3, max_iter=5000).fit(_log_odds(confidences), right)
    result: Doubles = model.predict_proba(_log_odds(unseen))[:, 1]
    return result


def isotonic(confidences: Doubles, right: Truth, unseen: Doubles) -> Doubles:
    """Return unseen confidences by the rising step function that fits those that are known best."""
    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(confidences, right.astype(np.float64))
    result: Doubles = model.predict(unseen)
    return result


def cross_calibrated(
    confidences: Doubles, right: Truth, *, calibrate: Calibrate, folds: int = FOLDS, seed: int = 13
) -> Doubles:
    """Return every confidence as calibrated on the other folds; a fold holds right and wrong answers in proportion."""
    assigned = np.empty(len(right), dtype=np.int64)
    rng = np.random.default_rng(seed)
    for outcome in (True, False):
        rows = rng.permutation(np.flatnonzero(right == outcome))
        assigned[rows] = np.arange(len(rows)) % folds
    found = np.array(confidences, dtype=np.float64)
    for fold in range(folds):
        held, known = assigned == fold, assigned != fold
        if held.any() and len(set(right[known].tolist())) > 1:
            found[held] = calibrate(confidences[known], right[known], confidences[held])
    return found


def compare(confidences: Doubles, right: Truth) -> dict[str, Fit]:
    """Return how the confidences fit as they are, and under each calibration when it is fitted to other questions."""
    methods: Mapping[str, Calibrate] = {"Platt": platt, "isotonic": isotonic}
    found = {"as they are": measure(confidences, right)}
    for name, calibrate in methods.items():
        found[name] = measure(cross_calibrated(confidences, right, calibrate=calibrate), right)
    return found


def best_of(fits: Mapping[str, Fit]) -> str:
    """Return the calibration with the lowest Brier score, unless doing without is as good within its interval."""
    best = min(fits, key=lambda name: fits[name].brier.value)
    plain = next(iter(fits))
    return best if fits[best].brier.high < fits[plain].brier.value else plain


def table(sets: Mapping[str, tuple[Doubles, Truth]]) -> str:
    """Return as Markdown, for each set, the fit of each calibration and the bins of the confidences as they are."""
    lines = ["| set | calibration | n | ECE | by chance alone | Brier |", "|---|---|---|---|---|---|"]
    for name, (confidences, right) in sets.items():
        mean, most = error_by_chance(confidences)
        for method, fit in compare(confidences, right).items():
            error, brier = _shown(fit.calibration_error), _shown(fit.brier)
            lines.append(f"| {name} | {method} | {len(right)} | {error} | {mean:.3f}, at most {most:.3f} | {brier} |")
    lines += ["", "| set | confidence | right | n |", "|---|---|---|---|"]
    for name, (confidences, right) in sets.items():
        for part in reliability(confidences, right):
            share = f"{part.right:.2f} ({part.low:.2f}–{part.high:.2f})"
            lines.append(f"| {name} | {part.confidence:.2f} | {share} | {part.n} |")
    return "\n".join(lines)


def draw(sets: Mapping[str, tuple[Doubles, Truth]], path: Path) -> None:
    """Write the reliability diagram as SVG: for each set, the share right against the confidence, by bins."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Chart

    # The same file for the same figures: no date, and ids that are not drawn by chance.
    with rc_context({"svg.hashsalt": "reliability", "svg.fonttype": "none"}):
        chart = Chart(figsize=(5, 5), layout="constrained")
        axes = chart.add_subplot()
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--")
        for name, (confidences, right) in sets.items():
            parts = reliability(confidences, right)
            shares = np.array([part.right for part in parts])
            spread = np.array([[p.right - p.low for p in parts], [p.high - p.right for p in parts]]).clip(min=0)
            axes.errorbar([p.confidence for p in parts], shares, yerr=spread, marker="o", capsize=2, label=name)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share right (95 %)")
        axes.legend(loc="upper left", frameon=False)
        chart.savefig(path, format="svg", metadata={"Date": None})


def _bin(confidences: Doubles, right: Truth) -> Bin:
    n, share, z = len(right), float(right.mean()), 1.959964
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return Bin(n, float(confidences.mean()), share, max(0.0, middle - half), min(1.0, middle + half))


def _log_odds(confidences: Doubles) -> Doubles:
    clipped = np.clip(confidences, _EDGE, 1 - _EDGE)
    result: Doubles = np.log(clipped / (1 - clipped))[:, None]
    return result


def _shown(figure: Figure) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f}–{figure.high:.3f})"
