"""The main text of a web page, without its navigation, and what the page says about itself."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rag.articles.dates import parse_date
from rag.articles.decode import decode
from rag.articles.extract import Extract, normalised
from rag.errors import ArticleError

if TYPE_CHECKING:
    from lxml.etree import _Element

_CHARSET = re.compile(
    rb"(?:<meta[^>]{0,200}?charset\s*=|<\?xml[^>]{0,100}?encoding\s*=)\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})",
    re.IGNORECASE,
)
_CHARSET_WITHIN_BYTES = 4096
_LANGUAGE = re.compile(r"<html\b[^>]{0,500}?\slang\s*=\s*[\"']?([A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*)", re.IGNORECASE)
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "caption",
        "center",
        "dd",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tr",
        "ul",
    ]
)
# The reading beside a character (ruby) says again what the character says.
_UNSEEN = frozenset({"head", "math", "rp", "rt", "script", "style", "svg", "template"})
_RUBY = re.compile(
    r"<(?P<reading>r[tp])\b[^<>]*>(?:(?!</?(?:r[bpt]|rtc|ruby)\b)<[^<>]*>|[^<])*(?:</(?P=reading)\s*>|(?=<(?:r[bpt]\b|/ruby)))|</?(?:ruby|rb|rtc)\b[^<>]*>",
    re.IGNORECASE,
)
_BLOCK = "\0"
_LINE_BREAK = "\v"
_BREAKS = {"br": _LINE_BREAK, "td": " | ", "th": " | "}
_LIBRARIES = ("trafilatura", "htmldate", "courlan", "justext", "readability")


def declared_charset(content: bytes) -> str | None:
    """Return the encoding that a page names in its head, if it does."""
    match = _CHARSET.search(content[:_CHARSET_WITHIN_BYTES])
    return match[1].decode("ascii") if match else None


def read_html(content: bytes) -> Extract:
    """Return a page's main text, tables included and comments left out, with the page's metadata.

    A page in which no main text can be told from the rest gives all its text.

    Raises:
        ArticleError: the page is too deeply nested, cannot be parsed at all, or is binary.
    """
    import trafilatura

    html = without_readings(decode(content, declared=declared_charset(content), nfc=False))
    if _parsed(html) is None:
        return Extract(text="")

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
        text = getattr(document, "text", None) or text_of_markup(html)
    except RecursionError as error:
        raise ArticleError("the page is nested too deeply") from error
    except (ValueError, TypeError, AttributeError, LookupError, AssertionError) as error:
        # What lxml and trafilatura raise about a broken page differs with the break.
        raise ArticleError(f"the page cannot be parsed: {error}") from error
    language = _LANGUAGE.search(html)
    return Extract(
        text=normalised(text).strip(),
        fields={
            "title": _field(document, "title"),
            "source": _field(document, "sitename") or _field(document, "hostname"),
            "author": (_field(document, "author") or "").replace("; ", ", ") or None,
            "published": parse_date(_field(document, "date") or ""),
            "url": _field(document, "url"),
            "language": language[1] if language else None,
        },
    )


def without_readings(page: str) -> str:
    """Return a page without the readings beside its characters (ruby), which trafilatura takes for their neighbours."""
    return _RUBY.sub("", page) if "<ruby" in page.lower() else page


def text_of_page(content: bytes, *, declared: str | None) -> str:
    """Return all the text of a page whose every word is the author's, as in a book: a blank line between blocks.

    Raises:
        ArticleError: the page is nested too deeply, is binary, or is in no known encoding.
    """
    return text_of_markup(decode(content, declared=declared, nfc=False))


def text_of_markup(page: str) -> str:
    """Return all the text of a page, or of a part of one, as `text_of_page` does.

    Raises:
        ArticleError: it is nested too deeply.
    """
    root = _parsed(page)
    if root is None:
        return ""
    pieces = "".join(_pieces(root)).split(_BLOCK)
    return "\n\n".join(block for piece in pieces if (block := _tidied(piece)))


def _parsed(page: str) -> _Element | None:
    """Return the root of a page, or None for an empty one; what stands too deep would be left out without a word."""
    from lxml import etree, html

    parser = html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        root = html.document_fromstring(page.encode(errors="replace"), parser=parser)
    except etree.ParserError:
        return None
    except (etree.LxmlError, ValueError, AssertionError) as error:
        raise ArticleError(f"the page cannot be parsed: {error}") from error
    if any("depth" in entry.message for entry in parser.error_log):
        raise ArticleError("the page is nested too deeply")
    return root


def _pieces(root: _Element) -> Iterator[str]:
    """Yield the text of a page with a mark where a block begins or ends."""
    from lxml import etree

    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        if event == "start":
            if element.tag in _BLOCKS:
                yield _BLOCK
            if element.tag in _UNSEEN:
                walk.skip_subtree()
            else:
                yield _BREAKS.get(element.tag, "")
                yield (element.text or "").replace(_BLOCK, "")
        else:
            if element.tag in _BLOCKS:
                yield _BLOCK
            yield (element.tail or "").replace(_BLOCK, "")


def _tidied(piece: str) -> str:
    lines = (" ".join(line.split()) for line in piece.replace("\n", " ").split(_LINE_BREAK))
    return "\n".join(line for line in lines if line).removeprefix("| ")


def _field(document: object, name: str) -> str | None:
    value = getattr(document, name, None)
    return normalised(value).strip() or None if isinstance(value, str) else None
