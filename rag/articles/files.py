"""Which files are articles, and what they are called."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.errors import ArticleError, DuplicateArticle

SUFFIXES = (".htm", ".html", ".md", ".txt")


@dataclass(frozen=True, slots=True)
class ArticleFile:
    """A file that holds an article.

    `id` is the path relative to the indexed root, `path` the one to show to people, both with forward slashes;
    `file` is absolute.
    """

    id: str
    path: str
    file: Path


def find_files(roots: Sequence[Path]) -> list[ArticleFile]:
    """Return the articles under the roots, sorted by id; a root is a folder or a single file.

    Hidden files and folders are skipped, and so is every suffix that is not in `SUFFIXES`. A symbolic link is followed
    when it stays inside its root and leads to a file that is not found under its own name; so loops end by themselves.

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


def _find_under(root: Path) -> Iterator[ArticleFile]:
    if not root.exists():
        raise ArticleError(f"no such file or folder: {root}", hint="name a folder that holds your articles")
    if root.is_dir():
        base = root.resolve()
        for file in _walk(base):
            name = file.relative_to(base).as_posix()
            yield _article_file(name, path=(root / name).as_posix(), file=file)
    elif root.is_file() and root.suffix.lower() in SUFFIXES:
        yield _article_file(root.name, path=root.as_posix(), file=root.resolve())
    else:
        raise ArticleError(f"{root} is not in a format that can be read", hint=f"formats: {' '.join(SUFFIXES)}")


def _article_file(name: str, *, path: str, file: Path) -> ArticleFile:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ArticleError(f"the name of {path!r} is not valid Unicode", hint="rename the file") from error
    return ArticleFile(id=name, path=path, file=file)


def _walk(base: Path) -> Iterator[Path]:
    """Yield the article files below a folder; links come last, so that a file's own name wins over a link to it."""
    seen = {base}
    links: deque[Path] = deque()
    yield from _descend(base, seen=seen, links=links)
    while links:
        link = links.popleft()
        target = _target(link, base=base)
        if target is None or target in seen or base.is_relative_to(target):
            continue
        seen.add(target)
        if target.is_dir():
            yield from _descend(link, seen=seen, links=links)
        elif _is_article(link):
            yield link


def _descend(folder: Path, *, seen: set[Path], links: deque[Path]) -> Iterator[Path]:
    folders = [folder]
    while folders:
        for child in _children(folders.pop()):
            if child.is_symlink():
                links.append(child)
                continue
            real = child.resolve()
            if real in seen:
                continue
            if child.is_dir():
                seen.add(real)
                folders.append(child)
            elif _is_article(child):
                seen.add(real)
                yield child


def _is_article(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and file.is_file()


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(child for child in folder.iterdir() if not child.name.startswith("."))
    except OSError as error:
        raise ArticleError(f"cannot list {folder}: {error.strerror}", hint="check the folder's permissions") from error


def _target(link: Path, *, base: Path) -> Path | None:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # a dangling link, or links in a ring
        return None
    return target if target.is_relative_to(base) else None
