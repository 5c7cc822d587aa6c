"""Several questions typed as one: what each is taken to mean, and when one is not asked at all."""

from dataclasses import dataclass, field

from rag.answering import Finding, Reading, Verdict
from rag.conversation.in_turn import LookedUp, judge_in_turn
from rag.records import Article, Hit, Passage, Span

TEXT = "The ferry to Norr stopped in May."
WHOLE = Span(0, len(TEXT))
READING = Reading(Hit(Passage("a", 0, 0, len(TEXT), (WHOLE,)), 1.0, 1), Article("a", "a.md", TEXT, title="A"))


@dataclass
class Judge:
    """Is as sure of each question as it was told to be, half sure of any other, and keeps what it was asked."""

    sure: dict[str, float] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def judge(self, question, readings):
        self.asked.append(question)
        return Verdict((Finding(readings[0], WHOLE, 0.9),), self.sure.get(question, 0.5))


def judged(*parts, texts=(), **sure):
    judge, queries = Judge(sure.get("sure", {})), []

    def look_up(query):
        queries.append(query)
        return LookedUp([READING], texts)

    return judge_in_turn(parts, look_up=look_up, judge=judge.judge, least=0.3), judge.asked, queries


def test_a_further_question_is_asked_with_what_it_leans_on():
    verdicts, asked, queries = judged("When did the ferry to Norr stop?", "Why?")
    assert list(verdicts) == ["When did the ferry to Norr stop?", "Why?"]
    assert asked == queries == ["When did the ferry to Norr stop?", "Why did the ferry to Norr stop?"]


def test_a_bare_question_about_what_is_not_told_is_not_asked():
    first = "When did the ferry to Norr stop?"
    verdicts, asked, _ = judged(first, "By whom?", "Who paid for the quay?", sure={first: 0.1})
    assert verdicts["By whom?"] == Verdict((), 0.0)
    assert len(asked) > 1
    assert not any(question.startswith("By whom") for question in asked)


def test_what_may_stand_alone_is_asked_so_too_and_the_surer_answer_holds():
    first = "When did the ferry to Norr stop?"
    verdicts, asked, _ = judged(first, "The rocks are grey?", sure={"The rocks are grey?": 0.8})
    assert verdicts["The rocks are grey?"].confidence == 0.8
    assert asked[1:] == ["The rocks are grey? (When did the ferry to Norr stop?)", "The rocks are grey?"]


def test_a_question_typed_small_has_the_capitals_of_what_was_found():
    verdicts, asked, _ = judged("when did the ferry to norr stop?", texts=["It sails to Norr."])
    assert asked == list(verdicts) == ["when did the ferry to Norr stop?"]
