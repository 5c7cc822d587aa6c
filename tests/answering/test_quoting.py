import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering import Finding, QuotingSettings, Reading, Verdict, quote_answer
from rag.answering.questions import Asked, Kind, Wanted, analyse
from rag.records import Article, Hit, Passage, Span
from rag.sentences import split_sentences

SETTINGS = QuotingSettings(min_confidence=0.5, max_sentences=3, share=0.5)


def finding(article_id, number, score, *, short_answer=None):
    """Return the sentence of the given number in an article of ten."""
    text = "".join(f"Sentence {place} here.\n" for place in range(10))
    size = len("Sentence 0 here.\n")
    article = Article(id=article_id, path=f"{article_id}.md", text=text, title=article_id)
    span = Span(number * size, (number + 1) * size - 1)
    passage = Passage(article_id, 0, 0, len(text), (span,))
    return Finding(Reading(Hit(passage, 1.0, 1), article), span, score, short_answer)


def quoted(kind, *findings, confidence=0.9, settings=SETTINGS):
    return quote_answer(Asked(kind, Wanted.ANYTHING), Verdict(findings, confidence), settings=settings)


@pytest.mark.parametrize("kind", [Kind.FACT, Kind.YES_NO])
def test_a_fact_gets_one_sentence(kind):
    answer = quoted(kind, finding("a", 3, 0.9), finding("a", 4, 0.9))
    assert answer.answer == "Sentence 3 here. [1]"


def test_an_explanation_gets_sentences_near_the_best_in_reading_order():
    answer = quoted(Kind.EXPLANATION, finding("a", 5, 0.9), finding("a", 2, 0.6), finding("a", 1, 0.4))
    assert answer.answer == "Sentence 2 here. [1] Sentence 5 here. [2]"


def test_an_explanation_keeps_to_the_best_findings_article():
    answer = quoted(Kind.EXPLANATION, finding("a", 5, 0.9), finding("b", 2, 0.8), finding("a", 1, 0.7))
    assert [citation.article for citation in answer.citations] == ["a", "a"]


def test_an_answer_is_never_longer_than_the_settings_allow():
    answer = quoted(Kind.EXPLANATION, *(finding("a", number, 0.9) for number in range(6)))
    assert len(answer.claims) == SETTINGS.max_sentences


def test_views_let_each_article_speak_before_any_speaks_again():
    answer = quoted(Kind.VIEWS, finding("a", 1, 0.9), finding("a", 2, 0.8), finding("b", 1, 0.7), finding("c", 1, 0.6))
    assert [citation.article for citation in answer.citations] == ["a", "b", "c"]


def test_what_is_not_sure_enough_is_declined_with_a_reason():
    answer = quoted(Kind.FACT, finding("a", 1, 0.9), confidence=0.49)
    assert (answer.answer, answer.claims, answer.citations) == ("", (), ())
    assert "no sentence" in answer.reason


def test_nothing_found_is_declined_with_a_reason():
    assert "no passage" in quoted(Kind.FACT).reason


def test_the_short_answer_is_the_articles_own_words():
    pointed = finding("a", 3, 0.9, short_answer=Span(17 * 3, 17 * 3 + 10))
    assert quoted(Kind.FACT, pointed).short_answer == "Sentence 3"
    assert quoted(Kind.EXPLANATION, pointed).short_answer is None


def test_line_breaks_in_a_quote_are_spaces_in_the_claim_and_stay_in_the_quote():
    one = finding("a", 3, 0.9)
    two = dataclasses.replace(one, span=Span(one.span.start, one.span.end + len("\nSentence 4 here.")))
    answer = quoted(Kind.FACT, two)
    assert answer.claims[0].text == "Sentence 3 here. Sentence 4 here."
    assert answer.citations[0].quote == "Sentence 3 here.\nSentence 4 here."


@given(
    st.sampled_from(Kind),
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.floats(0.01, 1)), min_size=1, unique_by=lambda f: f[:2]
    ),
)
def test_markers_count_from_one_and_each_stands_behind_its_claim(kind, drawn):
    findings = sorted((finding(*one) for one in drawn), key=lambda found: -found.score)
    answer = quoted(kind, *findings)
    assert answer.answer == " ".join(f"{claim.text} [{number}]" for number, claim in enumerate(answer.claims, start=1))
    assert [citation.marker for citation in answer.citations] == list(range(1, len(answer.claims) + 1))
    assert findings[0].text in [citation.quote for citation in answer.citations]


