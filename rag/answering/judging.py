"""The seam between retrieval and the answer: a judge reads passages and says which sentences answer.

Besides the seam, what judges have in common: plain features of a sentence, and the logistic models that weigh them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.answering.questions import Asked, Wanted
from rag.index.lexical import terms
from rag.records import Article, Hit, Span

_DIGIT = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|dozen|hundred|half|third)s?\b|[一二三四五六七八九十百千万]"
)
_TIME = re.compile(
    r"\b(?:1[89]|20)\d\d\b|\b(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    r"Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)\b|[年月日]"
)
_CAPITALISED = re.compile(r"(?<![.!?“\"] )(?<!^)\b[A-Z][a-z]+|[\u4e00-\u9fff\u30a0-\u30ff]{2}")
_PRESENT = {Wanted.NUMBER: _DIGIT, Wanted.DATE: _TIME, Wanted.NAME: _CAPITALISED}
_WHY = re.compile(r"\bwhy\b|\breasons?\b|为什么|為什麼|为何|為何|原因|なぜ|どうして|理由", re.IGNORECASE)
_REASON = re.compile(
    r"\b(?:because|due to|owing to|after|as a result|so that|in order to|reasons?|caused?|led to|driven by|therefore|"
    r"following|in response|explain(?:s|ed)?|thanks to|worr(?:y|ied)|fear(?:s|ed)?)\b"
    r"|因为|因為|由于|由於|因此|ため|ので",
    re.IGNORECASE,
)
_LEANS = re.compile(
    r"[\"“‘']?(?:he|she|it|they|this|that|these|those|his|her|its|their|such|both|neither|the (?:same|two)|"
    r"in (?:those|that|these|this))\b|[他她它这那其该此]|[これそ][のれ]",
    re.IGNORECASE,
)
_COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "several": 3}
_ANNOUNCES = re.compile(
    rf"\b(?:are|were|faces?|faced|see|sees|saw|have|has|had|make|makes|made|name|named|names|propose|proposed|recommends?|list|lists|"
    rf"listed|gave|give|gives|mention|mentioned|do|takes?|took|following|demanded|set|sets|promised|raised|for|his|her|its|"
    rf"their|my|our|are|the)\s+(?P<count>{'|'.join(_COUNTS)})\b(?:\s+[\w-]+){{0,3}}?\s+(?:reasons|obstacles|points|conditions|demands|things|"
    r"steps|areas|measures|aims|goals|problems|challenges|factors|questions|tasks|proposals|suggestions|principles|"
    r"requests|lessons|fields|advantages|benefits|causes|changes|promises|worries|concerns|objections|hurdles|barriers|"
    r"arguments|priorities|wishes|recommendations|effects|trends|pillars)\b"
    r"(?:\s+(?:to|for|of|in|on|until|between|from|behind|here|today|now)\b(?:\s+[\w-]+){0,3})?[.:][\"”’]?"
    r"|\b(?:as follows|the following|these)\b[^.,:]*:|\b(?:as follows|the following)\.",
    re.IGNORECASE,
)
_CORRECTS = re.compile(
    r"\b(?:earlier|previous|original|prior) (?:version|edition) of this (?:article|story|report|dispatch)\b",
    re.IGNORECASE,
)
_BARE_ANSWER = re.compile(
    r"(?:\W*[A-Z][\w.’' -]{0,30}:\W*)?(?:No|Yes|Never|Of course|Certainly|Not at all|Because\b[^.]*)\b[^.]{0,40}\."
)
_ITEM = re.compile(
    r"[\"“‘']?(?:(?:the )?(?:first|second|third|fourth|fifth|sixth)(?:ly)?|the (?:last|next|other)|finally|"
    r"(?:one|another)(?: of \w+)? (?:is|was|concerns?))\b",
    re.IGNORECASE,
)
_MARKED = re.compile(
    r"(?P<indent>[ \t]*)(?:(?:(?P<bullet>[-*+•‣·–])|\(?(?:(?P<number>\d{1,2})|(?P<letter>[a-z]|[ivx]{1,4}))[.)])[ \t]+"
    r"|(?P<row>\|)[ \t]*)\S"
)
_ENDED = re.compile(r"[.!?。！？…;；,，|][\"'”’」』)\]*_]*\Z")
_RULE = re.compile(r"[ \t]*\n[ \t]*\|[ \t:|-]+(?:\n|$)")  # what stands under the names of a table's columns
_BEGINNING = 4
_NAME = re.compile(r"(?<!^)\b[A-Z]\w*|\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class _Level:
    """How far an item is indented, and what marks it: a bullet, a number, a letter, or the rule of a row."""

    indent: int
    kind: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a judge is given of one passage: the hit, and the article that it is a slice of.

    `only` are the sentences of it that may answer, where not all may.
    """

    hit: Hit
    article: Article
    only: tuple[Span, ...] | None = None

    def sentences(self) -> list[tuple[Span, str]]:
        """Return the sentences of the passage that may answer, as offsets into the article and as text.

        The row with the names of a table's columns answers nothing.
        """
        spans = self.hit.passage.sentences if self.only is None else self.only
        return [(span, self.article.text[span.start : span.end]) for span in spans if not self._names_columns(span)]

    def before(self, place: Span) -> Span | None:
        """Return the sentence before a place in the passage; None where it begins with that."""
        return max((span for span in self.hit.passage.sentences if span.end <= place.start), default=None)

    def announced(self, place: Span) -> list[Span]:
        """Return the sentences of the passage that tell what the one at a place announces ("I see three obstacles.").

        Those are the items of a list, or the ones that begin with "First", "The second" and the like, if the next one
        does, or else the next. A question, and what is wrong in an article, is told by what is said next.
        """
        text = self.article.text
        if self._announces_list(place):
            behind = sorted(span for span in self.hit.passage.sentences if span.start >= place.end)
            own = self._level(place)
            return list(itertools.takewhile(lambda span: self._is_told_below(span, own), behind))
        sentence = text[place.start : place.end]
        if is_question(sentence) or _CORRECTS.search(sentence):
            said = min((span for span in self.hit.passage.sentences if span.start >= place.end), default=None)
            return [] if said is None else [said]
        match = _ANNOUNCES.search(text[place.start : place.end])
        if match is None or match.end() < place.end - place.start:
            return []
        count = _COUNTS[(match["count"] or "several").lower()]
        behind = sorted(span for span in self.hit.passage.sentences if span.start >= place.end)[: 3 * count]
        items = [span for span in behind if _ITEM.match(text[span.start : span.end])]
        return (items if behind[:1] == items[:1] else behind)[:count]

    def introduced(self, place: Span) -> Span | None:
        """Return the sentence that tells what an item of a list or a row of a table is; None for any other sentence.

        That is the sentence that announces the list, or the row with the names of the columns. "No." has its question,
        and "Second, …" the sentence that says what is counted.
        """
        before = sorted((span for span in self.hit.passage.sentences if span.end <= place.start), reverse=True)
        own = self._level(place)
        if own is None:
            return self._asked_or_counted(place, before)
        if own.kind == "row":
            rows = itertools.takewhile(lambda span: self._level(span) == own, before)
            return next(filter(self._names_columns, rows), None)
        first = next((span for span in before if not self._stands_below(span, own)), None)
        return first if first is not None and self._announces_list(first) else None

    def _asked_or_counted(self, place: Span, before: Sequence[Span]) -> Span | None:
        text = self.article.text
        sentence = text[place.start : place.end]
        if _BARE_ANSWER.fullmatch(sentence):
            return next((span for span in before[:1] if is_question(text[span.start : span.end])), None)
        if _ITEM.match(sentence):
            return next((span for span in before if place in self.announced(span)), None)
        return None

    def with_only(self, tell: Callable[[str, str], bool], name: str) -> Reading | None:
        """Return the passage with the sentences alone that have a name, as `tell` tells; None if none has."""
        only = tuple(span for span, sentence in self.sentences() if tell(name, sentence))
        return Reading(self.hit, self.article, only) if only else None

    def _names_columns(self, place: Span) -> bool:
        level = self._level(place)
        return level is not None and level.kind == "row" and _RULE.match(self.article.text, place.end) is not None

    def _announces_list(self, place: Span) -> bool:
        sentence = self.article.text[place.start : place.end]
        follows = min((span for span in self.hit.passage.sentences if span.start >= place.end), default=None)
        if follows is None or (_ENDED.search(sentence) and not _ANNOUNCES.search(sentence)):
            return False
        own, below = self._level(place), self._level(follows)
        if own is None or below is None:
            return below is not None
        apart = "\n\n" in self.article.text[place.end : follows.start]
        return below.indent > own.indent or (below.kind not in {own.kind, "row"} and not apart)

    def _stands_below(self, place: Span, own: _Level) -> bool:
        """Tell whether a sentence is another item of the list of an item, or below one."""
        level = self._level(place)
        return level is not None and (level == own or level.indent > own.indent)

    def _is_told_below(self, place: Span, own: _Level | None) -> bool:
        """Tell whether a sentence stands in the list that is announced at a level, or in a text outside of any."""
        level = self._level(place)
        return level is not None and level != own and (own is None or level.indent >= own.indent)

    def _level(self, place: Span) -> _Level | None:
        """Return where in lists an item stands, or a sentence of it; a row of a table is an item too."""
        text = self.article.text
        line = text.rfind("\n", 0, place.start) + 1
        while (match := _MARKED.match(text, line, place.end)) is None and text[line : line + 1] in {" ", "\t"}:
            if line == 0 or text[line - 2 : line] == "\n\n":
                return None
            line = text.rfind("\n", 0, line - 1) + 1
        return None if match is None else _Level(len(match["indent"].expandtabs(4)), str(match.lastgroup))


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence that may answer, with how well it does, in 0..1, and the words in it that do, where known."""

    reading: Reading
    span: Span
    score: float
    short_answer: Span | None = None

    @property
    def text(self) -> str:
        """Return the sentence, verbatim."""
        return self.reading.article.text[self.span.start : self.span.end]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The findings, best first, and the calibrated probability that the first of them answers the question."""

    findings: tuple[Finding, ...]
    confidence: float


