"""An open index with its models: finds, judges and answers, one question or many."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from rag import __version__
from rag.building import building_settings, index_articles, index_facts
from rag.errors import ConfigError, IndexBroken, IndexMissing, QuestionError
from rag.index.store import date_range
from rag.loading import calibration_of, encoder_of, endpoint_of, reader_of, writer_of
from rag.mending import rebuild_command, with_mending
from rag.progress import SILENT, Reporting
from rag.records import Answer, Answerer, Article, Hit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rag.answering import Checker, Judge, Reading, Verdict
    from rag.answering.quoting import Quoted, QuotingSettings
    from rag.answering.sides import Side
    from rag.answering.writing import TextWriter
    from rag.answering.written import Draft, Passed
    from rag.config import Config
    from rag.conversation.rewriting import Rewritten
    from rag.conversation.turns import Turn
    from rag.index import ArticleFilter, Index
    from rag.loading import AnyReader
    from rag.models.encoder import Encoder
    from rag.retrieval import Ranking

Tell = Callable[["Passed"], object]

# These change no answer beside what the index's content hash tells.
_WITHOUT_EFFECT = frozenset(
    {"articles", "index", "threads", "building.memory_mb", "endpoint.timeout_s", "endpoint.retries", "chat.rewriter"}
)
_MOST_CHARACTERS = 200_000  # of a question: a book's chapter, read in seconds
_REMEMBERED_VECTORS = 65_536  # at 384 dimensions, 100 MB
NOTHING_NAMED = 'the question does not say what it is about; name that, as in: "Who said that trade would grow?"'
_EACH_ITS_OWN = "several parties or several questions are answered in quotes"
_NOTHING_PASSES = "no article passes the filter; rag status lists their sources and dates"


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer with what it was looked for in: passages' texts by passage id, articles by article id."""

    answer: Answer
    texts: Mapping[str, str]
    articles: Mapping[str, Article]


@dataclass(frozen=True, slots=True)
class Begun:
    """An answer in quotes, what a model is to write in its place, and when it was begun."""

    asked: Asked
    draft: Draft | None
    started: float


@dataclass(frozen=True, slots=True)
class Found:
    """A ranking with the articles of its hits, and how long looking for them took, in milliseconds."""

    query: str
    ranking: Ranking
    articles: Mapping[str, Article]
    index: str
    took_ms: float = 0.0


