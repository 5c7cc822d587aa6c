"""Several questions in one: "When was the ban lifted, and who asked for it?" is a question and a follow-up to it.

Each is answered by itself, a further one as if it were asked after those before. Only what certainly is a question is
taken for one: it asks with a word of its own behind "and", and stands in no clause ("what he said and when he left").
"""

from __future__ import annotations

import itertools
import re

from rag.answering.questions import ASKING, AUXILIARY
from rag.index.lexical import mostly_unspaced

_ASKS = f"(?:{ASKING})"
_AUXILIARY = f"(?:{AUXILIARY}|isn['’]t|aren['’]t|wasn['’]t|weren['’]t|didn['’]t|doesn['’]t|don['’]t)"
_BEFORE = r"(?:(?:in|on|at|by|since|until|to|from|with|for|under|of|about|through|between)\s+)?"
_BOUNDARY = re.compile(
    rf"(?:[,;]?\s+and\s+(?:also\s+)?|\?\s+(?:and\s+)?)(?={_BEFORE}{_ASKS}\b)"
    rf"|(?:,\s+and\s+|\?\s+(?:and\s+)?)(?={_AUXILIARY}\s)",
    re.IGNORECASE,
)
# The first questions of three, before a last one behind "and"; "who" and "which" tell there which is meant, unless they
# ask about "it".
_LISTED = re.compile(
    rf",\s+(?={_BEFORE}(?!(?:who|which|whom|whose)\b){_ASKS}\b|(?:who|which)\b[^,]*\s(?:it|them|him|her|they|he|she)\b)",
    re.IGNORECASE,
)
# "When the ban was lifted, what did Tokyo say?" asks once.
_SUBORDINATE = re.compile(rf"(?:when|where|how|what)\s+(?!(?:{AUXILIARY}|many|much|long|often|far)\b)\w", re.IGNORECASE)
# A question of its own: it begins with a word that asks or with an auxiliary, and has a verb.
_FIRST = re.compile(
    rf"\W*(?:{_BEFORE}{_ASKS}\b.*\s{_AUXILIARY}\s+\S.*|{_AUXILIARY}\s+\S+\s.*|(?:who|which|what)\s+\w+\s.*)",
    re.IGNORECASE | re.DOTALL,
)
# In these, what comes behind "and" may belong to what is said, known or told, or to a list of words that ask.
_EMBEDDING = re.compile(
    rf"\b(?:say|says|said|tell|tells|told|know|knows|explain\w*|describe\w*|ask|asks|asked|learn\w*|decide\w*|show\w*|"
    rf"report\w*|remember\w*|see|find out|about|of|on|between)\s+{_BEFORE}(?:{_ASKS}|whether|if)\b|,\s*{_ASKS}$"
    rf"|\bbetween\b(?!.*\band\b)",
    re.IGNORECASE,
)
_FURTHER = re.compile(
    rf"{_BEFORE}(?:(?:who|what|which)(?:\s+\w+){{0,3}}?\s+(?!(?:it|he|she|they|we|this|that|i|you)\b)\w+\s+\S.*"
    rf"|{_ASKS}\b.*\s{_AUXILIARY}\s+\S.*|(?:when|where|why|how|by how much|how (?:many|much|long|often)|who|whom)"
    rf"|(?:what|which)\s+(?!(?:in|on|at|to|from|of|for|by|own)\b)\w+|how (?:many|much)\s+\w.*)"
    rf"|{_AUXILIARY}\s+\S+\s+\S.*",
    re.IGNORECASE | re.DOTALL,
)
# A clause that tells which: "those who own and who rent".
_RELATIVE = re.compile(r"\b(?:who|which|that|whom)\s+\w+", re.IGNORECASE)
_ASKING = re.compile(rf"^\W*{_BEFORE}{_ASKS}\b", re.IGNORECASE)
_BEGINS_RELATIVE = re.compile(rf"{_BEFORE}(?:who|which|whom)\b", re.IGNORECASE)
_PRONOUNS = frozenset({"it", "them", "him", "her"})
_QUOTES = '"“”'
_UNSPACED_BOUNDARY = re.compile(r"[，,、；;。？?！!\s]+(?:以及|还有|還有|并且|並且|又|また|そして)?")
_ASKS_UNSPACED = re.compile(
    r"什[么麼]|[谁誰]|哪|[几幾](?![乎十百千年内])|多少|(?<![许許很更])多[久長长高远遠大]|[为為]何|如何|怎|いつ|どこ|どの|だれ|なぜ|なに|"
    r"いくら|いくつ|(?<![任如])何"
)
_KANA = re.compile(r"[\u3041-\u30ff]")
_BEFORE_CHINESE = re.compile(r"\A(?:在|自|当|當|对|對|关于|關於|就|至于|至於)|(?<!哪)[里裡下中后後]\Z|[时時]候\Z")
# What follows may belong to what is said, known or told, or to what is spoken of.
_EMBEDS_UNSPACED = re.compile(r"[说說问問]|知道|告诉|告訴|解释|解釋|认为|認為|表示|と(?:言|述|説明)|について")
_SHORTEST_UNSPACED = 5  # characters; "いつ、どこで" is one question
_MOST = 3
_LONGEST = 400  # characters


