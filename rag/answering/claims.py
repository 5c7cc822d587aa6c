"""What a writer writes, cut into claims while it arrives: sentences without their markers.

A sentence is given out as soon as the word behind it shows that it has ended. It is looked for character by character,
so the claims are the same in however many pieces the text comes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rag.sentences import split_sentences

_MARKER = re.compile(r"\s*[\[【［]\s*[\^#]?\s*(\d{1,3}(?:\s*[,，、;；–-]\s*\d{1,3})*)\s*[\]】］]")
_STOP_BEFORE = re.compile(r"[.!?][\"'”’)]*$")
_RANGE = re.compile(r"(\d+)\s*[–-]\s*(\d+)")
_LONGEST_RANGE = 20
# Before a line's first word: marks of headings and quotes, bullets, numbers of a list.
_LEAD = re.compile(r"\s*(?:#{1,6}\s+|>\s*|[-*+•‣▪–—]\s+|\(?\d{1,2}[.)、]\s+)*")
_EMPHASIS = re.compile(r"\*\*|__|`|(?<!\w)[*_](?=\w)|(?<=[\w.!?。！？])[*_](?!\w)")
_SPACE = re.compile(r"\s+")
_STOP = re.compile(r"[.!?。！？…][\"'”’」』）)\]】》〉»]*")
_LINE_ENDS = "\n\r\u2028\u2029\x0b\x0c\x85"
_UNSPACED = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
# Behind a stop, a word that has itself ended, or two characters of a script without spaces.
_BEHIND = re.compile(rf"[\s\"'“‘(（「『*_]*(?:{_UNSPACED}{{2}}|(?:(?!{_UNSPACED})[^\W_])[\w’'-]*[^\w’'-])")


@dataclass(frozen=True, slots=True)
class Drafted:
    """A sentence as a writer wrote it, without its markers, and the numbers that stood in these: hints, no proof."""

    text: str
    hints: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    """A line without its markers: for each character its place in the line as written, and where which hints stood."""

    text: str
    places: tuple[int, ...]
    hints: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, written: str) -> _Line:
        kept: list[str] = []
        places: list[int] = []
        hints: list[tuple[int, int]] = []
        position = 0
        for match in _MARKER.finditer(written):
            kept.append(written[position : match.start()])
            places += range(position, match.start())
            hints += [(len(places), number) for number in _numbers(match[1])]
            position = match.end()
            if _STOP_BEFORE.search(kept[-1]) and written[position : position + 1].isalpha():
                kept.append(" ")
                places.append(position)
        kept.append(written[position:])
        places += range(position, len(written))
        return cls("".join(kept), tuple(places), tuple(hints))


class ClaimCutter:
    """Cuts text into claims as it is written: feed it the pieces, then close it."""

    def __init__(self) -> None:
        self._written = ""

    def feed(self, piece: str) -> list[Drafted]:
        """Return the claims that are complete now that a further piece of the text has come."""
        claims: list[Drafted] = []
        for character in piece:
            if character in _LINE_ENDS:
                claims += self.close()
                continue
            self._written += character
            if self._may_have_ended():
                claims += self._cut(whole=False)
        return claims

    def close(self) -> list[Drafted]:
        """Return the claims that are left now that no more text comes."""
        return self._cut(whole=True)

    def _may_have_ended(self) -> bool:
        """Tell whether the last character completed what has to stand behind a stop."""
        last = self._written[-1]
        if last.isascii() and last.isalnum():
            return False
        tail = self._written[-_LOOK_BACK:]
        stops = [stop.end() for stop in _STOP.finditer(tail[:-1])]
        return bool(stops) and bool(_BEHIND.fullmatch(_MARKER.sub("", tail[stops[-1] :])))

    def _cut(self, *, whole: bool) -> list[Drafted]:
        """Return all sentences of the line but the last one, or that too, and keep what is not returned."""
        line = _Line.of(self._written)
        lead = _LEAD.match(line.text)
        shift = lead.end() if lead else 0
        sentences = [(shift + span.start, shift + span.end) for span in split_sentences(line.text[shift:])]
        complete = sentences if whole else sentences[:-1]
        kept = "" if whole else self._written
        if complete and not whole:
            kept = self._written[line.places[sentences[-1][0]] :]
        self._written = kept
        starts = [start for start, _ in sentences]
        claims = []
        for number, (start, end) in enumerate(complete):
            hints = [hint for place, hint in line.hints if _owner(place, starts) == number]
            text = _tidied(line.text[start:end])
            if text:
                claims.append(Drafted(text, tuple(dict.fromkeys(hints))))
        return claims


_LOOK_BACK = 200
_LONGEST_PHRASE = 120
_TURNS = 4
_LEAST_ROUND = 60


def until_it_repeats(pieces: Iterable[str]) -> Iterator[str]:
    """Yield a text as far as it says something new: a model that goes round in circles would go on to its limit.

    It ends with a sentence that was said before, or where it says the same few words again and again.
    """
    cutter = ClaimCutter()
    said: set[str] = set()
    tail = ""
    for piece in pieces:
        for place, character in enumerate(piece, start=1):
            tail = (tail + character)[-_TURNS * _LONGEST_PHRASE :]
            texts = [drafted.text.casefold() for drafted in cutter.feed(character)]
            if said.intersection(texts) or _goes_round(tail):
                yield piece[:place]
                return
            said.update(texts)
        yield piece


def _goes_round(tail: str) -> bool:
    """Tell whether a text ends with a phrase of four times in a row, 60 characters of it at least."""
    return any(
        tail[-size:] == tail[-2 * size : -size] and tail.endswith(tail[-size:] * _TURNS)
        for size in range(_LEAST_ROUND // _TURNS, min(_LONGEST_PHRASE, len(tail) // _TURNS) + 1)
    )


def _owner(place: int, starts: list[int]) -> int:
    """Return the number of the sentence that a marker belongs to: the one that it stands in or behind."""
    return max(0, sum(start < place for start in starts) - 1)


def _numbers(written: str) -> list[int]:
    found: list[int] = []
    for part in re.split(r"[,，、;；]", written):
        if match := _RANGE.fullmatch(part.strip()):
            first, last = int(match[1]), int(match[2])
            found += range(first, min(last, first + _LONGEST_RANGE) + 1)
        else:
            found += map(int, re.findall(r"\d+", part))
    return found


def _tidied(text: str) -> str:
    """Return a sentence on one line, without marks of emphasis and characters that are not seen."""
    seen = "".join(" " if character.isspace() else character for character in text if _is_seen(character))
    return _SPACE.sub(" ", _EMPHASIS.sub("", seen)).strip()


def _is_seen(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
