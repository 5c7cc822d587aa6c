"""Records as text for a terminal, as JSON, as Markdown. Nothing here prints.

Whatever came out of an article is made safe first: on a terminal it can neither move the cursor, set a colour or a
title, turn the reading direction round, nor hide; in Markdown it can make no link, image or HTML.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

from rag.errors import RagError
from rag.records import Answer, Citation, Claim, Hit, Said

NO_ANSWER = "The articles do not say."
UNSUPPORTED = "[unsupported]"
EXCERPT_CHARACTERS = 160
HIT_CHARACTERS = 320
DECIMALS = 6

BOLD, DIM, CYAN = "1", "2", "36"


class Described(Protocol):
    """What a list of hits says of an article; an `Article` is one."""

    @property
    def title(self) -> str:
        """Return the title; nothing is known of it when it is empty."""

    @property
    def source(self) -> str | None:
        """Return who published it."""

    @property
    def published(self) -> str | None:
        """Return the date, as exact as it is known."""

    @property
    def path(self) -> str:
        """Return where the file lies."""


# Safe text

# Controls, bidirectional controls, and all that a terminal shows nothing for: the Default_Ignorable_Code_Point of
# Unicode, the line and paragraph separators, and lone surrogates, which no terminal's encoding can carry.
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_UNSAFE = re.compile(f"[{_HIDDEN}]")
# A sign beyond Latin, Greek and Cyrillic, whose scripts have no use for joiners; no blank or general punctuation.
_SIGN = f"(?:[©®]|(?![{_HIDDEN}\u2000-\u206f\u3000])[\u0530-\U0010ffff])"
_SELECTOR = "[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
_JOINED = rf"{_SIGN}{_SELECTOR}?(?:[\u200c\u200d]{_SIGN}{_SELECTOR}?)+|{_SIGN}{_SELECTOR}|[0-9#*]\ufe0f"


@functools.cache
def _joined_or_unsafe() -> re.Pattern[str]:
    # 14 ms to compile, which only text with such characters costs.
    return re.compile(f"({_JOINED})|[{_HIDDEN}]")


def escape(text: str) -> str:
    r"""Return the text with every character that a terminal would obey or hide shown as `\x1b`, `\u202e`, `\U000e0041`.

    Line feeds and tabs stay. So do three kinds of invisible characters where they do their work: zero-width joiners
    and non-joiners between signs beyond Latin (Persian, Indic scripts, emoji), and one variation selector after such a
    sign. The flags of regions, as of Scotland, are not kept: their tag characters can carry hidden text. Escaped text
    stays as it is when it is escaped again.
    """
    if not _UNSAFE.search(text):
        return text
    return _joined_or_unsafe().sub(lambda match: match[1] or _visible(match[0]), text)


def _visible(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:  # noqa: PLR2004  # what two hexadecimal digits can say
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004  # and four


def _line(text: str) -> str:
    # Flowing text: its own line breaks mean nothing once it is wrapped.
    return " ".join(escape(text).split())


def escape_name(text: str) -> str:
    """Return the text escaped and on one line, with nothing left out, so that a name can be typed again."""
    return escape(text).replace("\n", "\\n").replace("\t", "\\t")


# JSON


def to_json(data: Mapping[str, object] | Sequence[object], *, indent: int | None = None) -> str:
    r"""Return JSON that is safe on a terminal and still the exact data: what `escape` shows is written as `\u001b`.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=indent)
    # The line feeds of an indented text are outside of strings, and no character of _UNSAFE can be.
    return _UNSAFE.sub(lambda match: json.dumps(match[0])[1:-1], text)


def answer_record(answer: Answer) -> dict[str, object]:
    """Return an answer as `rag ask --json` prints it; what not every answer has, only where it has it."""
    told = {
        "understood": answer.understood,
        "dropped": answer.dropped,
        "quoted_because": answer.quoted_because,
        "unsupported": None
        if answer.unsupported is None
        else [
            {"text": one.text, "reason": one.reason, "support": round(one.support, DECIMALS)}
            for one in answer.unsupported
        ],
        "sides": None
        if answer.sides is None
        else [{"party": side.party, "citations": list(side.citations)} for side in answer.sides],
    }
    return {**_answer_record(answer), **{name: value for name, value in told.items() if value is not None}}


