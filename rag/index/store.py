"""Articles and passages in one SQLite file, and the filters over them.

A passage's row number is its row in the vectors and in the words: 0..n-1, in the order of article ids, then ordinals.
"""

from __future__ import annotations

import calendar
import errno
import functools
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ArticleMissing, IndexBroken
from rag.records import Article, Passage, Span

_SCHEMA = """
CREATE TABLE articles (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, path TEXT NOT NULL, file TEXT NOT NULL, hash TEXT NOT NULL,
    title TEXT NOT NULL, source TEXT, author TEXT, published TEXT, earliest TEXT, latest TEXT, language TEXT, url TEXT,
    first_line INTEGER NOT NULL, text TEXT NOT NULL, furniture TEXT NOT NULL, origins TEXT NOT NULL,
    metadata TEXT NOT NULL, signature BLOB NOT NULL, copy_of TEXT
);
CREATE TABLE words (row INTEGER PRIMARY KEY, words TEXT NOT NULL);
CREATE TABLE files (
    file TEXT PRIMARY KEY, id TEXT NOT NULL, path TEXT NOT NULL, bytes INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX copies ON articles (id, copy_of) WHERE copy_of IS NOT NULL;
CREATE TABLE passages (
    row INTEGER PRIMARY KEY, article INTEGER NOT NULL REFERENCES articles (number), ordinal INTEGER NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, sentences TEXT NOT NULL, hash TEXT NOT NULL,
    UNIQUE (article, ordinal)
);
"""
_ARTICLE = (
    "a.id, a.path, a.text, a.title, a.source, a.author, a.published, a.language, a.url, a.first_line, a.furniture, "
    "a.origins, a.metadata"
)
_PASSAGE = 'a.id, p.ordinal, p.start, p."end", p.sentences'
_BATCH = 500


