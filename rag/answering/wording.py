"""The words of a claim laid beside the words of its evidence: which stand there, and whether in the same order.

A word is compared by its key: its stem, for irregular forms and demonyms that of the plain one, and for numbers and
dates what they say, however they are written. Characters of a script without spaces are words of their own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rag.answering.figures import Figure, figure_key, find_figures
from rag.index.lexical import terms

_WORD = re.compile(
    r"(?P<unspaced>[\u3005-\u3007\u3041-\u3096\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])"
    r"|(?P<acronym>(?:[^\W\d_]\.){2,})|(?P<word>[^\W_\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+(?:['’][^\W\d_]{1,2}\b)?)"
)
_POSSESSIVE = re.compile(r"['’]s?$", re.IGNORECASE)
_FUNCTION = frozenset(
    """
    a about after again against all also although among an and another any are around as at be became because become
    becomes been before being between both but by can could did do does doing during each either even every few for from
    further had has have having he her here hers him his how however i if in into is it its itself just many may me
    might more most much must my neither no nor not now of off on once only onto or other our out over own same shall
    she should since so some such than that the their them then there therefore these they this those though
    through thus to today too toward towards under until up upon us very was we were what when where whether which while
    who whom whose why will with within without would yet you your according said
    """.split()  # noqa: SIM905  # a list of strings would be forty lines
)
_IRREGULAR = {
    form: base
    for line in """
    rise rose risen|fall fell fallen|begin began begun|become became|buy bought|build built|bring brought|choose chose
    chosen|come came|cut cutting|draw drew drawn|drive drove driven|eat ate eaten|feel felt|fight fought|find found|fly
    flew flown|forbid forbade forbidden|forget forgot forgotten|freeze froze frozen|get got gotten|give gave given|go
    went gone|grow grew grown|hear heard|hold held|keep kept|know knew known|lay laid|lead led|leave left|lend lent|lose
    lost|make made|mean meant|meet met|pay paid|ride rode ridden|ring rang rung|run ran|say said|see saw seen|seek
    sought|sell sold|send sent|shake shook shaken|shoot shot|show shown|shrink shrank shrunk|sing sang sung|sink sank
    sunk|sit sat|speak spoke spoken|spend spent|stand stood|steal stole stolen|strike struck|swear swore sworn|swim swam
    swum|take took taken|teach taught|tear tore torn|tell told|think thought|throw threw thrown|understand understood|
    wear wore worn|win won|write wrote written|withdraw withdrew withdrawn|undergo underwent undergone|die died|child
    children|man men|woman women|person people|foot feet|mouse mice|life lives|wife wives|leaf leaves|city cities|good
    better best|bad worse worst|have had has|be is are was were been|do did done does|overcome overcame|break broke
    broken|bear bore born borne|bind bound|bite bit bitten|blow blew blown|catch caught|deal dealt|dig dug|feed fed|flee
    fled|hang hung|hide hid hidden|lie lay lain|light lit|read reading|shut shutting|sleep slept|slide slid|
    spread spreading|spring sprang sprung|stick stuck|sweep swept|wake woke woken|weave wove woven|wind wound
    """.replace("\n", " ").split("|")
    for base, *forms in [line.split()]
    for form in forms
}
_DEMONYMS = {
    form: base
    for line in """
    france french frenchman frenchmen|netherlands dutch|britain british uk|us usa america american americans|spain
    spanish spaniard spaniards|greece greek greeks|switzerland swiss|denmark danish dane danes|turkey turkish turks|
    poland polish poles|wales welsh|ireland irish|scotland scottish scots|england english|thailand thai thais|peru
    peruvian|cyprus cypriot|philippines filipino filipinos philippine|finland finnish finns|sweden swedish swedes|norway
    norwegian norwegians|iceland icelandic|ussr soviet soviets|un nations|eu european|china chinese|germany german
    germans|italy italian italians
    """.replace("\n", " ").split("|")
    for base, *forms in [line.split()]
    for form in forms
}
_ENDINGS = frozenset(
    [
        "",
        "a",
        "y",
        "n",
        "s",
        "an",
        "ans",
        "ese",
        "ian",
        "ians",
        "ish",
        "ic",
        "i",
        "is",
        "ns",
        "ean",
        "eans",
        "ism",
        "ist",
    ]
)
_SHARED_LETTERS = 4
_ADJACENT = 0.5
_NEAR = 3


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its key; `telling` words carry meaning, and `name` says that it is written as a name is."""

    text: str
    key: str
    start: int
    end: int
    telling: bool
    name: bool = False
    figure: bool = False

    @property
    def unspaced(self) -> bool:
        """Tell whether this is a character of a script without spaces."""
        return len(self.text) == 1 and self.text > "\u3000"


@lru_cache(maxsize=2048)
def read_words(text: str) -> tuple[Word, ...]:
    """Return the words of a text in order, figures as one word each."""
    figures = find_figures(text)
    words = [_figure_word(text, figure) for figure in figures]
    position, first = 0, True
    gaps = []
    for figure in figures:
        gaps.append((position, figure.start))
        position = figure.end
    gaps.append((position, len(text)))
    for start, end in gaps:
        for match in _WORD.finditer(text, start, end):
            words.append(_word(match, first=first))
            first = False
        first = first and not figures
    return tuple(sorted(words, key=lambda word: word.start))


def _figure_word(text: str, figure: Figure) -> Word:
    key = figure_key(figure)
    return Word(text[figure.start : figure.end], key, figure.start, figure.end, telling=True, figure=True)


