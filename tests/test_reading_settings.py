"""What the settings let the reader read, through the pipeline."""

import json
from dataclasses import replace

import numpy as np
import pytest

from rag.building import index_articles
from rag.config import Config, Reader
from rag.engine import Engine
from rag.models import speed
from rag.models.reader import PassageReading
from rag.models.speed import Pair, Speed
from rag.render import answer_record


class NotingReader:
    """A reader that notes what it is given, and points at each page's last word."""

    name = "noting"
    revision = "1"

    def __init__(self):
        self.pages = []

    def prepare(self):
        pass

    def sizes(self, _question, passages):
        return [len(page.text.split()) for page in passages]

    def read(self, _question, passages):
        self.pages += passages
        return [self._reading(page.text) for page in passages]

    def _reading(self, text):
        nothing = np.zeros(1, np.float32)
        return PassageReading(1.0, nothing, nothing, np.array([[text.rindex(" ") + 1, len(text)]]))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of a cache of the test's own."""
    monkeypatch.setenv("RAG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def measurements(monkeypatch, cache):  # noqa: ARG001  # what is measured is kept there
    """The speeds that a measurement finds, one after another: a token a millisecond on one core, if not set."""
    coming, taken = [], []

    def measure(reader):
        taken.append(reader)
        return coming.pop(0) if coming else Speed(*[Pair(10, 10.0)] * 3)

    monkeypatch.setattr(speed, "measure_speed", measure)
    return coming, taken


@pytest.fixture
def config(tmp_path, word_encoder):
    """The settings of an index of four articles."""
    (tmp_path / "articles").mkdir()
    for number in range(4):
        text = f"# Ferry {number}\n\nThe ferry sailed from Lorn{' in the rain' * number}."
        (tmp_path / "articles" / f"{number}.md").write_text(text, encoding="utf-8")
    config = Config(folder=tmp_path, articles=("articles",), reader=Reader(), threads=1)
    index_articles(config, [], encoder=word_encoder)
    return config


@pytest.fixture
def read_under(config, word_encoder):
    """Return how many passages, and pages in all, are read under settings of the reader."""

    def run(*, threads=1, **settings):
        changed = replace(config, reader=Reader(**settings), threads=threads)
        with Engine(changed, encoder=word_encoder) as engine:
            engine._reader = reader = NotingReader()
            engine.ask("Where did the ferry sail from in the rain?")
        return sum("# Ferry" in page.text for page in reader.pages), len(reader.pages)

    return run


def test_without_a_bound_every_passage_that_is_found_is_read(read_under):
    assert read_under(share=0.0) == (4, 4 + 4 + 1)


@pytest.mark.parametrize(
    ("settings", "passages", "pages"),
    [
        ({"passages": 2, "share": 0.0}, 2, 2 + 2 + 1),
        ({"share": 1.0}, 1, 1 + 1 + 1),
        ({"share": 0.0, "sentences": 2}, 4, 4 + 2 + 1),
        ({"share": 0.0, "budget_tokens": 16}, 1, 1 + 1 + 1),
    ],
)
def test_each_setting_bounds_what_is_read(read_under, settings, passages, pages):
    assert read_under(**settings) == (passages, pages)


@pytest.mark.usefixtures("measurements")
@pytest.mark.parametrize("tokens", [1, 30, 40, 50, 60, 70, 80, 100, 150])
def test_a_budget_in_time_reads_what_the_same_in_tokens_reads(read_under, tokens):
    assert read_under(share=0.0, budget_ms=tokens) == read_under(share=0.0, budget_tokens=max(tokens, 16))


@pytest.mark.usefixtures("measurements")
def test_a_budget_in_time_reads_more_on_more_cores(read_under):
    few, many = (read_under(share=0.0, budget_ms=30, threads=threads) for threads in (1, 4))
    assert few[1] < many[1]


def test_however_little_time_there_is_the_best_passage_is_read(read_under, measurements):
    coming, _ = measurements
    coming.append(Speed(*[Pair(1, 1e6)] * 3))
    assert read_under(share=0.0, budget_ms=1) == (1, 1 + 1 + 1)


@pytest.mark.usefixtures("measurements")
@pytest.mark.parametrize("settings", [{"budget_tokens": 16, "budget_ms": 9999}, {"budget_ms": 1}])
def test_the_smaller_budget_holds(read_under, settings):
    assert read_under(share=0.0, **settings) == (1, 1 + 1 + 1)


def test_without_a_budget_in_time_nothing_is_measured(read_under, cache, measurements):
    read_under()
    assert measurements[1] == []
    assert not (cache / "readers").exists()


def test_what_is_measured_reads_on_one_core_and_remembers_nothing(read_under, measurements):
    """Neither the reader that the engine was given, which may know the pairs, nor all the cores."""
    read_under(budget_ms=40)
    (reader,) = measurements[1]
    assert (reader.name, reader._threads) == ("rag-reader-22m", 1)


def answered(config, encoder, **options):
    """Return an answer's record, the timings apart, and the stamp of the settings."""
    with Engine(config, encoder=encoder, **options) as engine:
        record = answer_record(engine.ask("Where did the ferry sail from in the rain?").answer)
        return json.dumps({**record, "timings_ms": None}), engine.stamp(None)


def test_the_same_question_gets_the_same_bytes_however_the_machine_is_doing(config, word_encoder, measurements):
    """A second measurement would find the machine a hundred times slower; alone or in a set, it is not made."""
    coming, taken = measurements
    coming += [Speed(*[Pair(100, 10.0)] * 3), Speed(*[Pair(1, 10.0)] * 3)]
    config = replace(config, reader=Reader(share=0.0, budget_ms=25))
    first = answered(config, word_encoder)
    assert [answered(config, word_encoder), answered(config, word_encoder, many=True)] == [first, first]
    assert len(taken) == 1


def test_answers_under_another_measured_speed_have_another_stamp(config, word_encoder, cache, measurements):
    coming, _ = measurements
    coming += [Speed(*[Pair(100, 10.0)] * 3), Speed(*[Pair(1, 10.0)] * 3)]
    config = replace(config, reader=Reader(share=0.0, budget_ms=25))
    _, stamp = answered(config, word_encoder)
    for record in (cache / "readers").glob("speed-*.json"):
        record.unlink()
    second, other = answered(config, word_encoder)
    assert stamp["settings"] != other["settings"]
    assert answered(config, word_encoder) == (second, other)
