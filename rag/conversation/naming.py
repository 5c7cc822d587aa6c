"""The names in a text, and what each is probably the name of: of a person, a place or a group."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a name is the name of."""

    PERSON = "person"
    PLACE = "place"
    GROUP = "group"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Name:
    """A name as it is written in a text."""

    text: str
    role: Role


MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
YEAR = re.compile(
    rf"\b(?:{MONTH}\s+)?"
    r"(?:1[6-9]|20)\d\d\b|(?:(?:1[6-9]|20)\d\d|[去今明前昨来]|[〇一二三四五六七八九]{4})年(?:\d{1,2}月)?"
)
_UPPER = "A-ZÀ-ÖØ-Þ"
NAME = re.compile(
    rf"(?<![\w])(?:[{_UPPER}][\w&'’.-]*\w|[{_UPPER}])(?:[ ](?:(?:of|for|de|van|von|al|bin)[ ](?:the[ ])?)?"
    rf"(?:[{_UPPER}][\w&'’.-]*\w|[{_UPPER}](?!\w)|No\.[ ]\d+|\d+(?![\w%])))*"
)
NOT_NAMES = frozenset(
    """
    a about according after all also although an and any anybody anyone are as asked at because before both but by can
    could did do does each everybody everyone everything nobody nothing somebody someone something explain for from
    had has have he her his how if in is it its list many may might more most name no not of on one or our please
    several she should since so some such tell that the their then there these they this those to under was we were
    what when where which while who whom whose why will with would yes you i i'm do you two three four five six seven
    eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty
    """.split()  # noqa: SIM905  # a list of strings would be forty lines
)
_SPEECH = r"(?:said|says|told|asked|added|argued|noted|stressed|warned|called|pointed|expects?|believes?|thinks?|sees)"
_SPEAKS = re.compile(rf"^(?:,[^.;]{{1,120}}?,|,)?\s+(?:also\s+|then\s+)?{_SPEECH}\b", re.IGNORECASE)
_SPOKEN = re.compile(rf"(?:according to|{_SPEECH}|Mr|Mrs|Ms|Dr|Prof|President|Minister|Governor|Ambassador|Sir|Lord)"
                     r"[.,]?\s+$", re.IGNORECASE)  # fmt: skip
_TITLED = re.compile(r"(?:Mr|Mrs|Ms|Dr|Prof|Professor|Judge|Justice|Sir|Lord|Lady|Captain|Father|Sister)\.? [A-Z]")
_AT = re.compile(r"\b(?:in|at|near|from|to|outside|inside|across)\s+(?:the\s+)?$", re.IGNORECASE)
_GROUP = re.compile(
    r"\b(?:Ministry|University|Institute|Company|Companies|Corporation|Bank|Organi[sz]ation|Association|Council|Party|"
    r"Times|News|Press|Academy|Center|Centre|Chamber|Federation|Union|Agency|Government|Group|Commission|Committee|"
    r"Department|Inc|Ltd|LLC|Office|Society|Court|House|Senate|Congress|Parliament|Treaty|Agreement|Act)\b|^[A-Z]{2,}\w*$"
)
_PEOPLE = re.compile(r"^[A-Z]\w+(?:ese|ish|ian|ians|ean|eans)$")
_PLACES = frozenset(
    """
    afghanistan africa america argentina asia australia austria bangkok bangladesh beijing belgium berlin brazil
    britain cambodia canada chile china colombia cuba denmark egypt england europe finland france fujian fukushima
    germany greece guangdong hokkaido hungary iceland india indonesia iran iraq ireland israel italy japan jordan
    kenya korea kyoto laos london macau malaysia mexico mongolia morocco moscow myanmar nepal netherlands nigeria
    norway okinawa osaka pakistan paris peru philippines poland portugal pyongyang romania russia scotland seoul
    shanghai singapore spain sweden switzerland syria taipei taiwan thailand tibet tokyo turkey ukraine us usa
    venezuela vienna vietnam wales washington
    """.split()  # noqa: SIM905  # as above
)
_CALENDAR = re.compile(rf"(?:(?:Early|Mid|Late) )?(?:{MONTH}|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)(?: \d+)*")
_LONG_PLACES = frozenset(
    {"hong kong", "united states", "united kingdom", "south korea", "north korea", "san francisco"}
)


def names_in(text: str) -> Iterator[Name]:
    """Yield the names in a text, in its order."""
    for match in name_matches(text):
        yield Name(match.group(), role_in(match, text))


def name_matches(text: str) -> Iterator[re.Match[str]]:
    """Yield where names stand in a text; what has a capital only as it begins a sentence is none."""
    for match in NAME.finditer(text):
        if _CALENDAR.fullmatch(match.group()):
            continue
        words = match.group().split()
        first = words[0].casefold()
        begins = re.search(r"(?:^|[.!?:]\s+)[\"'“‘]?$", text[: match.start()])
        if first not in NOT_NAMES and not (begins and len(words) == 1 and first.endswith(("ing", "ly", "ed"))):
            yield match
        elif len(words) > 1 and (inner := NAME.search(text, match.start() + len(words[0]) + 1, match.end())):
            yield inner


def role_in(match: re.Match[str], text: str) -> Role:
    """Return what a name is the name of, by what stands around it in its text."""
    return role_of(match.group(), text[: match.start()], text[match.end() :])


def role_of(name: str, before: str, after: str) -> Role:
    """Return what a name is the name of, by its words and those before and after it."""
    words = name.casefold().removeprefix("the ").split()
    if words[-1] in _PLACES or " ".join(words) in _LONG_PLACES:
        return Role.PLACE
    if _GROUP.search(name) or _PEOPLE.search(name):
        return Role.GROUP
    if _TITLED.match(name) or _SPEAKS.match(after) or _SPOKEN.search(before):
        return Role.PERSON
    return Role.PLACE if _AT.search(before) else Role.UNKNOWN


def kind_of(phrase: str) -> Role | None:
    """Return what a name in a phrase is the name of; None if there is no name in it."""
    names = list(name_matches(phrase))
    return role_of(names[-1].group(), "", "") if names else None
