"""The check: a claim is kept only when sentences of the articles support it.

A claim is attributed to one sentence of the evidence, or to the fewest that say it together, at most three; the
writer's own markers only decide between sentences that carry it equally well. What carries it has to pass twice: the
rules of `rules.py`, and a score that weighs what the reading model says of the two with how much of the claim's words
stand there. The weights of the score are fitted by `python -m training.checker`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rag.answering.addressing import find_statements, is_addressed
from rag.answering.judging import Finding, Logistic
from rag.answering.rules import Comparison, Shown, leans
from rag.answering.wording import Unit, read_units, read_words
from rag.records import Span

CALIBRATION = Path(__file__).with_name("checking.json")
_SINGLES = 5
_AROUND = 2
_READ = 4
_LEAST_SHARE = 0.6
_TOGETHER = 3
_LEAST_ADDED = 2
_ANSWERING_SHARE = 0.05
_LEAST_PROBABILITY = 1e-4


@runtime_checkable
class Supporter(Protocol):
    """Whatever says how well evidence supports a claim; `rag.models.reader.Reader` does."""

    def support(self, claims: Sequence[str], evidence: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, 3) probabilities that each claim's evidence supports it, contradicts it, or does neither."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """A claim with what became of it: how well its evidence supports it, in 0..1, and which sentences that is.

    `reason` says why it was not kept; `findings` are then the sentences that come nearest, and may be none.
    """

    text: str
    kept: bool
    support: float
    findings: tuple[Finding, ...]
    reason: str | None

    def __post_init__(self) -> None:
        if self.kept == (self.reason is not None) or (self.kept and not self.findings):
            raise ValueError("a claim that is kept has evidence, one that is not has a reason")


@dataclass(frozen=True, slots=True)
class SupportFeatures:
    """What is known of a claim before its evidence.

    `supports` and `contradicts` are the reader's logarithms of odds, `coverage` and `order` the shares of the claim's
    words that stand in the evidence, and there in the same order.
    """

    supports: float
    contradicts: float
    coverage: float
    order: float


@dataclass(frozen=True, slots=True)
class Compared:
    """Sentences that may carry a claim, laid beside it, and the rule that they break, if they do."""

    findings: tuple[Finding, ...]
    shown: Shown
    comparison: Comparison
    fault: str | None


@dataclass(frozen=True, slots=True)
class Weighed:
    """Sentences that may carry a claim, with what is known of the two, and the rule that they break, if they do."""

    findings: tuple[Finding, ...]
    features: SupportFeatures
    fault: str | None
    unspaced: bool


@dataclass(frozen=True, slots=True)
class SupportModel:
    """The score of a claim, for scripts with spaces and without, and from where on it is kept."""

    spaced: Logistic
    unspaced: Logistic
    min_support: float

    @classmethod
    def read(cls, file: Path) -> SupportModel:
        """Return what `training.checker` wrote."""
        fitted = json.loads(file.read_text(encoding="utf-8"))
        return cls(Logistic.of(fitted["spaced"]), Logistic.of(fitted["unspaced"]), float(fitted["min_support"]))

    def __call__(self, weighed: Weighed) -> float:
        """Return the score of a claim before its evidence, in 0..1; below the threshold where it breaks a rule."""
        score = (self.unspaced if weighed.unspaced else self.spaced)(astuple(weighed.features))
        return score if weighed.fault is None else score * self.min_support


class Checker:
    """Decides which claims the evidence supports."""

    def __init__(self, support: Supporter, *, calibration: Path = CALIBRATION) -> None:
        self._support = support
        self._calibration = calibration

    def check(self, claim: str, evidence: Sequence[Finding], *, hints: Sequence[int] = ()) -> Checked:
        """Return whether the evidence, sentences in any order with their scores for the question, supports a claim.

        `hints` are places in `evidence`, counted from 0, that the writer pointed at; others are ignored.
        """
        scored = [(self._model(weighed), weighed) for weighed in self.weigh(claim, evidence, hints=hints)]
        if not scored:
            return Checked(claim, kept=False, support=0.0, findings=(), reason="no sentence has its words")
        passing = [
            (score, weighed) for score, weighed in scored if weighed.fault is None and score >= self._model.min_support
        ]
        if passing:
            score, best = min(passing, key=lambda row: (len(row[1].findings), -row[0]))
            return Checked(claim, kept=True, support=score, findings=best.findings, reason=None)
        score, best = max(scored, key=lambda row: (row[1].features.coverage, row[0]))
        reason = best.fault or "the evidence does not support it"
        return Checked(claim, kept=False, support=score, findings=best.findings, reason=reason)

    def weigh(self, claim: str, evidence: Sequence[Finding], *, hints: Sequence[int] = ()) -> list[Weighed]:
        """Return the sentences, alone and together, that may carry a claim, with what is known of them.

        Those that break no rule and hold most of its words are read, or the best one if there is none.
        """
        compared = self.compare(claim, evidence, hints=hints)
        sound = [one for one in compared if one.fault is None]
        chosen = sorted(sound or compared, key=lambda one: -one.comparison.coverage)[: _READ if sound else 1]
        if not chosen:
            return []
        read = self._support.support([claim] * len(chosen), [one.shown.text for one in chosen])
        return [
            Weighed(
                one.findings,
                SupportFeatures(
                    supports=_log_odds(supports),
                    contradicts=_log_odds(contradicts),
                    coverage=one.comparison.coverage,
                    order=one.comparison.order,
                ),
                one.fault,
                one.comparison.unspaced,
            )
            for one, (supports, contradicts, _) in zip(chosen, read, strict=True)
        ]

    @staticmethod
    def compare(claim: str, evidence: Sequence[Finding], *, hints: Sequence[int] = ()) -> list[Compared]:
        """Return the sentences, alone and together, that hold most of a claim's words, and which break a rule."""
        # Text that gives orders to whoever reads it is no evidence for what it orders.
        places = _statements(evidence)
        pointed = [number for number, place in enumerate(places) if place in hints]
        groups = _groups(claim, [evidence[place] for place in places], hints=pointed)
        # What the judge does not take for an answer to the question may explain one, and carries no claim by itself.
        floor = _ANSWERING_SHARE * max((finding.score for finding in evidence), default=0.0)
        shown = [(group, _shown(group)) for group in groups if max(finding.score for finding in group) >= floor]
        laid = [(group, text, Comparison(claim, text)) for group, text in shown]
        best = max((comparison.coverage for _, _, comparison in laid), default=0.0)
        return [
            Compared(group, text, comparison, comparison.find_fault())
            for group, text, comparison in laid
            if comparison.coverage >= _LEAST_SHARE * best
        ]

    @cached_property
    def _model(self) -> SupportModel:
        return SupportModel.read(self._calibration)


