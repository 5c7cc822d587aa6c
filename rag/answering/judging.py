"""The seam between retrieval and the answer: a judge reads passages and says which sentences answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.records import Article, Hit, Span


@dataclass(frozen=True, slots=True)
class Reading:
    """What a judge is given of one passage: the hit, and the article that it is a slice of."""

    hit: Hit
    article: Article

    def sentences(self) -> list[tuple[Span, str]]:
        """Return the passage's quotable sentences, as offsets into the article and as text."""
        return [(span, self.article.text[span.start : span.end]) for span in self.hit.passage.sentences]


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence that may answer, with how well it does, in 0..1, and the words in it that do, where there are such."""

    reading: Reading
    span: Span
    score: float
    short_answer: str | None = None

    @property
    def text(self) -> str:
        """Return the sentence, verbatim."""
        return self.reading.article.text[self.span.start : self.span.end]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The findings, best first, and the calibrated probability that the first of them answers the question."""

    findings: tuple[Finding, ...]
    confidence: float


class Judge(Protocol):
    """Whatever reads: its name, model and revision stand in each answer's record."""

    name: str
    model: str
    revision: str

    def judge(self, question: str, readings: Sequence[Reading]) -> Verdict:
        """Return the sentences that may answer a question, best first, each sentence once."""
        ...
