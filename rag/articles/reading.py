"""The seam behind which the file formats stand: a file in, its articles out."""

from __future__ import annotations

import dataclasses

from rag.articles.contents import MOST_MEGABYTES, MOST_TEXT_MEGABYTES, read_content
from rag.articles.decode import decode
from rag.articles.extract import Item
from rag.articles.files import (
    FEED_SUFFIXES,
    PAGE_SUFFIXES,
    ROW_SUFFIXES,
    SUFFIXES,
    TEXT_SUFFIXES,
    ArticleFile,
    suffix_of,
)
from rag.articles.front_matter import split_front_matter
from rag.articles.furniture import find_furniture
from rag.articles.metadata import Metadata, from_front_matter, from_text, title_of_file
from rag.articles.rows import Row, read_rows
from rag.articles.sandbox import SANDBOX
from rag.errors import ArticleEmpty, ArticleError
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
    suffix = _format_of(file)
    content = _content(file, suffix=suffix)
    try:
        draft = _read_text(content) if suffix in TEXT_SUFFIXES else _read_document(content, suffix=suffix)
    except ArticleError as error:
        raise _failure(file, error) from error
    if not draft.text.strip():
        raise ArticleEmpty(f"cannot read {file.path}: it holds no text", hint="move it out of the folder")
    return _article(draft, id=file.id, path=file.path, title=title_of_file(file.path))


def read_articles(file: ArticleFile) -> tuple[list[Article], list[ArticleError]]:
    """Return the articles in a file, and what kept the others in it from being read.

    Most formats hold one article; each row of a `.jsonl` or `.csv` file is one, and each item of a feed.

    Raises:
        ArticleError: no article could be read.
    """
    suffix = _format_of(file)
    if suffix in FEED_SUFFIXES:
        return _read_items(file, suffix=suffix)
    if suffix not in ROW_SUFFIXES:
        return [read_article(file)], []
    content = _content(file, suffix=suffix)
    try:
        rows, broken = read_rows(content, name=file.id, suffix=suffix)
    except ArticleError as error:
        raise _failure(file, error) from error
    errors = [ArticleError(f"cannot read {file.path}:{line}: {error.message}") for line, error in broken]
    return [_article_of_row(row, file) for row in rows], errors


def _read_items(file: ArticleFile, *, suffix: str) -> tuple[list[Article], list[ArticleError]]:
    content = _content(file, suffix=suffix)
    try:
        found = SANDBOX.read_feed(content, suffix=suffix)
    except ArticleEmpty as error:
        raise ArticleEmpty(f"cannot read {file.path}: {error.message}", hint="move it out of the folder") from error
    except ArticleError as error:
        raise _failure(file, error) from error
    articles: list[Article] = []
    errors: list[ArticleError] = []
    for number, item in enumerate(found, start=1):
        if isinstance(item, Item):
            articles.append(_article_of_item(item, file, number=number))
        else:
            kind = ArticleEmpty if item.empty else ArticleError
            errors.append(kind(f"cannot read {file.path}, item {number}: {item.reason}"))
    return articles, errors


def _format_of(file: ArticleFile) -> str:
    """Return the suffix that names the format, which stands before `.gz`."""
    if file.refused is not None:
        raise ArticleError(f"cannot read {file.path}: {file.refused}", hint="move it out of the folder")
    suffix = suffix_of(file.file.name)
    if not suffix:
        raise ArticleError(f"{file.path} is in no known format", hint=f"formats: {' '.join(SUFFIXES)}")
    return suffix.removesuffix(".gz")


def _content(file: ArticleFile, *, suffix: str) -> bytes:
    try:
        return read_content(file.file, most_megabytes=_most_megabytes(suffix))
    except OSError as error:
        raise ArticleError(
            f"cannot read {file.path}: {error.strerror}", hint="check that it is a readable file"
        ) from error
    except ArticleError as error:
        raise _failure(file, error) from error


def _most_megabytes(suffix: str) -> int:
    return MOST_TEXT_MEGABYTES if suffix in (*TEXT_SUFFIXES, *PAGE_SUFFIXES) else MOST_MEGABYTES


def _failure(file: ArticleFile, error: ArticleError) -> ArticleError:
    return ArticleError(
        f"cannot read {file.path}: {error.message}", hint=error.hint or "mend the file, or move it out of the folder"
    )


def _article_of_row(row: Row, file: ArticleFile) -> Article:
    draft = Draft(text=row.text, metadata=from_front_matter(row.values, origin="row"), first_line=row.line)
    return _article(draft, id=row.id, path=file.path, title=row.id)


def _article_of_item(item: Item, file: ArticleFile, *, number: int) -> Article:
    own = item.id or f"{file.id}:{number}"
    draft = Draft(text=item.text, metadata=from_front_matter(item.values, origin="feed"), first_line=item.line)
    return _article(draft, id=own, path=file.path, title=own)


def _article(draft: Draft, *, id: str, path: str, title: str) -> Article:  # noqa: A002 - the record's word for it
    """Return the article that a draft makes; `title` is for one that tells none itself."""
    furniture = find_furniture(draft.text)
    metadata = draft.metadata.or_else(from_text(draft.text, furniture=furniture), origin="text").or_else(
        {"title": title}, origin="file name"
    )
    fields = metadata.fields
    return Article(
        id=id,
        path=path,
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


def _read_document(content: bytes, *, suffix: str) -> Draft:
    """Read one of the formats that take a parser, which runs in a process of its own."""
    found = SANDBOX.read(content, suffix=suffix)
    origin = "html" if suffix in PAGE_SUFFIXES else suffix[1:]
    return Draft(text=found.text, metadata=Metadata(others=found.others).or_else(found.fields, origin=origin))
