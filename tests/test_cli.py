"""The contract of the command line, through `main`: what goes where, in which form, with which exit code."""

import errno
import io
import json
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.cells import cell_len

from rag import cli, pipeline
from rag.cli import main
from rag.index.generations import current_folder
from rag.progress import StageProgress

EVIL = "Scallops \x1b[31mred\x1b]0;title\x07 were \u202eexported\u202c to nobody."
ARTICLES = {
    "ban.md": "---\npublished: 2023-08-24\nsource: Times\nlanguage: en\n---\n"
    "# Ban\n\nChina banned seafood in August 2023. Japan protested.\n",
    "talks.md": "---\npublished: 2024-11\nsource: Post\nlanguage: en\n---\n"
    "# Talks\n\nThe ministers met in Beijing. They spoke about seafood.\n",
    # More than a few control characters make a file a binary one, so the text around them has some length.
    "evil.md": f"---\nlanguage: fr\n---\n# Scallops\n\n{EVIL}\n\n"
    "The market for them had been a good one, for many years and in many places.\n",
}
ROOT = Path(__file__).parents[1]
QUESTION = "Why did China ban seafood?"
VERBS = sorted(typer.main.get_command(cli.app).commands)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, word_encoder):
    """A working folder with articles and settings of its own, and the fake encoder where the model would be loaded."""
    for name in [name for name in os.environ if name.startswith("RAG_") or name in {"NO_COLOR", "TERM", "COLUMNS"}]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    folder = tmp_path / "work"
    (folder / "articles").mkdir(parents=True)
    for name, text in ARTICLES.items():
        (folder / "articles" / name).write_text(text, encoding="utf-8")
    (folder / "config.yaml").write_text("articles: [articles]\nreader: {model: none}\nanswer: {min_confidence: 0}\n")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("rag.models.encoder.load_encoder", lambda _model, **_: word_encoder)
    logger = logging.getLogger("rag")
    handlers, level = logger.handlers[:], logger.level
    yield folder
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def built(place, capsys):
    assert main(["index", "-q"]) == 0
    capsys.readouterr()
    return place


