"""Rows that a long measurement keeps as it goes on, so that a stopped run is taken up where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class KeptRows:
    """Rows by key in a JSON-lines file; a row of another stamp is as good as none."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows: dict[str, Row] = {}
        if file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                try:
                    row = json.loads(line)
                except ValueError:  # the last line of a run that was killed while it wrote
                    continue
                self._rows[row["key"]] = row

    def get(self, key: str, stamp: str, make: Callable[[], Row]) -> Row:
        """Return the row that is kept under a key and a stamp, or make it and keep it."""
        row = self._rows.get(key)
        if row is None or row["stamp"] != stamp:
            row = {**make(), "key": key, "stamp": stamp}
            self._rows[key] = row
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write("\n" + json.dumps(row, ensure_ascii=False))
        return row

    def kept(self, key: str) -> Row | None:
        """Return the row that is kept under a key, whatever its stamp; None if there is none."""
        return self._rows.get(key)
