"""Reading and splitting: from folders to the articles of the next generation, each file with what came of it."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Protocol, TypeAlias

from rag.articles import FEED_SUFFIXES, MOST_MEGABYTES, ArticleFile, find_files, read_articles, suffix_of
from rag.errors import ArticleEmpty, ArticleError, DuplicateArticle
from rag.index.copies import sign
from rag.index.coverage import find_uncovered
from rag.index.generations import Index
from rag.index.lexical import terms
from rag.index.staging import Entry, Staging
from rag.index.store import StoredArticle, StoredFile
from rag.passages import Tokenizer, embedded_text, split_passages
from rag.records import Article

# A stage ("reading", "encoding"), how much of it is done, and how much there is.
Progress: TypeAlias = Callable[[str, int, int], None]

# Which libraries decide, beside our own code, what is read out of a file.
_READERS = ("charset-normalizer", "lxml", "lxml_html_clean", "pypdfium2", "trafilatura")
# A file that was written so shortly before it was looked at may be written again without a later time.
_SETTLED_NS = 2_000_000_000


class BoundedTokenizer(Tokenizer, Protocol):
    """A tokenizer that knows how many tokens a passage may have."""

    @property
    def passage_tokens(self) -> int:
        """Return how many tokens of its own a passage may have."""
        ...


class SplitSettings(Protocol):
    """How articles are cut."""

    @property
    def max_tokens(self) -> int:
        """Return the longest passage."""
        ...

    @property
    def overlap_sentences(self) -> int:
        """Return how many sentences a passage repeats."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be indexed, and why."""

    path: str
    reason: str


class Splitter:
    """Cuts articles into passages, and gets ready what the index holds of them."""

    def __init__(self, tokenizer: BoundedTokenizer, settings: SplitSettings) -> None:
        self._tokenizer = tokenizer
        self._settings = settings

    def split(self, article: Article, *, file: str, digest: str) -> tuple[StoredArticle, list[str]]:
        """Return an article with its passages, and the texts that are embedded for them.

        Raises:
            ArticleError: it holds nothing to cut, or cannot be cut.
        """
        passages = split_passages(
            article,
            tokenizer=self._tokenizer,
            max_tokens=min(self._settings.max_tokens, self._tokenizer.passage_tokens),
            overlap_sentences=self._settings.overlap_sentences,
        )
        if not passages:
            raise ArticleEmpty(f"{article.path} holds nothing but page furniture")
        missed = find_uncovered(article, passages)
        if missed:  # never seen; but what is not indexed must not be lost in silence
            raise ArticleError(
                f"{article.path} cannot be cut: characters {missed[0].start} to {missed[0].end} would be in no passage"
            )
        texts = [embedded_text(article, passage) for passage in passages]
        stored = StoredArticle(
            article=article,
            file=file,
            hash=digest,
            passages=tuple(passages),
            passage_hashes=tuple(_hash(text) for text in texts),
            words=tuple(" ".join(terms(text)) for text in texts),
            signature=sign(article),
        )
        return stored, texts


