"""Files whose rows are articles: JSON lines or CSV, with `id`, `title`, `text`, `source`, `published` and others."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rag.articles.decode import decode
from rag.articles.extract import normalised
from rag.cells import long_cells
from rag.errors import ArticleError

_ID_KEYS = ("id", "_id")
_COLUMNS = frozenset({*_ID_KEYS, "title", "text", "source", "author", "published", "language", "url", "question"})
_DELIMITERS = ",;\t"
_HINTS = {
    ".csv": "the first line names the columns: id,title,text,source,published; a row needs a text",
    ".jsonl": 'a row is {"id": "…", "title": "…", "text": "…"}',
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file: the article's id, its text, everything else by name, and the line it stands on, from 1."""

    id: str
    text: str
    values: Mapping[str, str]
    line: int


def read_rows(content: bytes, *, name: str, suffix: str = ".jsonl") -> tuple[list[Row], list[tuple[int, ArticleError]]]:
    """Return the rows of a JSONL or CSV file that are articles, and by their lines what is wrong with the others.

    A row's id is its `id` or `_id`, else `name:line`; a row without text is its title. A set of questions is no
    article, so a file whose first row has a `question` and no `text` holds none and nothing is wrong with it.

    Raises:
        ArticleError: the file is no text, or no row of it holds a text.
    """
    text = decode(content)
    rows: list[Row] = []
    broken: list[tuple[int, ArticleError]] = []
    for line, values in _csv_rows(text) if suffix == ".csv" else _json_rows(text):
        if isinstance(values, ArticleError):
            broken.append((line, values))
            continue
        if not rows and not broken and "question" in values and "text" not in values:
            return [], []
        try:
            rows.append(_row(values, name=name, line=line))
        except ArticleError as error:
            broken.append((line, error))
    if not rows:
        reason = f", line {broken[0][0]}: {broken[0][1].message}" if broken else ""
        raise ArticleError(f"no row of it is an article{reason}", hint=_HINTS[suffix])
    return rows, broken


def _json_rows(text: str) -> Iterator[tuple[int, dict[str, object] | ArticleError]]:
    for line, written in enumerate(text.split("\n"), start=1):
        if written.strip():
            try:
                yield line, _object(written)
            except ArticleError as error:
                yield line, error


def _csv_rows(text: str) -> Iterator[tuple[int, dict[str, object] | ArticleError]]:
    """Yield each row below the head with the line on which it begins.

    The delimiter is the one that finds the most known columns. What is wrong with the quotes cannot be told from there
    on, so nothing behind it is read.
    """
    head = text[: text.find("\n") + 1] or text
    delimiter = max(_DELIMITERS, key=lambda mark: len(_COLUMNS & {_column(name) for name in head.split(mark)}))
    line = 1
    with long_cells():
        try:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
            names = [_column(name) for name in next(reader, [])]
            line = reader.line_num + 1
            for written in reader:
                if any(value.strip() for value in written):
                    yield line, _named(names, written)
                line = reader.line_num + 1
        except csv.Error as error:
            yield line, ArticleError(f"not CSV: {error}")


def _column(name: str) -> str:
    bare = name.strip().strip('"').strip()
    return bare.lower() if bare.lower() in _COLUMNS else bare


def _named(names: list[str], written: list[str]) -> dict[str, object] | ArticleError:
    if len(written) > len(names):
        return ArticleError(f"it has {len(written)} columns, the head {len(names)}")
    return {name: value for name, value in zip(names, written, strict=False) if name}


def _object(written: str) -> dict[str, object]:
    try:
        values = json.loads(written)
    except (ValueError, RecursionError) as error:
        raise ArticleError("not JSON") from error
    if not isinstance(values, dict):
        raise ArticleError("not a JSON object")
    return values


def _row(values: Mapping[str, object], *, name: str, line: int) -> Row:
    try:
        texts = {_text(key): _text(value) for key, value in values.items() if value not in (None, "", [], {})}
    except RecursionError as error:
        raise ArticleError("it is nested too deeply") from error
    own = next((texts.pop(key) for key in _ID_KEYS if texts.get(key)), None)
    text = texts.pop("text", "").strip("\n") or texts.get("title", "")
    if not text.strip():
        raise ArticleError("it holds no text")
    return Row(id=own or f"{name}:{line}", text=text, values=texts, line=line)


def _text(value: object) -> str:
    """Return a value as text, as front matter's lists and mappings are, in the one form that all texts have."""
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ArticleError("it holds half a character, which is not valid Unicode") from error
    return normalised(text)
