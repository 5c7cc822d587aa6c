"""Passages of an article: whole sentences up to the encoder's bound, with exact offsets; pure."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rag.errors import ArticleError
from rag.records import Article, Passage, Span
from rag.sentences import HEADING, split_sentences, strip_span


class Tokenizer(Protocol):
    """What an encoder says about the size of texts."""

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return, for each text, the slices of its tokens in order, special tokens left out."""
        ...


_HEADER_COLUMNS = 160
_TITLE_COLUMNS = 100


def header(article: Article) -> str:
    """Return the line that rides along when a passage is embedded or matched, and is never quoted.

    It reads "Title. Source, 2023-11-17." without what is not known. It is at most 160 columns long, so that no title
    can crowd out the passage, and a character outside the Latin alphabet counts twice, for an English encoder takes a
    whole token for it. What is too long is cut after a word.
    """
    details = f", {article.published}" if article.published else ""
    title = _fit(article.title, _TITLE_COLUMNS if article.source or details else _HEADER_COLUMNS)
    room = _HEADER_COLUMNS - _columns(title) - len(details) - len(". .")
    details = (_fit(article.source or "", room) + details).removeprefix(", ")
    return " ".join(part if part[-1] in ".!?。！？" else part + "." for part in (title, details) if part)


def _columns(text: str) -> int:
    return sum(1 if character < "\u0250" else 2 for character in text)


