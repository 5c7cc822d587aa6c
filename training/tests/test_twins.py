import json
from collections import Counter

import pytest

from rag.answering import Finding, Verdict
from rag.models.reader import SHIPPED, Reader
from training.twins import CASES, KINDS, ask_cases, figures, lay_out, make_judge, read_cases

# Of the 16 cases of each kind, how many the answerer must get right. Raise these when a reader does better.
FLOORS = {"direction": 15, "amount": 14, "date": 15, "negation": 16}


class ChoosingJudge:
    """A judge that takes the sentence of a fixed number."""

    name = model = revision = "choosing"

    def __init__(self, number):
        self.number = number

    def judge(self, _question, readings):
        (reading,) = readings
        span = reading.hit.passage.sentences[self.number]
        return Verdict((Finding(reading, span, 1.0),), 0.5)


def test_every_kind_has_sixteen_cases_and_every_passage_is_asked_for_both_twins():
    cases = read_cases()
    assert Counter(case.kind for case in cases) == dict.fromkeys(KINDS, 16)
    assert Counter((case.title, case.right, case.twin) for case in cases) == Counter(
        (case.title, case.twin, case.right) for case in cases
    )
    assert len({case.question for case in cases}) == len(cases)
    assert all(case.right < len(case.sentences) and case.twin < len(case.sentences) for case in cases)


def test_a_passage_is_laid_out_so_that_spans_slice_its_sentences():
    for case in read_cases():
        reading, spans = lay_out(case)
        assert [reading.article.text[span.start : span.end] for span in spans] == list(case.sentences)


def test_whoever_always_takes_the_same_twin_is_right_for_half():
    cases = [case for case in read_cases() if {case.right, case.twin} == {1, 2}]
    found = figures(list(ask_cases(ChoosingJudge(1), cases)))
    assert found["all"].value == 0.5
    assert (found["all"].n, found["neither twin"].value) == (len(cases), 0)
    assert figures(list(ask_cases(ChoosingJudge(3), cases)))["neither twin"].value == 1


@pytest.mark.parametrize("change", [{"kind": "warmth"}, {"questions": [["one?", 1], ["other?", 1]]}])
def test_a_case_that_asks_for_no_twin_is_refused(tmp_path, change):
    row = json.loads(CASES.read_text(encoding="utf-8").splitlines()[0]) | change
    (tmp_path / "cases.jsonl").write_text(json.dumps(row))
    with pytest.raises(ValueError, match="line 1 of cases"):
        read_cases(tmp_path / "cases.jsonl")


@pytest.fixture(scope="module")
def outcomes():
    return list(ask_cases(make_judge(Reader(SHIPPED)), read_cases()))


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_reader_sees_the_word_that_decides(outcomes, kind):
    wrong = [outcome.case.question for outcome in outcomes if outcome.case.kind == kind and not outcome.right]
    assert 16 - len(wrong) >= FLOORS[kind], wrong
