"""The benchmark of the reader: lines with their goals, and the parts that need no data."""

import json
from types import SimpleNamespace

import pytest

from benchmarks import reader
from benchmarks.reader import Line, answerable_auroc, line, report
from rag.evaluation.statistics import estimate_mean
from training.measures import Figure


def test_a_line_says_whether_it_reaches_its_goal():
    assert line("squad", "F1", Figure(0.83, 0.8, 0.86, 9), least=0.82).met is True
    assert line("squad", "F1", Figure(0.81, 0.8, 0.86, 9), least=0.82).met is False
    assert line("seeds", "declined", Figure(0.05, 0.0, 0.1, 9), most=0.04).met is False
    assert line("wice", "auroc", Figure(0.7, 0.6, 0.8, 9)).met is None


def test_the_table_has_n_interval_and_goal():
    text = report([Line("squad", "F1", 0.8125, 0.79, 0.83, 12, "≥ 0.82", met=False)])
    assert text.splitlines()[-1] == "| squad | F1 | 0.812 (0.790–0.830) | 12 | ≥ 0.82 | no |"


def test_the_confidence_tells_what_can_be_answered():
    results = [
        SimpleNamespace(withheld=SimpleNamespace(confidence=confidence), gold=SimpleNamespace(answerable=answerable))
        for confidence, answerable in ((0.9, True), (0.4, True), (0.5, False), (0.1, False), (0.7, None))
    ]
    assert answerable_auroc(results).value == pytest.approx(3 / 4)
    assert answerable_auroc(results).n == 4


def test_lines_are_taken_at_even_distances(tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(f"{number}\n" for number in range(10)))
    with reader._thinned(tmp_path, ["rows.jsonl"], 3) as folder:
        assert (folder / "rows.jsonl").read_text().split() == ["0", "3", "6"]
    with reader._thinned(tmp_path, ["rows.jsonl"], 0) as folder:
        assert len((folder / "rows.jsonl").read_text().split()) == 10


def test_parts_without_their_data_are_named_and_left_out(tmp_path, capsys):
    out = tmp_path / "out" / "lines.json"
    assert reader.main(["--only", "squad", "wice", "--data", str(tmp_path), "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "squad is left out" in told.err
    assert reader.main(["--only", "squad", "--reader", str(tmp_path)]) == 0
    assert "no reader of this project's own form" in capsys.readouterr().err
    assert json.loads(out.read_text()) == []


def test_a_sample_without_an_unanswerable_question_leaves_that_line_out(monkeypatch):
    question = SimpleNamespace(metadata={"kind": "factoid"})
    result = SimpleNamespace(
        question=question, gold=SimpleNamespace(answerable=True), measures={"right": 1.0, "EM": 1.0}
    )
    found = SimpleNamespace(results=[result], measures={"declined_answerable": estimate_mean([0.0])})
    for name in ("read_dataset", "limited", "_without_reader", "replace"):
        monkeypatch.setattr(reader, name, lambda *_, **__: None)
    monkeypatch.setattr(reader, "_scored", lambda *_: found)
    bench = SimpleNamespace(split="dev", sample=1, config=None, encoder=lambda: None)
    told = [one.what for one in reader.seeds(bench)]
    assert "answerable declined" in told
    assert "unanswerable declined" not in told
