import random

import pytest

from training.examples import (
    CONTRADICTS,
    NEITHER,
    Example,
    alter_claim,
    build_pair,
    cut_window,
    edit_question,
    list_names,
    negate,
    pick_share,
    replace_name,
    replace_number,
    replace_opposite,
    replace_year,
    shorten_claim,
    split_sentences,
)

TEXT = "The bridge opened in 1932. It was designed by John Bradfield. Dr. Smith paid 4,200 pounds! Was it much? Yes."


def slices(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


def test_sentences_end_at_marks_but_not_at_abbreviations():
    assert slices(TEXT) == [
        "The bridge opened in 1932.",
        "It was designed by John Bradfield.",
        "Dr. Smith paid 4,200 pounds!",
        "Was it much?",
        "Yes.",
    ]


def test_sentences_of_an_empty_text_are_none():
    assert split_sentences("  \n ") == ()


@pytest.mark.parametrize("max_words", [1, 6, 12, 100])
def test_window_holds_what_it_is_cut_around(max_words):
    start = TEXT.index("John")
    window = cut_window(TEXT, around=(start, start + 4), max_words=max_words, rng=random.Random(1))
    assert window[0] <= start < start + 4 <= window[1]
    assert TEXT[window[1] - 1] in ".!?"


def test_window_grows_while_there_is_room():
    start = TEXT.index("John")
    assert cut_window(TEXT, around=(start, start + 4), max_words=100, rng=random.Random(1)) == (0, len(TEXT))


def test_year_is_moved_to_one_that_the_passage_does_not_name():
    changed = replace_year("what opened in 1932?", avoid="1932 1933 1931", rng=random.Random(3))
    assert changed is not None
    assert changed.startswith("what opened in ")
    assert changed[-5:-1] not in {"1931", "1932", "1933"}


def test_number_keeps_its_form():
    changed = replace_number("paid 4,200 pounds", avoid="4,200", rng=random.Random(3))
    assert changed is not None
    assert changed != "paid 4,200 pounds"
    assert "," in changed


def test_name_is_replaced_whatever_its_case():
    changed = replace_name(
        "who hired john bradfield?", names=["John Bradfield"], others=["Mary Lee"], avoid="", rng=random.Random(1)
    )
    assert changed == "who hired Mary Lee?"


def test_name_that_the_passage_holds_is_no_replacement():
    assert replace_name("who is Ann?", names=["Ann"], others=["Bob"], avoid="with Bob", rng=random.Random(1)) is None


def test_opposite_turns_both_ways():
    assert replace_opposite("prices rose", rng=random.Random(1)) == "prices fell"
    assert replace_opposite("prices fell", rng=random.Random(1)) == "prices rose"


def test_negation_is_put_in_and_taken_out():
    assert negate("It was much.") == "It was not much."
    assert negate("It was not much.") == "It was much."
    assert negate("Prices rose.") is None


def test_altered_name_may_contradict_or_leave_open():
    altered = alter_claim(
        "Work was led by Mary Lee.", way="name", passage="Work was led by Mary Lee.", other_names=["Ann Ray"],
        rng=random.Random(1),
    )  # fmt: skip
    assert altered == ("Work was led by Ann Ray.", CONTRADICTS | NEITHER)


def test_altering_in_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="colour"):
        alter_claim("It is.", way="colour", passage="It is.", other_names=[], rng=random.Random(1))


def test_edited_question_names_its_way():
    edited = edit_question("what opened in 1932?", passage=TEXT, other_names=[], rng=random.Random(1))
    assert edited is not None
    assert edited[1] == "year"


def test_first_word_of_a_sentence_alone_is_no_name():
    assert list_names("Prices rose. They met John Bradfield in Sydney.") == ["John Bradfield", "Sydney"]


def test_shortened_claim_has_no_brackets():
    assert shorten_claim("The bridge (1932) is long.", rng=random.Random(1)) == "The bridge is long."


def test_span_moves_with_window_and_header():
    start = TEXT.index("John")
    for seed in range(20):
        example = build_pair(
            source="s", kind="k", question="Who?", text=TEXT, window=(27, 61), title="Bridge",
            spans=[(start, start + 4)],
            answerable=True, rng=random.Random(seed),
        )  # fmt: skip
        assert example.passage[slice(*example.spans[0])] == "John"
        assert example.header_size == len(example.passage) - 34
        assert example.question == "who?"


def test_span_in_the_header_is_refused():
    with pytest.raises(ValueError, match="outside"):
        Example(source="s", kind="k", question="q", passage="Title. Text", header_size=7, spans=((0, 5),))


def test_share_depends_on_the_key_alone():
    assert pick_share("a") == pick_share("a") != pick_share("b")
    assert 0 <= pick_share("a") < 1
