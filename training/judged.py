"""Ask SQuAD 2.0's questions of the answerer, each with its paragraph as all that was found.

The answerer reads more than once: the paragraph behind its article's title, then the sentences that come out best each
by itself, and the best of these behind the title and the sentence before it. Its weights are those that
`training.answerer` fitted, to questions on SQuAD articles kept apart from the reader's training among others. The
confidence above which a question counts as answered, in place of the answerer's own bar, comes from questions on the
same articles. Nothing is fitted to the file that is asked about.

What retrieval adds is left out: all passages are as near to the question, and all words as telling. Every answer is a
short one, which the answerer gives to questions for a fact alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.answering import Judge, Reading
from rag.progress import SILENT, Reporting
from rag.records import Article, Hit, Passage, Span
from training.answerability import best_threshold
from training.examples import pick_share, split_sentences
from training.measures import Doubles
from training.prepare import Recipe, split_key
from training.sources import SourcePassage, read_passages, read_spans
from training.squad import Question, cut_passages, measure_answers, measure_f1, read_squad

SOURCE = "squad2_train_rebuilt"
NOTHING = Span(0, 0)


@dataclass(frozen=True, slots=True)
class Judged:
    """What was answered to questions, in their order: the slice of each one's paragraph, empty where nothing was found.

    `confidences` in it, (n,), are in 0..1.
    """

    spans: list[Span]
    confidences: Doubles


def evaluate_squad_judged(
    judge: Judge, *, data: Path, path: Path, limit: int = 0, reporting: Reporting = SILENT
) -> dict[str, object]:
    """Return F1, EM and AUROC on a SQuAD 2.0 file, or on `limit` questions of it, as the answerer answers.

    `data` holds train/, all of whose questions kept apart are asked for the threshold.

    Raises:
        OSError: there is no such data.
        ValueError: all questions have an answer, or none has.
    """
    threshold = choose_threshold(judge, *read_dev(data), reporting=reporting)
    paragraphs, questions = read_squad(path, limit=limit)
    judged = judge_questions(judge, paragraphs, questions, reporting=reporting)
    return measure_answers(paragraphs, questions, judged.spans, scores=judged.confidences, threshold=threshold)


def choose_threshold(
    judge: Judge,
    paragraphs: Sequence[SourcePassage],
    questions: Sequence[Question],
    *,
    reporting: Reporting = SILENT,
) -> float:
    """Return the confidence above which answering gives the highest F1, either kind of question weighing alike."""
    judged = judge_questions(judge, paragraphs, questions, reporting=reporting, stage="choosing the threshold")
    answerable = np.array([bool(question.answers) for question in questions])
    return best_threshold(judged.confidences, answerable, measure_f1(paragraphs, questions, judged.spans))


def read_dev(data: Path) -> tuple[list[SourcePassage], list[Question]]:
    """Return the paragraphs and questions of the SQuAD articles that are kept apart from training."""
    passages = read_passages(data)
    numbers: dict[int, int] = {}
    questions = []
    for row in read_spans(data, passages=passages):
        if row.source == SOURCE and pick_share(split_key(row)) < Recipe().dev_share:
            text = passages[row.passage_id].text
            number = numbers.setdefault(row.passage_id, len(numbers))
            spans = row.spans if row.answerable else ()
            answers = tuple(text[start:end] for start, end in spans)
            questions.append(Question(row.question, number, answers, tuple(start for start, _ in spans)))
    return [passages[i] for i in numbers], questions


def judge_questions(
    judge: Judge,
    paragraphs: Sequence[SourcePassage],
    questions: Sequence[Question],
    *,
    reporting: Reporting = SILENT,
    stage: str = "judging",
) -> Judged:
    """Return what the judge answers to each question: the short answer of the best sentence, or else that sentence."""
    laid_out = [lay_out(paragraph) for paragraph in paragraphs]
    spans, confidences = [], []
    for done, question in enumerate(questions, start=1):
        verdict = judge.judge(question.text, laid_out[question.paragraph])
        best = verdict.findings[0] if verdict.findings else None
        spans.append((best.short_answer or best.span) if best else NOTHING)
        confidences.append(verdict.confidence)
        reporting.progress(stage, done, len(questions))
    return Judged(spans, np.array(confidences))


def lay_out(paragraph: SourcePassage) -> list[Reading]:
    """Return the passages of a paragraph as retrieval would hand them on, all as near to the question."""
    name = str(paragraph.id)
    article = Article(id=name, path=f"{name}.md", text=paragraph.text, title=paragraph.title or "")
    sentences = [Span(*slice_) for slice_ in split_sentences(paragraph.text)]
    passages = [
        Passage(name, number, low, high, tuple(one for one in sentences if low <= one.start and one.end <= high))
        for number, (low, high) in enumerate(cut_passages(paragraph.text))
    ]
    return [Reading(Hit(passage, 1.0, passage.ordinal + 1), article) for passage in passages]