def _word(match: re.Match[str], *, first: bool) -> Word:
    text = match.group()
    if match["unspaced"]:
        katakana = "\u30a1" <= text <= "\u30ff"
        return Word(text, text, match.start(), match.end(), telling=not "\u3041" <= text <= "\u3096", name=katakana)
    bare = _POSSESSIVE.sub("", text)
    plain = bare.casefold().replace(".", "").replace("’", "'")
    telling = plain not in _FUNCTION and not plain.endswith("n't")
    capital = bare[:1].isupper() or any(c.isupper() for c in bare[1:]) or (bare[:1].isalpha() and bare[-1:].isdigit())
    # The first word of a sentence has a capital whatever it is.
    inner = any(character.isupper() for character in bare[1:])
    name = telling and capital and (not first or inner)
    return Word(text, word_key(plain), match.start(), match.end(), telling=telling, name=name)


@lru_cache(maxsize=1 << 14)
def word_key(plain: str) -> str:
    """Return what a word is compared by."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    plain = _DEMONYMS.get(plain, _IRREGULAR.get(plain, plain))
    stems = terms(plain)
    return stems[0] if len(stems) == 1 else plain


def are_alike(one: str, other: str) -> bool:
    """Tell whether two keys are one word in two forms, as "japan" and "japanes": a stem of four letters at least."""
    if one == other:
        return True
    if one[:_SHARED_LETTERS] != other[:_SHARED_LETTERS]:
        return False
    shared = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        shared += 1
    return shared >= _SHARED_LETTERS and one[shared:] in _ENDINGS and other[shared:] in _ENDINGS


@dataclass(frozen=True, slots=True)
class Unit:
    """What is laid beside what: a word, a figure, or a name of several words; `at` is its first word's number.

    `role` is the preposition before it, "" where there is none.
    """

    keys: tuple[str, ...]
    kind: str
    at: int
    text: str
    role: str = ""

    def matches(self, other: Unit) -> bool:
        """Tell whether two units say the same; a name also by its last word, or by a part of it."""
        if len(self.keys) == 1 == len(other.keys):
            return are_alike(self.keys[0], other.keys[0])
        if self.kind == other.kind == "name":
            shorter, longer = sorted((self.keys, other.keys), key=len)
            return all(any(are_alike(key, one) for one in longer) for key in shorter)
        return any(are_alike(one, key) for one in self.keys for key in other.keys)


_ROLES = frozenset(
    ["by", "from", "to", "of", "with", "against", "over", "for", "at", "in", "on", "between", "than", "under", "after",
     "before", "into", "via", "through"]
)  # fmt: skip


@lru_cache(maxsize=2048)
def read_units(words: tuple[Word, ...]) -> tuple[Unit, ...]:
    """Return the telling words in order, with the words of a name taken together."""
    units: list[Unit] = []
    run: list[int] = []

    def close() -> None:
        if run:
            text = " ".join(words[number].text for number in run)
            keys = tuple(words[number].key for number in run)
            units.append(Unit(keys, "name", run[0], text, _role(words, run[0])))
            run.clear()

    for number, word in enumerate(words):
        if word.unspaced or not word.telling:
            close()
            if word.unspaced:
                units.append(Unit((word.key,), "character", number, word.text))
            continue
        if _is_name(words, number):
            if run and not _adjoin(words[run[-1]], word):
                close()
            run.append(number)
            continue
        close()
        units.append(Unit((word.key,), "figure" if word.figure else "word", number, word.text, _role(words, number)))
    close()
    return tuple(units)


def _is_name(words: Sequence[Word], number: int) -> bool:
    word = words[number]
    if word.name or word.figure:
        return word.name
    follows = words[number + 1] if number + 1 < len(words) else None
    return word.text[:1].isupper() and follows is not None and follows.name and _adjoin(word, follows)


def _adjoin(word: Word, follows: Word) -> bool:
    return follows.start - word.end <= 1


def _role(words: Sequence[Word], number: int) -> str:
    for before in reversed(words[max(0, number - 2) : number]):
        if before.text.lower() in _ROLES:
            return before.text.lower()
        if before.telling:
            break
    return ""


@dataclass(frozen=True, slots=True)
class Alignment:
    """How a claim lies along its evidence: pairs (unit of the claim, unit of the evidence) in the order of both."""

    score: float
    pairs: tuple[tuple[int, int], ...]


def align_matches(matches: Sequence[Sequence[bool]]) -> Alignment:
    """Return the best order-keeping alignment for who matches whom (claim, evidence).

    It scores 1 for each pair, and ½ more where the pair before it is near.
    """
    columns = len(matches[0]) if matches else 0
    ending = [[0.0] * columns for _ in matches]  # best score of an alignment that ends with this pair
    came: list[list[tuple[int, int] | None]] = [[None] * columns for _ in matches]
    best = [0.0] * (columns + 1)  # best score over the rows above and the columns before
    where: list[tuple[int, int] | None] = [None] * (columns + 1)
    for i, row in enumerate(matches):
        fresh: list[tuple[float, int]] = []
        for j, match in enumerate(row):
            if not match:
                continue
            score, previous = best[j], where[j]
            for k in range(max(0, j - _NEAR), j if i else 0):
                if matches[i - 1][k] and ending[i - 1][k] + _ADJACENT > score:
                    score, previous = ending[i - 1][k] + _ADJACENT, (i - 1, k)
            ending[i][j] = score + 1
            came[i][j] = previous
            fresh.append((score + 1, j))
        for score, j in fresh:
            for k in range(j + 1, columns + 1):
                if score <= best[k]:
                    break
                best[k], where[k] = score, (i, j)
    pairs = []
    place = where[columns]
    while place is not None:
        pairs.append(place)
        place = came[place[0]][place[1]]
    return Alignment(best[columns], tuple(reversed(pairs)))
