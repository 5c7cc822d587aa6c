"""Words and BM25: what is counted in a text, and the scores that bm25s gives for it.

bm25s' own tokenizer takes a whole run of Chinese for one word, so the words are cut here: Unicode words, English ones
stemmed, and every run of a script written without spaces as its characters and their pairs, so that any two
neighbouring characters of a sentence find it (as Lucene's CJKAnalyzer does).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import bm25s

ANALYZER = "unicode words, english stems, unspaced scripts as characters and pairs, 1"

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


def terms(text: str) -> list[str]:
    """Return the words of a text as they are indexed and matched, in reading order.

    Full-width forms are folded (NFKC), case and Latin accents too; `1,300,000` is one number without its commas.
    """
    folded = _POSSESSIVE.sub("", unicodedata.normalize("NFKC", text).casefold()).translate(_DROPPED_MARKS)
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
    """BM25 over the passages' words, by bm25s with Lucene's formula (Lù, 2024, arXiv:2407.03618)."""

    def __init__(self, engine: bm25s.BM25 | None, *, size: int) -> None:
        self._engine = engine
        self._size = size

    @classmethod
    def build(cls, texts: Iterable[Sequence[str]], *, k1: float, b: float) -> LexicalIndex:
        """Index one list of words per passage, in row order."""
        import bm25s

        words = [list(text) for text in texts]
        if not any(words):
            return cls(None, size=len(words))
        engine = bm25s.BM25(method="lucene", k1=k1, b=b)
        engine.index(words, show_progress=False)
        return cls(engine, size=len(words))

    def save(self, folder: Path) -> None:
        """Write the index as plain arrays and JSON (no pickle)."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lexical.json").write_text(json.dumps({"size": self._size, "empty": self._engine is None}))
        if self._engine is not None:
            self._engine.save(folder, allow_pickle=False, show_progress=False)

    @classmethod
    def load(cls, folder: Path) -> LexicalIndex:
        """Open what `save` wrote; the arrays are memory-mapped."""
        import bm25s

        about = json.loads((folder / "lexical.json").read_text())
        if about["empty"]:
            return cls(None, size=about["size"])
        return cls(bm25s.BM25.load(folder, mmap=True, allow_pickle=False), size=about["size"])

    def scores(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Return every passage's BM25 score for the words: (n,) float32, 0 where none of them stands."""
        known = self._known(words)
        if self._engine is None or not known:
            return np.zeros(self._size, dtype=np.float32)
        return np.asarray(self._engine.get_scores_from_ids(known), dtype=np.float32)

    def rarity(self, words: Sequence[str]) -> NDArray[np.float64]:
        """Return how telling each word is, in 0..1: its inverse document frequency, 1 if no passage has it."""
        if self._engine is None:
            return np.ones(len(words))
        starts, vocabulary = self._engine.scores["indptr"], self._engine.vocab_dict
        numbers = [vocabulary.get(word) for word in words]
        counts = np.array([0 if n is None else int(starts[n + 1] - starts[n]) for n in numbers], dtype=np.float64)
        rarity: NDArray[np.float64] = np.log1p((self._size - counts + 0.5) / (counts + 0.5))
        return rarity / float(np.log1p((self._size + 0.5) / 0.5))

    def _known(self, words: Sequence[str]) -> list[int]:
        vocabulary = {} if self._engine is None else self._engine.vocab_dict
        return [vocabulary[word] for word in words if word in vocabulary]
