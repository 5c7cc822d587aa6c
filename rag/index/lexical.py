"""Words and BM25: what is counted in a text, and what a question's words score in every passage.

A tokenizer made for English takes a whole run of Chinese for one word, so the words are cut here: Unicode words,
English ones stemmed, and every run of a script written without spaces as its characters and their pairs, so that any
two neighbouring characters of a sentence find it (as Lucene's CJKAnalyzer does).
"""

from __future__ import annotations

import bisect
import itertools
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import IndexBroken
from rag.index.arrays import open_array

if TYPE_CHECKING:
    from opencc import OpenCC

ANALYZER = "words 2: unicode, english stems, unspaced scripts as characters and pairs, han variants as one"

_USUAL_MEMORY_BYTES = 128 * 2**20
_COMMON = 1 / 16  # a word in such a share of the passages is common
_LOOK_UP = 8  # looking a row up in a column takes as long as adding so many
_STRETCHES = 8  # for each row that is asked for: of each the highest score is looked at

# Han, kana, bopomofo, hangul, Thai, Lao, Myanmar, Khmer: written without spaces, or (hangul) with endings glued on.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3031-\u3035\u303b"
    "\u3041-\u3096\u309d-\u30ff\u3100-\u312f\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f"
    "\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_TERM = re.compile(
    rf"(?P<unspaced>[{_UNSPACED}]+)"
    r"|(?P<number>\d+(?:[.,]\d+)*)"
    r"|(?P<acronym>(?:[^\W\d_]\.){2,})"
    rf"|(?P<word>[^\W_{_UNSPACED}]+)",
)
_POSSESSIVE = re.compile(r"['’ʼ]s\b")
_DROPPED_MARKS = str.maketrans("", "", "'’ʼ")

# The stop words of Lucene's EnglishAnalyzer, and the words that ask rather than name.
_STOP_WORDS = frozenset(
    """
    a an and are as at be but by for if in into is it no not of on or such that the their then there these they this
    to was will with what which who whom whose when where why how do does did has have had were been from
    """.split()  # noqa: SIM905  # a list of strings would be forty lines
)


_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


class _Variants(dict[int, str]):
    """A table for `str.translate` that fills as it is used: Han characters in their simplified form."""

    def __missing__(self, point: int) -> str:
        character = chr(point)
        if _HAN.match(character):
            to_traditional, to_simplified = _converters()
            character = to_simplified.convert(to_traditional.convert(character))
        self[point] = character
        return character


_VARIANTS = _Variants()


@lru_cache(maxsize=1)
def _converters() -> tuple[OpenCC, OpenCC]:
    from opencc import OpenCC

    return OpenCC("jp2t"), OpenCC("t2s")


def terms(text: str) -> list[str]:
    """Return the words of a text as they are indexed and matched, in reading order.

    Full-width forms are folded (NFKC), case and Latin accents too; `1,300,000` is one number without its commas. A Han
    character is one however it is written: 發, 発 and 发 (by OpenCC, character by character).
    """
    folded = _POSSESSIVE.sub("", unicodedata.normalize("NFKC", text).casefold()).translate(_DROPPED_MARKS)
    if _HAN.search(folded):
        folded = folded.translate(_VARIANTS)
    found: list[str] = []
    for match in _TERM.finditer(folded):
        term = match.group()
        if match.lastgroup == "unspaced":
            found.extend(term)
            found.extend(first + second for first, second in pairwise(term))
        elif match.lastgroup == "number":
            found.append(term.replace(",", ""))
        elif match.lastgroup == "acronym":
            found.append(term.replace(".", ""))
        elif term not in _STOP_WORDS:
            found.append(_stem(term))
    return found


def mostly_unspaced(text: str) -> bool:
    """Tell whether most letters of a text belong to a script that is written without spaces."""
    letters = [character for character in text if character.isalpha()]
    return 2 * len(re.findall(f"[{_UNSPACED}]", "".join(letters))) > len(letters)


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    if not word.isascii():
        word = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    return str(_stemmer().stemWord(word))


