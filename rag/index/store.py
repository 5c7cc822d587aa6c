"""Articles and passages in one SQLite file, and the filters over them.

A passage's row number is its row in the vectors and in the words: 0..n-1, in the order of article ids, then ordinals.
"""

from __future__ import annotations

import calendar
import contextlib
import errno
import functools
import json
import shlex
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from rag.errors import ArticleMissing, IndexBroken
from rag.index.arrays import ArrayWriter, open_array
from rag.records import Article, Passage, Span

T = TypeVar("T")

_TABLES = """
CREATE TABLE articles (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, path TEXT NOT NULL, file TEXT NOT NULL, hash TEXT NOT NULL,
    title TEXT NOT NULL, source TEXT, author TEXT, published TEXT, earliest TEXT, latest TEXT, language TEXT, url TEXT,
    first_line INTEGER NOT NULL, text TEXT NOT NULL, furniture TEXT NOT NULL, origins TEXT NOT NULL,
    metadata TEXT NOT NULL, signature BLOB NOT NULL, copy_of TEXT, first_row INTEGER NOT NULL, passages INTEGER NOT NULL
);
CREATE TABLE passages (
    row INTEGER PRIMARY KEY, article INTEGER NOT NULL REFERENCES articles (number), ordinal INTEGER NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, sentences TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE TABLE words (row INTEGER PRIMARY KEY, words TEXT NOT NULL);
CREATE TABLE files (
    file TEXT PRIMARY KEY, id TEXT NOT NULL, path TEXT NOT NULL, bytes INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
    hash TEXT NOT NULL
);
"""
# Made when the rows are in, which is many times quicker than keeping them up.
_INDEXES = """
CREATE INDEX copies ON articles (id, copy_of) WHERE copy_of IS NOT NULL;
CREATE INDEX articles_of_file ON articles (file);
CREATE INDEX rows_of_hash ON passages (hash);
CREATE TABLE facets (kind TEXT, name TEXT, number INTEGER NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
"""
# What filters look at, one line per article: its first and last day as YYYYMMDD, the numbers of its source and language
# in `facets` (-1: none), and how many passages it has.
FACETS = "facets.npy"
_EARLIEST, _LATEST, _SOURCE, _LANGUAGE, _PASSAGES = range(5)
_ARTICLE = (
    "a.id, a.path, a.text, a.title, a.source, a.author, a.published, a.language, a.url, a.first_line, a.furniture, "
    "a.origins, a.metadata"
)
_PASSAGE = 'a.id, p.ordinal, p.start, p."end", p.sentences'
_COPIED = (
    "title, source, author, published, earliest, latest, language, url, first_line, text, furniture, origins, "
    "metadata, signature"
)
_DECODER = json.JSONDecoder()
_BATCH = 500
_FACETS_AT_ONCE = 10_000
_NEVER = 99_999_999
_USUAL_CACHE_BYTES = 16 * 2**20


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


