"""A report that several commands write: each its own part, and none that of another."""

from __future__ import annotations

import re
from pathlib import Path

from rag.models.runtime import write_atomically

FEWEST = 10
_MARK = re.compile(r"^<!-- part: (.+) -->\n", re.MULTILINE)


def is_quick_look(*bounds: int | None) -> bool:
    """Tell whether one of a run's bounds is so low that what it measures should stand in no report."""
    return any(bound is not None and bound < FEWEST for bound in bounds)


def put_part(file: Path, text: str, *, name: str = "") -> None:
    """Write one part of a report, and leave the others as they are; the part without a name stands first."""
    parts = read_parts(file.read_text(encoding="utf-8")) if file.exists() else {}
    parts[name] = text.strip("\n") + "\n"
    first = parts.pop("", "")
    marked = [f"<!-- part: {other} -->\n{part}" for other, part in parts.items()]
    write_atomically(file, "\n".join([first, *marked] if first else marked).encode())


def read_parts(report: str) -> dict[str, str]:
    """Return the parts of a report by name, in their order."""
    first, *pieces = _MARK.split(report)
    named = {"": first, **dict(zip(pieces[::2], pieces[1::2], strict=True))}
    return {name: part.strip("\n") + "\n" for name, part in named.items() if part.strip("\n")}
