"""The quality benchmark: rows are kept one by one, taken up again, and measured anew when they are out of date."""

import json
from dataclasses import replace

import pytest

from benchmarks import quality
from rag.answering.matching import MatchingJudge
from rag.config import Config, Reader, Retrieval
from rag.evaluation.datasets import Dataset, Document
from rag.progress import SILENT
from rag.records import Evidence, Question

DOCUMENTS = (
    Document("bridge one", "Bridge", "The old bridge opened in 1999."),
    Document("ferry", "Ferry", "The ferry sank in Linz."),
)
QUESTIONS = tuple(
    Question(text, id=name, answers=(answer,), evidence=(Evidence(article, quote),), answerable=True)
    for name, text, answer, article, quote in (
        ("q1", "When did the old bridge open?", "1999", "bridge one", "The old bridge opened in 1999."),
        ("q2", "Where did the ferry sink?", "Linz", "ferry", "The ferry sank in Linz."),
        ("q3", "zebra quagga", "Linz", "ferry", "The ferry sank in Linz."),
    )
)
QRELS = {"q1": {"bridge one": 1}, "q2": {"ferry": 1}, "q3": {"ferry": 1}}


@pytest.fixture
def measured_rows(tmp_path, monkeypatch, word_encoder):
    """Measure two questions about two articles, and return which rows were measured now and all that are kept."""
    monkeypatch.setenv("RAG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(quality, "encoder_of", lambda _config, _notify: word_encoder)
    known = {"questions": QUESTIONS[:2]}

    def read(_data):
        return Dataset("tiny", known["questions"], QRELS, DOCUMENTS)

    tiny = quality.Set("Tiny", "two articles", read, answers=True)
    monkeypatch.setattr(quality, "SETS", {"tiny": tiny})
    config = Config(folder=tmp_path, reader=Reader(model="none"))

    def run(*, again=False, config=config, questions=QUESTIONS[:2]):
        known["questions"] = questions
        options = quality.argparse.Namespace(only=["tiny"], data=None, limit=9, answers=9, again=again)
        told = []
        measured = quality.Measured(tmp_path / "quality.json")
        assert list(quality.measure(config, options, measured, replace(SILENT, notify=told.append))) == []
        return [line.split(":")[0] for line in told if "questions" in line], measured.rows

    run.config = config
    return run


VARIANTS = [f"Tiny, {name}" for name in (*quality.RANKINGS, quality.ANSWERS)]


def test_what_was_measured_is_not_measured_again_unless_asked_to(measured_rows):
    first, rows = measured_rows()
    assert first == VARIANTS
    assert measured_rows() == ([], rows)
    assert measured_rows(again=True)[0] == VARIANTS


def test_an_interrupted_run_goes_on_where_it_stopped(measured_rows, tmp_path):
    _, rows = measured_rows()
    del rows["tiny: both, min-max"]
    (tmp_path / "quality.json").write_text(json.dumps(rows))
    assert measured_rows()[0] == ["Tiny, both, min-max"]


def test_a_row_is_measured_again_when_what_it_depends_on_changed(measured_rows):
    measured_rows()
    other_reader = replace(measured_rows.config, answer=replace(measured_rows.config.answer, share=0.9))
    assert measured_rows(config=other_reader)[0] == ["Tiny, answers"]
    assert measured_rows(config=replace(other_reader, retrieval=Retrieval(b=0.1)))[0] == VARIANTS
    assert measured_rows(questions=QUESTIONS)[0] == VARIANTS


def test_a_row_is_measured_again_when_other_words_count_as_one(measured_rows, monkeypatch):
    measured_rows()
    monkeypatch.setattr(quality, "ANALYZER", "words as written")
    assert measured_rows()[0] == VARIANTS


def stamp(config, encoder, *, answers=True, corpus=DOCUMENTS):
    dataset = Dataset("tiny", QUESTIONS, QRELS, corpus)
    return quality.stamp_of(config, dataset, encoder=encoder, answers=answers)


def test_answers_depend_on_the_weights_that_judge_scripts_which_the_reader_does_not_know(
    tmp_path, monkeypatch, word_encoder
):
    config = Config(folder=tmp_path, reader=Reader(model="shipped"))
    before = [stamp(config, word_encoder, answers=answers) for answers in (True, False)]
    monkeypatch.setattr(MatchingJudge, "revision", "another fit")
    after = [stamp(config, word_encoder, answers=answers) for answers in (True, False)]
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_rows_depend_on_the_articles_that_the_settings_name(tmp_path, word_encoder):
    config = Config(folder=tmp_path, articles=("articles",), reader=Reader(model="none"))
    (tmp_path / "articles").mkdir()
    stamps = []
    for text in ("The bridge opened.", "The bridge closed."):
        (tmp_path / "articles" / "a.md").write_text(text)
        stamps.append((stamp(config, word_encoder, corpus=None), stamp(config, word_encoder)))
    (one, brought), (other, still_brought) = stamps
    assert (one != other, brought == still_brought) == (True, True)


def test_a_setting_that_is_new_changes_nothing_at_its_default(measured_rows, tmp_path):
    _, rows = measured_rows()
    for row in rows.values():
        del row["settings"]["retrieval.rrf_k"]
    (tmp_path / "quality.json").write_text(json.dumps(rows))
    assert measured_rows()[0] == []
    assert measured_rows(config=replace(measured_rows.config, retrieval=Retrieval(rrf_k=7)))[0] == VARIANTS


def test_pytrec_eval_says_the_same_of_the_run_file_to_four_digits(measured_rows):
    """Names with blanks are written otherwise in a run, and a question that finds nothing is in none."""
    _, rows = measured_rows(questions=QUESTIONS)
    row = rows["tiny: both, min-max"]
    assert row["pytrec_eval"] == pytest.approx(row["measures"]["nDCG@10"][0], abs=5e-5)


def test_the_report_states_n_and_keeps_sets_that_were_not_measured_now(measured_rows):
    _, rows = measured_rows()
    text = quality.report_text(rows, skipped=["Gone"])
    assert "| Tiny (two articles) | both, reciprocal ranks | 2 | 2 | " in text
    assert "| questions | 2 of 2 |" in text
    assert "by pytrec_eval: Tiny 1.0000 (1.0000 in the table)" in text
    assert "not in the data folder: Gone." in text
