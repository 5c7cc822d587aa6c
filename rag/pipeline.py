"""The composition root: one function per verb, from settings to records. `Config` goes no deeper than this module."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rag.errors import ArticleMissing, ConfigError, IndexBroken, IndexMissing, QuestionError
from rag.index import ArticleFilter
from rag.index.store import date_range
from rag.records import Answer, Answerer, Article

if TYPE_CHECKING:
    from rag.answering import Judge
    from rag.config import Config
    from rag.index import BuildReport, Index, Manifest
    from rag.index.build import BuildSettings, Progress
    from rag.models.encoder import Encoder
    from rag.retrieval import Ranking

Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Reporting:
    """Where a long piece of work tells how far it is: `notify` a line, `progress` a stage with its counts."""

    notify: Notify = lambda _line: None
    progress: Progress = lambda _stage, _done, _total: None


SILENT = Reporting()


@dataclass(frozen=True, slots=True)
class Slice:
    """A piece of an article as indexed, and where it lies."""

    article: Article
    start: int
    end: int

    @property
    def text(self) -> str:
        """Return the piece, verbatim."""
        return self.article.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Status:
    """What is indexed: the generation's manifest, where it lies, and its articles one by one."""

    folder: Path
    manifest: Manifest
    articles: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer with what it was looked for in: passages' texts by passage id, articles by article id."""

    answer: Answer
    texts: Mapping[str, str]
    articles: Mapping[str, Article]


@dataclass(frozen=True, slots=True)
class Found:
    """A ranking with the articles of its hits."""

    query: str
    ranking: Ranking
    articles: Mapping[str, Article]
    index: str


def index_articles(
    config: Config,
    paths: Sequence[Path],
    *,
    add: bool = False,
    rebuild: bool = False,
    dry_run: bool = False,
    reporting: Reporting = SILENT,
    encoder: Encoder | None = None,
) -> BuildReport:
    """Bring the index up to date with the articles under `paths`, or under those that the settings name."""
    from rag.index import build_index, plan_build

    roots = list(paths) or _configured_articles(config)
    if dry_run:
        return plan_build(roots, index=config.index_folder(), add=add, progress=reporting.progress)
    return build_index(
        roots,
        index=config.index_folder(),
        encoder=encoder or _encoder(config, reporting.notify),
        settings=_build_settings(config),
        add=add,
        rebuild=rebuild,
        progress=reporting.progress,
    )


def ask(config: Config, question: str, *, wanted: ArticleFilter | None = None, reporting: Reporting = SILENT) -> Asked:
    """Return a cited answer.

    Builds the index first where there is none.
    """
    with Engine(config, reporting=reporting) as engine:
        return engine.ask(question, wanted=wanted)


def search(config: Config, query: str, *, wanted: ArticleFilter | None = None, reporting: Reporting = SILENT) -> Found:
    """Return the ranked passages for a query."""
    with Engine(config, reporting=reporting) as engine:
        return engine.search(query, wanted=wanted)


def show(config: Config, target: str, *, at: tuple[int, int] | None = None) -> Slice:
    """Return an article, a passage (`ARTICLE#PASSAGE`), or the slice of an article that a citation names.

    Raises:
        ArticleMissing: the index holds no such article, passage or slice.
    """
    from rag.index.generations import open_store

    _, store = open_store(config.index_folder())
    article_id, ordinal = _split_target(target, store.article_ids())
    article = store.article(article_id)
    start, end = 0, len(article.text)
    if ordinal is not None:
        passage = store.passage(article_id, ordinal)
        start, end = passage.start, passage.end
    if at is not None:
        start, end = at
        if not 0 <= start < end <= len(article.text):
            raise ArticleMissing(
                f"{article_id} has characters 0:{len(article.text)}, not {start}:{end}",
                hint=f"see the whole of it with: rag show {article_id}",
            )
    return Slice(article, start, end)


def status(config: Config) -> Status:
    """Return what is indexed."""
    from rag.index.generations import current_folder, open_store

    manifest, store = open_store(config.index_folder())
    return Status(current_folder(config.index_folder()), manifest, tuple(store.outline()))


