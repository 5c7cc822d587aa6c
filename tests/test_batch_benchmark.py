"""The benchmark of question sets: what it tells of the times."""

import pytest

from benchmarks.batch import cost


def test_the_cost_is_the_median_with_an_interval_that_holds_it():
    found = cost(batch_s=0.1, cold=[0.4, 0.5, 0.6, 0.5, 3.0])
    assert found.cold_s == 0.5
    assert 0.4 <= found.low_s <= 0.5 <= found.high_s <= 3.0
    assert "5.0 times as much" in str(found)


def test_times_that_are_all_alike_have_an_interval_without_width():
    found = cost(batch_s=0.25, cold=[0.5] * 8)
    assert (found.low_s, found.high_s, found.n) == pytest.approx((0.5, 0.5, 8))
