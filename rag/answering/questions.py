"""What a question asks for, read off its words in English, Chinese and Japanese.

The kind decides how many sentences an answer may have; what is wanted says what an answering sentence should contain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How much of an answer a question needs."""

    FACT = "fact"
    EXPLANATION = "explanation"
    VIEWS = "views"
    YES_NO = "yes-no"


class Wanted(StrEnum):
    """What the answer to a question contains."""

    NUMBER = "number"
    DATE = "date"
    NAME = "name"
    ANYTHING = "anything"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question asks for: its kind, and what the answer contains."""

    kind: Kind
    wanted: Wanted


_VIEWS = re.compile(
    r"\b(?:articles|sources(?! of)|outlets|reports|sides|differ\w*|compare\w*|contrast\w*|versus|views|opinions|"
    r"reactions|perspectives|assessments)\b"
    r"|\b(?:analysts|experts|observers|scholars|commentators|critics)\b.*\b(?:say|think|see|view|believe|expect|make)"
    r"|\bboth (?:countries|governments|leaders|sides)\b|(?:哪些|各方|双方|不同)(?:的)?(?:看法|观点|意见|说法|报道)"
    r"|(?:専門家|各紙|記事).*(?:見方|意見|違い)",
    re.IGNORECASE,
)
_EXPLANATION = re.compile(
    r"^\W*(?:why|how)\b(?!\s+(?:many|much|long|old|far|often|large|big|high|tall|deep|soon|fast|late|early|few|wide|"
    r"strong|close|near|likely|quickly|recently|frequently|sharply|steeply|rapidly|heavily|badly|severely|strongly|"
    r"deeply|widely|closely)\b)"
    r"|\b(?:explain|describe|reasons?|what (?:caused|drove|led|motivat\w+|explains|accounts for|(?:is|was) behind))\b"
    r"|为什么|為什麼|为何|為何|怎么(?!多)|怎樣|怎样|如何|原因|なぜ|どうして|どのように|理由",
    re.IGNORECASE,
)
_YES_NO = re.compile(
    r"^\W*(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might)\b|吗[?？]?\W*$|嗎[?？]?\W*$"
    r"|(?:です|ます|でした|ました|ません)か[?？。]?\W*$",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\bhow (?:many|much|large|big|high|far|old|long|often|tall|deep|sharply|steeply)\b|\bby how\b"
    r"|\bwhat (?:\w+ ){0,2}(?:percentage|percent|proportion|share|number|amount|value|rate|total|figure|volume|"
    r"fraction|size|sum|price|cost|quantity)\b|多少|几(?:个|人|家|次|年|名)|幾|何(?:人|社|件|個|年|回|名|パーセント|％|%)|いくら|いくつ",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\bwhen\b|\b(?:what|which|on what|in what|in which|on which|since what) "
    r"(?:year|month|day|date|days|dates|time|years|weekday)\b|哪(?:一)?(?:年|天|月)|何时|何時|什么时候|什麼時候|いつ|何月|何日",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"\b(?:who|whom|whose)\b|\bwhere\b|\b(?:which|what) (?:\w+ ){0,2}(?:company|companies|firms?|city|cities|country|"
    r"countries|nation|person|people|official|officials|minister|leader|politician|analyst|analysts|expert|researcher|"
    r"scholar|organi[sz]ations?|institution|institute|university|newspaper|agency|outlet|media|province|prefectures?|"
    r"region|place|venue|name|names)\b|谁|誰|哪里|哪裡|哪个|哪家|どこ|どの",
    re.IGNORECASE,
)


def analyse(question: str) -> Asked:
    """Return what a question asks for."""
    return Asked(kind=_kind(question), wanted=_wanted(question))


def _kind(question: str) -> Kind:
    if _VIEWS.search(question):
        return Kind.VIEWS
    if _EXPLANATION.search(question):
        return Kind.EXPLANATION
    if _YES_NO.search(question):
        return Kind.YES_NO
    return Kind.FACT


def _wanted(question: str) -> Wanted:
    for wanted, pattern in ((Wanted.NUMBER, _NUMBER), (Wanted.DATE, _DATE), (Wanted.NAME, _NAME)):
        if pattern.search(question):
            return wanted
    return Wanted.ANYTHING