class StoreWriter:
    """Writes articles with their passages, in the order given, into a new file; a context that is whole once it ends.

    `cache_bytes` is how much of the file is kept in memory; without `file` it is a temporary one.

    Raises:
        OSError: the file cannot be written, as when the disk is full.
    """

    def __init__(self, file: Path | None, *, cache_bytes: int = _USUAL_CACHE_BYTES) -> None:
        self._file = file or Path()
        self.articles = 0
        self.passages = 0
        with told_by_the_system(self._file):
            self.connection = sqlite3.connect(file.absolute().as_uri() if file else "", uri=True)
            # The generation is sealed after this file is whole, so a journal would guard nothing.
            self.connection.executescript(
                f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{cache_bytes // 1024};"
                + _TABLES
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with told_by_the_system(self._file):
                    self.connection.commit()
        finally:
            self.connection.close()

    def add(self, stored: StoredArticle) -> None:
        """Append one article."""
        with told_by_the_system(self._file):
            marks = ", ".join("?" * 22)
            row = (*_article_row(self.articles, stored), self.passages, len(stored.passages))
            self.connection.execute(f"INSERT INTO articles VALUES ({marks})", row)
            rows = range(self.passages, self.passages + len(stored.passages))
            self.connection.executemany(
                "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (row, self.articles, p.ordinal, p.start, p.end, _spans_to_json(p.sentences), embedded)
                    for row, p, embedded in zip(rows, stored.passages, stored.passage_hashes, strict=True)
                ),
            )
            self.connection.executemany("INSERT INTO words VALUES (?, ?)", zip(rows, stored.words, strict=True))
        self.articles += 1
        self.passages += len(stored.passages)

    def attach(self, file: Path, name: str) -> None:
        """Let `copy` find another store's articles under a name."""
        self.connection.commit()  # SQLite attaches nothing within a transaction
        self.connection.execute(f"ATTACH ? AS {name}", (f"{file.absolute().as_uri()}?immutable=1",))

    def copy(self, source: str, article_id: str, *, file: str) -> tuple[int, int]:
        """Append an article of an attached store, read from `file`; return its first row there, and how many it has."""
        with told_by_the_system(self._file):
            found = self.connection.execute(
                f"SELECT number, first_row, passages FROM {source}.articles WHERE id = ?", (article_id,)
            ).fetchone()
            number, first, count = found
            self.connection.execute(
                f"INSERT INTO articles SELECT ?, id, path, ?, hash, {_COPIED}, NULL, ?, passages "
                f"FROM {source}.articles WHERE number = ?",
                (self.articles, file, self.passages, number),
            )
            moved, rows = self.passages - first, (first, first + count)
            self.connection.execute(
                'INSERT INTO passages SELECT row + ?, ?, ordinal, start, "end", sentences, hash '
                f"FROM {source}.passages WHERE row >= ? AND row < ?",
                (moved, self.articles, *rows),
            )
            self.connection.execute(
                f"INSERT INTO words SELECT row + ?, words FROM {source}.words WHERE row >= ? AND row < ?",
                (moved, *rows),
            )
        self.articles += 1
        self.passages += count
        return first, count

    def hashes(self, source: str, first: int, count: int) -> list[str]:
        """Return the hashes of what was embedded for rows of an attached store."""
        query = f"SELECT hash FROM {source}.passages WHERE row >= ? AND row < ? ORDER BY row"
        return [row[0] for row in self.connection.execute(query, (first, first + count))]

    def words(self) -> Iterator[list[str]]:
        """Yield the words of each passage, in row order."""
        for (words,) in self.connection.execute("SELECT words FROM words ORDER BY row"):
            yield words.split()

    def compared(self) -> Iterator[tuple[str, bytes]]:
        """Yield each article's id and signature: the earliest first, those without a date last, then by id."""
        return iter(
            self.connection.execute("SELECT id, signature FROM articles ORDER BY published IS NULL, published, id")
        )

    def article(self, article_id: str) -> Article:
        """Return one of the articles."""
        row = self.connection.execute(f"SELECT {_ARTICLE} FROM articles a WHERE a.id = ?", (article_id,)).fetchone()
        return _article(row)

    def finish(self, *, files: Iterable[StoredFile] = (), copies: Mapping[str, str] = MappingProxyType({})) -> None:
        """Add the files that were read whole, note which articles are copies of which, and write what filters need."""
        with told_by_the_system(self._file):
            self.connection.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)", map(astuple, files))
            self.connection.executemany(
                "UPDATE articles SET copy_of = ? WHERE id = ?", ((of, name) for name, of in copies.items())
            )
            self.connection.executescript(_INDEXES)
            self._write_facets()

    def _write_facets(self) -> None:
        numbers: dict[tuple[str, str], int] = {}
        with ArrayWriter(self._file.with_name(FACETS), shape=(self.articles, 5), dtype=np.int32) as writer:
            cursor = self.connection.execute(
                "SELECT earliest, latest, source, language, passages FROM articles ORDER BY number"
            )
            while batch := cursor.fetchmany(_FACETS_AT_ONCE):
                lines = [
                    (
                        _day(earliest, none=_NEVER),
                        _day(latest, none=0),
                        _numbered(numbers, "source", source),
                        _numbered(numbers, "language", language),
                        passages,
                    )
                    for earliest, latest, source, language, passages in batch
                ]
                writer.write(np.array(lines, np.int32))
        rows = ((kind, name, number) for (kind, name), number in numbers.items())
        self.connection.executemany("INSERT INTO facets VALUES (?, ?, ?)", rows)


def _day(date: str | None, *, none: int) -> int:
    return none if date is None else int(date.replace("-", ""))


def _numbered(numbers: dict[tuple[str, str], int], kind: str, name: str | None) -> int:
    return -1 if name is None else numbers.setdefault((kind, name.casefold()), len(numbers))


