import json
import random
from collections import Counter

import pytest

from training.news import ENTRIES, NewsArticle, is_held_out, make_news_examples, read_news
from training.nonfactoid import read_nonfactoid


@pytest.fixture(scope="module")
def articles() -> dict[str, NewsArticle]:
    return read_news()[0] | read_news(ENTRIES)[0]


def test_every_gold_sentence_stands_once_in_its_article(articles):
    for question in read_nonfactoid():
        for name, quote in question.quotes:
            assert articles[name].text.count(quote) == 1, (question.question, quote)


def test_what_can_be_answered_has_gold_and_the_rest_has_none():
    questions = read_nonfactoid()
    assert all(question.answerable == bool(question.quotes) for question in questions)
    unanswerable = sum(not question.answerable for question in questions)
    assert 0.15 < unanswerable / len(questions) < 0.3


def test_each_question_is_written_once_for_a_report_there_is(articles):
    questions = read_nonfactoid()
    assert all(question.article in articles for question in questions)
    assert max(Counter(question.question for question in questions).values()) == 1


def test_both_shares_have_questions_of_both_kinds():
    halves = Counter((is_held_out(question.article), question.answerable) for question in read_nonfactoid())
    assert min(halves[held, answerable] for held in (True, False) for answerable in (True, False)) > 20


def test_a_question_without_an_answer_is_shown_with_sentences_that_do_not(articles):
    asked = [question for question in read_nonfactoid() if not question.answerable][:20]
    made = list(make_news_examples(articles, asked, rng=random.Random(1)))
    assert made
    assert not any(example.answerable for example in made)


def test_an_id_without_a_report_is_refused(tmp_path):
    row = {"id": "x-1", "question": "Why?", "answerable": False, "kind": "reason", "evidence": []}
    (tmp_path / "x.jsonl").write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(ValueError, match="x-1"):
        read_nonfactoid(tmp_path)
