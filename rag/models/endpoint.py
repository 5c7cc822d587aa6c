"""A model behind HTTP: whatever answers OpenAI's chat completions (vLLM, Ollama, llama.cpp, `transformers serve`).

Spoken with the standard library alone. Only the URL that the user configured is contacted: redirects are not followed,
and no proxy is taken from the environment. The key comes from the environment, and is in no error, log or record.
"""

from __future__ import annotations

import http.client
import json
import logging
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from rag.errors import EndpointError, EndpointRefused
from rag.models.message import Message

logger = logging.getLogger(__name__)

KEY_VARIABLE: Final = "RAG_ENDPOINT_KEY"
_CONNECT_TIMEOUT_S: Final = 10.0
_MOST_WAIT_S: Final = 60.0  # between two tries, whatever the server asks for
_MOST_LINE: Final = 1 << 20  # bytes of one event
_MOST_BODY: Final = 1 << 22  # bytes of an answer that is not streamed, and characters of one that is
_MOST_SILENCES: Final = 10  # of the time-out, how often an answer may take it as a whole
_MOST_ERROR: Final = 4096  # bytes of an error's body that are read
_SHOWN: Final = 200  # characters of it that are told
_CHARACTERS_PER_TOKEN: Final = 3  # of English, less than any usual tokenizer needs, so that a budget holds
_OK: Final = 200
_AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_MALFORMED: Final = frozenset({400, 422, 501})  # what a server says of a field that it does not take
_MEANT: Final[Mapping[int, str]] = {
    401: f"put the endpoint's key into the environment: {KEY_VARIABLE}=…",
    403: f"put a key that may use this model into the environment: {KEY_VARIABLE}=…",
    404: "check endpoint.url and endpoint.model; the URL usually ends with /v1",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where an endpoint is, taken apart."""

    secure: bool
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Return the address of the chat completions below a base URL.

        Raises:
            EndpointRefused: it is no http or https URL, or one that holds a user, a query or a fragment.
        """
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError as error:
            raise _no_url(url) from error
        plain = not (parts.username or parts.password or parts.query or parts.fragment)
        printable = url.strip().isascii() and url.strip().isprintable() and " " not in url.strip()
        if parts.scheme not in {"http", "https"} or not parts.hostname or not plain or not printable:
            raise _no_url(url)
        secure = parts.scheme == "https"
        path = parts.path.rstrip("/").removesuffix("/chat/completions")
        return cls(secure, parts.hostname, port or (443 if secure else 80), f"{path}/chat/completions")

    def __str__(self) -> str:
        """Return the URL, as it may be told."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{self.path}"


class _TryAgain(Exception):
    """A failure that may pass; `after_s` is how long the server asks to be left alone."""

    def __init__(self, message: str, *, after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.after_s = after_s


class _NotStreamed(Exception):
    """The server takes no request whose answer is to be streamed."""


class EndpointWriter:
    """A model behind a URL, as a `TextWriter`.

    A request is tried again as long as nothing of its answer was given out: an answer that breaks off in the middle is
    an error, for its first half cannot be taken back.
    """

    name = "endpoint"

    def __init__(
        self,
        url: str,
        *,
        model: str,
        key: str | None = None,
        timeout_s: float = 60.0,
        retries: int = 3,
        context_tokens: int = 4096,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.address = Address.of(url)
        self.model = model
        self.context_tokens = context_tokens
        self._key = key.strip() if key else None
        if self._key and not (self._key.isascii() and self._key.isprintable()):
            raise EndpointRefused(f"{KEY_VARIABLE} holds what no key does", hint=_MEANT[401])
        self._timeout_s = timeout_s
        self._retries = retries
        self._sleep = sleep

    @property
    def revision(self) -> str:
        """Return where the model is: a server does not tell which weights it holds."""
        return str(self.address)

    @property
    def parameters(self) -> None:
        """Return None: a server does not tell how many weights its model has."""
        return

    def count(self, text: str) -> int:
        """Return at most how many tokens a text has; a server does not tell, so characters are counted, generously."""
        wide = sum(not character.isascii() for character in text)
        return (len(text) - wide) // _CHARACTERS_PER_TOKEN + 2 * wide + 1

    def write(self, messages: Sequence[Message], *, max_tokens: int) -> Iterator[str]:
        """Yield the model's turn piece by piece, as it arrives; as a whole, from a server that refuses to stream.

        Raises:
            EndpointError: the server cannot be reached, is silent for too long, or says what is no chat completion.
            EndpointRefused: it does not take the request, whatever the question.
        """
        try:
            try:
                yield from self._tried(messages, max_tokens=max_tokens, streamed=True)
            except _NotStreamed:
                yield from self._tried(messages, max_tokens=max_tokens, streamed=False)
        except (EndpointError, EndpointRefused) as error:
            raise type(error)(self._without_key(error.message), hint=error.hint) from None

    def _tried(self, messages: Sequence[Message], *, max_tokens: int, streamed: bool) -> Iterator[str]:
        body = json.dumps(
            {
                "model": self.model,
                "messages": [{"role": message.role, "content": message.content} for message in messages],
                "max_tokens": max_tokens,
                "temperature": 0,
                "seed": 0,
                "stream": streamed,
            }
        ).encode()
        # Seeded, so that a run can be repeated; by the body, so that many at once do not come back in step.
        chance = random.Random(body)  # noqa: S311  # no cryptography
        for attempt in range(self._retries + 1):
            begun = False
            try:
                for piece in self._attempt(body, streamed=streamed):
                    begun = True
                    yield piece
            except (_TryAgain, OSError, http.client.HTTPException) as error:
                told = self._without_key(_told(error))[: 2 * _SHOWN]
                if begun:
                    raise self._failed(f"broke off in the middle of its answer: {told}") from error
                if attempt == self._retries:
                    tries = f" ({attempt + 1} tries)" if attempt else ""
                    raise self._failed(f"{told}{tries}") from error
                wait = _wait_s(attempt, chance, error.after_s if isinstance(error, _TryAgain) else None)
                logger.debug("%s: %s; again in %.1f s", self.address, told, wait)
                self._sleep(wait)
            else:
                return

    def _attempt(self, body: bytes, *, streamed: bool) -> Iterator[str]:
        with self._connected() as connection:
            wanted = "text/event-stream" if streamed else "application/json"
            headers = {"Content-Type": "application/json", "Accept": wanted, "User-Agent": "rag"}
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            connection.request("POST", self.address.path, body=body, headers=headers)
            with connection.getresponse() as response:
                yield from self._read(response, streamed=streamed)

    def _read(self, response: http.client.HTTPResponse, *, streamed: bool) -> Iterator[str]:
        if response.status != _OK:
            self._refuse(response, streamed=streamed)
        if "Content-Type" not in response.headers:
            raise _TryAgain("ends before it is done")
        kind = response.headers.get_content_type()
        if kind == "text/event-stream":
            yield from _streamed(_lines(response, until=time.monotonic() + _MOST_SILENCES * self._timeout_s))
        elif kind == "application/json":  # a server that does not stream
            yield from _whole(response.read(_MOST_BODY + 1))
        else:
            raise EndpointError(f"{self.address} answers with {kind}, not with a chat completion", hint=_MEANT[404])

    @contextmanager
    def _connected(self) -> Iterator[http.client.HTTPConnection]:
        where = self.address
        timeout = min(_CONNECT_TIMEOUT_S, self._timeout_s)
        connection = (
            http.client.HTTPSConnection(where.host, where.port, timeout=timeout, context=ssl.create_default_context())
            if where.secure
            else http.client.HTTPConnection(where.host, where.port, timeout=timeout)
        )
        try:
            connection.connect()
            # From here on, how long the server may be silent: a socket's time-out is for each read, not for all.
            connection.sock.settimeout(self._timeout_s)
            yield connection
        finally:
            connection.close()

    def _refuse(self, response: http.client.HTTPResponse, *, streamed: bool) -> None:
        """Raise what a status other than 200 means."""
        said = self._said(response.read(_MOST_ERROR))
        if streamed and response.status in _MALFORMED and "stream" in said.casefold():
            raise _NotStreamed
        told = f"answers {response.status} {response.reason}{said}"
        if response.status in _AGAIN:
            raise _TryAgain(told, after_s=_retry_after_s(response.headers.get("Retry-After")))
        if response.status in _MEANT:
            raise EndpointRefused(f"{self.address} {told}", hint=_MEANT[response.status])
        if 300 <= response.status < 400:  # noqa: PLR2004  # redirects
            hint = "name where it leads: endpoint.url"
            raise EndpointRefused(f"{self.address} {told}, and redirects are not followed", hint=hint)
        raise self._failed(told)

    def _said(self, content: bytes) -> str:
        """Return what an error's body says, as short as it can be told; a server may repeat the key it was sent."""
        text = " ".join(content.decode("utf-8", "replace").split())
        try:
            error = json.loads(content)["error"]
            text = str(error["message"] if isinstance(error, dict) else error)
        except (ValueError, KeyError, TypeError):
            pass
        return f": {self._without_key(text)[:_SHOWN]}" if text else ""

    def _without_key(self, text: str) -> str:
        """Return a text without the key, which a server may repeat."""
        return text.replace(self._key, "…") if self._key else text

    def _failed(self, told: str) -> EndpointError:
        return EndpointError(f"{self.address} {told}", hint=_HINT)


_HINT: Final = "see that it runs and serves endpoint.model, or set endpoint.url; more time: endpoint.timeout_s"


def _lines(response: http.client.HTTPResponse, *, until: float) -> Iterator[bytes]:
    """Yield the lines of an answer without their ends, and an empty one last; a slow drip ends like silence does."""
    rest = b""
    while True:
        if time.monotonic() > until:
            raise TimeoutError
        got = response.read1(1 << 16)
        *lines, rest = (rest + got).split(b"\n")
        yield from (line.rstrip(b"\r") for line in lines)
        if len(rest) > _MOST_LINE:
            raise EndpointError("the server sends a line without end", hint=_HINT)
        if not got:
            yield from [rest.rstrip(b"\r"), b""] if rest else [b""]
            return


def _streamed(lines: Iterator[bytes]) -> Iterator[str]:
    """Yield the texts of a stream of server-sent events, until the server says that it is done."""
    data: list[bytes] = []
    length = 0
    finished = False
    for line in lines:
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        if line:
            continue
        event, data = b"\n".join(data), []
        if event == b"[DONE]":
            return
        if event:
            text, done = _delta(event)
            finished = finished or done
            length += len(text)
            if length > _MOST_BODY:
                raise EndpointError("the server writes without end", hint=_HINT)
            if text:
                yield text
    if not finished:
        raise _TryAgain("ends before it is done")


def _delta(event: bytes) -> tuple[str, bool]:
    """Return the text of one event, and whether the answer ends with it."""
    record = _object(event)
    if record.get("error"):
        error = record["error"]
        raise _TryAgain(f"reports: {error.get('message') if isinstance(error, dict) else error}")
    choices = record.get("choices")
    if choices == []:  # the counts of tokens, which some send last
        return "", False
    try:
        choice = choices[0]  # type: ignore[index]  # whatever it is, what is no list fails here
        delta = choice.get("delta") or {}
        text = delta.get("content")
        done = choice.get("finish_reason") is not None
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise _no_completion(event) from error
    if text is not None and not isinstance(text, str):
        raise _no_completion(event)
    return text or "", done


def _whole(content: bytes) -> Iterator[str]:
    """Yield the text of an answer that came in one piece."""
    if len(content) > _MOST_BODY:
        raise EndpointError("the server writes without end", hint=_HINT)
    record = _object(content)
    try:
        text = record["choices"][0]["message"]["content"]  # type: ignore[index]  # as in _delta
    except (IndexError, KeyError, TypeError) as error:
        raise _no_completion(content) from error
    if not isinstance(text, str):
        raise _no_completion(content)
    if text:
        yield text


def _object(content: bytes) -> dict[str, object]:
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _no_completion(content) from error
    if not isinstance(record, dict):
        raise _no_completion(content)
    return record


def _wait_s(attempt: int, chance: random.Random, after_s: float | None) -> float:
    """Return how long to wait: what the server asks for, else 0.5 s, 1 s, 2 s … and half as much again by chance."""
    wait = after_s if after_s is not None else 0.5 * 2.0**attempt
    return min(wait, _MOST_WAIT_S) * (1 + chance.random() / 2)


def _retry_after_s(header: str | None) -> float | None:
    """Return how many seconds a Retry-After header asks for, as a number or as a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header.strip()[:9])
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _told(error: Exception) -> str:
    """Return a failure in words."""
    if isinstance(error, _TryAgain):
        return error.message
    if isinstance(error, TimeoutError):
        return "says nothing for too long"
    if isinstance(error, ssl.SSLError):
        return f"cannot be spoken to securely: {error.reason or error}"
    if isinstance(error, http.client.IncompleteRead):
        return "ends before it is done"
    if isinstance(error, http.client.HTTPException):
        return f"does not speak HTTP: {type(error).__name__}"
    return f"cannot be reached: {error.strerror or error}" if isinstance(error, OSError) else str(error)


def _no_completion(content: bytes) -> EndpointError:
    shown = content[:_SHOWN].decode("utf-8", "replace")
    return EndpointError(f"the server says what is no chat completion: {shown!r}", hint=_MEANT[404])


def _no_url(url: str) -> EndpointRefused:
    hint = "for example: --set endpoint.url=http://localhost:11434/v1"
    return EndpointRefused(f"{_harmless(url)!r} is no endpoint", hint=hint)


def _harmless(url: str) -> str:
    """Return a URL without the user and password that may stand in it."""
    scheme, colon, rest = url.partition("://")
    return f"{scheme}{colon}…@{rest.rpartition('@')[2]}" if "@" in rest else url