def split_questions(question: str) -> tuple[str, ...]:
    """Return the questions that a question is made of, in its words; none if it is one alone."""
    text = " ".join(question.split())
    if mostly_unspaced(text[:_LONGEST]):
        return _split_unspaced(text)
    # In brackets stands what a follow-up goes back to.
    if len(text) > _LONGEST or any(mark in text for mark in "(" + _QUOTES):
        return ()
    parts = [part.strip(" ,;?.!") for part in _BOUNDARY.split(text)]
    listed = [one for part in parts[:-1] for one in _LISTED.split(part)] + parts[-1:]
    for several in (listed, parts):
        clauses = several is listed and any(map(_SUBORDINATE.match, several[:-1]))
        if not clauses and _are_questions(several, text):
            return tuple(f"{part[0].upper()}{part[1:]}?" for part in several)
    return ()


def _split_unspaced(text: str) -> tuple[str, ...]:
    """Return the questions of a text in Chinese or Japanese: between commas, each with a word that asks."""
    parts = [part for part in _UNSPACED_BOUNDARY.split(text) if part]
    if not 1 < len(parts) <= _MOST or len(text) > _LONGEST or len(parts[0]) < _SHORTEST_UNSPACED:
        return ()
    asks = all(map(_ASKS_UNSPACED.search, parts))
    japanese = _KANA.search(text) is not None
    whole = all(part.endswith("か") if japanese else not _BEFORE_CHINESE.search(part) for part in parts[:-1])
    return tuple(f"{part}？" for part in parts) if asks and whole and not _EMBEDS_UNSPACED.search(parts[0]) else ()


def _are_questions(parts: list[str], text: str) -> bool:
    """Tell whether the parts of a text are questions each, the further ones at least with the first before them."""
    first, *further = parts
    # Behind a mark stands no noun that could be a verb: "How many boats sailed?"
    begins = _FIRST.fullmatch(first) or (_ASKING.match(first) and text.startswith(f"{first}?"))
    if not 0 < len(further) < _MOST or not begins or not all(map(_FURTHER.fullmatch, further)):
        return False
    embedded = any(_EMBEDDING.search(part) for part in parts[:-1])
    return not embedded and not _share_an_object(parts) and not _share_a_noun(parts)


def _share_a_noun(parts: list[str]) -> bool:
    """Tell whether a part may go on with a clause of the one before: "those who own and who rent"."""
    return any(
        _BEGINS_RELATIVE.match(behind) and _RELATIVE.search(_ASKING.sub("", before, count=1))
        for before, behind in itertools.pairwise(parts)
    )


def _share_an_object(parts: list[str]) -> bool:
    """Tell whether a part ends in a word whose object comes later: "How did A explain and how did B explain it?"."""
    return any(
        re.search(rf"\b{re.escape(last)}\s+\w", behind, re.IGNORECASE)
        for last, behind in ((before.split()[-1], behind) for before, behind in itertools.pairwise(parts))
        if last not in _PRONOUNS
    )
