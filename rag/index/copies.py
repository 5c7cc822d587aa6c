"""Copies: articles with the text of another one, or nearly so, as when a news agency's report is printed by many.

MinHash signatures of word shingles find the pairs (Broder, "On the resemblance and containment of documents", 1997,
doi:10.1109/SEQUEN.1997.666900); the shingles themselves, and the numbers in the text, decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rag.records import Article

_SHINGLE_WORDS = 3
_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")

PERMUTATIONS = 128
_SEED = 1
# 32 bands of 4 rows let a pair that is 0.7 alike pass by once in 6,000: 1 - (1 - 0.7 ** 4) ** 32.
_BAND_NUMBERS = 4
_SIMILARITY = 0.7
_SAME_NUMBERS = 0.5
_REMEMBERED_SHINGLES = 256


@dataclass(frozen=True, slots=True)
class Copy:
    """An article that has the text of another one: to the letter if `exact`, else but for small edits."""

    article: str
    of: str
    exact: bool


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Return a text's three-word shingles, of characters where it is written without spaces."""
    words = _WORD.findall(text.casefold())
    # Text without spaces is one long "word", so its characters stand in.
    units = words if len(words) * 8 > len(text) / 2 else list(text.casefold())
    if len(units) < _SHINGLE_WORDS:
        return frozenset([tuple(units)])
    return frozenset(zip(*(units[first:] for first in range(_SHINGLE_WORDS)), strict=False))


def numbers(text: str) -> list[str]:
    """Return the numbers of a text, sorted."""
    return sorted(_NUMBER.findall(text))


def own_text(article: Article) -> str:
    """Return an article's text without the furniture around it."""
    ends = [0, *(span.end for span in article.furniture)]
    starts = [*(span.start for span in article.furniture), len(article.text)]
    return " ".join(article.text[end:start] for end, start in zip(ends, starts, strict=True))


def sign(article: Article) -> bytes:
    """Return an article's MinHash signature: 128 numbers of 32 bits, little endian."""
    from rensa import RMinHash

    signature = RMinHash(num_perm=PERMUTATIONS, seed=_SEED)
    signature.update(["\x1f".join(shingle) for shingle in shingles(own_text(article))])
    return np.asarray(signature.digest(), "<u4").tobytes()


def find_copies(
    ids: Sequence[str],
    signatures: NDArray[np.uint32],
    *,
    text: Callable[[str], str],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Copy]:
    """Return the articles that are copies, by id; each names the first of its group.

    `ids` are in the order that decides who comes first, `signatures` (n, 128) are theirs; `text` returns an
    article's own text by its id; `progress` is told how many bands of how many are done. Two articles are copies
    when the Jaccard similarity of their shingles is at least 0.7, and half the numbers of the one with fewer are in
    the other too: a monthly report with new figures is no copy of the last one.
    """
    groups = list(range(len(ids)))
    features = lru_cache(maxsize=_REMEMBERED_SHINGLES)(lambda place: _features(text(ids[place])))
    different: set[tuple[int, int]] = set()
    for pair in _alike(signatures, progress):
        first, second = sorted(_root(groups, place) for place in pair)
        if first == second or pair in different:
            continue
        if _are_copies(*features(pair[0]), *features(pair[1])):
            groups[second] = first
        else:
            different.add(pair)
    copies = []
    for place, name in enumerate(ids):
        root = _root(groups, place)
        if root != place:
            copies.append(Copy(name, ids[root], text(name) == text(ids[root])))
    return sorted(copies, key=lambda copy: copy.article)


def _alike(signatures: NDArray[np.uint32], progress: Callable[[int, int], None]) -> Iterator[tuple[int, int]]:
    """Yield the places of pairs that share a band of their signatures, each next to its neighbour in that band.

    One band is sorted at a time, so no more than that is held.
    """
    bands = signatures.shape[1] // _BAND_NUMBERS
    progress(0, bands)
    for start in range(0, signatures.shape[1], _BAND_NUMBERS):
        band = np.array(signatures[:, start : start + _BAND_NUMBERS])
        order = np.lexsort(band.T)
        same = (band[order[1:]] == band[order[:-1]]).all(axis=1)
        yield from zip(order[:-1][same].tolist(), order[1:][same].tolist(), strict=True)
        progress(start // _BAND_NUMBERS + 1, bands)


def _features(text: str) -> tuple[frozenset[tuple[str, ...]], set[str]]:
    return shingles(text), set(numbers(text))


def _are_copies(
    one: frozenset[tuple[str, ...]],
    one_numbers: set[str],
    other: frozenset[tuple[str, ...]],
    other_numbers: set[str],
) -> bool:
    if len(one & other) < _SIMILARITY * len(one | other):
        return False
    return len(one_numbers & other_numbers) >= _SAME_NUMBERS * min(len(one_numbers), len(other_numbers))


def _root(groups: list[int], place: int) -> int:
    while groups[place] != place:
        groups[place] = groups[groups[place]]
        place = groups[place]
    return place
