"""Which sentences of an article are somebody else's words than a party's, as far as that can be known.

Another name speaks in them ("…," Morita said), they go on with what another said ("He added …"), stand behind
another's label, or are told by an "I" that is not the party.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from rag.answering.clauses import Speaks, goes_on
from rag.answering.parties import BODY
from rag.answering.speakers import Spoken, Voice, is_first_person, spoken
from rag.records import Article, Span

_THIRD_PERSON = re.compile(r"\b(?:s?he|they|him|her|his|hers|them|their)\b", re.IGNORECASE)
_A_BODY = re.compile(rf"The {BODY.pattern} ")
# "…," the prime minister told reporters; the strike would last, she added.
_SPEAKS_LAST = re.compile(r"[\"”] (?:the|said the|says the) |, (?:s?he|they) \w+\W*$")


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
    spoke, end = _Owner.UNKNOWN, 0
    for one in spoken([voice], article, sentences):
        if re.search(r"\w", article.text[end : one.span.start]):  # not the sentence behind the one before
            spoke = _Owner.UNKNOWN
        loudest = voice.others_speak(one.text)
        owner = _owner_of(one, voice, loudest=loudest, before=spoke)
        if owner is _Owner.OTHER:
            others.add(one.span)
        spoke, end = _spoken_of_next(one, owner, voice, loudest=loudest), one.span.end
    return frozenset(others)


def _owner_of(one: Spoken, voice: Voice, *, loudest: Speaks, before: _Owner) -> _Owner:
    """Return whose words a sentence is, where `loudest` tells how others speak in it, and `before` who spoke last."""
    if one.labelled is not None:
        return _Owner.PARTY if one.labelled == 0 else _Owner.OTHER
    (speaking,) = one.speaking
    if speaking:  # "Morita told us that Shen had called them a chip": told by another, and of Shen's words
        return _Owner.PARTY if speaking >= Speaks.NAMED else _Owner.UNKNOWN
    heads_it = before is _Owner.PARTY and one.text.startswith("Its ")  # its chief executive, Viktor Brandt, said
    if not heads_it and (loudest is Speaks.SAYS or (voice.is_person and _A_BODY.match(one.text))):
        return _Owner.OTHER
    if heads_it or goes_on(one.text) or _SPEAKS_LAST.search(one.text):
        return before
    return _Owner.OTHER if voice.written_by_other and _is_of_writer(one.text, voice) else _Owner.UNKNOWN


def _is_of_writer(text: str, voice: Voice) -> bool:
    """Tell whether a sentence that nobody is said to speak in is the writer's, where that is an "I"."""
    tells_of_somebody = voice.is_named_in(text) or _THIRD_PERSON.search(text)
    return is_first_person(text) or not tells_of_somebody


def _spoken_of_next(one: Spoken, owner: _Owner, voice: Voice, *, loudest: Speaks) -> _Owner:
    """Return who "he" is in the next sentence: after "I put this to Kenjiro Asada." it may be the party."""
    told_by_i = is_first_person(one.text) and loudest < Speaks.SAYS
    if not voice.is_state and (voice.is_named_in(one.text) or told_by_i):
        return _Owner.UNKNOWN if owner is _Owner.OTHER else owner
    return _Owner.OTHER if owner is _Owner.UNKNOWN and loudest is Speaks.ACTS else owner


def _is_source(party: str, article: Article) -> bool:
    """Tell whether a party is who printed an article."""
    name = party.casefold().removeprefix("the ")
    return article.source is not None and name in article.source.casefold()
