"""Whether an article names a party at all, however it spells the name.

A country is named by its capital and by who comes from there, somebody by the surname, a body by its initials; a name
that ends otherwise in another language (Zelensky, Zelenskyy) is the same. "Prime Minister" names nobody by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from rag.answering.parties import is_title, names_of, without_office
from rag.answering.speakers import Voice, country_of
from rag.records import Article

_NAME = re.compile(r"[^\W\d_][\w-]*")
_ACRONYM = re.compile(r"[A-Z]{2,6}")
_SMALL_WORDS = r"(?:\s+(?:of|the|for|and|on|de|du))*\s+"
_ALIKE = 0.85
_LEAST_ALIKE = 6
_LONGEST_FIRST = 4  # letters of surnames that stand first
_BEFORE_NAME = re.compile(
    r"the|an?|and|but|when|while|as|if|in|on|at|for|with|says?|said|yet|so|then|after|before", re.IGNORECASE
)


def is_named_in(party: str, article: Article) -> bool:
    """Tell whether an article, or its title, author or source, has a party's name, or somebody who speaks for it."""
    about = "\n".join(filter(None, (article.title, article.author, article.source, article.text)))
    called = names_of(party)
    if len(called) > 1:
        return any(_is_in(name, about) for name in called) or Voice.of(party, article).is_named_in(about)
    name = without_office(party)
    words = [word for word in _NAME.findall(name) if word[0].isupper()]
    if not words:
        return _is_in(party.rsplit(maxsplit=1)[-1], about)
    if len(words) > 1 and _is_person(name) and " ".join(words) not in about:
        return _has_surname(words, about)
    return any(_is_spelled(word, about) for word in words)


def _is_person(party: str) -> bool:
    """Tell whether a name with capitals alone is a person's, as far as its form tells: no article before, no "of"."""
    return all(word[0].isupper() for word in _NAME.findall(party))


def _has_surname(words: Sequence[str], about: str) -> bool:
    """Tell whether a text has the last of somebody's names, and not that of namesakes alone."""
    last = rf"(?:{re.escape(words[-1])}|{re.escape(words[-1].upper())})"
    beside = re.findall(rf"\b([A-Z]\w+) {last}\b", about)
    if len(words[-1]) <= _LONGEST_FIRST:  # Wu Deming; but Trump Tower
        beside += re.findall(rf"\b{last} ([A-Z]\w+)", about)
    others = {word for word in beside if not (is_title(word) or _BEFORE_NAME.fullmatch(word))}
    if others:
        return not {other.casefold() for other in others}.isdisjoint(word.casefold() for word in words)
    return re.search(rf"\b{last}\b", about) is not None or _is_spelled(words[-1], about)


def _is_in(name: str, about: str) -> bool:
    flags = 0 if len(name) <= len("USA") else re.IGNORECASE
    return re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", about, flags) is not None


def _is_spelled(word: str, about: str) -> bool:
    """Tell whether a text has a name: with its capital, in capitals, in full if it is initials, or spelled alike."""
    if len(word) == 1 or is_title(word):
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
