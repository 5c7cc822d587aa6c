"""Several questions typed as one, asked one after another: a further one may lean on those before it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from rag.answering.casing import restore_capitals
from rag.answering.judging import Reading, Verdict
from rag.conversation.followups import understand
from rag.conversation.turns import Turn

Judging = Callable[[str, Sequence[Reading]], Verdict]

_BARE = 3  # words of a question that says nothing without the one before: "By whom?"


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The passages found with a query, and the texts that tell the capitals of a question that was typed small."""

    readings: Sequence[Reading]
    texts: Collection[str]


def judge_in_turn(
    parts: Sequence[str], *, look_up: Callable[[str], LookedUp], judge: Judging, least: float
) -> dict[str, Verdict]:
    """Return by question, with its capitals, which sentences answer it, and how surely.

    "By whom?" has no answer where the question before has none that is as sure as `least`. A question that may as well
    stand alone is asked so too, and the surer answer holds.
    """
    verdicts: dict[str, Verdict] = {}
    turns: list[Turn] = []
    verdict: Verdict | None = None

    def judged(question: str, found: LookedUp) -> tuple[str, Verdict]:
        meant = restore_capitals(question, found.texts)
        return meant, judge(meant, found.readings)

    for part in parts:
        understood = understand(part, turns)
        found = look_up(understood.query)
        bare = len(part.split()) <= _BARE < len(understood.question.split())
        if bare and verdict is not None and verdict.confidence < least:
            meant, verdict = restore_capitals(understood.question, found.texts), Verdict((), 0.0)
        else:
            meant, verdict = judged(understood.question, found)
            if not understood.sure and understood.question != part:
                plain, alone = judged(part, look_up(part))
                if alone.confidence >= verdict.confidence:
                    meant, verdict = plain, alone
        verdicts[restore_capitals(part, found.texts)] = verdict
        turns.append(Turn(meant, tuple(finding.text for finding in verdict.findings[:1])))
    return verdicts
