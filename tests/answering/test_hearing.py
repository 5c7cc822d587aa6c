"""What each party says: from its own sentences, with its own question, and held to what is asked about."""

import dataclasses

import numpy as np
import pytest

from rag.answering import Finding, QuotingSettings, Reading, Verdict
from rag.answering.hearing import hear, hear_one
from rag.answering.quoting import quote_sides
from rag.answering.sides import one_side, split_sides
from rag.records import Article, Hit, Passage, Span

TEXT = (
    "China condemned the release of the water. Japan called the ban unscientific. Trade fell by a tenth. "
    "Japan signed a treaty. Tveit spoke of the count. She called it sound."
)
SENTENCES = tuple(
    Span(TEXT.index(part), TEXT.index(part) + len(part))
    for part in (
        "China condemned the release of the water.",
        "Japan called the ban unscientific.",
        "Trade fell by a tenth.",
        "Japan signed a treaty.",
        "Tveit spoke of the count.",
        "She called it sound.",
    )
)
ARTICLE = Article(id="a", path="a.md", text=TEXT, title="Of fish")
PASSAGE = Passage("a", 0, 0, len(TEXT), SENTENCES)
READING = Reading(Hit(PASSAGE, 1.0, 1), ARTICLE)
SETTINGS = QuotingSettings(min_confidence=0.3, max_sentences=4, share=0.5)


class Judge:
    """A judge to whom every sentence is as good as the one before, and who keeps what it was asked."""

    name, model, revision = "fake", "fake", "1"

    def __init__(self, confidence=0.5):
        self.confidence = confidence
        self.asked = []

    def judge(self, question, readings, *, part=1):
        self.asked.append((question, [text for one in readings for _, text in one.sentences()], part))
        spans = [(one, span) for one in readings for span, _ in one.sentences()]
        return Verdict(tuple(Finding(one, span, 0.9) for one, span in spans), self.confidence)


def heard(question, judge=None, readings=(READING,)):
    sides = split_sides(question)
    judge = judge or Judge()
    return hear(sides, [list(readings)] * len(sides), judge=judge, rarity=lambda words: np.ones(len(words))), judge


def texts(verdict):
    return [finding.text for finding in verdict.findings]


def test_each_party_is_judged_by_its_own_question_and_sentences_and_part_of_the_reading():
    _, judge = heard("How did China and Japan react to the release of the water?")
    assert judge.asked == [
        ("How did China react to the release of the water?", ["China condemned the release of the water."], 2),
        (
            "How did Japan react to the release of the water?",
            ["Japan called the ban unscientific.", "Japan signed a treaty."],
            2,
        ),
    ]


def test_what_is_asked_for_words_is_not_answered_by_deeds():
    found, _ = heard("What do China and Japan say about the water?")
    assert texts(found["Japan"]) == ["Japan called the ban unscientific."]


def test_deeds_stand_where_there_are_no_words():
    text = "Japan signed a treaty. China condemned the release of the water."
    spans = (Span(0, 22), Span(23, len(text)))
    article = Article(id="b", path="b.md", text=text, title="b")
    reading = Reading(Hit(Passage("b", 0, 0, len(text), spans), 1.0, 1), article)
    found, _ = heard("What do China and Japan say about the treaty?", readings=[reading])
    assert texts(found["Japan"]) == ["Japan signed a treaty."]


def test_a_party_of_which_nothing_is_found_is_not_judged():
    found, judge = heard("What do China and Peru say about the water?")
    assert found["Peru"] == Verdict((), 0.0)
    assert [question for question, _, _ in judge.asked] == ["What does China say about the water?"]


@pytest.mark.parametrize(
    ("topic", "compare"), [("the release of the water", float.__gt__), ("the moon landing", float.__lt__)]
)
def test_the_more_of_the_topic_is_spoken_of_the_surer(topic, compare):
    found, _ = heard(f"What do China and Japan say about {topic}?")
    assert compare(found["China"].confidence, 0.5)


def test_half_of_the_topic_leaves_the_confidence_as_it_is():
    found, _ = heard("What do China and Japan say about the water tower?")
    assert found["China"].confidence == pytest.approx(0.5)


