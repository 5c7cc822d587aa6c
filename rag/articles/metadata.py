"""Title, date, source and language, from the best witness there is: front matter, page metadata, text, file name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from rag.articles.dates import MONTHS, find_dates, parse_date
from rag.articles.files import suffix_of
from rag.records import Span

FIELDS = ("title", "source", "author", "published", "language", "url")

_EDGE_LINES = 5
_LONGEST_TITLE = 160
_LONGEST_SOURCE = 80
_LONGEST_BYLINE = 160
# Of a longer line nothing is told: no title or name of a source is so long, and the patterns would take forever.
_LONGEST_TELLING = 400
_SAMPLE_CHARACTERS = 20_000

_FENCE = re.compile(r"^ {0,3}(?:```|~~~)")
_TOP_HEADING = re.compile(r"^#[ \t]+(\S.*?)[ \t]*#*$")
_ANY_HEADING = re.compile(r"^#{1,6}[ \t]+(\S.*?)[ \t]*#*$")
_NO_TITLE = re.compile(r"^(?:[-*+•>|=]|\d+[.)]\s|https?://|!\[|\[)")
_SENTENCE_END = re.compile(r"[.。!！:：;,，、]['\"”’」』)]*$")

_PUBLISHED = re.compile(
    r"^(?:first |originally )?(?:published|posted|dated?|(?=.*[:*])(?:held|signed)|publication date|"
    r"culled from\b.*?)(?: on| at)?\s*[:,–—-]?[\s*_]*$"
    r"|^(?:发布时间|發布時間|发布日期|日期|时间|公開日|掲載日|配信日|日付)\s*[:：]?\s*$",
    re.IGNORECASE,
)
_CITY = re.compile(r"^[A-Z][A-Z .,'’/-]{2,40},?\s*$")
_WEEKDAY = re.compile(r"(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s*$", re.IGNORECASE)
_AFTER_DATE = re.compile(
    r"^[\s,|·•–—-]*(?:(?:at\s+)?\d{1,2}:\d{2}.*|\d{1,2}\s?[時时]\s?\d{1,2}\s?分?.{0,8}|\d{1,2}[ -]min(?:ute)?s?[ -]read"
    r"|(?:last )?(?:updated|modified)\b.*)?$",
    re.IGNORECASE,
)
# What stands between the names of a byline and its date.
_BETWEEN = r"(?:\s*[,|·•/–—-]+\s*|\s+)(?:(?:published|posted)?\s*(?:on|at)?\s*[:,]?\s*)?"
_BYLINE = re.compile(
    rf"^(?:(?:written|posted|published|reported)\s+)?by:?\s+(?P<names>\S.*?){_BETWEEN}$", re.IGNORECASE
)
_BYLINE_BEHIND = re.compile(
    r"^\s*[,|·•/–—-]*\s*(?:(?:written|posted|published|reported)\s+)?by:?\s+(?P<names>\S.*)$", re.IGNORECASE
)
_CREDITED = r"(?:来源|來源|出典|作者|记者|記者|撰文|编辑|編輯|文)"
_CREDIT = re.compile(
    rf"^{_CREDITED}\s*(?:[:：/／|｜]\s*|\s)[^\s。！？][^。！？]{{0,40}}?[\s|｜/／,，]+$"
    r"|^[\u3400-\u9fff\u30a1-\u30fc]{1,10}(?:通信|通信社|新[聞闻]|新[聞闻]社|[报報]|[网網]|ニュース)\s+$"
)
_CREDIT_BEHIND = re.compile(
    rf"^[\s|｜,，]*(?:\d{{1,2}}[:：]\d{{2}}(?:[:：]\d{{2}})?)?[\s|｜,，]*{_CREDITED}\s*[:：/／|｜]\s*[^\s。！？][^。！？]{{0,40}}$"
)
# Small words that may stand among the names and places of a byline, whose other words begin with a capital.
_IN_BYLINES = frozenset(
    re.findall(
        r"\w+",
        "and with from in at for of the our de del della da di du dos la le van von der den ter ten al el bin ibn"
        " correspondent reporter reporters editor editors writer writers staff senior chief contributor admin bureau",
    )
)
_NO_NAMES = re.compile(
    rf"\b(?:{'|'.join(MONTHS)}|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b|\d|(?:\w{4}\.|[!?:;])\s*$", re.IGNORECASE
)
_MOST_BYLINE_WORDS = 14
_AGENCY = re.compile(r"^\s*(?:\([\w /]+\))?\s*(?:--|[–—-])\s")
_SOURCE = re.compile(
    r"^(?:culled from|source\s*[:：]|originally published (?:in|by)|first published (?:in|by)|reprinted from"
    r"|republished from|courtesy of|来源\s*[:：]|來源\s*[:：]|出典\s*[:：]|出所\s*[:：])\s*(?P<name>\S.*)$"
    r"|^(?:copyright\s*)?(?:©|\(c\))\s*(?:\d{4}(?:[-–]\d{4})?,?\s*)?(?P<owner>\S.*)$",
    re.IGNORECASE,
)
_SOURCE_TAIL = re.compile(r"(?:(?<=[a-z.])Advertisements?|[.,;]?\s*all rights reserved\.?)$", re.IGNORECASE)

_KANA = re.compile(r"[\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9d]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_HANGUL = re.compile(r"[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+")
_ENGLISH = frozenset(re.findall(r"\w+", "the of and to that was were with for is are by from this which has have not"))
_LEAST_ENGLISH = 0.12
_LEAST_KANA = 0.1  # a Chinese text may hold a stray の; a Japanese one is kana by a third and more


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known about an article: its fields, where each came from, and everything else by name."""

    fields: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)

    def or_else(self, witness: Mapping[str, str | None], *, origin: str) -> Metadata:
        """Return this metadata with the fields it lacks taken from a weaker witness."""
        added = {name: value for name, value in witness.items() if value and name not in self.origins}
        return Metadata(
            fields={**self.fields, **added},
            origins={**self.origins, **dict.fromkeys(added, origin)},
            others=self.others,
        )


