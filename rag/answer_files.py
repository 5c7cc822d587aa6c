"""Answer files: the records of `rag batch`, one after another, as JSONL or CSV; both hold the same, to the letter."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from rag.cells import long_cells
from rag.records import Answer, Answerer, Citation, Claim, Hit, Passage
from rag.render import to_json

SCHEMA: Final = "rag.answer/1"
Kind: TypeAlias = Literal["jsonl", "csv"]
SUFFIXES: Final[Mapping[str, Kind]] = {".jsonl": "jsonl", ".csv": "csv"}
# The order of columns is part of the contract: new ones come last.
COLUMNS: Final = (
    "id", "question", "answered", "answer", "short_answer", "confidence", "reason", "citations", "error", "claims",
    "passages", "answerer", "index", "settings", "timings_ms", "schema", "dropped", "quoted_because", "unsupported",
    "sides",
)  # fmt: skip
_TEXTS: Final = frozenset(
    {"id", "question", "answer", "short_answer", "reason", "index", "settings", "schema", "quoted_because"}
)  # the other columns hold JSON
_NULL_IS_EMPTY: Final = frozenset({"id", "short_answer", "reason"})
_CITED: Final = tuple(field.name for field in dataclasses.fields(Citation))
_NOT_ALWAYS: Final = frozenset(
    {"error", "dropped", "quoted_because", "unsupported", "sides"}
)  # an empty cell: there is none


def head(kind: Kind) -> bytes:
    """Return what an answer file begins with: the names of the columns, or nothing."""
    return _csv_line(COLUMNS) if kind == "csv" else b""


def to_line(record: Mapping[str, object], *, kind: Kind) -> bytes:
    """Return a record as an answer file holds it, line feed included; in CSV, a cell may hold line feeds too."""
    if kind == "jsonl":
        return f"{to_json(record)}\n".encode()
    return _csv_line([_cell(name, record.get(name)) for name in COLUMNS])


def from_line(line: bytes, *, kind: Kind) -> dict[str, object]:
    """Return the record in a line of an answer file.

    Raises:
        ValueError: the line holds none.
    """
    try:
        text = line.decode()
        record = json.loads(text) if kind == "jsonl" else _from_csv(text)
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error.msg}, at character {error.pos + 1}") from error
    except (csv.Error, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise ValueError(f"it is no record of schema {SCHEMA}")
    return record


def to_answer(record: Mapping[str, object]) -> Answer:
    """Return the answer that a record tells of.

    Raises:
        ValueError: it is malformed, or its laws do not hold.
    """
    parts: Any = record
    try:
        return Answer(
            question=parts["question"],
            answer=parts["answer"],
            claims=tuple(Claim(one["text"], tuple(one["citations"]), one["support"]) for one in parts["claims"]),
            citations=tuple(Citation(**{name: one[name] for name in _CITED}) for one in parts["citations"]),
            hits=tuple(
                Hit(
                    Passage(one["article"], int(one["id"].rpartition("#")[2]), one["start"], one["end"], ()),
                    one["score"],
                    one["rank"],
                )
                for one in parts["passages"]
            ),
            confidence=parts["confidence"],
            reason=parts["reason"],
            answerer=Answerer(**{name: parts["answerer"][name] for name in ("name", "model", "revision")}),
            index=parts["index"],
            short_answer=parts["short_answer"],
            id=parts["id"],
            timings_ms=parts["timings_ms"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is malformed: {error}") from error


def split_lines(content: bytes, *, kind: Kind) -> Iterator[bytes]:
    """Yield the lines of an answer file, each with its line feed; one that is not finished comes last, without.

    A line of CSV goes on where a line feed stands between quotes. Joined, the lines are the content.
    """
    begun: list[bytes] = []
    quotes = 0
    for line in io.BytesIO(content):
        begun.append(line)
        quotes += line.count(b'"') if kind == "csv" else 0
        if quotes % 2 == 0:
            yield b"".join(begun)
            begun = []
    if begun:
        # Left in the middle of a quoted cell, whose line feed is not the line's end.
        yield b"".join(begun).removesuffix(b"\n")


def _csv_line(cells: list[str] | tuple[str, ...]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().encode()


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    return str(value) if name in _TEXTS else to_json([value])[1:-1]


def _from_csv(text: str) -> dict[str, object]:
    with long_cells():
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    if len(rows) != 1 or len(rows[0]) != len(COLUMNS):
        raise ValueError(f"it has not the {len(COLUMNS)} cells of an answer")
    cells = dict(zip(COLUMNS, rows[0], strict=True))
    # Of a failed question an empty cell stands for nothing at all: its record has no answer.
    failed = bool(cells["error"])
    names = [name for name in COLUMNS if cells[name] or name == "question" or not (failed or name in _NOT_ALWAYS)]
    return {name: _value(name, cells[name]) for name in names}


def _value(name: str, cell: str) -> object:
    if name in _TEXTS:
        return None if not cell and name in _NULL_IS_EMPTY else cell
    return json.loads(cell)
