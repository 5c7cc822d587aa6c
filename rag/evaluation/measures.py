"""What is measured: rankings by ir_measures, answers by the published rules, refusals and confidence by plain counts.

A measure of one question is a number; where it does not apply (a citation's precision when nothing was cited), the
question has none, and the mean is over those that have one.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.index.lexical import mostly_unspaced
from rag.records import Answer, Span

Qrels = Mapping[str, Mapping[str, int]]
Ranking = Sequence[tuple[str, float]]

EVIDENCE = "evidence:"
ARTICLE_MEASURES = ("nDCG@10", "RR@10", "AP", "R@10", "R@100", "Success@1", "Success@5")
EVIDENCE_MEASURES = ("nDCG@10", "RR@10", "R@10", "Success@1", "Success@5")
ANSWER_MEASURES: Mapping[str, str] = {
    "right": "answered with a gold quote cited (without gold quotes: a gold answer stated), or rightly declined",
    "EM": "exact match with a gold answer; declined is right exactly when the articles do not say",
    "F1": "words, or Chinese and Japanese characters, shared with the nearest gold answer",
    "contains": "a gold answer stands in the answer's text",
    "evidence_cited": "at least one gold quote is cited",
    "citation_recall": "share of the gold quotes that are cited",
    "articles_cited": "share of the articles with gold quotes from which one is cited",
    "citation_precision": "share of the citations that overlap a gold quote, where something was cited",
    "declined_answerable": "declined although the articles answer",
    "refusal_recall": "declined where the articles do not answer",
    "refusal_precision": "declined questions that the articles do not answer",
    "Brier": "squared distance of the confidence from right or wrong, before the threshold",
    "characters": "length of an answer",
    "sentences": "sentences of an answer",
}
LOWER_IS_BETTER = frozenset({"declined_answerable", "Brier", "AURC", "ECE"})
# Lengths are neither better nor worse, and this precision is of the questions that were declined, not of each question.
NOT_COMPARED = frozenset({"characters", "sentences", "refusal_precision"})

_PUNCTUATION = frozenset(string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
# Apart by more than the seven decimals that a run file holds, and than 32 bits can tell at 1.
_STEP = 1e-6
_DECIMALS = 7


# Rankings


def ranking_measures(names: Iterable[str], *, qrels: Qrels, run: Mapping[str, Ranking]) -> dict[str, dict[str, float]]:
    """Return each question's measures by its id, for every question that the qrels judge, by ir_measures.

    A question without a ranking has 0. nDCG is trec_eval's, with linear gain.

    Raises:
        ValueError: a measure is none that ir_measures knows.
    """
    import ir_measures

    try:
        measures = [ir_measures.parse_measure(name) for name in names]
    except (NameError, ValueError, SyntaxError) as error:
        raise ValueError(f"no such measure: {error}") from error
    found: dict[str, dict[str, float]] = {question: {str(measure): 0.0 for measure in measures} for question in qrels}
    scores = {question: dict(strictly_falling(ranking)) for question, ranking in run.items() if question in qrels}
    judged = {question: dict(relevant) for question, relevant in qrels.items()}
    for value in ir_measures.iter_calc(measures, judged, scores):
        found[value.query_id][str(value.measure)] = float(value.value)
    return found


def strictly_falling(ranking: Ranking) -> list[tuple[str, float]]:
    """Return a ranking, best first, with its scores moved as little as makes each smaller than the one before.

    trec_eval ranks by score and breaks ties by name, whatever the order in the file says, so a run must have no ties.
    """
    falling: list[tuple[str, float]] = []
    for name, score in ranking:
        before = falling[-1][1] if falling else float("inf")
        bar = before - _STEP * max(1.0, abs(before)) if falling else before
        falling.append((name, round(min(score, bar), _DECIMALS)))
    return falling


def best_passages(hits: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return articles by their best passage, best first, from passages given as (article, score), best first."""
    best: dict[str, float] = {}
    for article, score in hits:
        best.setdefault(article, score)
    return list(best.items())


# Answers


def exact_match(prediction: str, gold: str, *, unspaced: bool) -> float:
    """Return 1 if two answers are the same after normalising, else 0."""
    return float(answer_tokens(prediction, unspaced=unspaced) == answer_tokens(gold, unspaced=unspaced))


