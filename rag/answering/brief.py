"""What a small model is asked to write: one sentence from one of the articles', after two worked examples.

A model of a hundred million parameters loses its way in twelve numbered sentences, and follows examples rather than
instructions. So it is shown the best evidence alone, and beforehand how questions of the same kind were answered. The
examples are invented.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.answering.judging import Finding, Verdict
from rag.answering.polarity import same_side
from rag.answering.questions import Asked, Kind, Wanted, analyse
from rag.answering.quoting import in_reading_order
from rag.answering.wording import are_alike, read_words
from rag.answering.writing import Message, TextWriter
from rag.answering.written import PER_MESSAGE, Draft, harmless

_SMALL_BELOW = 1_000_000_000
_INSTRUCTIONS = "Answer the question from the text in one short sentence, in the words of the text."
_MOST_EVIDENCE = 1
_MOST_TOKENS = 60


@dataclass(frozen=True, slots=True)
class Example:
    """A text, a question about it, and the sentence that answers."""

    text: str
    question: str
    answer: str


_NUMBER = (
    Example(
        "The ferry to Lorn carried 1,240 passengers a day in 2019, a third fewer than before the bridge was opened.",
        "How many passengers did the ferry to Lorn carry a day in 2019?",
        "The ferry to Lorn carried 1,240 passengers a day in 2019.",
    ),
    Example(
        "Sales of the Brandt works rose by 6.3 percent to 48 million crowns, its director, Ada Brandt, said on Monday.",
        "By how much did the sales of the Brandt works rise?",
        "Sales of the Brandt works rose by 6.3 percent.",
    ),
)
_DATE = (
    Example(
        "The ferry to Lorn was taken out of service in May 2019, three weeks after the bridge was opened.",
        "When was the ferry to Lorn taken out of service?",
        "The ferry to Lorn was taken out of service in May 2019.",
    ),
    Example(
        "On 3 March the council of Tarn voted by nine to four to close the old mill.",
        "On which day did the council of Tarn vote to close the old mill?",
        "The council of Tarn voted to close the old mill on 3 March.",
    ),
)
_NAME = (
    Example(
        "Sales of the Brandt works rose by 6.3 percent, its director, Ada Brandt, said in Lorn on Monday.",
        "Who is the director of the Brandt works?",
        "Ada Brandt is the director of the Brandt works.",
    ),
    Example(
        "The council of Tarn, which met in the old mill on 3 March, voted by nine to four to close the harbour.",
        "Where did the council of Tarn meet?",
        "The council of Tarn met in the old mill.",
    ),
)
_WHY = (
    Example(
        "The council of Tarn closed the old mill in March because its roof had become unsafe, and 40 workers moved on.",
        "Why did the council of Tarn close the old mill?",
        "The council of Tarn closed the old mill because its roof had become unsafe.",
    ),
    Example(
        "The ferry to Lorn lost a third of its passengers after the bridge was opened, its owner said.",
        "What led to the ferry's loss of passengers?",
        "The ferry to Lorn lost a third of its passengers after the bridge was opened.",
    ),
)
_YES_NO = (
    Example(
        "The council of Tarn closed the old mill in March because its roof had become unsafe.",
        "Did the council of Tarn close the old mill?",
        "The council of Tarn closed the old mill in March.",
    ),
    Example(
        "The ferry to Lorn will not run in winter, its owner said on Monday.",
        "Will the ferry to Lorn run in winter?",
        "The ferry to Lorn will not run in winter.",
    ),
)
_ANY = (_WHY[0], _NUMBER[0])
EXAMPLES = (*_NUMBER, *_DATE, *_NAME, *_WHY, *_YES_NO)
_WANTED = {Wanted.NUMBER: _NUMBER, Wanted.DATE: _DATE, Wanted.NAME: _NAME}


def suits(writer: TextWriter) -> bool:
    """Tell whether a model is small enough to be asked in this way; one that does not tell its size is not."""
    return writer.parameters is not None and writer.parameters < _SMALL_BELOW


def draft_brief(
    question: str, verdict: Verdict, *, writer: TextWriter, max_tokens: int, bare: bool = False
) -> Draft | None:
    """Return what to ask of a small model; None if its context has no room for the best sentence.

    A model that was trained on answering so (`training.writer`) is asked `bare`, without worked examples.
    """
    lead = [Message("system", _INSTRUCTIONS)]
    examples = () if bare else _examples(analyse(question))
    for example in examples:
        lead += [Message("user", _laid_out(example.text, example.question)), Message("assistant", example.answer)]
    longest = min(max_tokens, _MOST_TOKENS)
    room = writer.context_tokens - longest - sum(writer.count(message.content) + PER_MESSAGE for message in lead)
    evidence = list(verdict.findings[:_MOST_EVIDENCE])
    while evidence:
        text = " ".join(harmless(finding.text) for finding in in_reading_order(evidence))
        last = Message("user", _laid_out(text, harmless(question)))
        if writer.count(last.content) + PER_MESSAGE <= room:
            chosen = tuple(in_reading_order(evidence))
            return Draft((*lead, last), chosen, longest, lent=_lent(examples, question, chosen))
        evidence.pop()
    return None


def _lent(examples: Sequence[Example], question: str, evidence: Sequence[Finding]) -> frozenset[str]:
    """Return the keys of telling words that stand in worked examples, and in no form in the question or evidence."""
    own = {word.key for word in read_words(question)}
    for finding in evidence:
        article = finding.reading.article
        header = " ".join(part for part in (article.title, article.source, article.author) if part)
        own |= {word.key for text in (finding.text, header) for word in read_words(text)}
    shown = {
        word.key
        for example in examples
        for text in (example.text, example.question, example.answer)
        for word in read_words(text)
        if word.telling
    }
    return frozenset(key for key in shown if not any(are_alike(key, one) or same_side(key, one) for one in own))


def _examples(asked: Asked) -> tuple[Example, ...]:
    if asked.kind is Kind.YES_NO:
        return _YES_NO
    if asked.wanted in _WANTED:
        return _WANTED[asked.wanted]
    return _WHY if asked.kind is Kind.EXPLANATION else _ANY


def _laid_out(text: str, question: str) -> str:
    return f"Text: {text}\nQuestion: {question}"
