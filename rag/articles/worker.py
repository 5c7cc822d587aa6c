"""The process in which the formats are read that a hostile file could turn against their reader.

It gets a document's bytes on its standard input and answers on its standard output, for as long as there are documents.
A request is a line of JSON with `format`, `bytes` and `seconds`, and that many bytes; an answer is a line of JSON, with
`text`, `fields` and `others`, for a feed with `items`, or with `error` and `hint`. It never opens an article's file,
and may write none.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import BinaryIO

from rag.articles.docx import read_docx
from rag.articles.epub import read_epub
from rag.articles.extract import Extract
from rag.articles.feed import read_feed
from rag.articles.files import FEED_SUFFIXES
from rag.articles.html import read_html
from rag.articles.pdf import read_pdf
from rag.articles.sandbox import OUT_OF_MEMORY
from rag.errors import ArticleEmpty, ArticleError

READERS: dict[str, Callable[[bytes], Extract]] = {
    ".docx": read_docx,
    ".epub": read_epub,
    ".htm": read_html,
    ".html": read_html,
    ".pdf": read_pdf,
}
_MEGABYTE = 2**20


def main(arguments: list[str]) -> None:
    """Answer requests until there are none; the argument is how much memory there is, in megabytes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the parent, which closes the pipe
    # Whatever a library prints must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _limit(megabytes=int(arguments[0]))
    while request := sys.stdin.buffer.readline():
        answers.write(
            json.dumps(_answer(json.loads(request), sys.stdin.buffer), ensure_ascii=False).encode(errors="replace")
            + b"\n"
        )
        answers.flush()


def _answer(request: dict[str, object], documents: BinaryIO) -> dict[str, object]:
    try:
        content = documents.read(int(str(request["bytes"])))
        _limit_time(seconds=int(str(request["seconds"])))
        if request["format"] in FEED_SUFFIXES:
            return {"items": [asdict(item) for item in read_feed(content)]}
        found = READERS[str(request["format"])](content)
    except ArticleError as error:
        return {"error": error.message, "hint": error.hint, "empty": isinstance(error, ArticleEmpty)}
    except RecursionError:
        return {"error": "it is nested too deeply", "hint": None}
    except MemoryError:
        return {"error": OUT_OF_MEMORY, "hint": None}
    except Exception as error:  # noqa: BLE001 - no library may fail in a way that costs more than its document
        return {"error": f"its reader failed: {type(error).__name__}: {error}", "hint": None}
    return {"text": found.text, "fields": dict(found.fields), "others": dict(found.others)}


def _limit(*, megabytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits; there the parent's clock is the only one
        return
    limits = {
        resource.RLIMIT_AS: megabytes * _MEGABYTE,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
    }
    for limit, value in limits.items():
        try:
            resource.setrlimit(limit, (value, value))
        except (OSError, ValueError):  # macOS knows RLIMIT_AS and refuses it; and a lower limit may be in force
            continue


def _limit_time(*, seconds: int) -> None:
    """End this process after so much more work, even if its parent is gone."""
    try:
        import resource
    except ImportError:
        return
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


if __name__ == "__main__":
    main(sys.argv[1:])
