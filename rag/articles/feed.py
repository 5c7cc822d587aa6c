"""Feeds: RSS 2.0 and its forerunners, RSS 1.0 (RDF), and Atom; each item or entry is an article.

Read with lxml, which is here anyway, by the same guarded parser as Word and EPUB. feedparser, the library for it, is
maintained and under a permissive licence, but a file that breaks off in the middle gives a part of it and nothing says
so; it cleans the HTML by rules of its own before anyone else sees it; and it can fetch, for which it imports sockets
and TLS. What is needed of the formats is a dozen names.

An item holds no navigation that its text would have to be told from, and looking for a main text drops short lists and
captions. So an item's text is all the text of its HTML, as with a book's chapters; furniture is marked as in any page.
"""

from __future__ import annotations

import contextlib
import email.utils
import html
import re
from collections.abc import Iterator, Mapping
from html.entities import html5
from typing import TYPE_CHECKING

from rag.articles.archive import GUARDED
from rag.articles.dates import parse_date
from rag.articles.decode import decode
from rag.articles.extract import Item, Unread, normalised, one_line
from rag.articles.feed_kind import ATOM_NAMESPACES, RSS_NAMESPACES
from rag.articles.html import declared_charset, text_of_markup
from rag.errors import ArticleEmpty, ArticleError

if TYPE_CHECKING:
    from lxml.etree import _Element

# The names that an element has here: bare in RSS and Atom, with a prefix in these.
_PREFIXES = {
    "http://purl.org/rss/1.0/modules/content/": "content:",
    "http://purl.org/dc/elements/1.1/": "dc:",
    "http://purl.org/dc/terms/": "dcterms:",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#": "rdf:",
    **dict.fromkeys(["", *RSS_NAMESPACES, *ATOM_NAMESPACES], ""),
}
_ROOTS = frozenset({"rss", "rdf:RDF", "feed"})
_ITEMS = frozenset({"item", "entry"})
# From the fullest text to the shortest.
_TEXTS = ("content:encoded", "content", "description", "summary")
_DATES = ("pubDate", "published", "issued", "dc:date", "dcterms:issued", "dcterms:created", "updated", "modified")
_XML = "{http://www.w3.org/XML/1998/namespace}"
_ABOUT = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about"
_LONGEST_ID = 500
_SHOWN_CHARACTERS = 40

_DECLARATION = re.compile(r"\A\s*<\?xml\s[^>]*\?>")
_BEFORE_ROOT = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)
_OWN_TYPE = re.compile(r"<!DOCTYPE[^>\[]*\[", re.IGNORECASE)
_TAG = re.compile(r"<[A-Za-z/!]")
_EMAIL = re.compile(r"\S+@\S+\s*\((?P<name>[^()]+)\)")
# Slips that are common and can mean one thing only. What is not closed runs to the end, so it is looked at once.
_SLIP = re.compile(
    r"<!\[CDATA\[(?:.*?\]\]>|.*\Z)|<!--(?:.*?-->|.*\Z)|&(?:#(?P<number>[xX]?[0-9A-Fa-f]{1,8});|(?P<name>\w+;)|)",
    re.DOTALL,
)
_NO_XML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_OF_XML = frozenset({"amp;", "lt;", "gt;", "quot;", "apos;"})
_LAST_CHARACTER = 0x10FFFF


def read_feed(content: bytes) -> list[Item | Unread]:
    """Return what became of each item, in the order of the file.

    A file that breaks off gives the items before the break, and as the last thing where it breaks.

    Raises:
        ArticleEmpty: there are no items.
        ArticleError: it is no feed, declares entities or is broken before the first item ends.
    """
    text = decode(content, declared=declared_charset(content), nfc=False)
    if _OWN_TYPE.match(text, _end_of(_BEFORE_ROOT, text)):
        raise ArticleError("it declares a document type of its own, in which entities could be, and that is refused")
    elements, broken = _parsed(_mended(text))
    if not elements:
        raise broken or ArticleEmpty("it holds no items")
    told = _Channel(elements[0])
    seen: dict[str, int] = {}
    found = [_read_item(element, told, seen, number) for number, element in enumerate(elements, start=1)]
    return found if broken is None else [*found, Unread(broken.message)]


