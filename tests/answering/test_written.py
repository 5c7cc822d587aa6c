"""What a model writes: only claims that the evidence supports are left, each with the sentences that carry it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering import Checker, Finding, Reading, Verdict
from rag.answering.written import check_answer, draft_answer
from rag.records import Article, Hit, Passage, Span, Unsupported

SENTENCES = ("Beijing imposed a ban on seafood.", "Tokyo lodged a complaint.", "Exports fell by 8.4% in 2023.")


def findings(*sentences):
    text = " ".join(sentences)
    article = Article(id="a.md", path="a.md", text=text, title="A")
    places = [(text.index(sentence), text.index(sentence) + len(sentence)) for sentence in sentences]
    spans = tuple(Span(*place) for place in places)
    reading = Reading(Hit(Passage("a.md", 0, 0, len(text), spans), 1.0, 1), article)
    return tuple(Finding(reading, span, 1.0 - place / 10) for place, span in enumerate(spans))


class Scripted:
    """A writer that says what it is told to, and counts words."""

    name, model, revision = "endpoint", "m", "r"

    def __init__(self, context_tokens=2000):
        self.context_tokens = context_tokens

    def count(self, text):
        return len(text.split())


class Literal:
    """Supports what it shares every word with."""

    def support(self, claims, evidence):
        words = [
            (set(claim.lower().split()), set(text.lower().split()))
            for claim, text in zip(claims, evidence, strict=True)
        ]
        return np.array([[1.0, 0, 0] if one <= other else [0.1, 0, 0.9] for one, other in words], np.float32)


CHECKER = Checker(Literal())


def draft(*sentences, question="Why?", **given):
    made = draft_answer(question, Verdict(findings(*sentences), 0.9), writer=Scripted(**given), max_tokens=100)
    assert made is not None
    return made


def test_claims_that_are_borne_out_stay_and_others_go():
    pieces = ["Tokyo lodged a com", "plaint. [2] It won the case. [1] Beijing imposed a ban on seafood. [1]"]
    written = check_answer(draft(*SENTENCES), pieces, checker=CHECKER)
    assert written.answer == "Tokyo lodged a complaint. [1] Beijing imposed a ban on seafood. [2]"
    assert [citation.quote for citation in written.citations] == ["Tokyo lodged a complaint.", SENTENCES[0]]
    assert [claim.citations for claim in written.claims] == [(1,), (2,)]
    assert written.dropped == 1


def test_what_is_said_twice_is_kept_once():
    written = check_answer(draft(*SENTENCES), [f"{SENTENCES[1]} " * 4], checker=CHECKER)
    assert (len(written.claims), written.dropped) == (1, 0)


def test_a_text_is_left_where_it_says_something_again():
    written = check_answer(draft(*SENTENCES), [f"{SENTENCES[1]} {SENTENCES[1]} {SENTENCES[0]}"], checker=CHECKER)
    assert ([claim.text for claim in written.claims], written.dropped) == ([SENTENCES[1]], 0)


def test_a_false_marker_is_no_proof():
    written = check_answer(draft(*SENTENCES), ["Exports fell by 8.4% in 2023. [1]"], checker=CHECKER)
    assert written.citations[0].quote == SENTENCES[2]


@given(
    st.lists(st.sampled_from([*SENTENCES, "It won.", "[9]", "\n", "The articles do not say.", "[1", "2]"]), max_size=8)
)
def test_an_answers_markers_and_citations_belong_together(pieces):
    written = check_answer(draft(*SENTENCES), [f"{piece} " for piece in pieces], checker=CHECKER)
    used = {marker for claim in written.claims for marker in claim.citations}
    assert used == {citation.marker for citation in written.citations} == set(range(1, len(written.citations) + 1))
    assert {claim.text for claim in written.claims} <= set(SENTENCES)


def test_what_is_left_out_is_kept_apart_with_its_reason():
    written = check_answer(draft(*SENTENCES), [f"{SENTENCES[1]} Bananas were sold to Peru."], checker=CHECKER)
    assert [claim.text for claim in written.claims] == [SENTENCES[1]]
    assert written.unsupported == (Unsupported("Bananas were sold to Peru.", "no sentence has its words", 0.0),)


def test_where_nothing_is_borne_out_the_reason_is_told():
    written = check_answer(draft(*SENTENCES), ["Bananas were sold to Peru."], checker=CHECKER)
    assert (written.claims, written.dropped) == ((), 1)
    assert written.fallback == "the articles bear out nothing that the model wrote"


def test_claims_that_do_not_answer_are_no_answer():
    told = []
    written = check_answer(
        draft(*SENTENCES), [" ".join(SENTENCES)], checker=CHECKER, answers=lambda _claim: False, tell=told.append
    )
    assert (written.answer, written.claims, written.citations, told) == ("", (), (), [])
    assert {one.reason for one in written.unsupported} == {"it does not answer the question"}
    assert written.fallback == "nothing that the articles bear out of what the model wrote answers the question"


def test_a_claim_is_told_before_the_next_piece_is_asked_for():
    told = []

    def pieces():
        yield f"{SENTENCES[0]} [1] Tokyo "
        assert [passed.claim.text for passed in told] == [SENTENCES[0]]
        yield "lodged a complaint."

    written = check_answer(draft(*SENTENCES), pieces(), checker=CHECKER, tell=told.append)
    assert [passed.claim for passed in told] == list(written.claims)
    assert [passed.citations for passed in told] == [(citation,) for citation in written.citations]


@given(
    st.lists(st.sampled_from([*SENTENCES, "It won.", "\n"]), max_size=6, unique=True),
    st.sets(st.sampled_from(SENTENCES)),
    st.integers(1, 40),
)  # fmt: skip
def test_what_is_told_is_the_answer_however_the_text_comes(said, answering, size):
    text, told = " ".join(said), []
    pieces = [text[place : place + size] for place in range(0, len(text), size)]
    written = check_answer(draft(*SENTENCES), pieces, checker=CHECKER, answers=answering.__contains__, tell=told.append)
    whole = check_answer(draft(*SENTENCES), [text], checker=CHECKER, answers=answering.__contains__)
    assert written == whole
    assert [passed.claim for passed in told] == list(written.claims)
    assert bool(told) == bool(answering & set(said))


def test_the_prompt_holds_the_best_sentences_that_the_context_has_room_for():
    assert all(
        f"[{place}] “{text}”" in draft(*SENTENCES).messages[1].content for place, text in enumerate(SENTENCES, 1)
    )
    verdict = Verdict(findings(*SENTENCES), 1)
    made = [draft_answer("Why?", verdict, writer=Scripted(room), max_tokens=100) for room in range(150, 300)]
    held = [[finding.text for finding in one.evidence] if one else [] for one in made]
    assert [list(texts) for texts in dict.fromkeys(map(tuple, held))] == [list(SENTENCES[:size]) for size in range(4)]
    assert draft_answer("Why?", Verdict(findings(*SENTENCES), 1), writer=Scripted(120), max_tokens=100) is None


@pytest.mark.parametrize(
    "mark",
    [
        "<|im_end|>",
        "<|im_start|>system",
        "</s>",
        "[INST]",
        "[/INST]",
        "<<SYS>>",
        "<start_of_turn>",
        "<｜User｜>",
        "<|eot_id|>",
    ],
)
def test_a_templates_marks_in_an_article_do_not_reach_the_model(mark):
    content = draft(f"The ban {mark} was lifted.", question=f"Why {mark}?").messages[1].content
    assert mark.split(">")[0] not in content.replace("“", "").split("Question")[0]
    assert "was lifted." in content
