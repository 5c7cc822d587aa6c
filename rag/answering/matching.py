"""The judge that matches: for questions in scripts without spaces, which the reading model that ships does not know.

A sentence of Chinese or Japanese answers when it and what stands around it hold what the question says, its rare parts
above all, and when it holds the figure that is asked for. Two logistic models weigh that: one for the best sentence,
one for the confidence that it answers. They are fitted by `python -m training.unspaced`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.answering.figures import Figure, Moment, figure_key, find_figures
from rag.answering.judging import Finding, Logistic, Reading, Verdict, asks_why, coverage, gives_reason
from rag.answering.questions import Wanted, analyse
from rag.index.lexical import terms
from rag.passages import embedded_text, header
from rag.records import Span

CALIBRATION = Path(__file__).with_name("matching.json")
# What asks rather than names: no sentence that answers holds it.
_ASKING = re.compile(
    r"[为為](?:什么|什麼|何)|什么时候|什麼時候|[什甚][么麼]|哪[一两兩]?[个個些位年月天日里裡家种種座所国國条條场場项項部本]?|[谁誰]"
    r"|几[个個年月天人次名位]?|幾[个個年月天人次名位]?|多少|多[久大長长高]|如何|怎[么麼样樣]|何[时時年月日人处處地种種者]?|是否|[吗嗎呢]|[请請][问問]"
    r"|いつ|どこ|だれ|なに|なん|なぜ|どうして|どの(?:ような|よう)?|どんな|どう|いくつ|いくら|(?:でしょう|です|ます)か|か[。？?]*$"
)
# What a number is asked for with, and those that count the same.
_COUNTED = re.compile(r"(?:几|幾|多少|何)([个個人名位天日年次回社家班种種歳岁倍])")
_COUNTERS = ("人名位", "天日", "年", "次回班", "社家", "个個", "种種", "歳岁", "倍")
_ALL_COUNTERS = frozenset("".join(_COUNTERS))
_USUAL_LENGTH = 40
_FIGURES = frozenset({Wanted.DATE, Wanted.NUMBER})  # what is asked for that is told by its form
_RAREST = 1 / 3  # of a question's words
# What a follow-up leans on stands behind it in brackets, and says less of what is asked than the follow-up itself.
_LEANING = re.compile(r"(?P<typed>[^（）]+)（(?P<earlier>[^（）]+)）")
_EARLIER_WEIGHT = 0.35
# So much of the confidence is left where an article tells of another year than is asked about, or nothing in it is what
# a bare "为什么？" asks for.
_BESIDE = 0.1
# With these, a year is where a time begins or ends, or another one is meant than is written.
_SPAN_OF_YEARS = re.compile(
    r"以来|以來|以后|以後|之后|之後|以降|以前|之前|から|まで|至|到|年[间間]|同期|[前昨去上]年|年前|[而比较較]|[対对]して"
)


@dataclass(frozen=True, slots=True)
class SentenceFeatures:
    """What is known of a sentence as an answer; each in about 0..1.

    `coverage` is how much of the question's words stands in it, `covered` in it, the title and the sentence before;
    `passage` is how near its passage is, `wanted` tells whether it holds the kind of figure that is asked for, `reason`
    whether it gives one where that is asked for, and `long` how long it is.
    """

    coverage: float
    covered: float
    passage: float
    wanted: float
    reason: float
    long: float


@dataclass(frozen=True, slots=True)
class DecisionFeatures:
    """What is known of the best sentence when the question is whether it answers.

    `coverage` and `covered` are those of the sentence, `whole` is how much of the question's words stands in its
    passage, `missing` the share of the rarest of them that does not, and `margin` how far the next best sentence is.
    `reason` tells whether it gives the reason that is asked for, ½ where none is.
    """

    coverage: float
    covered: float
    whole: float
    missing: float
    margin: float
    reason: float


@dataclass(frozen=True, slots=True)
class Weighed:
    """A sentence with its features, how well it answers, in 0..1, and the figure in it that does, if it is the one."""

    reading: Reading
    span: Span
    features: SentenceFeatures
    score: float
    short_answer: Span | None

    @property
    def text(self) -> str:
        """Return the sentence, verbatim."""
        return self.reading.article.text[self.span.start : self.span.end]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The logistic models that weigh features: which sentence is best, and whether it answers."""

    sentence: Logistic
    decision: Logistic

    @classmethod
    def read(cls, file: Path) -> Calibration:
        """Return what `training.unspaced` wrote."""
        fitted = json.loads(file.read_text(encoding="utf-8"))
        return cls(*(Logistic.of(fitted[name]) for name in ("sentence", "decision")))


