"""What a question asks for, read off its words in English, Chinese and Japanese.

The kind decides how many sentences an answer may have; what is wanted says what an answering sentence should contain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

# Alternatives of a pattern: the words that ask, and the verbs that a question puts before its subject.
ASKING = "who|whom|whose|what|which|when|where|why|how"
AUXILIARY = "did|does|do|is|are|was|were|has|have|had|can|could|will|would|should|may|might|must"


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
_ASKS_JAPANESE = re.compile(
    r"いつ(?!も)|どこ|どの|どれ|どちら|どんな|(?<!ぶ)どう|だれ|なに|なん|なぜ|いくら|いくつ(?!か)|誰|(?<!任)何(?![から])"
)
_NUMBER = re.compile(
    r"\bhow (?:many|much|large|big|high|far|old|long|often|tall|deep|sharply|steeply)\b|\bby how\b"
    r"|\bwhat (?:\w+ ){0,2}(?:percentage|percent|proportion|share|number|amount|value|rate|total|figure|volume|"
    r"fraction|size|sum|price|cost|quantity)\b|多少|(?<![许許很更诸諸太众眾])多[久長长高远遠大](?!な)"
    r"|几(?![乎号號内內]|月几?[日号])|幾"
    r"|何(?:人|社|件|個|年間|年も|回|名|歳|倍|割|品目|種類|か国|カ国|ヶ国|ヵ国|時間|日間|週間|か月|トン|メートル|キロ|パーセント|％|%)|どのくらい|どれ(?:くらい|ほど)|いくら|いくつ",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\bwhen\b|\b(?:what|which|on what|in what|in which|on which|since what) "
    r"(?:year|month|day|date|days|dates|time|years|weekday)\b|哪(?:一)?(?:年|天|月)|几(?:月几?[日号]|号)|何时|何時(?!間)|什么时候|什麼時候|いつ|何月|何日(?!間)|何年(?!間|も)",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"\b(?:who|whom|whose)\b|\bwhere\b|\b(?:which|what) (?:\w+ ){0,2}(?:company|companies|firms?|city|cities|country|"
    r"countries|nation|person|people|official|officials|minister|leader|politician|analyst|analysts|expert|researcher|"
    r"scholar|organi[sz]ations?|institution|institute|university|newspaper|agency|outlet|media|province|prefectures?|"
    r"region|place|venue|name|names)\b|谁|誰|哪里|哪裡|哪个|哪家|どこ|どの(?!くらい)",
    re.IGNORECASE,
)

# Words that ask, point, join or go with any verb of saying and doing: none says what a question is about.
_NAMING_NOTHING = frozenset(
    """
    a about actually again all also an and any anyone anything are aren't as at be been before but by can come could did
    didn't do does doesn't don't done during else elaborate even exactly explain for from further get give go goes
    going had happen happened happening has have he hello help her here hers hey hi him his how i i'm if in instead into
    is isn't it it's its just kind know me mean meant mine more my no not now of off oh ok okay on one ones or other
    others our ours out over please really same said say saying says see she should since so some something sort still
    such sure take tell than thank thanks that that's the their theirs them then there these they thing things think
    thinks this those though thought to too told under until us very want was wasn't we well were what what's when
    where which while who who's whom whose why will with without would wrote write yes yet you your yours
    """.split()  # noqa: SIM905  # a list of strings would be thirty lines
)
_TIME_WORDS = frozenset(
    """
    january february march april may june july august september october november december spring summer autumn winter
    year years month months week weeks day days today yesterday tomorrow quarter half decade last next early late mid
    first second third fourth earlier later afterwards previous following recently
    """.split()  # noqa: SIM905  # as above
)
_JOINING = re.compile(
    r"\b(?:and|as well as|versus|vs|unlike|compared?|opposed|contrast|against|differ)\b|[,和与與跟及と、]"
    r"|[中日美米韩韓俄]{2}(?:两国|兩國|両国|双方|雙方|政府|对|對|就|は|の)",
    re.IGNORECASE,
)
# These ask for a fact, or name nobody.
_ASKS_NO_PARTY = re.compile(
    r"\W*(?i:who|whom|whose|when|which|why|where(?! do| does| did)|how(?! do| does| did| ha))\b"
    r"|\W*(?i:what|how|where|did|do|does|has|have|is|are|was|were|tell|can|could|will|would|should)\b[^A-Z]*$"
)
_SOMEBODY = re.compile(
    r"\bthe (?:\w+ ){0,3}(?:minister|president|premier|chancellor|governor|ambassador|mayor|secretary|commissioner|"
    r"spokes\w+|chair\w*|director|chief|head|leader|king|queen|speaker|envoy)\b"
)
_JOINED = re.compile(
    r"\W*(?:and|but|or|so|then|what about|how about|what of|same for|in|on|since|until)\b", re.IGNORECASE
)
# "In 2024?" goes on with something; "So what happened in 2024?" asks for itself.
_ASKS_ITSELF = re.compile(r"\b(?:happen\w*|did|do|does|was|were|is|are|has|have|had)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?")
_UNSPACED_NAMING_NOTHING = re.compile(
    r"(?:那么?|那麼|但是?|可是|还有|還有|では|でも|じゃあ|それで|、|，)*(?:"
    r"(?:在?(?:\d{4}|[去今明前])年(?:\d{1,2}月)?|\d{1,2}月|以前|之后|之後)?(?:呢|は|はどうですか|怎么样|怎麼樣)|"
    r"(?:为什么|為什麼|为何|為何|什么时候|什麼時候|何时|何時|哪里|哪裡|谁|誰|多少|怎么|怎麼|如何|什么|什麼|"
    r"なぜ|どうして|いつ|どこ|だれ|いくら|どのように|何|なに)(?:ですか|でしたか|なの|か|呢)?|"
    r"(?:谁|誰)(?:这么|這麼|这样|這樣|是这么|是這麼)?[说說](?:的|过|過)?|"
    r"(?:[他她它]们?|[他她它]們)?[说說]了?(?:什么|什麼)|(?:(?:誰|だれ)が)?(?:そう|そんなこと(?:を)?)(?:言いましたか|言ったのですか|言った)"
    r")[？?。！!\s]*"
)


def names_nothing(question: str) -> bool:
    """Tell whether a question has words that ask and point alone, so that there is nothing to look for.

    "Who said so?" and "And in 2024?" are such: something else says what they are about. A word in capitals, and a word
    within the question with one, is a name.
    """
    if _UNSPACED_NAMING_NOTHING.fullmatch(question.strip()):
        return True
    words = [match.group() for match in _WORD.finditer(question)]
    shouted = question.isupper()
    joined = _JOINED.match(question) is not None
    timed = False
    for place, word in enumerate(words):
        plain = word.casefold().replace("’", "'")
        if plain.isdecimal() or plain in _TIME_WORDS:
            if not joined:
                return False
            timed = True
        elif plain not in _NAMING_NOTHING or (not shouted and _is_written_as_name(word, first=place == 0)):
            return False
    return bool(words) and not (timed and _ASKS_ITSELF.search(question))


def _is_written_as_name(word: str, *, first: bool) -> bool:
    if word == "I" or word.startswith(("I'", "I’")):
        return False
    return word[0].isupper() and (not first or (len(word) > 1 and word.isupper()))


def may_name_several(question: str) -> bool:
    """Tell whether a question has a word that joins parties, without which it asks for one alone."""
    return _JOINING.search(question) is not None


def may_ask_one_party(question: str) -> bool:
    """Tell whether a question may ask what somebody says: one that asks who or when, or names nobody, does not."""
    return _ASKS_NO_PARTY.match(question) is None or _SOMEBODY.search(question) is not None


def analyse(question: str) -> Asked:
    """Return what a question asks for."""
    return Asked(kind=_kind(question), wanted=_wanted(question))


def _kind(question: str) -> Kind:
    if _VIEWS.search(question):
        return Kind.VIEWS
    if _EXPLANATION.search(question):
        return Kind.EXPLANATION
    if _YES_NO.search(question) and not _ASKS_JAPANESE.search(question):
        return Kind.YES_NO
    return Kind.FACT


def _wanted(question: str) -> Wanted:
    for wanted, pattern in ((Wanted.NUMBER, _NUMBER), (Wanted.DATE, _DATE), (Wanted.NAME, _NAME)):
        if pattern.search(question):
            return wanted
    return Wanted.ANYTHING
