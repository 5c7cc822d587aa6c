"""What a model writes: only claims that the evidence supports are left, each with the sentences that carry it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering import Checker, Finding, Reading, Verdict
from rag.answering.written import check_answer, draft_answer
from rag.records import Article, Hit, Passage, Span

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
