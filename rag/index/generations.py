"""The index folder: sealed generations side by side, and a file that names the current one.

    index/CURRENT                       the name of the current generation, switched by one atomic rename
    index/generations/NAME/             manifest.json, articles.sqlite, facets.npy, vectors/, lexical/
    index/journal                       what an interrupted build had encoded
    index/staging.sqlite                what a build has read and split so far
    index/.lock, index/.writer          held by the one writer, and who that is

A reader opens the generation that CURRENT names and keeps it while a writer builds the next. A build that dies leaves
a folder without a manifest, which no reader opens and the next writer clears.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from rag.errors import GenerationMissing, IndexBroken, IndexMissing, RagError
from rag.index import lexical
from rag.index.lexical import LexicalIndex
from rag.index.manifest import FILE, Manifest, read_manifest
from rag.index.store import Store
from rag.index.vectors import METRIC, VectorIndex

T = TypeVar("T")

KEPT = 2
STORE = "articles.sqlite"
VECTORS = "vectors"
LEXICAL = "lexical"
_CURRENT = "CURRENT"
_WRITER = ".writer"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


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
    name = _current_name(index)
    folder = index / "generations" / name
    if not name or Path(name).name != name or not folder.is_dir():
        raise IndexBroken(f"{index / _CURRENT} names no generation: {name!r}")
    return folder


def open_store(index: Path) -> tuple[Manifest, Store]:
    """Open the current generation's manifest and articles alone: what `show` and `status` need."""
    return _opened(index, lambda folder: (read_manifest(folder), Store(folder / STORE)))


def open_index(index: Path) -> Index:
    """Open the current generation.

    Raises:
        IndexMissing: there is none yet.
        IndexBroken: it fails its own manifest, or its words were cut otherwise.
    """
    return _opened(index, _open)


def _opened(index: Path, opened: Callable[[Path], T]) -> T:
    folder = current_folder(index)
    try:
        return opened(folder)
    except (IndexBroken, OSError):
        # A writer that keeps a single generation may have cleared this one since its name was read.
        if (now := current_folder(index)) == folder:
            raise
        return opened(now)


def _open(folder: Path) -> Index:
    manifest = read_manifest(folder)
    if manifest.metric != METRIC:
        raise IndexBroken(f"{folder} measures by {manifest.metric}")
    if manifest.lexical_settings["analyzer"] != lexical.ANALYZER:
        raise IndexBroken(f"{folder} was built by another version of rag, to which other words are the same")
    vectors = VectorIndex.load(folder / VECTORS)
    if (vectors.size, vectors.dim) != (manifest.passages, manifest.encoder.dim):
        raise IndexBroken(
            f"{folder} has {vectors.size} vectors of {vectors.dim} for {manifest.passages} of {manifest.encoder.dim}",
        )
    store = Store(folder / STORE)
    store.hold()
    return Index(folder, manifest, store, vectors, LexicalIndex.load(folder / LEXICAL))


@contextlib.contextmanager
def writing(index: Path) -> Iterator[None]:
    """Hold the writer's lock on an index folder, made if need be; a writer that died holds it no longer.

    Raises:
        RagError: another process holds it, the disk is full, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    owner = index / _WRITER
    try:
        index.mkdir(parents=True, exist_ok=True)
        with FileLock(index / ".lock", timeout=0):
            since = datetime.now(UTC).isoformat(timespec="seconds")
            owner.write_text(json.dumps({"process": os.getpid(), "host": platform.node(), "since": since}))
            try:
                yield
            finally:
                owner.unlink(missing_ok=True)
    except Timeout:
        raise RagError(
            f"another rag index{_told(owner)} is writing {index}",
            hint="wait for it to end, then run the command again",
        ) from None
    except BrokenPipeError:  # the progress has lost its reader; the folder is well
        raise
    except OSError as error:
        raise _not_written(index, error) from error


def _told(owner: Path) -> str:
    try:
        facts = json.loads(owner.read_text(encoding="utf-8"))
        return f" (process {facts['process']} on {facts['host']}, since {facts['since']})"
    except (OSError, ValueError, KeyError, TypeError):  # it has only just begun, or ends just now
        return ""


def _not_written(index: Path, error: OSError) -> RagError:
    where = error.filename or index
    if error.errno in _FULL:
        return RagError(
            f"no space left to write {where}; the last index is as it was, and what was encoded is kept",
            hint="make room, then run the command again",
        )
    return RagError(f"{where} cannot be written: {error.strerror}", hint="choose another folder with: --index DIR")


def new_generation(index: Path, name: str) -> Path:
    """Make an empty folder for a generation, clearing what a dead build left; the writer's lock is held."""
    generations = index / "generations"
    for folder in generations.glob("*"):
        if folder.is_dir() and not (folder / FILE).exists():
            shutil.rmtree(folder)
    folder = generations / name
    folder.mkdir(parents=True)
    return folder