def _end_of(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0


def _mended(text: str) -> str:
    """Return a feed without the slips of those who glue XML together: HTML's names for characters, a bare ampersand.

    The declaration goes too: it names the encoding that the text was in. Lines stay where they are.
    """
    plain = _DECLARATION.sub(lambda match: "\n" * match[0].count("\n"), text, count=1)
    return _SLIP.sub(_mend, _NO_XML.sub("\ufffd", plain))


def _mend(match: re.Match[str]) -> str:
    written: str = match[0]
    if not written.startswith("&"):
        return written
    if number := match["number"]:
        value = int(number[1:], 16) if number[0] in "xX" else int(number) if number.isdecimal() else 0
        named = chr(value) if value <= _LAST_CHARACTER else "\0"
        return "\ufffd" if _NO_XML.match(named) else written
    name = match["name"]
    if name in _OF_XML:
        return written
    return html.escape(html5[name]) if name in html5 else f"&amp;{written[1:]}"


def _parsed(text: str) -> tuple[list[_Element], ArticleError | None]:
    """Return the items that are whole, and what is wrong behind them."""
    from lxml import etree

    parser = etree.XMLPullParser(events=("start", "end"), encoding="utf-8", **GUARDED)
    broken = None
    try:
        parser.feed(text.encode())
        parser.close()
    except etree.XMLSyntaxError as error:
        # A prefix that nobody declared is an error after which reading goes on, and so no break.
        last = error.error_log.last_error
        if last is None or last.level_name == "FATAL":
            told = error.msg if last is None else f"{last.message}, line {last.line}"
            broken = ArticleError(f"not XML: {told}; nothing behind it is read")
    items: list[_Element] = []
    root = None
    for event, element in parser.read_events():
        if root is None:
            root = element
            if _name(root) not in _ROOTS:
                raise ArticleError(f"it is no feed: its first element is <{_bare(root)[:_SHOWN_CHARACTERS]}>")
        if event == "end" and _name(element) in _ITEMS and _is_listed(element, root):
            items.append(element)
    return items, broken


def _is_listed(element: _Element, root: _Element) -> bool:
    above = element.getparent()
    return above is root or (above is not None and above.getparent() is root and _name(above) == "channel")


def _name(element: _Element) -> str | None:
    """Return an element's name without namespace, with the prefix of those that are known; None for any other."""
    if not isinstance(element.tag, str):  # a comment or an instruction
        return None
    namespace, _, name = element.tag[1:].rpartition("}") if element.tag[0] == "{" else ("", "", element.tag)
    prefix = _PREFIXES.get(namespace)
    return None if prefix is None else prefix + name


def _children(element: _Element, name: str) -> Iterator[_Element]:
    return (child for child in element if _name(child) == name)


def _bare(element: _Element) -> str:
    return str(element.tag).rpartition("}")[2]


class _Channel:
    """What a feed says of itself, which holds for items that say nothing else."""

    def __init__(self, item: _Element) -> None:
        root = item.getroottree().getroot()
        channel = next(_children(root, "channel"), root)
        self.title = _line(channel, "title")
        self.authors = _authors(channel)
        self.language = _line(channel, "language") or _line(channel, "dc:language") or one_line(root.get(f"{_XML}lang"))


def _read_item(element: _Element, told: _Channel, seen: dict[str, int], number: int) -> Item | Unread:
    url = _link(element)
    own = next((value for name in ("guid", "id") if (value := _line(element, name))), None)
    own = _as_id(own or element.get(_ABOUT))
    if own in seen:
        return Unread(f"it has the id {own}, and so has item {seen[own]}")
    if own is None and (linked := _as_id(url)) not in seen:  # two may lead to one page; an id is said to be one
        own = linked
    if own is not None:
        seen[own] = number
    try:
        values = {name: value for name, value in _values(element, told, url).items() if value}
        text = _text(element) or values.get("title", "")
    except ArticleError as error:
        return Unread(error.message)
    return Item(own, text, values, line=element.sourceline or 1) if text else Unread("it holds no text", empty=True)


def _as_id(written: str | None) -> str | None:
    value = one_line(written)
    return value if value is not None and len(value) <= _LONGEST_ID else None


def _values(element: _Element, told: _Channel, url: str | None) -> Mapping[str, str | None]:
    source = next(_children(element, "source"), None)
    written = next((value for name in _DATES if (value := _line(element, name))), None)
    categories = [one_line(child.get("term") or child.text) for child in _children(element, "category")]
    return {
        "title": _line(element, "title"),
        "source": (None if source is None else _line(source, "title") or _flat(source)) or told.title,
        "author": ", ".join(_authors(element) or told.authors),
        "published": None if written is None else _date(written) or written,
        "language": one_line(element.get(f"{_XML}lang")) or _line(element, "dc:language") or told.language,
        "url": url,
        "categories": ", ".join(category for category in categories if category),
    }


def _date(written: str) -> str | None:
    """Return the day of a date in ISO form, if it is one of mail (RFC 822, with its short years) or any other."""
    if iso := parse_date(written):
        return iso
    try:
        day = email.utils.parsedate(written) if re.search("[A-Za-z]{3}", written) else None
        return None if day is None else parse_date(f"{day[0]:04}-{day[1]:02}-{day[2]:02}")
    except (ValueError, IndexError, TypeError):  # what it raises about odd dates has changed over the years
        return None


def _authors(element: _Element) -> list[str]:
    """Return the names of Atom's authors, or who RSS names, without the address before the name."""
    found = []
    for name in ("author", "dc:creator"):
        for child in _children(element, name):
            written = _line(child, "name") or _flat(child)
            if written:
                match = _EMAIL.fullmatch(written)
                found.append(match["name"].strip() if match else written)
    return list(dict.fromkeys(found))


def _link(element: _Element) -> str | None:
    """Return the address of the item's page."""
    for child in _children(element, "link"):
        if child.get("rel", "alternate") == "alternate" and (url := one_line(child.get("href") or child.text)):
            return url
    guid = next(_children(element, "guid"), None)
    if guid is not None and guid.get("isPermaLink", "true") == "true":
        written = one_line(guid.text)
        return written if written and re.match("https?://", written) else None
    return None


def _line(element: _Element, name: str) -> str | None:
    """Return what a child of this name says, in one line."""
    return next((value for child in _children(element, name) if (value := _flat(child))), None)


def _flat(element: _Element) -> str | None:
    return one_line(_said(element))


def _text(element: _Element) -> str:
    """Return the item's own text: of the elements that may have it, the first that has any."""
    for name in _TEXTS:
        for child in _children(element, name):
            if text := normalised(_said(child)).strip():
                return text
    return ""


def _said(element: _Element) -> str:
    """Return the text of an element: HTML's, where its type or its looks say that it is HTML."""
    kind = (element.get("type") or "").lower()
    if len(element):
        return text_of_markup(_inner(element))
    written = element.text or ""
    if kind.startswith("text") and kind != "text/html":
        return written
    if "/" in kind and "html" not in kind:
        return ""  # a picture, or what else may be in an entry
    if kind in {"html", "text/html"} or _TAG.search(written):
        return text_of_markup(written)
    return html.unescape(written)


def _inner(element: _Element) -> str:
    """Return the markup inside an element, XHTML as HTML."""
    from lxml import etree

    for inner in element.iter(etree.Element):
        with contextlib.suppress(ValueError):  # libxml2 takes more names than lxml lets one give
            inner.tag = _bare(inner)
    etree.cleanup_namespaces(element)
    inside = (etree.tostring(child, encoding="unicode", method="html") for child in element)
    return html.escape(element.text or "", quote=False) + "".join(inside)
