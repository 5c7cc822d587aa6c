"""Books: the chapters of an `.epub` in the order in which they are read.

Read with zipfile and lxml, which are here anyway: a book is a zip file with a list of web pages (EPUB 3.3, W3C). The
one library for it, ebooklib, is under the AGPL, which this project cannot take in, and unpacks without bounds.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

from rag.articles.archive import open_archive, read_member, read_xml
from rag.articles.dates import parse_date
from rag.articles.extract import Extract, normalised, one_line
from rag.articles.html import declared_charset, text_of_page
from rag.errors import ArticleError

if TYPE_CHECKING:
    import zipfile

    from lxml.etree import _Element

_CORE = "{http://purl.org/dc/elements/1.1/}"
_PAGES = frozenset({"application/xhtml+xml", "text/html"})


def read_epub(content: bytes) -> Extract:
    """Return a book's text, a blank line between paragraphs, without its table of contents.

    Raises:
        ArticleError: it is no book, is broken or encrypted, unpacks to too much, or a chapter is missing.
    """
    with open_archive(content) as archive:
        name = _package_name(archive)
        package = read_xml(archive, name)
        if package is None:
            raise ArticleError(f"it is no book: {name} is missing")
        chapters = [_chapter(archive, part) for part in _spine(package, folder=posixpath.dirname(name))]
    told = {key: one_line(package.findtext(f".//{_CORE}{key}")) for key in ("title", "publisher", "language", "date")}
    authors = [author for element in package.iter(f"{_CORE}creator") if (author := one_line(element.text))]
    return Extract(
        text=normalised("\n\n".join(chapter for chapter in chapters if chapter)).strip(),
        fields={
            "title": told["title"],
            "author": ", ".join(authors) or None,
            "source": told["publisher"],
            "published": parse_date(told["date"] or ""),
            "language": told["language"],
        },
    )


def _package_name(archive: zipfile.ZipFile) -> str:
    container = read_xml(archive, "META-INF/container.xml")
    if container is not None:
        for element in container.iter("{*}rootfile"):
            if path := element.get("full-path"):
                return str(path)
    raise ArticleError("it is no book: it names no list of its chapters")


def _spine(package: _Element, *, folder: str) -> Iterator[str]:
    """Yield the names of the chapters' files, in reading order."""
    items = {item.get("id"): item for item in package.iter("{*}item")}
    for reference in package.iter("{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is None or item.get("media-type") not in _PAGES or "nav" in (item.get("properties") or "").split():
            continue
        yield posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))


def _chapter(archive: zipfile.ZipFile, name: str) -> str:
    content = read_member(archive, name)
    if content is None:
        raise ArticleError(f"the chapter {name} is missing in it")
    return text_of_page(content, declared=declared_charset(content))
