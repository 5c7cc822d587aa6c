"""Retrieval: from a question to ranked passages, with what each stage thought of each of them.

Two rankings, by vectors (cosine) and by words (BM25), are cut to their best candidates after the filter, fused into
one, cleared of near-duplicates and cut to k. Passages and their texts are read only as far down as that takes. Every
score is kept, so that a ranking can be explained.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag.index.copies import numbers, shingles
from rag.records import Hit

if TYPE_CHECKING:
    from rag.index import Index
    from rag.records import Passage


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """How passages are ranked: `k` of at most `candidates` per stage; `dense_weight` in 0..1 for min-max fusion."""

    k: int
    candidates: int
    fusion: str
    dense_weight: float
    rrf_k: int
    duplicate_similarity: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """What each stage thought of one passage; ranks count from 1, None where the stage did not bring it up."""

    row: int
    dense: float
    dense_rank: int | None
    lexical: float
    lexical_rank: int | None
    fused: float
    rank: int | None = None
    dropped: str | None = None

    def placed(self, rank: int) -> Candidate:
        """Return it with its rank; `replace` would take three times as long."""
        return Candidate(
            self.row, self.dense, self.dense_rank, self.lexical, self.lexical_rank, self.fused, rank, self.dropped
        )


@dataclass(frozen=True, slots=True)
class Ranking:
    """The passages for a question, best first, and the candidates that were weighed for them, with their passages."""

    hits: tuple[Hit, ...]
    texts: Mapping[str, str]
    candidates: tuple[Candidate, ...]
    passages: tuple[Passage, ...]


def retrieve(
    vector: NDArray[np.float32],
    words: Sequence[str],
    *,
    index: Index,
    settings: RetrievalSettings,
    allowed: NDArray[np.bool_] | None = None,
    explain: bool = False,
) -> Ranking:
    """Rank the passages for a question, given as its vector (dim,) and its words.

    `allowed` (n,) says which passages may be found; it counts before any cut. With `explain` the candidates below the
    first k are told of, too.
    """
    kept: list[tuple[Candidate, Passage]] = []
    weighed: list[tuple[Candidate, Passage]] = []
    texts: dict[str, str] = {}
    shown = Shown(similarity=settings.duplicate_similarity, copies=index.store.copies)
    candidates = _rank(vector, words, index=index, settings=settings, allowed=allowed)
    for candidate, passage, text in _with_passages(candidates, index=index, at_once=settings.k):
        if len(kept) == settings.k:
            weighed.append((replace(candidate, dropped=f"below the first {settings.k}"), passage))
            continue
        copied = shown.copied(passage, text)
        if copied is not None:
            weighed.append((replace(candidate, dropped=f"near-duplicate of {copied}"), passage))
            continue
        texts[passage.id] = text
        kept.append((candidate.placed(len(kept) + 1), passage))
        weighed.append(kept[-1])
        if len(kept) == settings.k and not explain:
            break
    hits = tuple(
        Hit(passage, candidate.fused, rank, candidate.dense) for rank, (candidate, passage) in enumerate(kept, start=1)
    )
    return Ranking(hits, texts, tuple(line[0] for line in weighed), tuple(line[1] for line in weighed))


def min_max(dense: NDArray[np.float32], lexical: NDArray[np.float32], *, dense_weight: float) -> NDArray[np.float64]:
    """Fuse two scorings of the same candidates (n,) into one in 0..1: a weighted mean of each one's min-max form.

    A scoring that does not tell its candidates apart counts as 0 for all of them. Bruch, Gai and Ingber, "An Analysis
    of Fusion Functions for Hybrid Retrieval", TOIS 2023, doi:10.1145/3596512.
    """
    return dense_weight * _unit_range(dense) + (1 - dense_weight) * _unit_range(lexical)


def reciprocal_rank_fusion(rankings: Sequence[Sequence[int]], *, k: int = 60) -> dict[int, float]:
    """Score rows by the sum over rankings of 1 / (k + rank), rank counted from 1.

    Cormack, Clarke and Büttcher, SIGIR 2009, doi:10.1145/1571941.1572114.

    Raises:
        ValueError: a ranking names the same row twice.
    """
    fused: dict[int, float] = {}
    for ranking in rankings:
        if len(set(ranking)) != len(ranking):
            raise ValueError("a ranking names a row twice")
        for rank, row in enumerate(ranking, start=1):
            fused[row] = fused.get(row, 0.0) + 1 / (k + rank)
    return fused


class Shown:
    """The passages that are shown so far, so that none that copies one of them is shown besides.

    Two texts are copies when the Jaccard similarity of their three-word shingles reaches `similarity` and they hold the
    same numbers: two reports that differ in their figures are not. `copies` maps an article to the one that it copies;
    as the two are cut at different places, it is enough there that a passage is contained in the other.
    """

    def __init__(self, *, similarity: float, copies: Mapping[str, str]) -> None:
        self._similarity = similarity
        self._copies = copies
        self._shown: list[_Seen] = []
        self._shingles: set[tuple[str, ...]] = set()

    def copied(self, passage: Passage, text: str) -> str | None:
        """Return the id of the passage that this one copies, the first of them; if there is none, it is shown."""
        seen = _Seen(passage, text, numbers(text))
        # The numbers are soon told apart; shingles are made only of texts that have the same.
        others = [other for other in self._shown if self._may_be_copies(seen, other)]
        if others:
            for one in (seen, *others):
                one.cut()
            for other in others:
                self._shingles |= other.shingles
            # Most texts share next to nothing, so each is held against the few shingles that any of them has.
            known = seen.shingles & self._shingles
            for other in others:
                if self._is_copy(seen, other, common=len(known & other.shingles)):
                    return other.passage.id
        self._shown.append(seen)
        return None

    def _may_be_copies(self, one: _Seen, other: _Seen) -> bool:
        return one.numbers == other.numbers or self._same_report(one.passage, other.passage)

    def _is_copy(self, one: _Seen, other: _Seen, *, common: int) -> bool:
        size = len(one.shingles)
        if (
            common >= self._similarity * (size + len(other.shingles) - common)
            and one.numbers == other.numbers
            and one.text
            and other.text
        ):
            return True
        return (
            common >= self._similarity * size
            and self._same_report(one.passage, other.passage)
            and set(one.numbers) <= set(other.numbers)
        )

    def _same_report(self, one: Passage, other: Passage) -> bool:
        if not self._copies or one.article == other.article:
            return False
        return self._copies.get(one.article, one.article) == self._copies.get(other.article, other.article)


class _Seen:
    """A passage with its text and its numbers, and with its shingles once these are needed."""

    __slots__ = ("numbers", "passage", "shingles", "text")

    def __init__(self, passage: Passage, text: str, found: list[str]) -> None:
        self.passage = passage
        self.text = text
        self.numbers = found
        self.shingles: frozenset[tuple[str, ...]] = frozenset()

    def cut(self) -> None:
        """Make the shingles, unless they are made; no text is without any."""
        if not self.shingles:
            self.shingles = shingles(self.text)


def _rank(
    vector: NDArray[np.float32],
    words: Sequence[str],
    *,
    index: Index,
    settings: RetrievalSettings,
    allowed: NDArray[np.bool_] | None,
) -> Iterator[Candidate]:
    """Yield all candidates, best first."""
    dense_rows, _ = index.vectors.search(vector, k=settings.candidates, allowed=allowed)
    lexical_rows, _ = index.lexical.search(words, k=settings.candidates, allowed=allowed)
    dense_ranks = {row: rank for rank, row in enumerate(dense_rows.tolist(), start=1)}
    lexical_ranks = {row: rank for rank, row in enumerate(lexical_rows.tolist(), start=1)}
    # np.union1d would do the same, and import numpy.ma for it: 0.01 s of a cold question.
    rows = np.array(sorted({*dense_ranks, *lexical_ranks}), dtype=np.int64)
    dense, lexical = np.vecdot(index.vectors.rows(rows), vector), index.lexical.scores_of(words, rows)
    if settings.fusion == "rrf":
        scores = reciprocal_rank_fusion([list(dense_ranks), list(lexical_ranks)], k=settings.rrf_k)
        fused = np.array([scores[row] for row in rows.tolist()])
    else:
        fused = min_max(dense, lexical, dense_weight=settings.dense_weight)
    for place in np.lexsort((rows, -fused)):
        row = int(rows[place])
        yield Candidate(
            row=row,
            dense=float(dense[place]),
            dense_rank=dense_ranks.get(row),
            lexical=float(lexical[place]),
            lexical_rank=lexical_ranks.get(row),
            fused=float(fused[place]),
        )


def _with_passages(
    candidates: Iterator[Candidate], *, index: Index, at_once: int
) -> Iterator[tuple[Candidate, Passage, str]]:
    """Yield candidates with their passages and texts, which are read a few at a time."""
    while batch := list(itertools.islice(candidates, at_once)):
        passages, texts = index.store.passages_with_texts([candidate.row for candidate in batch])
        yield from zip(batch, passages, texts, strict=True)


def _unit_range(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = scores.astype(np.float64)
    low, high = wide.min(initial=np.inf), wide.max(initial=-np.inf)
    return (wide - low) / (high - low) if high > low else np.zeros_like(wide)
