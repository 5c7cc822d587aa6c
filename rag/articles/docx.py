"""Word documents: what a reader sees on paper, paragraph by paragraph.

Read with zipfile and lxml, which are here anyway. python-docx gives the paragraphs and tables that stand directly in
the body, and so leaves out content controls, text boxes and footnotes in silence; mammoth makes HTML, and its raw text
has no notes either. Neither bounds what it unpacks. Walking over the paragraphs wherever they stand is shorter than the
code that would make up for either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rag.articles.archive import open_archive, read_xml
from rag.articles.dates import parse_date
from rag.articles.extract import Extract, normalised, one_line, title_of_program
from rag.errors import ArticleError

if TYPE_CHECKING:
    from lxml.etree import _Element

# ISO/IEC 29500-1; a "strict" document has the second of each pair.
_WORD = (
    "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}",
    "{http://purl.oclc.org/ooxml/wordprocessingml/main}",
)
_ALTERNATIVE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_NOTES = ("word/footnotes.xml", "word/endnotes.xml")
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "\u2011", "ptab": "\t"}
# What was deleted or moved away with changes tracked, and the instructions of fields.
_UNSEEN = frozenset({"del", "moveFrom", "instrText", "delText", "delInstrText"})
_CORE = {
    "title": "{http://purl.org/dc/elements/1.1/}title",
    "author": "{http://purl.org/dc/elements/1.1/}creator",
    "language": "{http://purl.org/dc/elements/1.1/}language",
    "created": "{http://purl.org/dc/terms/}created",
}


def read_docx(content: bytes) -> Extract:
    """Return a document's text, a blank line between paragraphs, with tables, text boxes and notes.

    The cells of a table's row make one line. The day on which the file was made is no date of publication, so it is
    among the others, as `created`.

    Raises:
        ArticleError: it is no Word document, is broken, or unpacks to too much.
    """
    with open_archive(content) as archive:
        document = read_xml(archive, "word/document.xml")
        if document is None:
            raise ArticleError("it is no Word document")
        roots = [document, *(notes for name in _NOTES if (notes := read_xml(archive, name)) is not None)]
        core = read_xml(archive, "docProps/core.xml")
    told = {name: None if core is None else one_line(core.findtext(tag)) for name, tag in _CORE.items()}
    created = parse_date(told["created"] or "")
    return Extract(
        text=normalised("\n\n".join(block for root in roots for block in _blocks(root))).strip(),
        fields={"title": title_of_program(told["title"]), "author": told["author"], "language": told["language"]},
        others={"created": created} if created else {},
    )


def _blocks(root: _Element) -> Iterator[str]:
    """Yield the paragraphs and the rows of tables in the order in which they are read."""
    paragraph: list[list[str]] = []
    row: list[str] = []
    rows = 0
    for event, name, text in _events(root):
        if name == "p":
            if event == "start":
                paragraph.append([])
            elif said := "".join(paragraph.pop()).strip():
                if rows:
                    row.append(" ".join(said.split()))
                else:
                    yield said
        elif name == "tr":
            rows += 1 if event == "start" else -1
            if not rows and row:
                yield " | ".join(row)
                row = []
        elif event == "start" and paragraph:
            paragraph[-1].append(text)


def _events(root: _Element) -> Iterator[tuple[str, str, str]]:
    """Yield start and end of each visible Word element, by its bare name, with the text that it stands for."""
    from lxml import etree

    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        name = _name(element)
        if event == "start" and (element.tag == _ALTERNATIVE or name in _UNSEEN):
            walk.skip_subtree()
        elif name == "t":
            yield event, name, element.text or ""
        elif name is not None:
            yield event, name, _BREAKS.get(name, "")


def _name(element: _Element) -> str | None:
    for prefix in _WORD:
        if isinstance(element.tag, str) and element.tag.startswith(prefix):
            return element.tag.removeprefix(prefix)
    return None
