"""The examination: what could keep this installation from answering, each finding with the command that mends it."""

from __future__ import annotations

import contextlib
import locale
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

from rag.errors import IndexMissing, RagError
from rag.index.coverage import find_uncovered
from rag.index.generations import current_folder, open_index
from rag.index.manifest import broken_files, checksum, read_manifest
from rag.models.reader import own_folder
from rag.models.runtime import default_cache, usable_cores
from rag.models.sources import find_model, weights_hash

_DISTRIBUTION: Final = "rag-cited"
_REQUIREMENT: Final = re.compile(r"^([\w.-]+)\s*(?:\[[^]]*\])?\s*(?:>=|==)\s*([\d.]+)")
_OFFLINE: Final = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_SPARE_BYTES: Final = 512 * 2**20
_CPU_FEATURES: Final = ("avx2", "avx512f", "avx512_vnni", "asimd")
_CPU_FACTS: Final = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `fix` is the command that mends it, for those that fail and some that warn."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class IndexCommands:
    """The commands that build an index, build it anew, bring it up to date, and tell what it holds."""

    build: str
    rebuild: str
    update: str
    status: str


@dataclass(frozen=True, slots=True)
class Examination:
    """Everything that was looked at, in order."""

    checks: tuple[Check, ...]

    @property
    def sound(self) -> bool:
        """Tell whether no check failed."""
        return all(check.state != "fail" for check in self.checks)


def examine(
    *, index: Path, encoder: str, reader: str, threads: int, commands: IndexCommands, budget_ms: int | None = None
) -> Examination:
    """Look at everything that an answer needs; reads the whole index, and changes nothing."""
    return Examination(
        (
            *_installation(),
            _processor(threads),
            _text_encoding(),
            _offline(),
            _encoder(encoder),
            *_reader(reader, threads=threads, budget_ms=budget_ms),
            *_index(index, commands),
            *_places(index, commands),
        )
    )


def _installation() -> Iterator[Check]:
    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    try:
        requirements = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield Check("libraries", "warn", "run from a source tree: what is needed is not known", "pip install .")
        return
    found = [match.groups() for line in requirements if "extra ==" not in line and (match := _REQUIREMENT.match(line))]
    wrong = [problem for name, least in found if (problem := _too_old(name, least))]
    if wrong:
        yield Check("libraries", "fail", "; ".join(wrong), f"pip install --upgrade {_DISTRIBUTION}")
    else:
        yield Check("libraries", "ok", f"{len(found)} libraries, none older than asked for")


def _too_old(name: str, least: str) -> str | None:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is missing"
    return f"{name} is {version}, {least} is needed" if _numbers(version) < _numbers(least) else None


def _numbers(version: str) -> list[int]:
    # A local part ("2.13.0+cpu") says nothing of age.
    return [int(number) for number in re.findall(r"\d+", version.partition("+")[0])]


def _processor(threads: int) -> Check:
    features = ""
    with contextlib.suppress(OSError):
        flags = set(re.findall(r"\w+", _CPU_FACTS.read_text(encoding="utf-8", errors="replace")))
        features = ", ".join(name for name in _CPU_FEATURES if name in flags)
    cores = usable_cores()
    detail = f"{threads or cores} of {cores} cores" + (f"; {features}" if features else "")
    if threads > cores:
        return Check("processor", "warn", f"{detail}: more threads than cores are slower", "export RAG_THREADS=0")
    return Check("processor", "ok", detail)


def _text_encoding() -> Check:
    preferred, output = (
        locale.getpreferredencoding(do_setlocale=False),
        getattr(sys.stdout, "encoding", None) or "utf-8",
    )
    odd = [name for name in (preferred, output) if name.lower().replace("-", "") != "utf8"]
    if odd:
        return Check("text", "warn", f"the terminal's encoding is {odd[0]}, not UTF-8", "export PYTHONUTF8=1")
    return Check("text", "ok", "UTF-8")


def _offline() -> Check:
    flags = [name for name in _OFFLINE if os.environ.get(name)]
    return Check("offline", "ok", "nothing is ever fetched" + (f"; {', '.join(flags)} set" if flags else ""))


def _encoder(name: str) -> Check:
    try:
        found = find_model(name)
        weights = weights_hash(found.folder)
    except RagError as error:
        return Check("encoder", "fail", error.message, _command(error, default="rag config"))
    return Check("encoder", "ok", f"{name} ({weights[:12]}) in {found.folder}")