@pytest.fixture
def rag(capsys):
    """Run a command; return its exit code, what it printed, and what it told."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def terminal(monkeypatch):
    def become(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)

    return become


@pytest.fixture
def typed(monkeypatch):
    def write(text):
        stream = io.TextIOWrapper(io.BytesIO(text if isinstance(text, bytes) else text.encode()), encoding="utf-8")
        monkeypatch.setattr("sys.stdin", stream)

    return write


def settings_of(rag, *arguments):
    code, out, err = rag("config", "--json", *arguments)
    assert (code, err) == (0, "")
    return {setting["key"]: (setting["value"], setting["origin"]) for setting in json.loads(out)["settings"]}


# Exit codes


@pytest.mark.usefixtures("built")
def test_an_answer_exits_0(rag):
    code, out, err = rag("ask", QUESTION)
    assert (code, err) == (0, "")
    assert "China banned seafood in August 2023. [1]" in out


@pytest.mark.usefixtures("built")
def test_no_answer_exits_3_and_is_still_printed(rag):
    code, out, err = rag("ask", QUESTION, "--json", "--set", "answer.min_confidence=1")
    record = json.loads(out)
    assert (code, err, record["answered"], record["claims"]) == (3, "", False, [])
    assert record["passages"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ask", " "], "the question is empty"),
        (["show", "bann.md"], "did you mean ban.md?"),
        (["show", "ban.md#99"], "no passage ban.md#99"),
        (["show", "ban.md", "--at", "5:9999"], "has characters 0:"),
        (["ask", QUESTION, "--since", "2023-13"], "--since: no such date"),
        (["ask", QUESTION, "--until", "soon"], "--until: a date is"),
        (["ask", QUESTION, "--set", "retrieval.kk=3"], "did you mean retrieval.k?"),
        (["ask", QUESTION, "--set", "retrieval.k"], "--set takes KEY=VALUE"),
        (["ask", QUESTION, "--set", "retrieval.k=many"], "expected a whole number"),
        (["ask", QUESTION, "-o", "none/answer.txt"], "cannot be written"),
        (["config", "--config", "none.yaml"], "none.yaml"),
        (["index", "none"], "no such file or folder: none"),
        (["batch", "none.jsonl"], "none.jsonl cannot be read"),
        (["verify", "none.jsonl"], "none.jsonl cannot be read"),
    ],
)
@pytest.mark.usefixtures("built")
def test_the_users_mistake_exits_1_with_what_happened_and_what_to_type(rag, arguments, told):
    code, out, err = rag(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert told in err
    assert "\nhint:  " in err or "did you mean" in err or "expected" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [["--wrong"], ["wrong"], ["ask"], ["ask", QUESTION, "--wrong"], ["ask", QUESTION, "-k", "0"], ["ask", "a", "b"],
     ["ask", QUESTION, "--format", "xml"], ["show", "ban.md", "--at", "5-9"], ["show", "ban.md", "--at", "-1:9"]],
)  # fmt: skip
@pytest.mark.usefixtures("built")
def test_wrong_usage_exits_2_and_is_told_on_stderr(rag, arguments):
    code, out, err = rag(*arguments)
    assert (code, out) == (2, "")
    assert "Usage: rag" in err


def test_a_failed_question_of_a_set_exits_4(built, rag):
    (built / "q.jsonl").write_text(f'{{"question": "{QUESTION}"}}\n{{"id": "empty"}}\n')
    code, out, err = rag("batch", "q.jsonl")
    answered, failed = map(json.loads, out.splitlines())
    assert (code, answered["answered"], failed["error"].keys()) == (4, True, {"message", "hint"})
    assert "1 answered, 0 declined, 1 failed" in err


def test_a_check_that_fails_exits_5(built, rag):
    rag("ask", QUESTION, "--json", "-o", "answer.json")
    assert rag("verify", "answer.json")[0] == 0
    (built / "answer.json").write_text((built / "answer.json").read_text().replace('"start": ', '"start": 1'))
    code, out, err = rag("verify", "answer.json")
    assert (code, err) == (5, "")
    assert "line 1 [1]: quote changed" in out


def test_our_bug_exits_70_with_its_traceback_in_a_file(built, rag, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("the text of an article")

    monkeypatch.setattr(pipeline, "status", broken)
    monkeypatch.setattr("tempfile.tempdir", str(built))
    code, out, err = rag("status")
    (report,) = built.glob("rag-crash-*.txt")
    assert (code, out) == (70, "")
    assert str(report) in err
    assert "Traceback" not in err
    assert "the text of an article" not in err
    assert "ZeroDivisionError" in report.read_text()


def interrupt(*_, **__):
    raise KeyboardInterrupt


def terminate(*_, **__):
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()


@pytest.mark.parametrize("stop", [interrupt, terminate])
@pytest.mark.usefixtures("built")
def test_an_interruption_exits_130_and_says_that_nothing_is_lost(rag, monkeypatch, stop):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(pipeline, "ask", stop)
    assert rag("ask", QUESTION) == (130, "", "interrupted; what was done is kept\n")
    assert signal.getsignal(signal.SIGTERM) == before


# Streams


def test_a_missing_index_is_built_first_and_said_so_on_stderr(place, rag):
    code, out, err = rag("ask", QUESTION, "--json")
    assert code == 0
    assert json.loads(out)["answered"]
    assert "no index in" in err
    assert (place / "index" / "CURRENT").is_file()


@pytest.mark.usefixtures("place")
def test_quiet_says_nothing_and_verbose_more(rag):
    assert rag("ask", QUESTION, "-q")[2] == ""
    _, out, err = rag("ask", QUESTION, "-v", "--json")
    assert json.loads(out)
    assert "rag" in err or err == ""


@pytest.mark.parametrize("verb", ["ask", "search"])
@pytest.mark.usefixtures("built")
def test_a_dash_reads_the_question_from_standard_input(rag, typed, verb):
    typed(f"  {QUESTION}\n")
    record = json.loads(rag(verb, "-", "--json")[1])
    assert record["question" if verb == "ask" else "query"] == QUESTION


@pytest.mark.usefixtures("built")
def test_standard_input_that_is_no_text_is_told(rag, typed):
    typed(b"\xff\xfe")
    code, out, err = rag("ask", "-")
    assert (code, out) == (1, "")
    assert "not UTF-8" in err


@pytest.mark.usefixtures("built")
def test_a_set_may_come_from_standard_input_and_its_answers_be_verified_from_it(rag, typed):
    typed(f"{QUESTION}\n\nWho met in Beijing?\n")
    code, out, _ = rag("batch", "-")
    assert (code, [json.loads(line)["id"] for line in out.splitlines()]) == (0, ["1", "3"])
    typed(out)
    code, report, err = rag("verify", "-", "--json")
    assert (code, json.loads(report)["answers"], err) == (0, 2, "")


def test_a_set_goes_on_where_it_was_stopped(built, rag):
    (built / "q.txt").write_text(f"{QUESTION}\nWho met in Beijing?\n")
    assert rag("batch", "q.txt", "-o", "a.jsonl")[:2] == (0, "")
    whole = (built / "a.jsonl").read_bytes()
    (built / "a.jsonl").write_bytes(whole[: whole.index(b"\n") + 30])
    code, out, err = rag("batch", "q.txt", "-o", "a.jsonl")
    assert (code, out) == (0, "")
    assert "holds 1 of 2 answers already" in err
    assert [json.loads(line)["id"] for line in (built / "a.jsonl").read_text().splitlines()] == ["1", "2"]


def test_an_output_file_holds_what_would_have_been_printed(built, rag):
    printed = rag("search", "seafood", "--json")[1]
    assert rag("search", "seafood", "--json", "-o", "found.json") == (0, "", "")
    assert (built / "found.json").read_text(encoding="utf-8") == printed
    assert not list(built.glob("*.partial"))


@pytest.mark.usefixtures("built")
def test_json_is_the_same_as_format_json(rag):
    assert rag("search", "seafood", "--json") == rag("search", "seafood", "--format", "json")


@pytest.mark.parametrize(
    "verb", [["ask", QUESTION], ["search", "seafood", "--explain"], ["status"], ["show", "ban.md"]]
)
@pytest.mark.parametrize("kind", ["text", "json", "markdown"])
@pytest.mark.usefixtures("built")
def test_every_format_is_data_on_stdout_alone(rag, verb, kind):
    code, out, err = rag(*verb, "--format", kind)
    assert (code, err) == (0, "")
    assert out.endswith("\n")
    if kind == "json":
        assert json.loads(out)["schema"].startswith("rag.")


def run_for_real(*arguments, streams="", folder, **environment):
    """Return what a process of its own does with its streams as a shell sets them up."""
    command = shlex.join([sys.executable, "-P", "-m", "rag", *arguments])
    return subprocess.run(
        ["/bin/sh", "-c", f"{command} {streams}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", ["config", "--help", "ask --help"])
def test_a_reader_that_leaves_is_no_error(arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    code = f"import sys; from rag.cli import run; sys.argv[1:] = {arguments.split()}; sys.stdin.read(); run()"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize(
    ("streams", "why"), [(">&-", "Bad file descriptor"), (">/dev/full", "No space left on device")]
)
@pytest.mark.parametrize("verb", ["config", "--version"])
def test_standard_output_that_takes_nothing_is_told(place, verb, streams, why, buffered):
    ran = run_for_real(verb, streams=streams, folder=place, PYTHONUNBUFFERED=buffered)
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert ran.stderr.decode() == (
        f"error: standard output cannot be written: {why}\nhint:  write to a file with: -o FILE\n"
    )
    assert not list(place.glob("rag-crash-*"))


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full"])
def test_notices_that_nobody_takes_do_not_end_the_work(built, streams):
    (built / "q.txt").write_text("\n")
    # It fails, and would like to tell.
    ran = run_for_real("batch", "q.txt", streams=streams, folder=built)
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, b"", b"")
    ran = run_for_real("index", "--dry-run", streams=streams, folder=built)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"would be: 0 added" in ran.stdout
    assert not list(built.glob("rag-crash-*"))


@pytest.mark.usefixtures("built")
def test_what_an_article_holds_cannot_move_the_cursor_of_a_terminal_named_as_the_output(rag):
    ours, theirs = os.openpty()
    try:
        assert rag("show", "evil.md", "-o", os.ttyname(theirs)) == (0, "", "")
        shown = os.read(ours, 4096).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "\\x1b[31mred" in shown
    assert "\x1b" not in shown


def test_notices_name_nothing_that_moves_the_cursor(place, rag):
    code, _, err = rag("search", "seafood", "--index", "a\x1b[31m\u202eb")
    assert (code, "a\\x1b[31m\\u202eb yet: building one" in err) == (0, True)
    assert not {"\x1b", "\u202e"} & set(err)
    gold = {"id": "q\x1b[31m", "question": QUESTION, "answers": ["no"], "evidence": [{"article": "x", "quote": "no"}]}
    (place / "gold.jsonl").write_text(json.dumps(gold))
    _, _, err = rag("eval", "gold.jsonl")
    assert "first that of q\\x1b[31m" in err
    assert "\x1b" not in err


GOLD = {"id": "q1", "question": QUESTION, "answers": ["August"], "evidence": [{"article": "ban.md", "quote": "China"}]}


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(("flag", "begins"), [("--run", "q1 Q0 ban.md 1 "), ("--answers", "{"), ("--report", "<!")])
def test_a_dash_writes_to_standard_output_what_the_scores_leave_free(place, rag, flag, begins):
    (place / "gold.jsonl").write_text(json.dumps(GOLD))
    code, out, _ = rag("eval", "gold.jsonl", flag, "-", "-o", "scores.txt")
    assert (code, out.startswith(begins)) == (0, True)
    assert (place / "scores.txt").read_text().startswith("gold: 1 question; means")
    assert not (place / "-").exists()


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--run", "-"], "--run - and the scores would both"),
        (["--run", "-", "-o", "-"], "--run - and the scores would both"),
        (["--run", "-", "--answers", "-", "-o", "scores.txt"], "--run - and --answers - would both"),
    ],
)
def test_two_outputs_on_standard_output_are_wrong_usage(place, rag, arguments, told):
    (place / "gold.jsonl").write_text(json.dumps(GOLD))
    code, out, err = rag("eval", "gold.jsonl", *arguments)
    assert (code, out) == (2, "")
    assert told in " ".join(err.split())
    assert not (place / "-").exists()


LONG = "---\ntitle: {}\nsource: {}\npublished: 2023-08-01\n---\nChina banned seafood.\n"


@pytest.mark.parametrize("columns", [40, 50, 60, 80, 200])
@pytest.mark.parametrize("arguments", [["status"], ["config"], ["index"], ["search", "seafood", "--explain"]])
def test_nothing_that_is_listed_is_wider_than_the_terminal(place, rag, monkeypatch, arguments, columns):
    for number, title in enumerate(["中国全面禁止进口日本水产品引发关注", "A ban " * 9]):
        (place / "articles" / f"{'long-name-' * 3}{number}.md").write_text(LONG.format(title, "Wire and others"))
    (place / "articles" / "out-of-the-folder-of-articles.xml").symlink_to(place / "config.yaml")
    rag("index", "-q")
    monkeypatch.setenv("COLUMNS", str(columns))
    _, out, _ = rag(*arguments)
    wide = [line for line in out.splitlines() if cell_len(line) > columns]
    # What can be typed again, as a path, is not broken.
    assert [line for line in wide if not line.startswith("index ") and len(line.split()) > 2] == []


def test_a_row_is_a_line_where_no_width_is_known(place, rag):
    name = f"{'long-name-' * 9}.md"
    (place / "articles" / name).write_text(LONG.format("A ban " * 9, "Wire"))
    rag("index", "-q")
    _, out, _ = rag("status")
    (line,) = [line for line in out.splitlines() if name in line]
    assert "A ban A ban" in line
    assert "2023-08-01" in line


def test_files_in_formats_that_are_not_read_are_told(place, rag):
    for name in ("mail.eml", "old.doc", "old-2.doc"):
        (place / "articles" / name).write_text("What the mayor said.")
    assert "passed over, as such files are not read: 2 .doc, 1 .eml\n" in rag("index")[2]
    assert rag("index", "-q")[2] == ""


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("target", ["articles/ban.md", "./articles/ban.md", "articles/ban.md:1", "ban.md"])
def test_an_article_is_shown_by_the_path_that_a_citation_names(rag, target):
    code, out, _ = rag("show", target)
    assert (code, out) == (0, rag("show", "ban.md")[1])
    assert "China banned seafood" in out


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("named", ["articles/{}", "./articles/{}", "{}"])
def test_what_a_citation_names_by_its_line_is_shown_from_there(place, rag, named):
    (place / "articles" / "lines.md").write_text("---\ntitle: Lines\n---\n\nOne came.\n\nTwo went.\n\nThree stayed.\n")
    rag("index", "-q")
    target = named.format("lines.md")
    assert rag("show", f"{target}:7")[1].strip() == "Two went.\n\nThree stayed."
    assert json.loads(rag("show", f"{target}:7", "--json")[1])["text"].startswith("Two went.")
    code, _, err = rag("show", f"{target}:70")
    assert (code, "before line 70" in err, "rag show lines.md" in err) == (1, True, True)


def test_a_path_with_many_articles_is_told_with_one_of_their_ids(place, rag):
    rows = [{"id": f"row-{number}", "text": "China banned seafood."} for number in range(2)]
    (place / "articles" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rag("index", "-q")
    code, _, err = rag("show", "articles/rows.jsonl")
    assert (code, "articles/rows.jsonl holds 2 articles" in err, "rag show row-0" in err) == (1, True, True)


@pytest.mark.parametrize("verb", ["ask", "search"])
def test_words_without_quotes_are_told_to_go_into_some(rag, verb):
    code, _, err = rag(verb, "why", "did", "it")
    assert code == 2
    assert f'put the whole text in quotes, as in: rag {verb} "…"' in " ".join(err.split())


@pytest.mark.usefixtures("built")
def test_questions_without_gold_are_told_to_have_none(place, rag):
    (place / "questions.txt").write_text(f"{QUESTION}\n")
    code, out, err = rag("eval", "questions.txt")
    assert (code, out.splitlines()[0]) == (0, "questions: 1 question, none of them with gold")
    assert "measure" not in out
    assert "no question of questions.txt has gold" in err


@pytest.mark.usefixtures("built")
def test_what_is_to_be_compared_is_there(place, rag):
    (place / "a.trec").write_text("q1 Q0 ban.md 1 1.0 rag\n")
    code, _, err = rag("compare", "a.trec", "b.trec")
    assert (code, "b.trec cannot be read: No such file" in err) == (1, True)


def test_a_quote_of_an_article_that_has_changed_since_is_told_with_the_command_that_mends_it(place, rag):
    rag("index", "articles", "-q", "--index", "other")
    ban = place / "articles" / "ban.md"
    ban.touch()
    assert rag("ask", QUESTION, "--index", "other")[2] == ""
    ban.write_text(ban.read_text().replace("August", "July"))
    code, out, err = rag("ask", QUESTION, "--index", "other")
    assert (code, "in August 2023. [1]" in out) == (0, True)
    mended = "changed since it was indexed: articles/ban.md; bring the index up to date with: rag index --index other\n"
    assert err == mended
    assert rag("ask", QUESTION, "--index", "other", "-q")[2] == ""
    rag("index", "-q", "--index", "other")
    assert rag("ask", QUESTION, "--index", "other")[2] == ""
    ban.unlink()
    assert rag("ask", QUESTION, "--index", "other")[2] == ""


@pytest.mark.usefixtures("built")
def test_what_is_typed_is_not_saved_to_standard_output(place, rag):
    code, _, err = rag("chat", "--save", "-")
    assert (code, "--save takes a file" in " ".join(err.split())) == (2, True)
    assert not (place / "-").exists()


def test_a_notice_that_nobody_takes_is_no_error(monkeypatch):
    class Full(io.StringIO):
        def write(self, _text):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sys.stderr", Full())
    with StageProgress(quiet=False) as progress:
        progress.notify("building an index")


def test_standard_input_that_is_closed_is_empty(place):
    ran = run_for_real("ask", "-", streams="<&-", folder=place)
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert b"the question is empty" in ran.stderr


def test_what_a_stream_cannot_encode_is_an_escape(place):
    (place / "new").mkdir()
    (place / "new" / "日本.md").write_text("The bridge is open.\n")
    ran = run_for_real("index", "--dry-run", "new", folder=place, PYTHONIOENCODING="latin-1")
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"added    \\u65e5\\u672c.md" in ran.stdout


def test_an_article_is_printed_to_the_letter_where_no_terminal_is(built, rag):
    printed = run_for_real("show", "evil.md", folder=built).stdout.decode()
    record = json.loads(rag("show", "evil.md", "--json")[1])
    assert EVIL in printed
    assert printed == record["text"] + "\n"


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", "\udcff"],
        ["search", "\udcff"],
        ["search", "seafood", "--source", "\udcff"],
        ["chat", "--until", "\udcff"],
    ],
)
def test_arguments_that_are_no_text_are_told(rag, arguments):
    code, out, err = rag(*arguments)
    assert (code, out) == (1, "")
    assert "not UTF-8 text" in err


@pytest.mark.usefixtures("built")
def test_standard_input_that_a_locale_took_for_text_is_told(rag, monkeypatch):
    for verb in ("ask", "chat"):
        monkeypatch.setattr("sys.stdin", io.StringIO("What is \udcff?\n"))
        code, out, err = rag(verb, *(["-"] if verb == "ask" else []))
        assert (code, out) == (1, "")
        assert "not UTF-8 text" in err


@pytest.mark.usefixtures("built")
def test_a_mark_at_the_beginning_belongs_to_no_question(rag, typed):
    typed(f"\ufeff{QUESTION}\n")
    assert json.loads(rag("ask", "-", "--json")[1])["question"] == QUESTION


@pytest.mark.usefixtures("built")
def test_a_dash_for_an_output_file_is_standard_output(place, rag):
    assert rag("show", "ban.md", "-o", "-") == rag("show", "ban.md")
    (place / "q.txt").write_text(QUESTION)
    assert len(rag("batch", "q.txt", "-o", "-")[1].splitlines()) == 1


@pytest.mark.usefixtures("built")
def test_an_output_file_that_cannot_be_written_is_told_before_the_work(place, rag, monkeypatch):
    def never(*_, **__):
        raise AssertionError("the question was asked")

    monkeypatch.setattr(pipeline, "ask", never)
    for target, why in [(place, "Is a directory"), (place / "no" / "a.json", "No such file")]:
        code, out, err = rag("ask", QUESTION, "-o", str(target))
        assert (code, out) == (1, "")
        assert f"{target} cannot be written: {why}" in err


def test_a_question_of_any_length_is_answered_in_time_or_refused(built, rag):
    many = QUESTION + " Who met in Beijing?" * 5000
    code, out, _ = rag("ask", many, "--json")
    assert (code, json.loads(out)["question"]) == (0, many)
    code, out, err = rag("ask", many * 2)
    assert (code, out) == (1, "")
    assert "the question has 200,052 characters, more than 200,000" in err
    (built / "q.txt").write_text(f"{many * 2}\n{QUESTION}\n")
    code, out, _ = rag("batch", "q.txt")
    assert (code, ["error" in json.loads(line) for line in out.splitlines()]) == (4, [True, False])


def test_an_interruption_before_the_command_line_is_read_exits_130(rag, monkeypatch):
    monkeypatch.setattr(cli, "app", interrupt)
    assert rag("status")[0] == 130


def test_an_interruption_while_options_are_read_exits_130(rag, monkeypatch):
    monkeypatch.setattr(cli, "Options", interrupt)
    assert rag("status")[0] == 130


# Settings


def test_a_flag_beats_the_environment_and_that_beats_the_file(place, rag, monkeypatch):
    (place / "config.yaml").write_text("retrieval: {k: 5}\n")
    assert settings_of(rag)["retrieval.k"] == (5, "config.yaml")
    monkeypatch.setenv("RAG_RETRIEVAL_K", "6")
    assert settings_of(rag)["retrieval.k"] == (6, "RAG_RETRIEVAL_K")
    assert settings_of(rag, "--set", "retrieval.k=7")["retrieval.k"] == (7, "--set")


@pytest.mark.usefixtures("built")
def test_k_is_how_many_passages_are_looked_at(rag):
    for arguments in (["-k", "1"], ["--set", "retrieval.k=1"]):
        assert len(json.loads(rag("ask", QUESTION, "--json", *arguments)[1])["passages"]) == 1


def test_settings_may_come_from_a_named_file(place, rag, monkeypatch):
    (place / "other.yaml").write_text("retrieval: {k: 2}\n")
    assert settings_of(rag, "--config", "other.yaml")["retrieval.k"] == (2, "other.yaml")
    monkeypatch.setenv("RAG_CONFIG", "other.yaml")
    assert settings_of(rag)["retrieval.k"][0] == 2


@pytest.mark.usefixtures("built")
def test_settings_that_an_index_was_not_built_with_are_named_with_the_command_that_rebuilds_it(rag):
    _, answer, told = rag("ask", QUESTION)
    assert "other settings" not in told
    _, same, told = rag("ask", QUESTION, "--set", "retrieval.k1=1.2", "--set", "passages.max_tokens=64")
    assert same == answer
    assert "retrieval.k1 0.9 → 1.2, passages.max_tokens 200 → 64; rebuild with: rag index --rebuild --set" in told
    assert "--set passages.max_tokens=64 --set retrieval.k1=1.2\n" in told


@pytest.mark.parametrize(
    ("flags", "command"), [([], ["index"]), (["--index", "my index"], ["index", "--index", "my index"])]
)
@pytest.mark.parametrize("verb", [["show", "ban.md"], ["status"], ["doctor"]])
def test_a_missing_index_is_told_with_the_command_that_builds_it(rag, verb, flags, command):
    _, out, told = rag(*verb, *flags)
    hinted = (told + out).replace("fix  index: rag", "with: rag")
    assert told_command(hinted[hinted.index("with: rag") :]) == command
    assert rag(*command)[0] == 0
    assert rag(*verb, *flags)[0] in {0, 5}


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("arguments", [["ask", QUESTION], ["search", QUESTION], ["index"], ["index", "--dry-run"]])
def test_an_index_whose_words_were_cut_otherwise_is_refused(rag, monkeypatch, arguments):
    monkeypatch.setattr("rag.index.lexical.ANALYZER", "words 0")
    code, out, told = rag(*arguments)
    assert (code, out) == (1, "")
    assert "another version of rag" in told
    assert told_command(told) == ["index", "--rebuild"]


def told_command(told):
    """Return the words behind `rag` of the command that a hint ends with."""
    return shlex.split(told.rpartition("with: rag ")[2].partition("\n")[0])


def broken(folder):
    """Break the current generation of an index, but for its manifest."""
    (current_folder(folder) / "facets.npy").write_bytes(b"")


def test_the_command_that_rebuilds_names_the_folder_that_was_indexed(place, rag):
    (place / "articles").rename(place / "my articles")
    assert rag("index", "my articles")[0] == 0
    _, _, told = rag("search", QUESTION, "--set", "retrieval.b=0.5")
    assert "rebuild with: rag index --rebuild 'my articles' --set retrieval.b=0.5\n" in told
    code, _, told = rag("index", "my articles", "--set", "retrieval.b=0.5")
    assert code == 1
    assert "rebuild with: rag index --rebuild 'my articles' --set retrieval.b=0.5\n" in told
    assert rag(*told_command(told))[0] == 0
    assert "other settings" not in rag("search", QUESTION, "--set", "retrieval.b=0.5")[2]


@pytest.mark.parametrize("verb", [["search", QUESTION], ["ask", QUESTION], ["show", "ban.md"], ["status"], ["doctor"]])
def test_following_the_hint_of_a_broken_index_brings_back_what_it_held(place, rag, verb):
    (place / "articles").rename(place / "my articles")
    (place / "-more").mkdir()
    (place / "-more" / "mill.txt").write_text("The mill was closed in 1988.", encoding="utf-8")
    at = ["--index", "else where"]
    assert rag("index", "my articles", *at)[0] == 0
    assert rag("index", "--add", "./-more", *at)[0] == 0
    content = json.loads(rag("status", "--json", *at)[1])["index"]
    broken(place / "else where")
    code, out, told = rag(*verb, *at)
    assert code == (5 if verb == ["doctor"] else 1)
    words = told_command(out.replace("fix  index:", "with:") if verb == ["doctor"] else told)
    assert words == ["index", "--rebuild", "my articles", "./-more", "--index", "else where"]
    assert rag(*words)[0] == 0
    assert json.loads(rag("status", "--json", *at)[1])["index"] == content


@pytest.mark.usefixtures("built")
def test_a_broken_index_of_the_folders_that_the_settings_name_is_rebuilt_without_naming_them(place, rag):
    broken(place / "index")
    assert rag("status")[2].endswith("hint:  rebuild with: rag index --rebuild\n")
    assert rag("status", "--set", "index=index")[2].endswith("rag index --rebuild\n")
    (place / "other.yaml").write_text("index: index\npassages: {max_tokens: 64}\n")
    assert rag("status", "--config", "other.yaml")[2].endswith("rag index --rebuild --set passages.max_tokens=64\n")


def test_the_commands_that_build_and_update_name_the_settings_that_decide_what_an_index_holds(place, rag):
    (place / "notes").mkdir()
    (place / "notes" / "mill.txt").write_text("The mill was closed in 1988.", encoding="utf-8")
    (place / "other.yaml").write_text("articles: [notes]\nindex: other\npassages: {max_tokens: 64}\n")
    told = rag("status", "--config", "other.yaml")[2]
    assert "build one with: rag index notes --index other --set passages.max_tokens=64" in told
    assert rag(*told_command(told))[0] == 0
    assert rag("status", "--config", "other.yaml")[0] == 0
    (place / "notes" / "mill.txt").write_text("The mill was opened in 1988.", encoding="utf-8")
    told = (
        rag("search", "mill", "--config", "other.yaml")[2]
        + rag("ask", "When was the mill closed?", "--config", "other.yaml")[2]
    )
    assert "bring the index up to date with: rag index notes --index other --set passages.max_tokens=64" in told


@pytest.mark.usefixtures("built")
def test_an_old_index_is_rebuilt_of_what_it_was_built_of_and_one_without_a_manifest_of_what_the_user_says(place, rag):
    (place / "articles").rename(place / "my articles")
    assert rag("index", "my articles")[0] == 0
    manifest = current_folder(place / "index") / "manifest.json"
    manifest.write_text(json.dumps({"format": 1, "roots": [str(place / "my articles")]}))
    _, _, told = rag("status")
    assert "index format 1" in told
    assert "hint:  rebuild with: rag index --rebuild 'my articles'\n" in told
    manifest.write_text("{")
    _, _, told = rag("status")
    assert "hint:  what it was built of cannot be read: put it for FOLDER, and rebuild with: rag index" in told
    assert told_command(told) == ["index", "--rebuild", "FOLDER"]
    # Who says what to index is told to say it again, and with --add what there was, too.
    assert told_command(rag("index", "my articles")[2]) == ["index", "--rebuild", "my articles"]
    assert told_command(rag("index", "my articles", "--add")[2]) == ["index", "--rebuild", "my articles", "FOLDER"]
    assert rag("index", "--rebuild", "my articles")[0] == 0


def test_a_line_of_what_was_done_stays_one_line(place, rag):
    (place / "articles" / "two\nlines.txt").write_text("The mill was closed in 1988.", encoding="utf-8")
    (place / "articles" / "no\ntext.txt").write_text("", encoding="utf-8")
    _, out, _ = rag("index", "--dry-run")
    assert r"added    two\nlines.txt" in out.splitlines()
    assert any(line.startswith(r"empty    articles/no\ntext.txt: ") for line in out.splitlines())


@pytest.mark.usefixtures("place")
def test_the_index_may_lie_anywhere(rag):
    assert rag("index", "articles", "--index", "elsewhere", "-q")[0] == 0
    assert rag("status", "--index", "elsewhere")[0] == 0
    code, _, err = rag("status")
    assert (code, "rag index" in err) == (1, True)


# Articles


def test_show_prints_the_text_that_citations_count_in(built, rag):
    text = rag("show", "ban.md")[1].removesuffix("\n")
    record = json.loads(rag("ask", QUESTION, "--json")[1])
    for citation in record["citations"]:
        assert citation["article"] == "ban.md"
        start, end = citation["start"], citation["end"]
        assert text[start:end] == citation["quote"]
        assert rag("show", "ban.md", "--at", f"{start}:{end}")[1] == citation["quote"] + "\n"
        written = (built / citation["path"]).read_text(encoding="utf-8").split("\n")
        assert citation["quote"] in written[citation["line"] - 1]


@pytest.mark.usefixtures("built")
def test_show_prints_a_passage(rag):
    hit = json.loads(rag("search", "ministers Beijing", "--json")[1])["hits"][0]
    assert rag("show", hit["id"])[1] == hit["text"] + "\n"


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (["--since", "2024"], {"talks.md"}),
        (["--until", "2023-08-24"], {"ban.md"}),
        (["--source", "post"], {"talks.md"}),
        (["--source", "nobody"], set()),
        (["--language", "EN"], {"ban.md", "talks.md"}),
    ],
)
@pytest.mark.parametrize("verb", ["ask", "search"])
@pytest.mark.usefixtures("built")
def test_filters_hold_before_the_cut(rag, verb, flags, found):
    record = json.loads(rag(verb, "seafood", "--json", *flags)[1])
    assert {hit["article"] for hit in record["passages" if verb == "ask" else "hits"]} == found


@pytest.mark.parametrize("kind", ["text", "markdown", "json"])
@pytest.mark.parametrize(
    "command", [["ask", "Who exported scallops?"], ["search", "scallops", "--explain"], ["show", "evil.md"], ["status"]]
)
@pytest.mark.usefixtures("built")
def test_an_article_cannot_move_the_cursor_of_a_terminal(rag, terminal, command, kind):
    terminal(NO_COLOR="1")
    _, out, err = rag(*command, "--format", kind)
    assert command == ["status"] or "callops" in out
    assert not {"\x1b", "\x07", "\u202e", "\u202c"} & set(out + err)


def test_what_goes_to_a_file_is_to_the_letter(built, rag, terminal):
    terminal()
    rag("show", "evil.md", "-o", "evil.txt")
    assert EVIL in (built / "evil.txt").read_text(encoding="utf-8")
    assert EVIL in json.loads(rag("show", "evil.md", "--json")[1])["text"]


@pytest.mark.parametrize(
    ("variables", "colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
@pytest.mark.usefixtures("built")
def test_colour_is_for_terminals_that_want_it(rag, terminal, variables, colored):
    assert "\x1b" not in rag("ask", QUESTION)[1]
    terminal(**variables)
    assert ("\x1b[" in rag("ask", QUESTION)[1]) == colored


# Help


def test_a_bare_rag_shows_what_there_is(rag):
    code, out, err = rag()
    assert code in {0, 2}
    assert all(verb in out + err for verb in VERBS)


def test_no_verbs_line_of_help_is_cut(rag):
    code, out, _ = rag("--help")
    assert code == 0
    assert [line for line in out.partition("Commands:")[2].splitlines() if line.endswith("...")] == []


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_ends_with_an_example(rag, verb):
    code, out, err = rag(verb, "--help")
    assert (code, err) == (0, "")
    assert " ".join(out.split()).rpartition("Example: ")[2].startswith(f"rag {verb}")


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_and_argument_has_help(verb):
    command = typer.main.get_command(cli.app).commands[verb]
    without = [parameter.name for parameter in command.params if not getattr(parameter, "help", None)]
    assert without == []


def test_the_version_is_a_line(rag):
    from rag import __version__

    assert rag("--version") == (0, f"rag {__version__}\n", "")
    assert rag("ask", "--version") == (0, f"rag {__version__}\n", "")


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    "words",
    [
        ["eval", "gold.jsonl", "-o", "gold.jsonl"],
        ["eval", "gold.jsonl", "--answers", "gold.jsonl"],
        ["eval", "gold.jsonl", "--run", "gold.jsonl"],
        ["sweep", "grid.yaml", "gold.jsonl", "-o", "grid.yaml"],
        ["verify", "gold.jsonl", "-o", "gold.jsonl"],
    ],
    ids=" ".join,
)
def test_no_command_writes_over_what_it_reads(place, rag, words):
    (place / "gold.jsonl").write_text('{"question": "When did China ban seafood?", "answers": ["August"]}\n')
    (place / "grid.yaml").write_text("retrieval.k: [4]\n")
    before = [(place / name).read_bytes() for name in ("gold.jsonl", "grid.yaml")]
    code, _, told = rag(*words)
    assert (code, "it is what is read here" in told) == (1, True)
    assert [(place / name).read_bytes() for name in ("gold.jsonl", "grid.yaml")] == before


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("words", [["ask", "When?"], ["search", "ban"], ["status"], ["show", "ban.md"]], ids=" ".join)
def test_no_command_writes_over_an_article(place, rag, words):
    before = (place / "articles" / "ban.md").read_bytes()
    code, _, told = rag(*words, "-o", "articles/ban.md")
    assert (code, "it holds an article that is indexed" in told) == (1, True)
    assert (place / "articles" / "ban.md").read_bytes() == before
    assert rag(*words, "-o", "out.txt")[0] in {0, 3}
    assert rag(*words, "-o", "out.txt")[0] in {0, 3}


@pytest.mark.parametrize("words", [["ask", "When?"], ["search", "ban"]], ids=" ".join)
def test_no_command_writes_over_an_article_before_there_is_an_index(place, rag, words):
    before = (place / "articles" / "ban.md").read_bytes()
    code, _, told = rag(*words, "-o", "articles/ban.md")
    assert (code, "cannot be written" in told) == (1, True)
    assert (place / "articles" / "ban.md").read_bytes() == before


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("flag", ["--answers", "--run"])
def test_an_evaluation_writes_over_no_article(place, rag, flag):
    (place / "gold.jsonl").write_text('{"question": "When did China ban seafood?", "answers": ["August"]}\n')
    before = (place / "articles" / "ban.md").read_bytes()
    code, _, told = rag("eval", "gold.jsonl", flag, "articles/ban.md")
    assert (code, "it holds an article that is indexed" in told) == (1, True)
    assert (place / "articles" / "ban.md").read_bytes() == before


def test_a_row_is_shown_by_the_line_that_it_is_cited_with(place, rag):
    rows = [{"id": name, "text": f"The {name} was closed."} for name in ("mill", "dam", "port")]
    (place / "articles" / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert rag("index")[0] == 0
    assert "The dam was closed." in rag("show", "articles/rows.jsonl:2")[1]


@pytest.mark.usefixtures("built")
def test_a_window_that_ends_before_it_begins_is_told(rag):
    code, _, told = rag("ask", QUESTION, "--since", "2024", "--until", "2023")
    assert (code, "nothing lies between 2024 and 2023" in told) == (1, True)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("show", "nothing.md"), "list them with: rag status --index 'else where'\n"),
        (("show", "ban.md", "--at", "0:99999"), "see the whole of it with: rag show ban.md --index 'else where'\n"),
        (("index", "--rollback"), "bring the index up to date with: rag index --index 'else where'\n"),
    ],
)
def test_a_hint_that_looks_into_an_index_names_the_one_that_was_asked_for(rag, words, hint):
    rag("index", "articles", "-q", "--index", "else where")
    code, _, err = rag(*words, "--index", "else where")
    assert code == 1
    assert err.endswith(hint)
    assert " --index" not in rag("index", "articles", "-q")[2] + rag(*words)[2]


def test_going_back_takes_no_paths(rag):
    rag("index", "articles", "-q")
    code, _, err = rag("index", "articles", "--rollback")
    assert (code, "--rollback takes no files and folders" in err) == (1, True)


def test_without_articles_the_hint_names_the_index_that_was_asked_for(place, rag):
    shutil.rmtree(place / "articles")
    assert "name your folder: rag index FOLDER --index nowhere\n" in rag("ask", QUESTION, "--index", "nowhere")[2]
