"""The benchmark of the check: its tables stand on samples of any size."""

import pytest

from benchmarks import checker
from training.checker import Case


def outcome(number, *, true):
    case = Case("a claim", (), true=true, origin="wice")
    return checker.Outcome(case, kept=true, support=number / 10, by_rules=True, reader=0.5, cosine=number / 20)


@pytest.mark.parametrize(("n", "kinds"), [(1, 1), (1, 2), (2, 2), (4, 2), (5, 1), (8, 2)])
def test_a_sample_that_is_too_small_for_a_measure_says_so(n, kinds):
    text = checker.wice_table([outcome(number, true=number % kinds == 0) for number in range(n)])
    assert text.count(f"| {n} |") == 3
    assert "nan" not in text
    assert ("too few" in text) is (kinds == 1 or n <= 2)


def test_a_sample_with_enough_of_both_kinds_is_measured():
    outcomes = [outcome(number, true=number >= 10) for number in range(20)]
    assert "| the check | 20 | 1.000 (1.000–1.000) | 0.950 (" in checker.wice_table(outcomes)


def test_claims_made_untrue_are_counted_where_there_are_none_of_a_kind():
    case = Case("a claim", (), origin="true, whole", true=True)
    tables = checker.made_tables([checker.Outcome(case, kept=True, support=1.0, by_rules=True, reader=1, cosine=1)])
    assert "| whole | 1 | 100.0 (" in tables[1]
    assert tables[2].count("too few") == 3