class Gathered:
    """What lies under the roots: articles in `staging`, and the files that gave none.

    What did not change since `reused` is taken from there. Without a `splitter` articles are only listed.
    """

    def __init__(self, staging: Staging, *, reused: Index | None, splitter: Splitter | None) -> None:
        self.staging = staging
        self.failed: list[Failure] = []
        self.empty: list[Failure] = []
        self.skipped: list[Failure] = []
        self._reused = reused
        self._splitter = splitter
        # Files that other code has read are read again.
        self._known = reused if reused is not None and reused.manifest.reading == reading_code() else None

    def gather(self, roots: Sequence[Path], *, progress: Progress) -> None:
        """Find, read and split all articles under the roots.

        Raises:
            ArticleError: a root does not exist.
            DuplicateArticle: two of them have one id.
        """
        # Feeds last, so that an item which has the id of another file's article is what fails.
        files = sorted(find_files(roots), key=lambda file: _is_feed(str(file.file)))
        for done, file in enumerate(files, start=1):
            self._gather_file(file)
            progress("reading", done, len(files))

    def keep_besides(self, previous: Index, roots: Sequence[Path]) -> None:
        """Keep a generation's articles, but for those that have left a file which was read whole just now.

        So do those of a file below a root that is no more. What was wrong with other files is still so.

        Raises:
            DuplicateArticle: one of them is in its file still, and an article of another file has its id.
        """
        given = [root.resolve() for root in roots]
        for file in previous.store.article_files():
            if self.staging.was_read(file) or (_is_below(file, given) and not os.path.lexists(file)):
                continue
            articles = previous.store.articles_of(file)
            self._refuse_twice(file, [name for name, _ in articles])
            kept = [(name, digest) for name, digest in articles if self.staging.entry(name) is None]
            for name, digest in kept:
                if self._reused is previous:
                    self.staging.add(Entry(name, file, digest, file, kept=True))
                else:
                    self._take(previous.store.article(name), file)
            known = previous.store.file(file)
            if known is not None and len(kept) == len(articles):
                self.staging.note_read(known)
        shown = [root.as_posix() for root in roots]
        before = previous.manifest
        for now, then in ((self.failed, before.failed), (self.empty, before.empty), (self.skipped, before.skipped)):
            named = {failure.path for failure in now}
            now += [
                Failure(**line)
                for line in then
                if line["path"] not in named and not any(_is_at(line["path"], root) for root in shown)
            ]

    def _refuse_twice(self, file: str, names: Sequence[str]) -> None:
        """Raise DuplicateArticle for an article whose id another file has taken; copies of a feed share their items."""
        for name in names:
            entry = self.staging.entry(name)
            if entry is None or entry.file == file or _is_feed(file) or _is_feed(entry.file):
                continue
            if os.path.lexists(file):
                raise DuplicateArticle(
                    f"{file} and {entry.place} would both have the id {name}",
                    hint="index the folder above them, so that their ids differ, or rename one",
                )

    def _gather_file(self, file: ArticleFile) -> None:
        now = self._look_at(file)
        unread = self._unread(now) if now is not None else []
        failures = len(self.failed) + len(self.empty)
        taken = 0
        for entry in unread:
            if not self._is_taken(entry.id, file.path, file):
                self.staging.add(entry)
                taken += 1
        if not unread:
            for article in self._read(file):
                if not self._is_taken(article.id, f"{article.path}:{article.first_line}", file):
                    taken += self._take(article, str(file.file))
        # A file that failed in part is tried again.
        if now is not None and taken and len(self.failed) + len(self.empty) == failures:
            self.staging.note_read(now)

    def _unread(self, now: StoredFile) -> list[Entry]:
        """Return the articles of a file that is as it was; none if it has to be read."""
        before = self._known.store.file(now.file) if self._known is not None else None
        if self._known is None or before is None:
            return []
        if (before.id, before.path, before.hash) != (now.id, now.path, now.hash):
            return []
        articles = self._known.store.articles_of(now.file)
        return [Entry(name, now.file, digest, now.file, kept=True) for name, digest in articles]

    def _look_at(self, file: ArticleFile) -> StoredFile | None:
        """Return the file as it is now, hashed unless its size and time are as they were; None if it cannot be read."""
        # What a link out of the folder leads to may not even be opened, and not every name can be looked up.
        if file.refused is not None:
            return None
        before = self._known.store.file(str(file.file)) if self._known is not None else None
        try:
            status = file.file.stat()
            # A pipe or a device has no end, and what is too large to be read is too large to be hashed.
            if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_MEGABYTES * 2**20:
                return None
            settled = status.st_mtime_ns < time.time_ns() - _SETTLED_NS
            modified = status.st_mtime_ns if settled else 0
            if before is not None and (before.bytes, before.modified_ns) == (status.st_size, modified) and settled:
                digest = before.hash
            else:
                with file.file.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:  # reading it tells why
            return None
        return StoredFile(str(file.file), file.id, file.path, status.st_size, modified, digest)

    def _read(self, file: ArticleFile) -> list[Article]:
        try:
            articles, errors = read_articles(file)
        except ArticleError as error:
            self._fail(file.path, error)
            return []
        for row_error in errors:
            self._fail(file.path, row_error)
        if not articles and not errors:
            self.skipped.append(Failure(file.path, f"{file.path} is a set of questions, not of articles"))
        return articles

    def _fail(self, path: str, error: ArticleError) -> None:
        """Note a file, or a row of one, that gave no article."""
        (self.empty if isinstance(error, ArticleEmpty) else self.failed).append(Failure(path, error.message))

    def _is_taken(self, article_id: str, place: str, file: ArticleFile) -> bool:
        """Tell whether an article's id is taken, which costs a feed that item: its ids are not the user's to change.

        Raises:
            DuplicateArticle: it is, and by an article that is in no feed.
        """
        earlier = self.staging.entry(article_id)
        if earlier is None:
            return False
        if not _is_feed(str(file.file)):
            raise DuplicateArticle(
                f"{earlier.place} and {place} have the same id {article_id}", hint="give one of them another id"
            )
        # The same words whether or not the other file was read this time, as failures are compared with the last ones.
        self.failed.append(Failure(file.path, f"{earlier.file} and {file.path} have the same id {article_id}"))
        return True

    def _take(self, article: Article, file: str) -> bool:
        """Put by an article; tell whether it could be split."""
        digest = _hash(json.dumps(asdict(article), sort_keys=True))
        kept = self._reused is not None and self._reused.store.article_hash(article.id) == digest
        if not kept and self._splitter is not None:
            try:
                stored, texts = self._splitter.split(article, file=file, digest=digest)
            except ArticleError as error:
                self._fail(article.path, error)
                return False
            self.staging.stage(stored)
            self.staging.want(
                (passage, text)
                for passage, text in zip(stored.passage_hashes, texts, strict=True)
                if self._reused is None or self._reused.store.row_of(passage) is None
            )
        self.staging.add(Entry(article.id, file, digest, f"{article.path}:{article.first_line}", kept=kept))
        return True


def _is_below(file: str, roots: Sequence[Path]) -> bool:
    return any(Path(file).is_relative_to(root) for root in roots)


def _is_at(path: str, root: str) -> bool:
    return Path(path).absolute().is_relative_to(Path(root).absolute())


def _is_feed(file: str) -> bool:
    return suffix_of(Path(file).name).removesuffix(".gz") in FEED_SUFFIXES


@functools.cache
def reading_code() -> str:
    """Return a hash of all the code that decides what is read out of a file."""
    import rag.articles

    folder = Path(rag.articles.__file__).parent
    digest = hashlib.sha256()
    for source in sorted(folder.glob("*.py")):
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    for library in _READERS:
        digest.update(f"{library} {metadata.version(library)}\n".encode())
    return digest.hexdigest()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
