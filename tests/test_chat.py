"""A conversation, through `main` and line by line."""

import io
import json
import logging
import os
import signal
import sys
from pathlib import Path

import pytest

import rag.outputs
from rag import chat
from rag.chat import Conversation, Left, Showing, Talk, around, converse
from rag.cli import main
from rag.conversation.followups import understand
from rag.engine import Engine
from rag.errors import ModelBroken

ARTICLES = {
    "ban.md": "---\npublished: 2023-08-24\nsource: Times\n---\n# Ban\n\n"
    "China banned seafood in August 2023. Japan protested.\n",
    "talks.md": "---\npublished: 2024-11\nsource: Post\n---\n# Talks\n\n"
    "The ministers met in Beijing. They spoke of fish.\n",
}  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, word_encoder):
    for name in [name for name in os.environ if name.startswith("RAG_")]:
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
    assert main(["index", "-q"]) == 0
    yield folder
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def talk(capsys, monkeypatch):
    """Have a conversation from standard input; return the exit code, what was printed, and what was told."""
    capsys.readouterr()

    def run(*lines, flags=()):
        typed = io.TextIOWrapper(io.BytesIO("\n".join(lines).encode()), encoding="utf-8")
        monkeypatch.setattr("sys.stdin", typed)
        code = main(["chat", *flags])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def engine():
    from rag.config import load_config

    config = load_config(file=None, overrides={}, environment={}, cwd=Path.cwd())
    with Engine(config) as opened:
        yield opened


# Through the command line


def test_each_question_is_a_record_and_follow_ups_say_what_they_mean(talk):
    code, out, err = talk("When did China ban seafood?", "", "And in 2024?", flags=["--json"])
    first, second = map(json.loads, out.splitlines())
    assert code == 0
    assert (first["id"], first["question"]) == ("1", "When did China ban seafood?")
    assert "understood" not in first
    assert (second["question"], second["understood"]) == ("And in 2024?", "When did China ban seafood in 2024?")
    assert "understood as: When did China ban seafood in 2024?" in err


def test_a_question_that_stands_alone_gets_the_answer_that_ask_gives(talk, capsys):
    question = "What did Japan do in August 2023?"
    _, out, _ = talk("Who met in Beijing?", question, flags=["--json"])
    talked = json.loads(out.splitlines()[1])
    main(["ask", question, "--json"])
    asked = json.loads(capsys.readouterr().out)
    assert {**talked, "id": None, "timings_ms": 0} == {**asked, "timings_ms": 0}


def test_no_answer_is_printed_and_the_conversation_goes_on(talk):
    code, out, _ = talk("Who won?", "Who met in Beijing?", flags=["--set", "answer.min_confidence=1"])
    assert code == 0
    assert out.count("The articles do not say.") == 2


def test_a_saved_conversation_is_one_that_verify_accepts(talk, place, capsys):
    code, _, err = talk(
        "When did China ban seafood?", "Why?", "/save talk.jsonl", "Who met in Beijing?", "/save talk.jsonl"
    )
    assert code == 0
    assert "2 answers in talk.jsonl" in err
    assert "3 answers in talk.jsonl" in err
    assert main(["verify", "talk.jsonl"]) == 0
    assert "3 answers" in capsys.readouterr().out
    assert len((place / "talk.jsonl").read_text().splitlines()) == 3


def test_a_file_that_was_there_is_left_alone(talk, place):
    (place / "mine.txt").write_text("mine")
    code, _, err = talk("When did China ban seafood?", "/save mine.txt")
    assert code == 1
    assert "mine.txt is there already" in err
    assert (place / "mine.txt").read_text() == "mine"


def test_commands_show_what_lies_behind_the_last_answer(talk):
    code, out, err = talk("When did China ban seafood?", "/sources", "/passages", "/why", "/open 1", "/help")
    assert code == 0
    assert out.count("[1] “China banned seafood in August 2023.”") == 2
    assert "ban.md#0 score" in out
    assert "dropped" in out
    assert "# Ban\n\nChina banned seafood in August 2023. Japan protested." in out
    assert "/save FILE" in err


