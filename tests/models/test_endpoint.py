"""A model behind HTTP: against a server that follows a script, on loopback, with no wait but its own time-outs."""

import contextlib
import itertools
import json
import socket
import socketserver
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.writing import Message, TextWriter
from rag.config import load_config
from rag.errors import ConfigError, EndpointError, EndpointRefused, RagError
from rag.loading import endpoint_of
from rag.models import endpoint
from rag.models.endpoint import Address, EndpointWriter

KEY = "sk-secret-0123456789"
ASKED = [Message("system", "Answer."), Message("user", "Why?")]


def head(status="200 OK", kind="text/event-stream", **more):
    fields = {"Content-Type": kind, "Connection": "close", **more}
    return (
        f"HTTP/1.1 {status}\r\n"
        + "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        + "\r\n"
    )


def event(text, finish=None):
    return "data: " + json.dumps({"choices": [{"delta": {"content": text}, "finish_reason": finish}]}) + "\n\n"


DONE = "data: [DONE]\n\n"
GOOD = head() + event("Be") + event("cause") + event("", "stop") + DONE


@dataclass
class Request:
    path: str
    headers: dict
    body: dict


class Server:
    """Answers one connection after another with what its script says; `None` stands for silence."""

    def __init__(self):
        self.script, self.requests, self.over = [], [], threading.Event()
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                path = self.rfile.readline().split()[1].decode()
                headers = {}
                while (line := self.rfile.readline().strip()) != b"":
                    name, _, value = line.decode().partition(": ")
                    headers[name.casefold()] = value
                body = json.loads(self.rfile.read(int(headers["content-length"])))
                outer.requests.append(Request(path, headers, body))
                parts = outer.script[min(len(outer.requests), len(outer.script)) - 1]
                for part in [parts] if isinstance(parts, (str, bytes)) else parts:
                    if part is None:
                        outer.over.wait(10)
                        return
                    self.wfile.write(part if isinstance(part, bytes) else part.encode())
                    self.wfile.flush()

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # a client that left
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def writer(server, waits):
    def make(**given):
        given = {"model": "m", "key": KEY, "timeout_s": 0.3, "retries": 2, "sleep": waits.append} | given
        return EndpointWriter(given.pop("url", server.url), **given)

    return make


def text_of(writer):
    return "".join(writer.write(ASKED, max_tokens=50))


# What is sent


def test_a_writer_keeps_to_the_seam(writer):
    seam: TextWriter = writer()
    assert (seam.name, seam.model, seam.context_tokens) == ("endpoint", "m", 4096)
    assert KEY not in seam.revision


def test_the_request_is_a_greedy_seeded_streamed_chat_completion(server, writer):
    server.script = [GOOD]
    assert text_of(writer()) == "Because"
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.body == {
        "model": "m", "max_tokens": 50, "temperature": 0, "seed": 0, "stream": True,
        "messages": [{"role": "system", "content": "Answer."}, {"role": "user", "content": "Why?"}],
    }  # fmt: skip
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_without_a_key_none_is_sent(server, writer):
    server.script = [GOOD]
    text_of(writer(key=None))
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://localhost:11434/v1", "http://localhost:11434/v1/chat/completions"),
        ("http://localhost/v1/", "http://localhost:80/v1/chat/completions"),
        ("https://example.org", "https://example.org:443/chat/completions"),
        ("https://example.org/v1/chat/completions", "https://example.org:443/v1/chat/completions"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1/chat/completions"),
    ],
)
def test_an_address_is_taken_apart(url, told):
    assert str(Address.of(url)) == told


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000", "ftp://a.b/v1", "file:///etc/passwd", "http://", "http://a b/", "http://a/\r\nX: y",
     "http://a:99999999/", "http://user:secret@a/v1", "http://a/v1?key=secret", "http://a/v1#secret", "http://ä/v1"],
)  # fmt: skip
def test_what_is_no_plain_url_is_refused(url):
    with pytest.raises(EndpointRefused) as refused:
        Address.of(url)
    assert refused.value.hint
    if "@" in url:
        assert "secret" not in refused.value.message


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(url):
    with contextlib.suppress(EndpointRefused):
        assert str(Address.of(url)).isprintable()


# What comes back


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        head() + GOOD.removeprefix(head()).replace("\n", "\r\n"),
        [*(GOOD[place] for place in range(len(GOOD)))],
        head() + ": ping\n\n" + event("Be") + "event: x\nid: 1\n\n" + event("cause", "length"),  # no [DONE]
        head() + event("Because", "stop") + 'data: {"choices": [], "usage": {}}\n\n' + DONE,
        head() + 'data: {"choices": [{"delta": {"role": "assistant"}}]}\n\n' + event("Because", "stop") + DONE,
        head() + 'data: {"choices":\ndata: [{"delta": {"content": "Because"}, "finish_reason": "stop"}]}\n\n',
        head(kind="application/json") + json.dumps({"choices": [{"message": {"content": "Because"}}]}),
        head(Transfer_Encoding="chunked")
        + f"{len(event('Because', 'stop')):x}\r\n{event('Because', 'stop')}\r\n0\r\n\r\n",
    ],
)
def test_a_stream_is_read_however_it_is_cut(server, writer, answer):
    server.script = [answer]
    assert text_of(writer()) == "Because"


