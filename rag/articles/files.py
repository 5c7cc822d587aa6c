"""Which files are articles, and what they are called."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.articles.contents import read_head
from rag.articles.feed_kind import is_feed
from rag.errors import ArticleError, DuplicateArticle

TEXT_SUFFIXES = (".md", ".txt")
PAGE_SUFFIXES = (".htm", ".html")
ROW_SUFFIXES = (".csv", ".jsonl")
BOOK_SUFFIXES = (".docx", ".epub", ".pdf")
# An .xml is an article file only where a feed is in it.
_ANY_XML = (".xml", ".xml.gz")
FEED_SUFFIXES = (".atom", ".rss", ".xml")
_PACKABLE = (*TEXT_SUFFIXES, *PAGE_SUFFIXES, *ROW_SUFFIXES, *FEED_SUFFIXES)
SUFFIXES = tuple(sorted((*_PACKABLE, *BOOK_SUFFIXES, *(suffix + ".gz" for suffix in _PACKABLE))))


@dataclass(frozen=True, slots=True)
class ArticleFile:
    """A file that holds an article, or one in each row or item.

    `id` is the path relative to the indexed root, `path` the one to show to people, both with forward slashes;
    `file` is absolute. What is found but must not be read says why in `refused`.
    """

    id: str
    path: str
    file: Path
    refused: str | None = None


def suffix_of(name: str) -> str:
    """Return which of `SUFFIXES` a file's name ends in, the longest that fits, or "" if none does."""
    lower = name.lower()
    return max((suffix for suffix in SUFFIXES if lower.endswith(suffix)), key=len, default="")


def find_files(roots: Sequence[Path]) -> list[ArticleFile]:
    """Return the articles under the roots, sorted by id; a root is a folder or a single file.

    Hidden files and folders are skipped, and so is an index, every suffix that is not in `SUFFIXES`, and an `.xml` that
    is no feed. A symbolic link is followed
    when it stays inside its root and leads to a file that is not found under its own name; so loops end by themselves.
    A link that leads out or nowhere, a folder that cannot be listed and a name that is no Unicode are refused: they are
    in the list, each with its reason, so that none goes missing in silence.

    Raises:
        ArticleError: a root does not exist, cannot be listed, or is a file of another format.
        DuplicateArticle: two files have one id.
    """
    found: dict[str, ArticleFile] = {}
    for root in roots:
        for article in _find_under(root):
            earlier = found.setdefault(article.id, article)
            if earlier.file != article.file:
                raise DuplicateArticle(
                    f"{earlier.path} and {article.path} would both have the id {article.id}",
                    hint="index the folder above them, so that their ids differ, or rename one",
                )
    return [found[name] for name in sorted(found)]


def other_formats(roots: Sequence[Path]) -> Counter[str]:
    """Return how many files under the roots are in formats that are not read, by suffix; hidden ones do not count."""
    found: Counter[str] = Counter()
    for root in roots:
        for path, folders, files in os.walk(root):
            folders[:] = [name for name in folders if not (name.startswith(".") or _is_index(Path(path, name)))]
            others = (name for name in files if not name.startswith(".") and not suffix_of(name))
            found.update(Path(name).suffix.lower() for name in others)
    return found


def _find_under(root: Path) -> Iterator[ArticleFile]:
    try:
        exists = root.exists()
    except OSError as error:  # a folder above it may not be entered
        raise ArticleError(f"cannot read {root}: {error.strerror}", hint="check the folder's permissions") from error
    if not exists:
        raise ArticleError(f"no such file or folder: {root}", hint="name a folder that holds your articles")
    if root.is_dir():
        base = root.resolve()
        for file, refused in _walk(base):
            name = file.relative_to(base).as_posix()
            yield _article_file(name, path=(root / name).as_posix(), file=file, refused=refused)
    elif root.is_file() and _is_article(root):
        yield _article_file(root.name, path=root.as_posix(), file=root.resolve(), refused=None)
    else:
        raise ArticleError(f"{root} is not in a format that can be read", hint=f"formats: {' '.join(SUFFIXES)}")


def _article_file(name: str, *, path: str, file: Path, refused: str | None) -> ArticleFile:
    try:
        path.encode()
        str(file).encode()
    except UnicodeEncodeError:
        name, path = (part.encode(errors="surrogateescape").decode(errors="backslashreplace") for part in (name, path))
        refused = "its name, or that of a folder above it, is not valid Unicode"
    return ArticleFile(id=name, path=path, file=file, refused=refused)


def _walk(base: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield what is found below a folder, with the reason against it; links come last.

    So a file's own name wins over a link to it.
    """
    try:
        _children(base)
    except OSError as error:
        raise ArticleError(f"cannot list {base}: {error.strerror}", hint="check the folder's permissions") from error
    seen = {base}
    links: deque[Path] = deque()
    yield from _descend(base, seen=seen, links=links)
    while links:
        link = links.popleft()
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):  # RuntimeError: links in a ring
            if suffix_of(link.name):
                yield link, "it is a link that leads nowhere"
            continue
        if not target.is_relative_to(base):
            # Whether an .xml is a feed is not looked up outside: telling of one that is none does no harm.
            if suffix_of(link.name) or _is(target.is_dir):
                yield link, "it is a link out of the folder"
        elif target not in seen:
            seen.add(target)
            yield from _descend(link, seen=seen, links=links)


def _descend(top: Path, *, seen: set[Path], links: deque[Path]) -> Iterator[tuple[Path, str | None]]:
    paths = [top]
    while paths:
        path = paths.pop()
        if not _is(path.is_dir):
            # A pipe or a device is yielded too: that it is no file is for the reader to say.
            if _is_article(path):
                yield path, None
            continue
        try:
            children = _children(path)
        except OSError as error:
            yield path, f"the folder cannot be listed: {error.strerror}"
            continue
        for child in children:
            if _is(child.is_symlink):
                links.append(child)
            elif not _is_index(child) and (real := child.resolve()) not in seen:
                seen.add(real)
                paths.append(child)


def _is_index(folder: Path) -> bool:
    """Tell whether a folder is an index, whose files hold words of articles and are none."""
    return _is((folder / "generations").is_dir) and any(_is((folder / mark).is_file) for mark in ("CURRENT", ".lock"))


def _is_article(file: Path) -> bool:
    """Tell whether a file's name, or for an `.xml` its root element, is that of an article file."""
    if not _is_any_xml(file):
        return suffix_of(file.name) != ""
    try:
        return is_feed(read_head(file))
    except ArticleError:
        return False
    except OSError:  # whether it is a feed cannot be told, and that is not to be passed over in silence
        return True


def _is_any_xml(file: Path) -> bool:
    return suffix_of(file.name) in _ANY_XML


def _is(question: Callable[[], bool]) -> bool:
    """Return what a path says of itself, and False where it may not be asked: its folder may be listed, not entered."""
    try:
        return question()
    except OSError:
        return False


def _children(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if not child.name.startswith("."))
