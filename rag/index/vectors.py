"""Vectors: FAISS by inner product on unit rows, which is the cosine; higher is better, always."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag.errors import IndexBroken

if TYPE_CHECKING:
    import faiss

METRIC = "inner_product"
_UNIT_TOLERANCE = 1e-3
_CHECKED_ROWS = 1024


class VectorIndex:
    """Exact search over unit rows (n, dim) by inner product."""

    def __init__(self, index: faiss.Index) -> None:
        self._index = index

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        """Return the number of columns."""
        return int(self._index.d)

    @classmethod
    def build(cls, vectors: NDArray[np.float32]) -> VectorIndex:
        """Index rows in order; `vectors`: (n, dim) float32, unit rows.

        Raises:
            ValueError: a row is not of unit length.
        """
        import faiss

        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        _check_unit(rows, error=ValueError)
        index = faiss.IndexFlatIP(rows.shape[1])
        index.add(rows)
        return cls(index)

    def save(self, file: Path) -> None:
        """Write the index in FAISS' own format.

        Raises:
            OSError: the file cannot be written, as when the disk is full.
        """
        import faiss

        try:
            faiss.write_index(self._index, str(file))
        except RuntimeError as error:
            # FAISS tells what went wrong in words alone.
            code = errno.ENOSPC if os.strerror(errno.ENOSPC) in str(error) else errno.EIO
            raise OSError(code, os.strerror(code), str(file)) from error

    @classmethod
    def load(cls, file: Path) -> VectorIndex:
        """Open what `save` wrote.

        Raises:
            IndexBroken: FAISS cannot read the file, the metric is not the inner product, or a row is not of length 1.
        """
        import faiss

        try:
            index = faiss.read_index(str(file))
        except RuntimeError as error:
            raise IndexBroken(f"{file} is no FAISS index", hint="rebuild with: rag index --rebuild") from error
        if index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise IndexBroken(
                f"{file} measures by FAISS metric {index.metric_type}, not by inner product",
                hint="rebuild with: rag index --rebuild",
            )
        opened = cls(index)
        _check_unit(opened.rows(np.arange(min(index.ntotal, _CHECKED_ROWS))), error=IndexBroken)
        return opened

    def search(
        self, query: NDArray[np.float32], *, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the rows nearest to a query (dim,), best first, and their cosines: two arrays of at most k.

        `allowed` (n,) restricts the search before the cut, so that a filter never empties a full answer.
        """
        import faiss

        available = self.size if allowed is None else int(allowed.sum())
        # faiss pads short results with -1, so k is clamped first.
        k = min(k, available)
        if k == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        selector = None if allowed is None else faiss.IDSelectorBatch(np.flatnonzero(allowed).astype(np.int64))
        parameters = None if selector is None else faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]  # made by SWIG
        scores, rows = self._index.search(query[None, :], k, params=parameters)
        order = np.lexsort((rows[0], -scores[0]))
        return rows[0][order], scores[0][order]

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the stored vectors of the given rows: (len(numbers), dim) float32."""
        if not len(numbers):
            return np.empty((0, self.dim), np.float32)
        return np.asarray(self._index.reconstruct_batch(np.ascontiguousarray(numbers, np.int64)))


def _check_unit(rows: NDArray[np.float32], *, error: type[ValueError | IndexBroken]) -> None:
    lengths = np.linalg.norm(rows, axis=1)
    worst = float(np.abs(lengths - 1).max(initial=0))
    if not worst <= _UNIT_TOLERANCE:
        raise error(f"vectors must have length 1, one is off by {worst:.3g}")