@pytest.mark.parametrize(
    ("question", "most"), [("What do Japan and the ministers say about seafood?", 2), ("Who met in Beijing?", 1)]
)
def test_the_passages_shown_are_those_that_the_answer_was_looked_for_in(talk, question, most):
    _, out, _ = talk(question, "/passages", flags=["--json", "-k", "1"])
    answer, found = map(json.loads, out.splitlines())
    shown = [(hit["id"], hit["score"]) for hit in found["hits"]]
    assert shown == [(passage["id"], passage["score"]) for passage in answer["passages"]]
    assert len(shown) == most


def test_what_is_shown_around_a_quote_begins_and_ends_with_a_whole_word():
    text = "word " * 200 + "QUOTE " + "ward " * 200
    start = text.index("QUOTE")
    first, last = around(text, start, start + 5)
    assert text[first:last].split() == ["word"] * 79 + ["QUOTE"] + ["ward"] * 79
    assert around("QUOTE", 0, 5) == (0, 5)
    unspaced = "字" * 2000
    assert around(unspaced, 1000, 1010) == (600, 1410)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/sources", "nothing was asked yet"),
        ("/fly", "there is no command /fly"),
        ("/open 1", "nothing was asked yet"),
        ("/save", "/save takes a file"),
        ("/save x.jsonl", "nothing to save"),
        ("/filter when=2023", "/filter does not take 'when=2023'"),
        ("/filter since=soon", "--since: a date is"),
    ],
)
def test_a_mistake_is_told_and_the_conversation_goes_on(talk, line, told):
    code, out, err = talk(line, "When did China ban seafood?")
    assert code == 1
    assert told in err
    assert "hint:" in err
    assert "China banned seafood in August 2023. [1]" in out


def test_a_filter_holds_until_it_is_taken_back(talk):
    _, out, _ = talk("fish in Beijing 2024", '/filter source="Times"', "fish in Beijing 2024", "/filter",
                     "fish in Beijing 2024", flags=["--json"])  # fmt: skip
    found = [{hit["article"] for hit in json.loads(line)["passages"]} for line in out.splitlines()]
    assert found == [{"ban.md", "talks.md"}, {"ban.md"}, {"ban.md", "talks.md"}]


def test_what_is_forgotten_is_leaned_on_no_more(talk):
    _, out, _ = talk("When did China ban seafood?", "/new", "And in 2024?", flags=["--json"])
    assert "understood" not in json.loads(out.splitlines()[1])


@pytest.mark.parametrize("first", ["Who said so?", "Why?", "And in 2024?", "为什么？"])
def test_a_first_question_that_only_refers_is_told_that_there_is_nothing_before(talk, first):
    code, out, err = talk(first, "And in May?", "When did China ban seafood?", "Why?", flags=["--json"])
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [record["answered"] for record in records] == [False, False, True, True]
    for record in records[:2]:
        assert record["reason"].startswith("there is no question before this one that it could refer to; ask first")
        assert (record["passages"], record["confidence"]) == ([], 0)
        assert "understood" not in record
    assert records[3]["understood"] == "Why did China ban seafood?"
    assert err.count("understood as") == 1


def test_a_pronoun_of_the_first_question_that_stands_for_nobody_is_told(talk):
    _, out, err = talk("Did they meet in Beijing?", "Did they meet in Beijing?", flags=["--json"])
    assert err.count("there is no question before this one that “they” could refer to") == 1
    assert json.loads(out.splitlines()[0])["answered"]


def test_a_question_that_names_nothing_is_declined_by_ask_and_in_a_set(place, capsys):
    capsys.readouterr()
    assert main(["ask", "Who said so?"]) == 3
    out = capsys.readouterr().out
    assert "the question does not say what it is about; name that" in out
    assert "Nearest" not in out
    (place / "q.txt").write_text("Why?\nWho met in Beijing?\n")
    assert main(["batch", "q.txt", "-o", "a.jsonl", "-q"]) == 0
    answers = [json.loads(line)["answered"] for line in (place / "a.jsonl").read_text().splitlines()]
    assert answers == [False, True]
    assert main(["verify", "a.jsonl"]) == 0


