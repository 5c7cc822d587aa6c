"""What a format's reader takes out of a file, and the forms that all text has from there on."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

_NO_TEXT = re.compile("[\0-\x08\x0e-\x1f\ud800-\udfff]")
_NO_TITLE = re.compile(
    r"microsoft (?:word|powerpoint) - .*|(?:untitled|document|docx?|pdf|slide)[ _-]?\d*|\S+\.\w{2,5}", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Extract:
    """A document's text and metadata: its fields, None where the document gives none, and others by name."""

    text: str
    fields: Mapping[str, str | None] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """One of a document's articles: its own id if it has one, its text, everything else by name, and its first line."""

    id: str | None
    text: str
    values: Mapping[str, str]
    line: int = 1


@dataclass(frozen=True, slots=True)
class Unread:
    """One of a document's articles that cannot be read, and why; `empty` if there is nothing in it to read."""

    reason: str
    empty: bool = False


def normalised(text: str) -> str:
    r"""Return a text in NFC with lines ended by `\n`; what is no character of a text becomes U+FFFD."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")
    return unicodedata.normalize("NFC", _NO_TEXT.sub("\ufffd", lines))


def one_line(text: str | None) -> str | None:
    """Return a metadata value without line ends and the space around it, or None if nothing is left."""
    return " ".join(normalised(text or "").split()) or None


def title_of_program(written: str | None) -> str | None:
    """Return the title in a document's properties, unless it is what a program writes there: a file's name."""
    title = one_line(written)
    return None if title is None or _NO_TITLE.fullmatch(title) else title
