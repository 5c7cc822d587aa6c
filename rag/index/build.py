"""The build: articles → passages → vectors and words → a new sealed generation.

What the current generation already holds is used again: an article whose text and metadata are the same keeps its
passages, and a passage whose embedded text is the same keeps its vector.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rag.articles import ArticleFile, find_files, read_article
from rag.errors import ArticleError, DuplicateArticle, IndexBroken, IndexMissing
from rag.index.generations import Index, new_generation, next_name, open_index, switch, writing
from rag.index.lexical import ANALYZER, LexicalIndex, terms
from rag.index.manifest import EncoderFacts, Manifest, seal
from rag.index.store import StoredArticle, write_store
from rag.index.vectors import METRIC, VectorIndex
from rag.passages import embedded_text, split_passages
from rag.records import Article

# A stage ("reading", "encoding"), how much of it is done, and how much there is.
Progress: TypeAlias = Callable[[str, int, int], None]


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
    """What a build did, or would do: article ids by what became of them, and how many passages were encoded anew."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    failed: tuple[Failure, ...]
    articles: int
    passages: int
    encoded: int
    content: str


def plan_build(roots: Sequence[Path], *, index: Path, add: bool, progress: Progress) -> BuildReport:
    """Read the articles and tell what a build would do, writing nothing."""
    previous = _previous(index)
    articles, failures, _ = _gather(roots, previous=previous, add=add, progress=progress)
    return _report(articles, failures, previous=previous, passages=0, encoded=0, content="")


