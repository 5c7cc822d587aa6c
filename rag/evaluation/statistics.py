"""How sure a number is: bootstrap intervals, paired differences, randomisation tests, Holm's correction.

Everything random is seeded, so that the same values give the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
FLIPS = 10_000
LEVEL = 0.95
# 2**14 sign patterns are about as many as are drawn at random above this number of differences.
EXACT_DIFFERENCES = 14
_CELLS = 1 << 22  # of a block of resamples in memory
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `n` questions and its 95 % interval; one question has no interval but the number itself."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean of paired differences with its interval, and how probable one as large is by chance."""

    mean: float
    low: float
    high: float
    n: int
    p: float


def estimate_mean(values: Sequence[float], *, level: float = LEVEL, seed: int = 0) -> Estimate:
    """Return a mean with its bias-corrected and accelerated bootstrap interval.

    The acceleration is the jackknife's; resamples that equal the mean count half. Efron, "Better Bootstrap Confidence
    Intervals", JASA 1987, doi:10.1080/01621459.1987.10478410. The interval is widened as far as Student's distribution
    asks of a small sample (Hesterberg, The American Statistician 2015, doi:10.1080/00031305.2015.1089789).

    Raises:
        ValueError: there are no values.
    """
    sample = _sample(values)
    mean = float(sample.mean())
    if np.ptp(sample) == 0:
        return Estimate(mean, mean, mean, len(sample))
    means = np.sort(_resampled_means(sample, seed=seed))
    slack = 1e-12 * max(1.0, abs(mean))
    below = (np.sum(means < mean - slack) + np.sum(means <= mean + slack)) / 2 / len(means)
    bias = _NORMAL.inv_cdf(float(np.clip(below, 1 / len(means), 1 - 1 / len(means))))
    acceleration = _acceleration(sample)
    tail = _student((1 + level) / 2, len(sample) - 1) * math.sqrt(len(sample) / (len(sample) - 1))
    ends = [_corrected(quantile, bias, acceleration) for quantile in (-tail, tail)]
    low, high = np.quantile(means, ends)
    return Estimate(mean, float(low), float(high), len(sample))


def estimate_statistic(
    statistic: Callable[[NDArray[np.int64]], float],
    n: int,
    *,
    resamples: int = 500,
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """Return a number that is no mean, as a function of the rows it is taken over, with its percentile interval.

    Raises:
        ValueError: there are no rows.
    """
    if n < 1:
        raise ValueError(f"nothing to estimate from: there are {n} rows")
    generator = np.random.default_rng(seed)
    values = [statistic(generator.integers(0, n, n)) for _ in range(resamples)]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(statistic(np.arange(n)), float(low), float(high), n)


def paired_difference(one: Sequence[float], other: Sequence[float], *, seed: int = 0) -> Difference:
    """Return `other - one` for values paired by their places: the mean, its interval, and the randomisation test's p.

    Raises:
        ValueError: there are no pairs, or one sequence is longer.
    """
    if len(one) != len(other):
        raise ValueError(f"paired values need equal numbers, got {len(one)} and {len(other)}")
    differences = _sample(other) - _sample(one)
    about = estimate_mean([float(value) for value in differences], seed=seed)
    return Difference(about.mean, about.low, about.high, about.n, randomisation_test(differences, seed=seed))


def randomisation_test(differences: Sequence[float] | NDArray[np.float64], *, seed: int = 0) -> float:
    """Return how probable a mean difference at least this large is, if each pair might as well be swapped (two-sided).

    All sign patterns are tried for at most `EXACT_DIFFERENCES` differences other than 0, else `FLIPS` random ones, of
    which the observed one is counted as one more (Phipson and Smyth, 2010, doi:10.2202/1544-6115.1585). Smucker, Allan
    and Carterette, "A Comparison of Statistical Significance Tests for Information Retrieval Evaluation", CIKM 2007,
    doi:10.1145/1321440.1321528.
    """
    moved = np.asarray(differences, dtype=np.float64)
    moved = moved[moved != 0]
    if len(moved) == 0:
        return 1.0
    # Sums that differ by rounding alone are the same sum.
    bar = abs(float(moved.sum())) - 1e-9 * float(np.abs(moved).sum())
    if len(moved) <= EXACT_DIFFERENCES:
        patterns = np.arange(1 << len(moved))[:, None] >> np.arange(len(moved)) & 1
        return float(np.mean(np.abs((1.0 - 2.0 * patterns) @ moved) >= bar))
    generator = np.random.default_rng(seed)
    reached = 0
    for size in _blocks(FLIPS, len(moved)):
        signs = 1.0 - 2.0 * generator.integers(0, 2, (size, len(moved)), dtype=np.int8)
        reached += int(np.sum(np.abs(signs @ moved) >= bar))
    return (reached + 1) / (FLIPS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number, in the order given: the chance of one false alarm stays the level.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 1979.
    """
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for step, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (len(p_values) - step) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def tukey_hsd(scores: Sequence[Sequence[float]], *, draws: int = RESAMPLES, seed: int = 0) -> NDArray[np.float64]:
    """Return for every two systems how probable it is that somewhere among all a mean difference is as large, (k, k).

    `scores` (k, n) are the systems' values question by question. If no system differs, each question's values might
    as well be any system's: they are dealt out at random, and the widest difference that comes of it is what the
    observed ones are held against, so the best may be chosen on the same questions. The randomised Tukey HSD of
    Carterette, "Multiple Testing in Statistical Analysis of Systems-Based Information Retrieval Experiments", TOIS
    2012, doi:10.1145/2094072.2094076; the observed values count as one draw more.

    Raises:
        ValueError: there are no values, or not as many for one system as for another.
    """
    values = np.array([_sample(row) for row in scores])
    means = values.mean(axis=1)
    differences = np.abs(means[:, None] - means[None, :]) - 1e-12
    generator = np.random.default_rng(seed)
    widest = np.array([np.ptp(generator.permuted(values, axis=0).mean(axis=1)) for _ in range(draws)])
    reached: NDArray[np.float64] = (widest[:, None, None] >= differences).sum(axis=0)
    return (reached + 1) / (draws + 1)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies, in between two values by their distance."""
    return float(np.quantile(_sample(values), share))


def _sample(values: Sequence[float]) -> NDArray[np.float64]:
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) == 0:
        raise ValueError("nothing to estimate from: there are 0 values")
    return sample


def _resampled_means(sample: NDArray[np.float64], *, seed: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    n = len(sample)
    blocks = [sample[generator.integers(0, n, (size, n))].mean(axis=1) for size in _blocks(RESAMPLES, n)]
    return np.concatenate(blocks)


def _blocks(rows: int, columns: int) -> Iterator[int]:
    """Yield how many of the rows fit into memory at a time."""
    most = max(1, _CELLS // columns)
    while rows > 0:
        yield min(rows, most)
        rows -= most


def _acceleration(sample: NDArray[np.float64]) -> float:
    # The jackknife's mean without x is off by (mean - x) / (n - 1); the factor cancels.
    apart = sample - sample.mean()
    return float(np.sum(apart**3) / (6 * np.sum(apart**2) ** 1.5))


def _student(share: float, freedom: int) -> float:
    """Return a quantile of Student's distribution by its expansion around the normal one (Abramowitz-Stegun 26.7.5)."""
    z = _NORMAL.inv_cdf(share)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def _corrected(quantile: float, bias: float, acceleration: float) -> float:
    shifted = bias + quantile
    return _NORMAL.cdf(bias + shifted / (1 - acceleration * shifted))