def _answer_record(answer: Answer) -> dict[str, object]:
    return {
        "schema": "rag.answer/1",
        "id": answer.id,
        "question": answer.question,
        "answered": answer.answered,
        "answer": answer.answer,
        "short_answer": answer.short_answer,
        "claims": [
            {"text": claim.text, "citations": list(claim.citations), "support": round(claim.support, DECIMALS)}
            for claim in answer.claims
        ],
        "citations": [
            {
                "marker": citation.marker,
                "article": citation.article,
                "title": citation.title,
                "source": citation.source,
                "published": citation.published,
                "path": citation.path,
                "passage": citation.passage,
                "quote": citation.quote,
                "start": citation.start,
                "end": citation.end,
                "line": citation.line,
            }
            for citation in answer.citations
        ],
        "passages": [_hit_record(hit) for hit in answer.hits],
        "confidence": round(answer.confidence, DECIMALS),
        "reason": answer.reason,
        "answerer": {
            "name": answer.answerer.name,
            "model": answer.answerer.model,
            "revision": answer.answerer.revision,
        },
        "index": answer.index,
        "timings_ms": {name: round(value, 3) for name, value in answer.timings_ms.items()},
    }


def search_record(
    query: str, hits: Sequence[Hit], *, texts: Mapping[str, str], articles: Mapping[str, Described]
) -> dict[str, object]:
    """Return ranked passages as `rag search --json` prints them; `texts` by passage id, `articles` by article id."""
    return {
        "schema": "rag.search/1",
        "query": query,
        "hits": [
            _hit_record(hit)
            | {
                "title": articles[hit.passage.article].title,
                "source": articles[hit.passage.article].source,
                "published": articles[hit.passage.article].published,
                "path": articles[hit.passage.article].path,
                "text": texts[hit.passage.id],
            }
            for hit in hits
        ],
    }


def _hit_record(hit: Hit) -> dict[str, object]:
    return {
        "id": hit.passage.id,
        "article": hit.passage.article,
        "rank": hit.rank,
        "score": round(hit.score, DECIMALS),
        "start": hit.passage.start,
        "end": hit.passage.end,
    }


# Wrapped text


class Piece(NamedTuple):
    """Text in one style, and where it links to; a `name` is not broken, and its blanks are not joined."""

    text: str
    style: str = ""
    link: str = ""
    name: bool = False


class _Atom(NamedTuple):
    """What no line break may divide, and whether a blank stands before it."""

    pieces: list[Piece]
    spaced: bool

    @property
    def cells(self) -> int:
        return sum(_cells(piece.text) for piece in self.pieces)


_OPENING = r"(\[{「『（〈《【〔［｛〖“‘"
_CLOSING = (
    r")\]},.!?:;、。，．：；？！」』）〉》】〕］｝〗”’…‥ー々％ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヽヾゝゞ"
    "\u3099\u309a\ufe00-\ufe0f\U000e0100-\U000e01ef"
)
_UNSPACED = r"\u2e80-\u3098\u309b-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
# Chinese and Japanese break between any two characters, but for closing marks and small kana, which no line begins
# with, and opening marks, which no line ends with (the short rules of JIS X 4051).
_UNBROKEN = re.compile(rf"[{_OPENING}]*(?:(?![{_CLOSING}])[{_UNSPACED}]|[^{_UNSPACED}]+)[{_CLOSING}]*|.", re.DOTALL)
_MARKER = re.compile(r"(?:\[\d+\])+[.,;:!?。，]*")
_HEADING_MARK = re.compile(r"^ {0,3}#{1,6} +", re.MULTILINE)
NARROWEST = 20
# How wide a title or the like is in a table that has no width to keep to, and how narrow columns may become.
CUT_CELLS = 44
_NARROWEST_COLUMN = 10
_GAP = "  "
_BREAKABLE = re.compile(r".+?(?:(?<=\w)[/_.,:;=#-]+(?=\w)|$)")
# Of the passages of a declined question, how many people are shown; the record has them all.
NEAREST = 3