def next_name(index: Path) -> str:
    """Return a name for the next generation: numbers that only grow, so that the newest sorts last."""
    taken = [int(folder.name) for folder in (index / "generations").glob("*") if folder.name.isdecimal()]
    return f"{max(taken, default=0) + 1:06}"


def switch(index: Path, folder: Path) -> None:
    """Make a sealed generation the current one.

    Everything it holds is on the disk before its name is. Generations newer than the one that was current had been
    rolled back from, or were sealed by a build that died before its switch; they are cleared.
    """
    try:
        before = _number(Path(_current_name(index)))
    except IndexMissing:
        before = 0
    for abandoned in _sealed(index):
        if before < _number(abandoned) < _number(folder):
            _clear(abandoned)
    for path in (*folder.rglob("*"), folder, folder.parent):
        _sync(path)
    _point(index, folder)


def clear_generations(index: Path, *, keep: int) -> None:
    """Clear the oldest generations before the current one, so that at most `keep` are left, and those rolled back."""
    current = _number(current_folder(index))
    sealed = _sealed(index)
    older = [folder for folder in sealed if _number(folder) < current]
    newer = [folder for folder in sealed if _number(folder) > current]
    for folder in [*older[: max(0, len(older) - (keep - 1))], *newer]:
        _clear(folder)


def roll_back(index: Path) -> tuple[str, Path, Manifest]:
    """Make the generation before the current one current again; return the name it replaces, its folder and manifest.

    Raises:
        IndexMissing: there is no index.
        GenerationMissing: there is no whole generation before the current one.
    """
    _current_name(index)  # nothing is locked, or made, where there is no index
    with writing(index):
        name = _current_name(index)
        for folder in reversed(_sealed(index)):
            if _number(folder) < _number(Path(name)):
                with contextlib.suppress(IndexBroken):
                    manifest = read_manifest(folder)
                    _point(index, folder)
                    return name, folder, manifest
    raise GenerationMissing(f"{index} has no generation before {name} to go back to")


def _current_name(index: Path) -> str:
    try:
        return (index / _CURRENT).read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        raise IndexMissing(f"no index in {index}") from None


def _point(index: Path, folder: Path) -> None:
    staged = index / f"{_CURRENT}.new"
    staged.write_text(folder.name + "\n", encoding="utf-8")
    _sync(staged)
    staged.replace(index / _CURRENT)
    # The rename itself is on the disk only when its folder is.
    _sync(index)


def _sealed(index: Path) -> list[Path]:
    """Return the sealed generations, oldest first."""
    folders = (index / "generations").glob("*")
    return sorted((f for f in folders if f.name.isdecimal() and (f / FILE).exists()), key=_number)


def _number(folder: Path) -> int:
    return int(folder.name) if folder.name.isdecimal() else 0


def _clear(folder: Path) -> None:
    # Without its manifest it is no generation any more, however far the rest of the clearing comes.
    (folder / FILE).unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:
        if os.name == "nt" and path.is_dir():  # Windows opens no folder, and needs no telling
            return
        raise
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
