import numpy as np
import pytest

from training.measures import (
    bootstrap_mean,
    compute_auroc,
    compute_balanced_accuracy,
    compute_calibration_error,
    compute_exact,
    compute_f1,
    fit_logistic,
)


def test_exact_match_ignores_articles_case_and_marks():
    assert compute_exact("The Bridge!", answers=["bridge"]) == 1.0


def test_empty_prediction_is_right_where_there_is_no_answer():
    assert compute_exact("", answers=[]) == compute_f1("", answers=[]) == 1.0
    assert compute_f1("a bridge", answers=[]) == 0.0


def test_f1_is_the_best_over_answers():
    assert compute_f1("john bradfield", answers=["bradfield", "smith"]) == pytest.approx(2 * 1 / (2 + 1))


def test_auroc_counts_ties_half():
    assert compute_auroc(np.array([1.0, 1.0, 0.0]), np.array([True, False, False])) == pytest.approx((0.5 + 1) / 2)


def test_auroc_of_one_class_is_refused():
    with pytest.raises(ValueError, match="2 true and 0 false"):
        compute_auroc(np.array([1.0, 2.0]), np.array([True, True]))


def test_balanced_accuracy_weighs_classes_alike():
    predicted, truth = np.array([True, True, True, False]), np.array([True, False, False, False])
    assert compute_balanced_accuracy(predicted, truth) == pytest.approx((1 + 1 / 3) / 2)


def test_interval_holds_the_mean():
    figure = bootstrap_mean([0.0, 1.0] * 50)
    assert figure.low < figure.value == 0.5 < figure.high
    assert figure.n == 100


def test_logistic_regression_finds_the_odds():
    features = np.array([[0.0]] * 4 + [[1.0]] * 4)
    labels = np.array([True, False, False, False, True, True, True, False])
    weights = fit_logistic(features, labels, penalty=1e-9)
    assert weights[1] == pytest.approx(np.log(1 / 3), abs=1e-3)
    assert weights[0] + weights[1] == pytest.approx(np.log(3), abs=1e-3)


def test_calibration_error_of_right_probabilities_is_zero():
    assert compute_calibration_error(np.array([0.5] * 10), np.array([True, False] * 5), bins=1) == pytest.approx(0.0)