class Engine:
    """An open index with its models: answers one question or many, loading each part when it is first needed.

    With `many` it may be asked from as many threads as there are cores to use: each answers on one core, and the reader
    is opened for speed, which takes longer. A `bold` one answers whatever its confidence, for whoever looks at that
    afterwards; but of several parties or questions, each of which has one of its own, it still quotes those that are
    sure enough.
    """

    def __init__(
        self,
        config: Config,
        *,
        reporting: Reporting = SILENT,
        encoder: Encoder | None = None,
        reader: AnyReader | None = None,
        many: bool = False,
        bold: bool = False,
    ) -> None:
        self.config = config
        self._bold = bold
        self.reporting = reporting
        self._many = many and config.answerer == "quotes"  # what a model writes, it writes one by one
        self._in_turn = threading.Lock()
        if encoder is not None:
            self.encoder = encoder
        if reader is not None:
            self._reader = reader

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
        return encoder_of(self.config, self.reporting.notify)

    @cached_property
    def judge(self) -> Judge:
        """Return what decides which sentences answer."""
        return self._make_judge()

    def judge_of(self, question: str) -> Judge:
        """Return what decides which sentences answer a question: not the reader, if it cannot read that script."""
        from rag.index.lexical import mostly_unspaced

        return self._matching if self._matching and mostly_unspaced(question) else self.judge

    @cached_property
    def _matching(self) -> Judge | None:
        """Return what judges in the reader's stead; None if the settings name one of another make, or none at all."""
        from rag.models.reader import own_folder

        if own_folder(self.config.reader.model) is None:
            return None
        from rag.answering.matching import MatchingJudge

        return MatchingJudge(rarity=self._rarity)

    @property
    def at_once(self) -> int:
        """Return how many questions it answers at once, each in a thread of its own."""
        from rag.models.runtime import usable_cores

        return (self.config.threads or usable_cores()) if self._many else 1

    def ready(self) -> None:
        """Load what every question needs, so that the first one is as quick as the rest."""
        self.judge  # noqa: B018  # it is made when it is first asked for, and the index with it
        if self.writer is not None:
            self._checker  # noqa: B018  # likewise

    @cached_property
    def _query_vector(self) -> Callable[[str], NDArray[np.float32]]:
        return functools.lru_cache(maxsize=1)(lambda question: self.encoder.encode_queries([question])[0])

    def stamp(self, wanted: ArticleFilter | None) -> dict[str, str]:
        """Return what an answer depends on beside its question: the index's content, and a hash of the settings.

        Raises:
            ConfigError: the filter names a date that is none.
        """
        settings = {s.key: s.value for s in self.config.settings() if s.key not in _WITHOUT_EFFECT}
        facts = {
            "version": __version__,
            "settings": settings,
            "filter": asdict(checked_filter(wanted)) if wanted else None,
            "answerer": [self.judge.name, self.judge.model, self.judge.revision],
            **({} if self.config.reader.budget_ms is None else {"budget_tokens": self._budget_tokens}),
            "matching": self._matching and self._matching.revision,
            **({} if self.writer is None else {"writer": [self.writer.name, self.writer.model, self.writer.revision]}),
        }
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()
        return {"index": self.index.manifest.content, "settings": digest[:16]}

    @with_mending
    def search(self, query: str, *, wanted: ArticleFilter | None = None, explain: bool = False) -> Found:
        """Return the ranked passages for a query; with `explain`, also those that came below them."""
        started = time.perf_counter()
        ranking = self._rank(_worded(query), wanted, explain=explain)
        articles = self.index.store.articles(hit.passage.article for hit in ranking.hits)
        return Found(query, ranking, articles, self.index.manifest.content, (time.perf_counter() - started) * 1000)

    def ask(
        self,
        question: str,
        *,
        query: str | None = None,
        wanted: ArticleFilter | None = None,
        tell: Tell | None = None,
    ) -> Asked:
        """Return a cited answer; passages are looked for with `query`, if that is not the question itself."""
        begun = self.begin(question, query=query, wanted=wanted)
        return self.finish(begun, self.write(begun), tell=tell)

    @with_mending
    def begin(self, question: str, *, query: str | None = None, wanted: ArticleFilter | None = None) -> Begun:
        """Return all of an answer but what a model is to write of it."""
        started = time.perf_counter()
        judge = self.judge_of(_worded(question))
        with self._in_turn:  # only the reading, which takes most of the time, goes on side by side
            if self._reader is not None and judge is self.judge:
                self._reader.prepare()
            from rag.answering import names_nothing

            if names_nothing(question):
                return self._begin_nothing(question, started, judge)
            first = self.search(question if query is None else query, wanted=wanted)
        retrieved = (time.perf_counter() - started) * 1000
        found, quoted, draft = self._quote(question, first, wanted=wanted, judge=judge)
        if found is not first:
            retrieved += found.took_ms
        total = (time.perf_counter() - started) * 1000
        unwritten = quoted.claims and draft is None and self.config.answerer != "quotes"
        answer = Answer(
            question=question,
            answer=quoted.answer,
            short_answer=quoted.short_answer,
            claims=quoted.claims,
            citations=quoted.citations,
            hits=found.ranking.hits,
            confidence=quoted.confidence,
            reason=_NOTHING_PASSES if wanted and not found.ranking.hits else quoted.reason,
            answerer=Answerer(judge.name, judge.model, judge.revision),
            index=found.index,
            timings_ms={"total": total, "retrieve": retrieved, "answer": total - retrieved},
            quoted_because=_EACH_ITS_OWN if unwritten else None,
            sides=quoted.sides,
        )
        return Begun(Asked(answer, found.ranking.texts, found.articles), draft, started)

    def _quote(
        self, typed: str, found: Found, *, wanted: ArticleFilter | None, judge: Judge
    ) -> tuple[Found, Quoted, Draft | None]:
        """Return what answers a question in quotes, what that was found in, and what a model is to write of it.

        What each of several parties says, and what answers each of several questions in one, is looked for anew.
        """
        from rag.answering import analyse, quote_answer, restore_capitals, split_questions

        question = restore_capitals(typed, found.ranking.texts.values())
        if sides := self._sides_of(question):
            return *self._hear(sides, wanted=wanted, judge=judge), None
        parts = split_questions(question)
        if 0 < len(parts) <= self.config.answer.max_sentences:
            return *self._answer_parts(parts, typed=typed, wanted=wanted, judge=judge), None
        verdict = self._judge(question, _about(question, _readings(found)), judge=judge)
        settings = self._quoting(bold=self._bold)
        quoted = quote_answer(analyse(question), verdict, settings=settings, copies=self._copies())
        return found, quoted, self._draft(question, verdict) if quoted.claims else None

    def _judge(self, question: str, readings: Sequence[Reading], *, judge: Judge, part: int = 1) -> Verdict:
        """Return which sentences answer a question; of one that asks what a party says, none of others' words.

        What it takes for that does not depend on whether the engine is bold: `answer.min_confidence` tells when a
        party's own sentences are judged.
        """
        from rag.answering.questions import may_ask_one_party

        if may_ask_one_party(question):
            from rag.answering.sides import one_side

            if side := one_side(question):
                from rag.answering.hearing import hear_one

                least = self.config.answer.min_confidence
                return hear_one(side, readings, judge=judge, rarity=self._rarity, least=least, part=part)
        return judge.judge(question, readings, part=part)

    def _quoting(self, *, bold: bool = False) -> QuotingSettings:
        from rag.answering import QuotingSettings

        section = self.config.answer
        return QuotingSettings(0.0 if bold else section.min_confidence, section.max_sentences, section.share)

    def _copies(self) -> Mapping[str, str]:
        with self._in_turn:
            return self.index.store.copies

    def _sides_of(self, question: str) -> Sequence[Side]:
        """Return the parties of which a question asks what each says, if an answer has room for all of them."""
        from rag.answering.questions import may_name_several

        if not may_name_several(question):
            return ()
        from rag.answering.sides import split_sides

        sides = split_sides(question)
        return sides if len(sides) <= self.config.answer.max_sentences else ()

    def _hear(self, sides: Sequence[Side], *, wanted: ArticleFilter | None, judge: Judge) -> tuple[Found, Quoted]:
        """Return what was found for several parties as one ranking, and what each of them says."""
        from rag.answering.hearing import hear
        from rag.answering.quoting import quote_sides

        with self._in_turn:
            each = [self.search(side.question, wanted=wanted) for side in sides]
        heard = hear(sides, [_readings(one) for one in each], judge=judge, rarity=self._rarity)
        quoted = quote_sides(heard, settings=self._quoting())
        return self._merge(each, quoted), quoted

    def _answer_parts(
        self, parts: Sequence[str], *, typed: str, wanted: ArticleFilter | None, judge: Judge
    ) -> tuple[Found, Quoted]:
        """Return what was found for questions typed as one, asked one after another, and what answers each."""
        from rag.answering import is_without_capitals
        from rag.answering.quoting import quote_parts
        from rag.conversation.in_turn import LookedUp, judge_in_turn

        each: list[Found] = []
        settings, small = self._quoting(), is_without_capitals(typed)

        def look_up(query: str) -> LookedUp:
            with self._in_turn:
                found = self.search(query, wanted=wanted)
            each.append(found)
            return LookedUp(_readings(found), found.ranking.texts.values() if small else ())

        judging = functools.partial(self._judge, judge=judge, part=len(parts))
        verdicts = judge_in_turn(parts, look_up=look_up, judge=judging, least=settings.min_confidence)
        quoted = quote_parts(verdicts, settings=settings, copies=self._copies())
        return self._merge(each, quoted), quoted

    def _merge(self, each: Sequence[Found], quoted: Quoted) -> Found:
        cited = {citation.passage for citation in quoted.citations}
        return _side_by_side(each, k=self.config.retrieval.k, cited=cited)

    def _begin_nothing(self, question: str, started: float, judge: Judge) -> Begun:
        """Return the answer to a question that names nothing, and for which nothing is looked for."""
        answer = Answer(
            question=question,
            answer="",
            claims=(),
            citations=(),
            hits=(),
            confidence=0.0,
            reason=NOTHING_NAMED,
            answerer=Answerer(judge.name, judge.model, judge.revision),
            index=self.index.manifest.content,
            timings_ms={"total": (time.perf_counter() - started) * 1000, "retrieve": 0.0, "answer": 0.0},
        )
        return Begun(Asked(answer, {}, {}), None, started)

    def write(self, begun: Begun) -> Iterator[str]:
        """Yield what the model writes, if one is to; may run in another thread than the rest."""
        if begun.draft is not None and self.writer is not None:
            from rag.answering.claims import until_it_repeats

            pieces = self.writer.write(begun.draft.messages, max_tokens=begun.draft.max_tokens)
            yield from until_it_repeats(pieces)

    def finish(self, begun: Begun, pieces: Iterable[str], *, tell: Tell | None = None) -> Asked:
        """Return the answer with what a model wrote, as far as the articles bear it out; else the quoting one."""
        if begun.draft is None or self.writer is None:
            return begun.asked
        from rag.answering.written import check_answer

        quoted = begun.asked.answer
        written = check_answer(
            begun.draft,
            pieces,
            checker=self._checker,
            answers=self._relevance(quoted.question, begun.draft),
            tell=tell or (lambda _passed: None),
        )
        total = (time.perf_counter() - begun.started) * 1000
        answer = replace(
            quoted,
            dropped=written.dropped,
            quoted_because=written.fallback,
            timings_ms={**quoted.timings_ms, "total": total, "answer": total - quoted.timings_ms["retrieve"]},
        )
        if written.claims:
            answer = replace(
                answer,
                answer=written.answer,
                claims=written.claims,
                citations=written.citations,
                answerer=Answerer(self.writer.name, self.writer.model, self.writer.revision),
            )
        if self.config.answer.keep_unsupported:
            # A quote says what it says, whatever became of a model that said the same.
            said = {claim.text for claim in answer.claims}
            answer = replace(answer, unsupported=tuple(one for one in written.unsupported if one.text not in said))
        return replace(begun.asked, answer=answer)

    @cached_property
    def rewrites(self) -> bool:
        """Tell whether a model makes follow-ups whole, as the settings say.

        Raises:
            ConfigError: they ask for one, and there is none that writes.
        """
        wanted = self.config.chat.rewriter
        if wanted == "rules":
            return False
        if self.writer is None:
            if wanted == "writer":
                raise ConfigError(
                    "chat.rewriter is writer, and no model writes",
                    hint="let one: --set answerer=writer, or follow rules: --set chat.rewriter=rules",
                )
            return False
        from rag.answering.brief import suits

        return wanted == "writer" or not suits(self.writer)

    def rewrite(self, question: str, turns: Sequence[Turn]) -> Rewritten:
        """Return what the model that writes makes of a question after the turns before it."""
        from rag.conversation.rewriting import MAX_TOKENS, Rewritten, rewrite

        writer = self.writer
        if writer is None:
            return Rewritten(None, "no model writes")
        return rewrite(
            question, turns, writer=writer, write=lambda messages: writer.write(messages, max_tokens=MAX_TOKENS)
        )

    def _relevance(self, question: str, draft: Draft) -> Callable[[str], bool]:
        from rag.answering.relevance import Relevance

        if self._reader is None:
            return lambda _claim: True
        best = max(draft.evidence, key=lambda finding: finding.score)
        return Relevance(self._reader, question, quoted=best.text)

    def _draft(self, question: str, verdict: Verdict) -> Draft | None:
        if self.writer is None:
            return None
        from rag.answering.brief import draft_brief, suits
        from rag.answering.written import draft_answer

        own = self.config.answerer == "writer"
        section = self.config.writer if own else self.config.endpoint
        prompt: str = self.config.writer.prompt if own else "long"
        if prompt == "auto":
            from rag.models.registry import prompt_of

            prompt = prompt_of(self.config.writer.model) or prompt
        if prompt in {"short", "bare"} or (prompt == "auto" and suits(self.writer)):
            return draft_brief(
                question, verdict, writer=self.writer, max_tokens=section.max_tokens, bare=prompt == "bare"
            )
        return draft_answer(question, verdict, writer=self.writer, max_tokens=section.max_tokens)

    @cached_property
    def writer(self) -> TextWriter | None:
        """Return the model that writes answers; None where the articles are quoted."""
        if self.config.answerer == "writer":
            return writer_of(self.config)
        return endpoint_of(self.config) if self.config.answerer == "endpoint" else None

    @cached_property
    def _checker(self) -> Checker:
        from rag.answering import Checker

        if self._reader is None:
            raise ConfigError(
                "what a model writes is checked by the reader, and reader.model is none",
                hint="set reader.model, or quote: --set answerer=quotes",
            )
        from rag.answering.checking import Supporter
        from rag.models.reader import SHIPPED, Reader

        if isinstance(self._reader, Supporter):
            return Checker(self._reader)
        # Readers of another make say nothing of claims, so the one that ships checks them.
        return Checker(Reader(SHIPPED, threads=self.config.threads))

    def _rank(self, query: str, wanted: ArticleFilter | None, *, explain: bool) -> Ranking:
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
        allowed = index.store.allowed(checked_filter(wanted), size=index.manifest.passages) if wanted else None
        return retrieve(
            self._query_vector(query), terms(query), index=index, settings=settings, allowed=allowed, explain=explain
        )

    @cached_property
    def _reader(self) -> AnyReader | None:
        return reader_of(self.config, self.reporting.notify, many=self._many)

    @with_mending
    def _open_index(self) -> Index:
        from rag.index import open_index
        from rag.models.encoder import same_questions

        folder = self.config.index_folder()
        try:
            index = open_index(folder)
        except IndexMissing:
            self.reporting.notify(f"no index in {folder} yet: building one")
            index_articles(self.config, [], reporting=self.reporting, encoder=self.encoder)
            self.reporting.finish()
            index = open_index(folder)
        manifest = index.manifest
        built = {**manifest.passage_settings, **manifest.lexical_settings}
        fits = same_questions(manifest.encoder.fingerprint, self.encoder.fingerprint)
        if fits and all(built[name] == value for name, value in building_settings(self.config).items()):
            return index
        differing = manifest.differences(index_facts(self.config, self.encoder))  # imports all that builds an index
        if not fits:
            raise IndexBroken(f"{folder} was built with another encoder: {', '.join(differing)}")
        # The precision that passages were encoded in is the build's own choice.
        if other := [difference for difference in differing if not difference.startswith("encoder")]:
            self.reporting.notify(
                f"{folder} was built with other settings, which still hold: {', '.join(other)}; "
                f"rebuild with: {rebuild_command(self.config)}"
            )
        return index

    def _rarity(self, words: Sequence[str]) -> NDArray[np.float64]:
        return self.index.lexical.rarity(words)  # opened when a question is judged, not to name the judge

    @cached_property
    def _budget_tokens(self) -> int:
        """Return how many tokens may be read for a question: the smaller of both budgets, in a set as alone."""
        section, reader = self.config.reader, self._reader
        if section.budget_ms is None or reader is None:
            return section.budget_tokens
        from rag.models.runtime import usable_cores
        from rag.models.speed import reading_speed

        speed = reading_speed(
            reader.revision,
            opened=lambda: reader_of(replace(self.config, threads=1), self.reporting.notify) or reader,
            notify=self.reporting.notify,
        )
        cores = self.config.threads or usable_cores()
        return min(section.budget_tokens, speed.tokens_within(section.budget_ms, cores=cores))

    def _make_judge(self) -> Judge:
        if self._reader is not None:
            from rag.answering import ReaderJudge
            from rag.answering.reading import Budget

            section = self.config.reader
            return ReaderJudge(
                self._reader,
                rarity=self._rarity,
                budget=Budget(section.passages, section.share, section.sentences, self._budget_tokens),
                calibration=calibration_of(self.config),
            )
        from rag.answering import SimilarityJudge

        return SimilarityJudge(
            model=self.encoder.name,
            revision=self.encoder.revision,
            encode_query=self._query_vector,
            encode_sentences=_one_by_one(self.encoder.encode_passages),
            rarity=self._rarity,
        )


