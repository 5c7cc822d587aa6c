"""Follow-ups: a question that leans on the turns before it becomes one that stands alone, by rules.

These lean: one that corrects ("I meant 2024"), one that is cut short ("And in 2024?", "Why?", "What about exports?",
"那日本呢？"), one with a word that points back ("Did he agree?", "When was that ban lifted?"), and one that names
nothing of its own. What they lean on is taken from the question before and from the sentences that its answer cited. A
question that names what it is about is left as it is, and is answered as if it were the first.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rag.answering.questions import ASKING, AUXILIARY
from rag.index.lexical import mostly_unspaced, terms


@dataclass(frozen=True, slots=True)
class Turn:
    """A question that was asked, as it was understood, with the sentences that its answer cited, best first.

    `short_answer` are the words that answered it, where it asked for one fact.
    """

    question: str
    evidence: tuple[str, ...] = ()
    short_answer: str | None = None


@dataclass(frozen=True, slots=True)
class Understood:
    """What a question means where it was asked: in words that stand alone, and what passages are looked for with.

    `query` is the question itself, or for one that leans on an earlier one that too, at half the weight. It is `sure`
    unless the question may as well have been meant as it was typed.
    """

    question: str
    query: str
    sure: bool = True


class _Role(StrEnum):
    PERSON = "person"
    PLACE = "place"
    GROUP = "group"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class _Name:
    text: str
    role: _Role


_AUXILIARY = f"{AUXILIARY}|isn't|aren't|wasn't|didn't|doesn't|don't"
_PREPOSITION = "in|on|at|to|from|of|for|by|with|about|between|among|during|since|until|after|before|under|over|into"
_ASKING = re.compile(
    rf"(?P<wh>(?:(?:{_PREPOSITION})\s+)?(?:{ASKING})\b.*?)"
    rf"\s+(?P<aux>{_AUXILIARY})\s+(?P<rest>.+)",
    re.IGNORECASE | re.DOTALL,
)
_BEGINS_WITH_AUXILIARY = re.compile(rf"(?P<aux>{_AUXILIARY})\s+(?P<rest>.+)", re.IGNORECASE | re.DOTALL)
# What people say before they ask, or without asking.
_COURTESY = (
    r"(?:ok(?:ay)?|(?:many )?thanks?(?: you)?(?: so much| very much| a lot| again)?|thx|ty|cheers|great|good|nice|cool|"
    r"sure|yes|right|well|hm+|oh|ah|wow|i see|got it|i understand|understood|by the way|also|interesting|perfect|"
    r"good to know)(?![\w’'-])[\s,.!]*"
)
_LEAD = re.compile(rf"^(?:{_COURTESY}|(?:and|but|so|then|or|now)\b,?\s+)+", re.IGNORECASE)
_NO_QUESTION = re.compile(
    rf"(?:{_COURTESY}|(?:no|hello|hi|hey|(?:good)?bye|that['’]?s all|nothing else)(?![\w’'-])[\s,.!]*)+", re.IGNORECASE
)
_BARE = re.compile(
    r"(?:but\s+|and\s+)?(?P<wh>why not|why|when exactly|since when|until when|when|where exactly|where to|where from|"
    r"where|how so|how come|how long|how often|how|by how much|how much|how many|by whom|with whom|to whom|who|which "
    r"ones?|what for)(?:\s+(?:is|was|did)\s+(?:that|this|it|so))?(?:\s+exactly)?\s*[?.!]*",
    re.IGNORECASE,
)
_SPEAKER = re.compile(
    r"(?:who (?:said|says|told|claims|claimed|reported|wrote)(?: you)? (?:so|that|this|it)|says who|according to whom"
    r"|who is saying (?:so|that|this))\s*[?.!]*",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"(?:what about|how about|what of|how's about|same (?:question )?for|and|or|but)\s+(?P<what>.+?)\s*[?.!]*",
    re.IGNORECASE | re.DOTALL,
)
_CORRECTION = re.compile(
    r"(?:(?:no|nope|oops|sorry|wait|actually|i(?:'m| am) sorry)\b[\s,.!]*)*"
    r"(?:i (?:meant|mean)(?: to say)?|make that|rather)\b[\s,:]*(?P<what>.+?)\s*(?:\b(?:please|pls)\b)?[?.!]*",
    re.IGNORECASE | re.DOTALL,
)
_DENIAL = re.compile(
    r"(?:no|nope|oops|sorry|wait)\b[\s,.!]+(?P<what>[\w$%.,'’ -]{1,60}?)(?:,? not (?P<old>[\w$%.,'’ -]+?))?\s*[?.!]*",
    re.IGNORECASE,
)
_ASKS = re.compile(
    rf"^\W*(?:(?:{_PREPOSITION})\s+)?(?:{ASKING}|{_AUXILIARY}|tell|explain|describe|"
    r"list|name|give|show|compare|please)\b",
    re.IGNORECASE,
)
_HE = re.compile(
    rf"\b(?:(?P<possessive>his|her(?=\s+\w)(?!\s+(?:{_PREPOSITION}|{_AUXILIARY}|and|or|there|again)\b))|he|she|him|her|"
    r"himself|herself)\b",
    re.IGNORECASE,
)
_THEY = re.compile(r"\b(?:(?P<possessive>their)|they|them|themselves|both of them)\b", re.IGNORECASE)
# "it" stands for nothing in "Is it true that …", "How long does it take to …".
_IT = re.compile(
    r"\b(?:(?P<possessive>its)|it(?!['’]?s?\s+(?:(?:not\s+)?(?:true|possible|likely|clear|correct|fair|legal|safe)\b|"
    r"takes?\s+to\b|seems?\b|that\b)))\b",
    re.IGNORECASE,
)
_THERE = re.compile(
    rf"(?<!\bis )(?<!\bare )(?<!\bwas )(?<!\bwere )(?<!\bbe )(?<!\bbeen )\bthere\b"
    rf"(?!\s+(?:is|are|was|were|{_AUXILIARY}|be|any|a|an)\b)",
    re.IGNORECASE,
)
_THEN = re.compile(
    r"\b(?:back |(?P<preposition>since |until |by )|at )?(?:then|that time|that (?:year|month|day)|the same year)\b",
    re.IGNORECASE,
)
_BEHIND_PREPOSITION = re.compile(rf"\b(?:{_PREPOSITION})\s+\Z", re.IGNORECASE)
_FUNCTION = rf"(?:^|{_PREPOSITION}|{_AUXILIARY}|and|or|but|than|if|as)\b\W*"
_POINTING = re.compile(
    rf"(?:(?<![\w])(?P<before>{_FUNCTION}))(?P<what>(?:this|that|these|those|the same|such)(?:\s+(?P<noun>[a-z][\w-]+)"
    rf"(?=[?.,!;:]|\s*$|\s+(?:{_PREPOSITION}|{_AUXILIARY}|and|or|be|been|[a-z]+ed|[a-z]+ing)\b))?)",
    re.IGNORECASE,
)
_COMPLEMENT = re.compile(
    r"(?:is|was|are|were|has|have|had|did|does|do|will|would|can|could|should|may|might)\b", re.IGNORECASE
)
_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_YEAR = re.compile(
    rf"\b(?:{_MONTH}\s+)?"
    r"(?:1[6-9]|20)\d\d\b|(?:(?:1[6-9]|20)\d\d|[去今明前昨来]|[〇一二三四五六七八九]{4})年(?:\d{1,2}月)?"
)
_PLAIN_YEAR = re.compile(r"\b(?:1[6-9]|20)\d\d\b")
_COUNTED = re.compile(r"\s+(?:[a-z]+s|people|men|women|children)\b")  # "the 2000 votes"
_UPPER = "A-ZÀ-ÖØ-Þ"
_NAME = re.compile(
    rf"(?<![\w])(?:[{_UPPER}][\w&'’.-]*\w|[{_UPPER}])(?:[ ](?:(?:of|for|de|van|von|al|bin)[ ](?:the[ ])?)?"
    rf"(?:[{_UPPER}][\w&'’.-]*\w|[{_UPPER}](?!\w)|No\.[ ]\d+|\d+(?![\w%])))*"
)
_NOT_NAMES = frozenset(
    """
    a about according after all also although an and any anybody anyone are as asked at because before both but by can
    could did do does each everybody everyone everything nobody nothing somebody someone something explain for from
    had has have he her his how if in is it its list many may might more most name no not of on one or our please
    several she should since so some such tell that the their then there these they this those to under was we were
    what when where which while who whom whose why will with would yes you i i'm do you
    """.split()  # noqa: SIM905  # a list of strings would be forty lines
)
_SPEECH = r"(?:said|says|told|asked|added|argued|noted|stressed|warned|called|pointed|expects?|believes?|thinks?|sees)"
_SPEAKS = re.compile(rf"^(?:,[^.;]{{1,120}}?,|,)?\s+(?:also\s+|then\s+)?{_SPEECH}\b", re.IGNORECASE)
_SPOKEN = re.compile(rf"(?:according to|{_SPEECH}|Mr|Mrs|Ms|Dr|Prof|President|Minister|Governor|Ambassador|Sir|Lord)"
                     r"[.,]?\s+$", re.IGNORECASE)  # fmt: skip
_AT = re.compile(r"\b(?:in|at|near|from|to|outside|inside|across)\s+(?:the\s+)?$", re.IGNORECASE)
_GROUP = re.compile(
    r"\b(?:Ministry|University|Institute|Company|Companies|Corporation|Bank|Organi[sz]ation|Association|Council|Party|"
    r"Times|News|Press|Academy|Center|Centre|Chamber|Federation|Union|Agency|Government|Group|Commission|Committee|"
    r"Department|Inc|Ltd|LLC|Office|Society|Court|House|Senate|Congress|Parliament|Treaty|Agreement|Act)\b|^[A-Z]{2,}\w*$"
)
_PEOPLE = re.compile(r"^[A-Z]\w+(?:ese|ish|ian|ians|ean|eans)$")
_PLACES = frozenset(
    """
    afghanistan africa america argentina asia australia austria bangkok bangladesh beijing belgium berlin brazil
    britain cambodia canada chile china colombia cuba denmark egypt england europe finland france fujian fukushima
    germany greece guangdong hokkaido hungary iceland india indonesia iran iraq ireland israel italy japan jordan
    kenya korea kyoto laos london macau malaysia mexico mongolia morocco moscow myanmar nepal netherlands nigeria
    norway okinawa osaka pakistan paris peru philippines poland portugal pyongyang romania russia scotland seoul
    shanghai singapore spain sweden switzerland syria taipei taiwan thailand tibet tokyo turkey ukraine us usa
    venezuela vienna vietnam wales washington
    """.split()  # noqa: SIM905  # as above
)
_PREPOSITIONAL = re.compile(
    r"(?P<preposition>for|in|on|at|to|from|of|by|with|since|until|during|under|after|before|about|against|through)\s+"
    r"(?P<rest>.+)",
    re.IGNORECASE,
)
_CALENDAR = re.compile(rf"(?:(?:Early|Mid|Late) )?(?:{_MONTH}|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)(?: \d+)*")
_PERIOD = "(?:year|month|week|quarter|decade|season|spring|summer|autumn|winter)"
_TIME = (
    rf"(?:(?:early|late|mid)[ -])?(?:{_MONTH}(?:\s+\d{{1,2}})?(?:,?\s+(?:of\s+)?(?:1[6-9]|20)\d\d)?"
    rf"|\d{{1,2}}\s+{_MONTH}(?:\s+(?:1[6-9]|20)\d\d)?|(?:1[6-9]|20)\d\d)\b"
    rf"|(?:the\s+)?(?:first|second|third|fourth|last)\s+(?:half|quarter)(?:\s+of\s+(?:1[6-9]|20)\d\d)?\b"
    rf"|(?:the\s+)?(?:(?:1[6-9]|20)\d0s|(?:last|this|next|same|previous|following)\s+{_PERIOD})\b"
)
_TIME_PART = re.compile(rf"(?P<preposition>(?i:in|on|at|since|until|during|by|after|before))\s+(?P<rest>{_TIME})")
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_RELATIVE = re.compile(
    rf"(?:(?:what|how) about\s+)?(?:in\s+)?(?:(?:the\s+)?(?:(?P<count>an?|\d\d?|{'|'.join(_NUMBERS)})\s+)?"
    rf"(?P<period>{_PERIOD})s?\s+(?:(?P<before>before|earlier)|after|later)(?:\s+that)?"
    rf"|(?:the\s+)?(?:(?P<previous>previous|preceding)|following|(?<=the\s)next)\s+(?P<named>{_PERIOD}))\s*[?.!]*",
    re.IGNORECASE,
)
_TIMED = re.compile(rf"\b(?:(?P<preposition>(?i:in|on|at|since|until|during|by|after|before))\s+)?(?P<rest>{_TIME})")
# What may stand between a preposition and a name that it goes with: "from mainland China".
_QUALIFIER = (
    rf"(?!(?:{_PREPOSITION}|{_AUXILIARY}|against|through|and|or|but|if|that|{ASKING})"
    r"\b)[a-z][\w-]*"
)
_OBJECT_ENDS = rf"(?=\s*[?.!,;]|\s*$|\s+(?:{_PREPOSITION}|against|through|and|or|but)\b)"
_WITH_OBJECT = re.compile(r"(?P<head>[a-z][\w-]+)\s+(?:to|from|of|for|by|with|between)\s+", re.IGNORECASE)
_PLAIN_OBJECT = re.compile(rf"\s+(?:to|from|of|for|by|with|between)\s+(?:the\s+)?{_NAME.pattern}")
_PLACING = frozenset({"in", "on", "at"})  # of place, time and matter alike
_WHERE = frozenset({"in", "on", "at", "to", "into"})
_BRACKETS = re.compile(r"(?P<head>.+?)\s*[(（](?P<inner>[^()（）]+)[)）]", re.DOTALL)
_CLAUSE_END = re.compile(r"[,;:.?!]\s|\b(?:and|but|if|when|that|because|whether)\s")
_LONG_PLACES = frozenset(
    {"hong kong", "united states", "united kingdom", "south korea", "north korea", "san francisco"}
)
_SHARED_ENDING = 4
_COMMON_ENDINGS = frozenset({"tion", "ment", "ness", "sion", "ings", "able", "ions", "ting", "ning", "ents"})
_ALIKE = 0.7
_SHORT_PART, _LONG_PART = 2, 5  # words
_PAIR = re.compile(r"\b[A-Z]\w+(?: [A-Z]\w+)* and [A-Z]\w+(?: [A-Z]\w+)*\b")
_SEVERAL = re.compile(
    r"\b(?:the |these |those )?(?:[A-Z]\w+ |[a-z]+(?:ese|ian|ish) )?(?:companies|firms|leaders|ministers|officials|"
    r"experts|analysts|people|interns|tourists|visitors|investors|exporters|students|workers|countries|governments|"
    r"scholars|businesses)\b",
    re.IGNORECASE,
)
_WHO_IS = re.compile(rf"(?i:who\s+(?:is|was)\s+)(?P<name>(?!(?i:the|a|an)\b){_NAME.pattern})\s*[?.!]*$")
_QUALIFIES = re.compile(rf"\s+(?!(?:{_PREPOSITION}|{_AUXILIARY}|and|or|who|as)\b)[a-z]")  # "Asia-Pacific analyst"
_WHAT_IS = re.compile(
    r"what\s+(?:is|are|was|were)\s+(?P<what>(?:(?!\b(?:did|does|do|that|who|which|for|used|difference)\b).){2,60})",
    re.IGNORECASE,
)
_NOUN_PHRASE = re.compile(
    rf"\b(?P<head>[a-z][\w-]+)\s+(?P<rest>(?:on|of|for|from|between|against|with|to)\s+"
    rf"(?:(?!\b(?:{_AUXILIARY}|and|that|which|who|after|before|when|because|but|said|in|at|during|by)\b)[\w’'-]+\s?){{1,6}})"
)
_KANA = re.compile(r"[\u3041-\u30ff]")
_ELLIPSIS = re.compile(
    r"(?:那么|那麼|那|还有|還有|至于|至於)?(?P<zh>[^，,？?]{1,20}?)(?:呢|怎么样|怎麼樣|又如何)[？?]?"
    r"|(?:では|じゃあ|それでは|それなら|で)?、?(?P<ja>[^、？?]{1,20}?)(?:について)?は(?:どう(?:です|でしょう)?か?)?[？?]"
)
_BARE_UNSPACED = re.compile(
    r"(?:但是?|可是|那)?(?:为什么|為什麼|为何|為何|什么时候|什麼時候|何时|何時|在?哪里|在?哪裡|谁|誰|谁说的|多少|怎么|怎麼|如何|なぜ|"
    r"どうして|いつ|どこ|だれ|いくら|どのように|何人|いくつ)(?:ですか|でしたか|呢|なの|か)?[？?。]?"
)
_POINTING_UNSPACED = re.compile(
    r"[他她它]们|[他她它]們|[他她它]|[这這那][个個些次项項种種时時里裡]|该(?=[\u4e00-\u9fff])|其(?![他中实它])|"
    r"彼女(?!ら)|彼(?![方岸女ら])|彼ら|それ|これ|その|この|そこ|当時|同社|同国|同氏"
)
_UNSPACED_PLACE = re.compile(
    r"中国|中國|日本|美国|美國|米国|アメリカ|韩国|韓国|香港|台湾|臺灣|台灣|欧盟|东盟|英国|法国|德国|俄罗斯|ロシア|印度|インド|"
    r"北京|东京|東京|上海|首尔|ソウル|冲绳|沖縄|福建|夏威夷|旧金山|舊金山|サンフランシスコ|ワシントン|华盛顿"
)
# Words that any question has; what is left over names what it is about.
_EMPTY = frozenset(terms(
    "did do is are was were has have had can could will would should may might must about much many long often "
    "exactly happen tell me you know please more else other another thing so just really actually some any only "
    "still also mean say said does get got give anything something one ones i we us my your our he she him her his "
    "they them it its this that these those there then happened"
))  # fmt: skip


def understand(question: str, turns: Sequence[Turn]) -> Understood:
    """Return what a question means after the turns before it, the last of them being the nearest."""
    typed = " ".join(question.split())
    if not turns or not typed:
        return Understood(question, question)
    if mostly_unspaced(typed):
        leaning = _unspaced(typed, turns)
    else:
        leaning = _cut_short(typed, turns) or _whole(_LEAD.sub("", typed) or typed, turns)
    if leaning is None:
        return Understood(question, question)
    whole, behind = leaning.text, leaning.behind
    if behind:
        earlier = _behind(turns)
        brackets = "（{}）" if mostly_unspaced(whole) else " ({})"
        return Understood(whole + brackets.format(earlier), f"{whole} {earlier} {whole}", leaning.sure)
    return Understood(whole, whole if leaning.made_of_last else f"{whole} {turns[-1].question} {whole}")


def asks_nothing(text: str) -> bool:
    """Tell whether a text only greets, thanks, agrees or declines."""
    return _NO_QUESTION.fullmatch(text.strip()) is not None


def points_nowhere(question: str) -> str | None:
    """Return the pronoun of a question without a turn before it that stands for somebody whom it does not name."""
    for pattern in (_HE, _THEY):
        match = pattern.search(question)
        if match is not None and not any(term not in _EMPTY for term in terms(question[: match.start()])):
            return match.group()
    return None


@dataclass(frozen=True, slots=True)
class _Leaning:
    """A question with what it leans on put in; if that is not the whole, it stays `behind` it in brackets."""

    text: str
    behind: bool = False
    made_of_last: bool = False
    sure: bool = True


def _behind(turns: Sequence[Turn]) -> str:
    """Return the question that the turns go back to: of one that stands before another in brackets, the other."""
    last = turns[-1].question.strip()
    match = _BRACKETS.fullmatch(last)
    return match["inner"] if match else last


# English, and whatever else puts blanks between words


def _cut_short(typed: str, turns: Sequence[Turn]) -> _Leaning | None:
    """Return what a correction or an ellipsis means; None if it is neither."""
    last = turns[-1]
    bare = _LEAD.sub("", typed) or typed
    correction = _CORRECTION.fullmatch(typed)
    instead = correction or _DENIAL.fullmatch(typed) or _INSTEAD.fullmatch(typed)
    leaning = None
    if (beside := _a_year_off(bare, last)) is not None:
        leaning = _Leaning(beside, made_of_last=True)
    elif instead and _is_part(instead["what"]):
        what = _resolved(instead["what"], turns)
        corrected, old = instead.re is not _INSTEAD, instead.groupdict().get("old")
        leaning = _replaced(what, last, corrected=corrected, old=old)
    elif correction:
        leaning = _Leaning(correction["what"], behind=True)
    elif _SPEAKER.fullmatch(bare) and not last.evidence:
        leaning = _Leaning(bare, behind=True)  # nothing was said
    elif _SPEAKER.fullmatch(bare):
        leaning = _Leaning(f"Who said that {_inside(_clause(last))}?", made_of_last=True)
    elif match := _BARE.fullmatch(bare):
        leaning = _Leaning(_asked_of(match["wh"], last), made_of_last=True)
    elif typed.endswith("?") and _is_short(bare.rstrip("?.! ")):
        leaning = _replaced(bare.rstrip("?.! "), last)
    return leaning


def _whole(asked: str, turns: Sequence[Turn]) -> _Leaning | None:
    """Return what a question with a verb of its own means; None if it leans on nothing."""
    if (pointed := _pointed(asked, turns)) is not None:
        return pointed
    if len([term for term in terms(asked) if term not in _EMPTY]) <= 1:
        return _Leaning(asked, behind=True)
    named = _YEAR.search(asked) is not None or any(True for _ in _names(asked))
    return None if named and _ASKS.match(asked) else _Leaning(asked, behind=True, sure=False)


def _is_short(text: str) -> bool:
    """Tell whether a text is a part of a question by its length, or by the preposition that it begins with."""
    return _is_part(text) and (len(text.split()) <= _SHORT_PART or _PREPOSITIONAL.fullmatch(text) is not None)


def _is_part(text: str) -> bool:
    """Tell whether a text is a part of a question, not one of its own."""
    if _TIME_PART.fullmatch(text):
        return True
    return (
        len(text.split()) <= _LONG_PART
        and not _ASKS.match(text)
        and not re.match(r"(?:i|we|you|he|she|it|they|if|that)\b", text, re.IGNORECASE)
        and (not re.match(r"to\b", text, re.IGNORECASE) or _kind(text) is not None)
        and not re.search(r"[.?!]\s", text)
    )


def _asked_of(wh: str, last: Turn) -> str:
    """Return a question word put before what the last question was about: "Why?" → "Why did China ban seafood?"."""
    wh = "Why" if wh.casefold() in {"how so", "how come", "what for", "why not"} else wh[0].upper() + wh[1:]
    asked = _without_brackets(last.question)
    match = _ASKING.fullmatch(asked)
    same = match is not None and match["wh"].casefold().startswith(wh.casefold().removesuffix(" exactly"))
    if same or (match is None and not _BEGINS_WITH_AUXILIARY.fullmatch(asked)):
        # It was just asked, or has no verb to be asked with: what the answer said is in question.
        return f"{wh}: {_clause(last)}?"
    if match is not None:
        return f"{wh} {match['aux'].lower()} {match['rest']}?"
    return f"{wh} {asked[0].lower()}{asked[1:]}?"


def _clause(last: Turn) -> str:
    """Return what the last answer said, or what the last question asked, without a full stop."""
    return last.evidence[0].strip().rstrip(".!?。") if last.evidence else _without_brackets(last.question)


def _inside(sentence: str) -> str:
    """Return a sentence as it stands within another: without a capital, unless it begins with a name."""
    first = re.match(r"[A-Z][a-z]*(?=\s)", sentence)
    return sentence[0].lower() + sentence[1:] if first and first[0].casefold() in _NOT_NAMES - {"i"} else sentence


def _without_brackets(question: str) -> str:
    match = _BRACKETS.fullmatch(question.strip())
    return (match["head"] if match else question).strip().rstrip("?.!。？ ")


def _replaced(what: str, last: Turn, *, corrected: bool = False, old: str | None = None) -> _Leaning:
    """Return the last question with a part of it replaced by `what`, the part that is most like it."""
    what = what.strip(" ,.?!")
    asked = _LEAD.sub("", last.question.strip()) or last.question
    asked = asked[0].upper() + asked[1:]
    if old is not None and old in asked:
        return _Leaning(asked.replace(old, what), made_of_last=True)
    if (timed := _timed(what, asked)) is not None:
        return _Leaning(timed, made_of_last=True)
    match = _PREPOSITIONAL.fullmatch(what)
    core, preposition = (match["rest"], match["preposition"]) if match else (what, None)
    if preposition is not None and (slot := _slot(preposition, core, asked)) is not None:
        return _Leaning(asked[: slot[0]] + core + asked[slot[1] :], made_of_last=True)
    place = _place_of(core, asked, preposition=preposition, corrected=corrected)
    if place is not None:
        start, end = place
        return _Leaning(asked[:start] + core + asked[end:], made_of_last=True)
    if _YEAR.fullmatch(core) or preposition is not None:
        return _Leaning(f"{asked.rstrip('?.! ')} {preposition or 'in'} {core}?", made_of_last=True)
    return _Leaning(f"What about {what}?", behind=True)


def _a_year_off(bare: str, last: Turn) -> str | None:
    """Return the last question of the year before or after its one: "And the winter before?"; else None."""
    match, years = _RELATIVE.fullmatch(bare), list(_PLAIN_YEAR.finditer(last.question))
    if match is None or len(years) != 1 or _COUNTED.match(last.question, years[0].end()):
        return None
    period = (match["period"] or match["named"]).casefold()
    if period != "year" and (period not in last.question.casefold() or match["count"]):
        return None
    (year,) = years
    count = (match["count"] or "a").casefold()
    away = int(count) if count.isdecimal() else _NUMBERS.index(count) + 1 if count in _NUMBERS else 1
    other = int(year.group()) + (-away if match["before"] or match["previous"] else away)
    return f"{last.question[: year.start()]}{other}{last.question[year.end() :]}"


def _timed(what: str, asked: str) -> str | None:
    """Return a question with another time, in the place of the last one in it; None if one of the two has none."""
    new, olds = _TIME_PART.fullmatch(what), list(_TIMED.finditer(asked))
    if new is None or not olds:
        return None
    old = olds[-1]
    start = old.start() if old["preposition"] else old.start("rest")
    text = f"{new['preposition'].lower()} {new['rest']}" if old["preposition"] else new["rest"]
    if start == 0:
        text = text[0].upper() + text[1:]
    return asked[:start] + text + asked[old.end() :]


def _slot(preposition: str, core: str, asked: str) -> tuple[int, int] | None:
    """Return the slice of a question that stands behind the same preposition, and is no time.

    Of several, that of the same kind; behind "in", "on" and "at", which say where, when and in what, only that.
    """
    behind = rf"\b{re.escape(preposition)}\s+"
    named = rf"(?:(?:the|a|an)\s+)?(?:{_QUALIFIER}\s+){{0,2}}?{_NAME.pattern}"
    plain = rf"{_QUALIFIER}(?:\s+{_QUALIFIER}){{0,3}}{_OBJECT_ENDS}"
    found = re.finditer(rf"(?i:{behind})(?P<rest>{named}|{plain})", asked)
    slots = [match for match in found if not _TIMED.fullmatch(match["rest"])]
    kind = _kind(core)
    same = [match for match in slots if _kind(match["rest"]) is kind]
    chosen = same or ([] if preposition.casefold() in _PLACING else slots)
    return chosen[0].span("rest") if chosen else None


def _may_follow(preposition: str, asked: str, match: re.Match[str]) -> bool:
    """Tell whether a name may give its place to one behind a preposition: it stands behind none, or one as near."""
    before = re.search(rf"\b({_PREPOSITION})\s+(?:the\s+)?$", asked[: match.start()], re.IGNORECASE)
    if before is None:
        return True
    one, other = preposition.casefold(), before[1].casefold()
    return one == other or {one, other} <= _WHERE


def _kind(phrase: str) -> _Role | None:
    """Return what a name in a phrase is the name of; None if there is no name in it."""
    names = list(_name_matches(phrase))
    return _role_of(names[-1].group(), "", "") if names else None


def _place_of(core: str, asked: str, *, preposition: str | None, corrected: bool) -> tuple[int, int] | None:
    """Return the slice of a question that another part can take the place of."""
    if _YEAR.fullmatch(core):
        years = list(_YEAR.finditer(asked))
        return years[-1].span() if years else None
    names = [match for match in _name_matches(asked) if preposition is None or _may_follow(preposition, asked, match)]
    if _NAME.fullmatch(core.removeprefix("the ").removeprefix("The ")):
        behind = rf"\b{re.escape(preposition or '')}\s+(?:the\s+)?$"
        same_place = [m for m in names if preposition and re.search(behind, asked[: m.start()], re.IGNORECASE)]
        alike = [m for m in names if corrected and _ratio(m.group(), core) >= _ALIKE]
        role = _role_of(core, "", "")
        same = [m for m in names if _role(m, asked) is role]
        # A name of which nothing is known is a person's more often than a place's.
        person = [m for m in names if role is _Role.UNKNOWN and _role(m, asked) is _Role.PERSON]
        found = same_place or alike or person or same or (names[-1:] if corrected else [])
        return found[0].span() if found else None
    words = [match for match in re.finditer(r"[\w-]+", asked) if terms(match.group())]
    if preposition is None and (match := _WITH_OBJECT.match(core)):
        for word in words:
            if _akin(word.group().casefold(), match["head"].casefold(), corrected=corrected):
                tail = _PLAIN_OBJECT.match(asked, word.end())
                return word.start(), tail.end() if tail else word.end()
    last = core.casefold().rpartition(" ")[2]
    if any(terms(match.group()) == terms(last) for match in words):
        alike = [m for m in words if corrected and m.group().casefold() == last]
        if len(core.split()) == 1 or not alike:
            return None  # it is asked about already
        narrowed = asked[: alike[0].start()].rstrip().rpartition(" ")[2]
        near = _ratio(f"{narrowed} {last}", core) >= _ALIKE
        return (alike[0].start() - len(narrowed) - 1 if near else alike[0].start()), alike[0].end()
    akin = [m for m in words if _akin(m.group().casefold(), last, corrected=corrected)]
    return akin[0].span() if akin and len(core.split()) == 1 else None


def _akin(one: str, other: str, *, corrected: bool) -> bool:
    """Tell whether two words may stand in one another's place: imports and exports, or one and its misspelling."""
    ending = min(len(one), len(other)) > _SHARED_ENDING and one[-_SHARED_ENDING:] == other[-_SHARED_ENDING:]
    if ending and one[-_SHARED_ENDING:] not in _COMMON_ENDINGS:
        return True
    return corrected and _ratio(one, other) >= _ALIKE


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one.casefold(), other.casefold(), autojunk=False).ratio()


