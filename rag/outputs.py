"""Files that the user names to be written: whole or not at all, and never in the place of what is no file."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

STANDARD_OUTPUT = Path("-")
# A folder may refuse new files, or a mounted file its place, and yet let what is there be written.
_IN_PLACE = frozenset({errno.EACCES, errno.EPERM, errno.EBUSY, errno.EROFS, errno.EXDEV})


def write_output(file: Path, content: bytes) -> None:
    """Write a file anew: whoever is killed meanwhile leaves the old one or the new, never a part.

    Where that one file alone may be written, and nothing beside it, it is written over in its place. What is there
    already stays what it is: a link still leads to its file, and that keeps its mode. A device or a pipe is written to.

    Raises:
        OSError: it cannot be written; a file that was there is then as it was.
    """
    mode = _mode(file)
    if mode is not None and not stat.S_ISREG(mode):
        # Opening a folder says what it is. A new file in the place of /dev/null would spoil the machine.
        with file.open("wb") as stream:
            stream.write(content)
        return
    target = Path(os.path.realpath(file))
    try:
        _replace(target, content, mode)
    except OSError as error:
        if mode is None or error.errno not in _IN_PLACE:
            raise
        with target.open("r+b") as same:
            same.truncate()
            same.write(content)


def is_terminal(file: Path) -> bool:
    """Tell whether what is written there appears on a terminal, as with /dev/tty or /dev/stdout."""
    mode = _mode(file)
    if mode is None or not stat.S_ISCHR(mode):
        return False
    with suppress(OSError):
        number = os.open(file, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            return os.isatty(number)
        finally:
            os.close(number)
    return False


def why_no_output(file: Path) -> str | None:
    """Return why a file cannot be written, as far as can be told before the work whose result it is to hold."""
    mode = _mode(file)
    if mode is not None:
        writable = os.access(file, os.W_OK)
        return os.strerror(errno.EISDIR) if stat.S_ISDIR(mode) else None if writable else os.strerror(errno.EACCES)
    folder = Path(os.path.realpath(file)).parent
    mode = _mode(folder)
    if mode is None:
        return os.strerror(errno.ENOENT)
    if not stat.S_ISDIR(mode):
        return os.strerror(errno.ENOTDIR)
    return None if os.access(folder, os.W_OK | os.X_OK) else os.strerror(errno.EACCES)


def is_same_file(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to one regular file that is there."""
    mode = _mode(one)
    return mode is not None and stat.S_ISREG(mode) and _mode(other) is not None and one.samefile(other)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except OSError:
        return None


def _replace(target: Path, content: bytes, mode: int | None) -> None:
    # Of one process's own, so that no file of the user's has this name by chance; short, as names have a bound.
    staged = target.with_name(f".rag-{os.getpid()}.partial")
    try:
        # Nobody reads what is staged who may not read what it replaces.
        number = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666 if mode is None else stat.S_IMODE(mode))
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            staged.chmod(stat.S_IMODE(mode))
        staged.replace(target)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
