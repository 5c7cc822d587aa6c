"""The written answer: a language model puts the evidence into sentences, and what is not borne out is left out.

`TextWriter` is the seam: a model in this process (`rag.models.writer`) or behind HTTP (`rag.models.endpoint`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """A turn of a conversation with a model: `role` is "system", "user" or "assistant"."""

    role: str
    content: str


class TextWriter(Protocol):
    """Whatever writes text; its kind, model and revision stand in each answer's record."""

    @property
    def name(self) -> str:
        """Return what kind of answerer this is: "writer" or "endpoint"."""
        ...

    @property
    def model(self) -> str:
        """Return the model's name."""
        ...

    @property
    def revision(self) -> str:
        """Return what tells this model's weights from another's."""
        ...

    @property
    def context_tokens(self) -> int:
        """Return how many tokens prompt and answer may have together."""
        ...

    @property
    def parameters(self) -> int | None:
        """Return how many weights the model has; None where nobody says."""
        ...

    def count(self, text: str) -> int:
        """Return how many of the model's own tokens a text has."""
        ...

    def write(self, messages: Sequence[Message], *, max_tokens: int) -> Iterator[str]:
        """Yield the next turn piece by piece, as it is made; joined, the pieces are the turn."""
        ...