class Judge(Protocol):
    """Whatever reads: its name, model and revision stand in each answer's record."""

    @property
    def name(self) -> str:
        """Return what kind of answerer this is."""
        ...

    @property
    def model(self) -> str:
        """Return the model's name."""
        ...

    @property
    def revision(self) -> str:
        """Return the hash of the model's weights."""
        ...

    def judge(self, question: str, readings: Sequence[Reading], *, part: int = 1) -> Verdict:
        """Return the sentences that may answer a question, best first, each sentence once.

        One of so many parts of what may be read for a question is read for this one.
        """
        ...


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic model: the probability is 1 / (1 + exp(-(weights · features + bias)))."""

    weights: tuple[float, ...]
    bias: float

    @classmethod
    def of(cls, fitted: Mapping[str, object]) -> Logistic:
        """Return the model that a calibration file describes."""
        weights, bias = fitted["weights"], fitted["bias"]
        if not isinstance(weights, list) or not isinstance(bias, float):
            raise TypeError("a calibration has a list of weights and a bias")
        return cls(tuple(weights), bias)

    def log_odds(self, features: Sequence[float]) -> float:
        """Return the logarithm of the odds for one row of features."""
        return float(np.dot(self.weights, features)) + self.bias

    def __call__(self, features: Sequence[float]) -> float:
        """Return the probability for one row of features."""
        return float(1 / (1 + np.exp(-self.log_odds(features))))


def coverage(words: Sequence[str], weights: NDArray[np.float64], text: str) -> float:
    """Return how much of the question's words stands in a text, in 0..1, each word by its weight."""
    there = set(terms(text))
    total = float(weights.sum())
    covered = sum(weight for word, weight in zip(words, weights, strict=True) if word in there)
    return float(covered) / total if total else 0.0


