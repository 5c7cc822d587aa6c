"""Whether a claim answers the question: what is true of the articles may still be beside the point.

The reading model says of a text alone how likely it answers. Its scale differs from question to question, so a claim
is held against the sentence that would be quoted in its place.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final, Protocol

from rag.index.lexical import mostly_unspaced
from rag.models.reader import Page, PassageReading

# Logits. Of sentences that answer, 97 in 100 are less than that behind the sentence that is quoted, of others near
# them 34: `python -m training.relevance`.
_BEHIND: Final = 3.0


class OneAtATime(Protocol):
    """What is asked of a reading model; `rag.models.reader.Reader` is one."""

    def read(self, question: str, passages: list[Page]) -> list[PassageReading]:
        """Return what each passage has to say to a question."""
        ...


class Relevance:
    """Tells of claims whether they answer a question about as surely as a sentence that would be quoted."""

    def __init__(self, reader: OneAtATime, question: str, *, quoted: str) -> None:
        self._reader = reader
        self._question = question
        self._quoted = quoted

    def __call__(self, claim: str) -> bool:
        """Tell whether a claim answers; always, in Chinese and Japanese, which the reading model does not know."""
        if mostly_unspaced(self._question) or mostly_unspaced(claim):
            return True
        return self._answerable(claim) >= self._bar

    @cached_property
    def _bar(self) -> float:
        return self._answerable(self._quoted) - _BEHIND

    def _answerable(self, text: str) -> float:
        # Each by itself: what a text is read with changes its last bits.
        return self._reader.read(self._question, [Page(text)])[0].answerable
