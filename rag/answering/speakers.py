"""Which sentences of an article are a party's: it speaks or acts in them, or did in the sentence that they lean on.

A country speaks by its capital, its ministers and its spokesmen, a body by whoever the article says heads it ("Ilse
Brandt, who heads the Importers' League"), and these by their surnames alone afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rag.answering.clauses import (
    POSSESSIVE,
    Speaks,
    Token,
    begins_clause,
    goes_on,
    is_label,
    is_named_after,
    is_office,
    is_speaker,
    name_before,
    name_from,
    phrase_around,
    speaks_as,
    tokens_of,
    without_quotes,
)
from rag.answering.parties import BODY, GOVERNMENTS, TITLES, WHOLE_NAME, names, names_of, without_office
from rag.answering.sides_unspaced import speaks_unspaced
from rag.answering.wording import word_key
from rag.index.lexical import mostly_unspaced
from rag.records import Article, Span

_HEADS = frozenset("heads heading leads leading chairs runs represents headed led chaired advises directs".split())  # noqa: SIM905
_ENDINGS = frozenset(["", *"a y n s e o i ia al an ans ese ian ians ish ic is ns ean eans es ene enes".split()])  # noqa: SIM905
_SHARED_LETTERS = 4
_NEAR = 6
_LONGEST_NAME = 4
_ARTICLE = re.compile(r"^(?:the|its|his|her|their|an?) ", re.IGNORECASE)
# Who of a country is meant by these is whoever speaks for it.
_ANYONE = re.compile(
    r"\b(?:governments?|officials?|leaders?|authorit(?:y|ies)|sides?|politicians?|diplomats?|people)\b"
)
_LABELLED = re.compile(r"[*_ ]*[A-Z][\w.’' -]{0,40}[*_]*:")
# As in minutes, "Sanjay Rao: …", and in interviews, "Q: …".
_LABEL = re.compile(r"^[*_ ]*((?:[A-Z][\w.’'-]* ?){1,4})[*_]*:(?=[*_]*\s)", re.MULTILINE)
_INTERVIEW = re.compile(r"\binterview(?:ed)?\b|^\*\*[^*\n]+\?\*\*$", re.IGNORECASE | re.MULTILINE)
_ANSWER = re.compile(r"^[*_ ]*A(?:nswer)?[*_]*:\s", re.MULTILINE)
_FIRST_PERSON = re.compile(r"(?<![\w.])(?:I(?:['’](?:m|ve|d|ll))?(?= [a-z])|[Mm]y|[Mm]e)\b")
NOBODYS = -1
# Words that stand in capitals at the beginning of a sentence, and as no name.
_NO_NAME = frozenset(
    """
    the a an he she it they we i you his her its their our my your this that these those there here one some many most
    both all other others another few several no nobody nothing everyone everybody everything such what who which where
    why how asked not
    """.split()  # noqa: SIM905  # a list of strings would be six lines
)
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z“\"])|\n")


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of a party's; it `acts` in those that tell what it does rather than what it says."""

    span: Span
    acts: bool


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence, how each of the parties speaks in it, and whose label it stands behind: NOBODYS is no party's."""

    span: Span
    text: str
    speaking: list[Speaks]
    labelled: int | None


def statements_of(parties: Sequence[str], article: Article, sentences: Sequence[Span]) -> list[list[Statement]]:
    """Return, party by party, those sentences of an article that are its own, or go on with what it said right before.

    A party of whom another one tells does not speak itself: "Kishida told reporters that he and Xi had agreed".
    """
    found: list[list[Statement]] = [[] for _ in parties]
    if not sentences:
        return found
    spoke = [Speaks.NOT] * len(parties)
    labelled: int | None = None
    for one in spoken([Voice.of(party, article) for party in parties], article, sentences):
        if labelled is not None and one.labelled != labelled:
            spoke = [Speaks.NOT] * len(parties)
        labelled = one.labelled
        loudest = max(one.speaking)
        for number, speaks in enumerate(one.speaking):
            told_by_other = speaks is Speaks.AS_TOLD and loudest >= Speaks.ACTS
            follows = not speaks and loudest < Speaks.ACTS and spoke[number] >= Speaks.ACTS and goes_on(one.text)
            if follows or (speaks and not told_by_other):
                found[number].append(Statement(one.span, acts=speaks is Speaks.ACTS))
        spoke = one.speaking
    return found


