"""Sentences of a text, with exact offsets; pure.

sentencex finds the first boundaries: it is small, needs no model, has rules for many languages, knows abbreviations
and the full stops of Chinese and Japanese, and returns offsets instead of edited strings. It is wrong in a few regular
ways, and web text breaks rules that it relies on, so its pieces are joined and cut again here: by lines first, then by
what stands on the two sides of each boundary.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from rag.records import Span


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


_LINE = re.compile(r"[^\n]*\n?")
HEADING = re.compile(r" {0,3}#{1,6}[ \t]+\S")
_OWN_LINE = re.compile(r"\s*(?:#{1,6}\s|[-*+•‣▪]\s|[>|]|\(?\d{1,3}[.)]\s|\(?[a-z][.)]\s|[-=_*]{3,}\s*$|```|~~~)")
_LIST_MARKER = re.compile(r"\s*(?:[-*+•‣▪>]\s+)*(?:\(?\d{1,3}[.)]|\(?[ivxIVX]{1,5}[.)]|\(?[a-z][.)])\s+")
_TERMINATED = re.compile(r"[.!?。！？…:：;；][\"'”’」』)\]）*_]*\s*$")

# After these no sentence ends, whatever the next line begins with.
_UNFINISHED = re.compile(
    r"[，、]$|(?<![\w.])(?:a|an|the|of|and|or|nor|unless|if|whether|that|which|than|its|their|his|be|been|shall|must|Mr|Mrs|Ms|Dr)$"
)
_MAY_END = re.compile(r",$|(?<![\w.])(?:to|in|on|at|by|for|from|with|her|is|are|was|were)$")
_TITLE_AT_END = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|Messrs)\.$")
_MAY_GO_ON = "$€£¥“\"'‘("
_FENCE = re.compile(r"```|~~~|[-=_*]{3,}$")
_LABEL = re.compile(r"\w+:\s")

_CLOSERS = "\"'”’»」』）)]】》〉"
_CJK_OPENERS = "「『“（("
_CJK_CLOSERS = "」』”）)"
_CJK_STOP_OR_QUOTE = re.compile(rf"[{re.escape(_CJK_OPENERS + _CJK_CLOSERS)}]|[。！？](?![。！？」』”’）\s])")
_JAPANESE_CONTINUES = re.compile(r"(?:と|って|という|など|は|が|を|に|の|も|で|や|へ|から|まで|だ|です)")
_CONTINUES = re.compile(r"[,;:，、；：）」』”’»]|\.(?!\.)|[-–—]\s*[a-z]")
_ELLIPSIS = re.compile(r"[…⋯.]{2,}|…")
_RUN_IN_HEADING = re.compile(
    r"(?:(?:Art\.?|Article|Sec\.?|Section|Clause|§{1,2})\s*\d{1,3}(?:\.\d{1,3})*[a-z]?[.:]?|\d{1,2}(?:\.\d{1,2})*[.:]|"
    r"\d{1,2}\.\d{1,2})\s+[A-Z][\w’'-]*(?:(?:,? (?:of|and|or|the|to|for|in)|,)? [A-Z][\w’'-]*){0,3}\."
)
_DECIMAL_POINT = re.compile(r"\d[.．]\Z")
_KANA = re.compile(r"[\u3041-\u30ff]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
_LETTER = re.compile(r"[^\W\d_]")
_LAST_WORD = re.compile(r"(?:^|[\s(\[\"'“‘—–/])([^\s(\[\"'“‘—–/]+)$")
_FIRST_WORD = re.compile(r"[\s\"'“‘(\[]*([^\W_]+)")

# Before a name, a number or both, and never the last word of a sentence.
_BEFORE_NAME = _words(
    "adm brig capt cmdr col dr fr gen gov hon lt maj messrs mr mrs ms mt mx pres prof rep rev sen sens sgt st vs"
)
_BEFORE_NUMBER = _words(
    "no nos nr vol vols art arts sec ch chap fig figs eq p pp para ca approx",
    "jan feb mar apr jun jul aug sep sept oct nov dec",
)
_DOTTED = re.compile(r"(?:[A-Za-z]\.){2,}")
_INITIAL = re.compile(r"[A-Z]\.")
_STARTERS = _words(
    "a after all although an and as at but by for from he her his however i if in it its many meanwhile most mr mrs ms",
    "no now on one our she since so some still such that the their then there these they this those though to today",
    "under we what when where while who why with yet you",
)
# sentencex takes each of these for an abbreviation that never ends a sentence.
_STOP_AFTER_WORD = re.compile(r"\b(?i:may|no|me|ill|art|miss|id)\.[\"”’)]*\s+(?=[A-Z“\"‘])")
_STOP_AFTER_SHORT_FORM = re.compile(
    r"\b(?i:etc|inc|ltd|plc|co|corp|bros|jan|feb|mar|apr|aug|sept?|oct|nov|dec)\.\s+(?=([A-Z][a-z]*)\b)"
)
_STOP_AFTER_NAME = re.compile(r"[!?]\.\s+(?=[A-Z“\"])")  # "… and Yahoo!. Take the first"

# A full stop without the space after it, as careless copies leave it: "results.Japan’s". Names of domains, files and
# members of objects look the same, so both sides must be ordinary words and the sentence long enough to be one.
_MISSING_SPACE = re.compile(
    r"(?:(?<=[a-z][a-z])|(?<=\d)|(?<=[\"”’)\]%]))[.!?][\"”’)\]]?(?=(?:[A-Z][a-z]+|[AI])(?:[\s,;’]|'s\b)|[“‘\"][A-Z][a-z])"
)
_TOP_LEVEL_DOMAINS = _words(
    "com org net gov edu int io co uk us eu jp cn hk de fr kr tw info biz news tv ai app dev js"
)
_CLOSING_MARKUP = re.compile(r"[*_]{1,3}(?=\s|$)")  # "**Tourism.** Receipts rose"
_UNSPACED_STOP = re.compile(r"[.!?](?=[A-Za-z0-9])")
_LEAST_WORDS_BEFORE = 3
_LEAST_CHARACTERS = 20  # before a line break; "Dear all," and "Sign in" are lines of their own
_LEAST_WORDS_AFTER = 2

_SHORT_LINE = 40
_WRAPPED_AT_MOST = 120
_WRAPPED_RAGGED = 28
_WRAPPED_CJK_RAGGED = 3
_WINDOW = 4000
_LOOK_BACK = 120
_LOOK_AHEAD = 120


def split_sentences(text: str, *, language: str | None = None) -> list[Span]:
    """Return the sentences of a text in order, without the space around them.

    Every character that is not white space is in exactly one of them. A blank line ends a sentence, and so does the end
    of a line unless the text is wrapped there; headings, list items and table rows are sentences of their own. The
    language, a code such as "ja", helps where the script does not tell.
    """
    spans = []
    for block in _blocks(text):
        cuts = _cuts(text[block.start : block.end], language=language)
        for start, end in zip([0, *cuts], [*cuts, block.end - block.start], strict=True):
            span = strip_span(text, block.start + start, block.start + end)
            if span.start < span.end:
                spans.append(span)
    return spans


def strip_span(text: str, start: int, end: int) -> Span:
    """Return the slice without the white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return Span(start, end)


