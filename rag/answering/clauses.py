"""Who is the subject of what, told by the words of a sentence alone: no parser, and only as far as speakers need it.

A phrase is the subject where a verb comes behind it, right away or behind what is put in between ("Tokyo, angered by
the ban, lodged …"), or where a verb of saying stands before it behind a quote ("…," said Runa Tveit).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from rag.answering.parties import GOVERNMENTS, OFFICE, SPEAKER, TITLES
from rag.answering.wording import word_key


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


POSSESSIVE = frozenset(["'s", "’s", "'", "’"])
_TOKEN = re.compile(r"(?:[^\W\d_]\.){2,}|[^\W_]+(?:[-–][^\W_]+)*|['’]s?(?!\w)|[^\w\s]")
_QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"")
_STANCE = frozenset(
    word_key(word)
    for word in _set(
        """
        accept accuse acknowledge add admit advise agree allege announce answer appeal appear argue ask assert
        believe blame call caution charge claim complain concede conclude condemn confirm consider contend
        contradict counter criticise criticize declare decline defend demand deny describe disagree dismiss dispute
        doubt emphasise emphasize estimate expect explain express favor favour fear find hold hope insist intend
        invite justify lodge maintain mention name note object observe offer oppose plan pledge point praise
        predict prefer promise propose protest react reaffirm recall recommend refuse regard regret reject
        remark repeat reply report respond retort rule say see seek speak stand state stress suggest support
        suspect take tell think threaten turn underline understand urge view voice want warn welcome wish write
        """
    )
)
_AUXILIARY = _set("has had is was were are have do does did will would can could should may might must not used")
_MAY = _set("will would should could might must can may")
_PAST = _set(
    """
    became began broke brought built came chose cut drew fell felt fought found gave got grew held hit kept knew
    laid led left lent let lost made met paid put ran rose said saw sent set shut sold spent spoke stood struck stuck
    swore thought threw told took understood went withdrew won wrote
    """
)
# With "is" or "was", as good as a verb of judging.
_ATTITUDE = _set(
    """
    afraid against angry calm careful cautious certain concerned confident convinced critical disappointed dissatisfied
    glad happy hopeful opposed optimistic pessimistic pleased proud ready relieved satisfied sceptical skeptical sure
    surprised unhappy willing worried
    """
)
_DEGREE = _set("more less very rather quite been to not so")
_FINITE = re.compile(r"[a-z]+(?:ed|es|s)")
_ADVERB = re.compile(r"\w+ly|also|again|then|never|not|still|already|since|now|later|too|however|once|twice|both|all")
_PREPOSITION = _set(
    """
    of on in with among from to by for against about between at over under towards toward into after before during
    through without within like than via near behind
    """
)
_ENDS_PHRASE = _PREPOSITION | _AUXILIARY | _PAST | {"and", "or"}
_STARTS_CLAUSE = _set("but while whereas although though however meanwhile then yet so") | {";", ":", "—", "–"}
_ARTICLE = _set("the a an both and")
_HIS = _set("the its his her their")
_PRONOUN = _set("he she it they")
_MONTHS = _set(
    """
    january february march april may june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday
    """
)
_QUALIFIES = _set("of from at for with")
_MARKUP = frozenset("*_-•.")
_OPENS = frozenset([",", "(", "—", "–"])
_CLOSES = frozenset([",", ")", "—", "–"])
_BREAKS = frozenset([";", ":", "“", "”", '"', "?", "!"])
_BEHIND_QUOTE = frozenset([",", '"', "”", "?", "!"])
_IN_THE_VIEW = _set("view opinion eyes point perspective words account")
_FAR = 12  # words; what is put in between is seldom longer than twice as many
_NEAR = 6


class Speaks(IntEnum):
    """How somebody speaks in a sentence: not at all, as another tells, by what is named after them, or themselves."""

    NOT = 0
    AS_TOLD = 1
    NAMED = 2
    ACTS = 3
    SAYS = 4


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a mark of a sentence, with the key that a word is compared by."""

    text: str
    key: str

    @property
    def plain(self) -> str:
        """Return the word in small letters."""
        return self.text.lower()

    @property
    def word(self) -> bool:
        """Tell whether this is a word."""
        return self.text[0].isalnum()

    @property
    def capital(self) -> bool:
        """Tell whether this begins with a capital."""
        return self.text[0].isupper()

    @property
    def says(self) -> bool:
        """Tell whether this is a verb of saying or judging, as it follows a subject."""
        return self.key in _STANCE and self.finite

    @property
    def finite(self) -> bool:
        """Tell whether this may be the verb that follows a subject."""
        return self.text in _AUXILIARY or self.text in _PAST or _FINITE.fullmatch(self.text) is not None

    @property
    def named(self) -> bool:
        """Tell whether this is part of a name."""
        return self.word and self.capital and self.plain not in _MONTHS


