"""Which sentence another one needs: what announces its list, the columns of its table, the question that it answers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.records import Span

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


@dataclass(frozen=True, slots=True)
class _Level:
    """How far an item is indented, and what marks it: a bullet, a number, a letter, or the rule of a row."""

    indent: int
    kind: str


@dataclass(frozen=True, slots=True)
class Outline:
    """The sentences of a passage, in reading order, as slices of their article's text."""

    text: str
    sentences: Sequence[Span]

    def announced(self, place: Span) -> list[Span]:
        """Return the sentences that tell what the one at a place announces ("I see three obstacles.").

        Those are the items of a list, or the ones that begin with "First", "The second" and the like, if the next one
        does, or else the next. A question, and what is wrong in an article, is told by what is said next.
        """
        behind = [span for span in self.sentences if span.start >= place.end]
        sentence = self._at(place)
        if self._announces_list(place):
            own = self._level(place)
            return list(itertools.takewhile(lambda span: self._is_told_below(span, own), behind))
        if is_question(sentence) or _CORRECTS.search(sentence):
            return behind[:1]
        match = _ANNOUNCES.search(sentence)
        if match is None or match.end() < len(sentence):
            return []
        count = _COUNTS[(match["count"] or "several").lower()]
        items = [span for span in behind[: 3 * count] if _ITEM.match(self._at(span))]
        return (items if behind[:1] == items[:1] else behind)[:count]

    def introduced(self, place: Span) -> Span | None:
        """Return the sentence that tells what an item of a list or a row of a table is; None for any other sentence.

        That is the sentence that announces the list, or the row with the names of the columns. "No." has its question,
        and "Second, …" the sentence that says what is counted.
        """
        own = self._level(place)
        if own is None:
            return self._asked_or_counted(place)
        if own.kind == "row":
            rows = itertools.takewhile(lambda span: self._level(span) == own, self._before(place))
            return next(filter(self.names_columns, rows), None)
        first = next((span for span in self._before(place) if not self._stands_below(span, own)), None)
        return first if first is not None and self._announces_list(first) else None

    def names_columns(self, place: Span) -> bool:
        """Tell whether a sentence is the row with the names of a table's columns."""
        level = self._level(place)
        return level is not None and level.kind == "row" and _RULE.match(self.text, place.end) is not None

    def _at(self, place: Span) -> str:
        return self.text[place.start : place.end]

    def _before(self, place: Span) -> list[Span]:
        """Return the sentences before a place, the nearest first."""
        return [span for span in reversed(self.sentences) if span.end <= place.start]

    def _asked_or_counted(self, place: Span) -> Span | None:
        sentence = self._at(place)
        if _BARE_ANSWER.fullmatch(sentence):
            return next((span for span in self._before(place)[:1] if is_question(self._at(span))), None)
        if _ITEM.match(sentence):
            return next((span for span in self._before(place) if place in self.announced(span)), None)
        return None

    def _announces_list(self, place: Span) -> bool:
        sentence = self._at(place)
        follows = next((span for span in self.sentences if span.start >= place.end), None)
        if follows is None or (_ENDED.search(sentence) and not _ANNOUNCES.search(sentence)):
            return False
        own, below = self._level(place), self._level(follows)
        if own is None or below is None:
            return below is not None
        apart = "\n\n" in self.text[place.end : follows.start]
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
        line = self.text.rfind("\n", 0, place.start) + 1
        while (match := _MARKED.match(self.text, line, place.end)) is None and self.text[line : line + 1] in {
            " ",
            "\t",
        }:
            if line == 0 or self.text[line - 2 : line] == "\n\n":
                return None
            line = self.text.rfind("\n", 0, line - 1) + 1
        return None if match is None else _Level(len(match["indent"].expandtabs(4)), str(match.lastgroup))


def is_question(text: str) -> bool:
    """Tell whether a sentence asks something."""
    return text.rstrip("\"'”’」』)*_ ").endswith(("?", "？"))
