"""What a party says, or each of several: its own sentences, judged by its own question.

A sentence that is a party's own needs less of the judge where the article speaks of what is asked about, and more where
it does not: that China says something does not make it something about the moon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rag.answering.judging import Judge, Reading, Verdict, coverage
from rag.answering.mentions import is_named_in
from rag.answering.others import words_of_others
from rag.answering.parties import names_of
from rag.answering.sides import Side
from rag.answering.speakers import statements_of
from rag.index.lexical import terms
from rag.passages import embedded_text

Rarity = Callable[[Sequence[str]], NDArray[np.float64]]

# In log-odds, for the whole of what is asked about; half of it leaves the judge's confidence as it is. By hand, on
# benchmarks/sides/dev.jsonl.
_TOPIC_WEIGHT = 2.5
_LEAST = 1e-6


def hear(
    sides: Sequence[Side], found: Sequence[Sequence[Reading]], *, judge: Judge, rarity: Rarity
) -> dict[str, Verdict]:
    """Return by party the sentences that are its own, best first, and how sure it is that the first answers.

    `found` are the passages found for each side's question.
    """
    parties = [side.party for side in sides]
    heard = {}
    for number, (side, readings) in enumerate(zip(sides, found, strict=True)):
        own = _own(number, parties, readings, says=side.says)
        verdict = judge.judge(side.question, own, part=len(sides)) if own else Verdict((), 0.0)
        heard[side.party] = _held_to_topic(verdict, side, readings, parties=parties, rarity=rarity)
    return heard


def hear_one(
    side: Side, readings: Sequence[Reading], *, judge: Judge, rarity: Rarity, least: float, part: int = 1
) -> Verdict:
    """Return which sentences answer what is asked of a party, and how surely.

    Those of articles that name it may that are not known to be another's words; less surely, the less of what is asked
    about is spoken of there. Where none answers as surely as `least`, those that are known to be its own are heard, and
    how sure that is lies halfway between both, in log-odds.
    """
    may = _without_others(side.party, readings)
    if not may:
        return Verdict((), 0.0, f"no passage that was found holds words of {side.party}; the nearest are listed")
    plain = judge.judge(side.question, may, part=part)
    plain = _held_to_topic(plain, side, may, parties=[side.party], rarity=rarity, most=0.0)
    if plain.findings and plain.confidence >= least:
        return plain
    heard = hear([side], [may], judge=judge, rarity=rarity)[side.party]
    if not heard.findings:
        return plain
    return Verdict(heard.findings, _probability((_odds(plain.confidence) + _odds(heard.confidence)) / 2))


def _without_others(party: str, readings: Sequence[Reading]) -> list[Reading]:
    """Return the passages of articles that name a party, without the sentences that are others' words."""
    articles = {reading.article.id: reading.article for reading in readings}
    left = []
    for name, article in articles.items():
        its = [reading for reading in readings if reading.article.id == name]
        if is_named_in(party, article):
            sentences = sorted({span for one in its for span in one.hit.passage.sentences})
            others = words_of_others(party, article, sentences)
            left += [
                replace(one, only=tuple(span for span in one.hit.passage.sentences if span not in others))
                for one in its
            ]
    return sorted((one for one in left if one.only), key=lambda one: one.hit.rank)


def _own(number: int, parties: Sequence[str], readings: Sequence[Reading], *, says: bool) -> list[Reading]:
    """Return the passages that hold sentences of a party's, with these alone; of what it `says` where it says any."""
    found = [
        (reading, statements_of(parties, reading.article, reading.hit.passage.sentences)[number])
        for reading in readings
    ]
    says = says and any(not statement.acts for _, statements in found for statement in statements)
    own = []
    for reading, statements in found:
        spans = tuple(statement.span for statement in statements if not (says and statement.acts))
        if spans:
            own.append(Reading(reading.hit, reading.article, only=spans))
    return own


def _held_to_topic(
    verdict: Verdict,
    side: Side,
    readings: Sequence[Reading],
    *,
    parties: Sequence[str],
    rarity: Rarity,
    most: float = math.inf,
) -> Verdict:
    """Return a verdict that is surer, by at `most` so much, the more of the topic stands in the article's passages."""
    if not verdict.findings or not verdict.confidence:
        return verdict
    named = {term for party in parties for name in names_of(party) for term in terms(name)}
    words = sorted(set(terms(side.topic)) - named)
    weights = rarity(words)
    if not weights.sum():  # of a handful of passages, no word is rare
        return verdict
    article = verdict.findings[0].reading.article
    pages = (embedded_text(article, r.hit.passage) for r in readings if r.article.id == article.id)
    spoken_of = coverage(words, weights, "\n".join(pages))
    shift = min(_TOPIC_WEIGHT * (spoken_of - 0.5), most)
    return Verdict(verdict.findings, _probability(_odds(verdict.confidence) + shift)) if shift else verdict


def _odds(probability: float) -> float:
    """Return the logarithm of the odds."""
    probability = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(probability / (1 - probability))


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))
