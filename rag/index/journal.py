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
from collections.abc import Iterator, Sequence
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
_RECORDS_AT_ONCE = 10_000


class Journal:
    """Vectors with the hashes of their passages, those of an interrupted build first; records are numbered from 0.

    Open for appending while it is a context. What it holds stays on disk.

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
        self.size = 0

    def __enter__(self) -> Self:
        self._stream = self._file.open("r+b" if self._file.exists() else "w+b", buffering=0)
        self.size, end = self._whole()
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
        self.size += len(hashes)

    def hashes(self) -> Iterator[str]:
        """Yield the hashes of all records, in order."""
        for start in range(0, self.size, _RECORDS_AT_ONCE):
            for digest in self._records()["hash"][start : start + _RECORDS_AT_ONCE]:
                yield bytes(digest).hex()

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of records: (len(numbers), dim) float32."""
        return np.asarray(self._records()["row"][numbers], np.float32)

    def _records(self) -> NDArray[np.void]:
        """Return all records, mapped anew: what is read through a map counts as held until the map is gone."""
        if not self.size:
            return np.empty(0, self._record)
        return np.memmap(self._file, self._record, "r", offset=len(self._head), shape=(self.size,))

    def _whole(self) -> tuple[int, int]:
        """Return how many whole records there are, and where these end; 0 when the head is another's."""
        with self._file.open("rb") as stream:
            if stream.read(len(self._head)) != self._head:
                return 0, 0
            count = 0
            while len(record := stream.read(self._record.itemsize)) == self._record.itemsize:
                if zlib.crc32(record[: -_CRC.size]) != _CRC.unpack(record[-_CRC.size :])[0]:
                    break
                count += 1
        return count, len(self._head) + count * self._record.itemsize

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
