"""A question typed small is read as the articles write its words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering import restore_capitals

TEXTS = (
    "Trade with Japan grew, as Harada told members of the RCEP. Rice from China was let in, and the ban on rice fell.",
    "JETRO was asked. Lu Kejian wrote to it. A ban by the US, he said, was meant for us.",
    "Members of the U.S. delegation met Harada in Hong Kong. The talks in May were about Japan and rice.",
)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("what did harada tell rcep members about rice", "what did Harada tell RCEP members about rice"),
        ("When did japan let in china's rice?", "When did Japan let in China's rice?"),
        ("WHAT DID HARADA SAY IN HONG KONG?", "what did Harada say in Hong Kong?"),
        ("who led the u.s. delegation", "who led the U.S. delegation"),
        ("what did nakai say", "what did nakai say"),  # nobody of that name is written of
        ("may we know what the talks were about", "may we know what the talks were about"),  # "may" asks
        ("what did members in may say", "what did members in May say"),
        ("did nakai tell us of the us ban", "did nakai tell us of the US ban"),
        ("what did lu kejian ask of jetro", "what did Lu Kejian ask of JETRO"),
        ("when did the ban begin and who told us", "when did the ban begin and who told us"),
        ("rice", "rice"),
        ("RCEP", "RCEP"),  # one word in capitals is a name
        ("", ""),
        ("貿易はどうなった", "貿易はどうなった"),
    ],
)
def test_typed_small(typed: str, meant: str) -> None:
    assert restore_capitals(typed, TEXTS) == meant


@pytest.mark.parametrize(
    "question", ["What did Harada tell rcep members?", "what did Nakai say about japan", "eBay and japan"]
)
def test_capitals_that_were_typed_are_meant(question: str) -> None:
    assert restore_capitals(question, TEXTS) == question


def test_a_sentence_begins_with_a_capital_whatever_its_first_word_is() -> None:
    assert restore_capitals("who grows rice", ["Rice grows here. Rice is eaten. Others grow rice."]) == "who grows rice"
    assert restore_capitals("who grows rice", ["“Rice grows here,” he said.\nRice and more"]) == "who grows rice"


def test_a_heading_with_capitals_throughout_makes_no_name_of_a_word() -> None:
    texts = ["How the First Cells Divided\n\nEarly cells were small.", "What Cells From Kyoto Show\nThose in Kyoto do."]
    assert restore_capitals("how did cells divide", texts) == "how did cells divide"
    assert restore_capitals("what do cells from kyoto show", texts) == "what do cells from Kyoto show"


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=3))
def test_nothing_but_capitals_changes(question: str, texts: list[str]) -> None:
    assert restore_capitals(question, texts).casefold() == question.casefold()


@given(st.lists(st.sampled_from(["Harada", "rice", "Japan", "the", "met", "RCEP"]), min_size=2, max_size=8))
def test_every_name_of_a_question_typed_small_gets_its_capital(words: list[str]) -> None:
    typed = " ".join(words).lower()
    assert restore_capitals(typed, TEXTS) == " ".join(words)