def test_copies_of_a_report_are_one_voice():
    findings = [finding("a", 1, 0.9), finding("echo", 2, 0.8), finding("b", 1, 0.7), finding("c", 1, 0.6)]
    asked = Asked(Kind.VIEWS, Wanted.ANYTHING)
    answer = quote_answer(asked, Verdict(findings, 0.9), settings=SETTINGS, copies={"echo": "a"})
    assert [citation.article for citation in answer.citations] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "question",
    ["Did China ban seafood from Japan?", "Is the bridge open?", "中国禁止日本水产品了吗？", "橋は開いていますか。"],
)
def test_a_question_of_yes_or_no_gets_the_sentence_that_decides_and_no_word_of_its_own(question):
    asked = analyse(question)
    assert asked.kind is Kind.YES_NO
    best = finding("a", 3, 0.9, short_answer=Span(17 * 3, 17 * 3 + 8))
    answer = quote_answer(asked, Verdict((best, finding("b", 4, 0.89)), 0.9), settings=SETTINGS)
    assert (answer.answer, answer.short_answer) == ("Sentence 3 here. [1]", None)
    assert [citation.quote for citation in answer.citations] == [best.text]


def test_a_sentence_that_leans_on_the_one_before_brings_that_along():
    text = "Tokyo let the water go. It did so in August. Beijing was angry."
    spans = (Span(0, 23), Span(24, 44), Span(45, 63))
    article = Article(id="a", path="a.md", text=text, title="A")
    reading = Reading(Hit(Passage("a", 0, 0, len(text), spans), 1.0, 1), article)
    for kind in Kind:
        answer = quoted(kind, Finding(reading, spans[1], 0.9))
        assert answer.answer == "Tokyo let the water go. [1] It did so in August. [2]"
    one = dataclasses.replace(SETTINGS, max_sentences=1)
    assert quoted(Kind.FACT, Finding(reading, spans[1], 0.9), settings=one).answer == "It did so in August. [1]"
    assert quoted(Kind.FACT, Finding(reading, spans[2], 0.9)).answer == "Beijing was angry. [1]"


QUAYS = """The port will close two quays. From May these ships use others:

- The ferry: quay 4
- Tankers: quay 9

| Ship | Fee |
|---|---|
| Ferry | 40 crowns |
| Tanker | 900 crowns |

Others pay nothing.
- A stray item."""


@pytest.mark.parametrize(
    ("best", "quotes"),
    [
        ("- Tankers: quay 9", ["From May these ships use others:", "- Tankers: quay 9"]),
        ("- The ferry: quay 4", ["From May these ships use others:", "- The ferry: quay 4"]),
        (
            "From May these ships use others:",
            ["From May these ships use others:", "- The ferry: quay 4", "- Tankers: quay 9"],
        ),
        ("| Tanker | 900 crowns |", ["| Ship | Fee |", "| Tanker | 900 crowns |"]),
        ("| Ship | Fee |", ["| Ship | Fee |"]),
        ("Others pay nothing.", ["Others pay nothing."]),
        ("- A stray item.", ["- A stray item."]),
    ],
)
def test_an_item_has_what_announces_its_list_and_a_row_the_names_of_its_columns(best, quotes):
    lines = [line for line in QUAYS.replace(". From", ".\nFrom").splitlines() if line and not line.startswith("|---")]
    spans = tuple(Span(QUAYS.index(line), QUAYS.index(line) + len(line)) for line in lines)
    reading = Reading(Hit(Passage("a", 0, 0, len(QUAYS), spans), 1.0, 1), Article("a", "a.md", QUAYS, title="A"))
    answer = quoted(Kind.FACT, Finding(reading, spans[lines.index(best)], 0.9))
    assert [citation.quote for citation in answer.citations] == quotes


