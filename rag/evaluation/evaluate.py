"""Scoring: every question of a dataset is searched and asked, and what comes back is held against its gold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from rag.errors import ArticleMissing
from rag.evaluation.datasets import Dataset, locate
from rag.evaluation.measures import (
    ANSWER_MEASURES,
    ARTICLE_MEASURES,
    EVIDENCE,
    EVIDENCE_MEASURES,
    LOWER_IS_BETTER,
    Bin,
    Gold,
    answer_measures,
    aurc,
    best_passages,
    calibration,
    correct,
    expected_calibration_error,
    ranking_measures,
    risk_coverage,
)
from rag.evaluation.statistics import Estimate, estimate_mean, estimate_statistic, percentile
from rag.records import Answer, Article, Hit, Passage, Question, Span

_ARTICLE_KEYS = ("source", "language", "published")
_NO_GROUP = "none"


class Library(Protocol):
    """What gold is looked up in: the articles as indexed, and their passages."""

    def article(self, article_id: str) -> Article:
        """Return one article, or raise ArticleMissing."""
        ...

    def passages_of(self, article_id: str) -> Sequence[Passage]:
        """Return an article's passages, or raise ArticleMissing."""
        ...


class System(Library, Protocol):
    """What is scored."""

    def search(self, question: str) -> Sequence[Hit]:
        """Return passages, best first, deep enough for every measure."""
        ...

    def ask(self, question: str) -> Answer:
        """Return the answer, whatever the confidence."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one question: its rankings, best first, its answer, and its measures.

    `withheld` is the answer without regard to the confidence, `group` the value of the key that was asked for.
    `judged` is how relevant articles were judged, `texts` the passages that were read for the answer, by their ids.
    """

    question: Question
    gold: Gold
    articles: tuple[tuple[str, float], ...]
    passages: tuple[tuple[str, float], ...]
    search_ms: float
    answer: Answer | None = None
    withheld: Answer | None = None
    group: str = _NO_GROUP
    judged: Mapping[str, int] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Return the question's id."""
        return str(self.question.id)


@dataclass(frozen=True, slots=True)
class Confidence:
    """How far the confidence can be trusted.

    `curve` is (coverage, risk, confidence) for answering ever more questions, `area` the area under it; `bins` hold
    equally many questions, `error` is their expected calibration error.
    """

    curve: tuple[tuple[float, float, float], ...]
    area: Estimate
    bins: tuple[Bin, ...]
    error: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A dataset's results and what they come to: measures by name, the same by group, the confidence, the times.

    `times_ms` holds the median and the 95th percentile by stage; `lost` the ids of questions whose gold stands
    nowhere in the index.
    """

    dataset: str
    index: str
    results: tuple[Result, ...]
    measures: Mapping[str, Estimate]
    groups: Mapping[str, Mapping[str, Estimate]]
    confidence: Confidence | None
    times_ms: Mapping[str, tuple[float, float]]
    lost: tuple[str, ...]


def evaluate(
    dataset: Dataset,
    system: System,
    *,
    index: str,
    answers: bool,
    min_confidence: float,
    by: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Evaluation:
    """Return the scores of a system on a dataset.

    Without `answers` only the rankings are scored. An answer below `min_confidence` counts as declined.
    """
    results = []
    lost = []
    for done, question in enumerate(dataset.questions, start=1):
        gold, found_all = gold_of(question, system)
        if not found_all:
            lost.append(str(question.id))
        results.append(_result(question, gold, system, answers=answers, min_confidence=min_confidence, by=by))
        progress(done, len(dataset.questions))
    results = _scored(results, dataset.qrels, system)
    groups = {name: [result for result in results if result.group == name] for name in _names(results) if by}
    return Evaluation(
        dataset=dataset.name,
        index=index,
        results=tuple(results),
        measures=summarise(results),
        groups={name: summarise(members) for name, members in groups.items()},
        confidence=_confidence(results),
        times_ms=_times(results),
        lost=tuple(lost),
    )


def summarise(results: Iterable[Result]) -> dict[str, Estimate]:
    """Return every measure's mean over the questions that have it, with its interval, in a fixed order."""
    values: dict[str, list[float]] = {}
    for result in results:
        for name, value in result.measures.items():
            values.setdefault(name, []).append(value)
    order = [*ARTICLE_MEASURES, *(EVIDENCE + name for name in EVIDENCE_MEASURES), *ANSWER_MEASURES]
    return {name: estimate_mean(values[name]) for name in order if name in values}


def failing(measures: Mapping[str, Estimate], bars: Mapping[str, float]) -> dict[str, float]:
    """Return the measures whose mean misses its bar, with their means.

    Raises:
        ValueError: a bar is set for a measure that was not taken.
    """
    unknown = sorted(bars.keys() - measures.keys())
    if unknown:
        raise ValueError(f"{unknown[0]} was not measured; what was: {', '.join(measures)}")
    means = {name: measures[name].mean for name in bars}
    missed = {name: mean > bars[name] if name in LOWER_IS_BETTER else mean < bars[name] for name, mean in means.items()}
    return {name: mean for name, mean in means.items() if missed[name]}


