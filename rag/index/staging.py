"""What a build has found so far, on disk: so its memory does not grow with the articles.

Beside the articles that have to be split and encoded anew, in the form of the store, it holds which articles the next
generation will have, which texts have to be encoded, and where the journal has the vectors of others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rag.index.store import StoredArticle, StoredFile, StoreWriter, told_by_the_system

_TABLES = """
CREATE TABLE entries (
    id TEXT PRIMARY KEY, file TEXT NOT NULL, hash TEXT NOT NULL, place TEXT NOT NULL, kept INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE read (
    file TEXT PRIMARY KEY, id TEXT NOT NULL, path TEXT NOT NULL, bytes INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
    hash TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE missing (hash TEXT PRIMARY KEY, length INTEGER NOT NULL, text TEXT NOT NULL);
CREATE TABLE journalled (
    hash TEXT PRIMARY KEY, record INTEGER NOT NULL, wanted INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """An article of the next generation: the file it is from, where it stands, and whether its passages are kept."""

    id: str
    file: str
    hash: str
    place: str
    kept: bool


class Staging:
    """A store of what is new, and lists of what is to be done; a context that leaves no file behind.

    `file` None keeps it where the system keeps temporary files.

    Raises:
        OSError: the file cannot be written, as when the disk is full.
    """

    def __init__(self, file: Path | None, *, cache_bytes: int) -> None:
        self.file = file
        if file is not None:
            file.unlink(missing_ok=True)  # what a dead build left
        self._store = StoreWriter(file, cache_bytes=cache_bytes)
        with self._writing():
            self._store.connection.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.connection.close()
        if self.file is not None:
            self.file.unlink(missing_ok=True)

    def flush(self) -> None:
        """Let others read the file."""
        with self._writing():
            self._store.connection.commit()

    def _writing(self) -> AbstractContextManager[None]:
        return told_by_the_system(self.file or Path())

    def _all(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        with self._writing():
            return self._store.connection.execute(statement, values)

    # Articles

    def entry(self, article_id: str) -> Entry | None:
        """Return an article by its id."""
        row = self._all("SELECT id, file, hash, place, kept FROM entries WHERE id = ?", (article_id,)).fetchone()
        return _entry(row) if row else None

    def add(self, entry: Entry) -> None:
        """Note an article of the next generation."""
        self._all("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", astuple(entry))

    def stage(self, stored: StoredArticle) -> None:
        """Put by an article that was split anew."""
        self._store.add(stored)

    def entries(self) -> Iterator[Entry]:
        """Yield the articles, sorted by id."""
        rows = self._all("SELECT id, file, hash, place, kept FROM entries ORDER BY id")
        return map(_entry, rows)

    def size(self) -> int:
        """Return how many articles there are."""
        return int(self._all("SELECT count(*) FROM entries").fetchone()[0])

    # Files

    def note_read(self, file: StoredFile) -> None:
        """Note a file that was read whole, or need not be read again."""
        self._all("INSERT OR REPLACE INTO read VALUES (?, ?, ?, ?, ?, ?)", astuple(file))

    def was_read(self, file: str) -> bool:
        """Tell whether a file was read whole."""
        return self._all("SELECT 1 FROM read WHERE file = ?", (file,)).fetchone() is not None

    def files(self) -> Iterator[StoredFile]:
        """Yield the files that were read whole."""
        return (StoredFile(*row) for row in self._all("SELECT * FROM read ORDER BY file"))

    # Texts

    def remember(self, records: Iterable[tuple[str, int]]) -> None:
        """Note which record of the journal has the vector of a text, by the text's hash."""
        with self._writing():
            self._store.connection.executemany("INSERT OR IGNORE INTO journalled (hash, record) VALUES (?, ?)", records)

    def take_up(self, records: Iterable[tuple[str, int]]) -> None:
        """Do as `remember`, and count those texts that are wanted by now as no longer missing."""
        self.remember(records)
        self._all("UPDATE journalled SET wanted = 1 WHERE hash IN (SELECT hash FROM missing)")
        self._all("DELETE FROM missing WHERE hash IN (SELECT hash FROM journalled)")

    def want(self, texts: Iterable[tuple[str, str]]) -> None:
        """Note texts, each with its hash, whose vectors are needed and not in the last generation."""
        for digest, text in texts:
            self._all("INSERT OR IGNORE INTO missing VALUES (?, ?, ?)", (digest, len(text), text))

    def missing(self) -> Iterator[tuple[str, str]]:
        """Yield the texts that have to be encoded, each once with its hash, the longest first."""
        # Texts of like length share a batch, which saves padding; with the longest first, the time left is told well.
        return iter(self._all("SELECT hash, text FROM missing ORDER BY length DESC, hash"))

    def counts(self) -> tuple[int, int]:
        """Return how many texts have to be encoded, and how many the journal has already."""
        missing = self._all("SELECT count(*) FROM missing").fetchone()[0]
        return int(missing), int(self._all("SELECT count(*) FROM journalled WHERE wanted").fetchone()[0])

    def record_of(self, digest: str) -> int | None:
        """Return the record of the journal that has a text's vector."""
        row = self._all("SELECT record FROM journalled WHERE hash = ?", (digest,)).fetchone()
        return row[0] if row else None


def _entry(row: tuple[str, str, str, str, int]) -> Entry:
    article_id, file, digest, place, kept = row
    return Entry(article_id, file, digest, place, kept=bool(kept))
