"""Writes the vectors of a generation in bounded memory, and decides by measurement how they are searched.

Few rows are all compared. From `lists_from` rows on they are sorted into lists around centres that k-means finds; some
of the rows, as questions, then tell how many rows a search has to compare until it finds nearly all that a comparison
with every row finds. If that takes no less time, every row is compared.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rag.index.arrays import ArrayWriter
from rag.index.vectors import Lists, VectorIndex, check_unit, save_lists

# Lists are quicker from 20,000 rows on, but an eighth of so few finds less than 95 % (benchmarks/VECTORS.md).
LISTS_FROM = 50_000
_LISTS_PER_ROOT = 4  # lists, per square root of the number of rows
_ROWS_PER_CENTRE = 40  # that k-means learns from
_ROUNDS = 8
_HEAD_PART = 3  # a head is this part of a row,
_LEAST_HEAD = 64  # but no shorter than this
_SEED = 1
_QUESTIONS = 200
_QUESTIONS_AT_ONCE = 20
_NEAREST = 10
# Questions lie farther from the passages than these from each other: what passages find has to be nearly all, and an
# eighth of all rows is looked at in any case. From 50,000 rows on, that finds 95 % of them for real questions
# (benchmarks/VECTORS.md).
_RECALL = 0.98
_SHARES = (1 / 8, 1 / 6, 1 / 4)  # of all rows, are tried, from the smallest
_MOST_ROWS_AT_ONCE = 16_384


# A stage ("sorting", "vectors", "measuring"), how much of it is done, and how much there is.
Progress: TypeAlias = Callable[[str, int, int], None]


class Rows(Protocol):
    """Where the vectors come from: unit rows, by their numbers."""

    @property
    def size(self) -> int:
        """Return how many there are."""
        ...

    @property
    def dim(self) -> int:
        """Return the length of a vector."""
        ...

    def take(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return vectors: (len(numbers), dim) float32."""
        ...


@dataclass(frozen=True, slots=True)
class Search:
    """How a generation's vectors are searched, and what the choice rests on.

    `compared` is how many rows are compared with a question, `recall_at_10` how many of the ten nearest are found of
    those that a comparison with every row finds. Times are of the processor, for one question; None where nothing had
    to be measured.
    """

    kind: Literal["flat", "lists"]
    compared: int
    recall_at_10: float = 1.0
    flat_ms: float | None = None
    lists_ms: float | None = None