def spoken(voices: Sequence[Voice], article: Article, sentences: Sequence[Span]) -> Iterator[Spoken]:
    """Yield for each sentence how the parties speak in it.

    A label tells whose words follow, up to the next label or an empty line: a party's, or in a transcript anybody's.
    One in the middle of a paragraph ("Kishida: a leader under pressure.") tells of its own sentence alone.
    """
    transcript = is_transcript(article.text)
    labelled: int | None = None
    end: int | None = None
    for span in sentences:
        text = article.text[span.start : span.end]
        between = "\n\n" if end is None else article.text[end : span.start]
        label = next((number for number, voice in enumerate(voices) if voice.labels(text)), None)
        if label is None and transcript and _is_labelled(text):
            label = NOBODYS
        inside = "\n" not in between and labelled is None
        if not inside and (label is not None or "\n\n" in between or ("\n" in between and _LABELLED.match(text))):
            labelled = label
        own = label if inside else labelled
        if own is None:
            speaking = [voice.speaks(text) for voice in voices]
        else:
            speaking = [Speaks.SAYS if number == own else Speaks.NOT for number in range(len(voices))]
        yield Spoken(span, text, speaking, own)
        end = span.end


def _is_labelled(text: str) -> bool:
    """Tell whether a sentence begins with somebody's label, and no dateline: "Tokyo: The talks ended."."""
    match = _LABEL.match(text)
    return match is not None and match[1].strip().casefold() not in GOVERNMENTS


@dataclass(frozen=True, slots=True)
class _Name:
    """A name of a party as the keys of its words; one without a `capital` is what somebody is called."""

    keys: tuple[str, ...]
    capital: bool


