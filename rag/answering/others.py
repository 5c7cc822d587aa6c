"""Which sentences of an article are somebody else's words than a party's, as far as that can be known.

Another name speaks in them ("…," Morita said), they go on with what another said ("He added …"), stand behind
another's label, or are told by an "I" that is not the party.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from rag.answering.clauses import Speaks, goes_on
from rag.answering.speakers import Spoken, Voice, is_first_person, spoken
from rag.records import Article, Span

_THIRD_PERSON = re.compile(r"\b(?:s?he|they|him|her|his|hers|them|their)\b", re.IGNORECASE)
_BY_OFFICE = re.compile(r"[\"”] (?:the|said the|says the) ")  # "…," the prime minister told reporters


class _Owner(Enum):
    PARTY = "party"
    OTHER = "other"
    UNKNOWN = "unknown"


def words_of_others(party: str, article: Article, sentences: Sequence[Span]) -> frozenset[Span]:
    """Return those of the sentences that are known to be somebody else's words than a party's.

    None are of a group or a role without a name: whose words theirs are is not known either.
    """
    voice = Voice.of(party, article)
    if not (voice.is_person or voice.is_state or _is_source(party, article)):
        return frozenset()
    others = set[Span]()
    spoke = _Owner.UNKNOWN
    for one in spoken([voice], article, sentences):
        loudest = voice.others_speak(one.text)
        owner = _owner_of(one, voice, loudest=loudest, before=spoke)
        if owner is _Owner.OTHER:
            others.add(one.span)
        spoke = _spoken_of_next(owner, loudest=loudest, may_be=voice.is_named_in(one.text) or is_first_person(one.text))
    return frozenset(others)


def _owner_of(one: Spoken, voice: Voice, *, loudest: Speaks, before: _Owner) -> _Owner:
    """Return whose words a sentence is, where `loudest` tells how others speak in it, and `before` who spoke last."""
    if one.labelled is not None:
        return _Owner.PARTY if one.labelled == 0 else _Owner.OTHER
    if one.speaking[0] >= Speaks.NAMED:
        return _Owner.PARTY
    if loudest is Speaks.SAYS:
        return _Owner.OTHER
    if goes_on(one.text) or _BY_OFFICE.search(one.text):
        return before
    if not voice.written_by_other:
        return _Owner.UNKNOWN
    told_of = voice.is_named_in(one.text) or _THIRD_PERSON.search(one.text)
    return _Owner.UNKNOWN if told_of and not is_first_person(one.text) else _Owner.OTHER


def _spoken_of_next(owner: _Owner, *, loudest: Speaks, may_be: bool) -> _Owner:
    """Return who "he" is in the next sentence: after "I put this to Kenjiro Asada." it `may_be` the party."""
    if may_be:
        return _Owner.UNKNOWN if owner is _Owner.OTHER else owner
    return _Owner.OTHER if owner is _Owner.UNKNOWN and loudest is Speaks.ACTS else owner


def _is_source(party: str, article: Article) -> bool:
    """Tell whether a party is who printed an article."""
    name = party.casefold().removeprefix("the ")
    return article.source is not None and name in article.source.casefold()