@lru_cache(maxsize=1)
def _stemmer() -> Any:  # noqa: ANN401 - PyStemmer ships no types
    import Stemmer

    return Stemmer.Stemmer("english")


class LexicalIndex:
    """BM25 over the passages' words: a matrix of scores, one column per word (Lù, 2024, arXiv:2407.03618).

    The scores of a question are the sum of its words' columns. Nothing is read but these.
    """

    def __init__(
        self,
        *,
        size: int,
        vocabulary: Vocabulary,
        starts: NDArray[np.int64],
        rows: NDArray[np.int32],
        values: NDArray[np.float32],
    ) -> None:
        self._size = size
        self._vocabulary = vocabulary
        self._starts = starts
        self._rows = rows
        self._values = values
        self._found: tuple[tuple[str, ...], list[int | None]] = ((), [])

    @classmethod
    def build(
        cls,
        texts: Iterable[Sequence[str]],
        *,
        k1: float,
        b: float,
        folder: Path,
        memory_bytes: int = _USUAL_MEMORY_BYTES,
    ) -> LexicalIndex:
        """Index one list of words per passage, in row order; see `postings` for what is written."""
        from rag.index.postings import write_matrix

        write_matrix(texts, k1=k1, b=b, folder=folder, memory_bytes=memory_bytes)
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> LexicalIndex:
        """Open what `build` wrote; the arrays are memory-mapped.

        Raises:
            IndexBroken: a file is missing, or is not what `build` wrote.
        """
        try:
            return cls(
                size=json.loads((folder / "lexical.json").read_text())["size"],
                vocabulary=Vocabulary.load(folder),
                starts=open_array(folder / "starts.npy", np.int64),
                rows=open_array(folder / "rows.npy", np.int32),
                values=open_array(folder / "values.npy", np.float32),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IndexBroken(f"{folder} cannot be read: {error}") from error

    def scores(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Return every passage's BM25 score for the words: (n,) float32, 0 where none of them stands."""
        scores = np.zeros(self._size, dtype=np.float32)
        for number in self._known(words):
            self._add(number, scores)
        return scores

    def scores_of(self, words: Sequence[str], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return some passages' scores, which are those of `scores` to the bit: (len(rows),) float32."""
        scores = np.zeros(len(rows), np.float32)
        for number in self._known(words):
            scores += self._values_at(number, rows)
        return scores

    def search(
        self, words: Sequence[str], *, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the rows with the k highest scores above 0, best first, ties by row, and these scores.

        `allowed` (n,) restricts the search before the cut. What comes out is what sorting `scores` gives, but the
        columns of common words are read only where a passage could still be among the best with all that they can add
        (Turtle and Flood, "Query evaluation: strategies and optimizations", 1995, doi:10.1016/0306-4573(95)00020-H).
        """
        columns = sorted(self._known(words), key=self._count)
        counts = [self._count(number) for number in columns]
        # What the words from each one on can add at most, for questions of any length.
        most = [*itertools.accumulate(map(self._most, reversed(columns)))][::-1]
        sums = np.zeros(self._size, np.float32)
        # Sums of the same numbers in another order differ by less than this.
        exactness = 1 - (len(columns) + 2) * 2.0**-20
        taken, left = 0, sum(counts)
        rows = None
        while taken < len(columns):
            if counts[taken] > self._size * _COMMON:
                rows = _reaching(sums, k=k, more=most[taken], exactness=exactness, allowed=allowed)
                if len(rows) * (len(columns) - taken) * _LOOK_UP < left:
                    break
            self._add(columns[taken], sums)
            left -= counts[taken]
            taken += 1
        else:
            rows = _reaching(sums, k=k, more=0.0, exactness=exactness, allowed=allowed)
        found = sums[rows]
        for number in columns[taken:]:
            found += self._values_at(number, rows)
        rows = rows[_reaching(found, k=k, more=0.0, exactness=exactness, allowed=None)]
        scores = self.scores_of(words, rows)
        order = np.lexsort((rows, -scores))[:k]
        return rows[order], scores[order]

    def _count(self, number: int) -> int:
        return int(self._starts[number + 1] - self._starts[number])

    def _most(self, number: int) -> float:
        """Return what a word can add to a score at most: Lucene's formula for a passage of that word alone."""
        count = self._count(number)
        return math.log1p((self._size - count + 0.5) / (count + 0.5))

    def _add(self, number: int, scores: NDArray[np.float32]) -> None:
        """Add a word's column to scores (n,)."""
        column = slice(self._starts[number], self._starts[number + 1])
        # A column names each passage at most once, so that plain indexing adds right.
        scores[self._rows[column]] += self._values[column]

    def _values_at(self, number: int, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return what a word adds to the scores of some rows."""
        column = slice(self._starts[number], self._starts[number + 1])
        named = self._rows[column]
        # As narrow as the column, or numpy would widen all of it first.
        places = np.minimum(np.searchsorted(named, rows.astype(np.int32)), len(named) - 1)
        return np.where(named[places] == rows, self._values[column][places], np.float32(0))

    def rarity(self, words: Sequence[str]) -> NDArray[np.float64]:
        """Return how telling each word is, in 0..1: its inverse document frequency, 1 if no passage has it."""
        numbers = self._numbers(words)
        counts = np.array([0 if n is None else self._starts[n + 1] - self._starts[n] for n in numbers], np.float64)
        rarity: NDArray[np.float64] = np.log1p((self._size - counts + 0.5) / (counts + 0.5))
        return rarity / float(np.log1p((self._size + 0.5) / 0.5))

    def _numbers(self, words: Sequence[str]) -> list[int | None]:
        asked, numbers = self._found
        if asked != tuple(words):  # a question's words are looked up several times on its way
            found = {word: self._vocabulary.find(word) for word in set(words)}
            numbers = [found[word] for word in words]
            self._found = tuple(words), numbers
        return numbers

    def _known(self, words: Sequence[str]) -> list[int]:
        return [number for number in self._numbers(words) if number is not None]


def _reaching(
    sums: NDArray[np.float32], *, k: int, more: float, exactness: float, allowed: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    """Return the rows that may be among the k with the highest scores, if none gets `more` than that besides."""
    masked = sums if allowed is None else sums * allowed
    bar = _low_bar(masked, k=k) * exactness - more / exactness
    if bar > 0:
        return np.flatnonzero(masked >= bar)
    if more == 0:
        return np.flatnonzero(masked)
    return np.arange(len(sums)) if allowed is None else np.flatnonzero(allowed)


def _low_bar(sums: NDArray[np.float32], *, k: int) -> float:
    """Return a number that at least k of the sums reach, as great as can be told quickly; 0 if there are none."""
    width = max(1, len(sums) // (_STRETCHES * k))
    highest = sums[: len(sums) // width * width].reshape(-1, width).max(axis=1)
    # numpy parts an array of many zeros in several times what sorting so few numbers takes.
    return float(np.sort(highest)[-k]) if len(highest) >= k else 0.0


class Vocabulary:
    """Sorted words on disk, each found by halving: opening reads none of them."""

    def __init__(self, letters: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        # Views of memory: taking an item of an array makes an object of numpy's first.
        self._letters = letters.data
        self._offsets = offsets.data

    @classmethod
    def load(cls, folder: Path) -> Vocabulary:
        """Open `words.txt` and `words.npy`."""
        file = folder / "words.txt"
        # A file without bytes cannot be mapped.
        letters = np.memmap(file, np.uint8, "r") if file.stat().st_size else np.empty(0, np.uint8)
        return cls(np.asarray(letters.view(np.ndarray)), open_array(folder / "words.npy", np.int64))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, number: int) -> bytes:
        return self._letters[self._offsets[number] : self._offsets[number + 1]].tobytes()

    def find(self, word: str) -> int | None:
        """Return a word's number, None if it is none of them."""
        wanted = word.encode("utf-8", "surrogatepass")
        # bisect asks for the items that it compares, and for no others.
        number = bisect.bisect_left(self, wanted)
        return number if number < len(self) and self[number] == wanted else None
