"""The check: a claim is kept only when sentences of the articles support it.

A claim is attributed to one sentence of the evidence, or to a few that say it together; the writer's own markers only
decide between sentences that carry it equally well. What carries it has to pass the support score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.answering.judging import Finding
from rag.index.lexical import terms

MIN_SUPPORT = 0.5
_CANDIDATES = 6
_SUPPORTS = 0


class Supporter(Protocol):
    """Whatever says how well evidence supports a claim; `rag.models.reader.Reader` does."""

    def support(self, claims: Sequence[str], evidence: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, 3) probabilities that each claim's evidence supports it, contradicts it, or does neither."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """A claim with what became of it: how well its evidence supports it, in 0..1, and which sentences that is.

    `reason` says why it was not kept; `findings` are then the sentences that come nearest, and may be none.
    """

    text: str
    kept: bool
    support: float
    findings: tuple[Finding, ...]
    reason: str | None

    def __post_init__(self) -> None:
        if self.kept == (self.reason is not None) or (self.kept and not self.findings):
            raise ValueError("a claim that is kept has evidence, one that is not has a reason")


class Checker:
    """Decides which claims the evidence supports."""

    def __init__(self, support: Supporter, *, min_support: float = MIN_SUPPORT) -> None:
        self._support = support
        self._min_support = min_support

    def check(self, claim: str, evidence: Sequence[Finding], *, hints: Sequence[int] = ()) -> Checked:
        """Return whether the evidence, sentences in any order, supports a claim.

        `hints` are places in `evidence`, counted from 0, that the writer pointed at; others are ignored.
        """
        candidates = self._candidates(claim, evidence, hints=hints)
        if not candidates:
            return Checked(
                claim, kept=False, support=0.0, findings=(), reason="no sentence of the evidence has its words"
            )
        texts = [finding.text for finding in candidates]
        scores = self._support.support([claim] * len(texts), texts)[:, _SUPPORTS]
        best = int(np.argmax(scores))
        score = float(scores[best])
        kept = score >= self._min_support
        reason = None if kept else "the evidence does not support it"
        return Checked(claim, kept=kept, support=score, findings=(candidates[best],), reason=reason)

    @staticmethod
    def _candidates(claim: str, evidence: Sequence[Finding], *, hints: Sequence[int]) -> list[Finding]:
        """Return the sentences that share most words with a claim; of two alike, the one that the writer pointed at."""
        words = set(terms(claim))
        shared = [len(words & set(terms(finding.text))) for finding in evidence]
        places = sorted(range(len(evidence)), key=lambda place: (-shared[place], place not in hints, place))
        return [evidence[place] for place in places[:_CANDIDATES] if shared[place]]
