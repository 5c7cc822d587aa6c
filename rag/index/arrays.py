"""Arrays on disk: written from front to back, read through a memory map. No pickle."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


class ArrayWriter:
    """Writes an array of known shape into an `.npy` file, a piece at a time.

    Raises:
        OSError: the file cannot be written, as when the disk is full.
    """

    def __init__(self, file: Path, *, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
        self._shape = shape
        self._dtype = np.dtype(dtype)
        self._rows = 0
        self._stream = file.open("wb")
        facts = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._stream, facts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        if kind is None and self._rows != self._shape[0]:
            raise ValueError(f"an array of {self._shape[0]} rows got {self._rows}")

    def write(self, piece: NDArray[Any]) -> None:
        """Append rows."""
        # tofile() would lose the system's error number.
        self._stream.write(np.ascontiguousarray(piece, self._dtype).data)
        self._rows += len(piece)


def save_array(file: Path, array: NDArray[Any]) -> None:
    """Write a whole array."""
    with ArrayWriter(file, shape=array.shape, dtype=array.dtype.type) as writer:
        writer.write(array)


def open_array(file: Path, dtype: type[np.generic], *, dimensions: int = 1) -> NDArray[Any]:
    """Return an array on disk, read-only; what is not looked at is not read.

    Raises:
        OSError: the file is not there.
        ValueError: it holds no such array.
    """
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    if array.dtype != np.dtype(dtype) or array.ndim != dimensions:
        raise ValueError(f"{file} holds {array.dtype} in {array.ndim} dimensions")
    # The map stays; a plain view of it is indexed several times faster.
    return np.asarray(array.view(np.ndarray))