def wrap(pieces: Iterable[Piece], *, width: int, indent: int = 0, color: bool = False) -> list[str]:
    """Return the pieces flowed into lines of at most `width` cells, all but the first after `indent` blanks.

    A word that is wider than a line stays whole, so that a path or an address can be copied. Markers like `[1]` stay
    with the word before. Each line sets and resets its own styles, and has them only with `color`.
    """
    width = max(width, NARROWEST)
    lines: list[list[_Atom]] = [[]]
    used = 0
    for atom in _atoms(pieces):
        cells = atom.cells
        blank = int(atom.spaced and used > 0)
        if lines[-1] and used + blank + cells > width:
            lines.append([])
            used, blank = indent, 0
        lines[-1].append(atom)
        used += blank + cells
    return [" " * (indent if number else 0) + _styled(line, color=color) for number, line in enumerate(lines)]


def _atoms(pieces: Iterable[Piece]) -> list[_Atom]:
    atoms: list[_Atom] = []
    spaced = False
    for piece in pieces:
        for run in [piece.text] if piece.name else re.findall(r"\s+|\S+", piece.text):
            if run.isspace():
                spaced = True
                continue
            for place, text in enumerate([run] if piece.name else _UNBROKEN.findall(run)):
                touches_the_last_piece = place == 0 and not spaced
                if atoms and (touches_the_last_piece or _MARKER.fullmatch(text)):
                    atoms[-1].pieces.append(piece._replace(text=" " * spaced + text))
                else:
                    atoms.append(_Atom([piece._replace(text=text)], spaced=spaced))
                spaced = False
    return atoms


def _styled(line: Sequence[_Atom], *, color: bool) -> str:
    pieces = [Piece("")]
    for place, atom in enumerate(line):
        for part, piece in enumerate(atom.pieces):
            text = " " * (atom.spaced and place > 0 and part == 0) + piece.text
            if piece[1:] == pieces[-1][1:]:
                pieces[-1] = piece._replace(text=pieces[-1].text + text)
            else:
                pieces.append(piece._replace(text=text))
    return "".join(_painted(piece) if color else piece.text for piece in pieces)


def _painted(piece: Piece) -> str:
    text = f"\x1b[{piece.style}m{piece.text}\x1b[0m" if piece.style else piece.text
    return f"\x1b]8;;{piece.link}\x1b\\{text}\x1b]8;;\x1b\\" if piece.link else text


@functools.lru_cache(maxsize=4096)
def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text, unicode_version="latest")


# Terminal


def answer_text(
    answer: Answer,
    *,
    width: int,
    color: bool,
    links: bool = False,
    unfolded: bool = False,
    excerpts: Mapping[str, str] = MappingProxyType({}),
    articles: Mapping[str, Described] = MappingProxyType({}),
) -> str:
    """Return an answer for a terminal: the answer, then its sources; of a declined one why, and the nearest passages.

    `excerpts` has the texts of passages by passage id, `articles` what is known of articles by article id; both are
    only used to show the nearest passages. With `links`, paths are hyperlinks (OSC 8), and only with `color`. What was
    `unfolded`, claim by claim, is left out; what is returned then goes on behind it.
    """
    if not answer.answered:
        return _declined_text(answer, width=width, color=color, excerpts=excerpts, articles=articles)
    lines: list[str] = [""] if unfolded else []
    for speaker, paragraph in () if unfolded else _voices(answer):
        label = [Piece(f"{speaker} " if speaker.endswith("?") else f"{speaker}: ", DIM)] if speaker else []
        lines += [*([""] if lines and speaker else [])]
        lines += wrap([*label, *_marked(paragraph, answer)], width=width, color=color)
    lines += ["", *wrap([Piece("Sources", BOLD)], width=width, color=color)]
    for citation in answer.citations:
        marker = f"[{citation.marker}]"
        place = f"{escape_name(citation.path)}:{citation.line}"
        pieces = [
            Piece(marker, CYAN),
            Piece(f" “{_line(citation.quote)}”"),
            Piece(" — ", DIM),
            Piece(_described(citation.title, citation.source, citation.published) + ", ", DIM),
            Piece(place, DIM, _link(citation.path) if links else "", name=True),
        ]
        lines += wrap(pieces, width=width, indent=len(marker) + 1, color=color)
    for one in answer.unsupported or ():
        pieces = [Piece(f"{UNSUPPORTED} ", BOLD), Piece(_line(one.text)), Piece(f" — {_line(one.reason)}", DIM)]
        lines += ["", *wrap(pieces, width=width, color=color)]
    last = [f"confidence {answer.confidence:.2f}"]
    last += [f"quoted: {_line(answer.quoted_because)}"] if answer.quoted_because is not None else []
    lines += ["", *(line for text in last for line in wrap([Piece(text, DIM)], width=width, color=color))]
    return "\n".join(lines)


