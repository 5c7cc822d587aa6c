"""The main text of a web page, without its navigation, and what the page says about itself."""

from __future__ import annotations

import logging
import re
import unicodedata
from dataclasses import dataclass

from rag.articles.dates import parse_date
from rag.errors import ArticleError

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_CHARSET_WITHIN_BYTES = 4096
_LANGUAGE = re.compile(r"<html\b[^>]{0,500}?\slang\s*=\s*[\"']?([A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*)", re.IGNORECASE)
_LIBRARIES = ("trafilatura", "htmldate", "courlan", "justext", "readability")


@dataclass(frozen=True, slots=True)
class Page:
    """A page's main text and its metadata; a field that the page does not give is None."""

    text: str
    fields: dict[str, str | None]


def declared_charset(content: bytes) -> str | None:
    """Return the encoding that a page names in its head, if it does."""
    match = _CHARSET.search(content[:_CHARSET_WITHIN_BYTES])
    return match[1].decode("ascii") if match else None


def read_page(html: str) -> Page:
    """Return a page's main text, tables included and comments left out, with the page's metadata.

    A page in which no main text can be told from the rest gives all its text.

    Raises:
        ArticleError: the page is too deeply nested, or cannot be parsed at all.
    """
    import trafilatura

    for library in _LIBRARIES:
        # They warn about every page that is not quite well-formed; a page that cannot be read is an ArticleError here.
        logging.getLogger(library).setLevel(logging.CRITICAL)
    try:
        document = trafilatura.bare_extraction(
            html,
            include_comments=False,
            include_tables=True,
            with_metadata=True,
            date_extraction_params={"original_date": True, "extensive_search": False},
        )
        text = getattr(document, "text", None) or trafilatura.html2txt(html)
    except RecursionError as error:
        raise ArticleError("the page is nested too deeply") from error
    except (ValueError, TypeError, AttributeError, LookupError, AssertionError) as error:
        # What lxml and trafilatura raise about a broken page differs with the break.
        raise ArticleError(f"the page cannot be parsed: {error}") from error
    language = _LANGUAGE.search(html)
    return Page(
        text=_normalised(text),
        fields={
            "title": _field(document, "title"),
            "source": _field(document, "sitename") or _field(document, "hostname"),
            "author": (_field(document, "author") or "").replace("; ", ", ") or None,
            "published": parse_date(_field(document, "date") or ""),
            "url": _field(document, "url"),
            "language": language[1] if language else None,
        },
    )


def _field(document: object, name: str) -> str | None:
    value = getattr(document, name, None)
    return _normalised(value).strip() or None if isinstance(value, str) else None


def _normalised(text: str) -> str:
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd"))