@lru_cache(maxsize=4096)
def tokens_of(sentence: str) -> tuple[Token, ...]:
    """Return the words and marks of a sentence; of what is quoted in it only the marks, as others are named there."""
    unquoted = _QUOTED.sub(lambda match: f"{match[0][0]} {match[0][-1]}", sentence)
    return tuple(
        Token(match.group(), word_key(match.group().casefold().replace(".", ""))) for match in _TOKEN.finditer(unquoted)
    )


def without_quotes(text: str) -> str:
    """Return a text without what is quoted in it."""
    return _QUOTED.sub("", text)


def phrase_around(
    tokens: Sequence[Token], start: int, end: int, *, adjective: bool = False, role: bool = False
) -> tuple[int, int] | None:
    """Return the phrase that names someone by a party's name, as its minister; None if it names a thing of it.

    The name is at `start` to `end`. An `adjective` is no party by itself: "Chinese exports rose". A `role` has the name
    of whoever has it behind it: "Mayor Ada Brandt".
    """
    # "the ministry of X", "the chairman of X": what stands before decides.
    before = _preposition_before(tokens, start)
    if before is not None and not (before in {"of", "at", "for"} and _someone_before(tokens, start)):
        return None
    follows = tokens[end] if end < len(tokens) else None
    possessive = follows is not None and follows.text in POSSESSIVE
    head = None
    for place in range(end + possessive, min(end + possessive + _NEAR, len(tokens))):
        token = tokens[place]
        if not token.word or token.plain in _ENDS_PHRASE or token.says:
            break
        if is_office(token) or (token.named and (head is not None or possessive or role)):
            head = place + 1
    if head is not None:
        return start, head
    if possessive or (follows is not None and follows.word and follows.capital):
        return None
    the = start > 0 and tokens[start - 1].plain == "the"
    if adjective and not (the and follows is not None and follows.finite):
        return None
    return start, end


def is_office(token: Token) -> bool:
    """Tell whether somebody of that name speaks for the state or body that they belong to."""
    return OFFICE.fullmatch(token.text) is not None


def is_speaker(token: Token) -> bool:
    """Tell whether a word is what people or bodies are called."""
    return SPEAKER.fullmatch(token.text) is not None


def begins_clause(token: Token) -> bool:
    """Tell whether a word may begin a sentence before its subject, with a capital that makes it no name."""
    return (
        token.plain in _STARTS_CLAUSE | _PREPOSITION | {"when", "as", "if"}
        or _ADVERB.fullmatch(token.plain) is not None
    )


def speaks_as(tokens: Sequence[Token], start: int, end: int) -> Speaks:
    """Tell how whoever the phrase at `start` to `end` names speaks in a sentence, as its subject."""
    verb = _verb_after(tokens, _behind_joined(tokens, end), start=start)
    if verb is None and _begins(tokens, start):
        verb = _verb_of_both(tokens, end)
    if verb is not None:
        says = tokens[verb].key in _STANCE or _says_later(tokens, verb)
        if _begins(tokens, start) or (says and _is_put_in(tokens, start)):
            return Speaks.SAYS if says else Speaks.ACTS
        if says and not any(token.says for token in tokens[:start]):
            return Speaks.SAYS  # after the meeting Kishida told
        # What others say that it will or should do is not its own.
        return Speaks.AS_TOLD if says and tokens[verb].text not in _MAY else Speaks.NOT
    # "…," said its head, Runa Tveit.
    for place in range(start - 1, max(0, start - 1 - _NEAR), -1):
        if tokens[place].says:
            return Speaks.SAYS if tokens[place - 1].text in _BEHIND_QUOTE else Speaks.NOT
        if tokens[place].text in _BREAKS:
            break
    return Speaks.NOT


def is_label(tokens: Sequence[Token], start: int, end: int, *, surname: bool) -> bool:
    """Tell whether a name tells whose words follow, as in minutes: "Sanjay Rao: …", "**Ms Farrell:** …".

    Before a `surname` that is all that is known of somebody, any other name may stand.
    """
    name = " ".join(token.plain for token in tokens[start:end])
    if name in GOVERNMENTS:  # a dateline: "Tokyo: The talks ended."
        return False
    while end < len(tokens) and tokens[end].text in _MARKUP:
        end += 1
    before = [token for token in tokens[:start] if token.text not in _MARKUP]
    led = all(
        token.plain in TITLES or token.plain == "the" or is_office(token) or (surname and token.named)
        for token in before
    )
    return led and end < len(tokens) and tokens[end].text == ":"


