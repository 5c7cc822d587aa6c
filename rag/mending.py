"""The commands that mend an index, as they would be typed here: every error of an index is told with one."""

from __future__ import annotations

import functools
import os
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from rag.errors import GenerationMissing, IndexBroken, IndexMissing, RagError

if TYPE_CHECKING:
    from rag.config import Config

P = ParamSpec("P")
T = TypeVar("T")

# Keys, or beginnings of them, that decide what an index holds.
_BUILT_WITH = ("encoder.", "passages.", "retrieval.k1", "retrieval.b")
# A command in a hint that looks into an index.
_LOOKS = re.compile(r"\brag (?:status|show|index)(?! --help)\b(?:'[^']*'|[^;'])*")


def with_mending(function: Callable[P, T]) -> Callable[P, T]:
    """Have a missing or broken index told with the command that builds it.

    The function's first argument are the settings, or what has them.
    """

    @functools.wraps(function)
    def told(*given: P.args, **named: P.kwargs) -> T:
        holder: Any = given[0]
        with telling_mending(getattr(holder, "config", holder)):
            return function(*given, **named)

    return told


@contextmanager
def telling_mending(config: Config, wanted: Sequence[Path] = (), *, add: bool = True) -> Iterator[None]:
    """Have a missing index told with the command that builds it, and a broken one with that which builds it anew.

    It is built anew of `wanted`, with `add` of what it holds besides.

    Where that cannot be read, the command has the word FOLDER for it. Any other error names commands for this index.
    """
    try:
        yield
    except IndexMissing as error:
        error.hint = error.hint or f"build one with: {build_command(config)}"
        raise
    except IndexBroken as error:
        if error.hint is None:
            lost = "" if not add or built_of(config) else "what it was built of cannot be read: put it for FOLDER, and "
            error.hint = f"{lost}rebuild with: {rebuild_command(config, wanted, add=add)}"
        raise
    except GenerationMissing as error:
        error.hint = f"bring the index up to date with: {update_command(config)}"
        raise
    except RagError as error:
        error.hint = error.hint and for_index(error.hint, config)
        raise


def for_index(hint: str, config: Config) -> str:
    """Return a hint whose commands look into the index of these settings when they are typed here."""
    flag = shlex.join(_index_flag(config, _bare_config()))
    if not flag or "--index" in hint:
        return hint
    return _LOOKS.sub(lambda command: f"{command.group()} {flag}", hint)


def build_command(config: Config) -> str:
    """Return the command, typed here, that builds an index where there is none."""
    bare, roots = _bare_config(), list(config.article_paths())
    words = ["rag", "index"]
    if not all(root.exists() for root in roots):
        words.append("FOLDER")
    elif not _usual(roots, bare):
        words += [_typed(root) for root in roots]
    return shlex.join([*words, *_index_flag(config, bare), *_setting_flags(config, bare)])


def folder_command(config: Config) -> str:
    """Return the command, typed here, that builds the index of a folder that is yet to be named."""
    return shlex.join(["rag", "index", "FOLDER", *_index_flag(config, _bare_config())])


def rebuild_command(config: Config, wanted: Sequence[Path] = (), *, add: bool = True) -> str:
    """Return the command, typed here, that builds the index anew with these settings.

    It names what a bare `rag index --rebuild` would do otherwise, as flags and other settings files are not there then.
    """
    before = built_of(config) if add else []
    roots = list(dict.fromkeys([*before, *(path.absolute() for path in wanted)]))
    bare = _bare_config()
    words = ["rag", "index", "--rebuild"]
    if not _usual(roots, bare):
        words += [_typed(root) for root in roots]
    if add and not before:
        words.append("FOLDER")
    return shlex.join([*words, *_index_flag(config, bare), *_setting_flags(config, bare)])


def update_command(config: Config) -> str:
    """Return the command, typed here, that brings the index up to date with what it was built of."""
    roots, bare = built_of(config), _bare_config()
    named = [] if _usual(roots, bare) else [_typed(root) for root in roots]
    return shlex.join(["rag", "index", *named, *_index_flag(config, bare), *_setting_flags(config, bare)])


def near(path: Path) -> Path:
    """Return a path as a person would type it here: relative where it lies in the working directory."""
    return path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path


def built_of(config: Config) -> list[Path]:
    """Return what the current generation was built of, none if that cannot be read."""
    from rag.index.generations import current_folder
    from rag.index.manifest import roots_of

    try:
        return list(roots_of(current_folder(config.index_folder())))
    except RagError:
        return []


def _usual(roots: Sequence[Path], bare: Config | None) -> bool:
    """Tell whether a command without flags would read just these."""
    return bare is not None and [root.absolute() for root in roots] == [one.absolute() for one in bare.article_paths()]


def _setting_flags(config: Config, bare: Config | None) -> list[str]:
    """Return the flags for what decides what an index holds and is otherwise without them."""
    flags: list[str] = []
    for setting in config.settings():
        if setting.key.startswith(_BUILT_WITH) and (bare is None or bare.value(setting.key) != setting.value):
            flags += ["--set", f"{setting.key}={setting.text}"]
    return flags


def _index_flag(config: Config, bare: Config | None) -> list[str]:
    folder = config.index_folder().absolute()
    usual = bare is not None and bare.index_folder().absolute() == folder
    return [] if usual else ["--index", _typed(folder)]


def _typed(path: Path) -> str:
    typed = str(near(path))
    return f"./{typed}" if typed.startswith("-") else typed


def _bare_config() -> Config | None:
    """Return the settings of a command without flags, None if they cannot be read."""
    from rag.config import load_config

    file = os.environ.get("RAG_CONFIG")
    try:
        return load_config(file=Path(file) if file else None, overrides={}, environment=os.environ, cwd=Path.cwd())
    except RagError:
        return None