def _blocks(text: str) -> Iterator[Span]:
    """Yield the runs of lines between which no sentence goes on."""
    paragraph: list[Span] = []
    for match in _LINE.finditer(text):
        line = Span(match.start(), match.end())
        if line.start == line.end:
            continue
        if match[0].isspace():
            yield from _unwrap(text, paragraph)
            paragraph = []
        else:
            paragraph.append(line)
    yield from _unwrap(text, paragraph)


def _unwrap(text: str, paragraph: Sequence[Span]) -> Iterator[Span]:
    """Yield the lines of a paragraph, those joined that a hard wrap took apart."""
    for run in _runs(text, paragraph):
        lines = [text[line.start : line.end].strip().removeprefix(">").lstrip() for line in run]
        wrapped = _is_wrapped(lines)
        start = run[0].start
        for number in range(1, len(lines)):
            if not (wrapped or _runs_on(lines[number - 1], lines[number])):
                yield Span(start, run[number].start)
                start = run[number].start
        yield Span(start, run[-1].end)


def _runs(text: str, paragraph: Sequence[Span]) -> Iterator[list[Span]]:
    """Yield the lines of a paragraph up to those that begin anew: an item, a heading, a row, a quoted part."""
    run: list[Span] = []
    for line in paragraph:
        below = text[line.start : line.end].strip()
        if run:
            above = text[run[-1].start : run[-1].end].strip()
            inside = below[1:].lstrip()
            quoted = above[1:].strip() and inside and above[0] == below[0] == ">" and not _OWN_LINE.match(inside)
            if HEADING.match(above) or above.startswith("|") or (_OWN_LINE.match(below) and not quoted):
                yield run
                run = []
        run.append(line)
    if run:
        yield run


