"""Questions that are cut short ("And in 2024?", "Why?", "Who says so?") or correct the one before ("I meant 2024")."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from rag.answering.parties import WHOLE_NAME
from rag.answering.questions import ASKING
from rag.conversation.antecedents import refer_back
from rag.conversation.naming import MONTH, NAME, NOT_NAMES, YEAR, Role, kind_of, name_matches, role_in, role_of
from rag.conversation.turns import ASKS, AUXILIARIES, LEAD, PREPOSITIONS, Leaning, Turn, without_brackets
from rag.index.lexical import terms

_ASKING = re.compile(
    rf"(?P<wh>(?:(?:{PREPOSITIONS})\s+)?(?:{ASKING})\b.*?)"
    rf"\s+(?P<aux>{AUXILIARIES})\s+(?P<rest>.+)",
    re.IGNORECASE | re.DOTALL,
)
_BEGINS_WITH_AUXILIARY = re.compile(rf"(?P<aux>{AUXILIARIES})\s+(?P<rest>.+)", re.IGNORECASE | re.DOTALL)
_SAYS = re.compile(r"\b(?:say|think|claim|argue|want|demand|propose|suggest|call for|ask for|agree on)\b")
_BARE = re.compile(
    r"(?:but\s+|and\s+)?(?P<wh>why not|why|when exactly|since when|until when|when|where exactly|where to|where from|"
    r"where|how so|how come|how long|how often|how|by how much|how much|how many|by whom|with whom|to whom|who|which "
    r"ones?|what for)(?:\s+(?:is|was|did)\s+(?:that|this|it|so))?(?:\s+exactly)?\s*[?.!]*",
    re.IGNORECASE,
)
_SPEAKER = re.compile(
    r"(?:who (?:said|says|told|claims|claimed|reported|wrote)(?: you)? (?:so|that|this|it)|says who|according to whom"
    r"|who is saying (?:so|that|this))\s*[?.!]*",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"(?:what about|how about|what of|how's about|same (?:question )?for|and|or|but)\s+(?P<what>.+?)\s*[?.!]*",
    re.IGNORECASE | re.DOTALL,
)
_CORRECTION = re.compile(
    r"(?:(?:no|nope|oops|sorry|wait|actually|i(?:'m| am) sorry)\b[\s,.!]*)*"
    r"(?:i (?:meant|mean)(?: to say)?|make that|rather)\b[\s,:]*(?P<what>.+?)\s*(?:\b(?:please|pls)\b)?[?.!]*",
    re.IGNORECASE | re.DOTALL,
)
_DENIAL = re.compile(
    r"(?:no|nope|oops|sorry|wait)\b[\s,.!]+(?P<what>[\w$%.,'’ -]{1,60}?)(?:,? not (?P<old>[\w$%.,'’ -]+?))?\s*[?.!]*",
    re.IGNORECASE,
)
_PLAIN_YEAR = re.compile(r"\b(?:1[6-9]|20)\d\d\b")
_COUNTED = re.compile(r"\s+(?:[a-z]+s|people|men|women|children)\b")  # "the 2000 votes"
_PREPOSITIONAL = re.compile(
    r"(?P<preposition>for|in|on|at|to|from|of|by|with|since|until|during|under|after|before|about|against|through)\s+"
    r"(?P<rest>.+)",
    re.IGNORECASE,
)
_PERIOD = "(?:year|month|week|quarter|decade|season|spring|summer|autumn|winter)"
_TIME = (
    rf"(?:(?:early|late|mid)[ -])?(?:{MONTH}(?:\s+\d{{1,2}})?(?:,?\s+(?:of\s+)?(?:1[6-9]|20)\d\d)?"
    rf"|\d{{1,2}}\s+{MONTH}(?:\s+(?:1[6-9]|20)\d\d)?|(?:1[6-9]|20)\d\d)\b"
    rf"|(?:the\s+)?(?:first|second|third|fourth|last)\s+(?:half|quarter)(?:\s+of\s+(?:1[6-9]|20)\d\d)?\b"
    rf"|(?:the\s+)?(?:(?:1[6-9]|20)\d0s|(?:last|this|next|same|previous|following)\s+{_PERIOD})\b"
)
_TIME_PART = re.compile(rf"(?P<preposition>(?i:in|on|at|since|until|during|by|after|before))\s+(?P<rest>{_TIME})")
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_RELATIVE = re.compile(
    rf"(?:(?:what|how) about\s+)?(?:in\s+)?(?:(?:the\s+)?(?:(?P<count>an?|\d\d?|{'|'.join(_NUMBERS)})\s+)?"
    rf"(?P<period>{_PERIOD})s?\s+(?:(?P<before>before|earlier)|after|later)(?:\s+that)?"
    rf"|(?:the\s+)?(?:(?P<previous>previous|preceding)|following|(?<=the\s)next)\s+(?P<named>{_PERIOD}))\s*[?.!]*",
    re.IGNORECASE,
)
_TIMED = re.compile(rf"\b(?:(?P<preposition>(?i:in|on|at|since|until|during|by|after|before))\s+)?(?P<rest>{_TIME})")
# What may stand between a preposition and a name that it goes with: "from mainland China".
_QUALIFIER = (
    rf"(?!(?:{PREPOSITIONS}|{AUXILIARIES}|against|through|and|or|but|if|that|{ASKING})"
    r"\b)[a-z][\w-]*"
)
_OBJECT_ENDS = rf"(?=\s*[?.!,;]|\s*$|\s+(?:{PREPOSITIONS}|against|through|and|or|but)\b)"
_WITH_OBJECT = re.compile(r"(?P<head>[a-z][\w-]+)\s+(?:to|from|of|for|by|with|between)\s+", re.IGNORECASE)
_PLAIN_OBJECT = re.compile(rf"\s+(?:to|from|of|for|by|with|between)\s+(?:the\s+)?{NAME.pattern}")
_PLACING = frozenset({"in", "on", "at"})  # of place, time and matter alike
_WHERE = frozenset({"in", "on", "at", "to", "into"})
_SHARED_ENDING = 4
_COMMON_ENDINGS = frozenset({"tion", "ment", "ness", "sion", "ings", "able", "ions", "ting", "ning", "ents"})
_ALIKE = 0.7
_SHORT_PART, _LONG_PART = 2, 5  # words
_HOW_MUCH_THEN = re.compile(
    r"^how (?:much|many|high|big|large) (?:was|were|had) (?:it|they|that|this)(?: been)?,? (?=\S)", re.IGNORECASE
)
_DATELINE = re.compile(r"^[A-Z][A-Z .'-]+(?:, [A-Z][\w. ]+?\d{0,2})?(?: \([^)]*\))?\s*[—–-]+\s*")
# What was done to the subject of a question: "Which flights were cancelled?"
_DONE = re.compile(
    r"(?:not |still |again )?(?:[a-z]+ed|sold|cut|held|made|built|hit|lost|shut|sent|paid|taken|given|put|kept|found)\b"
)


def complete(typed: str, turns: Sequence[Turn]) -> Leaning | None:
    """Return what a correction or an ellipsis means; None if it is neither."""
    last = turns[-1]
    bare = LEAD.sub("", typed) or typed
    correction = _CORRECTION.fullmatch(typed)
    instead = correction or _DENIAL.fullmatch(typed) or _INSTEAD.fullmatch(typed)
    leaning = None
    if (beside := _a_year_off(bare, last)) is not None:
        leaning = Leaning(beside, made_of_last=True)
    elif instead and _is_part(instead["what"]):
        what = _resolved(instead["what"], turns)
        corrected, old = instead.re is not _INSTEAD, instead.groupdict().get("old")
        leaning = _replaced(what, last, corrected=corrected, old=old)
    elif correction:
        leaning = Leaning(correction["what"], behind=True)
    elif _SPEAKER.fullmatch(bare) and not last.evidence:
        leaning = Leaning(bare, behind=True)  # nothing was said
    elif _SPEAKER.fullmatch(bare):
        leaning = Leaning(f"Who said that {_inside(_clause(last))}?", made_of_last=True)
    elif match := _BARE.fullmatch(bare):
        leaning = Leaning(_asked_of(match["wh"], last), made_of_last=True)
    elif typed.endswith("?") and _is_short(bare.rstrip("?.! ")):
        leaning = _replaced(bare.rstrip("?.! "), last)
    return leaning


def _is_short(text: str) -> bool:
    """Tell whether a text is a part of a question by its length, or by the preposition that it begins with."""
    return _is_part(text) and (len(text.split()) <= _SHORT_PART or _PREPOSITIONAL.fullmatch(text) is not None)


def _is_part(text: str) -> bool:
    """Tell whether a text is a part of a question, not one of its own."""
    if _TIME_PART.fullmatch(text):
        return True
    return (
        len(text.split()) <= _LONG_PART
        and not ASKS.match(text)
        and not re.match(r"(?:i|we|you|he|she|it|they|if|that)\b", text, re.IGNORECASE)
        and (not re.match(r"to\b", text, re.IGNORECASE) or kind_of(text) is not None)
        and not re.search(r"[.?!]\s", text)
    )


def _asked_of(wh: str, last: Turn) -> str:
    """Return a question word put before what the last question was about: "Why?" → "Why did China ban seafood?"."""
    wh = "Why" if wh.casefold() in {"how so", "how come", "what for", "why not"} else wh[0].upper() + wh[1:]
    asked = without_brackets(last.question)
    match = _ASKING.fullmatch(asked)
    same = match is not None and match["wh"].casefold().startswith(wh.casefold().removesuffix(" exactly"))
    what = last.evidence and match is not None and match["wh"].casefold() == "what"
    said = what and _SAYS.search(asked) is not None
    if same or said or (match is None and not _BEGINS_WITH_AUXILIARY.fullmatch(asked)):
        # It was just asked, has no verb to be asked with, or one that wants an object: what the answer said is meant.
        return f"{wh}: {_clause(last)}?"
    if match is not None and _DONE.match(match["rest"]):
        subject = re.sub(r"^(?:how many|how much|which|what|who|whom)\s*", "", match["wh"], flags=re.IGNORECASE)
        subject = subject or last.short_answer or ""
        return f"{wh} {match['aux'].lower()} {subject} {match['rest']}?" if subject else f"{wh}: {_clause(last)}?"
    if match is not None:
        return f"{wh} {match['aux'].lower()} {match['rest']}?"
    return f"{wh} {asked[0].lower()}{asked[1:]}?"


def _clause(last: Turn) -> str:
    """Return what the last answer said, or what the last question asked, without a full stop."""
    told = next((one.strip() for one in last.evidence if not one.startswith("|")), None)
    return _DATELINE.sub("", told).rstrip(".!?。") if told else without_brackets(last.question)


def _inside(sentence: str) -> str:
    """Return a sentence as it stands within another: without a capital, unless it begins with a name."""
    first = re.match(r"[A-Z][a-z]*(?=\s)", sentence)
    return sentence[0].lower() + sentence[1:] if first and first[0].casefold() in NOT_NAMES - {"i"} else sentence


def _replaced(what: str, last: Turn, *, corrected: bool = False, old: str | None = None) -> Leaning:
    """Return the last question with a part of it replaced by `what`, the part that is most like it."""
    what = what.strip(" ,.?!")
    asked = LEAD.sub("", last.question.strip()) or last.question
    asked = asked[0].upper() + asked[1:]
    if old is not None and old in asked:
        return Leaning(asked.replace(old, what), made_of_last=True)
    if (timed := _timed(what, asked)) is not None:
        return Leaning(timed, made_of_last=True)
    match = _PREPOSITIONAL.fullmatch(what)
    core, preposition = (match["rest"], match["preposition"]) if match else (what, None)
    if preposition is not None and (slot := _slot(preposition, core, asked)) is not None:
        return Leaning(asked[: slot[0]] + core + asked[slot[1] :], made_of_last=True)
    place = _place_of(core, asked, preposition=preposition, corrected=corrected)
    if place is not None:
        start, end = place
        if article := re.search(r"\b(?:the|a|an|this|that)\s+$", asked[:start], re.IGNORECASE):
            core = re.sub(r"^(?:the|a|an)\s+", "", core, flags=re.IGNORECASE)
            if WHOLE_NAME.fullmatch(core) and kind_of(core) in {Role.PERSON, Role.UNKNOWN}:
                start = article.start()
        return Leaning(asked[:start] + core + asked[end:], made_of_last=True)
    if YEAR.fullmatch(core) or preposition is not None:
        return Leaning(f"{asked.rstrip('?.! ')} {preposition or 'in'} {core}?", made_of_last=True)
    return Leaning(f"What about {what}?", behind=True)


def _a_year_off(bare: str, last: Turn) -> str | None:
    """Return the last question of the year before or after its one: "And the winter before?"; else None."""
    bare = _HOW_MUCH_THEN.sub("", bare)
    match, years = _RELATIVE.fullmatch(bare), list(_PLAIN_YEAR.finditer(last.question))
    if match is None or len(years) != 1 or _COUNTED.match(last.question, years[0].end()):
        return None
    period = (match["period"] or match["named"]).casefold()
    if period != "year" and (period not in last.question.casefold() or match["count"]):
        return None
    (year,) = years
    count = (match["count"] or "a").casefold()
    away = int(count) if count.isdecimal() else _NUMBERS.index(count) + 1 if count in _NUMBERS else 1
    other = int(year.group()) + (-away if match["before"] or match["previous"] else away)
    return f"{last.question[: year.start()]}{other}{last.question[year.end() :]}"


def _timed(what: str, asked: str) -> str | None:
    """Return a question with another time, in the place of the last one in it; None if one of the two has none."""
    new, olds = _TIME_PART.fullmatch(what), list(_TIMED.finditer(asked))
    if new is None or not olds:
        return None
    old = olds[-1]
    start = old.start() if old["preposition"] else old.start("rest")
    text = f"{new['preposition'].lower()} {new['rest']}" if old["preposition"] else new["rest"]
    if start == 0:
        text = text[0].upper() + text[1:]
    return asked[:start] + text + asked[old.end() :]


def _slot(preposition: str, core: str, asked: str) -> tuple[int, int] | None:
    """Return the slice of a question that stands behind the same preposition, and is no time.

    Of several, that of the same kind; behind "in", "on" and "at", which say where, when and in what, only that.
    """
    behind = rf"\b{re.escape(preposition)}\s+"
    named = rf"(?:(?:the|a|an)\s+)?(?:{_QUALIFIER}\s+){{0,2}}?{NAME.pattern}"
    plain = rf"{_QUALIFIER}(?:\s+{_QUALIFIER}){{0,3}}{_OBJECT_ENDS}"
    found = re.finditer(rf"(?i:{behind})(?P<rest>{named}|{plain})", asked)
    slots = [match for match in found if not _TIMED.fullmatch(match["rest"])]
    kind = kind_of(core)
    same = [match for match in slots if kind_of(match["rest"]) is kind]
    chosen = same or ([] if preposition.casefold() in _PLACING else slots)
    return chosen[0].span("rest") if chosen else None


def _may_follow(preposition: str, asked: str, match: re.Match[str]) -> bool:
    """Tell whether a name may give its place to one behind a preposition: it stands behind none, or one as near."""
    before = re.search(rf"\b({PREPOSITIONS})\s+(?:the\s+)?$", asked[: match.start()], re.IGNORECASE)
    if before is None:
        return True
    one, other = preposition.casefold(), before[1].casefold()
    return one == other or {one, other} <= _WHERE


def _place_of(core: str, asked: str, *, preposition: str | None, corrected: bool) -> tuple[int, int] | None:
    """Return the slice of a question that another part can take the place of."""
    if YEAR.fullmatch(core):
        years = list(YEAR.finditer(asked))
        return years[-1].span() if years else None
    names = [match for match in name_matches(asked) if preposition is None or _may_follow(preposition, asked, match)]
    if NAME.fullmatch(core.removeprefix("the ").removeprefix("The ")):
        behind = rf"\b{re.escape(preposition or '')}\s+(?:the\s+)?$"
        same_place = [m for m in names if preposition and re.search(behind, asked[: m.start()], re.IGNORECASE)]
        alike = [m for m in names if corrected and _ratio(m.group(), core) >= _ALIKE]
        role = role_of(core, "", "")
        same = [m for m in names if role_in(m, asked) is role]
        # A name of which nothing is known is a person's more often than a place's.
        person = [m for m in names if role is Role.UNKNOWN and role_in(m, asked) is Role.PERSON]
        found = same_place or alike or person or same or (names[-1:] if corrected else [])
        return found[0].span() if found else None
    words = [match for match in re.finditer(r"[\w-]+", asked) if terms(match.group())]
    if preposition is None and (match := _WITH_OBJECT.match(core)):
        for word in words:
            if _akin(word.group().casefold(), match["head"].casefold(), corrected=corrected):
                tail = _PLAIN_OBJECT.match(asked, word.end())
                return word.start(), tail.end() if tail else word.end()
    last = core.casefold().rpartition(" ")[2]
    if any(terms(match.group()) == terms(last) for match in words):
        alike = [m for m in words if corrected and m.group().casefold() == last]
        if len(core.split()) == 1 or not alike:
            return None  # it is asked about already
        narrowed = asked[: alike[0].start()].rstrip().rpartition(" ")[2]
        near = _ratio(f"{narrowed} {last}", core) >= _ALIKE
        return (alike[0].start() - len(narrowed) - 1 if near else alike[0].start()), alike[0].end()
    akin = [m for m in words if _akin(m.group().casefold(), last, corrected=corrected)]
    return akin[0].span() if akin and len(core.split()) == 1 else None


def _akin(one: str, other: str, *, corrected: bool) -> bool:
    """Tell whether two words may stand in one another's place: imports and exports, or one and its misspelling."""
    ending = min(len(one), len(other)) > _SHARED_ENDING and one[-_SHARED_ENDING:] == other[-_SHARED_ENDING:]
    if ending and one[-_SHARED_ENDING:] not in _COMMON_ENDINGS:
        return True
    return corrected and _ratio(one, other) >= _ALIKE


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one.casefold(), other.casefold(), autojunk=False).ratio()


def _resolved(text: str, turns: Sequence[Turn]) -> str:
    pointed = refer_back(text, turns)
    return text if pointed is None or pointed.behind else pointed.text
