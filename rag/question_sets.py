"""Question sets: JSONL, CSV or plain text in, questions with their ids and their gold out.

A row that is no question does not spoil the set: it is returned as a `BadRow`, and its reader decides.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from rag.cells import long_cells
from rag.errors import QuestionError
from rag.records import Evidence, Question

STANDARD_INPUT = Path("-")
SUFFIXES = (".jsonl", ".csv", ".txt")
_NAMED = ("id", "question", "answers", "evidence", "answerable")
_DELIMITERS = (",", ";", "\t")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_EXAMPLE = '{"id": "q1", "question": "Who designed the bridge?"}'


@dataclass(frozen=True, slots=True)
class Topic:
    """A question of a set, with its id and the line that it begins on, counted from 1."""

    line: int
    id: str
    question: Question


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is no question, and why; `question` is what it holds instead, as far as it is text."""

    line: int
    id: str
    question: str
    error: QuestionError


Row: TypeAlias = Topic | BadRow
_Raw: TypeAlias = tuple[int, Mapping[str, object] | QuestionError]


def read_rows(source: Path) -> list[Row]:
    """Return the rows of a question set, in order; `-` is standard input, JSONL if it begins with `{`, else text.

    A row without an id has the number of its line as one, and a bad row whose id another one has "line:" before that.
    Blank lines are no rows.

    Raises:
        QuestionError: the set cannot be read, holds no row, or two rows have one id.
    """
    text = _read(source)
    name = "standard input" if source == STANDARD_INPUT else str(source)
    with long_cells():
        rows = [_row(line, values, name=name) for line, values in _raw_rows(text, _kind(source, text), name=name)]
    if not rows:
        raise QuestionError(f"{name} holds no questions", hint=f"write one a line, for example: {_EXAMPLE}")
    taken = Counter(row.id for row in rows)
    rows = [
        replace(row, id=f"line:{row.line}") if isinstance(row, BadRow) and taken[row.id] > 1 else row for row in rows
    ]
    lines: dict[str, int] = {}
    for row in rows:
        earlier = lines.setdefault(row.id, row.line)
        if earlier != row.line:
            raise QuestionError(
                f"{name}: lines {earlier} and {row.line} have the same id {row.id!r}",
                hint="give every question an id of its own; one without an id has the number of its line",
            )
    return rows


def read_questions(source: Path) -> list[Question]:
    """Return the questions of a set in which every row must be one, in order, each with an id.

    Raises:
        QuestionError: as `read_rows`, or a row is no question; the message names its line.
    """
    questions = []
    for row in read_rows(source):
        if isinstance(row, BadRow):
            raise row.error
        questions.append(row.question)
    return questions


def _read(source: Path) -> str:
    try:
        # A mark at the beginning, as spreadsheets write it, belongs to no question.
        if source == STANDARD_INPUT:
            return sys.stdin.read().removeprefix("\ufeff")
        return source.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise QuestionError(f"{source} is not UTF-8 text", hint="save it as UTF-8") from error
    except OSError as error:
        raise QuestionError(
            f"{source} cannot be read: {error.strerror}", hint=f"name a question set: {' '.join(SUFFIXES)}, or -"
        ) from error


def _kind(source: Path, text: str) -> str:
    if source == STANDARD_INPUT:
        return ".jsonl" if text.lstrip().startswith("{") else ".txt"
    suffix = source.suffix.lower()
    if suffix not in SUFFIXES:
        raise QuestionError(f"{source} is in no format of question sets", hint=f"formats: {' '.join(SUFFIXES)}")
    return suffix


def _raw_rows(text: str, kind: str, *, name: str) -> Iterator[_Raw]:
    if kind == ".csv":
        yield from _csv_rows(text, name=name)
        return
    # Not splitlines: it also breaks at characters, such as U+2028, that may stand inside a JSON string.
    for line, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            yield line, _json_row(content, line, name=name) if kind == ".jsonl" else {"question": content}


def _json_row(content: str, line: int, *, name: str) -> Mapping[str, object] | QuestionError:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        return QuestionError(f"{name}: line {line} is not JSON: {error}", hint=f"for example: {_EXAMPLE}")
    if not isinstance(values, dict):
        return QuestionError(f"{name}: line {line} is not a JSON object", hint=f"for example: {_EXAMPLE}")
    return values


