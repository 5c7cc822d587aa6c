from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.figures import Moment, Quantity, figure_key, find_figures


@pytest.mark.parametrize(
    "text", ["first of all, one of them", "thousands of people", "一般的な三菱の一方", "A4 and B2B"]
)
def test_words_that_only_look_like_figures_are_none(text):
    assert find_figures(text) == []


def test_figures_lie_where_they_are_written():
    text = "On Nov. 16 it rose 7.3%."
    assert [text[figure.start : figure.end] for figure in find_figures(text)] == ["Nov. 16", "7.3%"]
    assert find_figures(text)[0] == Moment(None, 11, 16, 3, 10)
    assert find_figures(text)[1] == Quantity(Fraction(73, 10), "%", 19, 23)


@given(st.text("0123456789,. %$年月日万亿千三十一 AJanMayofhalf-/th", max_size=40))
def test_any_text_has_figures_in_order_that_do_not_overlap(text):
    figures = find_figures(text)
    assert all(0 <= figure.start < figure.end <= len(text) for figure in figures)
    assert all(one.end <= other.start for one, other in pairwise(figures))


@given(st.integers(0, 10**13))
def test_a_whole_number_reads_the_same_with_commas_and_without(value):
    assert [figure_key(figure) for figure in find_figures(f"{value:,}")] == [
        figure_key(figure) for figure in find_figures(str(value))
    ]