def f1(prediction: str, gold: str, *, unspaced: bool) -> float:
    """Return the harmonic mean of the shares of tokens that two answers have in common.

    If one of them is empty, it is 1 where both are. Rajpurkar et al., SQuAD 1.1 and 2.0, evaluate-v2.0.py.
    """
    said, wanted = answer_tokens(prediction, unspaced=unspaced), answer_tokens(gold, unspaced=unspaced)
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))


def contains(answer: str, gold: str, *, unspaced: bool) -> float:
    """Return 1 if a gold answer's tokens stand in an answer, one after another, else 0."""
    said, wanted = answer_tokens(answer, unspaced=unspaced), answer_tokens(gold, unspaced=unspaced)
    if not wanted:
        return 0.0
    places = range(len(said) - len(wanted) + 1)
    return float(any(said[place : place + len(wanted)] == wanted for place in places))


def answer_tokens(text: str, *, unspaced: bool) -> list[str]:
    """Return what answers are compared by.

    SQuAD's rule: lower case, without ASCII punctuation, without a, an, the. For Chinese and Japanese (`unspaced`):
    the characters, full-width forms folded, without any script's punctuation.
    """
    if unspaced:
        folded = unicodedata.normalize("NFKC", text).casefold()
        return [c for c in folded if not c.isspace() and not unicodedata.category(c).startswith("P")]
    plain = "".join(c for c in text.lower() if c not in _PUNCTUATION)
    return _ARTICLES.sub(" ", plain).split()


@dataclass(frozen=True, slots=True)
class Gold:
    """What is known to be right for a question.

    `quotes` are, for each gold quote, its article and all places where it stands there; `answerable` is None where
    nobody said.
    """

    question: str
    answers: tuple[str, ...] = ()
    quotes: tuple[tuple[str, tuple[Span, ...]], ...] = ()
    answerable: bool | None = None

    @property
    def unspaced(self) -> bool:
        """Tell whether answers are compared by character."""
        return mostly_unspaced(self.question)

    def quoted_by(self, article: str, span: Span) -> list[int]:
        """Return the places in `quotes` of the gold quotes that a slice of an article overlaps."""
        return [
            place
            for place, (name, places) in enumerate(self.quotes)
            if name == article and any(span.overlaps(stands) for stands in places)
        ]


def answer_measures(answer: Answer, gold: Gold, *, withheld: Answer | None = None) -> dict[str, float]:
    """Return an answer's measures.

    `withheld` is the answer that there would be without a threshold on the confidence; what it gets right is what the
    confidence is judged by.
    """
    found: dict[str, float] = {}
    answered = answer.answered
    if gold.answerable is False:
        found["refusal_recall"] = float(not answered)
    elif gold.answerable:
        found["declined_answerable"] = float(not answered)
    if not answered and gold.answerable is not None:
        found["refusal_precision"] = float(not gold.answerable)
    if answered:
        found["characters"] = float(sum(len(claim.text) for claim in answer.claims))
        found["sentences"] = float(len(answer.claims))
    found |= _wording(answer, gold) | _citing(answer, gold)
    right = _rightness(answer, gold)
    if right is not None:
        found["right"] = right
        apart = answer.confidence - float(correct(withheld or answer, gold))
        found["Brier"] = apart * apart
    return found


def correct(answer: Answer, gold: Gold) -> bool:
    """Tell whether an answer that was given is right.

    A refusal never is, nor an answer to what the articles do not say.
    """
    if not answer.answered or gold.answerable is False:
        return False
    if gold.quotes:
        return bool(_covered(answer, gold))
    return any(contains(_said(answer), wanted, unspaced=gold.unspaced) for wanted in gold.answers)


def _rightness(answer: Answer, gold: Gold) -> float | None:
    if gold.answerable is False:
        return float(not answer.answered)
    if not gold.quotes and not gold.answers:
        return None
    return float(correct(answer, gold))


