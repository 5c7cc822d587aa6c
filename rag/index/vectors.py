"""Vectors: unit rows compared by inner product, which is the cosine; higher is better, always.

    vectors.npy       the rows, (n, dim) float32: in row order, or list by list
    lists.json        how many rows a search compares; the files below are there only if this one is
    heads.npy         the rows seen along few directions that tell them apart best, (n, fewer) float32, list by list
    directions.npy    these directions, (dim, fewer) float32
    centres.npy       the middle of each list, (lists, dim) float32, unit rows
    bounds.npy        where each list begins in vectors.npy, (lists + 1,) int64
    order.npy         which row lies at a place of vectors.npy, (n,) int32
    places.npy        at which place of it a row lies, (n,) int32

Without lists a search compares all rows. With them it goes from the list whose centre is nearest to the next, until it
has seen so many of the *allowed* rows; their heads tell which are worth comparing whole. So a filter never empties a
search, and one that few rows pass makes it exact.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.errors import IndexBroken
from rag.index.arrays import open_array, save_array

METRIC = "inner_product"
_UNIT_TOLERANCE = 1e-3
_CHECKED_ROWS = 64
_COPIED_ROWS = 4096  # at once, so that the copy stays in the processor's cache
_FEW = 0.25
_EXACT_ROWS = 8192  # so few rows that pass a filter are all compared whole
# How many of the rows with the best heads are compared whole: some for each that is asked for.
_WHOLE_ROWS = 200
_WHOLE_ROWS_EACH = 4


@dataclass(frozen=True, slots=True)
class Lists:
    """Rows sorted into lists, each around a centre; `compared` is how many allowed rows a search looks at."""

    heads: NDArray[np.float32]
    directions: NDArray[np.float32]
    centres: NDArray[np.float32]
    bounds: NDArray[np.int64]
    order: NDArray[np.int32]
    places: NDArray[np.int32]
    compared: int


class VectorIndex:
    """Search over unit rows (n, dim) by inner product: exact, or exact within the nearest lists."""

    def __init__(self, vectors: NDArray[np.float32], *, lists: Lists | None = None) -> None:
        self._vectors = vectors
        self._lists = lists

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return len(self._vectors)

    @property
    def dim(self) -> int:
        """Return the number of columns."""
        return int(self._vectors.shape[1])

    @classmethod
    def build(cls, vectors: NDArray[np.float32]) -> VectorIndex:
        """Index rows in order, for exact search; `vectors`: (n, dim) float32, unit rows.

        Raises:
            ValueError: a row is not of unit length.
        """
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        check_unit(rows, error=ValueError)
        return cls(rows)

    def save(self, folder: Path) -> None:
        """Write an index without lists; `lists.write_vectors` writes those that do not fit into memory.

        Raises:
            OSError: a file cannot be written, as when the disk is full.
        """
        folder.mkdir(parents=True, exist_ok=True)
        save_array(folder / "vectors.npy", self._vectors)

    @classmethod
    def load(cls, folder: Path) -> VectorIndex:
        """Open an index; the arrays are memory-mapped.

        Raises:
            IndexBroken: a file is missing or is no such array, or a row is not of length 1.
        """
        try:
            opened = cls(open_array(folder / "vectors.npy", np.float32, dimensions=2), lists=_load_lists(folder))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IndexBroken(f"{folder} cannot be read: {error}") from error
        # A sample from all over, so that opening takes no longer with more rows.
        sample = np.linspace(0, opened.size - 1, min(opened.size, _CHECKED_ROWS)).astype(np.int64)
        check_unit(opened._vectors[sample], error=IndexBroken)
        return opened

    def search(
        self, query: NDArray[np.float32], *, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the rows nearest to a query (dim,), best first, and their cosines: two arrays of at most k.

        `allowed` (n,) restricts the search before the cut, so that a filter never empties a full answer.
        """
        # vecdot, for a product with a matrix wakes threads, and waits long for them where the processor is in demand.
        query = np.ascontiguousarray(query, np.float32)
        # Where all rows are to be compared, lists found too little or took longer: all they say is where a row lies.
        order = None if self._lists is None else self._lists.order
        if self._lists is not None and self._lists.compared < self.size:
            rows, scores = self._search_lists(query, self._lists, k=k, allowed=allowed)
        elif allowed is None:
            rows = np.arange(self.size) if order is None else order.astype(np.int64)
            scores = np.vecdot(self._vectors, query)
        else:
            places = np.flatnonzero(allowed if order is None else allowed[order])
            # Rows that do not lie side by side are copied first: where many pass, all are compared sooner.
            few = len(places) < self.size * _FEW
            scores = _dots(self._vectors, places, query) if few else np.vecdot(self._vectors, query)[places]
            rows = places if order is None else order[places].astype(np.int64)
        return _best(rows, scores, k=k)

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the stored vectors of the given rows: (len(numbers), dim) float32."""
        places = np.asarray(numbers, np.int64)
        return self._vectors[places if self._lists is None else self._lists.places[places]]

    def _search_lists(
        self, query: NDArray[np.float32], lists: Lists, *, k: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        passing = self.size if allowed is None else int(np.count_nonzero(allowed))
        if allowed is not None and passing <= _EXACT_ROWS:
            places = _places(lists, allowed, passing=passing)
        else:
            whole = _WHOLE_ROWS + _WHOLE_ROWS_EACH * k
            # Half-way between as many lists as without a filter and as many rows: rows that pass lie farther off.
            wanted = max(int(lists.compared * math.sqrt(passing / self.size)), whole)
            places = _near_places(query, lists, wanted=wanted, whole=whole, allowed=allowed, passing=passing)
        return lists.order[places].astype(np.int64), _dots(self._vectors, places, query)


def _near_places(
    query: NDArray[np.float32],
    lists: Lists,
    *,
    wanted: int,
    whole: int,
    allowed: NDArray[np.bool_] | None,
    passing: int,
) -> NDArray[np.integer]:
    """Return the places of those `whole` rows whose heads lie nearest, of `wanted` in the nearest lists."""
    nearest = np.argsort(-np.vecdot(lists.centres, query), kind="stable")
    head = np.vecdot(lists.directions.T, query)
    if allowed is None:
        sizes = np.diff(lists.bounds)
        chosen = nearest[: _enough(sizes[nearest], wanted)]
        heads = np.concatenate([
            np.vecdot(lists.heads[lists.bounds[number] : lists.bounds[number + 1]], head) for number in chosen
        ])  # fmt: skip
        best = _highest(heads, whole)
        ends = np.cumsum(sizes[chosen])
        part = np.searchsorted(ends, best, side="right")
        return np.sort(lists.bounds[chosen + 1][part] - ends[part] + best)
    places = _places(lists, allowed, passing=passing)
    begins = np.searchsorted(places, lists.bounds.astype(places.dtype))
    chosen = np.sort(nearest[: _enough(np.diff(begins)[nearest], wanted)])
    places = np.concatenate([places[begins[number] : begins[number + 1]] for number in chosen])
    return np.sort(places[_highest(_dots(lists.heads, places, head), whole)])


def _places(lists: Lists, allowed: NDArray[np.bool_], *, passing: int) -> NDArray[np.integer]:
    """Return the places of the rows that pass a filter, in order; a few are sooner sorted than sought."""
    if passing < len(allowed) * _FEW:
        return np.sort(lists.places[np.flatnonzero(allowed)])
    return np.flatnonzero(allowed.take(lists.order))


def _highest(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return where the highest of some scores are, in no order."""
    return np.argpartition(-scores, count)[:count] if len(scores) > count else np.arange(len(scores))


