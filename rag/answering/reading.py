"""The judge that reads: a sentence answers when the reading model points into it, and its passage ranks well.

It reads three times: the nearest passages, to see where the reader points, then the sentences that come out best, each
by itself, and the best of them in its context, where the words that it points at are the short answer. What it reads is
bounded in tokens, best first: a bound in time would give another answer on another machine. Logistic models weigh what
the reader says, how near the passage is, and which words of the question stand in the sentence: one for the shortlist,
one for the best sentence, one for the confidence that it answers. They are fitted by `python -m training.answerer`,
never on the test half of the questions.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.answering.judging import (
    Finding,
    Logistic,
    Reading,
    Verdict,
    contains_wanted,
    coverage,
    gives_reason,
    is_about_others,
    leans,
    unmatched_names,
)
from rag.answering.questions import analyse
from rag.index.lexical import terms
from rag.models.reader import Page, PassageReading
from rag.passages import header
from rag.records import Span

# The reader points at spans, and a reason seldom is one, so a sentence that names one gets better odds by hand.
_REASON_ODDS = 3.0
# Of the tokens, what passages may take; sentences have the rest.
_PASSAGES_SHARE = 0.75
# Three in four answers about news reach this cosine, and one in ten questions about something else.
_ALIKE = 0.35
# "1990s", "19th" and "5G" too, of which terms would make a number and a word.
_NUMBER = re.compile(r"\d[\w.,]*")
CALIBRATION = Path(__file__).with_name("calibration.json")


class PassageReader(Protocol):
    """What the judge asks of a reading model; `rag.models.reader.Reader` is one."""

    @property
    def name(self) -> str:
        """Return the model's name."""
        ...

    @property
    def revision(self) -> str:
        """Return the hash of its weights."""
        ...

    def read(self, question: str, passages: Sequence[Page]) -> list[PassageReading]:
        """Return what each passage has to say to a question, in their order."""
        ...

    def sizes(self, question: str, passages: Sequence[Page]) -> list[int]:
        """Return how many tokens reading each passage takes, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is read for a question at most: so many passages, sentences of them by themselves, and tokens in all.

    Of the passages only those that score at least `share` of the nearest. One passage, one sentence of it, and that
    in its context are read whatever they take.
    """

    passages: int = 8
    share: float = 0.7
    sentences: int = 6
    tokens: int = 2000


@dataclass(frozen=True, slots=True)
class PassageFeatures:
    """What is known of a sentence from reading its passage.

    `pointed` is how sure the reader points into it, `passage` how near its passage is, `coverage` how much of the
    question's words stands in it, and `answerable` the logit that its passage answers.
    """

    pointed: float
    passage: float
    coverage: float
    answerable: float


@dataclass(frozen=True, slots=True)
class SentenceFeatures:
    """What is known of a sentence when it was read by itself too.

    `covered` is how much of the question's words stands in it, in the title and in the sentence before it; `wanted`
    tells whether it holds the kind of thing that is asked for; `alone` is the logit that it answers.
    """

    pointed: float
    passage: float
    coverage: float
    answerable: float
    covered: float
    wanted: float
    alone: float


