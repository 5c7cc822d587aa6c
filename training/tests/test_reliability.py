import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.reliability import (
    best_of,
    compare,
    cross_calibrated,
    draw,
    error_by_chance,
    isotonic,
    measure,
    platt,
    reliability,
    table,
)


def drawn(truth, *, n=600, seed=1):
    """Return confidences, and outcomes whose chance to be right is `truth` of the confidence."""
    rng = np.random.default_rng(seed)
    confidences = rng.uniform(0.02, 0.98, n)
    return confidences, rng.random(n) < truth(confidences)


def test_confidences_that_are_true_have_a_small_error():
    fit = measure(*drawn(lambda confidence: confidence))
    assert fit.calibration_error.value < 0.07
    assert fit.brier.value == pytest.approx(1 / 6, abs=0.02)  # the mean of p (1 - p)


def test_confidences_that_are_too_low_are_mended_by_either_calibration_on_other_questions():
    confidences, right = drawn(np.sqrt)
    fits = compare(confidences, right)
    for name in ("Platt", "isotonic"):
        assert fits[name].calibration_error.value < fits["as they are"].calibration_error.value / 2
    assert best_of({"as they are": fits["as they are"], "none better": fits["as they are"]}) == "as they are"


def test_few_questions_make_an_error_of_true_confidences():
    confidences, _ = drawn(lambda confidence: confidence, n=71)
    few = error_by_chance(confidences)
    many = error_by_chance(np.repeat(confidences, 50))
    assert few[0] < few[1]
    assert few[0] > 0.08
    assert many[1] < 0.04


@pytest.mark.parametrize("calibrate", [platt, isotonic])
def test_a_calibration_keeps_the_order_of_confidences(calibrate):
    confidences, right = drawn(lambda confidence: confidence**2)
    unseen = np.linspace(0, 1, 50)
    found = calibrate(confidences, right, unseen)
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()


def test_no_outcome_has_a_part_in_its_own_confidence():
    confidences, right = drawn(lambda confidence: confidence, n=100)
    seen = []

    def spy(known, _outcomes, unseen):
        seen.append(set(known.tolist()) & set(unseen.tolist()))
        return np.full(len(unseen), 0.5)

    assert (cross_calibrated(confidences, right, calibrate=spy) == 0.5).all()
    assert seen == [set()] * 5


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_bins_hold_every_question_once_and_their_intervals_hold_the_share(cases):
    confidences = np.array([confidence for confidence, _ in cases])
    right = np.array([outcome for _, outcome in cases])
    parts = reliability(confidences, right)
    assert sum(part.n for part in parts) == len(cases)
    assert sum(part.n * part.right for part in parts) == pytest.approx(right.sum())
    assert [part.confidence for part in parts] == sorted(part.confidence for part in parts)
    assert all(-1e-9 <= part.low <= part.right + 1e-9 <= part.high + 2e-9 <= 1 + 3e-9 for part in parts)


def test_wilsons_interval_is_that_of_the_formula():
    (part,) = reliability(np.full(10, 0.8), np.array([True] * 8 + [False] * 2), bins=1)
    assert (part.right, part.low, part.high) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(ValueError, match="2 confidences, 1 outcomes"):
        reliability(np.zeros(2), np.array([True]))


def test_the_table_names_each_set_and_the_diagram_is_the_same_each_time(tmp_path):
    sets = {"own": drawn(lambda confidence: confidence, n=60)}
    text = table(sets)
    assert [line.split(" | ")[1] for line in text.splitlines()[2:5]] == ["as they are", "Platt", "isotonic"]
    assert text.count("| own |") == 3 + 10
    for name in ("one.svg", "other.svg"):
        draw(sets, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()
    assert b"share right" in (tmp_path / "one.svg").read_bytes()
