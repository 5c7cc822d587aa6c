"""Two questions in one: "When was the ban lifted, and who asked for it?" is a question and a follow-up to it.

Each is answered by itself, the second as if it were asked after the first. Only what certainly is a second question is
taken for one: it asks with a word of its own behind "and", and stands in no clause ("what he said and when he left").
"""

from __future__ import annotations

import re

_ASKS = r"(?:who|whom|whose|what|which|when|where|why|how)"
_AUXILIARY = (
    r"(?:did|does|do|is|are|was|were|has|have|had|can|could|will|would|should|may|might|must|"
    r"isn['’]t|aren['’]t|wasn['’]t|weren['’]t|didn['’]t|doesn['’]t|don['’]t)"
)
_BEFORE = r"(?:(?:in|on|at|by|since|until|to|from|with|for|under|of|about|through|between)\s+)?"
_BOUNDARY = re.compile(
    rf"(?:[,;]?\s+and\s+(?:also\s+)?|\?\s+(?:and\s+)?)(?=(?P<asks>{_BEFORE}{_ASKS}\b))", re.IGNORECASE
)
# A question of its own: it begins with a word that asks or with an auxiliary, and has a verb.
_FIRST = re.compile(
    rf"\W*(?:{_BEFORE}{_ASKS}\b.*\s{_AUXILIARY}\s+\S.*|{_AUXILIARY}\s+\S+\s.*|(?:who|which|what)\s+\w+\s.*)",
    re.IGNORECASE | re.DOTALL,
)
# In these, what comes behind "and" may belong to what is said, known or told.
_EMBEDDING = re.compile(
    rf"\b(?:say|says|said|tell|tells|told|know|knows|explain\w*|describe\w*|ask|asks|asked|learn\w*|decide\w*|show\w*|"
    rf"report\w*|remember\w*|about|of|on|between)\s+{_BEFORE}{_ASKS}\b",
    re.IGNORECASE,
)
_SECOND = re.compile(
    rf"{_BEFORE}(?:(?:who|what|which)(?:\s+\w+){{0,3}}?\s+(?!(?:it|he|she|they|we|this|that|i|you)\b)\w+\s+\S.*"
    rf"|{_ASKS}\b.*\s{_AUXILIARY}\s+\S.*|(?:when|where|why|how|by how much|how (?:many|much|long|often)|who|whom)"
    rf"|(?:what|which)\s+\w+|how (?:many|much)(?:\s+\w+){{1,4}})",
    re.IGNORECASE | re.DOTALL,
)
_LONGEST = 400  # characters


def split_double(question: str) -> tuple[str, ...]:
    """Return the two questions that a question is made of, in its words; none if it is one alone."""
    text = " ".join(question.split())
    if len(text) > _LONGEST or "(" in text:  # in brackets stands what a follow-up goes back to
        return ()
    boundaries = list(_BOUNDARY.finditer(text))
    if len(boundaries) != 1:
        return ()
    first, second = text[: boundaries[0].start()].rstrip(" ,;"), text[boundaries[0].end() :].rstrip(" ?.!")
    if not _FIRST.fullmatch(first) or not _SECOND.fullmatch(second) or _EMBEDDING.search(first):
        return ()
    return tuple(f"{part[0].upper()}{part[1:]}?" for part in (first, second))
