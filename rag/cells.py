"""CSV with cells as long as an article: the csv module takes 131,072 characters, unless it is told otherwise."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LONGEST = 5_000_000
_ONE_AT_A_TIME = threading.RLock()  # the csv module has one limit for the whole process


@contextmanager
def long_cells() -> Iterator[None]:
    """Let the csv module read long cells, as long as this lasts."""
    with _ONE_AT_A_TIME:
        earlier = csv.field_size_limit(_LONGEST)
        try:
            yield
        finally:
            csv.field_size_limit(earlier)
