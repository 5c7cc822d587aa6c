"""The build: articles → passages → vectors and words → a new sealed generation.

What the current generation already holds is used again: a file whose bytes are the same is not parsed, an article
whose text and metadata are the same keeps its passages, and a passage whose embedded text is the same keeps its
vector. What a build encoded before it died is taken from its journal.

What is found goes to disk at once (`gathering`, `staging`) and comes back in order, so memory is bounded by a setting,
but for some hundred bytes per file and article.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import shutil
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from rag.errors import ArticleError, IndexBroken, IndexMissing
from rag.index.arrays import ArrayWriter, open_array
from rag.index.copies import PERMUTATIONS, Copy, find_copies, own_text
from rag.index.gathering import Failure, Gathered, Progress, Splitter, reading_code
from rag.index.generations import (
    KEPT,
    LEXICAL,
    STORE,
    VECTORS,
    Index,
    clear_generations,
    new_generation,
    next_name,
    open_index,
    switch,
    writing,
)
from rag.index.journal import Journal
from rag.index.lexical import ANALYZER
from rag.index.lists import LISTS_FROM, write_vectors
from rag.index.manifest import FILE as SEAL
from rag.index.manifest import EncoderFacts, Manifest, seal
from rag.index.postings import write_matrix
from rag.index.staging import Entry, Staging
from rag.index.store import StoreWriter
from rag.index.vectors import METRIC, VectorIndex

T = TypeVar("T")

_JOURNAL = "journal"
_STAGING = "staging.sqlite"
_BATCH_PASSAGES = 128  # what a kill can cost, at most: some two seconds of work
_USUAL_MEMORY_BYTES = 512 * 2**20
# Two SQLite files are open at a time; each may keep this part of the memory as its cache, and sort in as much.
_CACHES = 16
# What else takes memory while words are counted (the caches, what was freed but not given back) fits beside this part.
_WORDS = 3
# Of the memory, libraries and what Python keeps for itself take this much, whatever is built.
_FIXED_BYTES = 48 * 2**20


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
    def backend(self) -> str:
        """Return the name of what computes a passage's vector."""
        ...

    @property
    def passage_tokens(self) -> int:
        """Return how many tokens of its own a passage may have."""
        ...

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return each text's tokens without special ones, as code-point offsets."""
        ...

    def encode_series(self, series: Iterable[Sequence[str]]) -> Iterator[NDArray[np.float32]]:
        """Yield unit rows, (n, dim) float32, of one list of passages after another."""
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
class BuildReport:
    """What a build did, or would do, with every file: nothing is passed over in silence.

    An article that is indexed is in `added`, `changed` or `unchanged`, by its id; a file without an article is in
    `empty`, `failed` or `skipped`, by its path and with the reason; what is skipped was not meant to hold any.
    `duplicates` are those of the indexed articles that are copies of another. `encoded` counts the passages that were
    encoded anew, `resumed` those that an interrupted build had.
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
    skipped: tuple[Failure, ...] = ()


def plan_build(roots: Sequence[Path], *, index: Path, add: bool, progress: Progress) -> BuildReport:
    """Read the articles and tell what a build would do, writing nothing."""
    previous = _previous(index)
    with Staging(None, cache_bytes=_USUAL_MEMORY_BYTES // _CACHES) as staging:
        gathered = Gathered(staging, reused=previous, splitter=None)
        gathered.gather(roots, progress=progress)
        if add and previous is not None:
            gathered.keep_besides(previous, roots)
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
    memory_bytes: int = _USUAL_MEMORY_BYTES,
    lists_from: int = LISTS_FROM,
    choose: Callable[[str | None, int], PassageEncoder] | None = None,
) -> BuildReport:
    """Bring the index up to date with the articles under `roots`, and return what was done.

    With `add`, articles of the current generation that are not under `roots` stay, and so do its
    roots. With `rebuild`, nothing of it is used again. When nothing changed, the current generation stays. Of the
    generations, the last `keep` are kept.
    `memory_bytes` bounds what the build itself holds. From `lists_from` passages on, their vectors are searched in
    lists if that measures better. `choose` may name another encoder for the passages, with the same tokens and vectors
    that can be compared: it is given the fingerprint that the current generation was built under, None for a new index,
    and the number of texts.

    Raises:
        ArticleError: a root does not exist, or no article could be read.
        DuplicateArticle: two files would have one id.
        IndexBroken: the current generation was built with other settings, and `rebuild` was not asked for.
        RagError: another build is at work, the disk is full, or the folder cannot be written.
    """
    memory_bytes = max(memory_bytes - _FIXED_BYTES, memory_bytes // 4)
    with writing(index):
        previous = None if rebuild and not add else _previous(index)
        reused = None if rebuild else previous
        if choose is not None and reused is not None:
            encoder = choose(reused.manifest.encoder.fingerprint, 0)
        if reused is not None:
            _check_settings(reused.manifest, settings.described(encoder.fingerprint))
        with (
            Staging(index / _STAGING, cache_bytes=memory_bytes // _CACHES) as staging,
            contextlib.ExitStack() as opened,
        ):
            gathered = Gathered(staging, reused=reused, splitter=Splitter(encoder, settings))
            gathered.gather(roots, progress=progress)
            if add and previous is not None:
                gathered.keep_besides(previous, roots)
            if choose is not None and reused is None:
                encoder = choose(None, staging.counts()[0])
            described = settings.described(encoder.fingerprint)
            journal = opened.enter_context(Journal(index / _JOURNAL, fingerprint=encoder.fingerprint, dim=encoder.dim))
            staging.take_up((digest, number) for number, digest in enumerate(journal.hashes()))
            if not staging.size():
                raise _nothing_to_index(roots, [*gathered.failed, *gathered.empty])
            content = _content_hash(staging.entries(), described)
            if reused is not None and _same(reused.manifest, content, gathered):
                (index / _JOURNAL).unlink(missing_ok=True)
                clear_generations(index, keep=keep)
                passages, copies = reused.manifest.passages, _copies_in(reused)
                return _report(gathered, previous=previous, content=content, passages=passages, duplicates=copies)
            encoded, resumed = staging.counts()
            _encode(staging, encoder, journal, progress=progress)
            manifest = Manifest(
                content=content,
                encoder=_facts_of(encoder, reused if not encoded else None),
                passage_settings=settings.passages,
                lexical_settings=settings.lexical,
                metric=METRIC,
                articles=staging.size(),
                passages=0,
                roots=_all_roots(roots, besides=previous if add else None),
                failed=tuple(asdict(failure) for failure in gathered.failed),
                empty=tuple(asdict(failure) for failure in gathered.empty),
                skipped=tuple(asdict(failure) for failure in gathered.skipped),
                reading=reading_code(),
                built=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            limits = _Limits(memory_bytes, lists_from)
            passages, copies = _write(
                index, staging, journal, reused, manifest=manifest, settings=settings, limits=limits, progress=progress
            )
            clear_generations(index, keep=keep)
            return _report(
                gathered,
                previous=previous,
                content=content,
                passages=passages,
                encoded=encoded,
                resumed=resumed,
                duplicates=copies,
            )


def _facts_of(encoder: PassageEncoder, kept: Index | None) -> EncoderFacts:
    """Return what a manifest says of the encoder; what is `kept` whole was made by what it says of itself."""
    backend = encoder.backend if kept is None else kept.manifest.encoder.backend
    return EncoderFacts(encoder.name, encoder.revision, encoder.fingerprint, encoder.dim, backend)


@dataclass(frozen=True, slots=True)
class _Limits:
    memory_bytes: int
    lists_from: int


def _previous(index: Path) -> Index | None:
    try:
        return open_index(index)
    except IndexMissing:
        return None


def _check_settings(manifest: Manifest, wanted: Mapping[str, object]) -> None:
    differing = manifest.differences(wanted)
    if differing:
        raise IndexBroken(f"the index was built with other settings: {', '.join(differing)}")


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


def _all_roots(roots: Sequence[Path], *, besides: Index | None) -> tuple[str, ...]:
    """Return what an index is built of, which with `--add` is also what it was built of before."""
    named = [str(root.absolute()).encode(errors="backslashreplace").decode() for root in roots]
    return tuple(dict.fromkeys([*(besides.manifest.roots if besides is not None else ()), *named]))


def _same(manifest: Manifest, content: str, gathered: Gathered) -> bool:
    found = ((manifest.failed, gathered.failed), (manifest.empty, gathered.empty), (manifest.skipped, gathered.skipped))
    return (manifest.content, manifest.reading) == (content, reading_code()) and all(
        [dict(line) for line in before] == [asdict(failure) for failure in now] for before, now in found
    )


def _copies_in(index: Index) -> list[Copy]:
    """Return the copies that the articles of a generation are known to be."""
    return [
        Copy(name, of, exact=own_text(index.store.article(name)) == own_text(index.store.article(of)))
        for name, of in index.store.copies.items()
    ]


# Encoding


def _encode(staging: Staging, encoder: PassageEncoder, journal: Journal, *, progress: Progress) -> None:
    """Encode the texts that are missing, each batch into the journal as soon as it is done."""
    total, _ = staging.counts()
    done = 0
    under_way: deque[list[str]] = deque()

    def batches() -> Iterator[list[str]]:
        texts = staging.missing()
        while batch := list(itertools.islice(texts, _BATCH_PASSAGES)):
            under_way.append([digest for digest, _ in batch])
            yield [text for _, text in batch]

    for vectors in encoder.encode_series(batches()):
        hashes = under_way.popleft()
        first = journal.size
        journal.append(hashes, vectors)
        staging.remember(zip(hashes, range(first, journal.size), strict=True))
        done += len(hashes)
        progress("encoding", done, total)


class _Vectors:
    """The vectors of the next generation's rows: in the last one, or in the journal."""

    def __init__(self, previous: Index | None, journal: Journal, dim: int) -> None:
        self._folder = None if previous is None else previous.folder
        self._journal = journal
        self._dim = dim
        # A row of the last generation, or -1 less a record of the journal.
        self._sources = array("q")

    @property
    def size(self) -> int:
        return len(self._sources)

    @property
    def dim(self) -> int:
        return self._dim

    def extend(self, sources: Iterable[int]) -> None:
        """Append rows."""
        self._sources.extend(sources)

    def take(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return vectors: (len(numbers), dim) float32."""
        sources = np.frombuffer(self._sources, np.int64)[numbers]
        rows = np.empty((len(sources), self._dim), np.float32)
        kept = sources >= 0
        if self._folder is not None and kept.any():
            # Opened anew each time, so that what was mapped of it is let go again.
            rows[kept] = VectorIndex.load(self._folder / VECTORS).rows(sources[kept])
        rows[~kept] = self._journal.rows(-1 - sources[~kept])
        return rows


# Writing


def _write(
    index: Path,
    staging: Staging,
    journal: Journal,
    previous: Index | None,
    *,
    manifest: Manifest,
    settings: BuildSettings,
    limits: _Limits,
    progress: Progress,
) -> tuple[int, list[Copy]]:
    """Write the next generation and make it the current one; return its number of passages, and its copies."""
    folder = new_generation(index, next_name(index))
    share = limits.memory_bytes // _CACHES
    try:
        vectors = _Vectors(previous, journal, manifest.encoder.dim)
        with StoreWriter(folder / STORE, cache_bytes=share) as writer:
            _write_articles(writer, staging, previous, vectors, total=manifest.articles, progress=progress)
            copies = _find_copies(writer, folder / "signatures", progress=progress)
            writer.finish(files=staging.files(), copies={copy.article: copy.of for copy in copies})
            search = write_vectors(
                vectors,
                folder=folder / VECTORS,
                memory_bytes=limits.memory_bytes // 2,
                lists_from=limits.lists_from,
                progress=progress,
            )
            words = _told(writer.words(), "words", vectors.size, progress)
            write_matrix(
                words,
                k1=settings.k1,
                b=settings.b,
                folder=folder / LEXICAL,
                memory_bytes=limits.memory_bytes // _WORDS,
                progress=partial(progress, "scoring"),
            )
        manifest = replace(manifest, passages=vectors.size, search=asdict(search))
        seal(folder, manifest, progress=partial(progress, "sealing"))
        switch(index, folder)
    except BaseException:
        # Once it is sealed it may already be the current one, whatever came between.
        if not (folder / SEAL).exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    (index / _JOURNAL).unlink()
    return vectors.size, copies


def _write_articles(
    writer: StoreWriter,
    staging: Staging,
    previous: Index | None,
    vectors: _Vectors,
    *,
    total: int,
    progress: Progress,
) -> None:
    staging.flush()
    if staging.file is not None:
        writer.attach(staging.file, "new")
    if previous is not None:
        writer.attach(previous.folder / STORE, "old")
    for done, entry in enumerate(staging.entries(), start=1):
        first, count = writer.copy("old" if entry.kept else "new", entry.id, file=entry.file)
        if entry.kept:
            vectors.extend(range(first, first + count))
        else:
            vectors.extend(_source(digest, staging, previous) for digest in writer.hashes("new", first, count))
        progress("writing", done, total)


def _source(digest: str, staging: Staging, previous: Index | None) -> int:
    record = staging.record_of(digest)
    row = None if record is not None or previous is None else previous.store.row_of(digest)
    if record is None and row is None:
        raise ValueError(f"no vector for the text with the hash {digest}")
    return -1 - record if record is not None else int(row or 0)


def _find_copies(writer: StoreWriter, file: Path, *, progress: Progress) -> list[Copy]:
    ids: list[str] = []
    with ArrayWriter(file, shape=(writer.articles, PERMUTATIONS), dtype=np.uint32) as signatures:
        for name, signature in writer.compared():
            ids.append(name)
            signatures.write(np.frombuffer(signature, "<u4")[None, :])
    try:
        found = open_array(file, np.uint32, dimensions=2)
        return find_copies(
            ids, found, text=lambda name: own_text(writer.article(name)), progress=partial(progress, "comparing")
        )
    finally:
        file.unlink()


def _told(items: Iterable[T], stage: str, total: int, progress: Progress) -> Iterator[T]:
    for done, item in enumerate(items, start=1):
        yield item
        progress(stage, done, total)


def _report(
    gathered: Gathered,
    *,
    previous: Index | None,
    content: str,
    passages: int = 0,
    encoded: int = 0,
    resumed: int = 0,
    duplicates: Sequence[Copy] = (),
) -> BuildReport:
    added: list[str] = []
    changed: list[str] = []
    unchanged: list[str] = []
    for entry in gathered.staging.entries():
        before = None if previous is None else previous.store.article_hash(entry.id)
        (added if before is None else unchanged if before == entry.hash else changed).append(entry.id)
    there = [] if previous is None else previous.store.article_ids()
    return BuildReport(
        added=tuple(added),
        changed=tuple(changed),
        removed=tuple(name for name in there if gathered.staging.entry(name) is None),
        unchanged=tuple(unchanged),
        failed=tuple(gathered.failed),
        articles=len(added) + len(changed) + len(unchanged),
        passages=passages,
        encoded=encoded,
        content=content,
        empty=tuple(gathered.empty),
        skipped=tuple(gathered.skipped),
        duplicates=tuple(duplicates),
        resumed=resumed,
    )


def _content_hash(entries: Iterable[Entry], settings: Mapping[str, object]) -> str:
    """Return the hash of `[settings, [[id, hash], …]]` as JSON."""
    digest = hashlib.sha256(f"[{json.dumps(settings, sort_keys=True)}, [".encode("utf-8", "surrogatepass"))
    for number, entry in enumerate(entries):
        digest.update(f"{', ' if number else ''}{json.dumps([entry.id, entry.hash])}".encode())
    digest.update(b"]]")
    return digest.hexdigest()


def _prefixed(section: str, values: Mapping[str, object]) -> dict[str, object]:
    return {f"{section}.{key}": value for key, value in values.items()}
