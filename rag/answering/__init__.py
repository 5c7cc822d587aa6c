"""Answering: from ranked passages to sentences that are quoted, or to an honest refusal.

casing.py      a question typed small, with the capitals of the articles
questions.py   what a question asks for: one fact, an explanation, several views, a yes or no
double.py      whether it is several questions in one
sides.py       whether it asks what one party says, or each of several, and what each is asked
sides_unspaced.py  the same in Chinese and Japanese, and whose their sentences are
parties.py     who can say something, and by which names
clauses.py     who is the subject of what in a sentence
speakers.py    which sentences are a party's own
mentions.py    whether an article names a party at all
others.py      which sentences are another's words
hearing.py     what a party says, or each of several, judged by its own question
outline.py     which sentence another one needs: in lists, tables and interviews
judging.py     the seam: a judge says how well each sentence answers, and whether any does
reading.py     the judge that reads, with the reading model; its weights are fitted by training/answerer.py
matching.py    the judge that matches words, for scripts that the reading model does not know
similarity.py  the judge that compares meanings and words, where there is no reading model
claims.py      what a writer writes, cut into claims while it arrives
checking.py    which claims the evidence supports, by a score and by the rules
rules.py       the rules: figures, names, negation, direction, who did what to whom
relevance.py   whether a claim that is borne out answers the question
addressing.py  sentences that give orders to whoever reads them, and are no evidence
figures.py     numbers and dates in one form, however they are written
wording.py     the words of a claim beside those of its evidence
polarity.py    negation, doubt, opposites
writing.py     the seam: a model that writes
brief.py       what a small model is asked instead
written.py     what a model is asked to write, and what is left of it after the check
quoting.py     the answer: which sentences are quoted, in which order, under which markers

A question needs few of these modules, so each is imported when something of it is first asked for.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.answering.casing import is_without_capitals, restore_capitals
    from rag.answering.checking import Checked, Checker, Supporter
    from rag.answering.claims import ClaimCutter, Drafted
    from rag.answering.double import split_questions
    from rag.answering.judging import Finding, Judge, Reading, Verdict
    from rag.answering.questions import Asked, analyse, names_nothing
    from rag.answering.quoting import QuotingSettings, quote_answer
    from rag.answering.reading import ReaderJudge
    from rag.answering.similarity import SimilarityJudge

__all__ = [
    "Asked",
    "Checked",
    "Checker",
    "ClaimCutter",
    "Drafted",
    "Finding",
    "Judge",
    "QuotingSettings",
    "ReaderJudge",
    "Reading",
    "SimilarityJudge",
    "Supporter",
    "Verdict",
    "analyse",
    "is_without_capitals",
    "names_nothing",
    "quote_answer",
    "restore_capitals",
    "split_questions",
]

_MODULES = {
    "Asked": "questions",
    "Checked": "checking",
    "Checker": "checking",
    "ClaimCutter": "claims",
    "Drafted": "claims",
    "Finding": "judging",
    "Judge": "judging",
    "QuotingSettings": "quoting",
    "ReaderJudge": "reading",
    "Reading": "judging",
    "SimilarityJudge": "similarity",
    "Supporter": "checking",
    "Verdict": "judging",
    "analyse": "questions",
    "names_nothing": "questions",
    "quote_answer": "quoting",
    "is_without_capitals": "casing",
    "restore_capitals": "casing",
    "split_questions": "double",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
