"""The judge that compares: a sentence answers when its meaning and its words are near the question's.

Each sentence gets a few plain features; two logistic models turn them into a score per sentence and a confidence for
the whole. Their weights were set by hand on the development half of the questions: this is what the reading model is
measured against, and what answers where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from rag.answering.judging import (
    Finding,
    Logistic,
    Reading,
    Verdict,
    contains_wanted,
    coverage,
    unmatched_names,
)
from rag.answering.questions import analyse
from rag.index.lexical import terms
from rag.passages import embedded_text, header
from rag.records import Span


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

    def judge(self, question: str, readings: Sequence[Reading], *, part: int = 1) -> Verdict:  # noqa: ARG002  # reads no tokens
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
                    coverage=coverage(words, weights, text),
                    coverage_in_context=coverage(words, weights, context),
                    passage=reading.hit.score / top,
                    wanted=contains_wanted(asked, text, question),
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
            unmatched=unmatched_names(question, embedded_text(reading.article, reading.hit.passage)),
        )


def _distinct(readings: Sequence[Reading]) -> list[tuple[Reading, Span, str, str]]:
    """Return each sentence once with its text, and with its text behind the title and the sentence before it."""
    seen: set[tuple[str, Span]] = set()
    rows = []
    for reading in sorted(readings, key=lambda reading: reading.hit.rank):
        for span, text in reading.sentences():
            if (reading.article.id, span) not in seen:
                seen.add((reading.article.id, span))
                place = reading.before(span)
                before = reading.article.text[place.start : place.end] if place else ""
                rows.append((reading, span, text, f"{header(reading.article)} {before} {text}"))
    return rows