def _reader(name: str, *, threads: int, budget_ms: int | None) -> Iterator[Check]:
    import json

    if name == "none":
        yield Check("reader", "ok", "none: passages are compared instead")
        return
    mend = "export RAG_READER_MODEL=none"
    if (folder := own_folder(name)) is None:
        yield from _foreign_reader(name, mend, threads=threads, budget_ms=budget_ms)
        return
    try:
        about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        sealed, digest = str(about.get("sha256")), checksum(folder / "model.onnx")
    except (OSError, ValueError, AttributeError) as error:
        yield Check("reader", "fail", f"no reader in {folder}: {error}", mend)
        return
    if sealed != digest:
        yield Check("reader", "fail", f"{folder / 'model.onnx'} is not the file that config.json names", mend)
        return
    yield Check("reader", "ok", f"{about.get('name') or folder.name} ({digest[:12]})")
    yield _reading_speed(digest, threads=threads, budget_ms=budget_ms)


def _foreign_reader(name: str, mend: str, *, threads: int, budget_ms: int | None) -> Iterator[Check]:
    from rag.models.foreign import find_reader

    try:
        found, weights = find_reader(name)
    except RagError as error:
        yield Check("reader", "fail", error.message, mend)
        return
    yield Check("reader", "ok", f"{name} ({weights[:12]}) in {found.folder}")
    yield _reading_speed(weights, threads=threads, budget_ms=budget_ms)


def _reading_speed(revision: str, *, threads: int, budget_ms: int | None) -> Check:
    from rag.models.speed import recorded_speed

    speed, cores = recorded_speed(revision), threads or usable_cores()
    if speed is None:
        return Check("reading speed", "ok", "not measured yet: the first question under reader.budget_ms does it")
    detail = f"{speed.tokens_a_ms(cores=cores):.1f} tokens a millisecond on {cores} cores, as measured once"
    if budget_ms is not None:
        detail += f"; reader.budget_ms {budget_ms} is {speed.tokens_within(budget_ms, cores=cores)} tokens"
    return Check("reading speed", "ok", detail)


def _index(folder: Path, commands: IndexCommands) -> Iterator[Check]:
    try:
        current = current_folder(folder)
        if broken := broken_files(current, read_manifest(current)):
            yield Check("index", "fail", f"changed since it was sealed: {', '.join(broken)}", commands.rebuild)
            return
        index = open_index(folder)
    except IndexMissing as error:
        yield Check("index", "warn", error.message, commands.build)
        return
    except RagError as error:
        yield Check("index", "fail", error.message, commands.rebuild)
        return
    with contextlib.closing(index.store):
        manifest = index.manifest
        detail = f"{manifest.articles} articles in {manifest.passages} passages, checksums and {manifest.metric} right"
        yield Check("index", "ok", detail)
        missed = []
        for article_id in index.store.article_ids():
            stored = index.store.stored(article_id)
            missed += [article_id] if find_uncovered(stored.article, stored.passages) else []
        if missed:
            yield Check("coverage", "fail", f"text in no passage: {_listed(missed)}", commands.rebuild)
        else:
            yield Check("coverage", "ok", "every character but furniture is in a passage")
        failed = [str(failure["path"]) for failure in manifest.failed]
        if failed:
            yield Check("files", "warn", f"{len(failed)} could not be indexed: {_listed(failed)}", commands.status)
        else:
            yield Check("files", "ok", "none failed")


def _places(index: Path, commands: IndexCommands) -> Iterator[Check]:
    with contextlib.suppress(RagError):
        current = current_folder(index)
        sizes = {folder.name: _size(folder) for folder in sorted(current.parent.iterdir()) if folder.is_dir()}
        told = ", ".join(f"{name} {size / 2**20:.1f} MB" for name, size in sizes.items())
        yield Check("generations", "ok", f"{told}; current is {current.name}")
    for name, folder in (("index folder", index), ("cache folder", default_cache())):
        yield _writable(name, folder)
    free = shutil.disk_usage(_nearest(index)).free
    if free < max(_SPARE_BYTES, 2 * _size(index)):
        fix = f"{commands.update} --keep 1"
        yield Check("disk", "warn", f"{free / 2**30:.1f} GB free, little to build an index in", fix)
    else:
        yield Check("disk", "ok", f"{free / 2**30:.1f} GB free")


def _writable(name: str, folder: Path) -> Check:
    near = _nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=near):
            pass
    except OSError as error:
        return Check(name, "fail", f"{near} cannot be written: {error.strerror}", f"chmod u+rwx '{near}'")
    return Check(name, "ok", f"{folder} can be written")


def _nearest(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that there is."""
    absolute = folder.absolute()
    return next(place for place in (absolute, *absolute.parents) if place.is_dir())


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _command(error: RagError, *, default: str) -> str:
    """Return the command that an error's hint ends with."""
    head, colon, command = (error.hint or "").rpartition(": ")
    return command if colon and head.endswith("with") else default


def _listed(names: Sequence[str]) -> str:
    shown = 3
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