def build_index(
    roots: Sequence[Path],
    *,
    index: Path,
    encoder: PassageEncoder,
    settings: BuildSettings,
    add: bool,
    rebuild: bool,
    progress: Progress,
) -> BuildReport:
    """Bring the index up to date with the articles under `roots`, and return what was done.

    With `add`, articles of the current generation that are not under `roots` stay. With `rebuild`, nothing of it is
    used again. When nothing changed, the current generation stays.

    Raises:
        ArticleError: a root does not exist, or no article could be read.
        DuplicateArticle: two files would have one id.
        IndexBroken: the current generation was built with other settings, and `rebuild` was not asked for.
    """
    with writing(index):
        previous = None if rebuild and not add else _previous(index)
        if previous is not None and not rebuild:
            _check_settings(previous.manifest, settings.described(encoder.fingerprint))
        articles, failures, names = _gather(roots, previous=previous, add=add, progress=progress)
        if not articles:
            raise _nothing_to_index(roots, failures)
        content = _content_hash(articles, settings.described(encoder.fingerprint))
        if previous is not None and not rebuild and _same(previous.manifest, content, failures):
            return _report(
                articles, failures, previous=previous, passages=previous.manifest.passages, encoded=0, content=content
            )
        reused = None if rebuild else previous
        stored = []
        for article in articles:
            try:
                stored.append(_store_article(article, names[article.id], reused, encoder, settings))
            except ArticleError as error:
                failures.append(Failure(article.path, error.message))
        articles = [item.article for item in stored]
        vectors, encoded = _vectors(stored, reused, encoder, progress)
        manifest = Manifest(
            content=content,
            encoder=EncoderFacts(encoder.name, encoder.revision, encoder.fingerprint, encoder.dim),
            passage_settings=settings.passages,
            lexical_settings=settings.lexical,
            metric=METRIC,
            articles=len(stored),
            passages=len(vectors),
            roots=tuple(str(root.absolute()) for root in roots),
            failed=tuple(asdict(failure) for failure in failures),
            built=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        _write(index, stored, vectors, manifest, settings)
        return _report(articles, failures, previous=previous, passages=len(vectors), encoded=encoded, content=content)


def _previous(index: Path) -> Index | None:
    try:
        return open_index(index)
    except IndexMissing:
        return None


def _gather(
    roots: Sequence[Path], *, previous: Index | None, add: bool, progress: Progress
) -> tuple[list[Article], list[Failure], dict[str, str]]:
    """Return the articles to index by id, the files that failed, and the file behind each article."""
    files = find_files(roots)
    articles: dict[str, Article] = {}
    names: dict[str, str] = {}
    failures: list[Failure] = []
    for done, file in enumerate(files, start=1):
        article = _read(file, failures)
        if article is not None:
            articles[article.id], names[article.id] = article, str(file.file)
        progress("reading", done, len(files))
    if add and previous is not None:
        for article_id in previous.store.article_ids():
            if article_id not in articles:
                kept = previous.store.stored(article_id)
                articles[article_id], names[article_id] = kept.article, kept.file
    return [articles[key] for key in sorted(articles)], failures, names


def _read(file: ArticleFile, failures: list[Failure]) -> Article | None:
    try:
        return read_article(file)
    except DuplicateArticle:
        raise
    except ArticleError as error:
        failures.append(Failure(file.path, error.message))
        return None


def _check_settings(manifest: Manifest, wanted: Mapping[str, object]) -> None:
    differing = manifest.settings_differ(wanted)
    if differing:
        raise IndexBroken(
            f"the index was built with another setting of {', '.join(differing)}",
            hint="build it anew with: rag index --rebuild",
        )


def _nothing_to_index(roots: Sequence[Path], failures: Sequence[Failure]) -> ArticleError:
    places = ", ".join(str(root) for root in roots)
    if failures:
        return ArticleError(
            f"none of the {len(failures)} files under {places} could be read; the first: {failures[0].reason}",
            hint="give a folder with .txt, .md or .html articles: rag index FOLDER",
        )
    return ArticleError(
        f"no articles under {places}", hint="give a folder with .txt, .md or .html articles: rag index FOLDER"
    )


def _same(manifest: Manifest, content: str, failures: Sequence[Failure]) -> bool:
    return manifest.content == content and [dict(failed) for failed in manifest.failed] == [
        asdict(failure) for failure in failures
    ]


def _store_article(
    article: Article, file: str, previous: Index | None, encoder: PassageEncoder, settings: BuildSettings
) -> StoredArticle:
    digest = _article_hash(article)
    if previous is not None and previous.store.article_hashes().get(article.id) == digest:
        return previous.store.stored(article.id)
    passages = split_passages(
        article,
        tokenizer=encoder,
        max_tokens=min(settings.max_tokens, encoder.passage_tokens),
        overlap_sentences=settings.overlap_sentences,
    )
    hashes = tuple(_hash(embedded_text(article, passage)) for passage in passages)
    return StoredArticle(article=article, file=file, hash=digest, passages=tuple(passages), passage_hashes=hashes)


def _vectors(
    stored: Sequence[StoredArticle], previous: Index | None, encoder: PassageEncoder, progress: Progress
) -> tuple[NDArray[np.float32], int]:
    """Return the vectors of all passages in row order, and how many were encoded rather than taken over."""
    known = {} if previous is None else previous.store.passage_hashes()
    texts = dict(_embedded(stored))
    hashes = [digest for article in stored for digest in article.passage_hashes]
    missing = [digest for digest in texts if digest not in known]
    made = encoder.encode_passages(
        [texts[digest] for digest in missing], progress=lambda done: progress("encoding", done, len(missing))
    )
    taken = [digest for digest in texts if digest in known]
    kept = previous.vectors.rows(np.array([known[d] for d in taken], np.int64)) if previous is not None else made[:0]
    place = {digest: number for number, digest in enumerate([*missing, *taken])}
    return np.concatenate([made, kept])[[place[digest] for digest in hashes]], len(missing)


def _embedded(stored: Iterable[StoredArticle]) -> Iterable[tuple[str, str]]:
    for item in stored:
        for passage, digest in zip(item.passages, item.passage_hashes, strict=True):
            yield digest, embedded_text(item.article, passage)


def _write(
    index: Path,
    stored: Sequence[StoredArticle],
    vectors: NDArray[np.float32],
    manifest: Manifest,
    settings: BuildSettings,
) -> None:
    folder = new_generation(index, next_name(index))
    try:
        write_store(folder / "articles.sqlite", stored)
        VectorIndex.build(vectors).save(folder / "vectors.faiss")
        texts = (terms(embedded_text(item.article, passage)) for item in stored for passage in item.passages)
        LexicalIndex.build(texts, k1=settings.k1, b=settings.b).save(folder / "lexical")
        seal(folder, manifest)
        switch(index, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _report(
    articles: Sequence[Article],
    failures: Sequence[Failure],
    *,
    previous: Index | None,
    passages: int,
    encoded: int,
    content: str,
) -> BuildReport:
    before = {} if previous is None else previous.store.article_hashes()
    now = {article.id: _article_hash(article) for article in articles}
    return BuildReport(
        added=tuple(key for key in now if key not in before),
        changed=tuple(key for key in now if key in before and before[key] != now[key]),
        removed=tuple(key for key in before if key not in now),
        unchanged=tuple(key for key in now if before.get(key) == now[key]),
        failed=tuple(failures),
        articles=len(now),
        passages=passages,
        encoded=encoded,
        content=content,
    )


def _article_hash(article: Article) -> str:
    return _hash(json.dumps(asdict(article), sort_keys=True))


def _content_hash(articles: Sequence[Article], settings: Mapping[str, object]) -> str:
    hashes = [[article.id, _article_hash(article)] for article in articles]
    return _hash(json.dumps([settings, hashes], sort_keys=True))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _prefixed(section: str, values: Mapping[str, object]) -> dict[str, object]:
    return {f"{section}.{key}": value for key, value in values.items()}