class Unfolding:
    """An answer's claims as text for a terminal, one after another, each going on where the one before ended.

    With `voices`, each article's claims are a paragraph of their own under its source. Of an answer whose claims come
    article by article, it is the text that `answer_text` begins with.
    """

    def __init__(self, *, width: int, color: bool) -> None:
        self._width = width
        self._color = color
        self._article: str | None = None
        self._pieces: list[Piece] = []
        self._shown = ""

    def add(self, claim: Claim, citations: Sequence[Citation], *, voices: bool) -> str:
        """Return what is to be printed behind all that was returned so far."""
        first, apart = citations[0], ""
        if voices and first.article != self._article:
            apart = "\n\n" if self._shown else ""
            speaker = _described(first.source or first.title, first.published)
            self._article, self._pieces, self._shown = first.article, [Piece(f"{speaker}: ", DIM)], ""
        markers = "".join(f"[{marker}]" for marker in claim.citations)
        said = [Piece(f"{_line(claim.text)} "), Piece(markers, CYAN), Piece(" ")]
        self._pieces += said
        text = "\n".join(wrap(self._pieces, width=self._width, color=self._color))
        if not text.startswith(self._shown):  # what begins like a marker would go to the line before
            apart, self._pieces, self._shown = "\n", said, ""
            text = "\n".join(wrap(said, width=self._width, color=self._color))
        new, self._shown = text[len(self._shown) :], text
        return apart + new


def _voices(answer: Answer) -> list[tuple[str, str]]:
    """Return the answer's paragraphs with who speaks in each: parties or articles side by side, or none by name."""
    cited = {citation.marker: citation for citation in answer.citations}
    if answer.sides is not None:
        return [voice for side in answer.sides for voice in _side(side, answer, cited)]
    spoken: dict[str, list[Claim]] = {}
    for claim in answer.claims:
        spoken.setdefault(cited[claim.citations[0]].article, []).append(claim)
    if len(spoken) == 1:
        return [("", paragraph) for paragraph in answer.answer.splitlines()]
    voices = []
    for claims in spoken.values():
        first = cited[claims[0].citations[0]]
        text = " ".join(claim.text + "".join(f" [{marker}]" for marker in claim.citations) for claim in claims)
        voices.append((_described(first.source or first.title, first.published), text))
    return voices


def _side(side: Said, answer: Answer, cited: Mapping[int, Citation]) -> Iterator[tuple[str, str]]:
    """Yield what a party says, article by article, under its name with the article's source and date."""
    if not side.citations:
        yield _line(side.party), NO_ANSWER
    for _, markers in itertools.groupby(side.citations, key=lambda marker: cited[marker].article):
        own = list(markers)
        first = cited[own[0]]
        claims = [claim for marker in own for claim in answer.claims if marker in claim.citations]
        text = " ".join(claim.text + "".join(f" [{marker}]" for marker in claim.citations) for claim in claims)
        yield f"{_line(side.party)} — {_described(first.source or first.title, first.published)}", text


