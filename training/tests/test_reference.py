import numpy as np
import pytest

from training.reference import find_best_span, take_log_softmax


def make_logits(*, size: int, peaks: dict[int, float]) -> np.ndarray:
    logits = np.zeros(size, dtype=np.float32)
    for position, value in peaks.items():
        logits[position] = value
    return logits


def test_best_span_joins_the_best_start_and_end():
    span = find_best_span(make_logits(size=10, peaks={4: 9.0}), make_logits(size=10, peaks={6: 9.0}), begin=2, stop=9)
    assert (span.first, span.last) == (4, 6)


def test_best_span_never_ends_before_it_starts():
    span = find_best_span(make_logits(size=10, peaks={6: 9.0}), make_logits(size=10, peaks={3: 9.0}), begin=0, stop=10)
    assert span.first <= span.last


def test_best_span_stays_within_the_range():
    span = find_best_span(
        make_logits(size=10, peaks={1: 50.0, 5: 1.0}), make_logits(size=10, peaks={1: 50.0, 5: 1.0}), begin=2, stop=9
    )
    assert (span.first, span.last) == (5, 5)


def test_best_span_has_at_most_so_many_tokens():
    span = find_best_span(
        make_logits(size=60, peaks={2: 9.0}), make_logits(size=60, peaks={50: 9.0}), begin=0, stop=60, max_tokens=30
    )
    assert span.last - span.first < 30


def test_span_score_is_a_log_probability():
    span = find_best_span(np.zeros(4, dtype=np.float32), np.zeros(4, dtype=np.float32), begin=0, stop=4)
    assert span.score == pytest.approx(2 * np.log(1 / 4))
    assert span.margin == pytest.approx(0.0)


def test_empty_range_is_refused():
    with pytest.raises(ValueError, match="between 3 and 3"):
        find_best_span(np.zeros(4, dtype=np.float32), np.zeros(4, dtype=np.float32), begin=3, stop=3)


def test_log_softmax_sums_to_one():
    assert np.exp(take_log_softmax(np.array([[1.0, 2.0, 3.0]], dtype=np.float32))).sum() == pytest.approx(1.0)
