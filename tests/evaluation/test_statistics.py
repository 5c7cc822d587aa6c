import numpy as np
import pytest

from rag.evaluation.statistics import (
    estimate_mean,
    estimate_statistic,
    holm,
    paired_difference,
    percentile,
    randomisation_test,
    tukey_hsd,
)


def test_a_mean_has_its_number_and_lies_in_its_interval():
    estimate = estimate_mean([0.0, 1.0, 1.0, 0.0, 1.0])
    assert (estimate.mean, estimate.n) == (3 / 5, 5)
    assert 0 <= estimate.low < 3 / 5 < estimate.high <= 1


def test_equal_values_have_no_width():
    estimate = estimate_mean([0.5])
    assert (estimate.low, estimate.high) == (0.5, 0.5)


def test_the_same_values_give_the_same_interval():
    assert estimate_mean([1.0, 2.0, 4.0]) == estimate_mean([1.0, 2.0, 4.0])


def test_no_values_are_no_estimate():
    with pytest.raises(ValueError, match="0 values"):
        estimate_mean([])


@pytest.mark.parametrize(("law", "mean"), [("normal", 0.0), ("exponential", 1.0), ("uniform", 0.5)])
@pytest.mark.parametrize("n", [20, 60])
def test_the_interval_covers_the_mean_at_its_nominal_rate(law, mean, n):
    generator = np.random.default_rng(7)
    trials = 400
    estimates = [estimate_mean(getattr(generator, law)(size=n), seed=trial) for trial in range(trials)]
    covered = sum(estimate.low <= mean <= estimate.high for estimate in estimates) / trials
    # Three standard errors of a share of 400, and two points that the bootstrap itself may be off on skewed laws.
    assert abs(covered - 0.95) < 3 * np.sqrt(0.95 * 0.05 / trials) + 0.02


def test_the_interval_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(3).exponential(size=400)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=9_999, rng=np.random.default_rng(0)).confidence_interval
    ours = estimate_mean(values)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.012)


def test_the_randomisation_test_tries_every_pattern_of_few_differences():
    # Of the 8 patterns of signs, all plus and all minus reach the sum of 6.
    assert randomisation_test([1.0, 2.0, 3.0]) == 2 / 8


def test_pairs_that_do_not_differ_do_not_count():
    assert randomisation_test([1.0, 2.0, 3.0, 0.0, 0.0]) == randomisation_test([1.0, 2.0, 3.0])
    assert randomisation_test([0.0, 0.0]) == 1.0


def test_many_differences_are_sampled_near_the_exact_value(monkeypatch):
    differences = [0.3, -0.1, 0.2, 0.4, -0.2, 0.1, 0.5, -0.3, 0.2, 0.1]
    exact = randomisation_test(differences)
    monkeypatch.setattr("rag.evaluation.statistics.EXACT_DIFFERENCES", 5)
    assert randomisation_test(differences) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("n", [10, 40])
def test_the_randomisation_test_has_its_size_under_the_null(n, monkeypatch):
    monkeypatch.setattr("rag.evaluation.statistics.FLIPS", 999)
    generator = np.random.default_rng(11)
    trials = 600
    rejected = sum(randomisation_test(generator.normal(size=n), seed=trial) <= 0.05 for trial in range(trials)) / trials
    assert abs(rejected - 0.05) < 3 * np.sqrt(0.05 * 0.95 / trials)


def test_a_difference_is_the_others_less_the_ones():
    difference = paired_difference([0.0, 0.0, 1.0], [1.0, 1.0, 1.0])
    assert (difference.mean, difference.n, difference.p) == (pytest.approx(2 / 3), 3, 2 / 4)


def test_pairs_need_equal_numbers():
    with pytest.raises(ValueError, match="2 and 1"):
        paired_difference([0.0, 1.0], [1.0])


def test_holm_multiplies_the_smallest_by_all_the_next_by_one_less_and_never_falls():
    # .01·4, .03·3, .04·2 → the running maximum .09, .20·1
    assert holm([0.03, 0.01, 0.20, 0.04]) == pytest.approx([0.09, 0.04, 0.20, 0.09])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_statistic_is_that_of_all_rows_with_the_spread_of_resampled_ones():
    values = np.arange(50.0)
    estimate = estimate_statistic(lambda rows: float(np.median(values[rows])), 50)
    assert estimate.mean == 24.5
    assert 10 < estimate.low < 24.5 < estimate.high < 40


def test_a_percentile_lies_between_its_neighbours():
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.5


def test_two_systems_differ_after_tukey_as_in_the_randomisation_test():
    one, other = np.random.default_rng(3).normal([[0.0], [0.4]], 1.0, size=(2, 30))
    chances = tukey_hsd([one, other], draws=20_000)
    assert chances[0, 1] == chances[1, 0] == pytest.approx(randomisation_test(other - one), abs=0.01)
    assert chances[0, 0] == 1


def test_among_equal_systems_the_best_is_seldom_told_from_another():
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(100):
        scores = rng.normal(size=(8, 25))
        chances = tukey_hsd(scores, draws=200)
        alarms += chances[scores.mean(axis=1).argmax()].min() < 0.05
    assert alarms <= 11  # .05 of 100, and 2.8 standard deviations more


def test_systems_need_values_for_the_same_questions():
    with pytest.raises(ValueError, match=r"inhomogeneous|no values"):
        tukey_hsd([[1.0, 0.0], [1.0]])