def test_pieces_are_given_out_as_they_arrive(server, writer):
    server.script = [[head() + event("Be"), None]]
    pieces = writer().write(ASKED, max_tokens=5)
    assert next(pieces) == "Be"
    server.over.set()


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), min_size=1, max_size=6),
    st.data(),
)
def test_any_text_survives_the_stream(pieces, data):
    stream = "".join(map(event, pieces)).encode() + DONE.encode()
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    ends = [0, *places, len(stream)]

    parts = [stream[a:b] for a, b in itertools.pairwise(ends) if a < b]

    class Response:
        def read1(self, _size):
            return parts.pop(0) if parts else b""

    assert "".join(endpoint._streamed(endpoint._lines(Response(), until=float("inf")))) == "".join(pieces)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (head() + "data: {oops\n\n", "no chat completion: '{oops'"),
        (head() + "data: 5\n\n", "no chat completion"),
        (head() + 'data: {"choices": [5]}\n\n', "no chat completion"),
        (head() + 'data: {"choices": [{"delta": {"content": 5}}]}\n\n', "no chat completion"),
        (head() + 'data: {"choices": "x"}\n\n', "no chat completion"),
        (head() + "data: " + "[" * 200_000 + "\n\n", "no chat completion"),
        (head() + "data: \xff\n\n", "no chat completion"),
        (head() + "data: " + "x" * (1 << 21), "a line without end"),
        (head(kind="application/json") + "{}", "no chat completion"),
        (head(kind="application/json") + '{"choices": [{"message": {"content": null}}]}', "no chat completion"),
        (head(kind="text/html") + "<html>", "answers with text/html"),
        (
            head("400 Bad Request", kind="application/json") + '{"error": {"message": "too long"}}',
            "answers 400 Bad Request: too long",
        ),
    ],
)
def test_what_is_no_answer_is_told_at_once(server, writer, waits, answer, told):
    server.script = [answer]
    with pytest.raises(EndpointError) as error:
        text_of(writer())
    assert told in error.value.message
    assert error.value.hint
    assert (len(server.requests), waits) == (1, [])


def test_a_model_that_writes_without_end_is_stopped(server, writer):
    server.script = [[head(), *[event("x" * 500_000)] * 20]]
    with pytest.raises(EndpointError, match="without end"):
        text_of(writer())


# Trying again


@pytest.mark.parametrize(
    "failure",
    [
        head("500 Internal Server Error"),
        head("502 Bad Gateway"),
        head("503 Service Unavailable"),
        head("429 Too Many Requests"),
        head(),  # it ends before it began
        head() + ": ping\n\n",
        head() + 'data: {"error": {"message": "overloaded"}}\n\n',
        "",  # dropped at once
        "HTTP/1.1 200",
        "nonsense\r\n\r\n",
        [None],  # says nothing
        [head(), None],
        head(Transfer_Encoding="chunked") + "5\r\nda",
    ],
)
def test_a_failure_that_may_pass_is_tried_again(server, writer, waits, failure):
    server.script = [failure, GOOD]
    assert text_of(writer()) == "Because"
    assert len(server.requests) == 2
    assert 0.5 <= waits[0] <= 0.75


