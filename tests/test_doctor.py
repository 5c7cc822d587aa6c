import json
import sqlite3

import pytest

from rag.cli import main
from rag.doctor import IndexCommands, examine
from rag.index.build import BuildSettings, build_index
from rag.index.generations import current_folder
from rag.index.manifest import checksum
from rag.models.reader import SHIPPED, Reader
from rag.models.speed import Pair, Speed, reading_speed

REBUILD = "rag index --rebuild 'my articles'"
COMMANDS = IndexCommands(build="rag index", rebuild=REBUILD, update="rag index notes", status="rag status")
SETTINGS = BuildSettings(max_tokens=40, overlap_sentences=1, k1=0.9, b=0.4)


@pytest.fixture
def index(tmp_path, word_encoder, monkeypatch):
    monkeypatch.setenv("RAG_CACHE", str(tmp_path / "cache"))
    (tmp_path / "articles").mkdir()
    (tmp_path / "articles" / "ban.md").write_text("# Ban\n\nChina banned seafood. Japan protested.\n")
    build(tmp_path, word_encoder)
    return tmp_path / "index"


def build(folder, encoder):
    build_index(
        [folder / "articles"],
        index=folder / "index",
        encoder=encoder,
        settings=SETTINGS,
        add=False,
        rebuild=False,
        progress=lambda *_: None,
    )


def checks(index, **given):
    usual = {"index": index, "encoder": "all-MiniLM-L6-v2", "reader": "none", "threads": 0}
    examined = examine(**{**usual, "commands": COMMANDS, **given})
    return {check.name: check for check in examined.checks}


def test_a_sound_installation_passes_every_check(index):
    assert [check for check in checks(index).values() if check.state == "fail"] == []
    assert checks(index)["coverage"].state == "ok"


def test_a_changed_byte_of_the_index_fails_with_the_command_that_rebuilds(index):
    file = current_folder(index) / "lexical" / "lexical.json"
    file.write_bytes(file.read_bytes().replace(b"size", b"Size"))
    found = checks(index)["index"]
    assert (found.state, found.fix) == ("fail", REBUILD)
    assert "lexical.json" in found.detail


def test_text_that_is_in_no_passage_fails(index):
    folder = current_folder(index)
    with sqlite3.connect(folder / "articles.sqlite") as connection:
        connection.execute("UPDATE passages SET start = start + 9")
    connection.close()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["articles.sqlite"] = {
        "bytes": (folder / "articles.sqlite").stat().st_size,
        "sha256": checksum(folder / "articles.sqlite"),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert checks(index)["coverage"].state == "fail"


def test_a_file_that_could_not_be_indexed_is_named(index, word_encoder):
    (index.parent / "articles" / "binary.txt").write_bytes(b"\0\1\2")
    build(index.parent, word_encoder)
    assert "binary.txt" in checks(index)["files"].detail


def test_no_index_is_no_failure(tmp_path):
    found = checks(tmp_path / "none")["index"]
    assert (found.state, found.fix) == ("warn", "rag index")


def test_a_missing_encoder_fails(index):
    assert checks(index, encoder="no/such-model")["encoder"].state == "fail"


@pytest.mark.parametrize(("digest", "state"), [("0" * 64, "fail"), (None, "ok")])
def test_a_readers_weights_are_held_to_its_description(index, tmp_path, digest, state):
    (tmp_path / "model.onnx").write_bytes(b"weights")
    about = {"name": "small", "sha256": digest or checksum(tmp_path / "model.onnx")}
    (tmp_path / "config.json").write_text(json.dumps(about))
    assert checks(index, reader=str(tmp_path))["reader"].state == state


def test_the_measured_speed_is_shown_with_what_the_budget_comes_to(index, monkeypatch):
    assert "not measured yet" in checks(index, reader="shipped")["reading speed"].detail
    monkeypatch.setattr("rag.models.speed.measure_speed", lambda _: Speed(*[Pair(60, 10.0)] * 3))
    reader = Reader(SHIPPED)
    reading_speed(reader.revision, opened=lambda: reader)
    assert checks(index, reader="shipped", threads=1)["reading speed"].detail.startswith("6.0 tokens a millisecond")
    found = checks(index, reader="shipped", threads=1, budget_ms=50)["reading speed"]
    assert (found.state, found.detail.rpartition("; ")[2]) == ("ok", "reader.budget_ms 50 is 300 tokens")
    assert "reading speed" not in checks(index, reader="none", budget_ms=50)


def test_more_threads_than_cores_are_warned_of(index):
    assert checks(index, threads=1000)["processor"].state == "warn"


def test_every_failing_check_names_a_command(tmp_path):
    found = checks(tmp_path / "none", encoder="no/such-model", reader=str(tmp_path))
    assert {"encoder", "reader"} <= {name for name, check in found.items() if check.state == "fail"}
    assert all(check.fix for check in found.values() if check.state == "fail")


def test_the_command_exits_with_5_when_a_check_fails(index, capsys):
    arguments = ["doctor", "--index", str(index), "--json", "--set", "reader.model=none"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["sound"] is True
    assert main([*arguments, "--set", "encoder.model=no/such-model"]) == 5
    assert json.loads(capsys.readouterr().out)["sound"] is False
