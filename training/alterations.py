"""Claims as a writer could have written them, from sentences of an article: true forms, and forms made untrue.

For fitting and testing the check of written answers. Nothing of the check's own code is used, and the words that turn a
statement round are listed anew, some of which no rule knows: a writer errs in more ways than rules foresee.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SMALL = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_MONTH = "|".join(MONTHS)
_NUMBER = re.compile(r"(?<![\w.,$-])\d{1,3}(?:,\d{3})+(?![\w,])|(?<![\w.,-])\d+(?:\.\d+)?(?![\w]|[.,]\d|:)")
_SPELLED = re.compile(rf"\b(?:{'|'.join(SMALL + TENS)})\b")
_YEAR = re.compile(r"\b(?:1[0-9]{3}|20[0-2][0-9])\b(?!\s*(?:km|m|people|men))")
_NAME = re.compile(r"\b[A-Z][a-zA-Zà-ž’'-]+(?:\s+(?:(?:of|de|von|van)\s+)?[A-Z][a-zA-Zà-ž’'-]+)*")
_NO_NAME = frozenset(
    [
        "The",
        "A",
        "An",
        "In",
        "On",
        "At",
        "By",
        "For",
        "From",
        "After",
        "Before",
        "When",
        "While",
        "As",
        "It",
        "He",
        "She",
        "They",
        "This",
        "That",
        "These",
        "Those",
        "His",
        "Her",
        "Its",
        "Their",
        "There",
        "However",
        "Although",
        "Most",
        "Many",
        "Some",
        "Since",
        "During",
        "Under",
        "With",
        "Within",
        "Such",
        "One",
        "Two",
        "Both",
        "If",
        "But",
        "And",
        "Or",
        "Not",
        "Since",
        "Other",
        "Another",
        "Several",
        "All",
        "According",
        "Thus",
        "Later",
        "Early",
        "Although",
        "Because",
        "Despite",
        "Today",
        "Unlike",
        "Like",
        "Each",
        "To",
        "Similarly",
        "Closely",
        "Initially",
        "Additionally",
        "Currently",
        "Recently",
    ]
)
_AUXILIARY = re.compile(r"\b(is|are|was|were|has|have|had|can|could|will|would|should|may|might)\b(?! not|n't)")
_PAST = re.compile(r"(?<=[a-z] )([a-z]{3,}ed)\b(?= (?:the|a|an|in|on|to|by|from|its|his|her|their|that|and)\b)")

OPPOSITES: tuple[tuple[str, str], ...] = (
    # Some of what news and encyclopedias turn round most.
    ("increased", "decreased"), ("increase", "decrease"), ("rose", "fell"), ("rising", "falling"), ("grew", "shrank"),
    ("growth", "decline"), ("more", "fewer"), ("higher", "lower"), ("highest", "lowest"), ("largest", "smallest"),
    ("larger", "smaller"), ("most", "least"), ("before", "after"), ("first", "last"), ("north", "south"),
    ("northern", "southern"), ("east", "west"), ("eastern", "western"), ("won", "lost"), ("victory", "defeat"),
    ("early", "late"), ("oldest", "youngest"), ("began", "ended"), ("allowed", "forbade"), ("accepted", "rejected"),
    ("above", "below"), ("best", "worst"), ("major", "minor"), ("opened", "closed"), ("supported", "opposed"),
    ("positive", "negative"), ("strong", "weak"), ("successful", "unsuccessful"), ("imports", "exports"),
    ("bought", "sold"), ("often", "rarely"), ("common", "uncommon"), ("majority", "minority"), ("upper", "lower"),
    ("inside", "outside"), ("high", "low"), ("large", "small"), ("long", "short"), ("public", "private"),
    # And some that few would list.
    ("encouraged", "deterred"), ("united", "divided"), ("praised", "condemned"), ("famous", "obscure"),
    ("independent", "dependent"), ("natural", "artificial"), ("retained", "relinquished"), ("abundant", "scarce"),
    ("constructed", "dismantled"), ("attracted", "repelled"), ("wealthy", "destitute"), ("popular", "unpopular"),
    ("preserved", "ruined"), ("welcomed", "shunned"), ("numerous", "few"), ("central", "peripheral"),
    ("approved", "vetoed"), ("dense", "sparse"), ("primary", "secondary"), ("known", "unknown"), ("main", "least"),
    ("established", "abolished"), ("introduced", "withdrew"), ("influential", "insignificant"), ("free", "captive"),
    ("important", "trivial"), ("similar", "opposite"), ("wide", "narrow"), ("regular", "irregular"),
    ("protected", "endangered"), ("developed", "undeveloped"), ("civilian", "military"), ("rural", "urban"),
    ("modern", "medieval"), ("parallel", "perpendicular"), ("permanent", "temporary"), ("native", "foreign"),
)  # fmt: skip
UNITS: tuple[tuple[str, str], ...] = (
    ("million", "billion"), ("thousand", "million"), ("hundred", "thousand"), ("billion", "trillion"),
    ("kilometres", "miles"), ("kilometers", "miles"), ("km", "miles"), ("miles", "metres"), ("feet", "metres"),
    ("metres", "feet"), ("meters", "feet"), ("years", "months"), ("months", "weeks"), ("weeks", "days"),
    ("days", "hours"), ("hours", "minutes"), ("dollars", "euros"), ("percent", "per mille"), ("tons", "kilograms"),
    ("tonnes", "kilograms"), ("centuries", "decades"), ("decades", "years"), ("century", "decade"),
    ("km2", "hectares"), ("inches", "feet"), ("pounds", "ounces"), ("kg", "tonnes"),
)  # fmt: skip
SYNONYMS: tuple[tuple[str, str], ...] = (
    ("began", "started"), ("begin", "start"), ("approximately", "about"), ("located", "situated"), ("big", "large"),
    ("large", "big"), ("said", "stated"), ("stated", "said"), ("built", "constructed"), ("constructed", "built"),
    ("many", "numerous"), ("because", "since"), ("known as", "called"), ("called", "known as"), ("named", "called"),
    ("created", "made"), ("became", "turned into"), ("several", "a number of"), ("part of", "a part of"),
    ("used", "employed"), ("received", "got"), ("main", "chief"), ("important", "significant"), ("helped", "assisted"),
    ("established", "founded"), ("founded", "established"), ("area", "region"), ("region", "area"), ("film", "movie"),
    ("also", "additionally"), ("however", "though"), ("during", "in the course of"), ("such as", "like"),
    ("whole", "entire"), ("shows", "demonstrates"), ("required", "needed"), ("near", "close to"), ("ended", "finished"),
    ("increased", "rose"), ("increase", "rise"), ("decline", "decrease"), ("won", "gained victory in"),
    ("for example", "for instance"), ("in order to", "to"), ("about", "roughly"), ("around", "about"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim about a paragraph: how its true form was made, and how it was made untrue, "" where it was not."""

    text: str
    form: str
    way: str
    paragraph: int


