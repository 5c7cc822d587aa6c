from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.claims import ClaimCutter, Drafted, until_it_repeats


def cut(*pieces):
    cutter = ClaimCutter()
    return [claim for piece in pieces for claim in cutter.feed(piece)] + cutter.close()


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("It opened in 1931. It closed.", ["It opened in 1931.", "It closed."]),
        ("Trade fell 8.4 percent on Nov. 16. Mr. Li of the U.S. Treasury agreed.", 2),
        ("It is No. 1. Dr. J. Smith said so.", ["It is No. 1.", "Dr. J. Smith said so."]),
        ("中国禁止进口。日本抗议了。", ["中国禁止进口。", "日本抗议了。"]),
        ("彼は「行く。」と言った。次の文です。", ["彼は「行く。」と言った。", "次の文です。"]),
        ("- **One** claim here\n- Another claim\n", ["One claim here", "Another claim"]),
        ("## Heading\n1. First thing.\n2) Second thing.", ["Heading", "First thing.", "Second thing."]),
        ("", []),
        (" \n\n ** \n", []),
    ],
)
def test_text_is_cut_into_sentences(text, claims):
    found = [claim.text for claim in cut(text)]
    assert (len(found) if isinstance(claims, int) else found) == claims


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("It opened [1]. It closed. [2]", [Drafted("It opened.", (1,)), Drafted("It closed.", (2,))]),
        ("It opened.[1]It closed [2, 3].", [Drafted("It opened.", (1,)), Drafted("It closed.", (2, 3))]),
        ("It opened【1】【4】. It closed.", [Drafted("It opened.", (1, 4)), Drafted("It closed.")]),
        ("[2] It opened in May [2][1].", [Drafted("It opened in May.", (2, 1))]),
        ("It opened [1-3].", [Drafted("It opened.", (1, 2, 3))]),
        ("It opened [1-2-4].", [Drafted("It opened.", (1, 2, 4))]),
        ("它开放了[1]。它关闭了。【2】", [Drafted("它开放了。", (1,)), Drafted("它关闭了。", (2,))]),
        ("The law [sic] of [2023] stands.", [Drafted("The law [sic] of [2023] stands.")]),
    ],
)
def test_markers_become_hints_of_the_sentence_that_they_stand_in_or_behind(text, claims):
    assert cut(text) == claims


def test_a_claim_is_given_out_when_the_next_word_has_come():
    cutter = ClaimCutter()
    assert cutter.feed("It opened in 1931. [1] I") == []
    assert cutter.feed("t ") == [Drafted("It opened in 1931.", (1,))]


def test_a_line_that_ends_ends_its_claim():
    assert ClaimCutter().feed("It opened\n") == [Drafted("It opened")]


def test_characters_that_are_not_seen_are_left_out():
    assert cut("It\u200b op\u202eened\u0007 here.") == [Drafted("It opened here.")]


PARTS = [
    "It opened", " in 1931", ". ", "[1]", " [2, 3]", "Mr. Li", " of the U.S.", " agreed", "\n", "- ", "8.4 ", "%",
    "中国禁止", "进口", "。", "「行く。」と", "“No.”", "【1】", "**", "! ", "e.g. ", "[", "…", " ",
]  # fmt: skip
TEXT = st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=25).map("".join)


@given(TEXT, st.lists(st.integers(0, 60)))
def test_the_claims_do_not_depend_on_the_pieces(text, cuts):
    edges = [0, *sorted(edge for edge in cuts if edge < len(text)), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    assert cut(*pieces) == cut(text) == cut(*text)


@given(TEXT)
def test_no_word_is_lost_but_markers_and_numbers_of_lists(text):
    plain = text.replace("- ", "")
    letters = [character for character in plain if character.isalpha()]
    assert [c for claim in cut(plain) for c in claim.text if c.isalpha()] == letters


@pytest.mark.parametrize(
    "circle",
    [
        "The ban was lifted. ",
        "The ban was lifted, and then the ban was ",
        "和平与发展，以及人民之间的交流与合作，",
        "- It fell\n",
    ],
)
def test_a_text_that_goes_round_is_left(circle):
    def endless():
        while True:
            yield circle

    said = "".join(until_it_repeats(endless()))
    assert said.startswith(circle)
    assert len(said) <= 6 * max(len(circle), 20)


@given(
    st.lists(st.sampled_from(["It fell. ", "It rose [1]. ", "Why? ", "a ", "\n", "他去了。", "No. 1 "]), max_size=12),
    st.integers(1, 9),
)
def test_where_it_is_left_does_not_depend_on_the_pieces(words, size):
    text = "".join(words)
    whole = "".join(until_it_repeats([text]))
    assert "".join(until_it_repeats(text[place : place + size] for place in range(0, len(text), size))) == whole
    assert text.startswith(whole)
    claims = [claim.text.casefold() for claim in cut(text)]
    found = [claim.text.casefold() for claim in cut(whole)]
    assert found[:-1] == claims[: max(len(found) - 1, 0)]
    if len(set(claims)) == len(claims):
        assert whole == text


def test_no_more_is_asked_of_a_model_that_goes_round():
    asked = iter(["It fell. ", "It fell. ", "It", " never", " ends."])
    assert "".join(until_it_repeats(asked)) == "It fell. It fell. It "
    assert next(asked) == " ends."
