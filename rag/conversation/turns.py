"""What was asked and answered before, and what a question makes of it; with the words that all who read it look at."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.answering.questions import ASKING, AUXILIARY
from rag.index.lexical import terms


@dataclass(frozen=True, slots=True)
class Turn:
    """A question that was asked, as it was understood, with the sentences that its answer cited, best first.

    `short_answer` are the words that answered it, where it asked for one fact.
    """

    question: str
    evidence: tuple[str, ...] = ()
    short_answer: str | None = None


AUXILIARIES = f"{AUXILIARY}|isn't|aren't|wasn't|didn't|doesn't|don't"
PREPOSITIONS = "in|on|at|to|from|of|for|by|with|about|between|among|during|since|until|after|before|under|over|into"
# What people say before they ask, or without asking.
COURTESY = (
    r"(?:ok(?:ay)?|(?:many )?thanks?(?: you)?(?: so much| very much| a lot| again)?|thx|ty|cheers|great|good|nice|cool|"
    r"sure|yes|right|well|hm+|oh|ah|wow|i see|got it|i understand|understood|by the way|also|interesting|perfect|"
    r"good to know)(?![\w’'-])[\s,.!]*"
)
LEAD = re.compile(rf"^(?:{COURTESY}|(?:and|but|so|then|or|now)\b,?\s+)+", re.IGNORECASE)
ASKS = re.compile(
    rf"^\W*(?:(?:{PREPOSITIONS})\s+)?(?:{ASKING}|{AUXILIARIES}|tell|explain|describe|"
    r"list|name|give|show|compare|please)\b",
    re.IGNORECASE,
)
BRACKETS = re.compile(r"(?P<head>.+?)\s*[(（](?P<inner>[^()（）]+)[)）]", re.DOTALL)
# Words that any question has; what is left over names what it is about.
EMPTY = frozenset(terms(
    "did do is are was were has have had can could will would should may might must about much many long often "
    "exactly happen tell me you know please more else other another thing so just really actually some any only "
    "still also mean say said does get got give anything something one ones i we us my your our he she him her his "
    "they them it its this that these those there then happened than"
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leaning:
    """A question with what it leans on put in; if that is not the whole, it stays `behind` it in brackets."""

    text: str
    behind: bool = False
    made_of_last: bool = False
    sure: bool = True


def without_brackets(question: str) -> str:
    """Return a question without its mark, and without the one in brackets that it leaned on."""
    match = BRACKETS.fullmatch(question.strip())
    return (match["head"] if match else question).strip().rstrip("?.!。？ ")
