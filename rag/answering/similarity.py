"""The judge that compares: a sentence answers when its meaning and its words are near the question's.

Each sentence gets a few plain features; two logistic models turn them into a score per sentence and a confidence for
the whole. Their weights are fitted by `python -m training.answerer` on the development half of the questions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from rag.answering.judging import Finding, Reading, Verdict
from rag.answering.questions import Asked, Wanted, analyse
from rag.index.lexical import terms
from rag.passages import header
from rag.records import Span

_DIGIT = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|dozen|hundred|half|third)s?\b|[一二三四五六七八九十百千万]"
)
_TIME = re.compile(
    r"\b(?:1[89]|20)\d\d\b|\b(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    r"Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)\b|[年月日]"
)
_CAPITALISED = re.compile(r"(?<![.!?“\"] )(?<!^)\b[A-Z][a-z]+|[\u4e00-\u9fff\u30a0-\u30ff]{2}")
_PRESENT = {Wanted.NUMBER: _DIGIT, Wanted.DATE: _TIME, Wanted.NAME: _CAPITALISED}


@dataclass(frozen=True, slots=True)
class SentenceFeatures:
    """What is known of a sentence as an answer; each in about 0..1."""

    similarity: float
    similarity_in_context: float
    coverage: float
    coverage_in_context: float
    passage: float
    wanted: float


@dataclass(frozen=True, slots=True)
class DecisionFeatures:
    """What is known of the best sentence, and of what the question names that it does not."""

    best: float
    margin: float
    similarity: float
    coverage: float
    coverage_in_context: float
    unmatched: float


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic model: the probability is 1 / (1 + exp(-(weights · features + bias)))."""

    weights: tuple[float, ...]
    bias: float

    def __call__(self, features: Sequence[float]) -> float:
        """Return the probability for one row of features."""
        return float(1 / (1 + np.exp(-(np.dot(self.weights, features) + self.bias))))


SENTENCE_MODEL = Logistic(weights=(3.0, 4.0, 3.0, 1.0, 1.5, 0.8), bias=-6.0)
DECISION_MODEL = Logistic(weights=(3.0, 1.0, 4.0, 2.0, 2.0, -1.0), bias=-5.0)


class SimilarityJudge:
    """Judges by an encoder's cosines and by shared words.

    `encode_query` and `encode_sentences` return unit rows (n, dim); `rarity` tells for words how telling each is, 0..1.
    """

    def __init__(
        self,
        *,
        model: str,
        revision: str,
        encode_query: Callable[[str], NDArray[np.float32]],
        encode_sentences: Callable[[Sequence[str]], NDArray[np.float32]],
        rarity: Callable[[Sequence[str]], NDArray[np.float64]],
    ) -> None:
        self.name = "quotes"
        self.model = model
        self.revision = revision
        self._encode_query = encode_query
        self._encode_sentences = encode_sentences
        self._rarity = rarity

    def judge(self, question: str, readings: Sequence[Reading]) -> Verdict:
        """Return the sentences nearest to a question, best first, and the probability that the first answers it."""
        rows = self.features(question, readings)
        scored = [(SENTENCE_MODEL(astuple(features)), reading, span, features) for reading, span, features in rows]
        scored.sort(key=lambda row: (-row[0], row[1].hit.rank, row[2]))
        if not scored:
            return Verdict((), 0.0)
        decision = self.decision(question, [(score, features) for score, _, _, features in scored], scored[0][1])
        findings = tuple(Finding(reading, span, score) for score, reading, span, _ in scored)
        return Verdict(findings, DECISION_MODEL(astuple(decision)))

    def features(self, question: str, readings: Sequence[Reading]) -> list[tuple[Reading, Span, SentenceFeatures]]:
        """Return every sentence once, from its best-ranked passage, with its features."""
        asked, words = analyse(question), sorted(set(terms(question)))
        weights = self._rarity(words)
        sentences = _distinct(readings)
        plain = self._encode_sentences([text for _, _, text, _ in sentences])
        framed = self._encode_sentences([context for _, _, _, context in sentences])
        vector = self._encode_query(question)
        top = max((reading.hit.score for reading in readings), default=0.0) or 1.0
        return [
            (
                reading,
                span,
                SentenceFeatures(
                    similarity=float(plain[i] @ vector),
                    similarity_in_context=float(framed[i] @ vector),
                    coverage=_coverage(words, weights, text),
                    coverage_in_context=_coverage(words, weights, context),
                    passage=reading.hit.score / top,
                    wanted=_wanted(asked, text, question),
                ),
            )
            for i, (reading, span, text, context) in enumerate(sentences)
        ]

    def decision(
        self, question: str, scored: Sequence[tuple[float, SentenceFeatures]], reading: Reading
    ) -> DecisionFeatures:
        """Return what tells an answer from a near miss; `scored` is best first, the rest describe its first."""
        best, features = scored[0]
        return DecisionFeatures(
            best=best,
            margin=best - scored[1][0] if len(scored) > 1 else best,
            similarity=features.similarity_in_context,
            coverage=features.coverage,
            coverage_in_context=features.coverage_in_context,
            unmatched=self._unmatched(question, reading),
        )

    def _unmatched(self, question: str, reading: Reading) -> float:
        """Return the share of the question's names and numbers that neither the passage nor its header holds."""
        names = _names(question)
        if not names:
            return 0.0
        passage = reading.hit.passage
        there = set(terms(f"{header(reading.article)} {reading.article.text[passage.start : passage.end]}"))
        return sum(not set(terms(name)) <= there for name in names) / len(names)


def _names(question: str) -> list[str]:
    return re.findall(r"(?<!^)\b(?:[A-Z][\w’'-]*|\d[\d.,]*)", question)


def _distinct(readings: Sequence[Reading]) -> list[tuple[Reading, Span, str, str]]:
    """Return each sentence once with its text, and with its text behind the title and the sentence before it."""
    seen: set[tuple[str, Span]] = set()
    rows = []
    for reading in sorted(readings, key=lambda reading: reading.hit.rank):
        before = ""
        for span, text in reading.sentences():
            if (reading.article.id, span) not in seen:
                seen.add((reading.article.id, span))
                rows.append((reading, span, text, f"{header(reading.article)} {before} {text}"))
            before = text
    return rows


def _coverage(words: Sequence[str], weights: NDArray[np.float64], text: str) -> float:
    there = set(terms(text))
    total = float(weights.sum())
    return (
        float(sum(weight for word, weight in zip(words, weights, strict=True) if word in there)) / total
        if total
        else 0.0
    )


def _wanted(asked: Asked, text: str, question: str) -> float:
    pattern = _PRESENT.get(asked.wanted)
    if pattern is None:
        return 0.5
    known = {match.casefold() for match in pattern.findall(question)}
    return float(any(match.casefold() not in known for match in pattern.findall(text)))