def checked_filter(wanted: ArticleFilter) -> ArticleFilter:
    """Return a filter whose dates are dates.

    Raises:
        ConfigError: one is none.
    """
    for flag, date in (("--since", wanted.since), ("--until", wanted.until)):
        if date is not None:
            try:
                date_range(date)
            except ValueError as error:
                raise ConfigError(f"{flag}: {error}", hint=f"for example: {flag} 2023-11") from error
    if wanted.since and wanted.until and date_range(wanted.since)[0] > date_range(wanted.until)[1]:
        raise ConfigError(f"nothing lies between {wanted.since} and {wanted.until}", hint="name the earlier date first")
    return wanted


def _readings(found: Found) -> list[Reading]:
    from rag.answering import Reading

    return [Reading(hit, found.articles[hit.passage.article]) for hit in found.ranking.hits]


def _about(question: str, readings: Sequence[Reading]) -> Sequence[Reading]:
    """Return the passages that may answer; of a question cut short to a name ("And Tokyo?") what names that."""
    if not question.startswith("What about "):
        return readings
    from rag.answering.parties import names
    from rag.conversation.followups import asked_about

    name = asked_about(question)
    if name is None:
        return readings
    naming = [(one, tuple(span for span, text in one.sentences() if names(name, text))) for one in readings]
    return [replace(one, only=spans) for one, spans in naming if spans]


