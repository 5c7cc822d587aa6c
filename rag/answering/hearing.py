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

    Those of articles that name it may that are not known to be another's words. Where none answers as surely as
    `least`, those that are known to be its own are heard, and how sure that is lies halfway between both, in log-odds.
    """
    may = [one for reading in readings if (one := _without_others(side.party, reading)) is not None]
    if not may:
        return Verdict((), 0.0, f"no passage that was found holds words of {side.party}; the nearest are listed")
    plain = judge.judge(side.question, may, part=part)
    if plain.findings and plain.confidence >= least:
        return plain
    heard = hear([side], [may], judge=judge, rarity=rarity)[side.party]
    if not heard.findings:
        return plain
    return Verdict(heard.findings, _probability((_odds(plain.confidence) + _odds(heard.confidence)) / 2))


def _without_others(party: str, reading: Reading) -> Reading | None:
    """Return a passage without the sentences that are others' words; None if nothing is left, or it names no party."""
    if not is_named_in(party, reading.article):
        return None
    sentences = reading.hit.passage.sentences
    others = words_of_others(party, reading.article, sentences)
    left = tuple(span for span in sentences if span not in others)
    return replace(reading, only=left) if left else None


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
    verdict: Verdict, side: Side, readings: Sequence[Reading], *, parties: Sequence[str], rarity: Rarity
) -> Verdict:
    """Return a verdict that is surer the more of the topic stands in what was found of the article."""
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
    odds = _odds(verdict.confidence) + _TOPIC_WEIGHT * (spoken_of - 0.5)
    return Verdict(verdict.findings, _probability(odds))


def _odds(probability: float) -> float:
    """Return the logarithm of the odds."""
    probability = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(probability / (1 - probability))


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))