def _resolved(text: str, turns: Sequence[Turn]) -> str:
    pointed = _pointed(text, turns)
    return text if pointed is None or pointed.behind else pointed.text


def _pointed(text: str, turns: Sequence[Turn]) -> _Leaning | None:
    """Return a text with what points back replaced by what it points at; None if nothing does."""
    found = behind = False
    for pattern, resolve in ((_HE, _person), (_THEY, _group), (_IT, _thing), (_THERE, _place), (_THEN, _time)):
        match = pattern.search(text)
        if match is None or _stands_before(text[: match.start()], pattern):
            continue
        found = True
        named = resolve(turns)
        if named is None:
            behind = True
        else:
            text = _named(pattern, text, named)
    for match in _POINTING.finditer(text):
        noun, before = match["noun"], text[: match.start("what")]
        if noun is None and match["what"].casefold() == "that" and text[match.end("what") :].strip(" ?.!,"):
            continue  # before a name or a pronoun, it begins a clause
        if noun is not None and (_COMPLEMENT.fullmatch(noun) or re.search(rf"\b{noun}\b", before, re.IGNORECASE)):
            continue
        phrase = None if noun is None else _phrase_of(noun, turns[-1])
        if phrase is None:
            return _Leaning(text, behind=True)
        return _Leaning(before + phrase + text[match.end("what") :], behind=behind)
    return _Leaning(text, behind=behind) if found else None