def check_unit(rows: NDArray[np.float32], *, error: type[ValueError | IndexBroken]) -> None:
    """Raise an error if a row (n, dim) is not of unit length."""
    lengths = np.linalg.norm(rows, axis=1)
    worst = float(np.abs(lengths - 1).max(initial=0))
    if not worst <= _UNIT_TOLERANCE:
        raise error(f"vectors must have length 1, one is off by {worst:.3g}")


def save_lists(folder: Path, lists: Lists) -> None:
    """Write lists beside their vectors and heads."""
    for name in ("directions", "centres", "bounds", "order", "places"):
        save_array(folder / f"{name}.npy", getattr(lists, name))
    (folder / "lists.json").write_text(json.dumps({"compared": lists.compared}))


def _load_lists(folder: Path) -> Lists | None:
    about = folder / "lists.json"
    if not about.exists():
        return None
    return Lists(
        heads=open_array(folder / "heads.npy", np.float32, dimensions=2),
        directions=open_array(folder / "directions.npy", np.float32, dimensions=2),
        centres=open_array(folder / "centres.npy", np.float32, dimensions=2),
        bounds=open_array(folder / "bounds.npy", np.int64),
        order=open_array(folder / "order.npy", np.int32),
        places=open_array(folder / "places.npy", np.int32),
        compared=int(json.loads(about.read_text())["compared"]),
    )


def _dots(rows: NDArray[np.float32], places: NDArray[np.integer], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the inner products of some rows with a query."""
    dots = np.empty(len(places), np.float32)
    copied = np.empty((min(_COPIED_ROWS, len(places)), len(query)), np.float32)
    for start in range(0, len(places), _COPIED_ROWS):
        piece = places[start : start + _COPIED_ROWS]
        # Into the same memory each time, which takes half as long; with "raise" numpy would copy once more.
        np.take(rows, piece, axis=0, out=copied[: len(piece)], mode="clip")
        np.vecdot(copied[: len(piece)], query, out=dots[start : start + len(piece)])
    return dots


def _enough(sizes: NDArray[np.int64], wanted: int) -> int:
    """Return how many of the first lists hold the wanted number of rows together, all of them if it takes all."""
    return int(np.searchsorted(np.cumsum(sizes), wanted)) + 1


def _best(
    rows: NDArray[np.int64], scores: NDArray[np.float32], *, k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the k highest scores with their rows, best first, ties by row."""
    if len(rows) > k:
        # The k-th best score is the bar; all that reach it are kept until the ties are broken by row.
        kept = scores >= np.partition(scores, -k)[-k]
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))[:k]
    return rows[order].astype(np.int64), scores[order]
