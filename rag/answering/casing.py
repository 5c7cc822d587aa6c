"""Capitals for a question that was typed without them, as the articles write its words.

Who types in haste types small: "what did deng tell rcep members". Rules that look for names would see none in it. What
stands in the passages that were found tells which of its words are names: those that have a capital there within a
sentence oftener than not.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from rag.index.lexical import terms

_WORD = re.compile(r"[^\W\d_]+(?:\.[^\W\d_]+)*")
# These are names behind such a word alone: "the us", "in may".
_BEFORE_A_NAME = {
    "us": re.compile(r"\b(?:the|between)\s+$", re.IGNORECASE),
    "who": re.compile(r"\bthe\s+$", re.IGNORECASE),
    **dict.fromkeys(("may", "march"), re.compile(r"\b(?:in|since|until|by|last|late|early|mid)\s+$", re.IGNORECASE)),
}
_MOSTLY_NO_NAMES = frozenset({*_BEFORE_A_NAME, "it", "will", "mark"})
_SMALL = 4  # letters; "with" and "from" are small in most headings
_ENDS = (".", "!", "?", "…", "”", '"', ":", ";", ",")
_OPENING = " \t\n\"'“‘¿¡("
# Where a sentence, a quotation, a heading or a line begins, a capital says nothing, but for "RCEP" and "Lu Kejian".
_TELLING = re.compile(r"(?<=[\w,;)%’'][ -])[^\W\d_]+(?:\.[^\W\d_]+)*|\b[A-Z]{3,}\b|\b[A-Z][a-z]+(?=\s[A-Z][a-z])")


def restore_capitals(question: str, texts: Iterable[str]) -> str:
    """Return a question that was typed all small, or all in capitals, with the capitals of the texts.

    Its first word may have a capital all the same. A word that the texts do not have, or write small as often, is
    small; any other question is returned as it is.
    """
    if not is_without_capitals(question):
        return question
    words = {word.casefold() for word in _WORD.findall(question)}
    wanted = {word for word in words if word in _BEFORE_A_NAME or (terms(word) and word not in _MOSTLY_NO_NAMES)}
    written = _count_forms(texts, wanted=wanted) if wanted else {}
    shouted = question.isupper()

    def restore(match: re.Match[str]) -> str:
        word = match.group().lower() if shouted else match.group()
        forms = written.get(word.casefold(), Counter())
        if (before := _BEFORE_A_NAME.get(word.casefold())) is not None:
            if not before.search(question, 0, match.start()):
                return word
            forms = Counter({form: count for form, count in forms.items() if form != form.lower()})
        return _usual_form(forms) or word

    return _WORD.sub(restore, question)


def is_without_capitals(question: str) -> bool:
    """Tell whether a question was typed all small but for its first letter, or all in capitals."""
    shouted = question.isupper() and len(_WORD.findall(question)) > 1
    return shouted or not any(map(str.isupper, question.lstrip(_OPENING)[1:]))


def _count_forms(texts: Iterable[str], *, wanted: AbstractSet[str]) -> Mapping[str, Counter[str]]:
    """Return for each wanted word, in small letters, how often it is written how within a sentence."""
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    for line in (line for text in texts for line in text.splitlines() if not _has_capitals_throughout(line)):
        for word in _TELLING.findall(line):
            if (plain := word.casefold()) in wanted:
                forms[plain][word] += 1
    return forms


def _has_capitals_throughout(line: str) -> bool:
    """Tell whether a line is a heading whose words all have capitals, but for small ones: "How Cells Divide"."""
    words = [word for word in _WORD.findall(line) if len(word) > _SMALL]
    return len(words) > 1 and not line.rstrip().endswith(_ENDS) and all(word[0].isupper() for word in words)


def _usual_form(forms: Counter[str]) -> str | None:
    """Return the commonest form with a capital, if such forms are oftener than the small one."""
    capitalised = {form: count for form, count in forms.items() if form != form.lower()}
    if 2 * sum(capitalised.values()) <= sum(forms.values()):
        return None
    return max(capitalised, key=lambda form: (capitalised[form], form))
