"""How fast a machine reads: measured once, kept, and turned from milliseconds into tokens."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ModelBroken
from rag.models import speed
from rag.models.speed import Pair, Speed, reading_speed, recorded_speed

REVISION = "a" * 64
PAIRS = st.builds(Pair, st.integers(1, 10_000), st.floats(0.01, 1e4))


class WordReader:
    """A reader whose tokens are words, and which counts what it reads."""

    name, revision = "words", REVISION

    def __init__(self):
        self.read_pages = []

    def read(self, _question, passages):
        self.read_pages += passages
        return [None for _ in passages]

    def sizes(self, question, passages):
        return [len(f"{question} {page.text}".split()) for page in passages]


@pytest.fixture
def reader():
    return WordReader()


@pytest.fixture
def measured(reader, tmp_path):
    """Return what measures, or reads what was measured, in a cache of the test's own."""
    return lambda: reading_speed(REVISION, opened=lambda: reader, cache=tmp_path)


def record_file(cache):
    (file,) = (cache / "readers").glob("speed-*.json")
    return file


def test_a_speed_is_measured_once(reader, measured, tmp_path):
    first = measured()
    read = len(reader.read_pages)
    assert read > 0
    assert measured() == first == recorded_speed(REVISION, cache=tmp_path)
    assert len(reader.read_pages) == read


def test_it_is_told_once_that_it_is_measured(reader, tmp_path):
    told = []
    for _ in range(2):
        reading_speed(REVISION, opened=lambda: reader, cache=tmp_path, notify=told.append)
    assert told == ["measuring how fast this machine reads (once) …"]


def test_no_text_is_read_twice_in_the_run(reader, measured):
    measured()
    assert len({page.text for page in reader.read_pages}) == len(reader.read_pages)


def changed(**values):
    return lambda record: json.dumps({**record, **values})


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: json.dumps(record)[:-9],
        lambda _: "",
        lambda _: "[]",
        lambda _: "\xff",
        changed(passage={"tokens": 0, "ms": 1.0}),
        changed(passage={"tokens": 9, "ms": 0.0}),
        changed(sentence={"tokens": 9, "ms": -1.0}),
        changed(context={"tokens": 9, "ms": float("nan")}),
        changed(context={"tokens": 9, "ms": float("inf")}),
        changed(context={"tokens": True, "ms": 1.0}),
        changed(context={"tokens": 9, "ms": "1"}),
        changed(context={"tokens": 9}),
        changed(reader="b" * 64),
        changed(processor="Another One 9000"),
        changed(version=speed.VERSION + 1),
    ],
)
def test_a_record_that_is_broken_or_of_another_machine_is_measured_again(reader, measured, tmp_path, damage):
    measured()
    file, read = record_file(tmp_path), len(reader.read_pages)
    file.write_text(damage(json.loads(file.read_text())), encoding="latin-1")
    assert recorded_speed(REVISION, cache=tmp_path) is None
    again = measured()
    assert len(reader.read_pages) == 2 * read
    assert measured() == again == recorded_speed(REVISION, cache=tmp_path)


def test_another_reader_and_another_processor_have_records_of_their_own(measured, tmp_path, monkeypatch):
    first = measured()
    assert recorded_speed("b" * 64, cache=tmp_path) is None
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(speed, "processor_name", lambda: "Another One 9000")
        assert recorded_speed(REVISION, cache=tmp_path) is None
        measured()
    assert recorded_speed(REVISION, cache=tmp_path) == first


def test_whoever_comes_second_takes_what_the_first_measured(tmp_path):
    """Two that begin at the same time measure once, and answer under the same bound."""
    both, found, readers = threading.Barrier(2), [], []

    def opened():
        readers.append(WordReader())
        return readers[-1]

    def run():
        both.wait(10)
        found.append(reading_speed(REVISION, opened=opened, cache=tmp_path))

    others = [threading.Thread(target=run) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert len(readers) == 1
    assert found[0] == found[1]


def test_a_figure_that_cannot_be_kept_is_an_error_with_a_way_out(reader, tmp_path):
    (tmp_path / "cache").write_text("a file, where a folder should be")
    with pytest.raises(ModelBroken, match="cannot be kept") as caught:
        reading_speed(REVISION, opened=lambda: reader, cache=tmp_path / "cache")
    assert "reader.budget_ms=null" in caught.value.hint


def test_a_core_reads_a_pair_at_a_time_and_waits_for_all_passages_before_sentences():
    made = Speed(passage=Pair(200, 20.0), sentence=Pair(50, 5.0), context=Pair(80, 8.0))
    tokens = 6 * 200 + 6 * 50 + 80
    assert made.tokens_a_ms(cores=1) == pytest.approx(tokens / (6 * 20 + 6 * 5 + 8))
    assert made.tokens_a_ms(cores=4) == pytest.approx(tokens / (2 * 20 + 2 * 5 + 8))
    assert made.tokens_a_ms(cores=64) == pytest.approx(tokens / (20 + 5 + 8))
    assert made.tokens_within(100, cores=1) == int(100 * tokens / 158)


@given(PAIRS, PAIRS, PAIRS, st.integers(1, 600_000), st.integers(1, 300))
def test_more_time_or_more_cores_never_read_less_and_some_token_is_always_read(passage, sentence, context, ms, cores):
    made = Speed(passage, sentence, context)
    least = made.tokens_within(ms, cores=cores)
    assert 1 <= least <= made.tokens_within(ms + 1, cores=cores)
    assert least <= made.tokens_within(ms, cores=cores + 1)