def is_named_after(tokens: Sequence[Token], start: int, end: int) -> bool:
    """Tell whether something is said to be whose name is at `start` to `end`: according to X, in X's view."""
    before = [token.plain for token in tokens[max(0, start - _FAR) : start]]
    if "according" in before and "," not in before[before.index("according") :]:
        return True
    behind = [token.plain for token in tokens[end : end + 3]]
    return (before[-1:] == ["of"] and "view" in before) or (
        bool(before) and before[-1] in {"in", "from", "the"} and not _IN_THE_VIEW.isdisjoint(behind)
    )


def goes_on(sentence: str) -> bool:
    """Tell whether a sentence speaks of whoever the one before spoke of: "He said …", a quote alone."""
    if _QUOTED.fullmatch(sentence.strip()):
        return True
    tokens = tokens_of(sentence)
    first = next((place for place, token in enumerate(tokens) if token.word), None)
    if first is None:
        return True
    if tokens[first].plain in _PRONOUN | {"its", "their"}:
        return True
    if tokens[first].plain in {"his", "her"}:  # but "her colleague Ravi Sundaram" is another
        return not any(token.named for token in tokens[first + 1 : first + _NEAR])
    if tokens[first].text == "The" and first + 1 < len(tokens) and is_speaker(tokens[first + 1]):
        return True
    led = first > 0 or begins_clause(tokens[0])
    return led and any(_goes_on_at(tokens, place) for place in range(first, len(tokens)))


def _goes_on_at(tokens: Sequence[Token], place: int) -> bool:
    """Tell whether a pronoun speaks at a place: "…," she said; in politics he sees; "…," said its chairwoman."""
    token = tokens[place]
    if token.text == "its":
        return tokens[place - 1].says and place > 1 and tokens[place - 2].text in _BEHIND_QUOTE
    if token.text not in _PRONOUN or not (place < _NEAR or tokens[place - 1].text in _BEHIND_QUOTE):
        return False
    verb = _verb_after(tokens, place + 1, start=place)
    return verb is not None and tokens[verb].key in _STANCE


def name_from(tokens: Sequence[Token], place: int) -> Sequence[Token]:
    """Return the name that begins at a place, without its title."""
    end = place
    while end < len(tokens) and tokens[end].named:
        end += 1
    while place < end and tokens[place].plain in TITLES:
        place += 1
    return tokens[place:end]


def name_before(tokens: Sequence[Token], place: int) -> Sequence[Token]:
    """Return the name nearest before a place, that what stands in between tells about: Ilse Brandt, who heads."""
    end = place
    while end > max(0, place - _FAR) and not tokens[end - 1].named:
        if tokens[end - 1].text in _BREAKS or tokens[end - 1].text == ".":
            return ()
        end -= 1
    start = end
    while start > 0 and tokens[start - 1].named:
        start -= 1
    while start < end and tokens[start].plain in TITLES:
        start += 1
    return tokens[start:end]


def _preposition_before(tokens: Sequence[Token], start: int) -> str | None:
    """Return the preposition that a name stands behind, alone or with others: between China and Japan."""
    place = start - 1
    while place >= 0 and (
        tokens[place].plain in {"the", "both", "and", "or"}
        or (tokens[place].capital and place + 1 < start and tokens[place + 1].plain in {"and", "or"})
    ):
        place -= 1
    return tokens[place].plain if place >= 0 and tokens[place].plain in _PREPOSITION else None


def _someone_before(tokens: Sequence[Token], start: int) -> bool:
    place = start - 1
    while place >= 0 and tokens[place].plain in {"of", "at", "for", "the"}:
        place -= 1
    return place >= 0 and (tokens[place].named or is_speaker(tokens[place]))


def _behind_joined(tokens: Sequence[Token], end: int) -> int:
    """Return where a name ends together with those that are joined to it: Japan, and then Japan and China."""
    place = end
    joined = False
    while place + 1 < len(tokens) and tokens[place].plain in {"and", ","} and tokens[place + 1].named:
        joined = joined or tokens[place].plain == "and"
        place += 1
        while place < len(tokens) and tokens[place].named:
            place += 1
    return place if joined else end