def from_front_matter(values: Mapping[str, str], *, origin: str = "front matter") -> Metadata:
    """Return the metadata of an article's front matter, or of its row, as `origin` says.

    A `published` that is no date stays among the others as it is written; its origin is set and its field is not, so
    that no guess takes its place. A field without a value stays among the others too, and leaves its place to a guess.
    """
    fields = {key.lower(): value for key, value in values.items() if value and key.lower() in FIELDS}
    others = {key: value for key, value in values.items() if not value or key.lower() not in FIELDS}
    origins = dict.fromkeys(fields, origin)
    if "published" in fields:
        written = fields.pop("published")
        if iso := parse_date(written):
            fields["published"] = iso
        else:
            others["published"] = written
    return Metadata(fields=fields, origins=origins, others=others)


def from_text(text: str, *, furniture: Sequence[Span]) -> dict[str, str | None]:
    """Return the title, date, source and language that an article's text tells of itself."""
    lines = [line.strip() for line in _lines_without(text, furniture) if line.strip()]
    edges = lines if len(lines) <= 2 * _EDGE_LINES else lines[:_EDGE_LINES] + lines[-_EDGE_LINES:]
    # A copyright line is furniture and all the same the page's own word on its source.
    marked = [line.strip() for line in text.splitlines() if line.strip()]
    return {
        "title": _title(lines),
        "published": _published(edges),
        "source": _source([*edges, *marked[:_EDGE_LINES], *marked[-_EDGE_LINES:]]),
        "language": detect_language(text),
    }


def title_of_file(path: str) -> str:
    """Return a title made from a file's name."""
    name = PurePosixPath(path).name
    stem = name[: len(name) - len(suffix_of(name))] or name
    return re.sub(r"[-_\s]+", " ", stem).strip() or stem