def _declined_text(
    answer: Answer, *, width: int, color: bool, excerpts: Mapping[str, str], articles: Mapping[str, Described]
) -> str:
    lines = wrap([Piece(NO_ANSWER, BOLD)], width=width, color=color)
    if answer.reason is not None and answer.reason != NO_ANSWER:
        lines += wrap([Piece(_line(answer.reason))], width=width, color=color)
    if answer.hits:
        lines += ["", *wrap([Piece("Nearest passages", BOLD)], width=width, color=color)]
    for hit in answer.hits[:NEAREST]:
        article = articles.get(hit.passage.article)
        name = hit.passage.article if article is None else article.path
        about = [] if article is None else [Piece(_described(article.title, article.source, article.published) + ", ")]
        rank = f"{hit.rank}."
        lines += wrap(
            [Piece(f"{rank} "), *about, Piece(escape_name(name), DIM, name=True)],
            width=width,
            indent=len(rank) + 1,
            color=color,
        )
        if hit.passage.id in excerpts:
            title = None if article is None else article.title
            excerpt = _excerpt(excerpts[hit.passage.id], EXCERPT_CHARACTERS, title=title)
            lines += _indented([Piece(excerpt)], len(rank) + 1, width=width, color=color)
    return "\n".join(lines)


def hits_text(
    hits: Sequence[Hit], *, texts: Mapping[str, str], articles: Mapping[str, Described], width: int, color: bool
) -> str:
    """Return ranked passages for a terminal; `texts` by passage id, `articles` by article id."""
    lines: list[str] = []
    for hit in hits:
        article = articles[hit.passage.article]
        rank = f"{hit.rank}."
        about = _described(None, article.source, article.published)
        title = [Piece(f"{rank} "), Piece(_line(article.title), BOLD), Piece(about and f", {about}")]
        place = [Piece(escape_name(hit.passage.id), DIM, name=True), Piece(f" score {hit.score:.3f}", DIM)]
        indent = len(rank) + 1
        excerpt = _excerpt(texts[hit.passage.id], HIT_CHARACTERS, title=article.title)
        lines += [
            *([""] if lines else []),
            *wrap(title, width=width, indent=indent, color=color),
            *_indented(place, indent, width=width, color=color),
            *_indented([Piece(excerpt)], indent, width=width, color=color),
        ]
    return "\n".join(lines) if lines else "No passage matches."


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Collection[int] = (),
    cut: Collection[int] = (),
    width: int | None = None,
    color: bool = False,
) -> str:
    """Return aligned columns under their headers; those numbered in `right`, from 0, are set flush right.

    In a `width`, cells go over several lines, but for those in `cut`, which end in an ellipsis, and those in `right`.
    Where that leaves too little for a column, each row is a block of lines: its first cell, then header and cell of
    the others. Without a width, cells are as wide as they are, but for those in `cut`.
    """
    cells = [[escape_name("" if value is None else str(value)) for value in row] for row in rows]
    natural = [max(_cells(row[column]) for row in [list(headers), *cells]) for column in range(len(headers))]
    if width is None:
        widths: list[int] | None = [min(w, CUT_CELLS) if column in cut else w for column, w in enumerate(natural)]
    else:
        width = max(width, NARROWEST)
        widths = _fitted(natural, width=width - len(_GAP) * (len(headers) - 1), right=right, cut=cut)
    if widths is None:
        return "\n".join(line for row in cells for line in _block(headers, row, width=width or NARROWEST, color=color))
    lines = []
    for place, row in enumerate([list(headers), *cells]):
        parts = [
            [shortened(cell, size)] if column in cut else folded(cell, size)
            for column, (cell, size) in enumerate(zip(row, widths, strict=True))
        ]
        for line in itertools.zip_longest(*parts, fillvalue=""):
            padded = []
            for column, (cell, size) in enumerate(zip(line, widths, strict=True)):
                room = " " * (size - _cells(cell))
                padded.append(room + cell if column in right else cell + room)
            text = _GAP.join(padded).rstrip()
            lines.append(_painted(Piece(text, BOLD)) if color and place == 0 else text)
    return "\n".join(lines)