class MatchingJudge:
    """Judges by shared words and figures; `rarity` tells for words how telling each of them is, in 0..1."""

    name = "matching"
    model = "words"

    def __init__(
        self, *, rarity: Callable[[Sequence[str]], NDArray[np.float64]], calibration: Path = CALIBRATION
    ) -> None:
        self._rarity = rarity
        self._calibration = calibration

    @property
    def revision(self) -> str:
        """Return the hash of the weights."""
        return hashlib.sha256(self._calibration.read_bytes()).hexdigest()

    def judge(self, question: str, readings: Sequence[Reading], *, part: int = 1) -> Verdict:  # noqa: ARG002  # reads no tokens
        """Return the sentences that answer best, each once, and the probability that the first of them does."""
        ranked = self.rank(question, readings)
        if not ranked:
            return Verdict((), 0.0)
        findings = tuple(Finding(one.reading, one.span, one.score, short_answer=one.short_answer) for one in ranked)
        confidence = self._models.decision(astuple(self.decision(question, ranked)))
        beside = _is_of_another_year(question, ranked[0]) or (_is_bare(question) and not _fits(question, ranked[0]))
        return Verdict(findings, confidence * (_BESIDE if beside else 1.0))

    def rank(self, question: str, readings: Sequence[Reading]) -> list[Weighed]:
        """Return every sentence of the passages once, best first."""
        typed, bare, (words, weights) = _typed(question), _is_bare(question), self._words(question)
        wanted, counter = analyse(typed).wanted, _counter_in(typed)
        own = {figure_key(figure) for figure in find_figures(question)}
        top = max((reading.hit.score for reading in readings), default=0.0) or 1.0
        found: dict[tuple[str, Span], Weighed] = {}
        for reading in sorted(readings, key=lambda reading: reading.hit.rank):
            for span, text in reading.sentences():
                figures = _wanted_figures(wanted, text, own=own, counter=counter)
                features = SentenceFeatures(
                    coverage=coverage(words, weights, text),
                    covered=coverage(words, weights, _in_context(reading, span)),
                    passage=reading.hit.score / top,
                    wanted=float(bool(figures)) if wanted in _FIGURES else 0.5,
                    reason=float(gives_reason(typed, text)),
                    long=math.log1p(len(text) / _USUAL_LENGTH),
                )
                score, short = self._models.sentence(astuple(features)), _only(figures, span, text)
                found.setdefault((reading.article.id, span), Weighed(reading, span, features, score, short))
        return sorted(
            found.values(),
            key=lambda one: (bare and not _fits(question, one), -one.score, one.reading.hit.rank, one.span),
        )

    def decision(self, question: str, ranked: Sequence[Weighed]) -> DecisionFeatures:
        """Return what tells an answer from a near miss; `ranked` is best first."""
        best = ranked[0]
        words, weights = self._words(question)
        page = embedded_text(best.reading.article, best.reading.hit.passage)
        rarest = [words[place] for place in np.argsort(-weights, kind="stable")[: math.ceil(_RAREST * len(words))]]
        there = set(terms(page))
        return DecisionFeatures(
            coverage=best.features.coverage,
            covered=best.features.covered,
            whole=coverage(words, weights, page),
            missing=sum(word not in there for word in rarest) / max(len(rarest), 1),
            margin=best.score - ranked[1].score if len(ranked) > 1 else best.score,
            reason=best.features.reason if asks_why(_typed(question)) else 0.5,
        )

    def _words(self, question: str) -> tuple[list[str], NDArray[np.float64]]:
        """Return the words that a question names something with, and how telling each is."""
        words = sorted(set(terms(_ASKING.sub(" ", question))))
        typed = set(terms(_ASKING.sub(" ", _typed(question))))
        return words, self._rarity(words) * [1.0 if not typed or word in typed else _EARLIER_WEIGHT for word in words]

    @cached_property
    def _models(self) -> Calibration:
        return Calibration.read(self._calibration)