def detect_language(text: str) -> str | None:
    """Return "ja", "zh", "ko" or "en" where script and stop words leave little doubt, else None."""
    sample = text[:_SAMPLE_CHARACTERS]
    kana, han, hangul = (len(script.findall(sample)) for script in (_KANA, _HAN, _HANGUL))
    words = [word.lower() for word in _LATIN_WORD.findall(sample)]
    east_asian = kana + han + hangul
    if east_asian > len(words):
        if hangul > kana + han:
            return "ko"
        return "ja" if kana > _LEAST_KANA * east_asian else "zh"
    if words and sum(word in _ENGLISH for word in words) >= _LEAST_ENGLISH * len(words):
        return "en"
    return None


def _lines_without(text: str, furniture: Sequence[Span]) -> list[str]:
    kept, position = [], 0
    for span in furniture:
        kept.append(text[position : span.start])
        position = span.end
    return "".join([*kept, text[position:]]).split("\n")


def _title(lines: Sequence[str]) -> str | None:
    fenced = False
    for line in lines:
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and len(line) <= _LONGEST_TELLING and (heading := _TOP_HEADING.match(line)):
            return heading[1]
    if not lines:
        return None
    first = lines[0]
    if len(first) > _LONGEST_TELLING:
        return None
    if heading := _ANY_HEADING.match(first):
        return heading[1]
    if len(first) > _LONGEST_TITLE or _NO_TITLE.match(first) or _SENTENCE_END.search(first) or parse_date(first):
        return None
    return first if any(character.isalpha() for character in first) else None


def _published(edges: Sequence[str]) -> str | None:
    """Return the one full date that a line near the top or the end gives as the article's own."""
    found = {iso for line in edges if (iso := _dateline(line))}
    return found.pop() if len(found) == 1 else None


def _dateline(line: str) -> str | None:
    line = line.strip("*_> ")
    if (iso := parse_date(line)) and len(iso) == len("YYYY-MM-DD"):
        return iso
    for start, end, iso in find_dates(line[:_LONGEST_TELLING]):
        before, after = _WEEKDAY.sub("", line[:start]), line[end:]
        if _CITY.match(before) and (_AGENCY.match(after) or _AFTER_DATE.match(after)):
            return iso
        if len(line) <= _LONGEST_BYLINE and _stands_in_byline(before, after):
            return iso
    return None


def _stands_in_byline(before: str, after: str) -> bool:
    """Tell whether a date with this before and after it is all that a line holds beside who wrote the article."""
    opened = _PUBLISHED.match(before) or not before.strip()
    if ((opened or _CREDIT.match(before)) and _AFTER_DATE.match(after)) or (opened and _CREDIT_BEHIND.match(after)):
        return True
    if (byline := _BYLINE.match(before)) and _AFTER_DATE.match(after):
        return _are_names(byline["names"])
    return bool(opened and (byline := _BYLINE_BEHIND.match(after)) and _are_names(byline["names"]))


def _are_names(text: str) -> bool:
    """Tell whether a text can be the names, offices and places of a byline: no word of prose is among them."""
    words = re.findall(r"[^\W\d_][\w.'’-]*", text)
    known = [word.lower().strip(".") in _IN_BYLINES for word in words]
    named = [word[0].isupper() or word[0].lower() == word[0].upper() for word in words]
    some = any(named) or words == ["admin"]
    fit = len(words) <= _MOST_BYLINE_WORDS and all(k or n for k, n in zip(known, named, strict=True))
    return some and fit and not _NO_NAMES.search(text)


def _source(edges: Sequence[str]) -> str | None:
    for line in edges:
        if len(line) <= _LONGEST_TELLING and (match := _SOURCE.match(line.strip("*_>() "))):
            name = match["name"] or match["owner"]
            for start, _, _ in find_dates(name):
                name = name[:start]
            name = _SOURCE_TAIL.sub("", name.strip()).strip(" \t.,;:|–—-*_")
            if name and len(name) <= _LONGEST_SOURCE and not re.search(r"[.!?]\s", name):
                return name
    return None
