"""The words that are taken for the answer: by the passage's reading, by the sentence's own, and by both."""

from __future__ import annotations

import random
import re

import numpy as np

from rag.models.reader import PassageReading
from training.news import NewsArticle, NewsQuestion, is_held_out, stands_alone
from training.pointing import KINDS, held_out_facts, measure_pointing, point_at

QUOTE = "The ferry left at nine from the old pier."
ARTICLE = NewsArticle("a01.md", "The harbour", "Post", "2031-01-01", f"The harbour is old. {QUOTE} It was late.")
QUESTION = NewsQuestion(
    question="When did the ferry leave?", answerable=True, kind="factoid", answers=("nine",),
    quotes=(("a01.md", QUOTE),),
)  # fmt: skip


class Fake:
    """Reads words: in a passage `first` is likeliest, in a sentence alone `second`, by these log-probabilities."""

    def __init__(self, passage, alone):
        self.scores = {True: passage, False: alone}

    def read(self, _question, passages):
        return [self._reading(page) for page in passages]

    def _reading(self, page):
        tokens = np.array([word.span() for word in re.compile(r"\w+").finditer(page.text, page.header_size)])
        known = self.scores[page.text != QUOTE]
        sure = np.array([known.get(page.text[low:high], -9.0) for low, high in tokens])
        return PassageReading(0.0, sure, sure, tokens)


def test_both_readings_are_weighed_together():
    reader = Fake({"pier": -1.0, "nine": -1.5}, {"ferry": -1.0, "nine": -1.5})
    found = point_at(reader, QUESTION, article=ARTICLE, rng=random.Random(1))
    assert found == {"passage": "pier", "sentence alone": "ferry", "both": "nine"}


def test_a_question_counts_by_its_answers():
    reader = Fake({"pier": -1.0}, {"nine": -0.5})
    figures = measure_pointing(reader, articles={"a01.md": ARTICLE}, questions=[QUESTION])
    assert figures == {"passage": ([0.0], [0.0]), "sentence alone": ([1.0], [1.0]), "both": ([1.0], [1.0])}


def test_facts_alone_are_asked_that_were_kept_apart():
    articles, questions = held_out_facts(50)
    assert len(questions) == 50
    assert all(is_held_out(one.article) and one.answerable and one.kind in KINDS for one in questions)
    assert {one.article for one in questions} <= set(articles)
    assert any(stands_alone(one.article) for one in questions)
