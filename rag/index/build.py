"""The build: articles → passages → vectors and words → a new sealed generation.

What the current generation already holds is used again: a file whose bytes are the same is not parsed, an article
whose text and metadata are the same keeps its passages, and a passage whose embedded text is the same keeps its
vector. What a build encoded before it died is taken from its journal.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rag.articles import MOST_MEGABYTES, ArticleFile, find_files, read_articles
from rag.errors import ArticleEmpty, ArticleError, DuplicateArticle, IndexBroken, IndexMissing
from rag.index.copies import Compared, Copy, find_copies, own_text, sign
from rag.index.coverage import find_uncovered
from rag.index.generations import (
    KEPT,
    Index,
    clear_generations,
    new_generation,
    next_name,
    open_index,
    switch,
    writing,
)
from rag.index.journal import Journal
from rag.index.lexical import ANALYZER, LexicalIndex, terms
from rag.index.manifest import FILE as SEAL
from rag.index.manifest import EncoderFacts, Manifest, seal
from rag.index.store import StoredArticle, StoredFile, write_store
from rag.index.vectors import METRIC, VectorIndex
from rag.passages import embedded_text, split_passages
from rag.records import Article

# A stage ("reading", "encoding"), how much of it is done, and how much there is.
Progress: TypeAlias = Callable[[str, int, int], None]

_JOURNAL = "journal"
_BATCH_PASSAGES = 32  # what a kill can cost, at most
# Which libraries decide, beside our own code, what is read out of a file.
_READERS = ("charset-normalizer", "lxml", "lxml_html_clean", "pypdfium2", "trafilatura")
# A file that was written so shortly before it was looked at may be written again without a later time.
_SETTLED_NS = 2_000_000_000


class PassageEncoder(Protocol):
    """What the build asks of an encoder; `rag.models.encoder.Encoder` is one."""

    @property
    def name(self) -> str:
        """Return the model's name."""
        ...

    @property
    def revision(self) -> str:
        """Return the hash of the weights."""
        ...

    @property
    def fingerprint(self) -> str:
        """Return all that determines a passage's vector."""
        ...

    @property
    def dim(self) -> int:
        """Return the length of a vector."""
        ...

    @property
    def passage_tokens(self) -> int:
        """Return how many tokens of its own a passage may have."""
        ...

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return each text's tokens without special ones, as code-point offsets."""
        ...

    def encode_passages(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Return unit rows: (n, dim) float32."""
        ...


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """What decides, beside the articles and the encoder, what an index holds."""

    max_tokens: int
    overlap_sentences: int
    k1: float
    b: float

    def described(self, fingerprint: str) -> dict[str, object]:
        """Return the settings as the manifest names them."""
        return {"encoder": fingerprint, **_prefixed("passages", self.passages), **_prefixed("lexical", self.lexical)}

    @property
    def passages(self) -> dict[str, int]:
        """Return how articles are cut."""
        return {"max_tokens": self.max_tokens, "overlap_sentences": self.overlap_sentences}

    @property
    def lexical(self) -> dict[str, float | str]:
        """Return how words are counted."""
        return {"analyzer": ANALYZER, "k1": self.k1, "b": self.b}


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be indexed, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did, or would do, with every file: nothing is passed over in silence.

    An article that is indexed is in `added`, `changed` or `unchanged`, by its id; a file without an article is in
    `empty` or `failed`, by its path and with the reason. `duplicates` are those of the indexed articles that are copies
    of another. `encoded` counts the passages that were encoded anew, `resumed` those that an interrupted build had.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    failed: tuple[Failure, ...]
    articles: int
    passages: int
    encoded: int
    content: str
    empty: tuple[Failure, ...] = ()
    duplicates: tuple[Copy, ...] = ()
    resumed: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    """An article to index; `article` is None where its file was not read, being as the current generation has it."""

    id: str
    file: str
    hash: str
    article: Article | None


class _Gathered:
    """What lies under the roots: articles by id, files by what came of them."""

    def __init__(self) -> None:
        self.entries: dict[str, _Entry] = {}
        self.files: dict[str, StoredFile] = {}
        self.failed: list[Failure] = []
        self.empty: list[Failure] = []

    def fail(self, path: str, error: ArticleError) -> None:
        """Note a file, or a row of one, that gave no article."""
        (self.empty if isinstance(error, ArticleEmpty) else self.failed).append(Failure(path, error.message))

    def in_order(self) -> list[_Entry]:
        """Return the articles, sorted by id."""
        return [self.entries[key] for key in sorted(self.entries)]


def plan_build(roots: Sequence[Path], *, index: Path, add: bool, progress: Progress) -> BuildReport:
    """Read the articles and tell what a build would do, writing nothing."""
    previous = _previous(index)
    gathered = _gather(roots, reused=previous, previous=previous if add else None, progress=progress)
    return _report(gathered, previous=previous, content="")


def build_index(
    roots: Sequence[Path],
    *,
    index: Path,
    encoder: PassageEncoder,
    settings: BuildSettings,
    add: bool,
    rebuild: bool,
    progress: Progress,
    keep: int = KEPT,
) -> BuildReport:
    """Bring the index up to date with the articles under `roots`, and return what was done.

    With `add`, articles of the current generation that are not under `roots` stay. With `rebuild`, nothing of it is
    used again. When nothing changed, the current generation stays. Of the generations, the last `keep` are kept.

    Raises:
        ArticleError: a root does not exist, or no article could be read.
        DuplicateArticle: two files would have one id.
        IndexBroken: the current generation was built with other settings, and `rebuild` was not asked for.
        RagError: another build is at work, the disk is full, or the folder cannot be written.
    """
    with writing(index):
        previous = None if rebuild and not add else _previous(index)
        described = settings.described(encoder.fingerprint)
        if previous is not None and not rebuild:
            _check_settings(previous.manifest, described)
        reused = None if rebuild else previous
        gathered = _gather(roots, reused=reused, previous=previous if add else None, progress=progress)
        stored = _split(gathered, encoder, settings, reused=reused, previous=previous, progress=progress)
        if not stored:
            raise _nothing_to_index(roots, [*gathered.failed, *gathered.empty])
        content = _content_hash(gathered.in_order(), described)
        if reused is not None and _same(reused.manifest, content, gathered):
            (index / _JOURNAL).unlink(missing_ok=True)
            clear_generations(index, keep=keep)
            return _report(
                gathered,
                previous=previous,
                content=content,
                passages=reused.manifest.passages,
                duplicates=_copies_in(stored),
            )
        duplicates = find_copies([_compared(item) for item in stored])
        of = {copy.article: copy.of for copy in duplicates}
        stored = [replace(item, copy_of=of.get(item.article.id)) for item in stored]
        with Journal(index / _JOURNAL, fingerprint=encoder.fingerprint, dim=encoder.dim) as journal:
            vectors, encoded, resumed = _vectors(stored, reused, encoder, journal, progress)
        manifest = Manifest(
            content=content,
            encoder=EncoderFacts(encoder.name, encoder.revision, encoder.fingerprint, encoder.dim),
            passage_settings=settings.passages,
            lexical_settings=settings.lexical,
            metric=METRIC,
            articles=len(stored),
            passages=len(vectors),
            roots=tuple(str(root.absolute()) for root in roots),
            failed=tuple(asdict(failure) for failure in gathered.failed),
            empty=tuple(asdict(failure) for failure in gathered.empty),
            reading=_reading_code(),
            built=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        _write(index, stored, gathered.files.values(), vectors, manifest=manifest, settings=settings)
        clear_generations(index, keep=keep)
        return _report(
            gathered,
            previous=previous,
            content=content,
            passages=len(vectors),
            encoded=encoded,
            resumed=resumed,
            duplicates=duplicates,
        )


def _previous(index: Path) -> Index | None:
    try:
        return open_index(index)
    except IndexMissing:
        return None


# Reading


def _gather(roots: Sequence[Path], *, reused: Index | None, previous: Index | None, progress: Progress) -> _Gathered:
    """Return what lies under the roots, and besides in `previous`; what did not change is taken from `reused`."""
    files = find_files(roots)
    gathered = _Gathered()
    known = _Known(reused)
    for done, file in enumerate(files, start=1):
        _gather_file(file, gathered, known)
        progress("reading", done, len(files))
    if previous is not None:
        _keep_besides(gathered, previous)
    return gathered


class _Known:
    """What the current generation tells of files: which need not be read again."""

    def __init__(self, previous: Index | None) -> None:
        usable = previous is not None and previous.manifest.reading == _reading_code()
        self._files = {known.file: known for known in previous.store.files()} if previous and usable else {}
        self._articles = previous.store.articles_by_file() if previous and usable else {}

    def entries(self, now: StoredFile) -> list[_Entry]:
        """Return the articles of a file that is as it was; none if it has to be read."""
        before = self._files.get(now.file)
        if before is None or (before.id, before.path, before.hash) != (now.id, now.path, now.hash):
            return []
        return [_Entry(name, now.file, digest, None) for name, digest in self._articles.get(now.file, [])]

    def look_at(self, file: ArticleFile) -> StoredFile | None:
        """Return the file as it is now, hashed unless its size and time are as they were; None if it cannot be read."""
        before = self._files.get(str(file.file))
        if file.refused is not None:  # what a link out of the folder leads to may not even be opened
            return None
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


def _gather_file(file: ArticleFile, gathered: _Gathered, known: _Known) -> None:
    now = known.look_at(file)
    entries = known.entries(now) if now is not None else []
    if not entries:
        failures = len(gathered.failed) + len(gathered.empty)
        entries = [_Entry(a.id, str(file.file), _article_hash(a), a) for a in _read(file, gathered)]
        if len(gathered.failed) + len(gathered.empty) != failures:
            now = None  # so that it is tried again
    for entry in entries:
        _refuse_duplicate(gathered, entry, file)
        gathered.entries[entry.id] = entry
    if now is not None and entries:
        gathered.files[now.file] = now


def _read(file: ArticleFile, gathered: _Gathered) -> list[Article]:
    try:
        articles, errors = read_articles(file)
    except ArticleError as error:
        gathered.fail(file.path, error)
        return []
    for row_error in errors:
        gathered.fail(file.path, row_error)
    if not articles and not errors:
        gathered.empty.append(Failure(file.path, f"{file.path} holds no articles"))
    return articles


def _keep_besides(gathered: _Gathered, previous: Index) -> None:
    """Keep the current generation's articles, but for those that have left a file which was read whole just now."""
    kept_files = {known.file: known for known in previous.store.files()}
    for file, articles in previous.store.articles_by_file().items():
        if file not in gathered.files:
            kept = [_Entry(name, file, digest, None) for name, digest in articles if name not in gathered.entries]
            gathered.entries.update({entry.id: entry for entry in kept})
            if file in kept_files and len(kept) == len(articles):
                gathered.files[file] = kept_files[file]


def _refuse_duplicate(gathered: _Gathered, entry: _Entry, file: ArticleFile) -> None:
    earlier = gathered.entries.get(entry.id)
    if earlier is not None:
        places = [_place(earlier.file, earlier.article), _place(file.path, entry.article)]
        raise DuplicateArticle(
            f"{places[0]} and {places[1]} have the same id {entry.id}", hint="give one of them another id"
        )


def _place(file: str, article: Article | None) -> str:
    return file if article is None else f"{article.path}:{article.first_line}"


@functools.cache
def _reading_code() -> str:
    """Return a hash of all the code that decides what is read out of a file."""
    import rag.articles

    folder = Path(rag.articles.__file__).parent
    digest = hashlib.sha256()
    for source in sorted(folder.glob("*.py")):
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    for library in _READERS:
        digest.update(f"{library} {metadata.version(library)}\n".encode())
    return digest.hexdigest()


def _check_settings(manifest: Manifest, wanted: Mapping[str, object]) -> None:
    differing = manifest.differences(wanted)
    if differing:
        raise IndexBroken(
            f"the index was built with other settings: {', '.join(differing)}",
            hint="build it anew with: rag index --rebuild",
        )


def _nothing_to_index(roots: Sequence[Path], failures: Sequence[Failure]) -> ArticleError:
    places = ", ".join(str(root) for root in roots)
    if failures:
        return ArticleError(
            f"none of the {len(failures)} files under {places} could be read; the first: {failures[0].reason}",
            hint="give a folder with articles: rag index FOLDER; rag index --help names the formats",
        )
    return ArticleError(
        f"no articles under {places}",
        hint="give a folder with articles: rag index FOLDER; rag index --help names the formats",
    )


def _same(manifest: Manifest, content: str, gathered: _Gathered) -> bool:
    return (
        manifest.content == content
        and [dict(failed) for failed in manifest.failed] == [asdict(failure) for failure in gathered.failed]
        and [dict(empty) for empty in manifest.empty] == [asdict(failure) for failure in gathered.empty]
    )


# Splitting


def _split(
    gathered: _Gathered,
    encoder: PassageEncoder,
    settings: BuildSettings,
    *,
    reused: Index | None,
    previous: Index | None,
    progress: Progress,
) -> list[StoredArticle]:
    """Return the articles with their passages, sorted by id; those that fail leave `gathered`, and are noted in it.

    `reused` is the generation whose passages are taken over, `previous` the one whose articles are.
    """
    stored: list[StoredArticle] = []
    hashes = {} if reused is None else reused.store.article_hashes()
    entries = gathered.in_order()
    for done, entry in enumerate(entries, start=1):
        if reused is not None and hashes.get(entry.id) == entry.hash:
            stored.append(replace(reused.store.stored(entry.id), file=entry.file))
            continue
        article = entry.article
        if article is None and previous is not None:
            article = previous.store.article(entry.id)
        if article is None:
            raise ValueError(f"{entry.id} is neither read nor indexed")
        try:
            stored.append(_split_article(article, entry, encoder, settings))
        except ArticleError as error:
            gathered.fail(article.path, error)
            del gathered.entries[entry.id]
            gathered.files.pop(entry.file, None)
        progress("splitting", done, len(entries))
    return stored


def _split_article(article: Article, entry: _Entry, encoder: PassageEncoder, settings: BuildSettings) -> StoredArticle:
    passages = split_passages(
        article,
        tokenizer=encoder,
        max_tokens=min(settings.max_tokens, encoder.passage_tokens),
        overlap_sentences=settings.overlap_sentences,
    )
    if not passages:
        raise ArticleEmpty(f"{article.path} holds nothing but page furniture")
    missed = find_uncovered(article, passages)
    if missed:  # never seen; but what is not indexed must not be lost in silence
        raise ArticleError(
            f"{article.path} cannot be cut: characters {missed[0].start} to {missed[0].end} would be in no passage"
        )
    texts = [embedded_text(article, passage) for passage in passages]
    return StoredArticle(
        article=article,
        file=entry.file,
        hash=entry.hash,
        passages=tuple(passages),
        passage_hashes=tuple(_hash(text) for text in texts),
        words=tuple(" ".join(terms(text)) for text in texts),
        signature=sign(article),
    )


def _compared(stored: StoredArticle) -> Compared:
    article = stored.article
    return Compared(article.id, article.published, stored.signature, lambda: own_text(article))


def _copies_in(stored: Sequence[StoredArticle]) -> list[Copy]:
    """Return the copies that the articles of a generation are known to be."""
    texts = {item.article.id: item.article for item in stored}
    return [
        Copy(name, item.copy_of, exact=own_text(item.article) == own_text(texts[item.copy_of]))
        for name, item in ((item.article.id, item) for item in stored)
        if item.copy_of is not None
    ]


# Encoding


def _vectors(
    stored: Sequence[StoredArticle],
    previous: Index | None,
    encoder: PassageEncoder,
    journal: Journal,
    progress: Progress,
) -> tuple[NDArray[np.float32], int, int]:
    """Return the vectors of all passages in row order, how many were encoded, and how many the journal had."""
    texts = dict(_embedded(stored))
    place = {digest: number for number, digest in enumerate(texts)}
    unique = np.empty((len(texts), encoder.dim), np.float32)
    known = {} if previous is None else previous.store.passage_hashes()
    taken = [digest for digest in texts if digest in known]
    if previous is not None and taken:
        rows = np.array([known[digest] for digest in taken], np.int64)
        unique[[place[digest] for digest in taken]] = previous.vectors.rows(rows)
    resumed = [digest for digest in texts if digest not in known and digest in journal.known]
    for digest in resumed:
        unique[place[digest]] = journal.known[digest]
    # Texts of like length share a batch, which saves padding; the longest first, so that the time left is told well.
    missing = [digest for digest in texts if digest not in known and digest not in journal.known]
    missing.sort(key=lambda digest: (-len(texts[digest]), digest))
    for start in range(0, len(missing), _BATCH_PASSAGES):
        batch = missing[start : start + _BATCH_PASSAGES]
        vectors = encoder.encode_passages([texts[digest] for digest in batch])
        journal.append(batch, vectors)
        unique[[place[digest] for digest in batch]] = vectors
        progress("encoding", start + len(batch), len(missing))
    rows_of = [place[digest] for item in stored for digest in item.passage_hashes]
    return unique[rows_of], len(missing), len(resumed)


def _embedded(stored: Iterable[StoredArticle]) -> Iterable[tuple[str, str]]:
    for item in stored:
        for passage, digest in zip(item.passages, item.passage_hashes, strict=True):
            yield digest, embedded_text(item.article, passage)


def _write(
    index: Path,
    stored: Sequence[StoredArticle],
    files: Iterable[StoredFile],
    vectors: NDArray[np.float32],
    *,
    manifest: Manifest,
    settings: BuildSettings,
) -> None:
    folder = new_generation(index, next_name(index))
    try:
        write_store(folder / "articles.sqlite", stored, files=files)
        VectorIndex.build(vectors).save(folder / "vectors.faiss")
        words = (text.split() for item in stored for text in item.words)
        LexicalIndex.build(words, k1=settings.k1, b=settings.b, folder=folder / "lexical")
        seal(folder, manifest)
        switch(index, folder)
    except BaseException:
        # Once it is sealed it may already be the current one, whatever came between.
        if not (folder / SEAL).exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    (index / _JOURNAL).unlink()


def _report(
    gathered: _Gathered,
    *,
    previous: Index | None,
    content: str,
    passages: int = 0,
    encoded: int = 0,
    resumed: int = 0,
    duplicates: Sequence[Copy] = (),
) -> BuildReport:
    before = {} if previous is None else previous.store.article_hashes()
    now = {entry.id: entry.hash for entry in gathered.in_order()}
    return BuildReport(
        added=tuple(key for key in now if key not in before),
        changed=tuple(key for key in now if key in before and before[key] != now[key]),
        removed=tuple(key for key in before if key not in now),
        unchanged=tuple(key for key in now if before.get(key) == now[key]),
        failed=tuple(gathered.failed),
        articles=len(now),
        passages=passages,
        encoded=encoded,
        content=content,
        empty=tuple(gathered.empty),
        duplicates=tuple(duplicates),
        resumed=resumed,
    )


def _article_hash(article: Article) -> str:
    return _hash(json.dumps(asdict(article), sort_keys=True))


def _content_hash(entries: Sequence[_Entry], settings: Mapping[str, object]) -> str:
    return _hash(json.dumps([settings, [[entry.id, entry.hash] for entry in entries]], sort_keys=True))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _prefixed(section: str, values: Mapping[str, object]) -> dict[str, object]:
    return {f"{section}.{key}": value for key, value in values.items()}
