from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rag
from training.answerability import Combination, best_threshold
from training.examples import start_before
from training.reference import Logits, Reading
from training.sources import SourcePassage
from training.squad import Answer, Question, measure_answers, sentence_around
from training.tokens import load_tokenizer
from training.twice import in_context, read_twice

PARAGRAPH = SourcePassage(0, "Ferries", "The harbour is old. A ferry leaves at nine. It costs two crowns.")
PLAIN = Combination(weights=(1.0, 0.0, 0.0), bias=0.0, threshold=0.0)


class CountingScorer:
    """Says of a pair how many tokens it has, and points at its last one."""

    def __call__(self, ids, mask, types):  # noqa: ARG002
        length = mask.sum(axis=1)
        ends = np.zeros(ids.shape, dtype=np.float32)
        ends[np.arange(len(ids)), length - 2] = 20.0
        return Logits(length.astype(np.float32), ends, ends, np.zeros((len(ids), 3), dtype=np.float32))


def answer_at(words: str) -> Answer:
    start = PARAGRAPH.text.index(words)
    return Answer(Reading(1.0, -0.5, 2.0, start, start + len(words), (0.0, 0.0, 1.0)), start, start + len(words))


def test_the_second_reading_knows_title_and_sentence_before_and_no_other():
    pair = in_context(Question("When does it leave?", 0, (), ()), PARAGRAPH, answer_at("nine"))
    assert pair.passage == "Ferries. The harbour is old. A ferry leaves at nine."
    assert pair.passage[pair.header_size :] == "A ferry leaves at nine."


def test_the_first_sentence_stands_behind_the_title_alone():
    pair = in_context(Question("What is old?", 0, (), ()), PARAGRAPH, answer_at("harbour"))
    assert pair.passage == "Ferries. The harbour is old."


def test_features_are_those_of_the_window_and_then_of_the_sentence():
    tokenizer = load_tokenizer(Path(rag.__file__).parent / "models" / "weights" / "reader")
    question = Question("What does it cost?", 0, ("two crowns",), (PARAGRAPH.text.index("two"),))
    read = read_twice(
        CountingScorer(), tokenizer=tokenizer, paragraphs=[PARAGRAPH], questions=[question], combination=PLAIN
    )

    def size(text):
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    asked = size("what does it cost?") + 3
    assert read.features.shape == (1, 5)
    assert read.features[0, 0] == asked + size(PARAGRAPH.text)
    assert read.features[0, 3] == asked + size("Ferries. A ferry leaves at nine. It costs two crowns.")


def test_declining_counts_as_right_where_there_is_no_answer():
    answered = Question("When?", 0, ("nine",), (PARAGRAPH.text.index("nine"),))
    near = Question("Where to?", 0, (), ())
    figures = measure_answers(
        [PARAGRAPH],
        [answered, near],
        [answer_at("nine"), answer_at("old")],
        scores=np.array([1.0, -1.0]),
        threshold=0.0,
    )
    assert figures["overall_f1"].value == figures["auroc"].value == figures["sentence_right"].value == 1.0
    lower = measure_answers(
        [PARAGRAPH],
        [answered, near],
        [answer_at("nine"), answer_at("old")],
        scores=np.array([1.0, -1.0]),
        threshold=-2.0,
    )
    assert lower["overall_f1"].value == pytest.approx(0.5)
    assert lower["declined_unanswerable"].value == 0.0


@given(st.integers(0, len(PARAGRAPH.text) - 1))
def test_a_place_lies_in_its_sentence_and_behind_the_one_before(place):
    start, end = sentence_around(PARAGRAPH.text, place)
    assert start <= place <= end
    assert start_before(PARAGRAPH.text, start) <= start


@given(
    st.lists(st.tuples(st.integers(-5, 5), st.booleans(), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=12)
)
def test_no_threshold_is_worth_more_than_the_best(rows):
    # Ties are answered or declined together, which an order among them would hide.
    odds = np.array([odd + i / 100 for i, (odd, _, _) in enumerate(rows)])
    answerable = np.array([flag for _, flag, _ in rows])
    f1 = np.array([value for _, _, value in rows])

    def worth(threshold):
        kept = odds > threshold
        gained = f1[kept & answerable].sum() / max(1, answerable.sum())
        return gained + (~kept & ~answerable).sum() / max(1, (~answerable).sum())

    best = worth(best_threshold(odds, answerable, f1))
    assert best == pytest.approx(max(worth(threshold) for threshold in [*odds, odds.min() - 1]))