def _verb_of_both(tokens: Sequence[Token], end: int) -> int | None:
    """Return where the verb is of a phrase and of what is joined to it without a name: Works councils and the mayor."""
    if end + 1 >= len(tokens) or tokens[end].plain != "and" or tokens[end + 1].plain not in _ARTICLE | _HIS:
        return None
    for place in range(end + 2, min(end + 2 + _NEAR, len(tokens))):
        if not tokens[place].word or tokens[place].plain in _PREPOSITION:
            return None
        if place > end + 2 and (verb := _verb_at(tokens, place, several=True)) is not None:
            return verb
    return None


def _verb_after(tokens: Sequence[Token], end: int, *, start: int) -> int | None:
    """Return where the verb is that follows a phrase, behind what is put in between; None if none does."""
    several = tokens[end - 1].text.endswith("s") or any(
        token.plain == "and" for token in tokens[max(0, start - 1) : end]
    )
    place = end + 1 if end < len(tokens) and tokens[end].text == ")" else end
    if place < len(tokens) and tokens[place].text in _QUALIFIES:
        place = _behind_qualifier(tokens, place)
    if place < len(tokens) and tokens[place].text in _OPENS:
        # The mark may also close what began before the name: its director, Ada Brandt, said. Of what stands between two
        # no more is known than that the verb comes right behind the second.
        for close in (place, *range(place + 2, min(place + 2 * _FAR, len(tokens)))):
            if tokens[close].text in _BREAKS:
                return None
            if tokens[close].text in _CLOSES and (verb := _verb_at(tokens, close + 1, several=several)) is not None:
                return verb
        return None
    return _verb_at(tokens, place, several=several)


def _behind_qualifier(tokens: Sequence[Token], place: int) -> int:
    """Return where what qualifies a name ends: Jonas Petri of the Growers' Union in Port Sabel said."""
    last = min(place + _FAR, len(tokens))
    place += 2
    while place < last and tokens[place].text not in _BREAKS | {","}:
        if tokens[place].finite and (tokens[place - 1].capital or tokens[place - 1].text == ")"):
            break
        place += 1
    return place


def _verb_at(tokens: Sequence[Token], place: int, *, several: bool) -> int | None:
    while place < len(tokens) and (_ADVERB.fullmatch(tokens[place].plain) or _is_day(tokens, place)):
        place += 2 if tokens[place].plain == "on" else 1  # on Tuesday
    if place >= len(tokens):
        return None
    # What several do has no ending: critics doubt, China and Japan accuse.
    token = tokens[place]
    return place if token.finite or (several and token.key in _STANCE and token.text.islower()) else None


def _is_day(tokens: Sequence[Token], place: int) -> bool:
    return tokens[place].plain == "on" and place + 1 < len(tokens) and tokens[place + 1].plain in _MONTHS


def _says_later(tokens: Sequence[Token], verb: int) -> bool:
    """Tell whether an auxiliary is followed by a verb of saying or judging: has often demanded, is more cautious."""
    if tokens[verb].text not in _AUXILIARY:
        return False
    for token in tokens[verb + 1 : verb + 4]:
        if token.key in _STANCE or token.text in _ATTITUDE:
            return True
        if not _ADVERB.fullmatch(token.plain) and token.text not in _AUXILIARY | _DEGREE:
            return False
    return False


def _begins(tokens: Sequence[Token], start: int) -> bool:
    """Tell whether a phrase is the first of its sentence, or of a part of it."""
    place = start - 1
    # What leads to a name: the former finance minister, Italy's, her colleague.
    while place >= 0 and (tokens[place].word or tokens[place].text in POSSESSIVE | {'"', "“", "."}):
        token = tokens[place]
        if token.plain in _STARTS_CLAUSE:
            return True
        if token.plain in _PREPOSITION - {"of"} or token.plain in _AUXILIARY | _PAST or token.says:
            return False
        place -= 1
    if place < 0 or tokens[place].text in _STARTS_CLAUSE:
        return True
    # Behind an opening phrase: "In the talks with Xi, Kishida …"; within one: "its president, Otto Hemmerich, said".
    return tokens[place].text == "," and place <= _FAR and all(token.text != "," for token in tokens[:place])


def _is_put_in(tokens: Sequence[Token], start: int) -> bool:
    """Tell whether a phrase stands behind a comma or a quote, as in: "…," Altmann added."""
    place = start - 1
    while place >= 0 and tokens[place].plain in _HIS | TITLES:
        place -= 1
    return place >= 0 and tokens[place].text in _BEHIND_QUOTE