def _named(pattern: re.Pattern[str], text: str, named: str) -> str:
    def put(match: re.Match[str]) -> str:
        if pattern is _THEN:
            return f"{match['preposition'] or 'in '}{named}"
        if pattern is _THERE:
            return named if _BEHIND_PREPOSITION.search(text[: match.start()]) else f"in {named}"
        if match.groupdict().get("possessive"):
            return f"{named}'" if named.endswith("s") else f"{named}'s"
        return named

    return pattern.sub(put, text, count=1)


def _stands_before(text: str, pattern: re.Pattern[str]) -> bool:
    """Tell whether what a pronoun stands for is named before it in the same question: by a name, or in a clause."""
    names = [name for name in _names(text) if pattern is not _HE or name.role in (_Role.PERSON, _Role.UNKNOWN)]
    if names and (pattern is _HE or (pattern is _THEY and (len(names) > 1 or _SEVERAL.search(text)))):
        return True
    clause = _CLAUSE_END.search(text)
    return clause is not None and len([term for term in terms(text[: clause.start()]) if term not in _EMPTY]) > 1


# Names


def _names(text: str) -> Iterator[_Name]:
    for match in _name_matches(text):
        yield _Name(match.group(), _role(match, text))


def _name_matches(text: str) -> Iterator[re.Match[str]]:
    for match in _NAME.finditer(text):
        if _CALENDAR.fullmatch(match.group()):
            continue
        words = match.group().split()
        first = words[0].casefold()
        begins = re.search(r"(?:^|[.!?:]\s+)[\"'“‘]?$", text[: match.start()])
        if first not in _NOT_NAMES and not (begins and len(words) == 1 and first.endswith(("ing", "ly", "ed"))):
            yield match
        elif len(words) > 1 and (inner := _NAME.search(text, match.start() + len(words[0]) + 1, match.end())):
            yield inner