@contextlib.contextmanager
def told_by_the_system(file: Path) -> Iterator[None]:
    """Turn what SQLite says when it cannot write into the system's error."""
    try:
        yield
    except sqlite3.OperationalError as error:
        code = errno.ENOSPC if "full" in str(error) else errno.EIO
        raise OSError(code, str(error), str(file)) from error


class Store:
    """The articles and passages of one generation, read-only."""

    def __init__(self, file: Path) -> None:
        # immutable: a sealed generation never changes, so SQLite needs neither locks nor a journal.
        # Whoever asks from several threads lets them in one by one.
        uri = f"{file.absolute().as_uri()}?immutable=1"
        self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        self._facets = file.with_name(FACETS)
        self._held: NDArray[np.int32] | None = None

    def hold(self) -> None:
        """Open all that a filter reads, so that it is there when a writer has cleared the generation."""
        with contextlib.suppress(OSError, ValueError):  # told when it is read
            self._held = open_array(self._facets, np.int32, dimensions=2)

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

    def articles(self, ids: Iterable[str]) -> dict[str, Article]:
        """Return articles by their ids, in the order asked for.

        Raises:
            ArticleMissing: the index holds no such article.
        """
        wanted = list(dict.fromkeys(ids))
        found: dict[str, Article] = {}
        for batch in _batches(wanted):
            query = f"SELECT {_ARTICLE} FROM articles a WHERE a.id IN ({', '.join('?' * len(batch))})"
            found.update({row[0]: _article(row) for row in self._all(query, batch)})
        return {name: found[name] if name in found else self.article(name) for name in wanted}

    def passage(self, article_id: str, ordinal: int) -> Passage:
        """Return one passage.

        Raises:
            ArticleMissing: the article has no such passage.
        """
        row = self._one(
            f"SELECT {_PASSAGE} FROM articles a JOIN passages p ON p.row = a.first_row + ? "
            "WHERE a.id = ? AND ? < a.passages",
            (ordinal, article_id, ordinal),
        )
        if row is None:
            raise ArticleMissing(
                f"no passage {article_id}#{ordinal} in the index", hint=f"see: rag show {shlex.quote(article_id)}"
            )
        return _passage(row)

    def passages_with_texts(self, rows: Sequence[int]) -> tuple[list[Passage], list[str]]:
        """Return passages by row number, in the order asked for, and their slices of their articles."""
        found: dict[int, tuple[Passage, str]] = {}
        for batch in _batches(sorted(set(rows))):
            query = (
                f'SELECT p.row, substr(a.text, p.start + 1, p."end" - p.start), {_PASSAGE} '
                "FROM passages p JOIN articles a ON a.number = p.article "
                f"WHERE p.row IN ({', '.join('?' * len(batch))})"
            )
            found.update({row[0]: (_passage(row[2:]), row[1]) for row in self._all(query, batch)})
        return [found[row][0] for row in rows], [found[row][1] for row in rows]

    def article_ids(self) -> list[str]:
        """Return the ids of all articles, sorted."""
        return [row[0] for row in self._all("SELECT id FROM articles ORDER BY number")]

    def outline(self) -> list[dict[str, object]]:
        """Return what `rag status` lists of each article: id, path, title, source, date, language, sizes, origins."""
        query = (
            "SELECT a.id, a.path, a.title, a.source, a.published, a.language, length(a.text), "
            "a.passages, a.copy_of, a.origins "
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
            f"SELECT p.hash, w.words, {_PASSAGE} FROM articles a "
            "JOIN passages p ON p.row BETWEEN a.first_row AND a.first_row + a.passages - 1 "
            "JOIN words w ON w.row = p.row WHERE a.id = ? ORDER BY p.row"
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

    def file(self, file: str) -> StoredFile | None:
        """Return a file as it was when it was read whole; None if it was not."""
        row = self._one("SELECT * FROM files WHERE file = ?", (file,))
        return StoredFile(*row) if row else None

    def files_of(self, article_ids: Iterable[str]) -> list[StoredFile]:
        """Return the files that some articles were read from, as they were then, sorted."""
        ids = sorted(set(article_ids))
        query = (
            "SELECT DISTINCT f.* FROM articles a JOIN files f ON f.file = a.file "
            f"WHERE a.id IN ({', '.join('?' * len(ids))}) ORDER BY f.file"
        )
        return [StoredFile(*row) for row in self._all(query, ids)]

    def articles_of(self, file: str) -> list[tuple[str, str]]:
        """Return the articles that were read from a file, as ids and hashes."""
        return [(row[0], row[1]) for row in self._all("SELECT id, hash FROM articles WHERE file = ?", (file,))]

    def article_files(self) -> Iterator[str]:
        """Yield the files that articles were read from, sorted."""
        cursor = self._connection.cursor()
        return (row[0] for row in cursor.execute("SELECT DISTINCT file FROM articles ORDER BY file"))

    @functools.cached_property
    def copies(self) -> dict[str, str]:
        """Return, for each article that is a copy of another, the id of that one, which itself is none."""
        return dict(self._all("SELECT id, copy_of FROM articles WHERE copy_of IS NOT NULL"))

    def article_hash(self, article_id: str) -> str | None:
        """Return an article's hash; None if there is no such article."""
        row = self._one("SELECT hash FROM articles WHERE id = ?", (article_id,))
        return row[0] if row else None

    def row_of(self, passage_hash: str) -> int | None:
        """Return the first row for which a text with this hash was embedded; None if there is none."""
        row = self._one("SELECT min(row) FROM passages WHERE hash = ?", (passage_hash,))
        return row[0] if row else None

    def allowed(self, wanted: ArticleFilter, *, size: int) -> NDArray[np.bool_]:
        """Return which passages (size,) belong to articles that pass a filter."""
        facets = self._read_facets()
        passing = np.ones(len(facets), np.bool_)
        if wanted.since:
            passing &= facets[:, _LATEST] >= _day(date_range(wanted.since)[0], none=0)
        if wanted.until:
            passing &= facets[:, _EARLIEST] <= _day(date_range(wanted.until)[1], none=0)
        if wanted.source:
            query = "SELECT number FROM facets WHERE kind = 'source' AND name = ?"
            passing &= np.isin(facets[:, _SOURCE], self._facet_numbers(query, (wanted.source.casefold(),)))
        if wanted.language:
            # "en" finds "en-US" too.
            begins = "substr(name || '-', 1, length(?1) + 1) = ?1 || '-'"
            query = f"SELECT number FROM facets WHERE kind = 'language' AND {begins}"
            passing &= np.isin(facets[:, _LANGUAGE], self._facet_numbers(query, (wanted.language.casefold(),)))
        mask = np.repeat(passing, facets[:, _PASSAGES])
        if len(mask) != size:
            raise IndexBroken(f"{self._facets} speaks of {len(mask)} passages, not {size}")
        return mask

    def _read_facets(self) -> NDArray[np.int32]:
        if self._held is not None:
            return self._held
        try:
            return open_array(self._facets, np.int32, dimensions=2)
        except (OSError, ValueError) as error:
            raise IndexBroken(f"{self._facets} cannot be read: {error}") from error

    def _facet_numbers(self, query: str, values: Sequence[str]) -> list[int]:
        return [row[0] for row in self._all(query, values)]

    # What a row holds is known from the query alone, so here the columns are Any.
    def _all(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise IndexBroken(f"the index cannot be read: {error}") from error

    def _one(self, query: str, values: Sequence[object]) -> tuple[Any, ...] | None:
        rows = self._all(query, values)
        return rows[0] if rows else None


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
    values: list[Any] = [*plain, _spans_from_json(furniture), _from_json(origins), _from_json(metadata)]
    return Article(*values)


def _passage(row: Sequence[Any]) -> Passage:
    *plain, sentences = row
    values: list[Any] = [*plain, _spans_from_json(sentences)]
    return Passage(*values)


def _spans_to_json(spans: Iterable[Span]) -> str:
    return json.dumps([[span.start, span.end] for span in spans], separators=(",", ":"))


def _spans_from_json(text: str) -> tuple[Span, ...]:
    return tuple([Span(start, end) for start, end in _from_json(text)])


def _from_json(text: str) -> Any:  # noqa: ANN401  # whatever this module wrote
    # What stands there is JSON and nothing around it, which `json.loads` looks for with two searches.
    return {} if text == "{}" else [] if text == "[]" else _DECODER.raw_decode(text)[0]


def _mapping_to_json(mapping: Mapping[str, str]) -> str:
    return json.dumps(dict(mapping), ensure_ascii=False, sort_keys=True)


def _batches(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))
