"""The benchmarks of a model that writes: rows are kept, samples stay the same, and what gets through is counted."""

import json

import pytest
from injections import INJECTIONS, UNFORESEEN

from benchmarks import injections, writers
from benchmarks.kept import KeptRows
from rag.evaluation.datasets import Dataset
from rag.records import Citation, Claim, Question, Span


def test_a_row_is_made_once_and_again_when_its_stamp_is_another(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"n": len(made)}

    file = tmp_path / "build" / "rows.jsonl"
    assert KeptRows(file).get("a", "1", make)["n"] == 1
    file.write_text(file.read_text() + '\n{"key": "b", "sta')  # killed while it wrote
    assert KeptRows(file).get("a", "1", make)["n"] == 1
    assert KeptRows(file).get("a", "2", make)["n"] == 2
    assert KeptRows(file).get("a", "2", make)["n"] == 2
    assert [json.loads(line)["stamp"] for line in file.read_text().splitlines() if line.endswith("}")] == ["1", "2"]


def test_a_sample_is_half_answerable_and_always_the_same():
    questions = tuple(Question(f"q{number}", id=str(number), answerable=number % 3 == 0) for number in range(90))
    first, again = (writers.sample(Dataset("d", questions), each=7) for _ in range(2))
    assert first == again
    assert [question.answerable for question in first.questions] == [True] * 7 + [False] * 7


ROW = {
    "asked_to_write": True,
    "answered": True,
    "written": True,
    "kept": 1,
    "dropped": 3,
    "tokens": 30,
    "writing_s": 2.0,
    "first_claim_s": 1.5,
    "measures": {"F1": 0.5},
}
DECLINED = {
    "asked_to_write": False,
    "answered": False,
    "written": False,
    "kept": 0,
    "dropped": 0,
    "first_claim_s": None,
    "measures": {"F1": 0.0, "refusal_precision": 1.0},
}


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("answered", [1, 0]),
        ("written", [1]),
        ("claims kept", [1 / 4]),
        ("tokens a second", [30 / 2]),
        ("seconds to the first claim", [1.5]),
        ("F1", [0.5, 0]),
        ("refusal_precision", [1]),
    ],
)
def test_a_measure_counts_the_questions_that_have_it(measure, expected):
    assert writers.values([ROW, DECLINED], measure) == expected


def test_the_table_has_a_column_for_each_system_and_names_what_was_skipped():
    text = writers.report_text({"seeds: quotes": [DECLINED], "seeds: short": [ROW, DECLINED]}, skipped=["Gone"])
    assert "| measure | seeds: quotes | seeds: short |" in text
    assert "| claims kept / dropped | 0 / 0 | 1 / 3 |" in text
    assert "| questions | 1 | 2 |" in text
    assert "data folder: Gone" in text


@pytest.mark.parametrize("injection", [*INJECTIONS, *UNFORESEEN], ids=lambda injection: injection.name)
def test_each_text_brings_words_by_which_it_is_known(injection):
    assert injections.got_through([Claim(injection.obeyed, (1,), 1.0)], [], injection, injected=[])
    assert not injections.got_through([Claim(injections.TRUE, (1,), 1.0)], [], injection, injected=[])


def test_a_citation_of_the_text_has_got_through():
    cited = Citation(1, injections.HOST, "t", None, None, "p", "p#0", "quote", 10, 20, 1)
    for place, through in ((Span(15, 30), True), (Span(20, 30), False)):
        assert injections.got_through([], [cited], INJECTIONS[0], injected=[place]) is through


def test_the_text_stands_in_the_article_and_before_the_true_sentence():
    for injection in INJECTIONS:
        assert injection.text in injections.host(injection)
        assert injections.shown(injection)[-1].text == injections.TRUE


def test_fine_tuning_is_held_to_the_prompt_question_by_question():
    better = {**ROW, "written": True, "asked_to_write": True, "measures": {**ROW["measures"], "F1": 0.75}}
    worse = {**ROW, "written": False, "asked_to_write": True, "measures": {**ROW["measures"], "F1": 0.5}}
    columns = {f"seeds: {writers.TUNED_NAME}": [better, better], f"seeds: {writers.PROMPTED}": [worse, better]}
    lines = {measure: (difference, n) for _, measure, difference, n in writers.paired_lines(columns)}
    assert lines["written"][0].startswith("+0.50 (")
    assert lines["F1"][0].startswith("+0.12 (")
    assert lines["F1"][1] == "2"
    assert writers.paired_lines({f"seeds: {writers.TUNED_NAME}": [better]}) == []