def test_where_no_word_is_rare_the_confidence_stays_as_it_is():
    sides = split_sides("What do China and Japan say about the water?")
    found = hear(sides, [[READING]] * 2, judge=Judge(), rarity=lambda words: np.zeros(len(words)))
    assert found["China"].confidence == 0.5


def whole():
    return [TEXT[span.start : span.end] for span in SENTENCES]


def heard_alone(question, *, judge, least, readings=(READING,)):
    return hear_one(one_side(question), readings, judge=judge, rarity=lambda words: np.ones(len(words)), least=least)


def test_one_party_is_answered_from_all_sentences_but_those_that_are_others_words():
    found = heard_alone("What did Tveit say about the count?", judge=Judge(), least=0.4)
    assert found.confidence == 0.5
    said = ["China condemned the release of the water.", "Japan called the ban unscientific."]
    assert texts(found) == [text for text in whole() if text not in said]


def test_just_sure_enough_is_sure_enough():
    found = heard_alone("What did Tveit say about the count?", judge=Judge(0.4), least=0.4)
    assert found.confidence == 0.4
    assert len(texts(found)) > len(["Tveit spoke of the count.", "She called it sound."])


def test_an_answer_is_less_sure_where_little_of_the_matter_is_spoken_of():
    spoken_of = heard_alone("What did Tveit say about the count?", judge=Judge(0.5), least=0.01)
    assert spoken_of.confidence == 0.5
    assert heard_alone("What did Tveit say about the moon landing?", judge=Judge(0.5), least=0.01).confidence < 0.3


def test_the_passages_of_an_article_are_heard_as_one():
    places = (slice(4, 5), slice(4, 6))  # the second begins with the last sentence of the first
    readings = [
        Reading(Hit(Passage("a", n, SENTENCES[4].start, len(TEXT), SENTENCES[place]), 1.0, n + 1), ARTICLE)
        for n, place in enumerate(places)
    ]
    assert "She called it sound." not in texts(
        heard_alone("What did Japan say about the count?", judge=Judge(), least=0.4, readings=readings)
    )


def test_a_bar_of_none_does_not_keep_a_party_from_being_heard():
    class Finds(Judge):
        def judge(self, question, readings, *, part=1):
            verdict = super().judge(question, readings, part=part)
            return verdict if len(self.asked) > 1 else Verdict((), 0.0)

    assert texts(heard_alone("What did Tveit say about the count?", judge=Finds(), least=0.0))


def test_where_that_is_not_sure_enough_its_own_sentences_are_heard_and_both_count():
    judge = Judge(0.2)
    found = heard_alone("What did Tveit say about the count?", judge=judge, least=0.4)
    assert texts(found) == ["Tveit spoke of the count.", "She called it sound."]
    odds = [one / (1 - one) for one in (0.2, found.confidence)]
    topic = 0.25 * np.exp(1.25)  # all of what is asked about is spoken of
    assert odds[1] == pytest.approx(np.sqrt(odds[0] * topic))
    assert judge.asked[0][0] == judge.asked[1][0] == "What did Tveit say about the count?"


def test_an_article_that_does_not_name_a_party_holds_nothing_of_what_it_says():
    found = heard_alone("What did Moriyama say about the water?", judge=Judge(0.9), least=0.4)
    assert (found.findings, found.confidence) == ((), 0.0)
    assert "no passage that was found holds words of Moriyama" in found.reason


@pytest.mark.parametrize("where", [{"title": "A speech by Taro Moriyama"}, {"author": "T. MORIYAMA"}])
def test_whoever_an_article_is_by_is_named_in_it(where):
    by_him = Reading(READING.hit, dataclasses.replace(ARTICLE, **where))
    question = "What did Moriyama say about the water?"
    assert heard_alone(question, judge=Judge(0.9), least=0.4, readings=[by_him]).confidence == 0.9


