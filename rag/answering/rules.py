"""The rules that a claim has to keep against its evidence, whatever a model says of the two.

Every number, date and name stands in the evidence; negation, doubt and direction agree; names and numbers stand in the
same relation, that is, no other one of the evidence fits better where the claim has one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from rag.answering.agreement import UNDATED, Issued, missing_figures
from rag.answering.polarity import are_opposites, find_turn, has_opposite, negated_words, same_side
from rag.answering.wording import Alignment, Unit, Word, align_matches, are_alike, read_units, read_words
from rag.records import Article

_LEAST_TELLING = 2
_LEAST_CHARACTERS = 5
_ADDRESS = re.compile(r"(?:https?:)?//\S+|\bwww\.\S+|\S+@\S+\.\w+|\b[\w-]+\.(?:com|org|net|io|info|biz|ru|cn|jp)\b\S*")
_TOKEN = re.compile(r"<\|?/?[A-Za-z_|][^<>]{0,40}>|\[/?[A-Z]{3,}\]|<<|>>|\{\{|\}\}|#{3,}")
_LEANING = re.compile(
    r"\b(?:he|she|it|they|him|her|his|hers|its|their|theirs|them|this|these|those|here|there"
    r"|the (?:same|two|company|group))\b|[他她它其该此这]|[これそあ][のれ]|同",
    re.IGNORECASE,
)
_ATTRIBUTION = re.compile(
    r"\b(?:according to|said|says|reports?|reported|wrote|writes|told|article|author)\b|[说說称稱報报]|によ[るれ]|述べ",
    re.IGNORECASE,
)
_CONTEXT = 3
_PRONOUNS = frozenset(["he", "she", "it", "they"])
_COMMON_ENDINGS = ("s", "ing", "ed", "ly", "en")
_GAIN = 0.4
_LEAST_COVERAGE = 0.5
_PLAIN_GAIN = 0.9
_GAP = 6  # characters between neighbours of a claim without spaces
_UNSPACED_TURN = re.compile(
    r"不(?![断斷仅僅过過同少久])|没|沒|無(?!論)|无(?!论)|未(?!来|來)|非(?!常)|否|ない|なかっ|なく|ません|ずに|ぬ|可能|かもしれ|或许|也许|拟|計画|计划"
)
_UNSPACED_OPPOSITES = tuple(
    (one, other)
    for pair in """
    增 减|增 減|増 減|上升 下降|上昇 下落|上昇 低下|涨 跌|漲 跌|进口 出口|進口 出口|輸入 輸出|支持 反对|支持 反對|
    賛成 反対|同意 拒绝|允许 禁止|許可 禁止|之前 之后|以前 以后|以前 以後|前に 後に|最初 最後|最初 最后|第一 最后|
    最高 最低|最大 最小|最多 最少|高 低|多 少|大 小|成功 失败|成功 失敗|开始 结束|開始 終了|买 卖|買 売|東 西|东 西|
    南 北|男 女|胜 败|勝 敗|赢 输|以上 以下|上 下|内 外|強 弱|强 弱|早 晚|早 遅|新 旧|父 母|夫 妻
    """.replace("\n", "").split("|")
    for one, other in [pair.split(), pair.split()[::-1]]
)


@dataclass(frozen=True, slots=True)
class Shown:
    """The sentences that a claim is held against, and what their article's header adds to them."""

    text: str
    title: str = ""
    source: str = ""
    issued: Issued = UNDATED

    @classmethod
    def of(cls, sentences: Sequence[str], article: Article) -> Shown:
        """Return sentences of an article as evidence."""
        source = " ".join(part for part in (article.source, article.author) if part)
        return cls(" ".join(sentences), article.title, source, Issued.of(article.published))


