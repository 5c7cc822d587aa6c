"""Whether the numbers and dates of a claim stand in its evidence, however either writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from rag.answering.figures import MONEY, Figure, Moment, Quantity, could_be_year, find_figures, units_in


@dataclass(frozen=True, slots=True)
class Issued:
    """When an article was published, as far as it is known."""

    year: int | None = None
    month: int | None = None

    @classmethod
    def of(cls, published: str | None) -> Issued:
        """Return the year and month of an ISO date, however exact."""
        parts = (published or "").split("-")
        if not parts[0].isdecimal():
            return cls()
        return cls(int(parts[0]), int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else None)


UNDATED = Issued()
_DECIMALS = 6
_HEDGE = re.compile(
    r"(?P<near>\b(?:about|around|approximately|roughly|nearly|almost|some|close to|circa|ca\.?|an estimated)|~|≈"
    r"|约|大约|近|約|ほぼ)"
    r"|(?P<over>\b(?:more than|over|at least|above|exceed(?:s|ed|ing)?)|逾|超过|超過|超)"
    r"|(?P<under>\b(?:less than|under|below|fewer than|up to|at most)|不到|不足)",
    re.IGNORECASE,
)
_RELATIVE_YEAR = {
    re.compile(r"\bthis year\b|今年", re.IGNORECASE): 0,
    re.compile(r"\blast year\b|\ba year ago\b|去年|昨年", re.IGNORECASE): -1,
    re.compile(r"\bnext year\b|明年|来年", re.IGNORECASE): 1,
}


def missing_figures(claim: str, evidence: str, *, issued: Issued = UNDATED) -> list[str]:
    """Return the numbers and dates of a claim, as written, that the evidence does not have.

    `issued` is when the evidence's article was published: it stands for the year of "this year" and of a month without
    one that lies before it.
    """
    there = find_figures(evidence)
    return [
        claim[figure.start : figure.end].strip()
        for figure in find_figures(claim)
        if not (
            _has_moment(figure, there, evidence=evidence, issued=issued)
            if isinstance(figure, Moment)
            else _has_quantity(figure, there, claim=claim, evidence=evidence, issued=issued)
        )
    ]


def _has_moment(wanted: Moment, there: list[Figure], *, evidence: str, issued: Issued) -> bool:
    moments = [figure for figure in there if isinstance(figure, Moment)]
    if wanted.decade:
        return any(moment.decade and moment.year == wanted.year for moment in moments)
    if wanted.month is None:
        return wanted.year is not None and wanted.year in _years(there, evidence=evidence, issued=issued)
    for moment in moments:
        if moment.month != wanted.month or (wanted.day is not None and moment.day != wanted.day):
            continue
        if wanted.year is None or moment.year == wanted.year:
            return True
        if moment.year is None and wanted.year in _years(there, evidence=evidence, issued=issued):
            return True
    return False


def _years(there: Iterable[Figure], *, evidence: str, issued: Issued) -> set[int]:
    """Return the years that the evidence names, or means by its article's date."""
    years = {figure.year for figure in there if isinstance(figure, Moment) and figure.year and not figure.decade}
    years |= {int(f.value) for f in there if isinstance(f, Quantity) and could_be_year(f)}
    if issued.year:
        years |= {issued.year + shift for pattern, shift in _RELATIVE_YEAR.items() if pattern.search(evidence)}
        undated = [f.month for f in there if isinstance(f, Moment) and f.month and not f.year]
        if issued.month and any(month <= issued.month for month in undated):
            years.add(issued.year)
    return years


def _has_quantity(wanted: Quantity, there: list[Figure], *, claim: str, evidence: str, issued: Issued) -> bool:
    is_year = not wanted.ordinal and could_be_year(wanted)
    if is_year and int(wanted.value) in _years(there, evidence=evidence, issued=issued):
        return True
    hedge = _hedge_before(claim, wanted.start)
    for figure in there:
        if isinstance(figure, Moment):
            continue
        same = figure.value == wanted.value or (hedge and _rounds_to(figure.value, wanted.value, hedge))
        if same and figure.ordinal == wanted.ordinal and _units_agree(wanted, figure, evidence=evidence):
            return True
    return False


def _hedge_before(claim: str, start: int) -> str | None:
    found = None
    for match in _HEDGE.finditer(claim, max(0, start - 20), start):
        if not claim[match.end() : start].strip(" $€£¥,an"):
            found = match.lastgroup
    return found


def _rounds_to(exact: Fraction, said: Fraction, hedge: str) -> bool:
    """Tell whether an exact number is what a claim says about, over or under: rounded to as many digits as it has."""
    if not exact or not said or (hedge == "over" and exact < said) or (hedge == "under" and exact > said):
        return False
    if (10**_DECIMALS * said).denominator != 1:
        return False  # a third has no last digit
    step = Fraction(1, 10**_DECIMALS)
    while said % (step * 10) == 0:
        step *= 10
    # One digit alone is too rough to be a rounding: "about 3 million" is not 2.6 million.
    return abs(exact - said) <= min(step / 2 if hedge == "near" else step, said / 10)


def _units_agree(wanted: Quantity, figure: Quantity, *, evidence: str) -> bool:
    if wanted.unit == figure.unit:
        return True
    if not wanted.unit:
        return figure.unit not in {"%", *MONEY}
    if figure.unit:
        return False
    return wanted.unit in units_in(evidence)