def write_vectors(rows: Rows, *, folder: Path, memory_bytes: int, lists_from: int, progress: Progress) -> Search:
    """Write the vectors into a new folder, and return how they are to be searched.

    `memory_bytes` bounds what is held at once, but for sixteen bytes a row.

    Raises:
        ValueError: a row is not of unit length.
        OSError: a file cannot be written, as when the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    at_once = max(1, min(_MOST_ROWS_AT_ONCE, memory_bytes // (16 * rows.dim)))
    if rows.size < max(lists_from, _NEAREST + 2):
        _write(rows, np.arange(rows.size), folder, at_once=at_once, progress=progress)
        return Search("flat", rows.size)
    centres, directions = _learn(rows, memory_bytes=memory_bytes, progress=progress)
    questions = np.linspace(0, rows.size - 1, min(_QUESTIONS, rows.size)).astype(np.int64)
    numbers, exact, flat_ms = _assign(rows, centres, questions, at_once=at_once, progress=progress)
    order = np.argsort(numbers, kind="stable").astype(np.int32)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=len(centres)))]).astype(np.int64)
    _write(rows, order, folder, at_once=at_once, progress=progress, directions=directions)
    places = np.empty(len(order), np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    lists = Lists(np.empty((0, 0), np.float32), directions, centres, bounds, order, places, rows.size)
    for share in _SHARES:
        compared = math.ceil(share * rows.size)
        lists = replace(lists, compared=compared)
        save_lists(folder, lists)
        recall, lists_ms = _measure(rows, folder, questions, exact, progress)
        if recall >= _RECALL:
            if lists_ms < flat_ms:
                return Search("lists", compared, round(recall, 4), round(flat_ms, 2), round(lists_ms, 2))
            break  # a larger share takes longer still
    save_lists(folder, replace(lists, compared=rows.size))
    return Search("flat", rows.size, 1.0, round(flat_ms, 2), round(lists_ms, 2))


def _write(
    rows: Rows,
    order: NDArray[np.integer],
    folder: Path,
    *,
    at_once: int,
    progress: Progress,
    directions: NDArray[np.float32] | None = None,
) -> None:
    with contextlib.ExitStack() as files:
        shape = (rows.size, rows.dim)
        writer = files.enter_context(ArrayWriter(folder / "vectors.npy", shape=shape, dtype=np.float32))
        heads = None
        if directions is not None:
            shape = (rows.size, directions.shape[1])
            heads = files.enter_context(ArrayWriter(folder / "heads.npy", shape=shape, dtype=np.float32))
        for start, end in _stretches(rows.size, at_once):
            piece = rows.take(order[start:end].astype(np.int64))
            check_unit(piece, error=ValueError)
            writer.write(piece)
            if heads is not None and directions is not None:
                heads.write(piece @ directions)
            progress("vectors", end, rows.size)


def _learn(rows: Rows, *, memory_bytes: int, progress: Progress) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the lists' centres, and the directions along which the rows differ most, from a sample of them."""
    import faiss

    count = min(rows.size, round(_LISTS_PER_ROOT * math.sqrt(rows.size)))
    fitting = max(count, memory_bytes // (12 * rows.dim))
    learnt_from = min(rows.size, fitting, _ROWS_PER_CENTRE * count)
    sample = np.ascontiguousarray(rows.take(np.linspace(0, rows.size - 1, learnt_from).astype(np.int64)))
    means = faiss.Kmeans(
        rows.dim, count, niter=1, seed=_SEED, spherical=True, min_points_per_centroid=1,
        max_points_per_centroid=max(_ROWS_PER_CENTRE, math.ceil(learnt_from / count)),
    )  # fmt: skip
    centres = None
    progress("sorting", 0, _ROUNDS)
    for done in range(1, _ROUNDS + 1):  # to the bit what as many rounds in one call give
        means.train(sample, init_centroids=centres)
        centres = means.centroids
        progress("sorting", done, _ROUNDS)
    # Not centred: what is wanted is the inner product itself, kept as well as few numbers can.
    _, directions = np.linalg.eigh(sample.T @ sample)
    kept = max(min(rows.dim, _LEAST_HEAD), rows.dim // _HEAD_PART)
    return np.asarray(means.centroids, np.float32), np.ascontiguousarray(directions[:, ::-1][:, :kept], np.float32)


def _assign(
    rows: Rows, centres: NDArray[np.float32], questions: NDArray[np.int64], *, at_once: int, progress: Progress
) -> tuple[NDArray[np.int32], NDArray[np.int64], float]:
    """Return each row's list, the rows nearest to each question, and the processor's ms for comparing all rows."""
    import faiss

    index = faiss.IndexFlatIP(rows.dim)
    index.add(centres)
    asked = rows.take(questions)
    numbers = np.empty(rows.size, np.int32)
    best_rows = np.empty((len(questions), 0), np.int64)
    best_scores = np.empty((len(questions), 0), np.float32)
    flat_s = 0.0
    for start, end in _stretches(rows.size, at_once):
        piece = rows.take(np.arange(start, end))
        numbers[start:end] = index.search(piece, 1)[1][:, 0]
        # Of the processor: by the clock, whatever else runs on the machine would have its say.
        started = time.thread_time()
        np.vecdot(piece, asked[0])
        flat_s += time.thread_time() - started
        best_scores = np.hstack([best_scores, asked @ piece.T])
        best_rows = np.hstack([best_rows, np.broadcast_to(np.arange(start, end), (len(questions), end - start))])
        # One more, as a question finds itself.
        best = np.argpartition(-best_scores, min(_NEAREST, best_scores.shape[1] - 1), axis=1)[:, : _NEAREST + 1]
        best_rows = np.take_along_axis(best_rows, best, axis=1)
        best_scores = np.take_along_axis(best_scores, best, axis=1)
        progress("listing", end, rows.size)
    return numbers, best_rows, flat_s * 1000


def _measure(
    rows: Rows, folder: Path, questions: NDArray[np.int64], exact: NDArray[np.int64], progress: Progress
) -> tuple[float, float]:
    """Return the recall at 10 and the milliseconds of the processor that a search takes."""
    found, times = [], []
    for start, end in _stretches(len(questions), _QUESTIONS_AT_ONCE):
        # Opened anew, so that what was mapped of it is let go again.
        index = VectorIndex.load(folder)
        for number, vector, expected in zip(
            questions[start:end], rows.take(questions[start:end]), exact[start:end], strict=True
        ):
            started = time.thread_time()
            nearest, _ = index.search(vector, k=_NEAREST + 1)
            times.append((time.thread_time() - started) * 1000)
            wanted = [row for row in expected if row != number][:_NEAREST]
            found.append(len(np.intersect1d(nearest, wanted)) / len(wanted))
            progress("measuring", len(found), len(questions))
    return float(np.mean(found)), float(np.median(times))


def _stretches(size: int, at_once: int) -> Iterator[tuple[int, int]]:
    return ((start, min(size, start + at_once)) for start in range(0, size, at_once))