class Comparison:
    """A claim laid beside its evidence."""

    def __init__(self, claim: str, shown: Shown) -> None:
        self._claim = claim
        self._shown = shown
        self._said = read_words(claim)
        self._evidence = read_words(shown.text)

    @cached_property
    def _header(self) -> list[Word]:
        """Return the header's words that may stand for a name: a pronoun means the title, a speaker the source."""
        words: list[Word] = []
        if _LEANING.search(self._shown.text):
            words += read_words(self._shown.title)
        if _ATTRIBUTION.search(self._claim):
            words += read_words(self._shown.source)
        return words

    @cached_property
    def _units(self) -> tuple[tuple[Unit, ...], tuple[Unit, ...]]:
        return read_units(self._said), read_units(self._evidence)

    @cached_property
    def _matches(self) -> list[list[bool]]:
        mine, theirs = self._units
        return [[one.matches(other) for other in theirs] for one in mine]

    @cached_property
    def alignment(self) -> Alignment:
        """Return how the claim lies along its evidence."""
        return align_matches(self._matches)

    @cached_property
    def _aligned(self) -> dict[int, int]:
        """Return for words of the claim the word of the evidence that they lie beside."""
        mine, theirs = self._units
        return {mine[i].at: theirs[j].at for i, j in self.alignment.pairs}

    @property
    def unspaced(self) -> bool:
        """Tell whether the claim is mostly in a script without spaces."""
        return 2 * sum(word.unspaced for word in self._said) > len(self._said)

    @cached_property
    def coverage(self) -> float:
        """Return the share of the claim's telling words that stand in the evidence, in 0..1."""
        mine, _ = self._units
        if not mine:
            return 0.0
        return self._covered / len(mine)

    def _covers(self, number: int) -> bool:
        if any(self._matches[number]):
            return True
        return any(
            key in self._keys or any(are_alike(key, other) or same_side(key, other) for other in self._keys)
            for key in self._units[0][number].keys
        )

    @cached_property
    def _keys(self) -> frozenset[str]:
        return frozenset(word.key for word in (*self._evidence, *self._header))

    @cached_property
    def _covered(self) -> int:
        return sum(self._covers(number) for number in range(len(self._units[0])))

    @cached_property
    def order(self) -> float:
        """Return how much of the claim stands in the evidence in the claim's order, in 0..1."""
        mine, _ = self._units
        return self.alignment.score / (1.5 * len(mine) - 0.5) if mine else 0.0

    def find_fault(self) -> str | None:
        """Return in a few words why the evidence cannot support the claim, or None."""
        return (
            self._find_emptiness()
            or self._find_foreign()
            or self._find_figure()
            or self._find_name()
            or find_turn(self._claim, self._said, self._shown.text, self._evidence, aligned=self._aligned)
            or self._find_opening()
            or self._find_opposite()
            or self._find_exchange()
            or (self._find_unspaced() if self.unspaced else None)
            or (None if self.coverage > _LEAST_COVERAGE else "too few of its words are in the evidence")
        )

    def _find_emptiness(self) -> str | None:
        telling = sum(word.telling for word in self._said)
        unspaced = sum(word.unspaced for word in self._said)
        if telling < _LEAST_TELLING or (unspaced and len(self._said) < _LEAST_CHARACTERS):
            return "it says too little to be checked"
        return "it is a question" if self._claim.rstrip("\"'”’）)」』").endswith(("?", "？")) else None

    def _find_foreign(self) -> str | None:
        """Return what no sentence about the world has: a token of a chat template, or an address from elsewhere."""
        if match := _TOKEN.search(self._claim):
            return f"{match.group()} is not text"
        for match in _ADDRESS.finditer(self._claim):
            if match.group().rstrip(".,;)") not in self._shown.text:
                return f"the address {match.group()} is not in the evidence"
        return None

    def _find_figure(self) -> str | None:
        missing = missing_figures(self._claim, self._shown.text, issued=self._shown.issued)
        return f"“{missing[0]}” is not in the evidence" if missing else None

    def _find_name(self) -> str | None:
        title = {word.key for word in read_words(self._shown.title)}
        for unit in self._units[0]:
            if unit.kind != "name" or _is_acronym_of(unit, self._units[1]):
                continue
            # The title says the rest of a name of which the evidence has a part.
            keys = self._keys | title if any(key in self._keys for key in unit.keys) else self._keys
            for number in range(unit.at, unit.at + len(unit.keys)):
                word = self._said[number]
                if word.key not in keys and not any(are_alike(word.key, key) for key in keys):
                    return f"the name “{word.text}” is not in the evidence"
        return None

    def _find_opening(self) -> str | None:
        """Return the first word where it may be a name, has no match, and the evidence has a name in its place.

        The first word of a sentence has a capital whatever it is, so a name can only be told by its place.
        """
        mine, theirs = self._units
        if len(mine) < 2 or mine[0].kind != "word" or mine[0].at or self._covers(0):  # noqa: PLR2004
            return None
        if not mine[0].text[:1].isupper() or mine[0].text.lower().endswith(_COMMON_ENDINGS):
            return None
        for i, j in self.alignment.pairs:
            if i != 1:
                continue
            if j and theirs[j - 1].kind == "name" and not any(row[j - 1] for row in self._matches):
                return f"the evidence has “{theirs[j - 1].text}” where it has “{mine[0].text}”"
            before = self._evidence[theirs[j].at - 1].text if theirs[j].at else ""
            if before.lower() in _PRONOUNS:
                return f"the evidence does not say whether “{before}” is “{mine[0].text}”"
        return None

    def _find_opposite(self) -> str | None:
        """Return the word of the claim whose opposite stands in its place in the evidence."""
        mine, theirs = negated_words(self._said, self._claim), negated_words(self._evidence, self._shown.text)
        keys = {word.key for word in self._evidence}
        for number, word in enumerate(self._said):
            if not (has_opposite(word.key) or (word.telling and word.key not in keys)):
                continue
            near = _near(self._said, number)
            same = opposite = -1
            found = None
            for place, other in enumerate(self._evidence):
                if are_opposites(word.key, other.key):
                    if (number in mine) == (place in theirs):
                        shared = _shared(near, _near(self._evidence, place))
                        if shared > opposite:
                            opposite, found = shared, other
                elif are_alike(word.key, other.key) or same_side(word.key, other.key):
                    same = max(same, _shared(near, _near(self._evidence, place)))
            if found is not None and opposite > max(0, same):
                return f"the evidence says “{found.text}” where it says “{word.text}”"
        return None

    def _find_exchange(self) -> str | None:
        """Return the name or number in whose place another one of the evidence fits better."""
        mine, theirs = self._units
        if not mine or self.alignment.score >= 1.5 * len(mine) - 0.5:
            return None
        for number, unit in enumerate(mine):
            if unit.kind not in {"name", "figure"} or not any(self._matches[number]):
                continue
            for place, other in enumerate(theirs):
                if other.kind != unit.kind or self._matches[number][place] or not _comparable(unit, other):
                    continue
                if (unit.role == "by") != (_role_in(unit, theirs) == "by"):
                    continue  # the other voice
                if self._fits_better(number, place):
                    return f"the evidence has “{other.text}” where it has “{unit.text}”"
        return None

    def _fits_better(self, number: int, place: int) -> bool:
        mine, theirs = self._units
        other = theirs[place]
        changed = list(self._matches)
        changed[number] = [other.matches(one) for one in theirs]
        for partner in range(len(mine)):
            if partner != number and self._matches[partner][place]:
                if self._keeps_roles(number, partner):
                    return False
                changed[partner] = self._matches[number]
        gain = align_matches(changed).score - self.alignment.score
        # Where the claim's own one keeps the order too, only who stands beside it differs: that has to be plain.
        in_order = any(i == number for i, _ in self.alignment.pairs)
        return gain > (_PLAIN_GAIN if in_order else _GAIN)

    def _keeps_roles(self, number: int, partner: int) -> bool:
        """Tell whether two names stand in another order only: behind the same prepositions, or in the other voice."""
        mine, theirs = self._units
        one, other = mine[number], mine[partner]
        roles = [(unit.role, _role_in(unit, theirs)) for unit in (one, other)]
        if one.role != other.role and all(said and said == shown for said, shown in roles):
            return True
        by = [sum(role[side] == "by" for role in roles) for side in (0, 1)]
        return by[0] != by[1] or self._listed(one, other)

    def _listed(self, one: Unit, other: Unit) -> bool:
        """Tell whether two names are joined as equals in the claim: "Japan and China"."""
        first, second = sorted((one, other), key=lambda unit: unit.at)
        between = self._claim[self._said[first.at + len(first.keys) - 1].end : self._said[second.at].start]
        return between.strip().lower() in {"and", ",", "or", "&", ", and", "和", "与", "、", "と", "及"}

    def _moved(self) -> list[str]:
        """Return the runs of two characters and more, hiragana aside, that lie beside nothing of the evidence."""
        mine, _ = self._units
        aligned = {i for i, _ in self.alignment.pairs}
        runs, run = [], ""
        for number, unit in enumerate(mine):
            if number in aligned or unit.kind != "character" or "\u3041" <= unit.text <= "\u309f":
                runs.append(run)
                run = ""
            else:
                run += unit.text
        return [found for found in [*runs, run] if len(found) > 1]

    def _find_unspaced(self) -> str | None:
        """Return what a claim without spaces leaves out or puts in that turns it round."""
        pairs = self.alignment.pairs
        mine, theirs = self._units
        places = [(self._said[mine[i].at], self._evidence[theirs[j].at]) for i, j in pairs]
        for (before, shown_before), (after, shown_after) in pairwise(places):
            said = self._claim[before.end : after.start]
            shown = self._shown.text[shown_before.end : shown_after.start]
            if len(shown) <= _GAP and bool(_UNSPACED_TURN.search(said)) != bool(_UNSPACED_TURN.search(shown)):
                return f"the evidence has “{shown}” where it has “{said}”"
        for run in self._moved():
            if run in self._shown.text:
                return f"the evidence has “{run}” in another place"
        for one, other in _UNSPACED_OPPOSITES:
            if one in self._claim and one not in self._shown.text and other in self._shown.text:
                return f"the evidence says “{other}” where it says “{one}”"
        return None