def _fitted(natural: Sequence[int], *, width: int, right: Collection[int], cut: Collection[int]) -> list[int] | None:
    """Return how wide each column may be, the widest narrowed first; None where one would be too narrow to read."""
    widths = list(natural)
    folding = [column for column in range(len(natural)) if column not in right and column not in cut]
    for columns, least in ((cut, 16), (folding, 24), (cut, _NARROWEST_COLUMN), (folding, _NARROWEST_COLUMN)):
        while (over := sum(widths) - width) > 0:
            wide = sorted((column for column in columns if widths[column] > least), key=lambda column: widths[column])
            if not wide:
                break
            # Down to the next one, and from there on all of them a cell at a time.
            next_one = max([least, *(widths[column] for column in wide[:-1])])
            widths[wide[-1]] -= min(over, max(1, widths[wide[-1]] - next_one))
    return widths if sum(widths) <= width else None


def _block(headers: Sequence[str], row: Sequence[str], *, width: int, color: bool) -> list[str]:
    """Return a row as lines: its first cell, then each other behind its header; a cell without one joins the last."""
    told: list[list[str]] = []
    for header, cell in zip(headers, row, strict=True):
        if told and (not header or (not told[0][0] and len(told) == 1)):
            told[-1] = [told[-1][0] or header, f"{told[-1][1]} {cell}".strip()]
        else:
            told.append([header, cell])
    (_, first), *others = told
    names = max((_cells(header) for header, _ in others), default=0)
    room = width - names - 2 * len(_GAP)
    lines = [_painted(Piece(line, BOLD)) if color else line for line in folded(first, width)]
    for header, cell in others:
        if room < _NARROWEST_COLUMN and cell:
            lines += [f"{_GAP}{line}" for line in folded(header, width - len(_GAP))]
            lines += [f"{_GAP * 2}{line}" for line in folded(cell, width - 2 * len(_GAP))]
        elif cell:
            label = f"{_GAP}{header}{' ' * (names - _cells(header))}{_GAP}"
            behind = folded(cell, room)
            lines += [f"{' ' * _cells(label) if place else label}{line}" for place, line in enumerate(behind)]
    return lines


def folded(text: str, width: int) -> list[str]:
    """Return a cell's text in lines of at most `width` cells, at least one.

    It is broken at blanks, and a word that is wider than a line behind its marks, or else anywhere.
    """
    lines = [""]
    for run in re.findall(r"\s+|\S+", text):
        for word in _UNBROKEN.findall(run):
            for part in [word] if _cells(word) <= width else _BREAKABLE.findall(word):
                if _cells(lines[-1] + part) <= width:
                    lines[-1] += part
                else:
                    lines += _chopped(part, width)
    return [line.strip() for line in lines if line.strip()] or [""]


def shortened(text: str, width: int) -> str:
    """Return a text of at most `width` cells, with an ellipsis for what is left out."""
    return text if _cells(text) <= width else f"{_chopped(text, width - 1)[0].rstrip()}…"


def _chopped(text: str, width: int) -> list[str]:
    from rich.cells import chop_cells

    return [part for part in chop_cells(text, width, unicode_version="latest") if part]


def error_text(error: RagError) -> str:
    """Return an error as it is shown: what happened, and on the next line what to type."""
    lines = [("error: ", error.message)] + ([("hint:  ", error.hint)] if error.hint else [])
    return "\n".join(label + escape(text).replace("\n", "\n       ") for label, text in lines)


def _marked(text: str, answer: Answer) -> list[Piece]:
    markers = [re.escape(f"[{citation.marker}]") for citation in answer.citations]
    short = [re.escape(_line(answer.short_answer))] if answer.short_answer else []
    parts = re.split(f"({'|'.join(short + markers)})", _line(text))
    # Of a split with one group, the odd parts are what matched.
    return [
        Piece(part, "" if place % 2 == 0 else CYAN if part.startswith("[") else BOLD)
        for place, part in enumerate(parts)
    ]


def _described(*parts: str | None) -> str:
    return ", ".join(_line(part) for part in parts if part)


def _indented(pieces: Iterable[Piece], indent: int, *, width: int, color: bool) -> list[str]:
    return [" " * indent + line for line in wrap(pieces, width=width - indent, color=color)]


