"""The words that are taken for the answer: by the reading of the passage, of the sentence alone, and in context."""

from __future__ import annotations

import random
import re

import numpy as np

from rag.models.reader import PassageReading
from training.news import NewsArticle, NewsQuestion, is_held_out
from training.pointing import KINDS, Fact, list_held_out_facts, measure_pointing, point

QUOTE = "The ferry left at nine from the old pier."
LEANING = "It was late."
TEXT = f"The harbour is old. {QUOTE} {LEANING}"
ARTICLE = NewsArticle("a01.md", "The harbour", "Post", "2031-01-01", TEXT)


def gold(sentence, *, answer):
    question = NewsQuestion(
        question="When did the ferry leave?", answerable=True, kind="factoid", answers=(answer,),
        quotes=(("a01.md", sentence),),
    )  # fmt: skip
    start = TEXT.index(sentence)
    return Fact(question, ARTICLE, start, start + len(sentence))


class FakeReader:
    """Finds words as likely as it is told, in log-probabilities: in a passage, without the title, and in context."""

    name, revision = "fake", "1"

    def __init__(self, passage, alone, in_context):
        self.passage = passage
        self.alone = alone
        self.in_context = in_context
        self.pages = []

    def read(self, _question, passages):
        self.pages += passages
        return [self._reading(page) for page in passages]

    def _reading(self, page):
        tokens = np.array([word.span() for word in re.compile(r"\w+").finditer(page.text, page.header_size)])
        titled, whole = page.text.startswith(ARTICLE.header), page.header_size == len(ARTICLE.header)
        known = (self.passage if whole else self.in_context) if titled else self.alone
        sure = np.array([known.get(page.text[low:high], -9.0) for low, high in tokens])
        return PassageReading(0.0, sure, sure, tokens)


def test_each_reading_points_by_itself():
    reader = FakeReader({"pier": -1.0}, {"ferry": -1.0}, {"nine": -1.0})
    found = point(reader, gold(QUOTE, answer="nine"), rng=random.Random(1))
    assert found == {"the passage": "pier", "the sentence alone": "ferry", "the sentence in context": "nine"}


def test_a_sentence_that_leans_is_read_behind_the_one_before():
    reader = FakeReader({"late": -1.0}, {"late": -1.0, "nine": -0.1}, {"late": -1.0})
    found = point(reader, gold(LEANING, answer="late"), rng=random.Random(1))
    assert [page.text for page in reader.pages[1:]] == [f"{QUOTE} {LEANING}", f"{ARTICLE.header}{QUOTE} {LEANING}"]
    assert set(found.values()) == {"late"}


def test_a_question_counts_by_its_answers():
    reader = FakeReader({"pier": -1.0}, {"nine": -0.5}, {"nine": -0.5})
    figures = measure_pointing(reader, [gold(QUOTE, answer="nine")])
    assert {name: (one.f1, one.exact) for name, one in figures.items()} == {
        "the passage": ([0.0], [0.0]), "the sentence alone": ([1.0], [1.0]), "the sentence in context": ([1.0], [1.0]),
    }  # fmt: skip


def test_facts_alone_are_asked_that_were_kept_apart():
    facts = list_held_out_facts(50)
    assert len(facts) == 50
    assert all(is_held_out(one.question.article) and one.question.kind in KINDS for one in facts)
    assert all(any(a.casefold() in one.sentence.casefold() for a in one.question.answers) for one in facts)