def _role(match: re.Match[str], text: str) -> _Role:
    return _role_of(match.group(), text[: match.start()], text[match.end() :])


def _role_of(name: str, before: str, after: str) -> _Role:
    words = name.casefold().removeprefix("the ").split()
    if words[-1] in _PLACES or " ".join(words) in _LONG_PLACES:
        return _Role.PLACE
    if _GROUP.search(name) or _PEOPLE.search(name):
        return _Role.GROUP
    if _SPEAKS.match(after) or _SPOKEN.search(before):
        return _Role.PERSON
    return _Role.PLACE if _AT.search(before) else _Role.UNKNOWN


def _known(turn: Turn) -> Iterator[_Name]:
    """Yield the names of a turn, the most telling first: the short answer's, the question's, what was cited."""
    if match := _WHO_IS.match(turn.question):
        yield _Name(match["name"], _Role.PERSON)
    asked_who = re.search(r"\bwhom?\b", turn.question, re.IGNORECASE)
    answer = turn.short_answer or ""
    for match in _name_matches(answer):
        role = _role(match, answer)
        person = asked_who and role is _Role.UNKNOWN and not _QUALIFIES.match(answer[match.end() :])
        yield _Name(match.group(), _Role.PERSON if person else role)
    yield from _names(turn.question)
    for sentence in turn.evidence:
        yield from _names(sentence)


