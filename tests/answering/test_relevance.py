"""A claim answers when the reader takes it for an answer about as surely as the sentence that would be quoted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.relevance import _BEHIND, Relevance
from rag.models.reader import SHIPPED, PassageReading, Reader

QUOTE = "Beijing imposed a blanket ban on all seafood from Japan in late August."


class Scored:
    """A reader that has a logit for each text, and counts what it reads."""

    def __init__(self, logits):
        self.logits, self.read_texts = logits, []

    def read(self, _question, pages):
        self.read_texts += [page.text for page in pages]
        none = np.zeros(0, np.float32)
        return [PassageReading(self.logits[page.text], none, none, np.zeros((0, 2), np.int64)) for page in pages]


@given(st.floats(-10, 10), st.floats(-10, 10))
def test_the_bar_is_the_quotes_own(claim, quote):
    answers = Relevance(Scored({"claim": claim, "quote": quote}), "Who?", quoted="quote")
    assert answers("claim") == (claim >= quote - _BEHIND)


def test_the_quote_is_read_once_and_every_text_by_itself():
    reader = Scored({"quote": 0.0, "one": 0.0, "two": -9.0})
    answers = Relevance(reader, "Who?", quoted="quote")
    assert [answers("one"), answers("two"), answers("quote")] == [True, False, True]
    assert sorted(reader.read_texts) == ["one", "quote", "quote", "two"]


def test_what_the_reader_does_not_know_is_let_be():
    answers = Relevance(Scored({}), "中国为什么禁止日本水产品？", quoted="quote")
    assert answers("anything")
    assert Relevance(Scored({}), "Why?", quoted="quote")("中国禁止进口。")


@pytest.mark.skipif(not (SHIPPED / "model.onnx").exists(), reason="the reader is not installed")
@pytest.mark.parametrize(
    ("question", "claim", "answering"),
    [
        ("When did Beijing ban Japanese seafood?", "Beijing banned all seafood from Japan in late August.", True),
        ("When did Beijing ban Japanese seafood?", "The two leaders met in San Francisco.", False),
        ("Who imposed a ban on seafood?", "Beijing imposed the seafood ban.", True),
        ("Who imposed a ban on seafood?", "Tokyo had decided that treated water would be released.", False),
    ],
)
def test_the_shipped_reader_tells_an_answer_from_what_is_beside_the_point(question, claim, answering):
    assert Relevance(Reader(SHIPPED), question, quoted=QUOTE)(claim) == answering
