"""The seam behind which the file formats stand: a file in, an `Article` out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from rag.articles.decode import decode
from rag.articles.files import SUFFIXES, ArticleFile
from rag.articles.front_matter import split_front_matter
from rag.articles.furniture import find_furniture
from rag.articles.html import declared_charset, read_page
from rag.articles.metadata import Metadata, from_front_matter, from_text, title_of_file
from rag.errors import ArticleError
from rag.records import Article


@dataclasses.dataclass(frozen=True, slots=True)
class Draft:
    """What a format's reader finds in a file: the text, the line it begins on, and the metadata that stands with it."""

    text: str
    metadata: Metadata
    first_line: int = 1


def read_article(file: ArticleFile) -> Article:
    """Return the article in a file: its text, what is furniture in it, and its metadata with their origins.

    `text` is NFC with lines ended by a line feed, without front matter and without blank lines around it.

    Raises:
        ArticleError: the file cannot be read, holds no text, is binary, or has broken front matter.
    """
    try:
        draft = _READERS[file.file.suffix.lower()](file.file.read_bytes())
    except OSError as error:
        raise ArticleError(
            f"cannot read {file.path}: {error.strerror}", hint="check that it is a readable file"
        ) from error
    except KeyError as error:
        raise ArticleError(f"{file.path} is in no known format", hint=f"formats: {' '.join(SUFFIXES)}") from error
    except ArticleError as error:
        raise ArticleError(
            f"cannot read {file.path}: {error.message}",
            hint=error.hint or "mend the file, or move it out of the folder",
        ) from error
    if not draft.text.strip():
        raise ArticleError(f"cannot read {file.path}: it holds no text", hint="move it out of the folder")
    furniture = find_furniture(draft.text)
    metadata = draft.metadata.or_else(from_text(draft.text, furniture=furniture), origin="text").or_else(
        {"title": title_of_file(file.path)}, origin="file name"
    )
    fields = metadata.fields
    return Article(
        id=file.id,
        path=file.path,
        text=draft.text,
        title=fields["title"],
        source=fields.get("source"),
        author=fields.get("author"),
        published=fields.get("published"),
        language=fields.get("language"),
        url=fields.get("url"),
        first_line=draft.first_line,
        furniture=furniture,
        origins=metadata.origins,
        metadata=metadata.others,
    )


def _read_text(content: bytes) -> Draft:
    """Read plain text or Markdown, whose marks are part of the text."""
    parts = split_front_matter(decode(content))
    return Draft(text=parts.text, metadata=from_front_matter(parts.values), first_line=parts.first_line)


def _read_html(content: bytes) -> Draft:
    page = read_page(decode(content, declared=declared_charset(content)))
    return Draft(text=page.text.strip(), metadata=Metadata().or_else(page.fields, origin="html"))


_READERS: dict[str, Callable[[bytes], Draft]] = {
    ".htm": _read_html,
    ".html": _read_html,
    ".md": _read_text,
    ".txt": _read_text,
}
