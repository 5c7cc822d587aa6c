"""What turns a statement into another: negation, doubt, direction, and claims to be the only one.

A negation governs the few words behind it in its clause. It has to govern the same word in a claim and in its
evidence. Words with an opposite ("rose", "exports", "before") stand on one side of an axis each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.answering.wording import Word, are_alike, word_key

_NEGATIONS = frozenset(
    [
        "not",
        "no",
        "never",
        "without",
        "neither",
        "nor",
        "none",
        "nobody",
        "nothing",
        "cannot",
        "hardly",
        "scarcely",
        "rarely",
        "seldom",
        "barely",
        "unable",
    ]
)
_LEXICAL_NEGATIONS = frozenset(map(word_key, ["fail", "refuse", "deny", "lack", "reject", "prevent", "impossible"]))
_MODALS = frozenset(
    [
        "may",
        "might",
        "could",
        "possibly",
        "perhaps",
        "probably",
        "allegedly",
        "reportedly",
        "supposedly",
        "likely",
        "if",
        "unless",
    ]
)
_INTENTIONS = frozenset(
    map(
        word_key,
        [
            "plan",
            "plans",
            "planned",
            "planning",
            "expect",
            "expected",
            "want",
            "wanted",
            "hope",
            "hoped",
            "intend",
            "intended",
            "aim",
            "aimed",
            "try",
            "tried",
            "attempt",
            "attempted",
            "propose",
            "proposed",
            "threaten",
            "threatened",
            "seek",
            "sought",
            "wish",
            "wished",
            "likely",
        ],
    )
)
_EXCLUSIVE = {
    word: group
    for group, words in {
        "only": "only solely exclusively merely sole",
        "exactly": "exactly precisely just",
        "certain": "certainly definitely undoubtedly surely",
        "all": "all every each always entire entirely whole completely everyone everything everywhere",
    }.items()
    for word in words.split()
}
_BREAK = re.compile(r"[;:.!?—–(]|,\s")
_TURNS = frozenset(["but", "although", "though", "while", "whereas", "because", "which", "who", "however"])
_GOVERNED = 2

AXES: tuple[tuple[str, str], ...] = (
    ("rise rose risen increase increased grow grew growth gain climb climbed surge soar jump expand improve upward up",
     "fall fell fallen decrease decreased decline drop shrink shrank slump plunge sink worsen downward down reduce"),
    ("more greater bigger larger higher", "less fewer smaller lower"),
    ("most highest largest biggest greatest maximum", "least lowest smallest fewest minimum"),
    ("high", "low"), ("large big major great", "small little minor"),
    ("first initial earliest initially", "last final latest finally"),
    ("before prior earlier", "after following later"), ("early", "late"),
    ("import importing imported", "export exporting exported"),
    ("north northern", "south southern"), ("east eastern", "west western"), ("northeast", "southwest"),
    ("northwest", "southeast"), ("win won victory victorious", "lose lost defeat"),
    ("buy bought purchase", "sell sold sale"), ("begin start open launch began", "end close finish stop cease"),
    ("allow permit", "ban forbid prohibit"), ("accept approve", "reject refuse"),
    ("support favor favour", "oppose opposed opposition against"), ("agree", "disagree"),
    ("above over", "below under"), ("upper", "lower"), ("positive", "negative"), ("strong stronger", "weak weaker"),
    ("success successful succeed", "failure unsuccessful fail"), ("always", "never"), ("often frequently", "rarely"),
    ("majority", "minority"), ("internal inside", "external outside"), ("left", "right"), ("male man", "female woman"),
    ("he him his", "she her hers"), ("husband father son brother king", "wife mother daughter sister queen"),
    ("common", "rare"), ("best better", "worst worse"), ("older oldest", "younger youngest"), ("old", "new young"),
    ("profit surplus", "loss deficit"), ("include included", "exclude excluded"), ("join", "leave quit"),
    ("arrive", "depart"), ("create build", "destroy demolish"), ("rich", "poor"), ("hot warm", "cold cool"),
    ("fast faster", "slow slower"), ("long longer", "short shorter"), ("wide", "narrow"), ("deep", "shallow"),
    ("heavy", "light"), ("easy", "difficult hard"), ("public", "private"), ("urban", "rural"), ("ally friend", "enemy"),
    ("predecessor", "successor"), ("strengthen", "weaken"), ("raise", "lower"), ("encourage", "discourage"),
    ("attack", "defend"), ("import", "export"), ("offer", "demand"), ("employer", "employee"), ("dead", "alive"),
    ("safe", "dangerous"), ("true", "false"), ("same identical", "different"), ("enter", "exit"), ("ancient", "modern"),
    ("maximum", "minimum"), ("simple", "complex"), ("legal", "illegal"), ("likely", "unlikely"), ("known", "unknown"),
    ("able", "unable"),
    ("possible", "impossible"), ("guilty", "innocent"), ("lend", "borrow"), ("teacher", "student"), ("love", "hate"),
    ("peace", "war"), ("full", "empty"), ("dark", "bright"), ("dry", "wet"), ("thick", "thin"), ("tall", "short"),
    ("frequent", "infrequent"), ("active", "passive inactive"), ("direct", "indirect"), ("formal", "informal"),
    ("formally", "informally"), ("directly", "indirectly"), ("widely", "narrowly"), ("quickly rapidly", "slowly"),
    ("partly partially", "wholly fully"), ("temporary", "permanent"), ("voluntary", "compulsory mandatory"),
)  # fmt: skip


def _sides() -> dict[str, list[tuple[int, int]]]:
    sides: dict[str, list[tuple[int, int]]] = {}
    for number, axis in enumerate(AXES):
        for side, words in enumerate(axis):
            for word in words.split():
                place = (number, side)
                for key in {word, word_key(word)}:
                    if place not in sides.setdefault(key, []):
                        sides[key].append(place)
    return sides


_SIDES = _sides()
_OPPOSING_PREFIXES = ("un", "in", "im", "dis", "non", "il", "ir", "anti", "de", "mis")
_LEAST_STEM = 4


def same_side(one: str, other: str) -> bool:
    """Tell whether two keys stand on one side of an axis ("rose", "increas")."""
    return one in _SIDES and other in _SIDES and bool(set(_SIDES[one]) & set(_SIDES[other]))


def are_opposites(one: str, other: str) -> bool:
    """Tell whether two keys are opposites: on the two sides of an axis, or apart by a prefix ("usual", "unusual")."""
    if one in _SIDES and any((number, 1 - side) in _SIDES.get(other, ()) for number, side in _SIDES.get(one, ())):
        return True
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) >= _LEAST_STEM and any(longer == prefix + shorter for prefix in _OPPOSING_PREFIXES)


def has_opposite(key: str) -> bool:
    """Tell whether a key stands on an axis."""
    return key in _SIDES


def _is_negation(words: Sequence[Word], number: int, text: str) -> bool:
    word = words[number]
    plain = word.text.lower().replace("’", "'")
    if plain.endswith("n't") or word.key in _LEXICAL_NEGATIONS:
        return True
    if plain not in _NEGATIONS:
        return False
    follows = words[number + 1].text.lower() if number + 1 < len(words) else ""
    return not (follows == "only" or (plain == "no" and text[word.end : word.end + 1] == "."))


def _governed(words: Sequence[Word], number: int, text: str, *, limit: int = _GOVERNED) -> list[int]:
    """Return the telling words that a word governs: the next ones of its clause."""
    found: list[int] = []
    for place in range(number + 1, len(words)):
        if _BREAK.search(text, words[place - 1].end, words[place].start) or words[place].text.lower() in _TURNS:
            break
        if words[place].telling:
            found.append(place)
        if len(found) == limit:
            break
    return found


def negated_words(words: Sequence[Word], text: str) -> dict[int, int]:
    """Return, by word, how many negations govern it."""
    counts: dict[int, int] = {}
    for number in range(len(words)):
        if _is_negation(words, number, text):
            for place in _governed(words, number, text) or _governed(words, number, ""):
                counts[place] = counts.get(place, 0) + 1
    return counts


def _doubted(words: Sequence[Word], text: str) -> set[int]:
    """Return the words that are said to be possible, planned or tried only."""
    doubted: set[int] = set()
    for number, word in enumerate(words):
        plain = word.text.lower()
        if plain in _MODALS and not (plain == "may" and word.text[0].isupper()):
            doubted.update(_governed(words, number, text, limit=1))
        elif word.key in _INTENTIONS:
            behind = [other.text.lower() for other in words[number + 1 : number + 3]]
            if "to" in behind:
                doubted.update(_governed(words, number + 1 + behind.index("to"), text, limit=1))
    return doubted


def find_turn(
    claim: str, said: Sequence[Word], evidence: str, shown: Sequence[Word], *, aligned: Mapping[int, int]
) -> str | None:
    """Return why a claim turns round what its evidence says, or None: negation, doubt, or "only" and "all".

    `aligned` names for words of the claim, by number, the word of the evidence that they lie beside; a word without one
    is looked for anywhere.
    """
    back = {there: here for here, there in aligned.items()}
    beside = _Beside(said, shown, aligned)
    besides = _Beside(shown, said, back)
    return (
        _find_negation(negated_words(said, claim), negated_words(shown, evidence), beside, besides)
        or _find_doubt(_doubted(said, claim), _doubted(shown, evidence), besides)
        or _find_exclusive(said, shown)
    )


@dataclass(frozen=True, slots=True)
class _Beside:
    """The words of one text and, for each, those of the other that it may be held against."""

    words: Sequence[Word]
    others: Sequence[Word]
    aligned: Mapping[int, int]

    def places(self, number: int) -> list[int]:
        if number in self.aligned:
            return [self.aligned[number]]
        key = self.words[number].key
        return [n for n, other in enumerate(self.others) if other.telling and are_alike(key, other.key)]


def _find_negation(mine: Mapping[int, int], theirs: Mapping[int, int], beside: _Beside, back: _Beside) -> str | None:
    for number, count in mine.items():
        there = beside.places(number)
        if there and all(theirs.get(place, 0) % 2 != count % 2 for place in there):
            return f"the evidence does not negate “{beside.words[number].text}”"
    for place, count in theirs.items():
        there = back.places(place)
        # What is negated in one place and not in another decides only where the claim lies beside it.
        if place not in back.aligned and any(other not in theirs for here in there for other in beside.places(here)):
            continue
        if there and all(mine.get(number, 0) % 2 != count % 2 for number in there):
            return f"the evidence negates “{back.words[place].text}”"
    return None


def _find_doubt(mine: set[int], theirs: set[int], back: _Beside) -> str | None:
    for place in sorted(theirs):
        there = back.places(place) if place in back.aligned else []
        if there and not mine & set(there):
            return f"the evidence leaves open whether “{back.words[place].text}” is so"
    return None


def _find_exclusive(said: Sequence[Word], shown: Sequence[Word]) -> str | None:
    for number, word in enumerate(said):
        group = _EXCLUSIVE.get(word.text.lower())
        if group is None:
            continue
        near = _around(said, number)
        places = [n for n, other in enumerate(shown) if _EXCLUSIVE.get(other.text.lower()) == group]
        if not any(near & _around(shown, place) for place in places):
            return f"the evidence does not say “{word.text}”"
    return None


def _around(words: Sequence[Word], number: int) -> set[str]:
    """Return the keys of the two telling words before and behind a word."""
    before = [word.key for word in words[:number] if word.telling][-_GOVERNED:]
    behind = [word.key for word in words[number + 1 :] if word.telling][:_GOVERNED]
    return {*before, *behind}