def _fit(text: str, columns: int) -> str:
    text = " ".join(text.split())
    if _columns(text) <= columns:
        return text
    end = used = 0
    for character in text:
        used += _columns(character)
        if used > columns:
            break
        end += 1
    space = text.rfind(" ", 0, end + 1)
    return text[: space if space > end // 2 else end].rstrip(" ,;:(–—-")


def embedded_text(article: Article, passage: Passage) -> str:
    """Return what an encoder reads and the lexical index counts: header, line feed, and the text without furniture."""
    return _embedded(article, passage.start, passage.end, head=header(article))


def _embedded(article: Article, start: int, end: int, *, head: str) -> str:
    body = _without_furniture(article, start, end).strip()
    return f"{head}\n{body}" if head else body


def _without_furniture(article: Article, start: int, end: int) -> str:
    """Return a slice of the text in which each piece of furniture has become a space."""
    parts, position = [], start
    first = bisect_right(article.furniture, start, key=lambda span: span.end)
    for span in article.furniture[first:]:
        if span.start >= end:
            break
        parts.append(article.text[position : max(position, span.start)])
        position = min(end, span.end)
    return " ".join([*parts, article.text[position:end]])


_FULL_ENOUGH_FOR_HEADING = 0.4
_FULL_ENOUGH_FOR_PARAGRAPH = 0.6
_LEAST_ROOM = 0.25
_CLAUSE_END = re.compile(r"[,;:)](?=\s)|[–—](?=\S)|\s[–—-](?=\s)|[、，；：）]")


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence, a part of one that is too long, or a heading; `tokens` counts the space behind it too."""

    span: Span
    tokens: int
    is_heading: bool
    opens_paragraph: bool
    is_quotable: bool


def split_passages(article: Article, *, tokenizer: Tokenizer, max_tokens: int, overlap_sentences: int) -> list[Passage]:
    """Return an article's passages in reading order.

    A passage is as many whole sentences as fit: its `embedded_text` has at most `max_tokens` tokens, special tokens not
    counted. It begins with up to `overlap_sentences` sentences of the one before, prefers to end with a paragraph, and
    does not run on over a heading once it is well filled. A sentence too long for any passage is cut, at a clause if it
    can be. Every character that is neither white space nor furniture is in a passage; furniture is in no sentence.

    Raises:
        ArticleError: the article's header leaves the passages less than a quarter of `max_tokens`.
        ValueError: `max_tokens` is less than 1, or `overlap_sentences` less than 0.
    """
    if max_tokens < 1 or overlap_sentences < 0:
        raise ValueError(f"needs max_tokens >= 1 and overlap_sentences >= 0, got {max_tokens} and {overlap_sentences}")
    head = header(article)
    room = max_tokens - (_count([head + "\n"], tokenizer)[0] if head else 0)
    if room < _LEAST_ROOM * max_tokens:
        raise ArticleError(
            f"the title and source of {article.path} fill {max_tokens - room} of a passage's {max_tokens} tokens",
            hint="shorten them in the article's front matter, or raise max_tokens",
        )
    units = _units(article, tokenizer=tokenizer, room=room)
    if not units:
        return []
    packer = _Packer(article, tokenizer=tokenizer, head=head, max_tokens=max_tokens)
    ranges = packer.pack(units, room=room, overlap=overlap_sentences)
    return [
        Passage(
            article=article.id,
            ordinal=ordinal,
            start=packer.units[first].span.start,
            end=packer.units[last].span.end,
            sentences=tuple(unit.span for unit in packer.units[first : last + 1] if unit.is_quotable),
        )
        for ordinal, (first, last) in enumerate(ranges)
    ]


def _count(texts: Sequence[str], tokenizer: Tokenizer) -> list[int]:
    return [len(spans) for spans in tokenizer.token_spans(texts)]


def _units(article: Article, *, tokenizer: Tokenizer, room: int) -> list[_Unit]:
    text = article.text
    sentences = [
        Span(start + span.start, start + span.end)
        for start, end in _between_furniture(article)
        for span in split_sentences(text[start:end], language=article.language)
    ]
    tokens = tokenizer.token_spans([text[span.start : span.end] for span in sentences])
    pieces = [
        (piece, number, piece.start == span.start)
        for number, (span, spans) in enumerate(zip(sentences, tokens, strict=True))
        for piece in ([span] if len(spans) <= room else _cut(text, span, spans, room=room))
    ]
    return _measured(article, pieces, tokenizer=tokenizer)


def _between_furniture(article: Article) -> Iterator[tuple[int, int]]:
    position = 0
    for span in article.furniture:
        yield position, span.start
        position = span.end
    yield position, len(article.text)


def _measured(article: Article, pieces: Sequence[tuple[Span, int, bool]], *, tokenizer: Tokenizer) -> list[_Unit]:
    text = article.text
    ends = [piece.start for piece, _, _ in pieces[1:]] + [pieces[-1][0].end] if pieces else []
    counts = _count(
        [_without_furniture(article, piece.start, end) for (piece, _, _), end in zip(pieces, ends, strict=True)],
        tokenizer,
    )
    units: list[_Unit] = []
    previous = 0
    for (piece, _, is_first), count in zip(pieces, counts, strict=True):
        content = text[piece.start : piece.end]
        at_line_start = not text[text.rfind("\n", 0, piece.start) + 1 : piece.start].strip()
        opens_as_title = not units and len(pieces) > 1 and content == article.title
        is_heading = is_first and at_line_start and (opens_as_title or HEADING.match(content) is not None)
        units.append(
            _Unit(
                span=piece,
                tokens=count,
                is_heading=is_heading,
                opens_paragraph=is_first and "\n" in text[previous : piece.start],
                is_quotable=not is_heading and any(character.isalnum() for character in content),
            )
        )
        previous = piece.end
    return units


def _cut(text: str, sentence: Span, tokens: Sequence[tuple[int, int]], *, room: int) -> list[Span]:
    """Return a sentence too long for a passage in parts of at most `room` tokens each."""
    pieces, position, first = [], sentence.start, 0
    while len(tokens) - first > room:
        limit = sentence.start + tokens[first + room][0]
        end = _best_cut(text, position, max(limit, position + 1))
        pieces.append(strip_span(text, position, end))
        position = end
        while first < len(tokens) and sentence.start + tokens[first][0] < position:
            first += 1
    pieces.append(strip_span(text, position, sentence.end))
    return [piece for piece in pieces if piece.start < piece.end]


def _best_cut(text: str, start: int, limit: int) -> int:
    """Return the best place in (start, limit] to cut: behind a clause, at a space, between graphemes, at the limit."""
    middle = start + (limit - start) // 2
    clauses = [match.end() for match in _CLAUSE_END.finditer(text, middle, limit) if match.end() < limit]
    if clauses:
        return clauses[-1]
    for place in range(limit, start, -1):
        if place < len(text) and text[place].isspace() and place > start + 1:
            return place
    for place in range(limit, start, -1):
        if not _joins(text, place):
            return place
    return limit


def _joins(text: str, place: int) -> bool:
    """Tell whether the characters on the two sides of a place make up one that is seen as one."""
    if place >= len(text):
        return False
    before, after = text[place - 1], text[place]
    return (
        unicodedata.combining(after) != 0
        or unicodedata.category(after) in {"Mn", "Me", "Mc"}
        or "\u200d" in (before, after)
        or "\ufe00" <= after <= "\ufe0f"
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or ("\U0001f1e6" <= before <= "\U0001f1ff" and "\U0001f1e6" <= after <= "\U0001f1ff")
    )


class _Packer:
    """Packs units into passages, and holds every passage against the bound as the encoder will count it.

    The counts of the parts add up to the whole's for most tokenizers, but none promises it. So what was packed is
    counted once more as it will be embedded; what is too large gets a limit, or its only unit is halved, and the
    packing is done again.
    """

    def __init__(self, article: Article, *, tokenizer: Tokenizer, head: str, max_tokens: int) -> None:
        self.article = article
        self.tokenizer = tokenizer
        self.head = head
        self.max_tokens = max_tokens
        self.units: list[_Unit] = []
        self.fits: set[tuple[int, int]] = set()
        self.limits: dict[int, int] = {}

    def pack(self, units: Sequence[_Unit], *, room: int, overlap: int) -> list[tuple[int, int]]:
        """Return the first and last unit of each passage."""
        self.units = list(units)
        while True:
            ranges = self._greedy(room=room, overlap=overlap)
            too_large = self._too_large(ranges)
            if not too_large:
                return ranges
            halves: dict[int, list[_Unit]] = {}
            for first, last in too_large:
                if first < last:
                    self.limits[self._start(first)] = self.units[last].span.start
                else:
                    halves[first] = self._halved(self.units[first])
            self.units = [part for number, unit in enumerate(self.units) for part in halves.get(number, [unit])]

    def _start(self, number: int) -> int:
        return self.units[number].span.start

    def _too_large(self, ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        slices = {
            (first, last): (self._start(first), self.units[last].span.end)
            for first, last in ranges
            if (self._start(first), self.units[last].span.end) not in self.fits
        }
        texts = [_embedded(self.article, start, end, head=self.head) for start, end in slices.values()]
        too_large = []
        for (numbers, bounds), count in zip(slices.items(), _count(texts, self.tokenizer), strict=True):
            one_character = bounds[1] - bounds[0] <= 1
            if count <= self.max_tokens or one_character:
                self.fits.add(bounds)
            else:
                too_large.append(numbers)
        return too_large

    def _halved(self, unit: _Unit) -> list[_Unit]:
        text, span = self.article.text, unit.span
        middle = _best_cut(text, span.start, (span.start + span.end + 1) // 2)
        if not span.start < middle < span.end:
            middle = (span.start + span.end) // 2
        parts = [strip_span(text, span.start, middle), strip_span(text, middle, span.end)]
        measured = _measured(
            self.article, [(part, 0, number == 0) for number, part in enumerate(parts)], tokenizer=self.tokenizer
        )
        first, second = measured
        return [
            replace(unit, span=first.span, tokens=first.tokens, is_quotable=first.is_quotable and unit.is_quotable),
            replace(second, opens_paragraph=False, is_quotable=second.is_quotable and unit.is_quotable),
        ]

    def _greedy(self, *, room: int, overlap: int) -> list[tuple[int, int]]:
        ranges: list[tuple[int, int]] = []
        new = 0
        while new < len(self.units):
            first = self._overlap_start(new, room=room, overlap=overlap) if ranges else new
            last = self._grow(first, new, room=room)
            ranges.append((first, last))
            new = last + 1
        return ranges

    def _overlap_start(self, new: int, *, room: int, overlap: int) -> int:
        """Return the unit from which a passage repeats the one before it, so that unit `new` still fits."""
        units, first, repeated = self.units, new, 0
        tokens = units[new].tokens
        while first > 0 and repeated < overlap and not units[first].is_heading:
            before = units[first - 1]
            if before.is_heading or tokens + before.tokens > room:
                break
            tokens += before.tokens
            repeated += before.is_quotable
            first -= 1
        while first < new and self.limits.get(self._start(first), len(self.article.text)) <= self._start(new):
            first += 1
        return first

    def _grow(self, first: int, new: int, *, room: int) -> int:
        """Return the last unit of the passage that begins with `first` and has to hold `new`."""
        units = self.units
        limit = self.limits.get(self._start(first), len(self.article.text))
        tokens = sum(unit.tokens for unit in units[first : new + 1])
        last, paragraph_end = new, None
        for number in range(new + 1, len(units)):
            unit = units[number]
            if unit.is_heading and not units[number - 1].is_heading and tokens >= _FULL_ENOUGH_FOR_HEADING * room:
                return last
            if unit.opens_paragraph and tokens >= _FULL_ENOUGH_FOR_PARAGRAPH * room:
                paragraph_end = last
            if tokens + unit.tokens > room or unit.span.start >= limit:
                break
            tokens += unit.tokens
            last = number
        else:
            return last
        if paragraph_end is not None:
            last = paragraph_end
        while last > new and units[last].is_heading:  # a heading stays with what follows
            last -= 1
        return last