def _person(turns: Sequence[Turn]) -> str | None:
    """Return who "he" or "she" is: someone who speaks or was asked for, else a name that is no place's or group's."""
    for turn in reversed(turns):
        known = list(_known(turn))
        persons = {name.text for name in known if name.role is _Role.PERSON}
        asked = [name for text in (turn.short_answer or "", turn.question) for name in _names(text)]
        asked = [name for name in asked if name.role is _Role.UNKNOWN]
        for name in [*(name for name in known if name.text in persons), *asked]:
            return max(
                (other.text for other in known if other.text.endswith(f" {name.text}")), key=len, default=name.text
            )
    return None


def _group(turns: Sequence[Turn]) -> str | None:
    """Return who "they" are: two names in the last question, several people, or a group by its name."""
    asked = turns[-1].question
    pair = _PAIR.search(asked)
    if pair and all(word.casefold() not in _NOT_NAMES for word in pair.group().split() if word != "and"):
        return pair.group()
    several = _SEVERAL.search(asked)
    if several:
        return several.group()
    groups = list(dict.fromkeys(name.text for name in _names(asked) if name.role is _Role.GROUP))
    return groups[0] if len(groups) == 1 and not groups[0].isupper() else None


def _thing(turns: Sequence[Turn]) -> str | None:
    """Return what "it" is: what was asked for the meaning of, or the only name, if it is no person's or place's."""
    asked = _without_brackets(turns[-1].question)
    match = _WHAT_IS.fullmatch(asked)
    if match:
        return match["what"]
    names = list(_names(asked))
    return names[0].text if len(names) == 1 and names[0].role is _Role.GROUP else None


