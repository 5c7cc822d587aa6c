import io
import itertools

import pytest

from rag import progress
from rag.progress import StageProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(monkeypatch, stream, *, seconds, steps=3):
    """Return what is shown of steps that take so many seconds each."""
    clock = itertools.count(0, seconds)
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(progress.sys, "stderr", stream)
    with StageProgress(quiet=False) as shown:
        for done in range(1, steps + 1):
            shown("encoding", done, steps)
    return stream.getvalue()


def test_what_takes_less_than_a_second_shows_nothing(monkeypatch):
    assert run(monkeypatch, io.StringIO(), seconds=0.1) == ""
    assert run(monkeypatch, Terminal(), seconds=0.1) == ""


def test_a_line_tells_a_stage_with_its_rate_where_no_terminal_is(monkeypatch):
    assert run(monkeypatch, io.StringIO(), seconds=2) == "encoding: 3 of 3 in 4 s, 1.3 s each\n"


def test_a_short_stage_of_long_work_is_no_line_where_no_terminal_is(monkeypatch):
    clock, stream = iter([0, 10, 10.1, 10.2, 20, 20.1]), io.StringIO()
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(progress.sys, "stderr", stream)
    with StageProgress(quiet=False) as shown:
        shown("reading", 1, 1)
        shown("words", 1, 2)
        shown("words", 2, 2)
        shown("sealing", 9, 9)
    assert stream.getvalue() == ""


def test_a_long_stage_tells_how_far_it_is_where_no_terminal_is(monkeypatch):
    told = run(monkeypatch, io.StringIO(), seconds=20, steps=5).splitlines()
    assert told == [
        "encoding: 2 of 5, 0:01:00 left",
        "encoding: 4 of 5, 0:00:20 left",
        "encoding: 5 of 5 in 80 s, 16.0 s each",
    ]


def test_a_stage_that_comes_again_is_timed_anew(monkeypatch):
    clock, stream = itertools.count(0, 2), io.StringIO()
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(progress.sys, "stderr", stream)
    with StageProgress(quiet=False) as shown:
        for done in (1, 2, 1, 2):
            shown("asking", done, 2)
    assert stream.getvalue() == "asking: 2 of 2 in 2 s, 1 per second\n" * 2


@pytest.mark.parametrize("shown", ["encoding", "3/3", "/s", "0:00:00"])
def test_a_bar_tells_counts_rate_and_time_left_on_a_terminal(monkeypatch, shown):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    assert shown in run(monkeypatch, Terminal(), seconds=2)


def test_a_bar_that_is_finished_draws_over_nothing(monkeypatch):
    clock, stream = itertools.count(0, 2), Terminal()
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(progress.sys, "stderr", stream)
    with StageProgress(quiet=False) as shown:
        shown("encoding", 1, 3)
        shown.finish()
        drawn = stream.getvalue()
    assert "encoding" in drawn
    assert stream.getvalue() == drawn