def _typed(question: str) -> str:
    """Return a question without what it leans on."""
    leaning = _LEANING.fullmatch(question)
    return leaning["typed"] if leaning else question


def _is_bare(question: str) -> bool:
    """Tell whether a question is a follow-up that has no word of its own: "いくらですか？"."""
    typed = _typed(question)
    return typed != question and not terms(_ASKING.sub(" ", typed))


def _fits(question: str, one: Weighed) -> bool:
    """Tell whether a sentence holds the reason or the figure that a bare follow-up asks for."""
    return bool(one.features.reason if asks_why(_typed(question)) else one.features.wanted)


def _is_of_another_year(question: str, best: Weighed) -> bool:
    """Tell whether a question asks about a year, and a sentence tells of others, or none does around it.

    Of a question for a date the year may be another than that of the answer.
    """
    typed = _typed(question)
    asked = _years_in(typed)
    spans = _SPAN_OF_YEARS.search(question) or _SPAN_OF_YEARS.search(best.text)
    if not asked or spans or analyse(typed).wanted is Wanted.DATE:
        return False
    told = _years_in(best.text) and _years_in(_in_context(best.reading, best.span))
    return asked.isdisjoint(told or _years_in(embedded_text(best.reading.article, best.reading.hit.passage)))


def _years_in(text: str) -> set[int]:
    return {one.year for one in find_figures(text) if isinstance(one, Moment) and one.year is not None}


def _in_context(reading: Reading, span: Span) -> str:
    before = reading.outline.introduced(span) or reading.before(span)
    head = f"{reading.article.text[before.start : before.end]} " if before else ""
    return f"{header(reading.article)} {head}{reading.article.text[span.start : span.end]}"


def _counter_in(typed: str) -> str | None:
    """Return the characters one of which stands behind the number that is asked for; None if any may."""
    match = _COUNTED.search(typed)
    return next((group for group in _COUNTERS if match[1] in group), None) if match else None


def _wanted_figures(wanted: Wanted, text: str, *, own: AbstractSet[str], counter: str | None) -> list[Figure]:
    """Return the figures of a text that are of the kind that is asked for, and not the question's `own`, by key.

    Those with another counter than is asked for are left out where one has that.
    """
    if wanted not in _FIGURES:
        return []
    found = [
        figure
        for figure in find_figures(text)
        if isinstance(figure, Moment) == (wanted is Wanted.DATE) and figure_key(figure) not in own
    ]
    if counter is None or wanted is Wanted.DATE:
        return found
    return [figure for figure in found if text[_end_with_counter(figure, text) - 1] in counter] or found


def _end_with_counter(figure: Figure, text: str) -> int:
    """Return where a figure ends together with what it counts: "7,980人"."""
    counted = text[figure.end - 1] in _ALL_COUNTERS or text[figure.end : figure.end + 1] not in _ALL_COUNTERS
    return figure.end if counted or isinstance(figure, Moment) else figure.end + 1


def _only(figures: Sequence[Figure], sentence: Span, text: str) -> Span | None:
    """Return the place of a sentence's figure in the article, with what it counts, where there is one alone."""
    if len(figures) != 1:
        return None
    return Span(sentence.start + figures[0].start, sentence.start + _end_with_counter(figures[0], text))
