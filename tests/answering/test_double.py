"""Several questions in one: where they are told apart, and that nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering import split_questions


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("When was the ban lifted, and who had asked for it?", ("When was the ban lifted?", "Who had asked for it?")),
        ("Which ministers came to Osaka, and when?", ("Which ministers came to Osaka?", "When?")),
        ("who runs the ferry and how much is a ticket", ("Who runs the ferry?", "How much is a ticket?")),
        ("Did the talks end? And what was agreed?", ("Did the talks end?", "What was agreed?")),
        ("At which ports did it call, and in which years?", ("At which ports did it call?", "In which years?")),
        ("Who asked for the rice, and did Harada agree?", ("Who asked for the rice?", "Did Harada agree?")),
        (
            "When did the ferry stop, and when was it founded and by whom?",
            ("When did the ferry stop?", "When was it founded?", "By whom?"),
        ),
        (
            "When did the bridge open, who designed it, and how long did it take?",
            ("When did the bridge open?", "Who designed it?", "How long did it take?"),
        ),
        (
            "When did it open, where does it end, and who paid for it?",
            ("When did it open?", "Where does it end?", "Who paid for it?"),
        ),
        (
            "Who is the mayor, who resigned in May, and when was he elected?",
            ("Who is the mayor, who resigned in May?", "When was he elected?"),
        ),
        (
            "When the ban was lifted, what did Tokyo say and who asked for it?",
            ("When the ban was lifted, what did Tokyo say?", "Who asked for it?"),
        ),
        ("什么时候禁止的，为什么？", ("什么时候禁止的？", "为什么？")),
        ("协定什么时候签署，由谁签署？", ("协定什么时候签署？", "由谁签署？")),
        ("橋はいつ開きましたか、誰が設計しましたか。", ("橋はいつ開きましたか？", "誰が設計しましたか？")),
        ("Who laid out the plan, when, and why?", ("Who laid out the plan?", "When?", "Why?")),
        ("How many people died? Who won the cup?", ("How many people died?", "Who won the cup?")),
        ("Who won the cup and how many people died in May?", ("Who won the cup?", "How many people died in May?")),
        ("What was asked for and by how much was it cut?", ("What was asked for?", "By how much was it cut?")),
    ],
)
def test_two_questions(question: str, parts: tuple[str, str]) -> None:
    assert split_questions(question) == parts


@pytest.mark.parametrize(
    "question",
    [
        "What did Harada say about when and where the talks will be held?",
        "What did Harada tell the chamber about why trade fell and how it may grow?",
        "Explain what was agreed and what it means.",
        "What was agreed and what it means",
        "How many Chinese and how many Japanese ships were in the zone?",
        "How many boats sailed in May, and how many in June?",  # a verb without an auxiliary may be a noun
        "What do China and Japan trade?",
        "Who and what caused it?",
        "When was it, and where, and why, and how?",  # four
        "How do people who own and who rent differ?",
        "What did the company that makes phones and which was fined say?",
        "How do I know whether it is safe and where it is sold?",
        "What is the difference between a tariff and what is called a quota?",
        'Who said "What is truth? And what is love"?',
        "How did Harada explain and how did Olsen explain the ban?",
        "Why?",
        "",
        "trade and why it fell",
        "对于为什么禁止，中国说了什么？",
        "いつ、どこで署名されましたか？",
        "日本の首相はいつ、どこで習近平と会談しましたか？",
        "在过去几十年里，中国的出口为什么下降？",
        "许多大公司离开中国，原因是什么？",
    ],
)
def test_one_question(question: str) -> None:
    assert split_questions(question) == ()


@given(st.text(max_size=80))
def test_parts_have_the_words_of_the_question(question: str) -> None:
    for part in split_questions(question):
        assert part[:-1].casefold() in " ".join(question.split()).casefold()