@dataclass(frozen=True, slots=True)
class DecisionFeatures:
    """What is known of the best sentence when the question is whether it answers.

    `answerable`, `alone` and `in_context` are the logits that its passage answers, that it does by itself, and that it
    does behind the title and the sentence before it. `unmatched` and `unmatched_near` are the shares of the question's
    names and numbers that its passage, and that context, do not hold; `distant` is how much less alike the question and
    the passage are than what belongs together mostly is.
    """

    answerable: float
    alone: float
    in_context: float
    unmatched: float
    unmatched_near: float
    distant: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence with its features."""

    reading: Reading
    span: Span
    features: PassageFeatures

    @property
    def text(self) -> str:
        """Return the sentence, verbatim."""
        return self.reading.article.text[self.span.start : self.span.end]

    def page(self) -> Page:
        """Return the sentence to be read by itself, behind the one before it if it leans on that ("It did so …")."""
        head = self._before() if leans(self.text) else ""
        return Page(head + self.text, len(head))

    def page_in_context(self) -> Page:
        """Return the sentence to be read behind its article's title and the sentence before it."""
        head = _head(self.reading) + self._before()
        return Page(head + self.text, len(head))

    def _before(self) -> str:
        before = self.reading.before(self.span)
        return f"{self.reading.article.text[before.start : before.end]} " if before else ""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The logistic models that weigh features: which sentences are read again, which is best, whether it answers."""

    shortlist: Logistic
    sentence: Logistic
    decision: Logistic

    @classmethod
    def read(cls, file: Path) -> Calibration:
        """Return what `training.answerer` wrote."""
        fitted = json.loads(file.read_text(encoding="utf-8"))
        return cls(*(Logistic.of(fitted[name]) for name in ("shortlist", "sentence", "decision")))


@dataclass(frozen=True, slots=True)
class PassagesRead:
    """The sentences of the passages that were read, each once, and how many tokens that took."""

    candidates: tuple[Candidate, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Weighed:
    """A sentence that was read again, and how well it answers, in 0..1."""

    candidate: Candidate
    features: SentenceFeatures
    score: float


class ReaderJudge:
    """Judges by a reading model.

    `rarity` tells for words how telling each of them is, in 0..1. The nearest passages are read, and their best
    sentences once more, as far as the budget goes. `training.answerer` fits the weights with the same methods that
    answer.
    """

    name = "reader"

    def __init__(
        self,
        reader: PassageReader,
        *,
        rarity: Callable[[Sequence[str]], NDArray[np.float64]],
        budget: Budget = Budget(),
        calibration: Path = CALIBRATION,
    ) -> None:
        self.reader = reader
        self.rarity = rarity
        self.budget = budget
        self._calibration = calibration

    @property
    def model(self) -> str:
        """Return the reading model's name."""
        return self.reader.name

    @property
    def revision(self) -> str:
        """Return the hash of the reading model's weights, and the first digits of the calibration's."""
        return f"{self.reader.revision}+{hashlib.sha256(self._calibration.read_bytes()).hexdigest()[:8]}"

    def judge(self, question: str, readings: Sequence[Reading], *, part: int = 1) -> Verdict:
        """Return the sentences that answer best, each once, and the probability that the first of them does."""
        if part > 1:
            budget = replace(self.budget, tokens=self.budget.tokens // part)
            fewer = ReaderJudge(self.reader, rarity=self.rarity, budget=budget, calibration=self._calibration)
            return fewer.judge(question, readings)
        ranked = self.rank(question, readings)
        if not ranked:
            return Verdict((), 0.0)
        findings = [Finding(one.candidate.reading, one.candidate.span, one.score) for one in ranked]
        in_context = self.read_in_context(question, ranked[0].candidate)
        findings[0] = replace(findings[0], short_answer=_short_answer(ranked[0].candidate, in_context))
        return Verdict(tuple(findings), self.confidence(question, ranked[0], in_context))

    def rank(self, question: str, readings: Sequence[Reading]) -> list[Weighed]:
        """Return the sentences of the shortlist, best first."""
        candidates = self.shortlist(question, self.read_passages(question, readings))
        weighed = self.weigh(question, candidates)
        return sorted(weighed, key=lambda one: (-one.score, one.candidate.reading.hit.rank, one.candidate.span))

    def confidence(self, question: str, best: Weighed, in_context: PassageReading) -> float:
        """Return the probability that the best sentence answers."""
        if self.rules_out(question, best):
            return 0.0
        return self._models.decision(astuple(self.decision(question, best, in_context)))

    def rules_out(self, question: str, best: Weighed) -> bool:
        """Tell whether the best sentence answers nothing, whatever the reader makes of it."""
        # The reader points somewhere in whatever it is given, and a year in common looks like a match to it.
        page = _page(best.candidate.reading)
        return _shares_no_word(question, page) or is_about_others(question, page)

    def read_passages(self, question: str, readings: Sequence[Reading]) -> PassagesRead:
        """Return every sentence of the nearest passages, as the reader is surest of it, with what it makes of them."""
        words = sorted(set(terms(question)))
        weights = self.rarity(words)
        top = max((reading.hit.score for reading in readings), default=0.0) or 1.0
        nearest = self._nearest(readings)
        pages = [Page(_page(reading), len(_head(reading))) for reading in nearest]
        sizes = self.reader.sizes(question, pages)
        fitting = _fitting(sizes, tokens=int(_PASSAGES_SHARE * self.budget.tokens))
        surest: dict[tuple[str, Span], Candidate] = {}
        for reading, read in zip(nearest[:fitting], self.reader.read(question, pages[:fitting]), strict=True):
            shift = reading.hit.passage.start - len(_head(reading))
            for span, text in reading.sentences():
                said = read.within(span.start - shift, span.end - shift)
                found = said.best_within(0, len(text))
                if found is None:
                    continue
                features = PassageFeatures(
                    pointed=found.score,
                    passage=reading.hit.score / top,
                    coverage=coverage(words, weights, text),
                    answerable=read.answerable,
                )
                known = surest.get((reading.article.id, span))
                if known is None or _sureness(features) > _sureness(known.features):
                    surest[reading.article.id, span] = Candidate(reading, span, features)
        return PassagesRead(tuple(surest.values()), sum(sizes[:fitting]))

    def _nearest(self, readings: Sequence[Reading]) -> list[Reading]:
        """Return the passages that are worth reading, nearest first."""
        ranked = sorted(readings, key=lambda reading: reading.hit.rank)[: self.budget.passages]
        least = self.budget.share * max((reading.hit.score for reading in ranked), default=0.0)
        return [reading for place, reading in enumerate(ranked) if place == 0 or reading.hit.score >= least]

    def shortlist(self, question: str, read: PassagesRead) -> list[Candidate]:
        """Return the candidates that are read again, best first: as many as the budget has left tokens for."""
        ranked = sorted(
            read.candidates,
            key=lambda candidate: -_odds(self._models.shortlist, question, candidate, candidate.features),
        )
        best = ranked[: self.budget.sentences]
        # Whichever comes out best is read in its context too, so there has to be room for the longest.
        in_context = np.maximum.accumulate(self._sizes(question, [candidate.page_in_context() for candidate in best]))
        alone = np.cumsum(self._sizes(question, [candidate.page() for candidate in best]))
        affordable = int((read.tokens + alone + in_context <= self.budget.tokens).sum())
        return best[: max(affordable, 1)]

    def _sizes(self, question: str, pages: Sequence[Page]) -> NDArray[np.int64]:
        return np.array(self.reader.sizes(question, pages), dtype=np.int64)

    def weigh(self, question: str, candidates: Sequence[Candidate]) -> list[Weighed]:
        """Return candidates with their scores, each read by itself: a neighbour cannot answer in its place."""
        read = self.reader.read(question, [candidate.page() for candidate in candidates])
        words = sorted(set(terms(question)))
        weights, asked = self.rarity(words), analyse(question)
        weighed = []
        for candidate, alone in zip(candidates, read, strict=True):
            features = SentenceFeatures(
                pointed=candidate.features.pointed,
                passage=candidate.features.passage,
                coverage=candidate.features.coverage,
                answerable=candidate.features.answerable,
                covered=coverage(words, weights, candidate.page_in_context().text),
                wanted=contains_wanted(asked, candidate.text, question),
                alone=alone.answerable,
            )
            score = self._score(question, candidate, features)
            weighed.append(Weighed(candidate, features, score))
        return weighed

    def _score(self, question: str, candidate: Candidate, features: SentenceFeatures) -> float:
        odds = _odds(self._models.sentence, question, candidate, features)
        return odds / (1 + odds)

    def read_in_context(self, question: str, candidate: Candidate) -> PassageReading:
        """Return what a sentence behind its article's title and the sentence before it has to say."""
        page = candidate.page_in_context()
        (read,) = self.reader.read(question, [page])
        return read.within(page.header_size, len(page.text))

    def decision(self, question: str, best: Weighed, in_context: PassageReading) -> DecisionFeatures:
        """Return what tells an answer from a near miss."""
        candidate, features = best.candidate, best.features
        return DecisionFeatures(
            answerable=features.answerable,
            alone=features.alone,
            in_context=in_context.answerable,
            unmatched=unmatched_names(question, _page(candidate.reading)),
            unmatched_near=unmatched_names(question, candidate.page_in_context().text),
            distant=_distance(candidate.reading.hit.similarity),
        )

    @cached_property
    def _models(self) -> Calibration:
        return Calibration.read(self._calibration)


def _odds(model: Logistic, question: str, candidate: Candidate, features: PassageFeatures | SentenceFeatures) -> float:
    reason = _REASON_ODDS if gives_reason(question, candidate.text) else 1.0
    return math.exp(model.log_odds(astuple(features))) * reason


def _distance(similarity: float | None) -> float:
    # Above the bar, a near miss is as alike as an answer; a question about something else altogether lies below it.
    return 0.0 if similarity is None else max(0.0, _ALIKE - similarity)


def _short_answer(candidate: Candidate, in_context: PassageReading) -> Span | None:
    found = in_context.best_within(0, len(candidate.text))
    if found is None:
        return None
    start, end = found.start, found.end
    if candidate.text.startswith("|") and "|" in (inside := candidate.text[start:end].strip("| ")):
        inside = inside.partition("|")[0].strip()
        start = candidate.text.index(inside, start)
        end = start + len(inside)
    return Span(candidate.span.start + start, candidate.span.start + end)


def _sureness(features: PassageFeatures) -> float:
    return features.answerable + features.pointed


def _shares_no_word(question: str, page: str) -> bool:
    """Tell whether a page has no word of a question; a number is none where the question has two words beside it.

    Of 12,200 questions about our own articles, 19 share numbers alone with the neighbourhood of their gold. A question
    of nothing but stop words may be answered, one of nothing but signs ("???") has no word that a page could share.
    """
    if not any(map(str.isalnum, question)):
        return True
    words = set(terms(question))
    beside = set(terms(_NUMBER.sub(" ", question)))
    wanted = beside if len(beside) > 1 else words
    return bool(wanted) and wanted.isdisjoint(terms(page))


def _fitting(sizes: Sequence[int], *, tokens: int) -> int:
    """Return how many of the first fit into so many tokens; at least one, if there is one."""
    affordable = int((np.cumsum(sizes) <= tokens).sum())
    return max(affordable, min(1, len(sizes)))


def _head(reading: Reading) -> str:
    return f"{header(reading.article)}\n"


def _page(reading: Reading) -> str:
    """Return what is read: the header, then the passage with its furniture blanked, so that offsets hold."""
    passage, article = reading.hit.passage, reading.article
    text = list(article.text[passage.start : passage.end])
    for trimming in article.furniture:
        low, high = max(trimming.start, passage.start), min(trimming.end, passage.end)
        for place in range(low - passage.start, high - passage.start):
            text[place] = " "
    return _head(reading) + "".join(text)
