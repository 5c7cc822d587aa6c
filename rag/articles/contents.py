"""A file's bytes, in bounds: no more of them than a limit, from nothing but a regular file, gzip taken off."""

from __future__ import annotations

import io
import os
import stat
import zlib
from pathlib import Path

from rag.errors import ArticleError

# The largest file that is read, and the most that a packed one may unpack to.
MOST_MEGABYTES = 256
# The same for a file that is one text: twenty novels.
MOST_TEXT_MEGABYTES = 32
# So much of a file is looked at where its name does not say what it holds.
HEAD_BYTES = 65_536

_MEGABYTE = 2**20


def read_content(file: Path, *, most_megabytes: int) -> bytes:
    """Return the content of a regular file; that of a `.gz` file is unpacked.

    Raises:
        ArticleError: it is a pipe, a device or a socket, is too large or unpacks to too much, or is broken gzip.
        OSError: the file cannot be opened or read.
    """
    content = _read(file, most_bytes=most_megabytes * _MEGABYTE + 1)
    if len(content) > most_megabytes * _MEGABYTE:
        raise ArticleError(
            f"it is larger than {most_megabytes} MB", hint="split the file, or move it out of the folder"
        )
    return _unpack(content, most_megabytes=most_megabytes) if file.suffix.lower() == ".gz" else content


def read_head(file: Path) -> bytes:
    """Return the first bytes of a regular file; those of a `.gz` file are unpacked, as far as that goes.

    Raises:
        ArticleError: it is a pipe, a device or a socket, or is broken gzip.
        OSError: the file cannot be opened or read.
    """
    content = _read(file, most_bytes=HEAD_BYTES)
    if file.suffix.lower() != ".gz":
        return content
    try:
        return zlib.decompressobj(wbits=31).decompress(content, HEAD_BYTES)
    except zlib.error as error:
        raise ArticleError(f"it is broken gzip: {error}") from error


def _read(file: Path, *, most_bytes: int) -> bytes:
    if stat.S_ISSOCK(file.stat().st_mode):  # which cannot even be opened
        raise ArticleError("it is not a regular file")
    # Opening a pipe would wait for its writer, unless told not to.
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ArticleError("it is not a regular file")
        return stream.read(most_bytes)


def _unpack(packed: bytes, *, most_megabytes: int) -> bytes:
    import gzip

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            content = stream.read(most_megabytes * _MEGABYTE + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise ArticleError(f"it is broken gzip: {error}") from error
    if len(content) > most_megabytes * _MEGABYTE:
        raise ArticleError(f"it unpacks to more than {most_megabytes} MB")
    return content
