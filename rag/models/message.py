"""A turn of a conversation, as the models that write read it."""

from __future__ import annotations

from typing import Protocol


class Message(Protocol):
    """A turn of a conversation with a model."""

    @property
    def role(self) -> str:
        """Return who speaks: "system", "user" or "assistant"."""
        ...

    @property
    def content(self) -> str:
        """Return what is said."""
        ...
