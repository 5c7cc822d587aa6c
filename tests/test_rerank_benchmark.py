"""The benchmark of ranking anew: how a mixture orders, and that no question chooses its own weight."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rerank import COUNTS, WEIGHTS, Read, conclude, gain, reranked


def read(name, logits, *, fused=None, articles="abcdef"):
    """Return a question whose passages are all of articles of their own."""
    scores = fused or [1 - place / 10 for place in range(len(articles))]
    by_count = {count: tuple(logits[:count]) for count in COUNTS}
    return Read(name, tuple(articles), tuple(scores), by_count, dict.fromkeys(COUNTS, 1.0))


def names(ranking):
    return "".join(article for article, _ in ranking)


def test_without_weight_the_fusion_stands_and_with_all_of_it_the_reader_decides():
    one = read("q", [0.0, 5.0, 1.0, 2.0, 3.0, 9.0])
    assert names(reranked(one, count=5, weight=0.0)) == "abcdef"
    assert names(reranked(one, count=5, weight=1.0)) == "bedcaf"


def test_what_was_not_read_stays_below():
    one = read("q", [-9.0] * 5 + [9.0])
    assert names(reranked(one, count=5, weight=1.0)) == "abcdef"


@given(st.lists(st.floats(-9, 9), min_size=6, max_size=6), st.sampled_from(WEIGHTS), st.sampled_from(COUNTS))
def test_each_passage_is_ranked_once_by_falling_score(logits, weight, count):
    ranking = reranked(read("q", logits), count=count, weight=weight)
    assert sorted(names(ranking)) == list("abcdef")
    assert [score for _, score in ranking] == sorted((score for _, score in ranking), reverse=True)


def test_a_reader_that_knows_gains_and_one_that_does_not_is_given_no_weight():
    reads = [read(f"q{number}", [0.0, 0.0, 9.0, 0.0, 0.0, 0.0]) for number in range(40)]
    knows = gain(reads, {one.id: {"c": 1} for one in reads}, count=5)
    assert knows.reranked.mean == 1.0
    assert knows.difference.mean == pytest.approx(1 - knows.fusion.mean)
    assert min(knows.weights) > 0
    misled = gain(reads, {one.id: {"a": 1} for one in reads}, count=5)
    assert (misled.weights, misled.difference.mean) == ((0.0, 0.0), 0.0)


def test_a_half_is_counted_under_the_weight_of_the_other():
    reads = [read(f"q{number}", [0.0, 9.0, 0.0, 0.0, 0.0, 0.0]) for number in range(40)]
    first = gain(reads[:1], {reads[0].id: {"b": 1}}, count=5)
    assert first.difference.mean == 0.0  # with nobody else to choose, the fusion stands


def test_the_conclusion_names_the_sets_where_it_helps_and_where_it_does_not():
    reads = [read(f"q{number}", [0.0, 0.0, 9.0, 0.0, 0.0, 0.0]) for number in range(40)]
    helps = gain(reads, {one.id: {"c": 1} for one in reads}, count=5)
    same = gain(reads, {one.id: {"a": 1} for one in reads}, count=5)
    assert conclude({"one": [same, helps], "other": [same]}) == "better: one; worse: none; not told apart: other"