def _place(turns: Sequence[Turn]) -> str | None:
    for turn in reversed(turns):
        for name in _known(turn):
            if name.role is _Role.PLACE:
                return name.text
    return None


def _time(turns: Sequence[Turn]) -> str | None:
    for turn in reversed(turns):
        for text in (turn.short_answer or "", turn.question, *turn.evidence):
            match = _YEAR.search(text)
            if match:
                return match.group()
    return None


def _phrase_of(noun: str, last: Turn) -> str | None:
    """Return the noun with what the last turn said of it: "that ban" → "the ban on all seafood from Japan"."""
    wanted = terms(noun)
    for text in (*last.evidence, last.question):
        for match in _NOUN_PHRASE.finditer(text):
            if wanted and terms(match["head"])[-1:] == wanted[-1:]:
                return f"the {noun} {match['rest'].strip()}"
    return None


# Chinese and Japanese, which put no blanks between words and mark no names


def _unspaced(typed: str, turns: Sequence[Turn]) -> _Leaning | None:
    last = turns[-1]
    if match := _ELLIPSIS.fullmatch(typed):
        return _replaced_unspaced((match["zh"] or match["ja"]).strip("、，"), last)
    if _BARE_UNSPACED.fullmatch(typed):
        return _Leaning(typed, behind=True)
    pointing = _POINTING_UNSPACED.search(typed)
    if pointing is None:
        named = _UNSPACED_PLACE.search(typed) or _YEAR.search(typed)
        return None if named else _Leaning(typed, behind=True, sure=False)
    if last.short_answer and re.search(r"谁|誰|だれ", last.question) and pointing.group() in {"他", "她", "彼", "彼女"}:
        return _Leaning(typed[: pointing.start()] + last.short_answer + typed[pointing.end() :])
    return _Leaning(typed, behind=True)


def _replaced_unspaced(what: str, last: Turn) -> _Leaning:
    asked = last.question.strip()
    for kind in (_YEAR, _UNSPACED_PLACE):
        core = what.removeprefix("在")
        if kind.fullmatch(core) and (found := kind.search(asked)):
            return _Leaning(asked[: found.start()] + core + asked[found.end() :], made_of_last=True)
    if len(what) == 2 and what not in asked:  # noqa: PLR2004  # a pair: 进口 and 出口, 輸入 and 輸出 share one sign
        for match in re.finditer(r"(?=([\u4e00-\u9fff]{2}))", asked):
            if sum(a == b for a, b in zip(match[1], what, strict=True)) == 1:
                return _Leaning(asked[: match.start()] + what + asked[match.start() + 2 :], made_of_last=True)
    return _Leaning(f"{what}はどうですか？" if _KANA.search(asked) else f"{what}呢？", behind=True)
