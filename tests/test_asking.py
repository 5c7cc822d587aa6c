"""What becomes of a question on its way through the engine: capitals, two questions in one, whose words are quoted."""

from dataclasses import replace

import pytest

from rag.building import index_articles
from rag.config import Answering, Config, Reader
from rag.engine import Engine

ARTICLES = {
    "ferry.md": "# The ferry\n\nThe ferry to Kinmen stopped in May 2031. A ticket cost 4 euros.\n",
    "ban.md": "# The ban\n\nAs agreed, Harada said the ban on plums stays. "
    "In June, Olsen said the ban on plums is unfair.\n\nFarmers saw Harada and Olsen in Oslo.\n",
}


@pytest.fixture
def ask(tmp_path, monkeypatch, word_encoder):
    """Ask a question of the articles above, of which each answers whatever its confidence if it is above a bar."""
    monkeypatch.setenv("RAG_CACHE", str(tmp_path / "cache"))
    (tmp_path / "articles").mkdir()
    for name, text in ARTICLES.items():
        (tmp_path / "articles" / name).write_text(text, encoding="utf-8")
    config = Config(folder=tmp_path, articles=("articles",), reader=Reader(model="none"))
    index_articles(config, [], encoder=word_encoder)

    def answer(question, *, bar=0.0, bold=False):
        settings = replace(config, answer=Answering(min_confidence=bar))
        with Engine(settings, encoder=word_encoder, bold=bold) as engine:
            return engine.ask(question).answer

    return answer


def quotes(answer, side):
    return [answer.citations[marker - 1].quote for marker in side.citations]


def test_each_of_two_questions_in_one_is_answered(ask):
    answer = ask("When did the ferry to Kinmen stop, and what did Olsen call unfair?")
    first, second = answer.sides
    assert (first.party, second.party) == ("When did the ferry to Kinmen stop?", "What did Olsen call unfair?")
    assert quotes(answer, first) == ["The ferry to Kinmen stopped in May 2031."]
    assert quotes(answer, second) == ["In June, Olsen said the ban on plums is unfair."]
    assert answer.question == "When did the ferry to Kinmen stop, and what did Olsen call unfair?"


def test_the_second_question_is_understood_after_the_first(ask):
    answer = ask("When did the ferry to Kinmen stop, and what did a ticket for it cost?")
    assert quotes(answer, answer.sides[1]) == ["A ticket cost 4 euros."]


def test_of_two_questions_the_one_without_an_answer_is_named(ask):
    sure = ask("When did the ferry to Kinmen stop?").confidence
    answer = ask("When did the ferry to Kinmen stop, and who sells umbrellas?", bar=sure)
    assert [len(side.citations) for side in answer.sides] == [1, 0]
    assert answer.confidence == sure


def test_all_that_is_looked_for_counts_as_time_of_retrieval(ask, monkeypatch):
    search = Engine.search
    monkeypatch.setattr(Engine, "search", lambda *given, **named: replace(search(*given, **named), took_ms=1000.0))
    two = ask("When did the ferry to Kinmen stop, and what did Olsen call unfair?").timings_ms
    one = ask("When did the ferry to Kinmen stop?").timings_ms
    assert one["retrieve"] < 1000
    assert two["retrieve"] > 2000
    assert two["total"] == pytest.approx(two["retrieve"] + two["answer"])


def test_a_half_is_typed_small_only_if_the_whole_question_is(ask):
    question = "When did the ferry to Kinmen stop, and what did olsen call unfair?"
    assert [side.party for side in ask(question).sides][1] == "What did olsen call unfair?"
    assert [side.party for side in ask(question.lower()).sides][1] == "What did Olsen call unfair?"


@pytest.mark.parametrize("bare", ["by whom", "when", "in which year"])
def test_a_bare_half_of_a_question_without_an_answer_has_none(ask, bare):
    sure = ask("When did the ferry to Kinmen stop?").confidence
    assert not ask(f"Which umbrellas were sold, and {bare}?", bar=sure).answered


def test_two_questions_without_an_answer_are_declined(ask):
    answer = ask("Who sells umbrellas, and what is a kettle?", bar=1.0)
    assert (answer.answered, answer.sides) == (False, None)
    assert "either question" in answer.reason
    assert answer.hits


def test_a_sentence_that_answers_both_stands_there_once(ask):
    answer = ask("What stopped in May 2031, and when did the ferry to Kinmen stop?")
    assert answer.sides is None
    assert [citation.quote for citation in answer.citations] == ["The ferry to Kinmen stopped in May 2031."]


def test_a_bold_engine_quotes_of_two_questions_what_any_other_does(ask):
    question = "When did the ferry to Kinmen stop, and who sells umbrellas?"
    sure = ask("When did the ferry to Kinmen stop?").confidence
    assert ask(question, bar=sure, bold=True).sides == ask(question, bar=sure).sides


def test_parties_typed_small_are_known_by_the_articles_capitals(ask):
    answer = ask("what do harada and olsen say about the ban on plums")
    assert [side.party for side in answer.sides] == ["Harada", "Olsen"]
    assert [len(side.citations) for side in answer.sides] == [1, 1]
    assert answer.question == "what do harada and olsen say about the ban on plums"


def test_a_half_that_may_stand_alone_is_asked_so_too(ask, monkeypatch):
    asked, search = [], Engine.search
    monkeypatch.setattr(
        Engine, "search", lambda self, query, **more: (asked.append(query), search(self, query, **more))[1]
    )
    alone = ask("Who said the ban on plums is unfair?")
    answer = ask("Which ferry stopped? Who said the ban on plums is unfair?")
    assert asked[-1] == "Who said the ban on plums is unfair?" != asked[-2]
    assert quotes(answer, answer.sides[1]) == [alone.citations[0].quote]


def test_what_one_party_says_is_not_answered_with_another_s_words(ask):
    answer = ask("What did Harada say about the ban on plums?")
    assert {citation.quote for citation in answer.citations} == {"As agreed, Harada said the ban on plums stays."}


def test_of_whom_no_article_tells_that_is_said(ask):
    answer = ask("What did Takeda say about the ban on plums?")
    assert not answer.answered
    assert answer.reason == "no passage that was found holds words of Takeda; the nearest are listed"
    assert answer.hits


def test_a_half_of_a_question_is_heard_as_it_would_be_alone(ask):
    answer = ask("What did Takeda say about the ban on plums, and when did the ferry to Kinmen stop?")
    assert [len(side.citations) for side in answer.sides] == [0, 1]
