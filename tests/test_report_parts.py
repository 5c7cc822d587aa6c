"""A report with parts of several commands: each command writes its own, and the others stay."""

import importlib
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.parts import FEWEST, is_quick_look, put_part, read_parts

TEXTS = st.lists(st.sampled_from(["# Quality", "| a | b |", "", "plain words", "<!-- a comment -->"]), min_size=1).map(
    "\n".join
)


def test_a_run_of_a_few_is_a_quick_look():
    assert is_quick_look(None, FEWEST, FEWEST - 1)
    assert not is_quick_look(None, FEWEST)
    assert not is_quick_look()


@pytest.mark.parametrize(
    ("module", "bounds"),
    [
        ("checker", ["--each", "1", "--limit", "1"]),
        ("injections", ["--limit", "1", "--systems", "none"]),
        ("writers", ["--limit", "1", "--each", "1", "--long", "1", "--systems", "none", "--only", "seeds"]),
    ],
)
def test_a_quick_look_writes_no_report(module, bounds, tmp_path, monkeypatch):
    benchmark = importlib.import_module(f"benchmarks.{module}")
    report = tmp_path / "REPORT.md"
    monkeypatch.setattr(benchmark, "REPORT", report)
    monkeypatch.setattr(benchmark, "Judges", MagicMock(), raising=False)
    for costly in ("read_made", "read_wice", "made_tables", "wice_table", "report_true", "encoder_of"):
        if hasattr(benchmark, costly):
            monkeypatch.setattr(benchmark, costly, MagicMock(return_value=""))
    monkeypatch.setattr(benchmark, "report_text", lambda *_, **__: "", raising=False)
    assert benchmark.main(bounds) == 0
    assert not report.exists()


def test_a_part_is_replaced_and_the_others_stay(tmp_path):
    file = tmp_path / "QUALITY.md"
    file.write_text("# Quality\n\nold\n")
    put_part(file, "## Writers\n\nfirst", name="writers")
    put_part(file, "# Quality\n\nnew\n")
    put_part(file, "## Writers\n\nsecond\n", name="writers")
    assert file.read_text() == "# Quality\n\nnew\n\n<!-- part: writers -->\n## Writers\n\nsecond\n"


def test_the_unnamed_part_stands_first_whenever_it_is_written(tmp_path):
    file = tmp_path / "QUALITY.md"
    put_part(file, "later", name="writers")
    put_part(file, "first")
    assert file.read_text() == "first\n\n<!-- part: writers -->\nlater\n"


@given(st.dictionaries(st.sampled_from(["", "writers", "speed"]), TEXTS.filter(lambda text: text.strip("\n"))))
def test_what_is_written_is_read_again(tmp_path_factory, parts):
    file = tmp_path_factory.mktemp("parts") / "REPORT.md"
    file.write_text("")
    for name, text in parts.items():
        put_part(file, text, name=name)
    assert read_parts(file.read_text()) == {name: text.strip("\n") + "\n" for name, text in parts.items()}
