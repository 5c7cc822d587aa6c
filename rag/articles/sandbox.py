"""Reading in another process, with bounds on time and memory: what becomes of it costs one file.

One worker serves all files, for starting one takes longer than reading most. A document goes to it by a pipe and comes
back as JSON, so nothing that a file could make of the worker is executed here.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass

from rag.articles.contents import MOST_TEXT_MEGABYTES
from rag.articles.extract import Extract, Item, Unread
from rag.errors import ArticleEmpty, ArticleError

_MEGABYTE = 2**20
OUT_OF_MEMORY = "it needs too much memory"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one document may take, how much memory its reader may have, and how much may come back."""

    seconds: int = 60
    memory_megabytes: int = 2048
    answer_megabytes: int = 4 * MOST_TEXT_MEGABYTES  # a character takes up to four bytes


class _Lost(Exception):
    """The worker did not survive a document; the message says why."""


class _Worker:
    """A process that reads documents, one after the other."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.documents = 0
        # -P: nothing may be imported from the working directory, which can be the very folder that is read.
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, with a module of this package
            [sys.executable, "-B", "-P", "-m", "rag.articles.worker", str(limits.memory_megabytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )

    @property
    def is_alive(self) -> bool:
        """Tell whether the process is there to be asked."""
        return self._process.poll() is None

    def read(self, content: bytes, *, suffix: str) -> dict[str, object]:
        """Return the worker's answer about a document.

        Raises:
            ArticleError: it took too long, or too much came back; the worker is gone.
            _Lost: the worker crashed.
        """
        self.documents += 1
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        clock = threading.Timer(self.limits.seconds, end)
        clock.start()
        try:
            answer = self._exchange(content, suffix=suffix)
        except OSError:  # the pipe broke
            answer = b""
        except BaseException:  # an interrupt in the middle of an answer: the next would get the rest of it
            self.close()
            raise
        finally:
            clock.cancel()
        if late.is_set():
            raise ArticleError(f"reading it takes longer than {self.limits.seconds} s")
        if len(answer) > self.limits.answer_megabytes * _MEGABYTE:
            self.close()
            raise ArticleError(f"it holds more than {self.limits.answer_megabytes} MB of text")
        if not answer.endswith(b"\n"):
            raise _Lost("its reader crashed on it")
        answered: dict[str, object] = json.loads(answer)
        return answered

    def _exchange(self, content: bytes, *, suffix: str) -> bytes:
        requests, answers = self._process.stdin, self._process.stdout
        if requests is None or answers is None:
            raise ValueError("the worker was started without pipes")
        head = {"format": suffix, "bytes": len(content), "seconds": self.limits.seconds}
        requests.write(json.dumps(head).encode() + b"\n" + content)
        requests.flush()
        return answers.readline(self.limits.answer_megabytes * _MEGABYTE + 1)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what is left in the buffer of a broken pipe
                    pipe.close()
        self._process.wait()


class Sandbox:
    """The place where documents are read; its worker starts with the first of them, and anew when one is lost."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    def read(self, content: bytes, *, suffix: str) -> Extract:
        """Return what a document holds; `suffix` names its format.

        Raises:
            ArticleError: it cannot be read, or not within the limits.
        """
        answer = self._answer(content, suffix=suffix)
        return Extract(text=str(answer["text"]), fields=_texts(answer["fields"]), others=_texts(answer["others"]))

    def read_feed(self, content: bytes, *, suffix: str) -> list[Item | Unread]:
        """Return what became of each item of a feed.

        Raises:
            ArticleError: it cannot be read, or not within the limits.
        """
        items = self._answer(content, suffix=suffix)["items"]
        return [_item(item) for item in items] if isinstance(items, list) else []

    def close(self) -> None:
        """End the worker, if there is one."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _answer(self, content: bytes, *, suffix: str) -> dict[str, object]:
        with self._lock:
            answer = self._ask(content, suffix=suffix)
        if "error" not in answer:
            return answer
        hint = None if answer["hint"] is None else str(answer["hint"])
        raise (ArticleEmpty if answer.get("empty") else ArticleError)(str(answer["error"]), hint=hint)

    def _ask(self, content: bytes, *, suffix: str) -> dict[str, object]:
        """Return the answer of the worker, or of a new one where the first may have died of earlier documents."""
        while True:
            worker = self._ready()
            try:
                answer = worker.read(content, suffix=suffix)
            except _Lost as error:
                reason = str(error)
            else:
                if answer.get("error") != OUT_OF_MEMORY:
                    return answer
                reason = OUT_OF_MEMORY
            self.close()
            if worker.documents == 1:
                raise ArticleError(reason)

    def _ready(self) -> _Worker:
        if self._worker is None or not self._worker.is_alive:
            self.close()
            self._worker = _Worker(self.limits)
        return self._worker


def _item(told: dict[str, object]) -> Item | Unread:
    if "reason" in told:
        return Unread(str(told["reason"]), empty=bool(told["empty"]))
    return Item(
        None if told["id"] is None else str(told["id"]),
        str(told["text"]),
        _texts(told["values"]),
        line=int(str(told["line"])),
    )


def _texts(values: object) -> dict[str, str]:
    return {str(name): str(value) for name, value in values.items() if value} if isinstance(values, dict) else {}


SANDBOX = Sandbox()
atexit.register(SANDBOX.close)