def make_claims(
    paragraphs: Sequence[Sequence[str]], *, wanted: int, other_names: Sequence[str], seed: int
) -> list[Claim]:
    """Return claims about paragraphs (sentences each), `wanted` for every way to make one untrue, and as many true.

    Each sentence gives one true claim or one untrue one, never both.
    """
    rng = random.Random(seed)
    places = [(n, i) for n, sentences in enumerate(paragraphs) for i in range(len(sentences))]
    rng.shuffle(places)
    counts = dict.fromkeys([*WAYS, ""], 0)
    limits = dict.fromkeys(WAYS, wanted) | {"": wanted * len(WAYS)}
    claims = []
    for n, i in places:
        sentences = paragraphs[n]
        if not _usable(sentences[i]):
            continue
        form, text = rng.choice(list(true_forms(sentences, i, rng=rng)))
        open_ways = sorted((way for way in WAYS if counts[way] < limits[way]), key=lambda way: (counts[way], way))
        if rng.random() < 0.5 and open_ways:
            rng.shuffle(open_ways)
            for way in open_ways:
                untrue = WAYS[way](text, " ".join(sentences), other_names, rng)
                if untrue is not None and untrue != text:
                    counts[way] += 1
                    claims.append(Claim(untrue, form, way, n))
                    break
        elif counts[""] < limits[""]:
            counts[""] += 1
            claims.append(Claim(text, form, "", n))
    return claims


def _usable(sentence: str) -> bool:
    return (
        7 <= len(sentence.split()) <= 40
        and sentence[0].isupper()
        and sentence.endswith(".")
        and not re.search(r"[\"“”\n]", sentence)
        and sentence.count("(") == sentence.count(")")
    )


# True forms