def _csv_rows(text: str, *, name: str) -> Iterator[_Raw]:
    head = text.partition("\n")[0]
    # Spreadsheets part cells by what their language has left for it; the mark is the one that finds the most names.
    mark = max(_DELIMITERS, key=lambda mark: len({_column(cell) for cell in head.split(mark)}.intersection(_NAMED)))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    columns: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if columns is None:
                columns = [_column(cell) for cell in cells]
                _check_columns(columns, name=name)
            elif any(cell.strip() for cell in cells):
                yield line, _csv_row(columns, cells, line, name=name)
            line = reader.line_num + 1
    except csv.Error as error:
        raise QuestionError(
            f"{name}: the row that begins on line {line} is not CSV: {error}",
            hint="save it as CSV, with double quotes around a cell that goes over lines",
        ) from error


def _column(cell: str) -> str:
    bare = cell.strip().strip('"').strip()
    return bare.lower() if bare.lower() in _NAMED else bare


def _check_columns(columns: list[str], *, name: str) -> None:
    if "question" not in columns:
        raise QuestionError(
            f"{name} has no column named question, only: {', '.join(columns)}",
            hint=f"the first line names the columns, separated by commas: {','.join(_NAMED)}",
        )
    twice = sorted({column for column in columns if column and columns.count(column) > 1})
    if twice:
        raise QuestionError(f"{name} has two columns named {twice[0]}", hint="rename one of them")


def _csv_row(columns: list[str], cells: list[str], line: int, *, name: str) -> Mapping[str, object] | QuestionError:
    if len(cells) > len(columns):
        return QuestionError(
            f"{name}: line {line} has {len(cells)} cells, the first line names {len(columns)}",
            hint="put cells that hold commas in double quotes",
        )
    values: dict[str, object] = {
        column: cell for column, cell in zip(columns, cells, strict=False) if column and cell.strip()
    }
    for column in ("answers", "evidence"):
        text = str(values.get(column, "")).strip()
        if text.startswith("["):
            try:
                values[column] = json.loads(text)
            except (ValueError, RecursionError) as error:
                return QuestionError(f"{name}: line {line}: {column} is not JSON: {error}", hint='for example: ["888"]')
    return values


def _row(line: int, values: Mapping[str, object] | QuestionError, *, name: str) -> Row:
    if isinstance(values, QuestionError):
        return BadRow(line, str(line), "", values)
    row_id, question = _id(values.get("id"), line), values.get("question")
    try:
        return Topic(line, row_id, _question(values, row_id))
    except (ValueError, TypeError) as error:
        told = question if isinstance(question, str) and _is_unicode(question) else ""
        failure = QuestionError(f"{name}: line {line}: {error}", hint=f"for example: {_EXAMPLE}")
        return BadRow(line, row_id, told, failure)


def _id(value: object, line: int) -> str:
    usable = (isinstance(value, str) and value.strip() and _is_unicode(value)) or type(value) is int
    return str(value).strip() if usable else str(line)


def _question(values: Mapping[str, object], row_id: str) -> Question:
    """Return the question in a row.

    Raises:
        ValueError: there is none, or what stands beside it cannot be read; says which.
        TypeError: one of them is of another kind.
    """
    question = values.get("question")
    if question is None:
        raise ValueError("there is no question")
    if not isinstance(question, str):
        raise TypeError(f"the question is no text: {json.dumps(question)[:60]}")
    if not question.strip():
        raise ValueError("the question is empty")
    if not _is_unicode(question):
        raise ValueError("the question holds half a character (a lone surrogate)")
    given = values.get("id")
    if given is not None and (type(given) not in {str, int} or not _is_unicode(str(given))):
        raise ValueError(f"the id is neither text nor a whole number: {json.dumps(given)[:60]}")
    return Question(
        question=question.strip(),
        id=row_id,
        answers=_answers(values.get("answers")),
        evidence=_evidence(values.get("evidence")),
        answerable=_truth(values.get("answerable")),
        metadata={
            key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for key, value in values.items()
            if key not in _NAMED and value is not None
        },
    )


def _answers(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(answer, str) for answer in value):
        return tuple(value)
    raise ValueError("answers is no list of texts")


def _evidence(value: object) -> tuple[Evidence, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TypeError('evidence is no list like [{"article": "ID", "quote": "…"}]')
    found = []
    for entry in value:
        article, quote = (entry.get("article"), entry.get("quote")) if isinstance(entry, dict) else (None, None)
        if not (isinstance(article, str) and isinstance(quote, str)):
            raise TypeError("a piece of evidence has no article or no quote")
        found.append(Evidence(article=article, quote=quote))
    return tuple(found)


def _truth(value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    truth = _TRUTH.get(str(value).strip().casefold())
    if truth is None:
        raise ValueError(f"answerable is neither true nor false: {json.dumps(value)[:60]}")
    return truth


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
