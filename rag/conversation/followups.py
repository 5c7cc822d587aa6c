"""Follow-ups: a question that leans on the turns before it becomes one that stands alone, by rules.

These lean: one that corrects ("I meant 2024"), one that is cut short ("And in 2024?", "Why?", "What about exports?",
"那日本呢？"), one with a word that points back ("Did he agree?", "When was that ban lifted?"), and one that names
nothing of its own. What they lean on is taken from the question before and from the sentences that its answer cited. A
question that names what it is about is left as it is, and is answered as if it were the first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

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


def asks_nothing(text: str) -> bool:
    """Tell whether a text only greets, thanks, agrees or declines."""
    return _NO_QUESTION.fullmatch(text.strip()) is not None


def _behind(turns: Sequence[Turn]) -> str:
    """Return the question that the turns go back to: of one that stands before another in brackets, the other."""
    last = turns[-1].question.strip()
    match = BRACKETS.fullmatch(last)
    return match["inner"] if match else last


def _whole(asked: str, turns: Sequence[Turn]) -> Leaning | None:
    """Return what a question with a verb of its own means; None if it leans on nothing."""
    if (pointed := refer_back(asked, turns)) is not None:
        return pointed
    if len([term for term in terms(asked) if term not in EMPTY]) <= 1:
        return Leaning(asked, behind=True)
    named = YEAR.search(asked) is not None or any(True for _ in names_in(asked))
    return None if named and ASKS.match(asked) else Leaning(asked, behind=True, sure=False)
