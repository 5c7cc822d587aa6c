"""What a generation says of itself, and the checksums that seal it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rag.errors import IndexBroken

FORMAT = 4  # raised too when articles are cut otherwise: passages of unchanged ones are kept from build to build
FILE = "manifest.json"
_SETTINGS = {"lexical.k1": "retrieval.k1", "lexical.b": "retrieval.b"}  # as the user knows them
_SHOWN_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class EncoderFacts:
    """The encoder that made the vectors: its name, the hash of its weights, and all that decides a passage's vector.

    `backend` is what the last vectors were made by; "" where that is not known.
    """

    name: str
    revision: str
    fingerprint: str
    dim: int
    backend: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One generation: how it was made, what it holds, and a checksum and size per file.

    `content` is the hash of what was indexed and how, so that two builds of the same articles with the same settings
    have the same one. `reading` is the hash of the code that read the files, `empty` are files without any text,
    `skipped` those that are no articles. `search` says how the vectors are searched, and what was measured for it.
    """

    content: str
    encoder: EncoderFacts
    passage_settings: Mapping[str, int]
    lexical_settings: Mapping[str, float | str]
    metric: str
    articles: int
    passages: int
    roots: tuple[str, ...]
    failed: tuple[Mapping[str, str], ...]
    built: str
    empty: tuple[Mapping[str, str], ...] = ()
    skipped: tuple[Mapping[str, str], ...] = ()
    search: Mapping[str, object] = field(default_factory=dict)
    reading: str = ""
    files: Mapping[str, Mapping[str, str | int]] = field(default_factory=dict)
    format: int = FORMAT

    def differences(self, other: Mapping[str, object]) -> list[str]:
        """Return those settings in `other` that this generation was not built with, each as `name from → to`."""
        mine: dict[str, object] = {
            "encoder": self.encoder.fingerprint,
            **{f"passages.{key}": value for key, value in self.passage_settings.items()},
            **{f"lexical.{key}": value for key, value in self.lexical_settings.items()},
        }
        before, after = _unfolded(mine), _unfolded(other)
        return [
            f"{_SETTINGS.get(key, key)} {_shown(before.get(key))} → {_shown(after.get(key))}"
            for key in sorted(before.keys() | after.keys())
            if before.get(key) != after.get(key)
        ]


def seal(
    folder: Path, manifest: Manifest, *, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Manifest:
    """Write the manifest into a finished generation, with the checksum and size of every file in it.

    `progress` is told how many files of how many are read.
    """
    found = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != FILE]
    files: dict[str, dict[str, str | int]] = {}
    progress(0, len(found))
    for done, file in enumerate(found, start=1):
        name = str(file.relative_to(folder).as_posix())
        files[name] = {"sha256": checksum(file), "bytes": file.stat().st_size}
        progress(done, len(found))
    sealed = dataclasses.replace(manifest, files=files)
    text = json.dumps(dataclasses.asdict(sealed), ensure_ascii=False, indent=2, sort_keys=True)
    staged = folder / f"{FILE}.partial"
    staged.write_text(text + "\n", encoding="utf-8")
    # A folder with a manifest is a whole generation, so half a manifest must never be seen.
    staged.replace(folder / FILE)
    return sealed


def _unfolded(settings: Mapping[str, object]) -> dict[str, object]:
    """Return settings with an encoder's fingerprint taken apart where it is JSON, as the shipped encoder's is."""
    try:
        facts = json.loads(str(settings.get("encoder")))
    except ValueError:
        return dict(settings)
    if not isinstance(facts, dict):
        return dict(settings)
    rest = {key: value for key, value in settings.items() if key != "encoder"}
    return rest | {f"encoder.{key}": value for key, value in facts.items()}


def _shown(value: object) -> str:
    text = "(none)" if value is None else str(value) or "(empty)"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def read_manifest(folder: Path) -> Manifest:
    """Read a generation's manifest and hold the folder's files to it, by size.

    Raises:
        IndexBroken: no readable manifest, another format, or a file that is missing or of another size.
    """
    try:
        raw = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if raw["format"] != FORMAT:
            raise IndexBroken(f"{folder} has index format {raw['format']}, this version reads {FORMAT}")
        raw["encoder"] = EncoderFacts(**raw["encoder"])
        raw |= {name: tuple(raw[name]) for name in ("roots", "failed", "empty", "skipped")}
        manifest = Manifest(**raw)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexBroken(f"{folder / FILE} cannot be read: {error}") from error
    for name, facts in manifest.files.items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != facts["bytes"]:
            raise IndexBroken(f"{file} is not the file that the index was sealed with")
    return manifest


def roots_of(folder: Path) -> tuple[Path, ...]:
    """Return what a generation was built of, whatever its format and however broken the rest; none if that is lost."""
    try:
        roots = json.loads((folder / FILE).read_text(encoding="utf-8"))["roots"]
        return tuple(Path(root) for root in roots)
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def broken_files(folder: Path, manifest: Manifest) -> list[str]:
    """Return the files of a generation whose checksum is not the sealed one; reads every byte."""
    return [name for name, facts in manifest.files.items() if checksum(folder / name) != facts["sha256"]]


def checksum(file: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