def test_sentences_of_articles_that_do_not_name_the_party_are_left_out_behind_the_first():
    text = "Nobody knew of the count."
    other = Article(id="b", path="b.md", text=text, title="b")
    beside = Reading(Hit(Passage("b", 0, 0, len(text), (Span(0, len(text)),)), 1.0, 2), other)
    found = heard_alone("What did Tveit say about the count?", judge=Judge(), least=0.4, readings=[READING, beside])
    assert text not in texts(found)


def quoted(question, **options):
    return quote_sides(heard(question, **options)[0], settings=SETTINGS)


def test_each_side_has_its_citations_in_the_order_of_the_question():
    answer = quoted("What do Japan and China say about the ban on water?")
    assert [(side.party, side.citations) for side in answer.sides] == [("Japan", (1,)), ("China", (2,))]
    assert answer.answer == "Japan called the ban unscientific. [1] China condemned the release of the water. [2]"


def test_a_side_that_says_nothing_is_named_without_citations():
    answer = quoted("What do Peru and China say about the water?")
    assert [(side.party, side.citations) for side in answer.sides] == [("Peru", ()), ("China", (1,))]


def test_all_is_declined_where_no_side_says_anything():
    answer = quoted("What do Peru and Chile say about the water?")
    assert (answer.claims, answer.citations, answer.sides) == ((), (), None)
    assert "Peru, Chile" in answer.reason


def test_a_side_that_is_not_sure_enough_says_nothing():
    answer = quoted("What do China and Japan say about the moon landing?")
    assert answer.reason
    assert answer.claims == ()


def test_the_answer_is_as_sure_as_its_least_sure_side():
    found = {"A": Verdict((finding(0),), 0.9), "B": Verdict((finding(1),), 0.4), "C": Verdict((), 0.0)}
    assert quote_sides(found, settings=SETTINGS).confidence == 0.4


def finding(number, score=0.9):
    return Finding(READING, SENTENCES[number], score)


def test_a_sentence_of_two_parties_is_cited_once():
    found = {"A": Verdict((finding(0),), 0.9), "B": Verdict((finding(0),), 0.9)}
    answer = quote_sides(found, settings=SETTINGS)
    assert [side.citations for side in answer.sides] == [(1,), (1,)]
    assert len(answer.claims) == 1


def test_she_stands_behind_the_sentence_that_names_her():
    answer = quote_sides({"Tveit": Verdict((finding(5),), 0.9), "B": Verdict((finding(0),), 0.9)}, settings=SETTINGS)
    assert [citation.quote for citation in answer.citations] == [
        "Tveit spoke of the count.",
        "She called it sound.",
        "China condemned the release of the water.",
    ]
    assert [side.citations for side in answer.sides] == [(1, 2), (3,)]


def test_a_party_that_a_sentence_names_needs_no_sentence_before():
    text = "The harbour office warned of mud. The mayor welcomed the dredging. The ministry did not."
    spans = (Span(0, 33), Span(34, 66), Span(67, 88))
    reading = Reading(Hit(Passage("b", 0, 0, len(text), spans), 1.0, 1), Article("b", "b.md", text, title="B"))
    found = {
        "the Mayor": Verdict((Finding(reading, spans[1], 0.9),), 0.9),
        "Tokyo": Verdict((Finding(reading, spans[2], 0.9),), 0.9),
    }
    sides = quote_sides(found, settings=SETTINGS).sides
    assert [side.citations for side in sides] == [(1,), (1, 2)]


def test_an_answer_of_several_sides_is_no_longer_than_one():
    short = dataclasses.replace(SETTINGS, max_sentences=2)
    answer = quote_sides({"Tveit": Verdict((finding(5),), 0.9), "B": Verdict((finding(0),), 0.9)}, settings=short)
    assert [citation.quote for citation in answer.citations] == [
        "She called it sound.",
        "China condemned the release of the water.",
    ]


def test_sides_share_the_length_of_an_answer():
    found = {"A": Verdict(tuple(finding(n) for n in range(4)), 0.9), "B": Verdict((finding(4),), 0.9)}
    assert [len(side.citations) for side in quote_sides(found, settings=SETTINGS).sides] == [2, 1]
