"""The index folder: sealed generations side by side, and a file that names the current one.

    index/CURRENT                       the name of the current generation, switched by one atomic rename
    index/generations/NAME/             manifest.json, articles.sqlite, vectors.faiss, lexical/
    index/.lock                         held by the one writer

A reader opens the generation that CURRENT names and keeps it while a writer builds the next. A build that dies leaves
a folder without a manifest, which no reader opens and the next writer clears.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rag.errors import IndexBroken, IndexMissing, RagError
from rag.index.lexical import LexicalIndex
from rag.index.manifest import FILE, Manifest, read_manifest
from rag.index.store import Store
from rag.index.vectors import METRIC, VectorIndex

_CURRENT = "CURRENT"
_KEPT = 2


@dataclass(frozen=True, slots=True)
class Index:
    """One generation, open for reading: row i of the store, the vectors and the words is the same passage."""

    folder: Path
    manifest: Manifest
    store: Store
    vectors: VectorIndex
    lexical: LexicalIndex


def current_folder(index: Path) -> Path:
    """Return the folder of the current generation.

    Raises:
        IndexMissing: there is none yet.
        IndexBroken: the one that is named is gone.
    """
    try:
        name = (index / _CURRENT).read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        raise IndexMissing(f"no index in {index}", hint="build one with: rag index") from None
    folder = index / "generations" / name
    if not name or Path(name).name != name or not folder.is_dir():
        raise IndexBroken(f"{index / _CURRENT} names no generation: {name!r}", hint="rebuild with: rag index --rebuild")
    return folder


def open_store(index: Path) -> tuple[Manifest, Store]:
    """Open the current generation's manifest and articles alone: what `show` and `status` need."""
    folder = current_folder(index)
    return read_manifest(folder), Store(folder / "articles.sqlite")


def open_index(index: Path) -> Index:
    """Open the current generation.

    Raises:
        IndexMissing: there is none yet.
        IndexBroken: it fails its own manifest.
    """
    folder = current_folder(index)
    manifest = read_manifest(folder)
    if manifest.metric != METRIC:
        raise IndexBroken(f"{folder} measures by {manifest.metric}", hint="rebuild with: rag index --rebuild")
    vectors = VectorIndex.load(folder / "vectors.faiss")
    if (vectors.size, vectors.dim) != (manifest.passages, manifest.encoder.dim):
        raise IndexBroken(
            f"{folder} has {vectors.size} vectors of {vectors.dim} for {manifest.passages} of {manifest.encoder.dim}",
            hint="rebuild with: rag index --rebuild",
        )
    return Index(folder, manifest, Store(folder / "articles.sqlite"), vectors, LexicalIndex.load(folder / "lexical"))


@contextlib.contextmanager
def writing(index: Path) -> Iterator[None]:
    """Hold the writer's lock on an index folder, made if need be.

    Raises:
        RagError: another process holds it, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    try:
        index.mkdir(parents=True, exist_ok=True)
        with FileLock(index / ".lock", timeout=0):
            yield
    except Timeout:
        raise RagError(
            f"another rag index is writing {index}", hint="wait for it to end, then run the command again"
        ) from None
    except PermissionError as error:
        raise RagError(
            f"{index} cannot be written: {error.strerror}", hint="choose another with: --index DIR"
        ) from error


def new_generation(index: Path, name: str) -> Path:
    """Make an empty folder for a generation, clearing what a dead build left; the writer's lock is held."""
    generations = index / "generations"
    for folder in generations.glob("*"):
        if not (folder / FILE).exists():
            shutil.rmtree(folder)
    folder = generations / name
    folder.mkdir(parents=True)
    return folder


def next_name(index: Path) -> str:
    """Return a name for the next generation: numbers that only grow, so that the newest sorts last."""
    taken = [int(folder.name) for folder in (index / "generations").glob("*") if folder.name.isdecimal()]
    return f"{max(taken, default=0) + 1:06}"


def switch(index: Path, folder: Path) -> None:
    """Make a sealed generation the current one, and clear those older than the one before it."""
    for file in folder.rglob("*"):
        if file.is_file():
            _sync(file)
    staged = index / f"{_CURRENT}.new"
    staged.write_text(folder.name + "\n", encoding="utf-8")
    _sync(staged)
    staged.replace(index / _CURRENT)
    generations = sorted(path for path in folder.parent.iterdir() if path.is_dir())
    for old in generations[:-_KEPT]:
        if old != folder:
            shutil.rmtree(old)


def _sync(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