def leans(text: str) -> bool:
    """Tell whether a sentence begins with a pronoun, so that another one says whom or what it is about."""
    return bool(_LEANING.match(text.lstrip("\"'“‘「『（(")))


def _near(words: Sequence[Word], number: int) -> list[set[str]]:
    """Return the keys of the telling words before and behind a word."""
    before = [word.key for word in words[:number] if word.telling][-_CONTEXT:]
    behind = [word.key for word in words[number + 1 :] if word.telling][:_CONTEXT]
    return [set(before), set(behind)]


def _shared(one: Sequence[set[str]], other: Sequence[set[str]]) -> int:
    return sum(len(a & b) for a, b in zip(one, other, strict=True))


def _comparable(unit: Unit, other: Unit) -> bool:
    """Tell whether one figure could stand for another: dates for dates, percentages for percentages."""
    if unit.kind != "figure":
        return True
    return _form(unit.keys[0]) == _form(other.keys[0])


def _form(key: str) -> str:
    return re.sub(r"\d+", "0", key) if "-" in key else re.sub(r"[\d/]+", "0", key)


def _role_in(unit: Unit, others: Sequence[Unit]) -> str:
    return next((other.role for other in others if unit.matches(other)), "")


def _is_acronym_of(unit: Unit, others: Sequence[Unit]) -> bool:
    """Tell whether a name is written by its initials on one side: "UN" and "United Nations"."""
    return any(
        other.kind == "name"
        and (
            _initials(other) == unit.text.replace(".", "").upper()
            or _initials(unit) == other.text.replace(".", "").upper()
        )
        for other in others
    )


def _initials(unit: Unit) -> str:
    words = unit.text.split()
    return "".join(word[0] for word in words).upper() if len(words) > 1 else ""
