"""Numbers and dates as people write them, brought to one form: "1.3 million tons" and "1,300,000 tonnes" are one.

English, Chinese and Japanese: digits of any width, number words, magnitudes, fractions, percentages, money, units of
measure, and dates in either order. Offsets are code points of the text that was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit in one form ("%", "USD", "t", …; "" where there is none that is known)."""

    value: Fraction
    unit: str
    start: int
    end: int
    ordinal: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, as exact as it is written; a decade ("the 1990s") is its first year with `decade`."""

    year: int | None
    month: int | None
    day: int | None
    start: int
    end: int
    decade: bool = False


Figure = Quantity | Moment


def _table(text: str) -> dict[str, str]:
    """Return what each word stands for, of lines such as "t: ton tons tonne"."""
    return {
        word.replace("_", " "): name
        for line in text.strip().splitlines()
        for name, _, words in [line.strip().partition(": ")]
        for word in words.split()
    }


_MONTH_NAMES = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_MONTHS |= {name[:3]: number for name, number in _MONTHS.items()} | {"sept": 9}
_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: number for number, word in enumerate(_SMALL)}
_WORDS |= {word: 10 * number for number, word in enumerate(_TENS, start=2)}
_MAGNITUDES = {
    "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
    "hundreds": 100, "thousands": 1000, "millions": 10**6, "billions": 10**9, "trillions": 10**12, "dozens": 12,
    "mn": 10**6, "mln": 10**6, "bn": 10**9, "bln": 10**9, "tn": 10**12, "trn": 10**12, "lakh": 10**5, "crore": 10**7,
}  # fmt: skip
_FIRST_TO_NINETEENTH = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
)  # fmt: skip
_ORDINALS = {word: number for number, word in enumerate(_FIRST_TO_NINETEENTH, start=1)}
_ORDINALS |= {f"{word[:-1]}ieth": 10 * number for number, word in enumerate(_TENS, start=2)}
_FRACTIONS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4,
    "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "seventh": 7, "sevenths": 7, "eighth": 8, "eighths": 8,
    "ninth": 9, "ninths": 9, "tenth": 10, "tenths": 10,
}  # fmt: skip
_UNITS = _table("""
%: % ％ percent per_cent pct percentage_point percentage_points 个百分点 個百分點 ポイント パーセント
USD: $ us$ dollar dollars usd us_dollars us_dollar u.s._dollars u.s._dollar 美元 米ドル ドル
EUR: € euro euros eur 欧元 歐元 ユーロ
GBP: £ pound_sterling pounds_sterling gbp 英镑 英鎊 ポンド
JPY: ¥ yen jpy 日元 日圓 円
CNY: yuan rmb renminbi cny 元 人民币 人民幣 人民元
t: ton tons tonne tonnes metric_ton metric_tons t 吨 噸 トン
kg: kg kilogram kilograms kilogramme kilogrammes kilo kilos 公斤 千克 キログラム キロ
g: gram grams gramme grammes 克 グラム
lb: lb lbs pound pounds
km: km kilometer kilometers kilometre kilometres 公里 千米 キロメートル
m: m meter meters metre metres 米 公尺 メートル
cm: cm centimeter centimeters centimetre centimetres 厘米 公分 センチ センチメートル
mm: mm millimeter millimeters millimetre millimetres 毫米 ミリ
mi: mile miles mi 英里 マイル
ft: ft foot feet 英尺 フィート
in: inch inches 英寸 インチ
km2: km² km2 sq_km square_kilometer square_kilometers square_kilometre square_kilometres 平方公里 平方千米
km2: 平方キロメートル
mi2: sq_mi square_mile square_miles
ha: ha hectare hectares 公顷 公頃 ヘクタール
acre: acre acres 英亩
l: liter liters litre litres 升 リットル
kwh: kwh
mw: mw megawatt megawatts 兆瓦 メガワット
gw: gw gigawatt gigawatts
°c: °c ℃ degrees_celsius 摄氏度
°f: °f degrees_fahrenheit
year: year years yr yrs year-old years-old
month: month months 个月 個月 か月 ヶ月 カ月
week: week weeks 周 週間 星期
day: day days 天 日間
hour: hour hours hr hrs 小时 小時 時間
minute: minute minutes min mins 分钟 分鐘
second: seconds secs 秒
""")
MONEY = frozenset({"USD", "EUR", "GBP", "JPY", "CNY"})
_PREFIXES = {"$": "USD", "us$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "￥": "JPY", "usd": "USD", "rmb": "CNY"}

_DIGITS = (
    r"(?<![A-Za-z\d.,])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|(?<![A-Za-z\d])(?<!\d[.,])\d+(?:\.\d+)?(?:/\d+(?![\d/]))?"
)
_NUMBER_WORD = "|".join(sorted({*_WORDS, *(w for w in _MAGNITUDES if len(w) > len("crs"))}, key=len, reverse=True))
_ENGLISH = re.compile(
    rf"(?P<money>us\$|usd\s?|rmb\s?|[$€£¥￥])?\s?(?P<digits>{_DIGITS})(?:(?P<suffix>st|nd|rd|th)\b)?"
    rf"(?:[\s-]?(?P<magnitude>hundred|thousand|(?:m|b|tr)illion|mn|mln|bn|bln|tn|trn|lakh|crore|dozen)s?\b)?"
    rf"(?P<fraction>\s(?:and a )?half\b)?",
    re.IGNORECASE,
)
_SPELLED = re.compile(
    rf"\b(?:(?P<half>half(?:\s+(?:of|a|an)\b)?)|(?P<ordinal>(?:(?:{'|'.join(_TENS)})[\s-])?(?:{'|'.join(_ORDINALS)}))"
    rf"|(?P<number>(?:(?:a|an)\s+(?=(?:hundred|thousand|(?:m|b|tr)illion|dozen)\b))?(?:{_NUMBER_WORD})"
    rf"(?:(?:[\s-]|\s+and\s+)(?:{_NUMBER_WORD}))*)"
    rf"(?:[\s-](?P<parts>{'|'.join(sorted(_FRACTIONS, key=len, reverse=True))})\b"
    rf"(?!\s+(?:time|place|century|anniversary)))?"
    rf"|(?:a|an)\s+(?P<apart>third|quarter|fifth|tenth)\s+of|(?P<times>twice|thrice))\b",
    re.IGNORECASE,
)
_MONTH = rf"(?P<month>{'|'.join(_MONTH_NAMES)}|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?(?![\d:]|[.,]\d|\s?%)"
_YEAR = r"(?P<year>[12]\d{3})(?![\d%]|[.,]\d|s\b)"
_DATES = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"(?<!\d)(?P<year>[12]\d{3})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?!\d)",
        r"(?<!\d)(?P<year>\d{4})\s?年\s?(?P<month>\d{1,2})\s?月(?:\s?(?P<day>\d{1,2})\s?[日号號])?",
        r"(?<!\d)(?P<month>\d{1,2})\s?月\s?(?P<day>\d{1,2})\s?[日号號]",
        r"(?<!\d)(?P<year>\d{4})\s?年(?![代间間])",
        r"(?<!\d)(?P<month>\d{1,2})\s?月(?![\d間])",
        rf"\b{_MONTH}\s+{_DAY}(?:,?\s+{_YEAR})?",
        rf"(?<![\d.,:]){_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR})?\b",
        rf"\b{_MONTH},?\s+(?:of\s+)?{_YEAR}",
    )
)
_HAN_DATE = re.compile(
    r"(?:(?P<year>[〇零一二三四五六七八九]{4})年)?(?P<month>十?[一二三四五六七八九十])月"
    r"(?:(?P<day>[一二三四五六七八九十]{1,3})[日号號])?(?![间間])"
)
_DECADE = re.compile(r"(?<!\d)(?P<year>[12]\d{2}0)['’]?s\b|(?<!\d)(?P<cjk>[12]\d{2}0)年代")
_BARE_MONTH = re.compile(rf"\b(?P<month>{'|'.join(name.title() for name in _MONTH_NAMES)})\b")
# "May" and "March" are months only where nothing else can stand.
_BEFORE_MONTH = re.compile(
    r"\b(?:in|since|until|till|by|of|last|this|next|early|late|mid|from|to|between|and|through|during|before|after)[\s-]+$",
    re.IGNORECASE,
)
_WRITTEN_YEAR = re.compile(r"[12]\d{3}")

_HAN_DIGITS = {
    c: n for n, cs in enumerate(("〇零", "一壹", "二两兩", "三", "四", "五", "六", "七", "八", "九")) for c in cs
}
_HAN_SMALL = {"十": 10, "百": 100, "千": 1000}
_HAN_LARGE = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "兆": 10**12}
_HAN_NUMBER = re.compile(
    r"(?P<first>第)?(?P<number>(?:\d[\d,]*(?:\.\d+)?[十百千万萬亿億兆]*|[〇零一二两兩三四五六七八九十百千万萬亿億兆]+)+)"
)
_MAGNITUDE_ALONE = re.compile(r"[万萬亿億兆]+")
_SOME = re.compile(r"(?:[几幾]|(?<![人总總件票分次个個倍户戶为為指点點者])[数數])\Z")
_HAN_PART = re.compile(r"(\d[\d,]*(?:\.\d+)?)|([〇零一壹二两兩三四五六七八九])|([十百千])|([万萬亿億兆])")
_HAN_COUNTER = re.compile(
    r"[年月日号號人个個名次回件社国國家歳岁倍%％位所项項点點层層台辆艘架条條只匹头篇本册枚分秒時时元円美日度天周週班]|つ|か[国月所]|ヶ|カ国"
)
_HAN_FRACTION = re.compile(
    r"(?P<all>[\d.]+|[一二三四五六七八九十百]+)分(?:之|の)(?P<part>[\d.]+|[〇零一二三四五六七八九十百点]+)"
)
_HAN_TENTHS = re.compile(r"(?P<tenths>[\d.]+|[一二三四五六七八九])[成割](?:(?P<half>半))?")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_WIDE = str.maketrans("０１２３４５６７８９％．，：", "0123456789%.,:")
_UNIT_BEHIND = re.compile(
    r"[\s-]?(?P<unit>" + "|".join(re.escape(u) for u in sorted(_UNITS, key=len, reverse=True)) + r")(?![A-Za-z])",
    re.IGNORECASE,
)
_UNIT_ANYWHERE = re.compile(
    r"(?<![A-Za-z])(?P<unit>"
    + "|".join(re.escape(u) for u in sorted(_UNITS, key=len, reverse=True))
    + r")(?![A-Za-z])",
    re.IGNORECASE,
)


def find_figures(text: str) -> list[Figure]:
    """Return the numbers and dates of a text in order; no character is part of two."""
    plain = text.translate(_WIDE)
    taken: list[Figure] = []
    used = bytearray(len(plain))

    def free(start: int, end: int) -> bool:
        return not any(used[start:end])

    for finder in (_find_dates, _find_east_asian, _find_digits, _find_spelled):
        for figure in finder(plain):
            if free(figure.start, figure.end):
                used[figure.start : figure.end] = b"\1" * (figure.end - figure.start)
                taken.append(figure)
    return sorted(taken, key=lambda figure: figure.start)


def _find_dates(text: str) -> Iterator[Figure]:
    for form in _DATES:
        for match in form.finditer(text):
            if moment := _moment(match):
                yield moment
    for match in _HAN_DATE.finditer(text):
        year, month, day = (int(_han_value(part)) if part else None for part in match.group("year", "month", "day"))
        yield Moment(year, month, day, match.start(), match.end())
    for match in _DECADE.finditer(text):
        yield Moment(int(match["year"] or match["cjk"]), None, None, match.start(), match.end(), decade=True)
    for match in _BARE_MONTH.finditer(text):
        name = match["month"]
        if name[0].isupper() and (name not in {"May", "March"} or _BEFORE_MONTH.search(text, 0, match.start())):
            yield Moment(None, _MONTHS[name.lower()], None, match.start(), match.end())


def _moment(match: re.Match[str]) -> Moment | None:
    parts = match.groupdict()
    year, month, day = parts.get("year"), parts.get("month"), parts.get("day")
    if month and not month.isdecimal() and not month[0].isupper():
        return None
    number = None
    if month:
        number = int(month) if month.isdecimal() else _MONTHS[month.rstrip(".").lower()]
        if not 1 <= number <= len(_MONTH_NAMES):
            return None
    if day and not 1 <= int(day) <= 31:  # noqa: PLR2004
        return None
    return Moment(int(year) if year else None, number, int(day) if day else None, match.start(), match.end())


def _find_digits(text: str) -> Iterator[Quantity]:
    for match in _ENGLISH.finditer(text):
        whole, _, parts = match["digits"].replace(",", "").partition("/")
        value = Fraction(whole) / (int(parts or 1) or 1)
        if magnitude := match["magnitude"]:
            value *= _MAGNITUDES[magnitude.lower()]
        start = match.start("money") if match["money"] else match.start("digits")
        ordinal = bool(match["suffix"])
        end = match.end()
        unit = _PREFIXES.get((match["money"] or "").strip().lower(), "")
        if not ordinal:
            unit, end = _unit(text, end, unit)
        yield Quantity(value, unit, start, end, ordinal)


def _unit(text: str, end: int, known: str) -> tuple[str, int]:
    """Return the unit that stands behind a number, and where it ends."""
    match = _UNIT_BEHIND.match(text, end)
    if match is None:
        return known, end
    if known:
        return known, match.end() if _UNITS[match["unit"].lower()] == known else end
    return _UNITS[match["unit"].lower()], match.end()


def _find_spelled(text: str) -> Iterator[Quantity]:
    for match in _SPELLED.finditer(text):
        value, ordinal = _spelled(match)
        if value is None:
            continue
        unit, end = ("", match.end()) if ordinal else _unit(text, match.end(), "")
        yield Quantity(value, unit, match.start(), end, ordinal)


def _spelled(match: re.Match[str]) -> tuple[Fraction | None, bool]:
    """Return what a number in words says, None where it is no figure; and whether it is an ordinal."""
    if match["times"] or match["half"] or match["apart"]:
        word = (match["times"] or match["apart"] or "half").lower()
        return {"twice": Fraction(2), "thrice": Fraction(3)}.get(word) or Fraction(1, _FRACTIONS[word]), False
    if match["ordinal"]:
        words = re.split(r"[\s-]", match["ordinal"].lower())
        # "First" is too often no count: "first of all", "at first".
        value = sum(_WORDS.get(word, 0) or _ORDINALS.get(word, 0) for word in words)
        return None if words == ["first"] else Fraction(value), True
    words = re.findall(r"[a-z]+", match["number"].lower())
    if parts := match["parts"]:
        return Fraction(_count(words), _FRACTIONS[parts.lower()]), False
    # "One" and a magnitude by itself ("thousands of people") are no figures.
    is_vague = words in (["one"], ["zero"]) or (words[0] in _MAGNITUDES and words[0].endswith("s"))
    return None if is_vague else Fraction(_count(words)), False


def _count(words: Iterable[str]) -> int:
    total = current = 0
    for word in words:
        if word in _WORDS:
            current += _WORDS[word]
        elif word in _MAGNITUDES:
            magnitude = _MAGNITUDES[word]
            if magnitude in {12, 100}:
                current = max(1, current) * magnitude
            else:
                total, current = total + max(1, current) * magnitude, 0
    return total + current


def _find_east_asian(text: str) -> Iterator[Quantity]:
    if not _CJK.search(text):
        return
    for match in _HAN_FRACTION.finditer(text):
        whole = _han_value(match["all"])
        if whole:
            part, percent = _han_value(match["part"]), whole == 100  # noqa: PLR2004
            yield Quantity(part if percent else part / whole, "%" if percent else "", match.start(), match.end())
    for match in _HAN_TENTHS.finditer(text):
        value = 10 * _han_value(match["tenths"]) + (5 if match["half"] else 0)
        yield Quantity(value, "%", match.start(), match.end())
    for match in _HAN_NUMBER.finditer(text):
        number, before, behind = match["number"], text[: match.start("number")], text[match.end() : match.end() + 2]
        has_digits = any(character.isdigit() and character.isascii() for character in number)
        counted = bool(match["first"]) or bool(_HAN_COUNTER.match(behind))
        if has_digits and not (_CJK.match(number[-1]) or _CJK.match(behind) or (before and _CJK.match(before[-1]))):
            continue  # the English forms read it
        if not has_digits and (_MAGNITUDE_ALONE.fullmatch(number) or _SOME.search(before)):
            continue  # 万人次 heads a column, 数百人 are some hundreds
        if not has_digits and not counted and (len(number) < 2 or not re.search(r"[十百千万萬亿億兆]", number)):  # noqa: PLR2004
            continue
        value = _han_value(number)
        unit, end = _unit(text, match.end(), "")
        if before[-1:] in {"$", "€", "£", "¥"}:
            unit = _PREFIXES[before[-1]]
        yield Quantity(value, unit, match.start(), end, ordinal=bool(match["first"]))


def _han_value(number: str) -> Fraction:
    """Return what a number with Chinese digits or magnitudes says: "3億5千万" is 350 million."""
    if "点" in number:
        whole, _, rest = number.partition("点")
        digits = "".join(str(_HAN_DIGITS.get(character, 0)) for character in rest)
        return _han_value(whole) + Fraction(int(digits or 0), 10 ** len(digits))
    if len(number) > 1 and all(character in _HAN_DIGITS for character in number):
        return Fraction(int("".join(str(_HAN_DIGITS[character]) for character in number)))  # 二〇二三
    total = section = current = Fraction(0)
    pending = False
    for digits, digit, small, large in _HAN_PART.findall(number):
        if digits:
            current, pending = Fraction(digits.replace(",", "")), True
        elif digit:
            current, pending = Fraction(_HAN_DIGITS[digit]), True
        elif small:
            section += (current if pending else 1) * _HAN_SMALL[small]
            current, pending = Fraction(0), False
        else:
            total += ((section + current) or 1) * _HAN_LARGE[large]
            section = current = Fraction(0)
            pending = False
    return total + section + current


def figure_key(figure: Figure) -> str:
    """Return one word for a figure, the same for every way to write it."""
    if isinstance(figure, Moment):
        parts = (figure.year, figure.month, figure.day)
        return "#" + "-".join("" if part is None else str(part) for part in parts) + ("s" if figure.decade else "")
    if could_be_year(figure) and not figure.ordinal:
        return f"#{figure.value}--"
    return f"#{figure.value}{figure.unit}" + ("th" if figure.ordinal else "")


def could_be_year(figure: Quantity) -> bool:
    """Tell whether a number is one that a year could be."""
    return not figure.unit and figure.value.denominator == 1 and 1000 <= figure.value < 2100  # noqa: PLR2004


def units_in(text: str) -> set[str]:
    """Return the units of measure that a text names anywhere, in their one form."""
    return {_UNITS[match["unit"].lower()] for match in _UNIT_ANYWHERE.finditer(text)}