def _excerpt(text: str, characters: int, *, title: str | None = None) -> str:
    """Return the beginning of a text on one line, without the title that is shown above it."""
    first, _, rest = text.partition("\n")
    if title and rest.strip() and _HEADING_MARK.sub("", first).strip() == title.strip():
        text = rest
    flat = " ".join(_HEADING_MARK.sub("", text).split())
    if len(flat) <= characters:
        return escape(flat)
    cut = flat[:characters].rpartition(" ")[0]
    # Text without blanks, as in Chinese, is cut where it reaches the length.
    return escape(cut if len(cut) > characters // 2 else flat[:characters]) + " …"


def _link(path: str) -> str:
    return Path(path).absolute().as_uri()


# Markdown


def answer_markdown(
    answer: Answer,
    *,
    excerpts: Mapping[str, str] = MappingProxyType({}),
    articles: Mapping[str, Described] = MappingProxyType({}),
) -> str:
    """Return an answer as Markdown: the answer, then each source as a quotation; `excerpts` as in `answer_text`."""
    if not answer.answered:
        blocks = [
            f"**{NO_ANSWER}**" + (f" {markdown(answer.reason)}" if answer.reason not in {None, NO_ANSWER} else "")
        ]
        items = [_nearest_markdown(hit, excerpts=excerpts, articles=articles) for hit in answer.hits[:NEAREST]]
        return "\n\n".join([*blocks, *(["**Nearest passages**", *items] if items else [])])
    blocks = [
        (f"*{markdown(speaker)}:* " if speaker else "") + markdown(paragraph)
        for speaker, paragraph in _voices(answer)
        if paragraph.strip()
    ]
    beside = [
        f"**{markdown(UNSUPPORTED)}** {markdown(one.text)} — {markdown(one.reason)}" for one in answer.unsupported or ()
    ]
    return "\n\n".join([*blocks, "**Sources**", *map(_citation_markdown, answer.citations), *beside])


def hits_markdown(hits: Sequence[Hit], *, texts: Mapping[str, str], articles: Mapping[str, Described]) -> str:
    """Return ranked passages as a Markdown list; `texts` by passage id, `articles` by article id."""
    items = []
    for hit in hits:
        article = articles[hit.passage.article]
        about = _joined_markdown(article.source, article.published, hit.passage.id, f"{hit.score:.3f}")
        title = f"**{markdown(article.title)}**, " if _line(article.title) else ""
        excerpt = _excerpt(texts[hit.passage.id], HIT_CHARACTERS, title=article.title)
        items.append(_item(hit.rank, title + about, excerpt))
    return "\n\n".join(items) if items else "No passage matches."


def _citation_markdown(citation: Citation) -> str:
    about = _joined_markdown(citation.title, citation.source, citation.published, f"{citation.path}:{citation.line}")
    return _item(citation.marker, about, _line(citation.quote))


def _nearest_markdown(hit: Hit, *, excerpts: Mapping[str, str], articles: Mapping[str, Described]) -> str:
    article = articles.get(hit.passage.article)
    if article is None:
        about = markdown(hit.passage.article)
    else:
        about = _joined_markdown(article.title, article.source, article.published, article.path)
    title = None if article is None else article.title
    return _item(hit.rank, about, _excerpt(excerpts.get(hit.passage.id, ""), EXCERPT_CHARACTERS, title=title))


def _item(number: int, about: str, safe_quote: str) -> str:
    label = f"{number}. "
    quote = f"\n\n{' ' * len(label)}> {_markdown_escape(safe_quote)}" if safe_quote else ""
    return label + about + quote


def _joined_markdown(*parts: str | None) -> str:
    return ", ".join(markdown(part) for part in parts if part and _line(part))


def markdown(text: str) -> str:
    """Return a line of text with every mark escaped that Markdown would take for its own."""
    return _markdown_escape(_line(text))


def _markdown_escape(text: str) -> str:
    # Every mark that makes markup somewhere in a line; then addresses, which GitHub links without any mark; then what
    # makes a list, a heading or a rule at the start of a line.
    text = re.sub(r"[\\`*_{}\[\]<>#|~&$!@]", r"\\\g<0>", text)
    text = re.sub(r":(?=//)|(?<=www)\.", r"\\\g<0>", text, flags=re.IGNORECASE)
    return re.sub(r"^(|\d+(?=[.)]))([-+=]|[.)](?=\s|$))", r"\1\\\2", text)