def _runs_on(above: str, below: str) -> bool:
    """Tell whether a sentence goes on from one line to the next, by how the one ends and the other begins."""
    if not above or not below or _FENCE.match(above):
        return False
    if _TITLE_AT_END.search(above) and below[0].isupper():
        return True
    if _TERMINATED.search(above):
        return False
    begins_small = below[0].islower() or below[0].isdigit()
    long = len(above) >= _SHORT_LINE
    if _UNFINISHED.search(above) or (_MAY_END.search(above) and (begins_small or len(above) >= _LEAST_CHARACTERS)):
        return below[0].isalnum() or below[0] in _MAY_GO_ON
    if _LABEL.match(below) and not long:
        return False
    # A short line may be a word of a list, or a heading of one.
    return below[0].islower() and (long or len(above.split()) >= _LEAST_WORDS_BEFORE) and not above.isupper()


def _is_wrapped(lines: Sequence[str]) -> bool:
    """Tell whether a paragraph's lines end where the page was full and not where a sentence does."""
    full = [len(line) for line in lines[:-1] if not HEADING.match(line)]
    if len(full) < 1 or max(full) > _WRAPPED_AT_MOST:
        return False
    if any(_HAN.search(line) or _KANA.search(line) for line in lines):
        even = max(full) - min(full) <= _WRAPPED_CJK_RAGGED
        return len(full) > 1 and even and not all(_TERMINATED.search(line) for line in lines[:-1])
    runs_on = any(not _TERMINATED.search(above) and below[0].islower() for above, below in pairwise(lines))
    return runs_on and min(full) >= max(_SHORT_LINE, max(full) - _WRAPPED_RAGGED)


def _cuts(block: str, *, language: str | None) -> list[int]:
    """Return the offsets inside a block at which a new sentence begins."""
    # sentencex finds no boundary at all in a line that opens with a number in brackets.
    marker = _LIST_MARKER.match(block)
    first = marker.end() if marker else 0
    flat = block[first:].replace("\n", " ").replace("\r", " ")
    found = {first + end for end in _boundaries(flat, language=_rules(flat, language=language))}
    found |= set(_overlooked_stops(block))
    unspaced = set(_missing_spaces(block))
    # sentencex cuts "example.Com" too.
    found = {cut for cut in found if not _UNSPACED_STOP.match(block, max(0, cut - 1))}
    cuts: list[int] = []
    start = 0
    for cut in sorted({*found, *unspaced, *_closed_quotes(block)}):
        moved = _after_closers(block, cut)
        before, after = block[max(start, moved - _LOOK_BACK) : moved], block[moved : moved + _LOOK_AHEAD]
        if start == 0 and _RUN_IN_HEADING.fullmatch(before.strip()) and not _LIST_MARKER.match(after):
            continue  # "Art. 6 Notice. The period is …"
        if start < moved < len(block) and _is_boundary(before, after):
            cuts.append(moved)
            start = moved
    return cuts


def _overlooked_stops(block: str) -> Iterator[int]:
    for pattern in (_STOP_AFTER_NAME, _STOP_AFTER_WORD):
        yield from (match.end() for match in pattern.finditer(block))
    for match in _STOP_AFTER_SHORT_FORM.finditer(block):
        if match[1].lower() in _STARTERS:
            yield match.end()