def _log_odds(probability: float) -> float:
    clipped = min(max(float(probability), _LEAST_PROBABILITY), 1 - _LEAST_PROBABILITY)
    return float(np.log(clipped / (1 - clipped)))


def _shown(group: Sequence[Finding]) -> Shown:
    """Return sentences as one text, article by article; only one article's header may stand for what they leave out."""
    article = group[0].reading.article
    texts = [finding.text for finding in group]
    if any(finding.reading.article.id != article.id for finding in group):
        return Shown(" ".join(texts))
    return Shown.of(texts, article)


def _groups(claim: str, evidence: Sequence[Finding], *, hints: Sequence[int]) -> Iterator[tuple[Finding, ...]]:
    """Yield what may carry a claim: the sentences with most of its words, and these with what they lack.

    Of two alike, the one that the writer pointed at comes first.
    """
    wanted = read_units(read_words(claim))
    shared = [_holds(wanted, finding.text) for finding in evidence]
    places = sorted(range(len(evidence)), key=lambda place: (-len(shared[place]), place not in hints, place))
    singles = [place for place in places[:_SINGLES] if shared[place]]
    yield from ((evidence[place],) for place in singles)
    if not singles or len(shared[singles[0]]) == len(wanted):
        return
    order = _reading_order(evidence)
    seen: set[tuple[int, ...]] = set()
    for place in singles[:_AROUND]:
        for further in (_neighbours(place, order, evidence), range(len(evidence))):
            chosen = [place]
            while len(chosen) < _TOGETHER:
                known = frozenset[int]().union(*(shared[member] for member in chosen))
                adds = {
                    one: shared[one] - known
                    for one in further
                    if _adds(shared[one] - known, wanted, evidence[place].text)
                }
                if not adds:
                    break
                chosen.append(max(adds, key=lambda one: (len(adds[one]), one in hints, -places.index(one))))
                group = tuple(sorted(chosen, key=order.index))
                if group not in seen and _all_add(chosen, shared, wanted, evidence):
                    seen.add(group)
                    yield tuple(evidence[member] for member in group)


def _adds(units: frozenset[int], wanted: Sequence[Unit], text: str) -> bool:
    """Tell whether a further sentence adds enough to a first one: a lone number or name from elsewhere does not.

    A name alone does where the first sentence has a pronoun for it.
    """
    if len(units) >= _LEAST_ADDED:
        return True
    return leans(text) and any(wanted[number].kind == "name" or number == 0 for number in units)


def _all_add(
    chosen: Sequence[int], shared: Sequence[frozenset[int]], wanted: Sequence[Unit], evidence: Sequence[Finding]
) -> bool:
    """Tell whether each of some sentences adds enough to the others."""
    for member in chosen:
        others = [other for other in chosen if other != member]
        adds = shared[member].difference(*(shared[other] for other in others))
        if not any(_adds(adds, wanted, evidence[other].text) for other in others):
            return False
    return True


def _neighbours(place: int, order: Sequence[int], evidence: Sequence[Finding]) -> list[int]:
    at = order.index(place)
    beside = [order[other] for other in (at - 1, at + 1) if 0 <= other < len(order)]
    return [other for other in beside if evidence[other].reading.article.id == evidence[place].reading.article.id]


def _reading_order(evidence: Sequence[Finding]) -> list[int]:
    articles = {finding.reading.article.id: number for number, finding in reversed(list(enumerate(evidence)))}
    return sorted(
        range(len(evidence)),
        key=lambda place: (articles[evidence[place].reading.article.id], evidence[place].span.start),
    )


def _statements(evidence: Sequence[Finding]) -> list[int]:
    """Return the places of the sentences that say something about the world."""
    readings = {(f.reading.article.id, f.reading.hit.passage.id): f.reading for f in evidence}
    sound: dict[str, set[Span]] = {}
    for (name, _), reading in readings.items():
        sound.setdefault(name, set()).update(find_statements(reading.article.text, reading.hit.passage.sentences))
    return [
        place
        for place, finding in enumerate(evidence)
        if finding.span in sound[finding.reading.article.id] and not is_addressed(finding.text)
    ]


def words_shared(claim: str, text: str) -> int:
    """Return how many of a claim's words and names a text has."""
    return len(_holds(read_units(read_words(claim)), text))


def _holds(wanted: Sequence[Unit], text: str) -> frozenset[int]:
    """Return which units of a claim a sentence has."""
    keys = _keys(text)
    return frozenset(number for number, unit in enumerate(wanted) if all(key in keys for key in unit.keys))


@lru_cache(maxsize=4096)
def _keys(text: str) -> frozenset[str]:
    return frozenset(word.key for word in read_words(text) if word.telling or word.unspaced)