class Engine:
    """An open index with its models: answers one question or many, loading each part when it is first needed."""

    def __init__(self, config: Config, *, reporting: Reporting = SILENT, encoder: Encoder | None = None) -> None:
        self.config = config
        self.reporting = reporting
        if encoder is not None:
            self.encoder = encoder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if "index" in self.__dict__:
            self.index.store.close()

    @cached_property
    def index(self) -> Index:
        """Return the index, built first where there is none.

        Raises:
            IndexBroken: it was built with another encoder than the settings name.
        """
        return self._open_index()

    @cached_property
    def encoder(self) -> Encoder:
        """Return the encoder that the settings name."""
        return _encoder(self.config, self.reporting.notify)

    @cached_property
    def judge(self) -> Judge:
        """Return what decides which sentences answer."""
        return self._make_judge()

    def search(self, query: str, *, wanted: ArticleFilter | None = None) -> Found:
        """Return the ranked passages for a query."""
        ranking = self._rank(_worded(query), wanted)
        articles = {hit.passage.article: self.index.store.article(hit.passage.article) for hit in ranking.hits}
        return Found(query, ranking, articles, self.index.manifest.content)

    def ask(self, question: str, *, wanted: ArticleFilter | None = None) -> Asked:
        """Return a cited answer."""
        from rag.answering import QuotingSettings, Reading, analyse, quote_answer

        started = time.perf_counter()
        found = self.search(question, wanted=wanted)
        retrieved = time.perf_counter()
        readings = [Reading(hit, found.articles[hit.passage.article]) for hit in found.ranking.hits]
        verdict = self.judge.judge(question, readings)
        settings = QuotingSettings(
            min_confidence=self.config.answer.min_confidence,
            max_sentences=self.config.answer.max_sentences,
            share=self.config.answer.share,
        )
        quoted = quote_answer(analyse(question), verdict, settings=settings)
        answered = time.perf_counter()
        answer = Answer(
            question=question,
            answer=quoted.answer,
            short_answer=quoted.short_answer,
            claims=quoted.claims,
            citations=quoted.citations,
            hits=found.ranking.hits,
            confidence=verdict.confidence,
            reason=quoted.reason,
            answerer=Answerer(self.judge.name, self.judge.model, self.judge.revision),
            index=found.index,
            timings_ms={
                "total": (answered - started) * 1000,
                "retrieve": (retrieved - started) * 1000,
                "answer": (answered - retrieved) * 1000,
            },
        )
        return Asked(answer, found.ranking.texts, found.articles)

    def _rank(self, query: str, wanted: ArticleFilter | None) -> Ranking:
        from rag.index.lexical import mostly_unspaced, terms
        from rag.retrieval import RetrievalSettings, retrieve

        index, section = self.index, self.config.retrieval
        settings = RetrievalSettings(
            k=section.k,
            candidates=max(section.candidates, section.k),
            fusion=section.fusion,
            dense_weight=section.dense_weight_unspaced if mostly_unspaced(query) else section.dense_weight,
            rrf_k=section.rrf_k,
            duplicate_similarity=section.duplicate_similarity,
        )
        allowed = index.store.allowed(_checked(wanted), size=index.manifest.passages) if wanted else None
        return retrieve(
            self.encoder.encode_queries([query])[0], terms(query), index=index, settings=settings, allowed=allowed
        )

    def _open_index(self) -> Index:
        from rag.index import open_index

        folder = self.config.index_folder()
        try:
            index = open_index(folder)
        except IndexMissing:
            self.reporting.notify(f"no index in {folder} yet: building one")
            index_articles(self.config, [], reporting=self.reporting, encoder=self.encoder)
            index = open_index(folder)
        built_with = index.manifest.encoder
        if built_with.fingerprint != self.encoder.fingerprint:
            raise IndexBroken(
                f"{folder} was built with another encoder ({built_with.name}) than the settings name "
                f"({self.encoder.name})",
                hint="rebuild with: rag index --rebuild",
            )
        return index

    def _make_judge(self) -> Judge:
        from rag.answering import SimilarityJudge

        return SimilarityJudge(
            model=self.encoder.name,
            revision=self.encoder.revision,
            encode_query=lambda question: self.encoder.encode_queries([question])[0],
            encode_sentences=self.encoder.encode_passages,
            rarity=self.index.lexical.rarity,
        )


def _configured_articles(config: Config) -> list[Path]:
    paths = [_near(path) for path in config.article_paths()]
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise ConfigError(
            f"no articles: {missing[0]} does not exist ({config.origin('articles')})",
            hint="name your folder: rag index FOLDER",
        )
    return paths


def _near(path: Path) -> Path:
    """Return a path as a person would type it here: relative where it lies in the working directory."""
    return path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path


def _encoder(config: Config, notify: Notify) -> Encoder:
    from rag.models.encoder import load_encoder

    section = config.encoder
    return load_encoder(
        section.model,
        query_prompt=section.query_prompt,
        passage_prompt=section.passage_prompt,
        max_tokens=section.max_tokens,
        threads=config.threads,
        notify=notify,
    )


def _build_settings(config: Config) -> BuildSettings:
    from rag.index.build import BuildSettings

    return BuildSettings(
        max_tokens=config.passages.max_tokens,
        overlap_sentences=config.passages.overlap_sentences,
        k1=config.retrieval.k1,
        b=config.retrieval.b,
    )


def _worded(question: str) -> str:
    if not question.strip():
        raise QuestionError("the question is empty", hint='ask one: rag ask "Why did China ban Japanese seafood?"')
    return question


def _checked(wanted: ArticleFilter) -> ArticleFilter:
    for flag, date in (("--since", wanted.since), ("--until", wanted.until)):
        if date is not None:
            try:
                date_range(date)
            except ValueError as error:
                raise ConfigError(f"{flag}: {error}", hint=f"for example: {flag} 2023-11") from error
    return wanted


def _split_target(target: str, known: Sequence[str]) -> tuple[str, int | None]:
    """Return the article id and the passage's ordinal; an id may itself hold a `#`."""
    if target in known:
        return target, None
    article_id, mark, ordinal = target.rpartition("#")
    if mark and article_id in known and ordinal.isdecimal():
        return article_id, int(ordinal)
    import difflib

    close = difflib.get_close_matches(target, known, n=1)
    hint = f"did you mean {close[0]}?" if close else "list them with: rag status"
    raise ArticleMissing(f"no article {target!r} in the index", hint=hint)
