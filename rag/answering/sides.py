"""Whether a question asks what one party says, or each of several, and what it asks of each of them alone.

"What do Beijing and Tokyo say about the ban?" asks two things: what Beijing says about it, and what Tokyo does. That
is told by its form: parties joined before a verb of saying or judging, or around a noun such as "view". "When did
China and Japan sign the treaty?" has one answer, and stays as it is. "What does Beijing say about the ban?" asks one
party for its words, so that nobody else's answer it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.answering.parties import GOVERNMENTS, SPEAKER, is_title
from rag.answering.questions import may_name_several
from rag.index.lexical import mostly_unspaced


@dataclass(frozen=True, slots=True)
class Side:
    """A party that a question names, as it is written there, and the question put to that party alone.

    `topic` is what it is asked about; `says` tells that it is asked for its words, where deeds would not do.
    """

    party: str
    question: str
    topic: str
    says: bool = False


# What each does for itself, even where two are named. Who signs, meets, trades or agrees does it with the other.
_VERB = (
    r"(?-i:have to say|(?:say|think(?! tank)|argu|claim|contend|maintain|assert|alleg|stat|declar|respond|react|repl|"
    r"answer|justif|explain|describ|perceiv|regard|consider|assess|judg|interpret|evaluat|defend|propos|suggest|demand|want|"
    r"expect|hop|fear|report|comment|criticis|criticiz|condemn|oppos|support|reject|favour|favor|welcom|object|warn|call|"
    r"label|promis|predict|recommend|insist|accus|blam|characteris|characteriz|portray|complain|stress|emphasis|emphasiz|"
    r"conced|approach|plan|intend|distrust|advis|deni|believ|view|den)(?:e|es|ed|s|y|ies|ied|ing|ying|d|ted|ting|ten)?|"
    r"said|thought|sees?|saw|seen|seeing|feels?|felt|stand|account for|refer to|ma(?:k|d)es? of|ask for)\b"
)
_NOUN = (
    r"(?:views?|viewpoints?|points? of view|positions?|stances?|opinions?|attitudes?|approach(?:es)?|arguments?|"
    r"reactions?|responses?|repl(?:y|ies)|assessments?|perspectives?|standpoints?|justifications?|demands?|claims?|"
    r"explanations?|statements?|comments?|versions?|interpretations?|objections?|concerns?|takes?|reasons?|thoughts?|"
    r"criticisms?|complaints?|judge?ments?|sides? of (?:the|this) (?:story|argument)|expectations?|proposals?|"
    r"verdicts?)"
)
_GIVEN = (
    r"(?:give|given|offer|offered|name|named|cite|cited|make|made|put forward|advance|use|raise|raised|have|had|hold|"
    r"held|take|taken|express|expressed|voice|voiced)\b"
)
_DONE = (
    r"(?:said|seen|viewed|judged|described|regarded|explained|justified|assessed|defended|received|criticised|criticized|"
    r"perceived|interpreted|called|thought)"
)
_OVER = r"(?:on|about|over|regarding|concerning)"
_TO_OF = rf"(?:{_OVER}|towards?|to|with regard to|when it comes to)"
_ABOUT = rf"(?:{_OVER}|towards?|to|of|for|in|against|with re(?:gard|spect) to|when it comes to|as to)"
_EACH = r"(?:(?:each|both|respectively|officially|publicly|really|actually|now|currently|today|still|individually) )*"
# With "does", several names are one: Marks and Spencer.
_SEVERAL_DO = r"(?:do|did|have|had|(?P<be>are|were)|will|would|can|could|should|might)"
# What are their views? Behind "are", what may be a noun or a verb is a noun.
_NO_NOUN = rf"(?(be)(?!{_NOUN}\b|\w+s\b))"
_ONE_DOES = r"(?:what|how) (?:do|does|did|has|have) (?P<one>[^,?]+?)"
_OTHER = r"(?P<other>[^,?]+?)"
_POSSESSIVE = r"(?:['’]s?)"
_TELL = (
    r"(?:(?:please |can you |could you |would you )*(?:compare|contrast|summari[sz]e|describe|explain|outline|list|"
    r"give(?: me)?|tell me(?: about)?|show(?: me)?|present|set out|i(?: want| would like| need|['’]d like) to know) )"
)
_WHAT_IS = r"(?:what(?:['’]s| is| are| was| were) )"
_HOW_DO = r"(?:(?:how|where|in what (?:way|respect)s?) (?:do|does|did) )"
_ASKED = rf"(?:{_TELL}|{_WHAT_IS}|{_HOW_DO})*"
_WH = (
    r"(?:what|how|why|on (?:what|which) grounds|for (?:what|which) reasons?|in (?:what|which) terms|"
    rf"(?:what|which) {_NOUN}|where(?= (?:do|did) .* stand))"
)
_DIFFER = r"(?:differ|disagree|diverge|clash|argue|contrast|compare|part company)"
_UNLIKE = r"(?:versus|vs\.?|as opposed to|as against|compared (?:with|to)|in contrast (?:to|with)|unlike)"
_SAME = rf"(?: {_VERB}(?: {_ABOUT}? ?(?:it|that|this|them))?)?"
_MANY = re.compile(r"\b[a-z]+s$")  # the unions, Chinese officials; a name stands for one


def _says(match: re.Match[str], party: str) -> str:
    return f"{_say_of(party)} {match['topic']}?"


def _say_of(party: str) -> str:
    return f"What {'do' if _is_many(party) else 'does'} {party} say about"


def _is_many(party: str) -> bool:
    return _MANY.search(party) is not None and party.lower().removeprefix("the ") not in GOVERNMENTS


@dataclass(frozen=True, slots=True)
class _Form:
    """A form of question: `parties` (or `one` and `other`) are named groups, `put` makes a party's own question.

    Only with `lowercase`, the parties may be others than names.
    """

    pattern: str
    put: Callable[[re.Match[str], str], str]
    lowercase: bool = True

    def match(self, question: str) -> re.Match[str] | None:
        """Return how a question has this form; compiled when it is first needed, as few questions need it."""
        return re.compile(self.pattern, re.IGNORECASE).fullmatch(question)


def _in_its_place(match: re.Match[str], party: str) -> str:
    """Return the question with one party in the place of all, and the auxiliary that goes with one."""
    text, (start, end) = match.string, match.span("parties")
    before = text[:start]
    if not _is_many(party):
        before = re.sub(r"\b(do|have|are|were)\s+$", _alone, before, flags=re.IGNORECASE)
    return before + party + " " + text[end:].lstrip()


def _alone(match: re.Match[str]) -> str:
    return {"do": "does", "have": "has", "are": "is", "were": "was"}[match[1].lower()] + " "


def _in_ones_place(match: re.Match[str], party: str) -> str:
    """Return the clause about one party, with a party in its place."""
    start, end = match.span("one")
    clause_start, clause_end = match.span("clause")
    return match.string[clause_start:start] + party + match.string[end:clause_end] + "?"


_PARTIES = r"(?P<parties>.+?)"
_FORMS = (
    # What does China say about the water, and what does Japan (say)? What does China say about it, and Japan?
    _Form(
        rf"(?P<clause>{_ONE_DOES} {_VERB}(?P<topic>[^?]*?))(?:,|\?|,? (?:and|but|while))? "
        rf"(?:what|how) (?:do|does|did|has|have|about) {_OTHER}{_SAME}",
        _in_ones_place,
    ),
    _Form(rf"(?P<clause>{_ONE_DOES} {_VERB}(?P<topic>[^?,]*?)), and {_OTHER}", _in_ones_place),
    # What does China say about the water, unlike Japan?
    _Form(rf"(?P<clause>{_ONE_DOES} {_VERB}(?P<topic>[^?]*?)),? {_UNLIKE} {_OTHER}", _in_ones_place),
    # How does China differ from Japan on the ban? How does China's view of the ban differ from Japan's?
    _Form(rf"{_HOW_DO}(?P<one>[^,?]+?) {_DIFFER} (?:from|with) {_OTHER} {_OVER} (?P<topic>.+)", _says),
    _Form(
        rf"{_HOW_DO}(?P<one>[^,?]+?){_POSSESSIVE} {_NOUN} {_ABOUT} (?P<topic>[^?]+?) {_DIFFER} "
        rf"(?:from|with|to) (?:that of )?{_OTHER}{_POSSESSIVE}?(?: {_NOUN})?",
        _says,
    ),
    _Form(
        rf"{_HOW_DO}(?P<one>[^,?]+?){_POSSESSIVE} {_NOUN} {_DIFFER} (?:from|with|to) (?:that of )?{_OTHER}"
        rf"{_POSSESSIVE}?(?: {_NOUN})? {_ABOUT} (?P<topic>[^?]+?)",
        _says,
    ),
    # How do China and Japan differ (in their views) on the ban?
    _Form(rf"{_HOW_DO}{_PARTIES} {_EACH}{_DIFFER}(?: in their \w+)? {_OVER} (?P<topic>.+)", _says),
    # What do China and Japan say about the ban? Which reasons do they give for it?
    _Form(
        rf"(?P<lead>.*\W)?{_WH} {_SEVERAL_DO} {_PARTIES} {_EACH}(?:been )?{_NO_NOUN}{_VERB}(?P<topic>.*)",
        _in_its_place,
    ),
    _Form(rf"(?:what|which) {_NOUN} {_SEVERAL_DO} {_PARTIES} {_EACH}{_GIVEN}(?P<topic>.*)", _in_its_place),
    # Compare what China and Japan say about the ban.
    _Form(rf"{_TELL}?(?:what|how|why) {_PARTIES} {_EACH}(?:have |has |had )?{_VERB} {_ABOUT} (?P<topic>.+)", _says),
    # What are the views of China and Japan on the ban? How do they differ?
    _Form(
        rf"{_ASKED}(?:the )?(?:\w+ )??{_NOUN} (?:of|by|from|held by|taken by) {_PARTIES} "
        rf"{_TO_OF} (?P<topic>.+?)(?: {_DIFFER})?",
        _says,
    ),
    # What are China's and Japan's views on the ban? Compare the Chinese and the Japanese position on it.
    _Form(
        rf"{_ASKED}(?:(?:the )?differences? between )?(?P<parties>(?=[^?]*['’]|[^?]*\b[A-Z]\w+ and (?:the )?[A-Z]).+?)"
        rf"{_POSSESSIVE}? (?:\w+ )??{_NOUN} {_ABOUT} (?P<topic>.+?)(?: {_DIFFER})?",
        _says,
        lowercase=False,
    ),
    # What is the difference between China and Japan on the ban?
    _Form(
        rf"(?:{_TELL}|{_WHAT_IS})(?:the )?(?:differences?|disagreements?|dispute|contrast) between {_PARTIES} {_OVER} "
        r"(?P<topic>.+)",
        _says,
    ),
    # How is the ban seen by China and by Japan?
    _Form(
        rf"(?:what|how) (?:is|are|was|were|has been|have been) (?P<before>.+?)?(?: |\b){_DONE}"
        rf"(?: (?:about|of) (?P<topic>.+?))? by {_PARTIES}",
        lambda match, party: f"{_say_of(party)} {match['topic'] or match['before']}?",
    ),
    # China versus Japan on the ban. China and Japan on the ban.
    _Form(rf"(?P<one>[^,?]+?) (?:versus|vs\.?) {_OTHER}(?: {_OVER}|:) (?P<topic>.+)", _says, lowercase=False),
    _Form(rf"{_PARTIES} (?:on|about) (?P<topic>the .+)", _says, lowercase=False),
    # How many people died according to Israel and Hamas?
    _Form(
        r"(?P<lead>.*)\baccording to (?P<parties>(?:both )?[^,?]+? and (?:to )?[^,?]+?)(?P<topic>,.*)?",
        _in_its_place,
        lowercase=False,
    ),
)
# What does China say about the ban? How did it react to that? What is its view of it? Where does it stand on it?
_PARTY = r"(?P<parties>[^,?]+?)"
_TIME = (
    r"(?:the )?(?:\d|(?:mon|tues|wednes|thurs|fri|satur|sun)day|(?:jan|febr)uary|march|april|may \d|june|july|august|"
    r"(?:sept|nov|dec)ember|october|(?:first|last|next) |tv|television|twitter|x$|radio|stage)"
)
_MATTER = (
    r"(?:about|of(?! late)|regarding|concerning|with re(?:gard|spect) to|when it comes to|as to|"
    rf"o(?:n|ver)(?! {_TIME}))"
)
_LISTENER = r"(?: to (?-i:(?:the|his|her|its|their|reporters|journalists|parliament|[A-Z]\w*)\b[^,?]*?))?"
_TOLD = r"(?:tell|told|telling)"
_SAYS = rf"(?:{_VERB}{_LISTENER}|{_TOLD} (?!by\b)[^,?]+?)"
_JUDGES = (
    r"(?:(?:react|respond|repl(?:y|ied))(?:ed)? to|(?:comment|remark)(?:ed)? on|(?:feel|felt|think|thought) about|"
    r"(?:see|view|regard|judge|describe|assess|interpret|perceive|explain|justify|characteri[sz]e)(?:n|d|ed)?|"
    r"justified|saw)"
)
_ANYTHING = r"(?:say|said|comment(?:ed)?|speak|spoken|talk(?:ed)?)(?: anything| something)?"
_DOES = r"(?:do|does|did|has|have|had)"
_FORMS_OF_ONE = (
    rf"(?:.*\W)?what {_DOES} {_PARTY} {_EACH}{_SAYS} {_MATTER} (?P<topic>.+)",
    rf"(?:.*\W)?what (?:is|are|was|were) {_PARTY} {_EACH}(?=\w+ing\b){_SAYS} {_MATTER} (?P<topic>.+)",
    rf"{_TELL}what {_PARTY} {_EACH}(?:have |has |had )?{_SAYS} {_MATTER} (?P<topic>.+)",
    rf"{_DOES} {_PARTY} (?:ever |already )?{_ANYTHING}{_LISTENER} {_MATTER} (?P<topic>.+)",
    rf"(?:.*\W)?how {_DOES} {_PARTY} {_EACH}{_JUDGES} (?P<topic>.+)",
    rf"{_ASKED}{_PARTY}{_POSSESSIVE} (?:\w+ )?{_NOUN} (?:{_TO_OF}|of|against) (?P<topic>.+)",
    rf"{_ASKED}the (?:\w+ )?{_NOUN} (?:of|by|from|held by|taken by) {_PARTY} {_TO_OF} (?P<topic>.+)",
    rf"where {_DOES} {_PARTY} {_EACH}stand on(?! the list) (?P<topic>.+)",
)
_PEOPLE = re.compile(r"the [A-Z]\w*(?:ese|ish|ch|ans)|[A-Z]\w*(?:ese|icans|ians)")
# What one reads says what stands in it, by whatever name it, or who wrote it, is asked for.
_DOCUMENT = re.compile(
    r"\b(?:act|agreement|appendix|article|chapter|charter|clause|code|constitution|contract|convention|declaration|"
    r"directive|document|guidelines?|handbook|law|lease|letter|manual|memo|paper|policy|protocol|regulations?|report|"
    r"resolution|rules?|section|speaker|author|writer|statement|statute|study|survey|terms|treaty)\b",
    re.IGNORECASE,
)
_WORDS = re.compile(
    r"\b(?:say|said|saying|says|tell|told|argue|argued|claim|claimed|state|stated|reply|replied|comment|report|reported)\b"
)
# A question without any of these has none of the forms; cheaper to find out than each form.
_SAYING = re.compile(
    rf"\b(?:{_VERB}|{_ANYTHING}|{_TOLD}|remark|{_NOUN}\b|{_DIFFER}\b|vs|versus|accord|{_DONE}\b|on the|about the)",
    re.IGNORECASE,
)
_LONGEST = 400  # characters
_BEFORE_TOPIC = re.compile(rf"^[\s,]*(?:{_ABOUT}\s+)?", re.IGNORECASE)
_MOST_SIDES = 4
_MOST_WORDS = 8
_TOGETHER = re.compile(r"\b(?:together|jointly|joint|in concert|with one voice|as partners)\b", re.IGNORECASE)
_BETWEEN = re.compile(
    r"\s*,\s*and\s+|\s*,\s*|\s+(?:and|as well as)\s+(?:(?:of|by|to)\s+(?=the\b|[A-Z]))?", re.IGNORECASE
)
_NO_PARTY = re.compile(
    r"(?-i:(?!US\b))(?:who|whom|which|that|what|when|where|how|why|whose|if|because|you|i|we|he|she|it|they|them|us|him|one|there|as|"
    r"people|everyone|anyone|not|then|so|about|by|from|between|in|on|at|with|do|does|did|is|are|was|were|these|those|this|"
    r"\d\S*)\b",
    re.IGNORECASE,
)
# What no phrase has that names somebody.
_CLAUSE = re.compile(
    r"\b(?:think(?! tank)|thinks|say|says|want|wants|see|sees|would|did|does|was|were|is|are|[a-z]\w{3,}ing)\b"
)
_MINISTERS_OF = re.compile(r"((?:the )?(?:[a-z]\w* )*[a-z]\w*s (?:of|from|in)) (?:the )?[A-Z][\w ]*")
_DEMONYM = re.compile(r"(?:the )?([A-Z]\w*(?:ese|ish|an|ch|aqi|eli|ani|ali|eek|iss|ai)|US|EU|UK|U\.S\.)")


def split_sides(question: str) -> tuple[Side, ...]:
    """Return the parties of which a question asks what each of them says, each with its own question; else none."""
    if mostly_unspaced(question[:_LONGEST]):
        return _split_unspaced(question)
    plain = _plain(question)
    if len(plain) > _LONGEST or not may_name_several(plain) or not _SAYING.search(plain) or _TOGETHER.search(plain):
        return ()
    for form in _FORMS:
        match = form.match(plain)
        if match is None:
            continue
        parties = _parties_in(match, lowercase=form.lowercase)
        if parties:
            topic = " ".join(match.groupdict().get(name) or "" for name in ("lead", "before", "topic"))
            return tuple(
                Side(
                    party,
                    own := _closed(form.put(match, party), parties, party),
                    _BEFORE_TOPIC.sub("", topic).strip(" ,"),
                    _asks_for_words(own),
                )
                for party in parties
            )
    return ()


def one_side(question: str) -> Side | None:
    """Return the party of which a question asks what it says of something, and that; None if it asks anything else."""
    plain = _plain(question)
    if len(plain) > _LONGEST or mostly_unspaced(plain) or not _SAYING.search(plain):
        return None
    matches = (re.fullmatch(form, plain, re.IGNORECASE) for form in _FORMS_OF_ONE)
    match = next((match for match in matches if match and _may_speak(_bare(match["parties"]), lowercase=True)), None)
    if match is None or not _is_one(party := _bare(match["parties"])):
        return None
    return Side(party, question, match["topic"].strip(" ,"), _asks_for_words(plain))


def _is_one(party: str) -> bool:
    """Tell whether a party is named, and is one: no several, no group such as Japanese firms, and no document."""
    named = any(word[0].isupper() for word in party.split()) or (
        party.startswith("the ") and is_title(party.rsplit(maxsplit=1)[-1])
    )
    several = _BETWEEN.search(party) or _PEOPLE.fullmatch(party) or re.search(r"\b[a-z]\w*s$", party)
    return named and not several and not _DOCUMENT.search(party)


def _plain(question: str) -> str:
    return " ".join(question.split()).rstrip("?.!… ")


def _split_unspaced(question: str) -> tuple[Side, ...]:
    from rag.answering.sides_unspaced import match_unspaced

    found = match_unspaced(question) if len(question) <= _LONGEST else None
    if found is None or len(found[0]) > _MOST_SIDES:
        return ()
    parties, questions, topic = found
    return tuple(Side(party, own, topic) for party, own in zip(parties, questions, strict=True))


def _asks_for_words(question: str) -> bool:
    return _WORDS.search(question) is not None


def _parties_in(match: re.Match[str], *, lowercase: bool) -> list[str]:
    named = match.groupdict()
    if "one" in named:
        parts = [named["one"], named["other"]]
    else:
        parts = _BETWEEN.split(re.sub(r"^both (?:of )?", "", named["parties"].strip(), flags=re.IGNORECASE))
    parts = _with_shared_head([_bare(part) for part in parts])
    parts = list(dict.fromkeys(part for part in parts if part))
    if not 1 < len(parts) <= _MOST_SIDES or any(not _may_speak(part, lowercase=lowercase) for part in parts):
        return []
    return parts


def _bare(part: str) -> str:
    return re.sub(r"['’]s?$", "", re.sub(r"^(?:that|those) of ", "", part.strip(' "“”'))).strip()


def _with_shared_head(parts: list[str]) -> list[str]:
    """Return the parties, each with the noun that they share: the Chinese and Japanese ministers, those of both."""
    first, last = parts[0], parts[-1]
    if (of := _MINISTERS_OF.fullmatch(first)) and all(re.fullmatch(r"(?:the )?[A-Z]\w*", part) for part in parts[1:]):
        return [first, *(f"{of[1]} {part}" for part in parts[1:])]
    adjective = _DEMONYM.match(last)
    if adjective is None or not re.match(r" [a-z]", last[adjective.end() :]):
        return parts
    if not all(_DEMONYM.fullmatch(part) for part in parts[:-1]):
        return parts
    article = "the " if first.startswith("the ") else ""
    head = last[adjective.end() :]
    return [article + part.removeprefix("the ") + head for part in parts[:-1]] + [article + last.removeprefix("the ")]


def _may_speak(part: str, *, lowercase: bool) -> bool:
    """Tell whether a phrase can be who says something: a name, or people by what they are called."""
    words = part.split()
    body = [word for word in words if word.lower() not in {"the", "a", "an", "his", "her", "its", "their"}]
    if not body or len(words) > _MOST_WORDS or _NO_PARTY.match(part):
        return False
    if lowercase and " ".join(body).lower() in GOVERNMENTS:  # typed in haste: china and japan
        return True
    if _CLAUSE.search(part):
        return False
    if body[0][0].isupper() and (len(body) == 1 or any(word[0].isupper() for word in body[1:])):
        return True
    return lowercase and any(SPEAKER.fullmatch(word) for word in (*body, " ".join(body[-2:])))


def _closed(text: str, parties: Sequence[str], party: str) -> str:
    """Return a party's question with "each other" named, where there is one other, and its mark at the end."""
    others = [other for other in parties if other != party]
    if len(others) == 1:
        text = re.sub(r"\b(?:each other|one another)(['’]s?)?", lambda m: others[0] + (m[1] or ""), text)
    return text.rstrip("?. ") + "?"