def gold_of(question: Question, library: Library) -> tuple[Gold, bool]:
    """Return a question's gold with its quotes found in the articles, and whether all were."""
    quotes = []
    for evidence in question.evidence:
        try:
            text = library.article(evidence.article).text
        except ArticleMissing:
            text = ""
        quotes.append((evidence.article, tuple(locate(evidence.quote, text))))
    answerable = question.answerable
    if answerable is None and (question.evidence or question.answers):
        answerable = True
    gold = Gold(question.question, tuple(question.answers), tuple(quotes), answerable)
    return gold, all(places for _, places in quotes)


def _result(
    question: Question, gold: Gold, system: System, *, answers: bool, min_confidence: float, by: str | None
) -> Result:
    started = time.perf_counter()
    hits = system.search(question.question)
    search_ms = (time.perf_counter() - started) * 1000
    withheld = system.ask(question.question) if answers else None
    return Result(
        question=question,
        gold=gold,
        articles=tuple(best_passages((hit.passage.article, hit.score) for hit in hits)),
        passages=tuple((hit.passage.id, hit.score) for hit in hits),
        search_ms=search_ms,
        answer=withheld and declined_below(withheld, min_confidence),
        withheld=withheld,
        group=_NO_GROUP if by is None else _group(question, by, system),
        texts={} if withheld is None else _texts(withheld, system),
    )


def _texts(answer: Answer, library: Library) -> dict[str, str]:
    passages = [hit.passage for hit in answer.hits]
    return {passage.id: library.article(passage.article).text[passage.start : passage.end] for passage in passages}


def declined_below(answer: Answer, min_confidence: float) -> Answer:
    """Return an answer, or where its confidence is too low, the refusal in its place."""
    if not answer.answered or answer.confidence >= min_confidence:
        return answer
    reason = f"the confidence is below {min_confidence:g}; the nearest passages are listed"
    # For a question that is declined no model writes, and nothing is told of what one wrote.
    unwritten = replace(answer, dropped=None, quoted_because=None, unsupported=None)
    return replace(unwritten, answer="", short_answer=None, claims=(), citations=(), sides=None, reason=reason)


def _group(question: Question, key: str, library: Library) -> str:
    """Return a question's own value of a key, or else that of the articles with its gold."""
    if key in question.metadata:
        return question.metadata[key]
    if key == "answerable" and question.answerable is not None:
        return str(question.answerable).lower()
    if key not in _ARTICLE_KEYS:
        return _NO_GROUP
    values = set()
    for article in {evidence.article for evidence in question.evidence}:
        try:
            values.add(str(getattr(library.article(article), key) or _NO_GROUP))
        except ArticleMissing:
            continue
    return values.pop() if len(values) == 1 else "several" if values else _NO_GROUP


def _names(results: Iterable[Result]) -> list[str]:
    return sorted({result.group for result in results})


def _scored(results: Sequence[Result], qrels: Mapping[str, Mapping[str, int]], library: Library) -> list[Result]:
    """Return the results with their measures."""
    asked = {result.id for result in results}
    by_article = ranking_measures(
        ARTICLE_MEASURES,
        qrels={question: judged for question, judged in qrels.items() if question in asked},
        run={result.id: result.articles for result in results},
    )
    relevant = {result.id: _relevant_passages(result.gold, library) for result in results if result.gold.quotes}
    by_evidence = ranking_measures(
        EVIDENCE_MEASURES,
        qrels=relevant,
        run={result.id: result.passages for result in results},
    )
    scored = []
    for result in results:
        measures = dict(by_article.get(result.id, {}))
        measures |= {EVIDENCE + name: value for name, value in by_evidence.get(result.id, {}).items()}
        if result.answer is not None:
            measures |= answer_measures(result.answer, result.gold, withheld=result.withheld)
        scored.append(replace(result, judged=qrels.get(result.id, {}), measures=measures))
    return scored


def _relevant_passages(gold: Gold, library: Library) -> dict[str, int]:
    relevant = {}
    for article in {name for name, places in gold.quotes if places}:
        for passage in library.passages_of(article):
            if gold.quoted_by(article, Span(passage.start, passage.end)):
                relevant[passage.id] = 1
    return relevant


def _confidence(results: Sequence[Result]) -> Confidence | None:
    judged = [result for result in results if "right" in result.measures and result.withheld is not None]
    if not judged:
        return None
    confidences = np.array([result.withheld.confidence for result in judged if result.withheld is not None])
    right = np.array([correct(result.withheld, result.gold) for result in judged if result.withheld is not None])
    area = estimate_statistic(lambda rows: aurc(confidences[rows], right[rows]), len(judged))
    bins = calibration(list(confidences), list(right))
    return Confidence(
        curve=tuple(risk_coverage(list(confidences), list(right))),
        area=area,
        bins=tuple(bins),
        error=expected_calibration_error(bins),
    )


def _times(results: Sequence[Result]) -> dict[str, tuple[float, float]]:
    values: dict[str, list[float]] = {"deep search": [result.search_ms for result in results]}
    for result in results:
        if result.answer is not None:
            for stage, spent in result.answer.timings_ms.items():
                values.setdefault(stage, []).append(spent)
    return {stage: (percentile(spent, 0.5), percentile(spent, 0.95)) for stage, spent in values.items() if spent}
