"""Which sentences are another's words than a party's."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.others import words_of_others
from rag.records import Article, Span

REPORT = [
    "Two trawlers were stopped off Brevik on Monday.",
    "The mayor, Runa Tveit, called the catch unlawful.",
    'She added that the fine would be doubled. "Nobody is above the law," Tveit said.',
    "Otto Lind, a fisherman, said the net was legal.",
    '"They measured it wet," he said.',
    "Aftonbladet reported the fine first.",
]
OPINION = [
    "I have fished here for thirty years.",
    "I do not doubt that Runa Tveit means well.",
    "The rule should go.",
    "Tveit says that the stock needs it.",
    "She may be right.",
]
MINUTES = [
    "Item 1: Nets\n",
    "Runa Tveit: I ask for a ban.\n",
    "Otto Lind: Ms Tveit has never fished.",
    "It would ruin us.",
]
INTERVIEW = [
    "Q: Is the rule fair?\n",
    "A: I made it myself.\n",
    "Q: Otto Lind says that you never fish.\n",
    "A: He is right.",
]
TALKS = [
    "Tokyo and Seoul met on Friday.",
    "China's foreign minister, Bo Shan, called the talks useful.",
    "He expects a second round.",
    "Japan demanded an end of the ban.",
    "Imports fell by a tenth.",
]


def article(sentences, **facts):
    """Return an article of sentences, and where each stands."""
    text, spans = "", []
    for sentence in sentences:
        spans.append(Span(len(text), len(text) + len(sentence.rstrip())))
        text += sentence if sentence.endswith("\n") else f"{sentence} "
    return Article(**{"id": "a", "path": "a.md", "text": text, "title": "Nets"} | facts), spans


def of_others(party, sentences, **facts):
    made, spans = article(sentences, **facts)
    found = words_of_others(party, made, spans)
    return [number for number, span in enumerate(spans) if span in found]


@pytest.mark.parametrize(
    ("party", "sentences", "others"),
    [
        ("Tveit", REPORT, [3, 4, 5]),
        ("Otto Lind", REPORT, [1, 2, 5]),
        ("the mayor", REPORT, [3, 4, 5]),
        ("Aftonbladet", REPORT, [1, 2, 3, 4]),
        ("fishermen", REPORT, []),
        ("Otto Lind", MINUTES, [1]),
        ("Tveit", MINUTES, [2, 3]),
        ("China", TALKS, [3]),
        ("Japan", TALKS, [1, 2]),
        ("日本", TALKS, []),
    ],
)
def test_what_another_says_is_told(party, sentences, others):
    assert of_others(party, sentences) == others


def test_who_writes_in_the_first_person_is_another_unless_the_party_does():
    assert of_others("Runa Tveit", OPINION, author="Otto Lind") == [0, 1, 2]
    assert of_others("Otto Lind", OPINION, author="Otto Lind") == [3, 4]
    assert of_others("Otto Lind", OPINION, title="Address by Otto Lind") == [3, 4]


def test_in_an_interview_answers_are_whose_title_names():
    facts = {"title": "Runa Tveit on the rule"}
    assert of_others("Runa Tveit", INTERVIEW, **facts) == [0, 2]
    assert of_others("Otto Lind", INTERVIEW, **facts) == [0, 1, 2, 3]


def test_a_paper_is_asked_for_what_it_says_itself():
    assert of_others("the Brevik Post", REPORT, source="Brevik Post") == [1, 2, 3, 4, 5]
    assert of_others("the Brevik Post", REPORT) == []


def test_whoever_is_spoken_of_after_the_party_is_named_may_be_the_party():
    said = ["Otto Lind said this to Runa Tveit.", '"We were late," she said.']
    assert of_others("Runa Tveit", said) == [0]


def test_who_acts_is_spoken_of_next():
    said = ["Otto Lind mended the net.", "He thinks that it will hold."]
    assert of_others("Runa Tveit", said) == [1]


def test_an_office_speaks_behind_a_quote_for_whom_the_sentence_before_spoke_of():
    said = ["Otto Lind rejected this.", '"A net is a net," the chairman told reporters.']
    assert of_others("Runa Tveit", said) == [0, 1]
    assert of_others("Otto Lind", said) == []


def test_whoever_adds_something_at_the_end_of_a_sentence_goes_on():
    assert of_others("Runa Tveit", ["Otto Lind asked for pay.", "The strike would last, he added."]) == [0, 1]


def test_what_somebody_told_the_writer_is_that_persons():
    told = [
        "I met Otto Lind, and I asked.",
        "Otto Lind told me over coffee that it was wet.",
        '"I would dry it," he said.',
    ]
    assert of_others("the Brevik Post", told, source="Brevik Post") == [1, 2]


def test_a_body_is_not_the_person_who_spoke_before_it():
    told = ["Governor Oda welcomed this.", "The company said that it had paid."]
    assert of_others("Governor Oda", told) == [1]


def test_what_is_so_according_to_another_is_that_ones():
    told = ["According to Brook, the company can pay.", "In Brook's view it will."]
    assert of_others("Runa Tveit", told) == [0, 1]


def test_whoever_heads_a_body_speaks_for_it_behind_its_words():
    told = ["Halden Terminals called this reckless.", "Its head, Viktor Brandt, said that it would cost 12 million."]
    assert of_others("Halden Terminals", told) == []


def test_what_is_told_of_the_partys_words_is_not_anothers():
    assert of_others("Shen Guo", ["Morita told the paper that Shen Guo had called them a chip."]) == []


def test_a_sentence_behind_a_gap_goes_on_with_nothing():
    made, spans = article(["Otto Lind asked for pay.", "The harbour was shut.", "He would wait."])
    assert words_of_others("Runa Tveit", made, [spans[0], spans[2]]) == {spans[0]}


def test_whom_an_office_stands_before_is_known_by_the_surname():
    assert (
        of_others("Prime Minister Aramaki", ["Prime Minister Kenji Aramaki demanded this.", "Aramaki said so."]) == []
    )


def test_whom_a_piece_in_the_first_person_tells_of_may_be_the_party():
    told = [
        "I met them on the quay, and I asked.",
        "She calls it right.",
        "The rule is right in her view.",
        "Rules stay.",
    ]
    assert of_others("Runa Tveit", told, author="Otto Lind") == [0, 3]


def test_in_minutes_what_stands_behind_no_label_is_nobodys():
    told = [*MINUTES[:3], "I am for it, and so is my wife.\n\n", "The motion was lost."]
    assert 4 not in of_others("Tveit", told, title="Minutes")


@given(
    st.lists(st.sampled_from([*REPORT, *OPINION, *MINUTES, *INTERVIEW, *TALKS]), max_size=12),
    st.sampled_from(["Tveit", "Otto Lind", "China", "the mayor", "nobody"]),
)
def test_what_names_the_party_as_its_speaker_is_never_anothers(sentences, party):
    made, spans = article(sentences)
    others = words_of_others(party, made, spans)
    assert others <= set(spans)
    for span in others:
        assert not re.match(rf"{party} (?:says|said|demanded|reported)\b", made.text[span.start : span.end])
