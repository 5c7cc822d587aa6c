"""Answer SQuAD 2.0's questions with two readings each, as the answerer does, and say what the second one brings.

The first reading is that of the paragraph's windows, which finds the span. The second is of the sentence that holds it,
behind the title and the sentence before it: where a neighbour has led the first astray, the second does not know that
neighbour. What both say is weighed by a logistic model that is fitted to SQuAD questions whose articles were kept apart
from the reader's training, as is the threshold above which a question counts as answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from training.answerability import Combination, best_threshold, combine, list_features
from training.examples import pick_share, start_before
from training.measures import Doubles
from training.prepare import Recipe, split_key
from training.reference import Pair, Scorer, read_pairs
from training.sources import SourcePassage, read_passages, read_spans
from training.squad import (
    Answer,
    Question,
    answer_questions,
    measure_answers,
    measure_f1,
    read_squad,
    sentence_around,
)

SOURCE = "squad2_train_rebuilt"
TWICE = "_twice"


@dataclass(frozen=True, slots=True)
class TwiceRead:
    """The answers to questions, and what both readings say of each: a row of features, (n, 5)."""

    answers: list[Answer]
    features: Doubles


def evaluate_squad_twice(
    scorer: Scorer, *, tokenizer: Tokenizer, data: Path, path: Path, combination: Combination, limit: int = 0
) -> dict[str, object]:
    """Return F1, EM and AUROC on a SQuAD 2.0 file by the first reading, and with `TWICE` behind their names by both.

    `data` holds train/, to whose questions kept apart the weighing of both is fitted.
    """
    paragraphs, questions = read_squad(path, limit=limit)
    read = read_twice(scorer, tokenizer=tokenizer, paragraphs=paragraphs, questions=questions, combination=combination)
    both = fit_both(scorer, tokenizer=tokenizer, data=data, combination=combination)
    figures: dict[str, object] = {}
    for weighing, width, name in ((combination, len(combination.weights), ""), (both, len(both.weights), TWICE)):
        scores = weighing.apply(read.features[:, :width])
        found = measure_answers(paragraphs, questions, read.answers, scores=scores, threshold=weighing.threshold)
        figures |= {f"{measure}{name}": value for measure, value in found.items()}
    return figures


def fit_both(scorer: Scorer, *, tokenizer: Tokenizer, data: Path, combination: Combination) -> Combination:
    """Return how both readings are combined, with the threshold of the highest F1, on questions kept apart."""
    paragraphs, questions = read_dev(data)
    read = read_twice(scorer, tokenizer=tokenizer, paragraphs=paragraphs, questions=questions, combination=combination)
    answerable = np.array([bool(question.answers) for question in questions])
    plain = combine(read.features, answerable)
    f1 = measure_f1(paragraphs, questions, read.answers)
    return replace(plain, threshold=best_threshold(plain.apply(read.features), answerable, f1))


def read_dev(data: Path) -> tuple[list[SourcePassage], list[Question]]:
    """Return the paragraphs and questions of the articles that are kept apart from training."""
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


def read_twice(
    scorer: Scorer,
    *,
    tokenizer: Tokenizer,
    paragraphs: Sequence[SourcePassage],
    questions: Sequence[Question],
    combination: Combination,
) -> TwiceRead:
    """Return the answers of the first reading, with what the second says of their sentences."""
    answers = answer_questions(
        scorer, tokenizer=tokenizer, paragraphs=paragraphs, questions=questions, combination=combination
    )
    pairs = [
        in_context(question, paragraphs[question.paragraph], answer)
        for question, answer in zip(questions, answers, strict=True)
    ]
    again = read_pairs(scorer, tokenizer=tokenizer, pairs=pairs)
    first = list_features([answer.reading for answer in answers])
    return TwiceRead(answers, np.hstack((first, list_features(again)[:, :2])))


def in_context(question: Question, paragraph: SourcePassage, answer: Answer) -> Pair:
    """Return the sentence of an answer's span, behind the title and the sentence before it, with its question."""
    start, end = sentence_around(paragraph.text, answer.start)
    before = start_before(paragraph.text, start)
    title = f"{paragraph.title}. " if paragraph.title else ""
    head = title + paragraph.text[before:start]
    return Pair(question=question.text, passage=head + paragraph.text[start:end], header_size=len(head))
