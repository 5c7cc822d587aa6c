"""The BM25 matrix, made in bounded memory: counted in sorted runs that are put on disk, then merged column by column.

Single-pass in-memory indexing (Heinz and Zobel, "Efficient single-pass index construction for text databases", 2003,
doi:10.1002/asi.10268). The scores are those of bm25s to the last bit, which a test holds.

    words.txt         every word in UTF-8, sorted by its bytes, without anything between them
    words.npy         where each word begins in it: (words + 1,) int64
    starts.npy        where each word's column begins: (words + 1,) int64
    rows.npy          the passages of each column, ascending: (postings,) int32
    values.npy        their scores: (postings,) float32
    lexical.json      how many passages there are
"""

from __future__ import annotations

import heapq
import itertools
import json
import math
import shutil
import tempfile
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.index.arrays import ArrayWriter, open_array, save_array

# What a word takes while it is counted (its number twice, its row, the key that is sorted), and what a new one does.
_TOKEN_BYTES = 40
_WORD_BYTES = 200
_POSTING_BYTES = 88


def write_matrix(
    texts: Iterable[Sequence[str]],
    *,
    k1: float,
    b: float,
    folder: Path,
    memory_bytes: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Write the matrix of scores for one list of words per passage, in row order, by Lucene's formula.

    `memory_bytes` bounds what is held at once, but for some bytes per passage, per word, and per word of a run.
    `progress` is told, once all is counted, how many columns of how many are written.

    Raises:
        OSError: the folder cannot be written, as when the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Beside the result, as the folder for temporary files may be a small one in memory.
    runs_folder = Path(tempfile.mkdtemp(prefix="runs-", dir=folder))
    try:
        lengths, runs = _count(texts, runs_folder, memory_bytes=memory_bytes)
        frequencies = _merge_words(runs, folder)
        starts = np.concatenate([[0], np.cumsum(frequencies)]).astype(np.int64)
        save_array(folder / "starts.npy", starts)
        columns = _Columns(runs, starts, lengths, k1=k1, b=b)
        columns.write(folder, most_postings=max(1, memory_bytes // _POSTING_BYTES), progress=progress)
        (folder / "lexical.json").write_text(json.dumps({"size": len(lengths)}))
    finally:
        shutil.rmtree(runs_folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Run:
    """A stretch of passages, counted: its words sorted, and for each its passages with how often it stands there."""

    folder: Path

    @property
    def starts(self) -> NDArray[np.int64]:
        """Return where the postings of each of the run's words begin."""
        return open_array(self.folder / "starts.npy", np.int64)

    @property
    def numbers(self) -> NDArray[np.int32]:
        """Return the number that each of the run's words has among all words: ascending, like the words."""
        return open_array(self.folder / "numbers.npy", np.int32)

    def words(self) -> Iterator[tuple[bytes, int]]:
        """Yield the words with how many passages hold them."""
        starts = self.starts
        with (self.folder / "words").open("rb") as stream:
            for number, word in enumerate(stream):
                yield word[:-1], int(starts[number + 1] - starts[number])

    def postings(self, start: int, end: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return passages and counts."""
        rows, counts = (open_array(self.folder / f"{name}.npy", np.int32)[start:end] for name in ("rows", "counts"))
        return rows, counts


def _count(texts: Iterable[Sequence[str]], folder: Path, *, memory_bytes: int) -> tuple[NDArray[np.int32], list[_Run]]:
    runs: list[_Run] = []
    lengths, tokens, known = array("i"), array("i"), _numbering()
    first = 0
    for text in texts:
        tokens.extend(map(known.__getitem__, text))
        lengths.append(len(text))
        if len(tokens) * _TOKEN_BYTES + len(known) * _WORD_BYTES > memory_bytes:
            runs.append(_write_run(folder / f"{len(runs)}", tokens, lengths[first:], list(known), first=first))
            tokens, known, first = array("i"), _numbering(), len(lengths)
    if tokens:
        runs.append(_write_run(folder / f"{len(runs)}", tokens, lengths[first:], list(known), first=first))
    return np.array(lengths, np.int32), runs


def _numbering() -> defaultdict[str, int]:
    # Not its own length: a dictionary that refers to itself is not freed when it is dropped.
    return defaultdict(itertools.count().__next__)


def _write_run(folder: Path, tokens: array[int], lengths: array[int], words: Sequence[str], *, first: int) -> _Run:
    folder.mkdir()
    encoded = [word.encode("utf-8", "surrogatepass") for word in words]
    order = sorted(range(len(encoded)), key=encoded.__getitem__)
    with (folder / "words").open("wb") as stream:
        stream.writelines(encoded[number] + b"\n" for number in order)
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    # One number for the word and the passage, so that one sort puts both in order.
    keys = ranks[np.frombuffer(tokens, np.int32)] * len(lengths)
    keys += np.repeat(np.arange(len(lengths)), np.frombuffer(lengths, np.int32))
    keys.sort()
    begins = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    held = keys[begins]
    save_array(folder / "counts.npy", np.diff(np.append(begins, len(keys))).astype(np.int32))
    save_array(folder / "rows.npy", (held % len(lengths) + first).astype(np.int32))
    save_array(folder / "starts.npy", np.searchsorted(held // len(lengths), np.arange(len(order) + 1)).astype(np.int64))
    return _Run(folder)


def _merge_words(runs: Sequence[_Run], folder: Path) -> NDArray[np.int64]:
    """Write all words once, tell each run their numbers, and return how many passages hold each."""
    frequencies, offsets = array("q"), array("q", [0])
    numbers = [array("i") for _ in runs]
    with (folder / "words.txt").open("wb") as stream:
        named = heapq.merge(*(_named(run, place) for place, run in enumerate(runs)))
        for word, group in groupby(named, key=itemgetter(0)):
            total = 0
            for _, place, count in group:
                numbers[place].append(len(frequencies))
                total += count
            frequencies.append(total)
            offsets.append(offsets[-1] + stream.write(word))
    save_array(folder / "words.npy", np.array(offsets, np.int64))
    for run, own in zip(runs, numbers, strict=True):
        save_array(run.folder / "numbers.npy", np.array(own, np.int32))
    return np.array(frequencies, np.int64)


def _named(run: _Run, place: int) -> Iterator[tuple[bytes, int, int]]:
    return ((word, place, count) for word, count in run.words())


class _Columns:
    """Writes the columns in order, as many at once as fit."""

    def __init__(
        self, runs: Sequence[_Run], starts: NDArray[np.int64], lengths: NDArray[np.int32], *, k1: float, b: float
    ) -> None:
        self._runs = runs
        self._starts = starts
        mean = float(lengths.mean()) if lengths.any() else 1.0
        self._bounds = k1 * ((1 - b) + b * lengths / mean)
        size = len(lengths)
        counts = np.diff(starts).tolist()
        rarity = (math.log(1 + (size - count + 0.5) / (count + 0.5)) for count in counts)
        self._rarity = np.fromiter(rarity, np.float32, len(counts))  # bm25s rounds it here, too

    def write(self, folder: Path, *, most_postings: int, progress: Callable[[int, int], None]) -> None:
        """Write passages and scores."""
        postings = int(self._starts[-1])
        with (
            ArrayWriter(folder / "rows.npy", shape=(postings,), dtype=np.int32) as rows_writer,
            ArrayWriter(folder / "values.npy", shape=(postings,), dtype=np.float32) as values_writer,
        ):
            first = 0
            while first < len(self._rarity):
                fitting = int(np.searchsorted(self._starts, self._starts[first] + most_postings, side="right")) - 1
                end = max(first + 1, fitting)
                # A column that is too long by itself is written run by run, as their passages follow each other.
                pieces = [self._runs] if fitting > first else [[run] for run in self._runs]
                for runs in pieces:
                    rows, values = self._columns(runs, first, end)
                    rows_writer.write(rows)
                    values_writer.write(values)
                first = end
                progress(end, len(self._rarity))

    def _columns(self, runs: Sequence[_Run], first: int, end: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        words, rows, counts = (
            np.concatenate(column) for column in zip(*(_part(run, first, end) for run in runs), strict=True)
        )
        # Runs hold ascending passages one after the other, so a stable sort by words is one by passages, too.
        order = np.argsort(words, kind="stable")
        words, rows, counts = words[order], rows[order], counts[order]
        return rows, self._rarity[words] * (counts / (self._bounds[rows] + counts))


def _part(run: _Run, first: int, end: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    numbers, starts = run.numbers, run.starts
    low, high = np.searchsorted(numbers, [first, end])
    rows, counts = run.postings(int(starts[low]), int(starts[high]))
    return np.repeat(numbers[low:high], np.diff(starts[low : high + 1])), rows, counts