def _side_by_side(each: Sequence[Found], *, k: int, cited: AbstractSet[str]) -> Found:
    """Return the passages that were found for several questions: so many, taken in turn, and those that are cited.

    They are ranked by their scores, of which a passage that was found for several has its best.
    """
    hits: dict[str, Hit] = {}
    for turn in itertools.zip_longest(*(found.ranking.hits for found in each)):
        for hit in filter(None, turn):
            name = hit.passage.id
            hits[name] = max(hits.get(name, hit), hit, key=lambda one: one.score)
    kept = [hit for place, hit in enumerate(hits.values()) if place < k or hit.passage.id in cited]
    kept.sort(key=lambda hit: -hit.score)
    texts = {name: text for found in each for name, text in found.ranking.texts.items()}
    ranking = replace(
        each[0].ranking,
        hits=tuple(replace(hit, rank=rank) for rank, hit in enumerate(kept, start=1)),
        texts={hit.passage.id: texts[hit.passage.id] for hit in kept},
    )
    return replace(
        each[0],
        ranking=ranking,
        articles={name: article for found in each for name, article in found.articles.items()},
        took_ms=sum(found.took_ms for found in each),
    )


def _worded(question: str) -> str:
    if not question.strip():
        raise QuestionError("the question is empty", hint='ask one: rag ask "Why did China ban Japanese seafood?"')
    if len(question) > _MOST_CHARACTERS:
        raise QuestionError(
            f"the question has {len(question):,} characters, more than {_MOST_CHARACTERS:,}",
            hint="ask about less; many questions are answered with: rag batch QUESTIONS",
        )
    return question


def _one_by_one(encode: Callable[[list[str]], NDArray[np.float32]]) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """Return an encoder (n, dim) that takes each text by itself, and remembers its vector.

    What a text is encoded with changes the last bits of its vector; by itself it always has the same, so that a
    question gets the same answer alone and in a set, whose questions share many sentences.
    """
    import numpy as np

    remembered = functools.lru_cache(maxsize=_REMEMBERED_VECTORS)(lambda text: encode([text])[0])
    return lambda texts: np.stack([remembered(text) for text in texts]) if texts else encode([])