def true_forms(sentences: Sequence[str], i: int, *, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yield (form, claim) for what a writer could make of a sentence without making it untrue."""
    text = sentences[i]
    yield "verbatim", text
    for form, make in (
        ("shortened", _shorten),
        ("reordered", _reorder),
        ("reworded", _reword),
        ("figures rewritten", _rewrite_figures),
        ("attributed", _attribute),
        ("one clause", _take_clause),
    ):
        made = make(text, rng)
        if made is not None and made != text and len(made.split()) >= 5:
            yield form, made
    following = sentences[i + 1] if i + 1 < len(sentences) else ""
    if following and _usable(following) and len(text.split()) + len(following.split()) < 50:
        first = following.split()[0]
        joined = following if first not in _NO_NAME else following[0].lower() + following[1:]
        yield "two sentences", f"{text[:-1]}, and {joined}"


def _shorten(text: str, _: random.Random) -> str | None:
    short = re.sub(r"\s*\([^()]*\)", "", text)
    short = re.sub(r",\s+(?:which|who|where|although|while|though)\b[^,]*(?=\.$)", "", short)
    short = re.sub(r"^(?:However|Moreover|Furthermore|In addition|For example|Additionally|Also|Thus),\s+(\w)",
                   lambda match: match[1].upper(), short)  # fmt: skip
    return re.sub(r",\s+(?:including|such as|especially|particularly)\b[^,]*(?=\.$)", "", short)


def _reorder(text: str, rng: random.Random) -> str | None:
    match = re.match(r"((?:In|On|By|During|After|Since|From|Under|At)\s[^,.]{3,40}),\s+([^.]+)\.$", text)
    if match:
        rest = match[2] if match[2].split()[0] not in {"the", "a", "an", "it", "he", "she", "they"} else (
            match[2][0].upper() + match[2][1:])  # fmt: skip
        return f"{rest} {match[1][0].lower()}{match[1][1:]}."
    match = re.match(
        r"([A-Z][^.,;]+?)\s((?:in|during|since|by)\s(?:the\s)?(?:\w+\s)?(?:1[0-9]{3}|20[0-2][0-9])s?)\.$", text
    )
    if match:
        first = match[1].split()[0]
        start = match[1][0].lower() + match[1][1:] if first in _NO_NAME else match[1]
        return f"{match[2][0].upper()}{match[2][1:]}, {start}."
    del rng
    return None


def _reword(text: str, rng: random.Random) -> str | None:
    found = [pair for pair in SYNONYMS if re.search(rf"\b{re.escape(pair[0])}\b", text)]
    if not found:
        return None
    for one, other in rng.sample(found, min(2, len(found))):
        text = re.sub(rf"\b{re.escape(one)}\b", other, text, count=1)
    return text


def _rewrite_figures(text: str, rng: random.Random) -> str | None:
    def magnitude(match: re.Match[str]) -> str:
        value = int(match.group().replace(",", ""))
        for size, word in ((10**9, "billion"), (10**6, "million"), (10**3, "thousand")):
            if value >= size and value % (size // 100) == 0:
                return f"{value / size:g} {word}"
        return match.group()

    changes: list[Callable[[str], str]] = [
        lambda t: re.sub(r"\b\d{1,3}(?:,\d{3})+\b", magnitude, t),
        lambda t: re.sub(r"\b(\d+(?:\.\d+)?) million\b", lambda m: f"{round(float(m[1]) * 10**6):,}", t),
        lambda t: re.sub(r"(\d)%", r"\1 percent", t),
        lambda t: re.sub(r"(\d) (?:percent|per cent)\b", r"\1%", t),
        lambda t: re.sub(rf"\b({_MONTH}) (\d{{1,2}}),? (\d{{4}})", r"\2 \1 \3", t),
        lambda t: re.sub(rf"\b(\d{{1,2}}) ({_MONTH}) (\d{{4}})", r"\2 \1, \3", t),
        lambda t: re.sub(r"\b(Jan|Feb|Aug|Sept|Oct|Nov|Dec)(?:uary|ust|ember|ober)? (?=\d{1,2}\b)", r"\1. ", t),
        lambda t: _SPELLED.sub(lambda m: str(SMALL.index(m[0]) + 2) if m[0] in SMALL else m[0], t),
        lambda t: re.sub(r"(?<![\w.,$€£-])([2-9]|1[0-2])(?= [a-z])", lambda m: SMALL[int(m[1]) - 2], t),
        lambda t: re.sub(r"\$(\d[\d.,]*(?: (?:m|b|tr)illion)?)", r"\1 US dollars", t),
    ]
    made = [change(text) for change in changes]
    differing = [one for one in made if one != text]
    return rng.choice(differing) if differing else None


def _attribute(text: str, rng: random.Random) -> str | None:
    first = text.split(maxsplit=1)[0]
    rest = text[0].lower() + text[1:] if first in _NO_NAME else text
    return f"{rng.choice(('According to the article', 'The article says that', 'The text states that'))}" + (
        f", {rest}" if rng.random() < 0.5 else f" {rest}"
    )


def _take_clause(text: str, _: random.Random) -> str | None:
    """Return the first of two joined main clauses, or what is left without an insertion between commas."""
    match = re.match(
        r"([A-Z][^,;]{25,}?)(?:,\s(?:and|but|while|although|whereas)\s|;\s)(?:it|he|she|they|the|this|there)\b.+\.$",
        text,
    )
    if match:
        return f"{match[1]}."
    short = re.sub(r",\s(?:which|who|whose|where)\s[^,]{5,80},\s", " ", text, count=1)
    return short if short != text else None


# Ways to make a claim untrue


def _number(text: str, paragraph: str, _: Sequence[str], rng: random.Random) -> str | None:
    spots = [m for m in _NUMBER.finditer(text) if not _YEAR.fullmatch(m.group()) and not _dated(text, m)]
    spelled = list(_SPELLED.finditer(text))
    if not spots and not spelled:
        return None
    match = rng.choice(spots + spelled)
    written = match.group()
    if written in SMALL or written in TENS:
        new = rng.choice([word for word in (SMALL if written in SMALL else TENS) if word != written])
        return None if re.search(rf"\b{new}\b", paragraph) and rng.random() < 0.5 else _put(text, match, new)
    inside = [m.group() for m in _NUMBER.finditer(paragraph) if m.group() != written and not _YEAR.fullmatch(m.group())]
    if inside and rng.random() < 0.35:
        return _put(text, match, rng.choice(inside))
    digits = list(written)
    spot = rng.choice([k for k, c in enumerate(digits) if c.isdigit()])
    if rng.random() < 0.5:
        digits[spot] = rng.choice([c for c in "123456789" if c != digits[spot]])
        return _put(text, match, "".join(digits))
    value = float(written.replace(",", "")) * rng.choice((0.1, 0.5, 1.25, 2, 10))
    new = f"{value:,.0f}" if "," in written else f"{value:g}"
    return _put(text, match, new) if new != written and "e" not in new else None


def _dated(text: str, match: re.Match[str]) -> bool:
    return bool(
        re.search(rf"(?:{_MONTH})\.? $", text[: match.start()]) or re.match(rf" (?:{_MONTH})", text[match.end() :])
    )


def _date(text: str, paragraph: str, _: Sequence[str], rng: random.Random) -> str | None:
    found = [("year", m) for m in _YEAR.finditer(text)]
    found += [("month", m) for m in re.finditer(rf"\b(?:{_MONTH})\b", text) if m[0] not in {"May", "March"}]
    found += [("day", m) for m in _NUMBER.finditer(text) if _dated(text, m)]
    if not found:
        return None
    kind, match = rng.choice(found)
    if kind == "month":
        return _put(text, match, rng.choice([month for month in MONTHS if month != match[0]]))
    if kind == "day":
        return _put(text, match, str(rng.choice([day for day in range(1, 29) if str(day) != match[0]])))
    inside = [m.group() for m in _YEAR.finditer(paragraph) if m.group() != match[0]]
    if inside and rng.random() < 0.4:
        return _put(text, match, rng.choice(inside))
    return _put(text, match, str(int(match[0]) + rng.choice((-100, -20, -10, -3, -2, -1, 1, 2, 3, 10, 20))))


def _name(text: str, paragraph: str, other_names: Sequence[str], rng: random.Random) -> str | None:
    names = [m for m in _NAME.finditer(text) if not _plain(m.group(), text, m.start())]
    if not names:
        return None
    match = rng.choice(names)
    near = [n for n in list_names(paragraph) if not _overlap(n, match.group()) and n not in text]
    if near and rng.random() < 0.5:
        return _put(text, match, rng.choice(near))
    words = match.group().split()
    far = [n for n in other_names if n not in paragraph and not _overlap(n, match.group())]
    if not far:
        return None
    new = rng.choice(far)
    if len(words) > 1 and rng.random() < 0.3:  # another first name, the same last one
        new = " ".join([new.split()[0], *words[1:]])
    return _put(text, match, new)


def _overlap(one: str, other: str) -> bool:
    return bool({w[:4].lower() for w in one.split()} & {w[:4].lower() for w in other.split()})


def list_names(text: str) -> list[str]:
    """Return the capitalised names of a text, without words that only begin a sentence."""
    return [m.group() for m in _NAME.finditer(text) if not _plain(m.group(), text, m.start())]


def _plain(name: str, text: str, start: int) -> bool:
    begins = start == 0 or re.search(r"[.!?:]\s+[\"“(]?$", text[:start]) is not None
    return name.split(maxsplit=1)[0] in _NO_NAME or len(name) < 3 or name in MONTHS or (begins and " " not in name)


def _negation(text: str, _p: str, _o: Sequence[str], rng: random.Random) -> str | None:
    if re.search(r"\b(?:not|never|no longer|cannot)\b", text):
        return re.sub(r"\b(?:did|does|do) not (\w+)", r"\1", text) if re.search(r"\b(?:did|does|do) not", text) else (
            re.sub(r"\bcannot\b", "can", re.sub(r" (?:not|never|no longer)\b", "", text)))  # fmt: skip
    auxiliary, past = _AUXILIARY.search(text), _PAST.search(text)
    draw = rng.random()
    if past and (draw < 0.5 or not auxiliary):
        verb = past[1]
        return _put(text, past, rng.choice((f"never {verb}", f"had not {verb}")))
    if auxiliary:
        return _put(text, auxiliary, f"{auxiliary[0]} {rng.choice(('not', 'not', 'never', 'no longer'))}")
    return None


def _direction(text: str, _p: str, _o: Sequence[str], rng: random.Random) -> str | None:
    pairs = [pair for one, other in OPPOSITES for pair in ((one, other), (other, one))]
    found = [(m, other) for one, other in pairs for m in re.finditer(rf"\b{one}\b", text)]
    if not found:
        return None
    match, other = rng.choice(sorted(found, key=lambda row: row[0].start()))
    return _put(text, match, other)


def _swapped(text: str, _p: str, _o: Sequence[str], rng: random.Random) -> str | None:
    """Return the text with two of its names, or two numbers of a kind, in each other's place."""
    names = [m for m in _NAME.finditer(text) if not _plain(m.group(), text, m.start())]
    whole = _NAME.match(text)
    if whole and whole.group().split()[0] not in _NO_NAME and whole.group() not in MONTHS:
        names = [whole, *(m for m in names if m.start())]
    numbers = [m for m in _NUMBER.finditer(text) if not _YEAR.fullmatch(m.group()) and not _dated(text, m)]
    years = list(_YEAR.finditer(text))
    pairs = [
        (a, b)
        for found in (names, numbers, years)
        for k, a in enumerate(found)
        for b in found[k + 1 :]
        if not _overlap(a.group(), b.group())
        # Names in a row are a list, in which the order says nothing.
        and not re.fullmatch(
            r"\s*(?:,|and|or|&|/|–|-|,\s*and)?\s*(?:[A-Z]\w+\s*(?:,|and)\s*)*", text[a.end() : b.start()]
        )
    ]
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    return text[: a.start()] + b.group() + text[a.end() : b.start()] + a.group() + text[b.end() :]


def _unit(text: str, _p: str, _o: Sequence[str], rng: random.Random) -> str | None:
    number = rf"(?:\d[\d,.]*|{'|'.join(SMALL + TENS)})"
    found = [
        (m, other) for one, other in UNITS for m in re.finditer(rf"(?<=[\w] )\b{one}\b", text)
        if re.search(rf"{number} $", text[: m.start()])
    ]  # fmt: skip
    found += [(m, "‰") for m in re.finditer(r"(?<=\d)%", text)]
    found += [(m, rng.choice("€£")) for m in re.finditer(r"\$(?=\d)", text)]
    if not found:
        return None
    match, other = rng.choice(found)
    return _put(text, match, other)


def _scope(text: str, _p: str, _o: Sequence[str], rng: random.Random) -> str | None:
    changes = [
        (r"\b(some|many|most|several) (?=[a-z]+s\b)", "all "), (r"\b(?:may|might|could) (?=[a-z]+)", "will "),
        (r"\b(?:often|usually|sometimes|generally|frequently|typically) ", "always "),
        (r"\bone of the\b", "the only one of the"),
        (r"\b(?:possibly|probably|perhaps|likely|allegedly) ", "certainly "), (r"\b(is|was) an?\b", r"\1 the only"),
        (r"\b(?:part|parts) of\b", "all of"), (r"\b(?:partly|partially|mainly|mostly|largely|primarily)\b", "entirely"),
        (r"\b(?:up to|at least|more than|over|less than|almost|nearly) (?=\d)", "exactly "),
    ]  # fmt: skip
    found = [(pattern, new) for pattern, new in changes if re.search(pattern, text)]
    if not found:
        return None
    pattern, new = rng.choice(found)
    return re.sub(pattern, new, text, count=1)


def _put(text: str, match: re.Match[str], new: str) -> str:
    return text[: match.start()] + new + text[match.end() :]


WAYS: dict[str, Callable[[str, str, Sequence[str], random.Random], str | None]] = {
    "number": _number,
    "date": _date,
    "name": _name,
    "negation": _negation,
    "direction": _direction,
    "swapped": _swapped,
    "unit": _unit,
    "scope": _scope,
}
