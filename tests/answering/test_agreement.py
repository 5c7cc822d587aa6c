import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.agreement import Issued, missing_figures


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.3 million tons", "1,300,000 tonnes"),
        ("Nov. 16", "November 16"),
        ("16 November", "November 16th"),
        ("Nov. 16, 2023", "2023-11-16"),
        ("16 November 2023", "2023年11月16日"),
        ("7.3 percent", "7.3%"),
        ("7.3％", "7.3 per cent"),
        ("$318 billion", "318 billion US dollars"),
        ("two-thirds", "2/3"),
        ("twenty-one people", "21 people"),
        ("a hundred and five", "105"),
        ("130万吨", "1,300,000 tons"),
        ("3億5千万円", "350 million yen"),
        ("百分之七点三", "7.3%"),
        ("3割", "30%"),
        ("三分之二", "two thirds"),
        ("十一月十六日", "Nov. 16"),
        ("１２３人", "123"),
        ("the 21st century", "the twenty-first century"),
        ("half of them", "1/2"),
    ],
)
def test_ways_to_write_a_figure_are_one(one, other):
    assert missing_figures(one, other) == []
    assert missing_figures(other, one) == []


@pytest.mark.parametrize(
    ("claim", "evidence", "missing"),
    [
        ("It cost 12 dollars.", "It cost 13 dollars.", ["12 dollars"]),
        ("1.3 billion tons", "1.3 million tons", ["1.3 billion tons"]),
        ("50 km", "50 miles", ["50 km"]),
        ("7%", "7 people", ["7%"]),
        ("7 people", "7%", ["7"]),
        ("November 16", "November 17", ["November 16"]),
        ("November 16, 2022", "November 16, 2023", ["November 16, 2022"]),
        ("in 1994", "in 1995", ["1994"]),
        ("the 1990s", "in 1990", ["1990s"]),
        ("the third time", "three times", ["third"]),
        ("130万吨", "130亿吨", ["130万吨"]),
        ("第二次", "第三次", ["第二"]),
    ],
)
def test_figures_that_differ_are_missing(claim, evidence, missing):
    assert missing_figures(claim, evidence) == missing


@pytest.mark.parametrize(
    ("claim", "evidence", "published", "there"),
    [
        ("in August 2023", "in late August", "2023-11-17", True),
        ("in December 2023", "in December", "2023-11-17", False),  # the article cannot look ahead
        ("in August 2023", "in late August", "2023", False),
        ("in 2022", "last year", "2023-11-17", True),
        ("in 2023", "last year", "2023-11-17", False),
        ("in 2023", "it rained", "2023-11-17", False),
    ],
)
def test_the_articles_date_stands_for_a_year_only_where_it_must_be_meant(claim, evidence, published, there):
    assert (missing_figures(claim, evidence, issued=Issued.of(published)) == []) == there


@pytest.mark.parametrize(
    ("claim", "there"),
    [("about 1.3 million", True), ("1.3 million", False), ("more than 1.3 million", True), ("over 1.4 million", False)],
)
def test_a_rounded_number_says_that_it_is_rounded(claim, there):
    assert (missing_figures(claim, "1,304,112 people") == []) == there


def test_a_fraction_without_an_end_is_no_rounding():
    assert missing_figures("about two-thirds", "0.66 of it") == ["two-thirds"]


@given(st.text("0123456789,. %$年月日万亿千三十一 AJanMayofhalf-/th", max_size=40))
def test_any_text_bears_out_its_own_figures(text):
    assert missing_figures(text, text) == []
