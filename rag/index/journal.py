"""The journal: every vector as soon as it is encoded, so that a build that dies is gone on with, not begun anew.

    index/journal       a head that names the encoder, then records of one size: passage hash, vector, CRC-32 of both

A record that was torn off by the death of its writer is cut away, with whatever follows it. The file is removed once
the generation that its vectors went into is the current one.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"rag journal 1\n"
_HASH_BYTES = 32
_CRC = struct.Struct("<I")
# A kill loses nothing that was written; only a power cut can, and it loses what this many seconds brought.
_SYNC_AFTER_S = 1.0


class Journal:
    """Vectors by passage hash, those of an interrupted build first; open for appending while it is a context.

    Raises:
        OSError: on opening and appending, when the disk is full or the folder cannot be written.
    """

    def __init__(self, file: Path, *, fingerprint: str, dim: int) -> None:
        self._file = file
        self._head = _head(fingerprint, dim)
        self._dim = dim
        self._record = np.dtype([("hash", f"V{_HASH_BYTES}"), ("row", "<f4", (dim,)), ("crc", "<u4")])
        self._stream: BinaryIO | None = None
        self._synced = time.monotonic()
        self.known: Mapping[str, NDArray[np.float32]] = {}

    def __enter__(self) -> Self:
        self._stream = self._file.open("r+b" if self._file.exists() else "w+b", buffering=0)
        self.known, end = self._read(self._stream.read())
        self._stream.truncate(end)
        self._stream.seek(end)
        if end == 0:
            self._write(self._head)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def append(self, hashes: Sequence[str], rows: NDArray[np.float32]) -> None:
        """Write down the vectors (n, dim) of passages."""
        block = bytearray()
        for digest, row in zip(hashes, rows, strict=True):
            record = bytes.fromhex(digest) + np.asarray(row, "<f4").tobytes()
            block += record + _CRC.pack(zlib.crc32(record))
        self._write(bytes(block))

    def _read(self, content: bytes) -> tuple[dict[str, NDArray[np.float32]], int]:
        """Return the vectors of all whole records, and where these end; 0 when the head is another's."""
        if not content.startswith(self._head):
            return {}, 0
        size = self._record.itemsize
        count = (len(content) - len(self._head)) // size
        records = np.frombuffer(content, self._record, count, offset=len(self._head))
        known: dict[str, NDArray[np.float32]] = {}
        end = len(self._head)
        for record in records:
            if zlib.crc32(content[end : end + size - _CRC.size]) != record["crc"]:
                break
            known[bytes(record["hash"]).hex()] = record["row"]
            end += size
        return known, end

    def _write(self, block: bytes) -> None:
        if self._stream is None:
            raise ValueError("the journal is not open")
        rest = memoryview(block)
        while rest:
            rest = rest[self._stream.write(rest) :]
        if time.monotonic() - self._synced > _SYNC_AFTER_S:
            os.fsync(self._stream.fileno())
            self._synced = time.monotonic()


def _head(fingerprint: str, dim: int) -> bytes:
    digest = hashlib.sha256(fingerprint.encode("utf-8", "surrogatepass")).digest()
    facts = _MAGIC + _CRC.pack(dim) + digest
    return facts + _CRC.pack(zlib.crc32(facts))
