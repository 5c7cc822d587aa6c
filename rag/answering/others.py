"""Which sentences of an article cannot be what a party says: it is not named there, or they are somebody else's words.

A sentence is somebody else's if another name speaks in it ("…," Morita said), if it goes on with what another said
("He added …"), if it stands behind another's label, and if it is told by "I" where the party is not who writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from enum import Enum

from rag.answering.clauses import TITLES, Speaks, goes_on
from rag.answering.parties import OFFICE, names_of
from rag.answering.speakers import Voice, country_of, is_first_person, spoken
from rag.records import Article, Span

_NAME = re.compile(r"[^\W\d_][\w-]*")
_ACRONYM = re.compile(r"[A-Z]{2,6}")
_SMALL_WORDS = r"(?:\s+(?:of|the|for|and|on|de|du))*\s+"
_ALIKE = 0.85  # Zelensky, Zelenskyy
_LEAST_ALIKE = 6
_BEFORE_NAME = re.compile(
    r"the|an?|and|but|when|while|as|if|in|on|at|for|with|says?|said|yet|so|then|after|before", re.IGNORECASE
)
_THIRD_PERSON = re.compile(r"\b(?:s?he|they|him|her|his|hers|them|their)\b", re.IGNORECASE)


_ARTICLE = re.compile(r"^the ", re.IGNORECASE)
_BY_OFFICE = re.compile(r"[\"”] (?:the|said the|says the) ")  # "…," the prime minister told reporters


class _Owner(Enum):
    PARTY = "party"
    OTHER = "other"
    UNKNOWN = "unknown"


def words_of_others(party: str, article: Article, sentences: Sequence[Span]) -> frozenset[Span]:
    """Return those of the sentences that are known to be somebody else's words than a party's."""
    voice = Voice.of(party, article)
    if not (voice.is_person or voice.is_state or _is_source(party, article)):
        return frozenset()
    others = set[Span]()
    spoke = _Owner.UNKNOWN
    for one in spoken([voice], article, sentences):
        loudest = voice.others_speak(one.text)
        names_it = voice.is_named_in(one.text)
        if one.labelled is not None:
            owner = _Owner.PARTY if one.labelled == 0 else _Owner.OTHER
        elif one.speaking[0] >= Speaks.NAMED:
            owner = _Owner.PARTY
        elif loudest is Speaks.SAYS:
            owner = _Owner.OTHER
        elif goes_on(one.text) or _BY_OFFICE.search(one.text):
            owner = spoke
        elif voice.written_by_other and not names_it and not _THIRD_PERSON.search(one.text):
            owner = _Owner.OTHER
        else:
            owner = _Owner.OTHER if voice.written_by_other and is_first_person(one.text) else _Owner.UNKNOWN
        if owner is _Owner.OTHER:
            others.add(one.span)
        # "I put this to Kenjiro Asada.": whoever is spoken of next may be the party.
        spoke = _Owner.UNKNOWN if owner is _Owner.OTHER and names_it else owner
        if owner is _Owner.UNKNOWN and loudest is Speaks.ACTS and not names_it:
            spoke = _Owner.OTHER
    return frozenset(others)


def is_named_in(party: str, article: Article) -> bool:
    """Tell whether an article, or its title, author or source, has a party's name, or somebody who speaks for it."""
    about = "\n".join(filter(None, (article.title, article.author, article.source, article.text)))
    called = names_of(party)
    if len(called) > 1:
        return any(_is_in(name, about) for name in called) or Voice.of(party, article).is_named_in(about)
    words = [word for word in _without_office(_NAME.findall(party)) if word[0].isupper()]
    if not words:
        return Voice.of(party, article).is_named_in(about)
    if len(words) > 1 and _is_person(party) and " ".join(words) not in about:
        return _has_surname(words, about)
    return any(_is_spelled(word, about) for word in words) or Voice.of(party, article).is_named_in(about)


def _is_source(party: str, article: Article) -> bool:
    """Tell whether a party is who printed an article."""
    plain = _ARTICLE.sub("", party).casefold()
    return article.source is not None and plain in article.source.casefold()


def _without_office(words: Sequence[str]) -> Sequence[str]:
    """Return the words of a name behind those of an office: Foreign Minister Wang Yi; all, if no name is behind it."""
    behind = max((place + 1 for place, word in enumerate(words) if _is_office(word)), default=0)
    return words[behind:] if any(word[0].isupper() for word in words[behind:]) else words


def _is_office(word: str) -> bool:
    return word.lower() in TITLES or OFFICE.fullmatch(word) is not None


def _is_person(party: str) -> bool:
    """Tell whether a name with capitals alone is a person's, as far as its form tells: no article before, no "of"."""
    return all(word[0].isupper() for word in _NAME.findall(party))


def _has_surname(words: Sequence[str], about: str) -> bool:
    """Tell whether a text has the last of somebody's names, and not that of namesakes alone."""
    last = rf"(?:{re.escape(words[-1])}|{re.escape(words[-1].upper())})"
    before = {match[1] for match in re.finditer(rf"\b([A-Z]\w+) {last}\b", about)}
    others = {word for word in before if not (_is_office(word) or _BEFORE_NAME.fullmatch(word))}
    if others:
        return not {other.casefold() for other in others}.isdisjoint(word.casefold() for word in words)
    return re.search(rf"\b{last}\b", about) is not None or _is_spelled(words[-1], about)


def _is_in(name: str, about: str) -> bool:
    flags = 0 if len(name) <= len("USA") else re.IGNORECASE
    return re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", about, flags) is not None


def _is_spelled(word: str, about: str) -> bool:
    """Tell whether a text has a name: with its capital, in capitals, in full if it is initials, or spelled alike."""
    if len(word) == 1 or _is_office(word):
        return False
    if any(_is_in(name, about) for name in country_of(word) or ()):
        return True
    if re.search(rf"\b(?:{re.escape(word)}|{re.escape(word.upper())})\b", about):
        return True
    if _ACRONYM.fullmatch(word):
        return re.search(r"\b" + _SMALL_WORDS.join(rf"{letter}\w+" for letter in word), about) is not None
    if len(word) < _LEAST_ALIKE:
        return False
    near = set(re.findall(rf"\b{re.escape(word[:4])}\w*", about))
    return any(SequenceMatcher(None, word, other).ratio() >= _ALIKE for other in near)
