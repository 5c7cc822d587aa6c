"""What "he", "they", "it", "there", "then" and "that ban" stand for: something of the turns before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rag.conversation.naming import NAME, NOT_NAMES, YEAR, Name, Role, name_matches, names_in, role_in
from rag.conversation.turns import AUXILIARIES, EMPTY, PREPOSITIONS, Leaning, Turn, without_brackets
from rag.index.lexical import terms

_HE = re.compile(
    rf"\b(?:(?P<possessive>his|her(?=\s+\w)(?!\s+(?:{PREPOSITIONS}|{AUXILIARIES}|and|or|there|again)\b))|he|she|him|her|"
    r"himself|herself)\b",
    re.IGNORECASE,
)
_THEY = re.compile(r"\b(?:(?P<possessive>their)|they|them|themselves|both of them)\b", re.IGNORECASE)
# "it" stands for nothing in "Is it true that …", "How long does it take to …".
_IT = re.compile(
    r"\b(?:(?P<possessive>its)|it(?!['’]?s?\s+(?:(?:not\s+)?(?:true|possible|likely|clear|correct|fair|legal|safe)\b|"
    r"takes?\s+to\b|seems?\b|that\b)))\b",
    re.IGNORECASE,
)
_THERE = re.compile(
    rf"(?<!\bis )(?<!\bare )(?<!\bwas )(?<!\bwere )(?<!\bbe )(?<!\bbeen )\bthere\b"
    rf"(?!\s+(?:is|are|was|were|{AUXILIARIES}|be|any|a|an)\b)",
    re.IGNORECASE,
)
_THEN = re.compile(
    r"\b(?:back |(?P<preposition>since |until |by )|at )?(?:then|that time|that (?:year|month|day)|the same year)\b",
    re.IGNORECASE,
)
_BEHIND_PREPOSITION = re.compile(rf"\b(?:{PREPOSITIONS})\s+\Z", re.IGNORECASE)
_FUNCTION = rf"(?:^|{PREPOSITIONS}|{AUXILIARIES}|and|or|but|than|if|as)\b\W*"
_POINTING = re.compile(
    rf"(?:(?<![\w])(?P<before>{_FUNCTION}))(?P<what>(?:this|that|these|those|the same|such)(?:\s+(?P<noun>[a-z][\w-]+)"
    rf"(?=[?.,!;:]|\s*$|\s+(?:{PREPOSITIONS}|{AUXILIARIES}|and|or|be|been|[a-z]+ed|[a-z]+ing)\b))?)",
    re.IGNORECASE,
)
_COMPLEMENT = re.compile(
    r"(?:is|was|are|were|has|have|had|did|does|do|will|would|can|could|should|may|might)\b", re.IGNORECASE
)
_CLAUSE_END = re.compile(r"[,;:.?!]\s|\b(?:and|but|if|when|that|because|whether)\s")
# "Did Kudo agree with him?": with another.
_OBJECT_OF_ANOTHER = re.compile(
    r"^(?:did|does|do|has|have|is|was|will|would) [^,]*\b"
    r"(?:with|to|against|agree|support|contradict|answer|reject|critici[sz]e|blame|believe|meet|met|call|thank|praise)\s*$",
    re.IGNORECASE,
)
_PAIR = re.compile(r"\b[A-Z]\w+(?: [A-Z]\w+)* and [A-Z]\w+(?: [A-Z]\w+)*\b")
_SEVERAL = re.compile(
    r"\b(?:the |these |those )?(?:[A-Z]\w+ |[a-z]+(?:ese|ian|ish) )?(?:companies|firms|leaders|ministers|officials|"
    r"experts|analysts|people|interns|tourists|visitors|investors|exporters|students|workers|countries|governments|"
    r"scholars|businesses)\b",
    re.IGNORECASE,
)
_WHO_IS = re.compile(rf"(?i:who\s+(?:is|was)\s+)(?P<name>(?!(?i:the|a|an)\b){NAME.pattern})\s*[?.!]*$")
_QUALIFIES = re.compile(rf"\s+(?!(?:{PREPOSITIONS}|{AUXILIARIES}|and|or|who|as)\b)[a-z]")  # "Asia-Pacific analyst"
_WHAT_IS = re.compile(
    r"what\s+(?:is|are|was|were)\s+(?P<what>(?:(?!\b(?:did|does|do|that|who|which|for|used|difference)\b).){2,60})",
    re.IGNORECASE,
)
_NOUN_PHRASE = re.compile(
    rf"\b(?P<head>[a-z][\w-]+)\s+(?P<rest>(?:on|of|for|from|between|against|with|to)\s+"
    rf"(?:(?!\b(?:{AUXILIARIES}|and|that|which|who|after|before|when|because|but|said|in|at|during|by)\b)[\w’'-]+\s?){{1,6}})"
)


def points_nowhere(question: str) -> str | None:
    """Return the pronoun of a question without a turn before it that stands for somebody whom it does not name."""
    for pattern in (_HE, _THEY):
        match = pattern.search(question)
        if match is not None and not any(term not in EMPTY for term in terms(question[: match.start()])):
            return match.group()
    return None


def refer_back(text: str, turns: Sequence[Turn]) -> Leaning | None:
    """Return a text with what points back replaced by what it points at; None if nothing does."""
    found = behind = False
    for pattern, resolve in ((_HE, _person), (_THEY, _group), (_IT, _thing), (_THERE, _place), (_THEN, _time)):
        match = pattern.search(text)
        if match is None or _stands_before(text[: match.start()], pattern):
            continue
        found = True
        named = resolve(turns)
        if named is None:
            behind = True
        else:
            text = _named(pattern, text, named)
    for match in _POINTING.finditer(text):
        noun, before = match["noun"], text[: match.start("what")]
        if noun is None and match["what"].casefold() == "that" and text[match.end("what") :].strip(" ?.!,"):
            continue  # before a name or a pronoun, it begins a clause
        if noun is not None and (_COMPLEMENT.fullmatch(noun) or re.search(rf"\b{noun}\b", before, re.IGNORECASE)):
            continue
        phrase = None if noun is None else _phrase_of(noun, turns[-1])
        if phrase is None:
            return Leaning(text, behind=True)
        return Leaning(before + phrase + text[match.end("what") :], behind=behind)
    return Leaning(text, behind=behind) if found else None


def _named(pattern: re.Pattern[str], text: str, named: str) -> str:
    def put(match: re.Match[str]) -> str:
        if pattern is _THEN:
            return f"{match['preposition'] or 'in '}{named}"
        if pattern is _THERE:
            return named if _BEHIND_PREPOSITION.search(text[: match.start()]) else f"in {named}"
        if match.groupdict().get("possessive"):
            return f"{named}'" if named.endswith("s") else f"{named}'s"
        return named

    return pattern.sub(put, text, count=1)


def _stands_before(text: str, pattern: re.Pattern[str]) -> bool:
    """Tell whether what a pronoun stands for is named before it in the same question: by a name, or in a clause."""
    if pattern is _HE and _OBJECT_OF_ANOTHER.search(text):
        return False
    names = [name for name in names_in(text) if pattern is not _HE or name.role in (Role.PERSON, Role.UNKNOWN)]
    if names and (pattern is _HE or (pattern is _THEY and (len(names) > 1 or _SEVERAL.search(text)))):
        return True
    clause = _CLAUSE_END.search(text)
    return clause is not None and len([term for term in terms(text[: clause.start()]) if term not in EMPTY]) > 1


def _known(turn: Turn) -> Iterator[Name]:
    """Yield the names of a turn, the most telling first: the short answer's, the question's, what was cited."""
    if match := _WHO_IS.match(turn.question):
        yield Name(match["name"], Role.PERSON)
    asked_who = re.search(r"\bwhom?\b", turn.question, re.IGNORECASE)
    answer = turn.short_answer or ""
    for match in name_matches(answer):
        role = role_in(match, answer)
        person = asked_who and role is Role.UNKNOWN and not _QUALIFIES.match(answer[match.end() :])
        yield Name(match.group(), Role.PERSON if person else role)
    yield from names_in(turn.question)
    for sentence in turn.evidence:
        yield from names_in(sentence)


def _person(turns: Sequence[Turn]) -> str | None:
    """Return who "he" or "she" is: someone who speaks or was asked for, else a name that is no place's or group's."""
    for turn in reversed(turns):
        known = list(_known(turn))
        persons = {name.text for name in known if name.role is Role.PERSON}
        asked = [name for text in (turn.short_answer or "", turn.question) for name in names_in(text)]
        asked = [name for name in asked if name.role is Role.UNKNOWN]
        for name in [*(name for name in known if name.text in persons), *asked]:
            return max(
                (other.text for other in known if other.text.endswith(f" {name.text}")), key=len, default=name.text
            )
    return None


def _group(turns: Sequence[Turn]) -> str | None:
    """Return who "they" are: two names in the last question, several people, or a group by its name."""
    asked = turns[-1].question
    pair = _PAIR.search(asked)
    if pair and all(word.casefold() not in NOT_NAMES for word in pair.group().split() if word != "and"):
        return pair.group()
    several = _SEVERAL.search(asked)
    if several:
        return several.group()
    groups = list(dict.fromkeys(name.text for name in names_in(asked) if name.role is Role.GROUP))
    return groups[0] if len(groups) == 1 and not groups[0].isupper() else None


def _thing(turns: Sequence[Turn]) -> str | None:
    """Return what "it" is: what was asked for the meaning of, or the only name, if it is no person's or place's."""
    asked = without_brackets(turns[-1].question)
    match = _WHAT_IS.fullmatch(asked)
    if match:
        return match["what"]
    names = list(names_in(asked))
    return names[0].text if len(names) == 1 and names[0].role is Role.GROUP else None


def _place(turns: Sequence[Turn]) -> str | None:
    for turn in reversed(turns):
        for name in _known(turn):
            if name.role is Role.PLACE:
                return name.text
    return None


def _time(turns: Sequence[Turn]) -> str | None:
    for turn in reversed(turns):
        for text in (turn.short_answer or "", turn.question, *turn.evidence):
            match = YEAR.search(text)
            if match:
                return match.group()
    return None


def _phrase_of(noun: str, last: Turn) -> str | None:
    """Return the noun with what the last turn said of it: "that ban" → "the ban on all seafood from Japan"."""
    wanted = terms(noun)
    for text in (*last.evidence, last.question):
        for match in _NOUN_PHRASE.finditer(text):
            if wanted and terms(match["head"])[-1:] == wanted[-1:]:
                return f"the {noun} {match['rest'].strip()}"
    return None