def contains_wanted(asked: Asked, text: str, question: str) -> float:
    """Return 1 if a text holds what is asked for (a number, a time, a name) and the question does not; ½ if unknown."""
    pattern = _PRESENT.get(asked.wanted)
    if pattern is None:
        return 0.5
    known = {match.casefold() for match in pattern.findall(question)}
    return float(any(match.casefold() not in known for match in pattern.findall(text)))


def is_question(text: str) -> bool:
    """Tell whether a sentence asks something."""
    return text.rstrip("\"'”’」』)*_ ").endswith(("?", "？"))


def leans(text: str) -> bool:
    """Tell whether a sentence cannot be understood without the one before it ("It did so …")."""
    return bool(_LEANS.match(text))


def asks_why(question: str) -> bool:
    """Tell whether a question asks for a reason."""
    return _WHY.search(question) is not None


def gives_reason(question: str, text: str) -> bool:
    """Tell whether a question asks why, and a text says why something is so."""
    return asks_why(question) and _REASON.search(text) is not None


def unmatched_names(question: str, text: str) -> float:
    """Return the share of the question's names and numbers that a text does not hold.

    A name is what starts with a capital; its first four letters stand for it, so that "Japan" matches "Japanese".
    """
    missing, wanted = _match_names(question, text)
    return missing / wanted if wanted else 0.0


def is_about_others(question: str, text: str) -> bool:
    """Tell whether a text lacks most of the question's names and numbers, and at least two of them."""
    missing, wanted = _match_names(question, text)
    return missing > max(1, wanted / 2)


def _match_names(question: str, text: str) -> tuple[int, int]:
    """Return how many of the question's names and numbers a text does not hold, and how many there are."""
    wanted = [term for name in _NAME.findall(question) for term in terms(name)]
    there = set(terms(text))
    beginnings = {term[:_BEGINNING] for term in there}
    missing = [t for t in wanted if (t not in there if t[0].isdigit() else t[:_BEGINNING] not in beginnings)]
    return len(missing), len(wanted)