def _wording(answer: Answer, gold: Gold) -> dict[str, float]:
    """Compare what is said with the gold answers; where the articles do not answer, it is right to say nothing."""
    wanted = [text for text in gold.answers if answer_tokens(text, unspaced=gold.unspaced)]
    if gold.answerable is False:
        wanted = [""]
    if not wanted:
        return {}
    said = _said(answer)
    short = answer.short_answer or said
    unspaced = gold.unspaced
    found = {
        "EM": max(exact_match(short, text, unspaced=unspaced) for text in wanted),
        "F1": max(f1(short, text, unspaced=unspaced) for text in wanted),
    }
    if gold.answerable is not False:
        found["contains"] = max(contains(said, text, unspaced=unspaced) for text in wanted)
    return found


def _citing(answer: Answer, gold: Gold) -> dict[str, float]:
    if not gold.quotes:
        return {}
    covered = _covered(answer, gold)
    articles = {name for name, _ in gold.quotes}
    found = {
        "evidence_cited": float(bool(covered)),
        "citation_recall": len(covered) / len(gold.quotes),
        "articles_cited": len({gold.quotes[place][0] for place in covered}) / len(articles),
    }
    if answer.citations:
        right = [bool(gold.quoted_by(c.article, Span(c.start, c.end))) for c in answer.citations]
        found["citation_precision"] = sum(right) / len(right)
    return found


def _covered(answer: Answer, gold: Gold) -> set[int]:
    return {place for c in answer.citations for place in gold.quoted_by(c.article, Span(c.start, c.end))}


def _said(answer: Answer) -> str:
    return " ".join(claim.text for claim in answer.claims)


# Confidence


@dataclass(frozen=True, slots=True)
class Bin:
    """Questions of like confidence: how many, their mean confidence, and the share that was right."""

    n: int
    confidence: float
    right: float


def risk_coverage(confidences: Sequence[float], right: Sequence[bool]) -> list[tuple[float, float, float]]:
    """Return (coverage, risk, confidence) for answering only the 1, 2, … n most confident questions.

    Risk is the share of wrong answers among those given. Questions of equal confidence share their errors evenly, so
    that their order means nothing. Geifman and El-Yaniv, 2017, arXiv:1705.08500.
    """
    confidence = np.asarray(confidences, dtype=np.float64)
    wrong = 1.0 - np.asarray(right, dtype=np.float64)
    risks = _risks(confidence, wrong)
    n = len(confidence)
    falling = np.sort(confidence)[::-1]
    return [((i + 1) / n, float(risks[i]), float(falling[i])) for i in range(n)]


def aurc(confidences: Sequence[float] | NDArray[np.float64], right: Sequence[bool] | NDArray[np.bool_]) -> float:
    """Return the area under the risk–coverage curve: the mean risk over all coverages, lower is better."""
    return float(_risks(np.asarray(confidences, np.float64), 1.0 - np.asarray(right, np.float64)).mean())


def _risks(confidence: NDArray[np.float64], wrong: NDArray[np.float64]) -> NDArray[np.float64]:
    _, group, sizes = np.unique(-confidence, return_inverse=True, return_counts=True)
    shared = np.bincount(group, weights=wrong) / sizes
    return np.cumsum(np.repeat(shared, sizes)) / np.arange(1, len(wrong) + 1)


def calibration(confidences: Sequence[float], right: Sequence[bool], *, bins: int = 10) -> list[Bin]:
    """Return bins of equally many questions, least confident first; equal confidences stay in one bin."""
    order = np.argsort(np.asarray(confidences), kind="stable")
    confidence, truth = np.asarray(confidences, np.float64)[order], np.asarray(right, np.float64)[order]
    ends = [round(len(order) * (i + 1) / bins) for i in range(bins)]
    # A bin ends behind the last of the confidences that equal its own last.
    ends = sorted({int(np.searchsorted(confidence, confidence[end - 1], side="right")) for end in ends if end > 0})
    found, start = [], 0
    for end in ends:
        found.append(Bin(end - start, float(confidence[start:end].mean()), float(truth[start:end].mean())))
        start = end
    return found


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Return the mean distance of confidence and truth over the bins, by their sizes (Naeini et al., AAAI 2015)."""
    return sum(part.n * abs(part.confidence - part.right) for part in bins) / sum(part.n for part in bins)