def _boundaries(text: str, *, language: str) -> Iterator[int]:
    """Yield the ends of sentencex's sentences, by windows: its time grows with the square of the length."""
    # A question imports this module, and cuts nothing.
    from sentencex import get_sentence_boundaries

    position = 0
    while position < len(text):
        window = text[position : position + _WINDOW]
        ends = [position + int(boundary["end_index"]) for boundary in get_sentence_boundaries(language, window)]
        if position + len(window) == len(text):
            yield from ends
            return
        # The last piece may go on beyond the window, so the next window begins with it.
        inside = [end for end in ends if end < position + len(window)]
        yield from inside
        position = inside[-1] if inside else position + len(window)


def _rules(text: str, *, language: str | None) -> str:
    """Return the language whose rules fit a block: its script is believed before the article's language."""
    code = (language or "en").lower().replace("_", "-").split("-")[0]
    east_asian = len(_KANA.findall(text)) + len(_HAN.findall(text))
    if 2 * east_asian > len(_LETTER.findall(text)):
        return "ja" if _KANA.search(text) else "zh"
    return "en" if code in {"ja", "zh"} or not code.isascii() else code


def _missing_spaces(block: str) -> Iterator[int]:
    for match in _MISSING_SPACE.finditer(block):
        cut = match.end()
        before, after = block[max(0, cut - _LOOK_BACK) : cut].split(), block[cut : cut + _LOOK_AHEAD].split()
        word = before[-1]
        starter = _FIRST_WORD.match(block, cut)
        if (
            len(before) > _LEAST_WORDS_BEFORE
            and len(after) >= _LEAST_WORDS_AFTER
            and not re.search(r"[/@\\=#`]|\w\.\w|^www", word[:-1])
            and word.rstrip('.!?"”’)]').lower() not in _BEFORE_NAME | _BEFORE_NUMBER
            and starter is not None
            and starter[1].lower() not in _TOP_LEVEL_DOMAINS
        ):
            yield cut


def _closed_quotes(block: str) -> Iterator[int]:
    """Yield the ends of Chinese and Japanese sentences outside quotes, some of which sentencex overlooks behind one."""
    open_quotes = 0
    for match in _CJK_STOP_OR_QUOTE.finditer(block):
        if match[0] in _CJK_OPENERS:
            open_quotes += 1
        elif match[0] in _CJK_CLOSERS:
            open_quotes = max(0, open_quotes - 1)
        elif open_quotes == 0:
            yield match.end()


def _after_closers(block: str, cut: int) -> int:
    """Return the boundary moved behind quotes, brackets and markup that close what ends there."""
    while cut < len(block) and not block[cut - 1].isspace():
        if markup := _CLOSING_MARKUP.match(block, cut):
            cut = markup.end()
        elif block[cut] not in _CLOSERS or (block[cut] in "\"'" and block[:cut].count(block[cut]) % 2 == 0):
            break  # it opens the next sentence
        else:
            cut += 1
    return cut


def _is_boundary(sentence: str, rest: str) -> bool:
    """Tell whether a sentence really ends before the rest of its block."""
    before, after = sentence.rstrip(), rest.lstrip()
    if not (_has_word(before) and _has_word(after)):
        return False  # a bullet belongs to what follows, closing marks to what stands before
    if after[0].islower() or _CONTINUES.match(after) or _ELLIPSIS.match(after):
        return False
    if before[-1] in _CJK_CLOSERS and _JAPANESE_CONTINUES.match(after):
        return False
    if _DECIMAL_POINT.search(sentence) and rest[0].isdecimal():
        return False
    return before[-1] != "." or _ends_with_word(before, after)


def _has_word(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _ends_with_word(before: str, after: str) -> bool:
    """Tell whether the last word before a full stop is a word and no abbreviation, initial or number of a list."""
    last, first = _LAST_WORD.search(before, max(0, len(before) - _LOOK_BACK)), _FIRST_WORD.match(after)
    if last is None or first is None:
        return True
    word, follows = last[1], first[1]
    bare = word.rstrip(".").lower()
    is_number = bare in _BEFORE_NUMBER and follows[0].isdigit()
    if bare in _BEFORE_NAME or is_number or _LIST_MARKER.fullmatch(before + " "):
        return False
    if _INITIAL.fullmatch(word):
        return word == "I." or follows.lower() in _STARTERS or not follows[0].isupper()
    if _DOTTED.fullmatch(word):
        return follows.lower() in _STARTERS
    return True
