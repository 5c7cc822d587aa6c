"""Dates as people write them, turned into `YYYY`, `YYYY-MM` or `YYYY-MM-DD`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_YEAR = r"(?<!\d)(?P<year>[12]\d{3})(?!\d)"
_DAY = r"(?<!\d)(?P<day>\d{1,2})(?:st|nd|rd|th)?(?!\d)"
_NUMBER = r"(?P<month>\d{1,2})(?!\d)"
_NAME = rf"\b(?P<month>{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in MONTHS)}|sept)\b\.?"

# Of the forms with slashes only those with the year in front are read: 4/5/2023 is April to some and May to others.
_FULL = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"{_YEAR}-{_NUMBER}-{_DAY}",
        rf"{_YEAR}/{_NUMBER}/{_DAY}",
        rf"{_YEAR}\.{_NUMBER}\.{_DAY}",
        rf"{_YEAR}\s?[年년]\s?{_NUMBER}\s?[月월]\s?{_DAY}\s?[日일]",
        rf"{_DAY}\s+(?:of\s+)?{_NAME},?\s+{_YEAR}",
        rf"{_NAME}\s+{_DAY},?\s+{_YEAR}",
    )
)
_PARTIAL = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"{_YEAR}[-/.]{_NUMBER}",
        rf"{_YEAR}\s?[年년]\s?{_NUMBER}\s?[月월]",
        rf"{_NAME},?\s+{_YEAR}",
        rf"{_YEAR}\s?[年년]?",
    )
)
_WEEKDAY = re.compile(r"\A(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+", re.IGNORECASE)
_TIME = re.compile(r"(?:T|,?\s+(?:at\s+)?)\d{1,2}:\d{2}[^\n]{0,30}\Z", re.IGNORECASE)
_LONGEST = 100
_WIDE = str.maketrans("０１２３４５６７８９．／", "0123456789./")


def parse_date(written: str) -> str | None:
    """Return a date in ISO form, as exact as it is written, or None if this is no date or could be two."""
    if len(written) > _LONGEST:
        return None
    bare = _TIME.sub("", _WEEKDAY.sub("", written.translate(_WIDE).strip()))
    for form in (*_FULL, *_PARTIAL):
        if match := form.fullmatch(bare):
            return _iso(match)
    return None


def find_dates(line: str) -> Iterable[tuple[int, int, str]]:
    """Yield start, end and ISO form of each full date in a line."""
    for form in _FULL:
        for match in form.finditer(line.translate(_WIDE)):
            if iso := _iso(match):
                yield match.start(), match.end(), iso


def _iso(match: re.Match[str]) -> str | None:
    parts = match.groupdict()
    month = parts.get("month")
    if month is None:
        return parts["year"]
    number = int(month) if month.isdecimal() else [name[:3] for name in MONTHS].index(month[:3].lower()) + 1
    try:
        day = date(int(parts["year"]), number, int(parts.get("day") or 1))
    except ValueError:
        return None
    return day.isoformat() if parts.get("day") else day.isoformat()[:7]