LEASE = """The Landlord may terminate without notice if

(a) the Tenant is in arrears; or

(b) the Tenant stores explosives.

- Train
  - First class from four hours on
- Bus

Q: Are dogs allowed?
A: No. They bark.

Two reasons were given:
- The first is long. And it
  goes on here. It is the last.
- The second is cost.
"""


@pytest.mark.parametrize(
    ("best", "quotes"),
    [
        (0, [0, 1, 2]),
        (2, [0, 2]),
        (4, [3, 4]),
        (5, [5]),
        (6, [6, 7]),
        (9, [9, 10, 11]),
        (13, [9, 13]),
    ],
)
def test_a_list_that_no_colon_announces_an_item_below_another_and_a_question_that_is_answered(best, quotes):
    spans = tuple(split_sentences(LEASE))
    reading = Reading(Hit(Passage("a", 0, 0, len(LEASE), spans), 1.0, 1), Article("a", "a.md", LEASE, title="A"))
    answer = quoted(Kind.FACT, Finding(reading, spans[best], 0.9, short_answer=spans[best]))
    assert [citation.start for citation in answer.citations] == [spans[number].start for number in quotes]
    assert (answer.short_answer is None) == LEASE[spans[best].start : spans[best].end].endswith("?")


TOLD = (
    "Correction: An earlier version of this article said that the range is 1,500 km. The range is 1,000 km. "
    "Does she regret it? No. Luo spoke of mud. “We are losing.” Noda faces three tasks. First, peace. Second, rice."
)


@pytest.mark.parametrize(
    ("best", "quotes"), [(0, [0, 1]), (3, [2, 3]), (5, [4, 5]), (8, [6, 8]), (6, [6, 7, 8]), (4, [4])]
)
def test_a_correction_has_what_is_right_no_its_question_a_quote_its_speaker_and_second_what_is_counted(best, quotes):
    spans = tuple(split_sentences(TOLD))
    reading = Reading(Hit(Passage("a", 0, 0, len(TOLD), spans), 1.0, 1), Article("a", "a.md", TOLD, title="A"))
    answer = quoted(Kind.FACT, Finding(reading, spans[best], 0.9))
    assert [citation.start for citation in answer.citations] == [spans[number].start for number in quotes]


ITEMS = "What stands in the way? I see three obstacles. %s That is all."


@pytest.mark.parametrize(
    ("items", "quotes"),
    [
        (
            "The first is trust. It takes years. The second is law. Third, there is money.",
            ["I see three obstacles.", "The first is trust.", "The second is law.", "Third, there is money."],
        ),
        (
            "Trust is rare. Law is slow. Money is short.",
            ["I see three obstacles.", "Trust is rare.", "Law is slow.", "Money is short."],
        ),
    ],
)
def test_a_list_that_is_announced_comes_with_its_items(items, quotes):
    text = ITEMS % items
    article = Article(id="a", path="a.md", text=text, title="A")
    spans = tuple(split_sentences(text))
    reading = Reading(Hit(Passage("a", 0, 0, len(text), spans), 1.0, 1), article)
    place = next(span for span in spans if text[span.start : span.end] == quotes[0])
    roomy = dataclasses.replace(SETTINGS, max_sentences=4)
    for kind in Kind:
        answer = quoted(kind, Finding(reading, place, 0.9), settings=roomy)
        assert [citation.quote for citation in answer.citations] == quotes
    answer = quoted(Kind.FACT, Finding(reading, place, 0.9), settings=dataclasses.replace(SETTINGS, max_sentences=2))
    assert [citation.quote for citation in answer.citations] == quotes[:2]


@pytest.mark.parametrize(
    "sentence",
    [
        "Growth was lower by three points than in June.",
        "I see three obstacles: trust, law and money.",
        "Three obstacles were removed in the spring of 2031 by both.",
        "He saw reasons.",
        "The talks were held in some areas.",
        "The court dismissed two objections.",
        "Exports grew in several fields.",
    ],
)
def test_what_announces_no_list_comes_alone(sentence):
    text = f"{sentence} First came the rain. Then came the snow."
    article = Article(id="a", path="a.md", text=text, title="A")
    spans = tuple(split_sentences(text))
    reading = Reading(Hit(Passage("a", 0, 0, len(text), spans), 1.0, 1), article)
    assert reading.outline.announced(spans[0]) == []
