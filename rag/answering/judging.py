"""The seam between retrieval and the answer: a judge reads passages and says which sentences answer.

Besides the seam, what judges have in common: plain features of a sentence, and the logistic models that weigh them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.answering.outline import Outline
from rag.answering.questions import Asked, Wanted
from rag.index.lexical import terms
from rag.records import Article, Hit, Span

_DIGIT = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|dozen|hundred|half|third)s?\b|[一二三四五六七八九十百千万]"
)
_TIME = re.compile(
    r"\b(?:1[89]|20)\d\d\b|\b(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    r"Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)\b|[年月日]"
)
_CAPITALISED = re.compile(r"(?<![.!?“\"] )(?<!^)\b[A-Z][a-z]+|[\u4e00-\u9fff\u30a0-\u30ff]{2}")
_PRESENT = {Wanted.NUMBER: _DIGIT, Wanted.DATE: _TIME, Wanted.NAME: _CAPITALISED}
_WHY = re.compile(r"\bwhy\b|\breasons?\b|为什么|為什麼|为何|為何|原因|なぜ|どうして|理由", re.IGNORECASE)
_REASON = re.compile(
    r"\b(?:because|due to|owing to|after|as a result|so that|in order to|reasons?|caused?|led to|driven by|therefore|"
    r"following|in response|explain(?:s|ed)?|thanks to|worr(?:y|ied)|fear(?:s|ed)?)\b"
    r"|因为|因為|由于|由於|因此|ため|ので",
    re.IGNORECASE,
)
_LEANS = re.compile(
    r"[\"“‘']?(?:he|she|it|they|this|that|these|those|his|her|its|their|such|both|neither|the (?:same|two)|"
    r"in (?:those|that|these|this))\b|[他她它这那其该此]|[これそ][のれ]",
    re.IGNORECASE,
)
_BEGINNING = 4
_NAME = re.compile(r"(?<!^)\b[A-Z]\w*|\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a judge is given of one passage: the hit, and the article that it is a slice of.

    `only` are the sentences of it that may answer, where not all may.
    """

    hit: Hit
    article: Article
    only: tuple[Span, ...] | None = None

    def sentences(self) -> list[tuple[Span, str]]:
        """Return the sentences of the passage that may answer, as offsets into the article and as text.

        The row with the names of a table's columns answers nothing.
        """
        spans = self.hit.passage.sentences if self.only is None else self.only
        outline = self.outline
        return [(span, self.article.text[span.start : span.end]) for span in spans if not outline.names_columns(span)]

    @property
    def outline(self) -> Outline:
        """Return what tells which sentence of the passage another needs to be understood."""
        return Outline(self.article.text, self.hit.passage.sentences)

    def before(self, place: Span) -> Span | None:
        """Return the sentence before a place in the passage; None where it begins with that."""
        return max((span for span in self.hit.passage.sentences if span.end <= place.start), default=None)


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence that may answer, with how well it does, in 0..1, and the words in it that do, where known."""

    reading: Reading
    span: Span
    score: float
    short_answer: Span | None = None

    @property
    def text(self) -> str:
        """Return the sentence, verbatim."""
        return self.reading.article.text[self.span.start : self.span.end]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The findings, best first, and the calibrated probability that the first of them answers the question.

    `reason` tells why there are none, where more is known than that nothing was found.
    """

    findings: tuple[Finding, ...]
    confidence: float
    reason: str | None = None


class Judge(Protocol):
    """Whatever reads: its name, model and revision stand in each answer's record."""

    @property
    def name(self) -> str:
        """Return what kind of answerer this is."""
        ...

    @property
    def model(self) -> str:
        """Return the model's name."""
        ...

    @property
    def revision(self) -> str:
        """Return the hash of the model's weights."""
        ...

    def judge(self, question: str, readings: Sequence[Reading], *, part: int = 1) -> Verdict:
        """Return the sentences that may answer a question, best first, each sentence once.

        One of so many parts of what may be read for a question is read for this one.
        """
        ...


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic model: the probability is 1 / (1 + exp(-(weights · features + bias)))."""

    weights: tuple[float, ...]
    bias: float

    @classmethod
    def of(cls, fitted: Mapping[str, object]) -> Logistic:
        """Return the model that a calibration file describes."""
        weights, bias = fitted["weights"], fitted["bias"]
        if not isinstance(weights, list) or not isinstance(bias, float):
            raise TypeError("a calibration has a list of weights and a bias")
        return cls(tuple(weights), bias)

    def log_odds(self, features: Sequence[float]) -> float:
        """Return the logarithm of the odds for one row of features."""
        return float(np.dot(self.weights, features)) + self.bias

    def __call__(self, features: Sequence[float]) -> float:
        """Return the probability for one row of features."""
        return float(1 / (1 + np.exp(-self.log_odds(features))))


def coverage(words: Sequence[str], weights: NDArray[np.float64], text: str) -> float:
    """Return how much of the question's words stands in a text, in 0..1, each word by its weight."""
    there = set(terms(text))
    total = float(weights.sum())
    covered = sum(weight for word, weight in zip(words, weights, strict=True) if word in there)
    return float(covered) / total if total else 0.0


def contains_wanted(asked: Asked, text: str, question: str) -> float:
    """Return 1 if a text holds what is asked for (a number, a time, a name) and the question does not; ½ if unknown."""
    pattern = _PRESENT.get(asked.wanted)
    if pattern is None:
        return 0.5
    known = {match.casefold() for match in pattern.findall(question)}
    return float(any(match.casefold() not in known for match in pattern.findall(text)))


def leans(text: str) -> bool:
    """Tell whether a sentence cannot be understood without the one before it ("It did so …")."""
    return bool(_LEANS.match(text))


def asks_why(question: str) -> bool:
    """Tell whether a question asks for a reason."""
    return _WHY.search(question) is not None


def gives_reason(question: str, text: str) -> bool:
    """Tell whether a question asks why, and a text says why something is so."""
    return asks_why(question) and _REASON.search(text) is not None


def unmatched_names(question: str, text: str) -> float:
    """Return the share of the question's names and numbers that a text does not hold.

    A name is what starts with a capital; its first four letters stand for it, so that "Japan" matches "Japanese".
    """
    missing, wanted = _match_names(question, text)
    return missing / wanted if wanted else 0.0


def is_about_others(question: str, text: str) -> bool:
    """Tell whether a text lacks most of the question's names and numbers, and at least two of them."""
    missing, wanted = _match_names(question, text)
    return missing > max(1, wanted / 2)


def _match_names(question: str, text: str) -> tuple[int, int]:
    """Return how many of the question's names and numbers a text does not hold, and how many there are."""
    wanted = [term for name in _NAME.findall(question) for term in terms(name)]
    there = set(terms(text))
    beginnings = {term[:_BEGINNING] for term in there}
    missing = [t for t in wanted if (t not in there if t[0].isdigit() else t[:_BEGINNING] not in beginnings)]
    return len(missing), len(wanted)
