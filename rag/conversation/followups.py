"""Follow-ups: a question that leans on the turns before it becomes one that stands alone, by rules.

These lean: one that corrects ("I meant 2024"), one that is cut short ("And in 2024?", "Why?", "What about exports?",
"那日本呢？"), one with a word that points back ("Did he agree?", "When was that ban lifted?"), and one that names
nothing of its own. What they lean on is taken from the question before and from the sentences that its answer cited. A
question that names what it is about is left as it is, and is answered as if it were the first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag.conversation.antecedents import refer_back
from rag.conversation.ellipsis import complete
from rag.conversation.naming import YEAR, names_in
from rag.conversation.turns import ASKS, BRACKETS, COURTESY, EMPTY, LEAD, Leaning, Turn
from rag.conversation.unspaced import understand_unspaced
from rag.index.lexical import mostly_unspaced, terms


@dataclass(frozen=True, slots=True)
class Understood:
    """What a question means where it was asked: in words that stand alone, and what passages are looked for with.

    `query` is the question itself, or for one that leans on an earlier one that too, at half the weight. It is `sure`
    unless the question may as well have been meant as it was typed.
    """

    question: str
    query: str
    sure: bool = True


_NO_QUESTION = re.compile(
    rf"(?:{COURTESY}|(?:no|hello|hi|hey|(?:good)?bye|that['’]?s all|nothing else)(?![\w’'-])[\s,.!]*)+", re.IGNORECASE
)
_WHAT_ABOUT = re.compile(r"What about (?P<name>[A-Z][\w' -]+)\? \(.+\)", re.DOTALL)
_IT_ALONE = re.compile(
    r"^(?!.*\b(?:its|he|she|they|him|her|them|there|then|th(?:is|at|ese|ose))\b).*\bit\b", re.IGNORECASE
)
# "Is that more than in 2023?" compares what was just told.
_COMPARES = re.compile(
    r"(?:is|was|are|were) (?:that|this|it|those|they) (?:(?:still|really|also|much|far) )*"
    r"(?:more|less|fewer|higher|lower|larger|smaller|bigger|better|worse|the \w+est)\b",
    re.IGNORECASE,
)


def understand(question: str, turns: Sequence[Turn]) -> Understood:
    """Return what a question means after the turns before it, the last of them being the nearest."""
    typed = " ".join(question.split())
    if not turns or not typed:
        return Understood(question, question)
    if mostly_unspaced(typed):
        leaning = understand_unspaced(typed, turns)
    else:
        leaning = complete(typed, turns) or _whole(LEAD.sub("", typed) or typed, turns)
    if leaning is None:
        return Understood(question, question)
    whole, behind = leaning.text, leaning.behind
    if behind:
        earlier = _behind(turns)
        brackets = "（{}）" if mostly_unspaced(whole) else " ({})"
        return Understood(whole + brackets.format(earlier), f"{whole} {earlier} {whole}", leaning.sure)
    return Understood(whole, whole if leaning.made_of_last else f"{whole} {turns[-1].question} {whole}")


def asked_about(question: str) -> str | None:
    """Return the name that a question asks about which was cut short to it: "What about Tokyo? (Which city …)"."""
    match = _WHAT_ABOUT.fullmatch(question)
    return match["name"] if match else None


def asks_nothing(text: str) -> bool:
    """Tell whether a text only greets, thanks, agrees or declines."""
    return _NO_QUESTION.fullmatch(text.strip()) is not None


def _behind(turns: Sequence[Turn]) -> str:
    """Return the question that the turns go back to: of one that stands before another in brackets, the other.

    One that names a year stays, as its year is what the next one may compare.
    """
    last = turns[-1].question.strip()
    bare = LEAD.sub("", last)
    last = bare if ASKS.match(bare) else last
    match = BRACKETS.fullmatch(last)
    if match is None:
        return last
    head, inner = match["head"], match["inner"]
    return head if YEAR.search(head) and not mostly_unspaced(head) and not _says_little(head) else inner


def _whole(asked: str, turns: Sequence[Turn]) -> Leaning | None:
    """Return what a question with a verb of its own means; None if it leans on nothing."""
    asks = ASKS.match(asked) is not None
    named = asks and any(True for _ in names_in(asked))
    if (pointed := refer_back(asked, turns)) is not None:
        # "How much will it cost Japan?" may be about nothing that was said.
        return replace(pointed, sure=not named) if pointed.behind and _IT_ALONE.search(asked) else pointed
    if _COMPARES.match(asked):
        return Leaning(asked, behind=True)
    if _says_little(asked):
        return Leaning(asked, behind=True, sure=not named)
    return None if named or (asks and YEAR.search(asked)) else Leaning(asked, behind=True, sure=False)


def _says_little(text: str) -> bool:
    return len([term for term in terms(text) if term not in EMPTY]) <= 1
