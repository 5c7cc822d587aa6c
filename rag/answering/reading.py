"""The judge that reads: a sentence answers when the reading model points into it, and its passage ranks well.

It reads twice: the nearest passages, to see where the reader points, and then the sentences that come out best, each
by itself. Logistic models weigh what the reader says, how near the passage is, and which words of the question stand
in the sentence: one for the shortlist, one for the best sentence, one for the confidence that it answers. They are
fitted by `python -m training.answerer`, never on the test half of the questions.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
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


@dataclass(frozen=True, slots=True)
class PassageFeatures:
    """What is known of a sentence from reading its passage; `pointed` is how sure the reader points into it."""

    pointed: float
    passage: float
    coverage: float


@dataclass(frozen=True, slots=True)
class SentenceFeatures:
    """What is known of a sentence when it was read by itself too.

    `covered` is how much of the question's words stands in it, in the title and in the sentence before it; `wanted`
    tells whether it holds the kind of thing that is asked for; `alone` is the logit that it answers.
    """

    pointed: float
    passage: float
    coverage: float
    covered: float
    wanted: float
    alone: float


@dataclass(frozen=True, slots=True)
class DecisionFeatures:
    """What is known of the best sentence when the question is whether it answers.

    `answerable`, `alone` and `in_context` are the logits that its passage answers, that it does by itself, and that it
    does behind the title and the sentence before it. `unmatched` and `unmatched_near` are the shares of the question's
    names and numbers that its passage, and that context, do not hold; `covered` is how much of the question's words the
    context holds; `wanted` tells whether the sentence holds the kind of thing that is asked for.
    """

    answerable: float
    alone: float
    in_context: float
    unmatched: float
    unmatched_near: float
    covered: float
    wanted: float
    pointed: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence with its features, and the words in it that the reader points at.

    `answerable` is the logit that its passage answers.
    """

    reading: Reading
    span: Span
    pointed: Span
    answerable: float
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


class ReaderJudge:
    """Judges by a reading model.

    `rarity` tells for words how telling each of them is, in 0..1. The nearest `passages` are read, and the best
    `sentences` of them once more.
    """

    name = "reader"

    def __init__(
        self,
        reader: PassageReader,
        *,
        rarity: Callable[[Sequence[str]], NDArray[np.float64]],
        passages: int = 6,
        sentences: int = 12,
        calibration: Path = CALIBRATION,
    ) -> None:
        self._reader = reader
        self._rarity = rarity
        self._passages = passages
        self._sentences = sentences
        self._calibration = calibration

    @property
    def model(self) -> str:
        """Return the reading model's name."""
        return self._reader.name

    @property
    def revision(self) -> str:
        """Return the hash of the reading model's weights, and the first digits of the calibration's."""
        return f"{self._reader.revision}+{hashlib.sha256(self._calibration.read_bytes()).hexdigest()[:8]}"

    def judge(self, question: str, readings: Sequence[Reading]) -> Verdict:
        """Return the sentences that answer best, each once, and the probability that the first of them does."""
        candidates = self.shortlist(self.candidates(question, readings), model=self._models.shortlist)
        if not candidates:
            return Verdict((), 0.0)
        featured = self.read_alone(question, candidates)
        scored = sorted(
            ((self._score(question, candidate, features), candidate, features) for candidate, features in featured),
            key=lambda row: (-row[0], row[1].reading.hit.rank, row[1].span),
        )
        _, best, features = scored[0]
        decision = self.decision(question, best, features)
        findings = tuple(
            Finding(candidate.reading, candidate.span, score, short_answer=candidate.pointed)
            for score, candidate, _ in scored
        )
        words = set(terms(question))
        if words and words.isdisjoint(terms(_page(best.reading))):
            # The reader points somewhere in whatever it is given; a passage without one word in common is no answer.
            return Verdict(findings, 0.0)
        return Verdict(findings, self._models.decision(astuple(decision)))

    def candidates(self, question: str, readings: Sequence[Reading]) -> list[Candidate]:
        """Return every sentence once, as the reader is surest of it, with what reading its passage tells."""
        words = sorted(set(terms(question)))
        weights = self._rarity(words)
        top = max((reading.hit.score for reading in readings), default=0.0) or 1.0
        nearest = sorted(readings, key=lambda reading: reading.hit.rank)[: self._passages]
        surest: dict[tuple[str, Span], Candidate] = {}
        pages = [Page(_page(reading), len(_head(reading))) for reading in nearest]
        for reading, read in zip(nearest, self._reader.read(question, pages), strict=True):
            shift = reading.hit.passage.start - len(_head(reading))
            for span, text in reading.sentences():
                found = read.best_within(span.start - shift, span.end - shift)
                if found is None:
                    continue
                features = PassageFeatures(
                    pointed=found.score, passage=reading.hit.score / top, coverage=coverage(words, weights, text)
                )
                pointed = Span(found.start + shift, found.end + shift)
                known = surest.get((reading.article.id, span))
                if known is None or read.answerable + found.score > known.answerable + known.features.pointed:
                    surest[reading.article.id, span] = Candidate(reading, span, pointed, read.answerable, features)
        return list(surest.values())

    def shortlist(self, candidates: Sequence[Candidate], *, model: Logistic) -> list[Candidate]:
        """Return the candidates that are worth reading again, best first."""
        return sorted(candidates, key=lambda candidate: -model.log_odds(astuple(candidate.features)))[: self._sentences]

    def read_alone(self, question: str, candidates: Sequence[Candidate]) -> list[tuple[Candidate, SentenceFeatures]]:
        """Return candidates with what reading each sentence by itself adds: a neighbour cannot answer in its place."""
        read = self._reader.read(question, [candidate.page() for candidate in candidates])
        words = sorted(set(terms(question)))
        weights, asked = self._rarity(words), analyse(question)
        return [
            (
                candidate,
                SentenceFeatures(
                    pointed=candidate.features.pointed,
                    passage=candidate.features.passage,
                    coverage=candidate.features.coverage,
                    covered=coverage(words, weights, candidate.page_in_context().text),
                    wanted=contains_wanted(asked, candidate.text, question),
                    alone=reading.answerable,
                ),
            )
            for candidate, reading in zip(candidates, read, strict=True)
        ]

    def _score(self, question: str, candidate: Candidate, features: SentenceFeatures) -> float:
        odds = math.exp(self._models.sentence.log_odds(astuple(features)))
        odds *= _REASON_ODDS if gives_reason(question, candidate.text) else 1.0
        return odds / (1 + odds)

    def decision(self, question: str, candidate: Candidate, features: SentenceFeatures) -> DecisionFeatures:
        """Return what tells an answer from a near miss."""
        page = candidate.page_in_context()
        (in_context,) = self._reader.read(question, [page])
        return DecisionFeatures(
            answerable=candidate.answerable,
            alone=features.alone,
            in_context=in_context.answerable,
            unmatched=unmatched_names(question, _page(candidate.reading)),
            unmatched_near=unmatched_names(question, page.text),
            covered=features.covered,
            wanted=features.wanted,
            pointed=features.pointed,
        )

    @cached_property
    def _models(self) -> Calibration:
        return Calibration.read(self._calibration)


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