@pytest.mark.parametrize("line", ["/quit", "/exit", "exit", "Quit", ":q"])
def test_quit_leaves_at_once(talk, line):
    code, out, _ = talk(line, "When did China ban seafood?")
    assert (code, out) == (0, "")


def test_a_conversation_goes_to_the_file_that_is_named(talk, place):
    code, out, _ = talk("When did China ban seafood?", "Who met in Beijing?", flags=["--json", "-o", "talk.jsonl"])
    assert (code, out) == (0, "")
    assert [json.loads(line)["id"] for line in (place / "talk.jsonl").read_text().splitlines()] == ["1", "2"]


def test_what_an_article_says_cannot_move_the_cursor_by_being_understood(talk, place):
    (place / "articles" / "evil.md").write_text(
        "# Evil\n\nScallops \x1b[31mred were sold " + "to many people " * 20 + ".\n"
    )
    main(["index", "-q"])
    _, _, err = talk("Which scallops were sold?", "Who said so?")
    assert "understood as: Who said that Scallops \\x1b[31mred" in err
    assert "\x1b" not in err


def test_thanks_are_no_question(talk):
    code, out, err = talk("What did China ban?", "thanks!", "When?")
    assert code == 0
    assert "nothing was asked" in err
    assert out.count("Sources") == 2


def test_a_follow_up_typed_small_gets_the_capitals_of_what_was_found(talk):
    _, _, err = talk("Where did the ministers meet?", "did the ministers of beijing speak there")
    assert "Beijing" in err
    _, _, err = talk("Where did the ministers meet?", "what did china ban in august 2023")
    assert "understood as" not in err  # it stands alone, and is shown as it was typed


def test_sigterm_ends_it(talk, monkeypatch):
    def terminate(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    monkeypatch.setattr(Conversation, "ask", terminate)
    before = signal.getsignal(signal.SIGTERM)
    assert talk("Why?", "Why?")[0] == 130
    assert signal.getsignal(signal.SIGTERM) == before


# Line by line


class Shown(list):
    """A conversation's output, in order."""

    def talk(self, conversation):
        return Talk(
            conversation,
            Showing(
                answer=lambda asked: f"answer to {asked.answer.question}",
                passages=str, explained=str, piece=str,
                emit=self.append, tell=self.append, note=self.append,
            ),
        )  # fmt: skip


def reader(*lines):
    waiting = iter(lines)

    def read():
        line = next(waiting, EOFError)
        if isinstance(line, type):
            raise line
        return line

    return read


def test_an_interruption_drops_the_turn_and_a_second_one_leaves(engine):
    shown = Shown()
    talk = shown.talk(Conversation(engine))
    converse(talk, read=reader(KeyboardInterrupt, "Who met?", KeyboardInterrupt, EOFError))
    assert shown == ["dropped; Ctrl-C again leaves", "answer to Who met?", "dropped; Ctrl-C again leaves"]
    with pytest.raises(Left) as left:
        converse(talk, read=reader(KeyboardInterrupt, KeyboardInterrupt, "Who met?"))
    assert left.value.interrupted


def test_a_turn_that_is_interrupted_leaves_no_trace(engine, monkeypatch):
    conversation = Conversation(engine)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "finish", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        converse(Shown().talk(conversation), read=reader("When did China ban seafood?", EOFError))
    assert conversation.answers == []
    assert conversation.understand("Why?") == understand("Why?", [])


def test_a_turn_that_fails_is_told_and_counted(engine, monkeypatch):
    shown = Shown()
    talk = shown.talk(Conversation(engine))

    def broken(*_, **__):
        raise ModelBroken("the model is broken", hint="mend it")

    monkeypatch.setattr(engine, "begin", broken)
    talk.take("Who met?")
    assert shown == ["error: the model is broken\nhint:  mend it"]
    assert talk.failed == 1


class Doubtful:
    """An engine that is surer of some wordings than of others."""

    rewrites = False

    def __init__(self, engine, confidence):
        self.engine, self.confidence, self.asked, self.finished = engine, confidence, [], []

    def search(self, query, **given):
        return self.engine.search(query, **given)

    def begin(self, question, **given):
        from dataclasses import replace

        self.asked.append(question)
        begun = self.engine.begin(question, **given)
        answer = replace(begun.asked.answer, confidence=self.confidence(question))
        return replace(begun, asked=replace(begun.asked, answer=answer))

    def write(self, begun):
        return self.engine.write(begun)

    def finish(self, begun, pieces, *, tell):
        self.finished.append(begun.asked.answer.question)
        return self.engine.finish(begun, pieces, tell=tell)


@pytest.mark.parametrize(("plain", "whole", "taken"), [(0.4, 0.5, True), (0.5, 0.5, False), (0.6, 0.5, False)])
def test_of_two_meanings_the_more_confident_answer_is_given(engine, plain, whole, taken):
    doubtful = Doubtful(engine, lambda question: whole if "(" in question else plain)
    conversation = Conversation(doubtful)
    for question in ("When did China ban seafood?", "How large is the fishing fleet?"):
        asked = conversation.ask(question, conversation.understand(question))
    assert doubtful.asked[1:] == ["How large is the fishing fleet? (When did China ban seafood?)",
                                  "How large is the fishing fleet?"]  # fmt: skip
    assert (asked.answer.understood is not None) == taken
    assert len(doubtful.finished) == 2  # a model would have written but once for each
    assert asked.answer.question == "How large is the fishing fleet?"


def test_only_so_many_turns_are_remembered(engine):
    conversation = Conversation(engine)
    for _ in range(chat.REMEMBERED + 3):
        conversation.ask("Who met?", conversation.understand("Who met?"))
    assert len(conversation._turns) == chat.REMEMBERED


@pytest.mark.parametrize("flags", [[], ["--save", "typed"]])
def test_a_terminal_is_read_with_line_editing(monkeypatch, capsys, flags):
    saved = []

    def line_reader(*, save):
        saved.append(save)
        return reader("When did China ban seafood?", EOFError)

    monkeypatch.setattr("rag.terminal.line_reader", line_reader)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["chat", *flags]) == 0
    assert "seafood" in capsys.readouterr().out
    assert saved == [Path("typed") if flags else None]


