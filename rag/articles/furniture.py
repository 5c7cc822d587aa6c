"""What a web page leaves in the text of an article and nobody wrote as part of it.

A trimming is a whole line that looks like one from its first character to its last, or a phrase glued to the end of a
sentence by a careless copy. A sentence about advertisements, subscriptions or cookies is no trimming: when in doubt,
the line stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rag.records import Span

_LINE = re.compile(r"[^\n]+")
_DECORATION = " \t*_>|•·–—-=[]()"

# Each is matched against a whole line without its decoration.
_TRIMMINGS = (
    # advertisements
    r"(?:advertisements?|adverts?|sponsored(?: content| post)?|ads? by \w+|(?:[A-Z][\w&]*\s){1,3}advert(?:isement)?)",
    r"(?:story|article) continues (?:below|after) (?:this )?(?:ad|advert|advertisement)",
    # comments
    r"leave a (?:reply|comment)|cancel reply|post a? ?comment|reply|no comments(?: yet)?|\d+ comments?",
    r"your email address will not be published.{0,80}|required fields are marked ?\*?",
    r"save my name, email,? and website in this browser.{0,60}",
    # reading aids
    r"reading time ?: ?\d+ ?min(?:ute)?s?|(?:\d+|a) ?min(?:ute)?s? read|estimated reading time.{0,20}",
    r"why you can trust \w+(?: \w+){0,3}|skip to (?:main )?content|back to top|scroll to (?:top|continue)",
    r"toggle navigation",
    r"listen to this article|loading(?:\.{3}|…)?",
    # sharing
    r"share|share (?:this|on|via)(?: (?:article|story|post|page|link|facebook|twitter|x|linkedin|whatsapp|email)){0,2}",
    r"click to (?:share|print|email).{0,60}|copy link|print this (?:article|page|story)|tweet(?: this)?",
    r"follow us(?: (?:on|at) .{1,60})?|(?:\d[\d.,]*[km]? )(?:shares?|likes?|views?)",
    # subscriptions
    r"subscribe(?: now| today| here)?[.!]?|subscribe to (?:our|the|this) [^.]{1,60}[.!]?",
    r"(?:sign up|register) (?:for|to) (?:our|the) [^.]{0,40}newsletters?[.!]?|get our (?:free )?newsletters?[.!]?",
    r"already a subscriber\?.{0,30}|(?:log|sign) in to (?:read|continue|comment).{0,40}",
    # other articles
    r"(?:read more|see also|also read|read also|more on this(?: story| topic)?|up next|watch now) ?: ?.{1,160}",
    r"read more|(?:related|recommended) ?:",
    r"(?:related|recommended|trending) (?:articles?|stories|posts?|content|news|topics)",
    r"you may also like|more from this (?:author|section)|most (?:popular|read)|trending now|previous (?:post|article)",
    r"next (?:post|article)|continue reading(?:\.{3}|…)?",
    # the law
    r"(?:©|\(c\)|copyright(?: ©| \(c\))?) ?\d{4}.{0,120}|(?:©|copyright).{0,100}all rights reserved\.?",
    r"all rights reserved\.?",
    r"(?:we|(?:this|our) (?:web)?site) uses? cookies.{0,80}\b(?:site|experience|services|traffic|personali).{0,200}",
    r"by (?:continuing|using|browsing).{0,80}\bcookies\b.{0,120}|(?:accept|reject|manage|allow)(?: all)? cookies",
    r"cookie (?:policy|settings|preferences|notice|consent)|privacy policy|terms (?:of use|of service|and conditions)",
    # pictures
    r"(?:photos?|images?|pictures?|photographs?|illustration)(?: (?:by|credit|courtesy(?: of)?))? ?: ?[^.]{2,80}",
    # what a machine left
    r"[0-9a-f]{32,128}",
    # the same in Chinese and Japanese
    r"广告|廣告|広告|相关阅读|相關閱讀|延伸阅读|关键词[:：].{1,60}|责任编辑[:：].{1,20}|分享到?[:：]?",
    r"関連記事|続きを読む|あわせて読みたい",
)
_WHOLE_LINE = re.compile("|".join(f"(?:{trimming})" for trimming in _TRIMMINGS), re.IGNORECASE)

_AGENCIES = r"(?:AFP|AFP-JIJI|AP|BLOOMBERG|EPA|GETTY|JIJI|KYODO|POOL|REUTERS|XINHUA|SHUTTERSTOCK|UPI|TASS)"
_PIPE_CREDIT = re.compile(rf"^(?P<caption>.*\S)\s+\|\s+(?=[^a-z|]*\b{_AGENCIES}\b)[A-Z][^a-z|]{{1,60}}$")
_END_CREDIT = re.compile(
    r"(?<=[.!?”\"’)])\s+"
    r"(?P<trimming>(?:Photos?|Images?|Pictures?|Photograph)(?: (?:by|credit|courtesy of))? ?: ?[^.\n]{2,60})$"
)
_GLUED_END = re.compile(
    r"(?<=[a-z.!?”\"’)])(?P<trimming>(?:Advertisements?|ADVERTISEMENT|Leave a (?:Reply|Comment)))\s*$"
)
_GLUED_START = re.compile(r"^\s*(?P<trimming>(?:Advertisement|ADVERTISEMENT))(?=[A-Z“‘\"][a-z“‘\"])")
_COMMENT_FORM = re.compile(
    r"(?:Leave a (?:Reply|Comment)\s*(?:Cancel reply)?\s*)?Your email address will not be published\."
    r"(?:\s*Required fields are marked(?: ?\*)?)?",
    re.IGNORECASE,
)
_IMAGE = re.compile(r"(?:\[?!\[[^\]\n]*\](?:\([^)\n]*\)|\[[^\]\n]*\])(?:\]\([^)\n]*\))?\s*)+")
_LINK_TARGET = re.compile(r"\[[^\]\n]+\]:\s+<?(?:https?://|/|#|mailto:)\S+.*")
_HTML_COMMENT = re.compile(r"<!--[^\n]*-->")

_COUNT = re.compile(r"\d{1,3}(?:[.,]?\d{1,3})?[KkMm]?")
_TIMESTAMP = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?")
# More times than these, each on a line of its own, make a timetable and no videos.
_MOST_TIMESTAMPS = 3


def find_furniture(text: str) -> tuple[Span, ...]:
    """Return the slices of a text that are a web page's trimmings: sorted, disjoint, without the space around them."""
    lines = [_strip(text, Span(match.start(), match.end())) for match in _LINE.finditer(text)]
    lines = [line for line in lines if line.start < line.end]
    whole = {number for number, line in enumerate(lines) if _is_trimming(text[line.start : line.end])}
    whole |= set(_captions(text, lines))
    whole |= set(_videos(text, lines))
    # A bare number is a count of shares only beside other trimmings; elsewhere it may be data.
    whole |= {
        number
        for number, line in enumerate(lines)
        if _COUNT.fullmatch(text, line.start, line.end) and ({number - 1, number + 1} & whole)
    }
    spans = [lines[number] for number in whole]
    spans += [span for number, line in enumerate(lines) if number not in whole for span in _slices(text, line)]
    return tuple(_disjoint(spans))