@dataclass(frozen=True, slots=True)
class StoredArticle:
    """An article with the file it was read from, its hash, and its passages with the hash of what was embedded.

    `words` are each passage's words, joined by spaces: to count them costs a tenth of finding them. `signature` is what
    copies are found by; `copy_of` names the article that this one is a copy of.
    """

    article: Article
    file: str
    hash: str
    passages: tuple[Passage, ...]
    passage_hashes: tuple[str, ...]
    words: tuple[str, ...]
    signature: bytes = b""
    copy_of: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as it was when all its articles were read; while it is so, it need not be read again."""

    file: str
    id: str
    path: str
    bytes: int
    modified_ns: int
    hash: str


@dataclass(frozen=True, slots=True)
class ArticleFilter:
    """Which articles may answer. Dates are `YYYY`, `YYYY-MM` or `YYYY-MM-DD`; both ends are included.

    An article dated by its month or year passes when some day of that time lies in the window; one without a date
    does not pass a window.
    """

    since: str | None = None
    until: str | None = None
    source: str | None = None
    language: str | None = None

    def __bool__(self) -> bool:
        return any((self.since, self.until, self.source, self.language))


def date_range(published: str) -> tuple[str, str]:
    """Return the first and the last day that a date, month or year names, as ISO dates.

    Raises:
        ValueError: it is none of `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, or a day that no calendar has.
    """
    parts = published.split("-")
    widths = [len(part) for part in parts]
    if widths not in ([4], [4, 2], [4, 2, 2]) or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"a date is YYYY, YYYY-MM or YYYY-MM-DD, not {published!r}")
    year, month, day = (*map(int, parts), *(0,) * (3 - len(parts)))
    if year < 1 or (len(parts) > 1 and not 1 <= month <= 12):  # noqa: PLR2004 - months of a year
        raise ValueError(f"no such date: {published!r}")
    first_month, last_month = (month, month) if len(parts) > 1 else (1, 12)
    last_day = calendar.monthrange(year, last_month)[1]
    if len(parts) == 3 and not 1 <= day <= last_day:  # noqa: PLR2004 - year, month, day
        raise ValueError(f"no such date: {published!r}")
    first_day, last_day = (day, day) if len(parts) == 3 else (1, last_day)  # noqa: PLR2004
    return f"{year:04}-{first_month:02}-{first_day:02}", f"{year:04}-{last_month:02}-{last_day:02}"


def write_store(file: Path, articles: Iterable[StoredArticle], *, files: Iterable[StoredFile] = ()) -> int:
    """Write articles and passages into a new file, in the order given; return the number of passages.

    Raises:
        OSError: the file cannot be written, as when the disk is full.
    """
    try:
        return _write_store(file, articles, files)
    except sqlite3.OperationalError as error:
        code = errno.ENOSPC if "full" in str(error) else errno.EIO
        raise OSError(code, str(error), str(file)) from error


def _write_store(file: Path, articles: Iterable[StoredArticle], files: Iterable[StoredFile]) -> int:
    connection = sqlite3.connect(file)
    try:
        # The generation is sealed after this file is whole, so a journal would guard nothing.
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
        row = 0
        for number, stored in enumerate(articles):
            connection.execute(f"INSERT INTO articles VALUES ({', '.join('?' * 20)})", _article_row(number, stored))
            for passage, embedded, words in zip(stored.passages, stored.passage_hashes, stored.words, strict=True):
                sentences = _spans_to_json(passage.sentences)
                values = (row, number, passage.ordinal, passage.start, passage.end, sentences, embedded)
                connection.execute("INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?)", values)
                connection.execute("INSERT INTO words VALUES (?, ?)", (row, words))
                row += 1
        connection.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)", (astuple(known) for known in files))
        connection.commit()
        return row
    finally:
        connection.close()


class Store:
    """The articles and passages of one generation, read-only."""

    def __init__(self, file: Path) -> None:
        # immutable: a sealed generation never changes, so SQLite needs neither locks nor a journal.
        self._connection = sqlite3.connect(f"{file.absolute().as_uri()}?immutable=1", uri=True)
        # SQLite's own NOCASE folds ASCII alone.
        self._connection.create_function("rag_fold", 1, lambda text: text and text.casefold(), deterministic=True)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def article(self, article_id: str) -> Article:
        """Return one article.

        Raises:
            ArticleMissing: the index holds no such article.
        """
        row = self._one(f"SELECT {_ARTICLE} FROM articles a WHERE a.id = ?", (article_id,))
        if row is None:
            raise ArticleMissing(f"no article {article_id!r} in the index", hint="list them with: rag status")
        return _article(row)

    def passage(self, article_id: str, ordinal: int) -> Passage:
        """Return one passage.

        Raises:
            ArticleMissing: the article has no such passage.
        """
        row = self._one(
            f"SELECT {_PASSAGE} FROM passages p JOIN articles a ON a.number = p.article "
            "WHERE a.id = ? AND p.ordinal = ?",
            (article_id, ordinal),
        )
        if row is None:
            raise ArticleMissing(f"no passage {article_id}#{ordinal} in the index", hint=f"see: rag show {article_id}")
        return _passage(row)

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """Return passages by row number, in the order asked for."""
        found: dict[int, Passage] = {}
        for batch in _batches(sorted(set(rows))):
            query = (
                f"SELECT p.row, {_PASSAGE} FROM passages p JOIN articles a ON a.number = p.article "
                f"WHERE p.row IN ({', '.join('?' * len(batch))})"
            )
            found.update({row[0]: _passage(row[1:]) for row in self._all(query, batch)})
        return [found[row] for row in rows]

    def passage_text(self, passage: Passage) -> str:
        """Return a passage's slice of its article, without reading the article."""
        query = "SELECT substr(text, ?, ?) FROM articles WHERE id = ?"
        return str(self._all(query, (passage.start + 1, passage.end - passage.start, passage.article))[0][0])

    def article_ids(self) -> list[str]:
        """Return the ids of all articles, sorted."""
        return [row[0] for row in self._all("SELECT id FROM articles ORDER BY number")]

    def outline(self) -> list[dict[str, object]]:
        """Return what `rag status` lists of each article: id, path, title, source, date, language, sizes, origins."""
        query = (
            "SELECT a.id, a.path, a.title, a.source, a.published, a.language, length(a.text), "
            "(SELECT count(*) FROM passages p WHERE p.article = a.number), a.copy_of, a.origins "
            "FROM articles a ORDER BY a.number"
        )
        names = (
            "id", "path", "title", "source", "published", "language", "characters", "passages", "copy_of", "origins",
        )  # fmt: skip
        rows = [dict(zip(names, row, strict=True)) for row in self._all(query)]
        return [{**row, "origins": json.loads(str(row["origins"]))} for row in rows]

    def stored(self, article_id: str) -> StoredArticle:
        """Return one article with everything that the next build needs to keep it as it is."""
        article = self.article(article_id)
        query = "SELECT file, hash, signature, copy_of FROM articles WHERE id = ?"
        file, digest, signature, copy_of = self._all(query, (article_id,))[0]
        query = (
            f"SELECT p.hash, w.words, {_PASSAGE} FROM passages p JOIN articles a ON a.number = p.article "
            "JOIN words w ON w.row = p.row WHERE a.id = ? ORDER BY p.ordinal"
        )
        rows = self._all(query, (article_id,))
        return StoredArticle(
            article=article,
            file=str(file),
            hash=str(digest),
            passages=tuple(_passage(row[2:]) for row in rows),
            passage_hashes=tuple(str(row[0]) for row in rows),
            words=tuple(str(row[1]) for row in rows),
            signature=bytes(signature),
            copy_of=copy_of,
        )

    def files(self) -> list[StoredFile]:
        """Return the files that were read whole."""
        return [StoredFile(*row) for row in self._all("SELECT * FROM files ORDER BY file")]

    def articles_by_file(self) -> dict[str, list[tuple[str, str]]]:
        """Return each file's articles, as ids and hashes."""
        found: dict[str, list[tuple[str, str]]] = {}
        for file, article_id, digest in self._all("SELECT file, id, hash FROM articles ORDER BY number"):
            found.setdefault(file, []).append((article_id, digest))
        return found

    @functools.cached_property
    def copies(self) -> dict[str, str]:
        """Return, for each article that is a copy of another, the id of that one, which itself is none."""
        return dict(self._all("SELECT id, copy_of FROM articles WHERE copy_of IS NOT NULL"))

    def article_hashes(self) -> dict[str, str]:
        """Return each article's hash by its id."""
        return dict(self._all("SELECT id, hash FROM articles"))

    def passage_hashes(self) -> dict[str, int]:
        """Return the row of a passage by the hash of what was embedded for it."""
        return dict(self._all("SELECT hash, row FROM passages ORDER BY row DESC"))

    def allowed(self, wanted: ArticleFilter, *, size: int) -> NDArray[np.bool_]:
        """Return which passages (size,) belong to articles that pass a filter."""
        conditions, values = _conditions(wanted)
        query = "SELECT p.row FROM passages p JOIN articles a ON a.number = p.article WHERE " + " AND ".join(conditions)
        mask = np.zeros(size, dtype=np.bool_)
        mask[[row[0] for row in self._all(query, values)]] = True
        return mask

    # What a row holds is known from the query alone, so here the columns are Any.
    def _all(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise IndexBroken(f"the index cannot be read: {error}", hint="rebuild with: rag index --rebuild") from error

    def _one(self, query: str, values: Sequence[object]) -> tuple[Any, ...] | None:
        rows = self._all(query, values)
        return rows[0] if rows else None


def _conditions(wanted: ArticleFilter) -> tuple[list[str], list[str]]:
    parts = {
        "a.latest >= ?": wanted.since and date_range(wanted.since)[0],
        "a.earliest <= ?": wanted.until and date_range(wanted.until)[1],
        "rag_fold(a.source) = ?": wanted.source and wanted.source.casefold(),
        # "en" finds "en-US" too.
        "rag_fold(a.language) || '-' LIKE ? || '-%'": wanted.language and wanted.language.casefold(),
    }
    chosen = {condition: value for condition, value in parts.items() if value}
    return [*chosen, "1"], list(chosen.values())


def _article_row(number: int, stored: StoredArticle) -> tuple[object, ...]:
    article = stored.article
    earliest, latest = date_range(article.published) if article.published else (None, None)
    return (
        number, article.id, article.path, stored.file, stored.hash, article.title, article.source, article.author,
        article.published, earliest, latest, article.language, article.url, article.first_line, article.text,
        _spans_to_json(article.furniture), _mapping_to_json(article.origins), _mapping_to_json(article.metadata),
        stored.signature, stored.copy_of,
    )  # fmt: skip


def _article(row: Sequence[Any]) -> Article:
    *plain, furniture, origins, metadata = row
    values: list[Any] = [*plain, _spans_from_json(furniture), json.loads(origins), json.loads(metadata)]
    return Article(*values)


def _passage(row: Sequence[Any]) -> Passage:
    *plain, sentences = row
    values: list[Any] = [*plain, _spans_from_json(sentences)]
    return Passage(*values)


def _spans_to_json(spans: Iterable[Span]) -> str:
    return json.dumps([[span.start, span.end] for span in spans], separators=(",", ":"))


def _spans_from_json(text: str) -> tuple[Span, ...]:
    return tuple(Span(start, end) for start, end in json.loads(text))


def _mapping_to_json(mapping: Mapping[str, str]) -> str:
    return json.dumps(dict(mapping), ensure_ascii=False, sort_keys=True)


def _batches(rows: Sequence[int]) -> Iterable[Sequence[int]]:
    return (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))