def test_tries_are_counted_and_wait_ever_longer_by_the_same_chance(server, writer, waits):
    server.script = [head("500 Oops") + KEY]
    with pytest.raises(EndpointError) as error:
        text_of(writer(retries=3))
    assert "500 Oops" in error.value.message
    assert "4 tries" in error.value.message
    assert KEY not in error.value.message
    assert len(server.requests) == 4
    first = waits.copy()
    assert [wait // base for wait, base in zip(first, [0.5, 1.0, 2.0], strict=True)] == [1, 1, 1]
    waits.clear()
    with pytest.raises(EndpointError):
        text_of(writer(retries=3))
    assert waits == first


@pytest.mark.parametrize(("header", "least"), [("7", 7), ("0", 0), ("99999", 60), ("soon", 0.5), ("-1", 0.5)])
def test_a_server_that_asks_for_time_gets_it(server, writer, waits, header, least):
    server.script = [head("429 Too Many Requests", Retry_After=header), GOOD]
    text_of(writer())
    assert least <= waits[0] <= 1.5 * least


def test_a_server_may_ask_for_time_by_a_date(server, writer, waits):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    server.script = [head("503 Busy", Retry_After=date), GOOD]
    text_of(writer())
    assert 15 < waits[0] <= 30


@pytest.mark.parametrize("rest", [[None], [], ['data: {"error": "gone"}\n\n']])
def test_an_answer_that_breaks_off_is_not_begun_again(server, writer, waits, rest):
    server.script = [[head() + event("Be"), *rest], GOOD]
    pieces = writer().write(ASKED, max_tokens=5)
    assert next(pieces) == "Be"
    with pytest.raises(EndpointError, match="broke off in the middle"):
        next(pieces)
    assert (len(server.requests), waits) == (1, [])


def test_a_slow_drip_ends_like_silence(server, writer, monkeypatch):
    ticks = iter(range(10_000))
    monkeypatch.setattr("rag.models.endpoint.time.monotonic", lambda: float(next(ticks)))
    server.script = [[head(), *[": x\n"] * 50, None]]
    with pytest.raises(EndpointError, match="nothing for too long"):
        text_of(writer(retries=0))


@pytest.mark.parametrize(
    ("status", "hint"),
    [("401 Unauthorized", "RAG_ENDPOINT_KEY"), ("403 Forbidden", "RAG_ENDPOINT_KEY"), ("404 Not Found", "endpoint.url"),
     ("301 Moved", "endpoint.url"), ("307 Temporary Redirect", "endpoint.url")],
)  # fmt: skip
def test_a_refusal_is_not_tried_again_and_says_what_to_change(server, writer, waits, status, hint):
    server.script = [head(status, Location="http://192.0.2.1/") + f'{{"error": {{"message": "bad key {KEY}"}}}}']
    with pytest.raises(EndpointRefused) as refused:
        text_of(writer())
    assert hint in refused.value.hint
    assert KEY not in refused.value.message
    assert (len(server.requests), waits) == (1, [])


@pytest.mark.parametrize("status", ["400 Bad Request", "422 Unprocessable Entity", "501 Not Implemented"])
def test_a_server_that_refuses_to_stream_is_asked_for_the_whole(server, writer, waits, status):
    whole = json.dumps({"choices": [{"message": {"content": "Because."}, "finish_reason": "stop"}]})
    server.script = [
        head(status) + '{"error": {"message": "stream is not supported"}}',
        head(kind="application/json") + whole,
    ]
    assert list(writer(retries=0).write(ASKED, max_tokens=9)) == ["Because."]
    assert [request.body["stream"] for request in server.requests] == [True, False]
    assert waits == []


def test_a_server_that_refuses_both_is_told_of_once(server, writer):
    server.script = [head("400 Bad Request") + "no stream, no whole"]
    with pytest.raises(EndpointError, match="answers 400"):
        list(writer(retries=0).write(ASKED, max_tokens=9))
    assert len(server.requests) == 2


def test_a_server_that_is_not_there_is_told(writer):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(EndpointError, match="cannot be reached") as error:
        text_of(writer(url=f"http://127.0.0.1:{port}/v1"))
    assert error.value.hint


def test_https_is_verified(server, writer):
    server.script = [GOOD]
    with pytest.raises(RagError, match=r"securely|reached|HTTP"):
        text_of(writer(url=server.url.replace("http:", "https:"), retries=0, timeout_s=30))
    assert server.requests == []


def test_a_proxy_of_the_environment_is_not_used(server, writer, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:3128")
    server.script = [GOOD]
    assert text_of(writer()) == "Because"


@given(st.text(max_size=200))
def test_a_count_is_generous_and_grows_with_the_text(text):
    counted = EndpointWriter("http://127.0.0.1/v1", model="m").count
    assert counted(text) > 0
    assert counted(text + "x") >= counted(text)


# From the settings


@pytest.mark.parametrize(
    ("settings", "missing"), [({}, "endpoint.url"), ({"endpoint.url": "http://localhost/v1"}, "endpoint.model")]
)
def test_settings_that_name_no_endpoint_are_told(settings, missing, tmp_path):
    config = load_config(file=None, overrides=settings, environment={}, cwd=tmp_path)
    with pytest.raises(ConfigError, match=f"{missing} is not set") as error:
        endpoint_of(config)
    assert error.value.hint


def test_the_settings_and_the_environments_key_make_a_writer(server, monkeypatch, tmp_path):
    monkeypatch.setenv(endpoint.KEY_VARIABLE, KEY)
    server.script = [GOOD]
    settings = {"endpoint.url": server.url, "endpoint.model": "m", "endpoint.context_tokens": "900"}
    made = endpoint_of(load_config(file=None, overrides=settings, environment={}, cwd=tmp_path))
    assert (text_of(made), made.context_tokens) == ("Because", 900)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_server_that_repeats_the_key_in_an_answer_does_not_get_it_told(server, writer):
    error = {"error": {"message": f"incorrect key: {KEY}"}}
    for said in (head() + f"data: {json.dumps(error)}\n\n", head(kind="application/json") + json.dumps(error)):
        server.script = [said] * 3
        with pytest.raises(EndpointError) as told:
            text_of(writer())
        assert KEY not in told.value.message


@pytest.mark.parametrize("end", ["\r\n", "\r", " "])
def test_a_key_from_a_file_with_other_line_ends_is_the_same_key(server, writer, end):
    server.script = [GOOD]
    text_of(writer(key=f"{KEY}{end}"))
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_key_that_no_header_takes_is_refused_untold(writer):
    with pytest.raises(EndpointRefused) as refused:
        writer(key="sk-ä\x00")
    assert "sk-" not in refused.value.message
    assert "RAG_ENDPOINT_KEY" in refused.value.message