def test_a_bar_is_gone_before_an_answer_is_shown(place):
    from dataclasses import replace

    from rag.config import load_config
    from rag.pipeline import ask
    from rag.progress import SILENT

    events = []
    reporting = replace(
        SILENT, progress=lambda stage, *_: events.append(stage), finish=lambda: events.append("finished")
    )
    config = load_config(file=None, overrides={"index": str(place / "new")}, environment={}, cwd=place)
    ask(config, "Who met?", reporting=reporting)
    assert events[-1] == "finished"
    assert "encoding" in events


def test_each_answer_is_written_to_a_file_once(talk, tmp_path, monkeypatch):
    anew = []
    write_output = rag.outputs.write_output
    monkeypatch.setattr(
        "rag.outputs.write_output", lambda file, content: (anew.append(file), write_output(file, content))
    )
    file, questions = tmp_path / "talk.jsonl", ["When did China ban seafood?", "Who met in Beijing?", "Why?"]
    file.write_text("old\n")
    talk(*questions, flags=["--json", "-o", str(file)])
    assert [json.loads(line)["question"] for line in file.read_text().splitlines()] == questions
    assert anew == [file]


def test_why_explains_the_search_that_was_made(engine):
    conversation = Conversation(engine)
    shown = []
    showing = Showing(
        answer=lambda _: "", passages=lambda _: "", explained=lambda found: shown.append(found.query) or "",
        piece=lambda _: "", emit=lambda _: None, tell=lambda _: None, note=lambda _: None,
    )  # fmt: skip
    told = Talk(conversation, showing)
    for line in ("When did China ban seafood?", "What did Japan do then?", "/filter since=2024", "/why"):
        told.take(line)
    assert shown == [conversation.searched[0]]
    assert conversation.searched[1] is None


def test_a_date_that_is_none_is_told_as_it_is_typed_in_a_chat(talk):
    _, _, err = talk("/filter since=foo")
    assert "for example: /filter since=2023-11" in err
