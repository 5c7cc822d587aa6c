from hypothesis import given
from hypothesis import strategies as st

from rag.index.coverage import find_uncovered
from rag.records import Article, Passage, Span


def uncovered(text, *, passages, furniture=()):
    article = Article("x", "x", text, "t", furniture=tuple(Span(*span) for span in furniture))
    return find_uncovered(article, [Passage("x", number, *span, ()) for number, span in enumerate(passages)])


def test_passages_and_furniture_that_meet_leave_nothing():
    assert uncovered("One. Menu Two.", passages=[(0, 4), (10, 14)], furniture=[(5, 9)]) == []


def test_what_is_in_no_passage_is_named():
    assert uncovered("One. Two. Three.", passages=[(0, 4), (10, 16)]) == [Span(4, 10)]


def test_an_article_without_passages_is_missed_whole():
    assert uncovered("One.", passages=[]) == [Span(0, 4)]


spans = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted), max_size=6)


@given(text=st.text("ab \n", max_size=30), passages=spans, furniture=spans)
def test_the_audit_is_that_of_every_single_character(text, passages, furniture):
    passages = [(start, min(end, len(text))) for start, end in passages if start < min(end, len(text))]
    furniture = [(start, min(end, len(text))) for start, end in furniture if start <= min(end, len(text))]
    covered = {place for start, end in [*passages, *furniture] for place in range(start, end)}
    missed = {place for place in range(len(text)) if place not in covered and not text[place].isspace()}
    found = uncovered(text, passages=passages, furniture=sorted(furniture))
    assert missed <= {place for span in found for place in range(span.start, span.end)}
    assert bool(missed) == bool(found)
