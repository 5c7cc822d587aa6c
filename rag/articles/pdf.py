"""PDF files, page by page.

Read with pypdfium2: PDFium is the reader inside Chrome, so it is fuzzed all year round, follows the fonts' own tables
for Chinese and Japanese, and is permissively licensed (Apache-2.0 or BSD-3-Clause), as PyMuPDF (AGPL) is not. pypdf is
all Python and so cannot crash, but is ten times slower, and loses spaces and the order of columns more often; a crash
costs one file here, for PDF is read in a process of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rag.articles.extract import Extract, normalised, one_line, title_of_program
from rag.errors import ArticleError

_MOST_PAGES = 20_000
_PASSWORD = "password"  # noqa: S105 - the word in PDFium's message
# PDFium writes U+FFFE, or U+0002 in older versions, where a word is hyphenated at the end of a line.
_HYPHENATED = re.compile("[\ufffe\x02]\r?\n?")
_DATE = re.compile(r"D:(\d{4})(\d{2})(\d{2})")
_SENTENCE_END = re.compile(r"[.!?。！？…:：][\"'”’」』)）]*\Z")


def read_pdf(content: bytes) -> Extract:
    """Return a PDF's text; `pages` among the others says at which offset of the text each page begins.

    A page begins with a new paragraph if the one before it ends with a sentence, else it goes on with it. The day on
    which the file was made is no date of publication, so it is among the others, as `created`.

    Raises:
        ArticleError: it is no PDF, is broken or protected, has no text, or too many pages.
    """
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(content) as document:
            if len(document) > _MOST_PAGES:
                raise ArticleError(f"it has more than {_MOST_PAGES} pages")
            pages = list(_pages(document))
            told = document.get_metadata_dict(skip_empty=True)
    except pypdfium2.PdfiumError as error:
        if _PASSWORD in str(error).lower():
            raise ArticleError("it is protected by a password", hint="save it without the password") from error
        raise ArticleError(f"it is a broken PDF: {error}") from error
    text, starts = _joined(pages)
    if not text:
        raise ArticleError("it has no text (scanned?)", hint="give it text, for instance with: ocrmypdf IN.pdf OUT.pdf")
    others = {"pages": ",".join(map(str, starts))}
    if day := _DATE.match(told.get("CreationDate", "")):
        others["created"] = "-".join(day.groups())
    return Extract(
        text=text,
        fields={"title": title_of_program(told.get("Title")), "author": one_line(told.get("Author"))},
        others=others,
    )


def _pages(document: object) -> Iterator[str]:
    """Yield the text of each page, normal and without the space around it."""
    for number in range(len(document)):  # type: ignore[arg-type]  # pypdfium2 has no types
        page = document[number]  # type: ignore[index]  # … nor here
        textpage = page.get_textpage()
        yield normalised(_HYPHENATED.sub("", textpage.get_text_range())).strip()
        textpage.close()
        page.close()


def _joined(pages: Sequence[str]) -> tuple[str, list[int]]:
    """Return the text of all pages, and the offset at which each begins; an empty one where those before it end."""
    text: list[str] = []
    starts: list[int] = []
    length = 0
    for page in pages:
        if page and text:
            text.append("\n\n" if _SENTENCE_END.search(text[-1]) else "\n")
            length += len(text[-1])
        if page:
            text.append(page)
        starts.append(length)
        length += len(page)
    return "".join(text), starts
