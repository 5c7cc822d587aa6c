import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import answering
from rag.answering.questions import Kind, Wanted, analyse, names_nothing


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many enterprises did Japan establish?", Kind.FACT),
        ("How long did the talks last?", Kind.FACT),
        ("When did they meet?", Kind.FACT),
        ("Who said so?", Kind.FACT),
        ("How sharply did exports fall?", Kind.FACT),
        ("Which country came first among the sources of visitors?", Kind.FACT),
        ("What do the sources say?", Kind.VIEWS),
        ("How exactly did exports fall?", Kind.EXPLANATION),
        ("Why did China ban Japanese seafood?", Kind.EXPLANATION),
        ("How did Japan react to the ban?", Kind.EXPLANATION),
        ("What led to the ban?", Kind.EXPLANATION),
        ("为什么中国禁止进口水产品?", Kind.EXPLANATION),
        ("なぜ中国は輸入を禁止したのですか", Kind.EXPLANATION),
        ("Did the summit bring a solution?", Kind.YES_NO),
        ("中国禁止进口水产品吗?", Kind.YES_NO),
        ("How do the articles differ on the water release?", Kind.VIEWS),
        ("What do analysts say about the ban?", Kind.VIEWS),
    ],
)
def test_the_kind_says_how_much_of_an_answer_is_needed(question, kind):
    assert analyse(question).kind is kind


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("How many enterprises did Japan establish?", Wanted.NUMBER),
        ("What percentage of firms plan to expand?", Wanted.NUMBER),
        ("How steeply did exports fall?", Wanted.NUMBER),
        ("有多少人?", Wanted.NUMBER),
        ("When did they meet?", Wanted.DATE),
        ("In which year was the treaty signed?", Wanted.DATE),
        ("いつ会談しましたか", Wanted.DATE),
        ("Who met Wang Yi?", Wanted.NAME),
        ("Which city hosted the forum?", Wanted.NAME),
        ("谁访问了北京?", Wanted.NAME),
        ("What was agreed?", Wanted.ANYTHING),
    ],
)
def test_what_is_wanted_says_what_an_answer_contains(question, wanted):
    assert analyse(question).wanted is wanted


@given(st.text())
def test_any_text_is_some_question(text):
    assert analyse(text).kind in Kind


def test_what_answering_offers_is_found_in_its_modules():
    assert all(getattr(answering, name).__module__.startswith("rag.answering.") for name in answering.__all__)
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = answering.nothing_here


@pytest.mark.parametrize(
    "question",
    ["Who said so?", "why?", "WHY?", "And in 2024?", "In May?", "And last year?", "When exactly?", "Tell me more",
     "What did he say about it?", "How are you?", "谁说的？",
     "为什么？", "那2024年呢？", "なぜですか？", "誰がそう言いましたか？"],
)  # fmt: skip
def test_words_that_ask_and_point_alone_name_nothing(question):
    assert names_nothing(question)


@pytest.mark.parametrize(
    "question",
    ["What happened in 2024?", "So what happened in May?", "2024", "What did the WHO say?", "Who is Will?",
     "What is IT?", "Did he agree?", "What about exports?", "Why seafood?", "那日本呢？",
     "谁说贸易会增长？", "なぜ輸出は減りましたか？", "", "?!"],
)  # fmt: skip
def test_a_question_with_a_word_of_its_own_names_something(question):
    assert not names_nothing(question)


@given(st.text(max_size=40), st.sampled_from(["seafood", "Blazek", "exports", "Zölle"]))
def test_no_question_with_a_noun_names_nothing(around, noun):
    assert not names_nothing(f"{around} {noun} {around}")