class Voice:
    """A party as the sentences of one article speak of it: by its names, and by the people who speak for it."""

    writes = False  # in the first person
    written_by_other = False

    def __init__(self, party: str, text: str) -> None:
        party = without_office(party)
        self._names, self._words = _names_of(party)
        if WHOLE_NAME.fullmatch(party) and len(names_of(party)) == 1 and party not in text:
            # Gao in an article that never has Gao Lihua is another Gao.
            self._names = [name for name in self._names if len(name.keys) > 1]
        self._role = not any(name.capital for name in self._names)
        self._people: tuple[str, ...] = ()
        self.is_person = self.is_state = False
        self._unspaced = names_of(party) if mostly_unspaced(party) else ()
        if self._unspaced:
            return
        self._people = tuple(dict.fromkeys(self._find_people(text)))
        self.is_person = _may_be_persons(party) or (self._role_of_one(party) and bool(self._people))
        self.is_state = len(names_of(party)) > 1
        self._words |= {word.casefold() for person in self._people for word in person.split()}

    @classmethod
    def of(cls, party: str, article: Article) -> Voice:
        """Return a party's voice in an article, of which it may be the one who writes."""
        return _voice_of(party, article.title, article.author, article.text)

    def speaks(self, sentence: str) -> Speaks:
        """Tell how this party speaks in a sentence."""
        if self._unspaced:
            return Speaks.SAYS if speaks_unspaced(self._unspaced, sentence) else Speaks.NOT
        found = self._speaks(sentence)
        return Speaks.SAYS if self.writes and not found and is_first_person(sentence) else found

    def _speaks(self, sentence: str) -> Speaks:
        tokens = tokens_of(sentence)
        named = list(self._named(tokens))
        found = max((speaks_as(tokens, *phrase) for phrase in self._phrases(tokens, named)), default=Speaks.NOT)
        if found < Speaks.NAMED and any(is_named_after(tokens, start, end) for start, end in named):
            return Speaks.NAMED
        return found

    def is_named_in(self, text: str) -> bool:
        """Tell whether a text names this party, or somebody who speaks for it."""
        return any(True for _ in self._named(tokens_of(text)))

    def labels(self, sentence: str) -> bool:
        """Tell whether a sentence begins with the name of this party as that of who says it: "Sanjay Rao: …"."""
        if self.writes and _ANSWER.match(sentence):
            return True
        tokens = () if self._unspaced else tokens_of(sentence)
        return any(is_label(tokens, start, end, surname=len(self._words) == 1) for start, end in self._named(tokens))

    def _role_of_one(self, party: str) -> bool:
        """Tell whether a party is called by the office of one person: the Chinese ambassador."""
        words = [token for token in tokens_of(party) if token.word]
        return bool(words) and is_office(words[-1]) and not words[-1].text.endswith("s")

    def others_speak(self, sentence: str) -> Speaks:
        """Tell how the loudest speaks of those whose names in a sentence are not this party's."""
        tokens = tokens_of(sentence)
        own = {place for start, end in self._named(tokens) for place in range(start, end)}
        loudest = Speaks.NOT
        for start, end in _names_in(tokens):
            if own.isdisjoint(range(start, end)):
                phrase = phrase_around(tokens, start, end)
                loudest = max(loudest, Speaks.NOT if phrase is None else speaks_as(tokens, *phrase))
                if is_named_after(tokens, start, end):  # according to Brook
                    loudest = Speaks.SAYS
        return loudest

    def _phrases(self, tokens: Sequence[Token], named: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Yield the phrases that name the party, or somebody who speaks for it."""
        for start, end in named:
            words = {token.text.casefold().replace(".", "") for token in tokens[start:end] if token.word}
            adjective = len(words) == 1 and not words <= self._words
            if (phrase := phrase_around(tokens, start, end, adjective=adjective, role=self._role)) is not None:
                yield phrase

    def _named(self, tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
        """Yield where the party, or somebody who speaks for it, is named."""
        for place, token in enumerate(tokens):
            if not token.word:
                continue
            for name in self._names:
                if (end := _end_of(name, tokens, place)) is not None:
                    yield place, end
            for person in self._people:
                words = person.split()
                end = place + len(words)
                if [one.text for one in tokens[place:end]] == words and self._is_whole(tokens, place, end, person):
                    yield place, end

    def _is_whole(self, tokens: Sequence[Token], start: int, end: int, person: str) -> bool:
        """Tell whether a name stands alone, or within the whole name of the same person."""
        while start > 0 and tokens[start - 1].word and tokens[start - 1].capital:
            start -= 1
        if begins_clause(tokens[start]):
            start += 1
        while end < len(tokens) and tokens[end].word and tokens[end].capital:
            end += 1
        own = {word for one in self._people if set(person.split()) <= set(one.split()) for word in one.split()}
        return all(token.text in own or token.plain in TITLES or is_office(token) for token in tokens[start:end])

    def _find_people(self, text: str) -> Iterator[str]:
        """Yield those whom an article says to speak for the party, each as it may name them later."""
        for sentence in _SENTENCE.split(text):
            if not self._may_be_in(sentence):
                continue
            tokens = tokens_of(sentence)
            for start, end in self._phrases(tokens, list(self._named(tokens))):
                for name in self._people_by(tokens, start, end):
                    if _may_be_person(name, tokens):
                        yield from dict.fromkeys([" ".join(token.text for token in name), name[-1].text, name[0].text])

    def _may_be_in(self, sentence: str) -> bool:
        folded = sentence.casefold()
        return any(name.keys[0][:_SHARED_LETTERS] in folded for name in self._names)

    def _people_by(self, tokens: Sequence[Token], start: int, end: int) -> Iterator[Sequence[Token]]:
        """Yield the names of people that a phrase of the party's stands by."""
        offices = [place for place in range(start, end) if is_office(tokens[place])]
        if offices or self._role:  # Chinese Premier Li Qiang; Costamar's agriculture minister, Beatriz Lomas
            behind = offices[-1] + 1 if offices else end
            name = name_from(tokens, behind)
            comma = _next_comma(tokens, end)
            yield name or (name_from(tokens, comma + 1) if comma is not None else ())
        elif mark := next((place for place in range(start, end) if tokens[place].text in POSSESSIVE), None):
            name = name_from(tokens, mark + 1)  # Italy's Lorenzo Cattabriga
            yield name if len(name) > 1 else ()
        of = start - 1
        while of > 0 and tokens[of].plain == "the":
            of -= 1
        if of > 0 and tokens[of].plain in {"of", "at", "for", *_HEADS}:
            if end < len(tokens) and tokens[end].text == ",":  # the chairman of the Trawlers' Union, Bo Harding
                yield _whole(name_from(tokens, end + 1))
            yield _whole(name_before(tokens, of))  # Jonas Petri of the Growers' Union; Ilse Brandt, who heads it
        comma = next((place for place in range(start - 1, max(-1, start - 5), -1) if tokens[place].text == ","), None)
        if offices and comma is not None:  # Wang Yi, China's foreign minister
            yield _whole(name_before(tokens, comma))


@lru_cache(maxsize=64)
def _voice_of(party: str, title: str, author: str | None, text: str) -> Voice:
    voice = Voice(party, text)
    if not (is_told_by_i(text) or _ANSWER.search(text)):
        return voice
    transcript = is_transcript(text)
    interview = transcript or _INTERVIEW.search(f"{title}\n{text}") is not None
    # The title of what somebody signed may name anybody; that of a speech and of an interview names who speaks.
    head = author if author and not interview else f"{title}\n{author or ''}"
    voice.writes = voice.is_named_in(head) or any(names(word, author or "") for word in party.split()[-1:])
    voice.written_by_other = voice.is_person and not voice.writes and not transcript
    return voice


def is_transcript(text: str) -> bool:
    """Tell whether lines of a text begin with the labels of who speaks, more than one."""
    return len({match[1] for match in _LABEL.finditer(text)}) > 1


def is_told_by_i(text: str) -> bool:
    """Tell whether who writes a text, or speaks in it, says "I" outside of quotes, more than once."""
    found = _FIRST_PERSON.finditer(without_quotes(text))
    return next(found, None) is not None and next(found, None) is not None


def is_first_person(sentence: str) -> bool:
    """Tell whether a sentence says "I", "my" or "me" outside of quotes."""
    return _FIRST_PERSON.search(without_quotes(sentence)) is not None


def _names_in(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Yield where words in capitals stand one behind another, but for one that only begins the sentence."""
    start: int | None = None
    for place in range(len(tokens) + 1):
        if place < len(tokens) and tokens[place].named and not _is_no_name(tokens[place], begins=start is None):
            start = place if start is None else start
        elif start is not None:
            yield start, place
            start = None


def _may_be_persons(party: str) -> bool:
    """Tell whether a party may be a person by name: capitals alone, but for a title, and no country's."""
    words = [token for token in tokens_of(party) if token.word]
    own = [token for token in words if token.plain not in TITLES and not is_office(token)]
    called = " ".join(token.text for token in own)
    if len(names_of(called)) > 1 or any(country_of(token.text) for token in own):
        return False
    return bool(own) and all(token.capital and not _is_body(token) and not token.text.isupper() for token in own)


def _is_body(token: Token) -> bool:
    return BODY.fullmatch(token.text) is not None


def _is_no_name(token: Token, *, begins: bool) -> bool:
    return token.plain in _NO_NAME or (begins and begins_clause(token))


def _names_of(party: str) -> tuple[list[_Name], set[str]]:
    """Return the names that a party has, and their words as they are written."""
    plain = _ARTICLE.sub("", party)
    of_country = _ANYONE.sub("", plain).strip()
    if of_country and of_country[0].isupper():
        plain = of_country
    called = names_of(plain)
    if len(called) == 1:
        called = country_of(plain) or called
    names, words = [], set[str]()
    for one in called:
        tokens = [token for token in tokens_of(one) if token.word]
        if tokens:
            names.append(_Name(tuple(token.key for token in tokens), any(token.capital for token in tokens)))
            words |= {token.text.casefold().replace(".", "") for token in tokens}
    parts = tokens_of(plain)
    # A person, by one of two names.
    if len(called) == 1 and len(parts) > 1 and all(token.named and not _is_body(token) for token in parts):
        names += [_Name((token.key,), capital=True) for token in (parts[0], parts[-1]) if not is_speaker(token)]
    return names, words


def country_of(word: str) -> tuple[str, ...] | None:
    """Return the names of the country that an adjective is of: Chinese, Japanese."""
    if " " in word or not word[:1].isupper():
        return None
    key = word_key(word.casefold())
    return next(
        (
            names
            for names in GOVERNMENTS.values()
            if any(_are_alike(key, word_key(name.casefold())) for name in names if " " not in name)
        ),
        None,
    )


def _are_alike(one: str, other: str) -> bool:
    """Tell whether two words are a place and who comes from there, as "japan" and "japanes", or the same."""
    if one == other:
        return True
    shared = next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    shared = min(len(one), len(other)) if shared is None else shared
    return shared >= _SHARED_LETTERS and one[shared:] in _ENDINGS and other[shared:] in _ENDINGS


def _end_of(name: _Name, tokens: Sequence[Token], place: int) -> int | None:
    """Return where a name ends that begins at a place; None if it does not."""
    if name.capital and not tokens[place].capital:
        return None
    for number, key in enumerate(name.keys):
        if number and place < len(tokens) and tokens[place].text in POSSESSIVE:
            place += 1
        if place >= len(tokens) or not _are_alike(tokens[place].key, key):
            return None
        place += 1
    return place


def _whole(name: Sequence[Token]) -> Sequence[Token]:
    return name if len(name) > 1 else ()


def _next_comma(tokens: Sequence[Token], end: int) -> int | None:
    return next((place for place in range(end, min(end + _NEAR, len(tokens))) if tokens[place].text == ","), None)


def _may_be_person(name: Sequence[Token], tokens: Sequence[Token]) -> bool:
    """Tell whether capitals can be a person's name: up to four, no article before them and no body among them."""
    if not 0 < len(name) <= _LONGEST_NAME or any(is_speaker(token) or token.text == "The" for token in name):
        return False
    place = next(n for n, token in enumerate(tokens) if token is name[0])
    end = place + len(name)
    articled = place > 0 and tokens[place - 1].plain in {"the", "a", "an"}
    return not articled and not (end < len(tokens) and tokens[end].text in POSSESSIVE)