def _is_trimming(line: str) -> bool:
    if _IMAGE.fullmatch(line) or _LINK_TARGET.fullmatch(line) or _HTML_COMMENT.fullmatch(line):
        return True
    bare = line.strip(_DECORATION)
    return bool(bare) and not line.startswith("#") and _WHOLE_LINE.fullmatch(bare) is not None


def _captions(text: str, lines: Sequence[Span]) -> Iterator[int]:
    """Yield the lines that end in a picture's credit, and the copy of the caption above each."""
    for number, line in enumerate(lines):
        if credit := _PIPE_CREDIT.match(text[line.start : line.end]):
            yield number
            above = lines[number - 1] if number else None
            if above and text[above.start : above.end] == credit["caption"]:
                yield number - 1


def _videos(text: str, lines: Sequence[Span]) -> Iterator[int]:
    """Yield the lines with a video's running time, and its title where that follows twice."""
    times = [number for number, line in enumerate(lines) if _TIMESTAMP.fullmatch(text, line.start, line.end)]
    if len(times) > _MOST_TIMESTAMPS:
        return
    for number in times:
        yield number
        title = [text[line.start : line.end] for line in lines[number + 1 : number + 3]]
        if len(title) == len(set(title)) + 1:
            yield from (number + 1, number + 2)


def _slices(text: str, line: Span) -> Iterator[Span]:
    content = text[line.start : line.end]
    for pattern in (_END_CREDIT, _GLUED_END, _GLUED_START):
        if match := pattern.search(content):
            yield Span(line.start + match.start("trimming"), line.start + match.end("trimming"))
    for match in _COMMENT_FORM.finditer(content):
        yield _strip(text, Span(line.start + match.start(), line.start + match.end()))


def _strip(text: str, span: Span) -> Span:
    content = text[span.start : span.end]
    start = span.start + len(content) - len(content.lstrip())
    return Span(start, max(start, span.start + len(content.rstrip())))


def _disjoint(spans: Sequence[Span]) -> Iterator[Span]:
    last: Span | None = None
    for span in sorted(spans):
        if last is None:
            last = span
        elif span.start < last.end:
            last = Span(last.start, max(last.end, span.end))
        else:
            yield last
            last = span
    if last is not None:
        yield last
