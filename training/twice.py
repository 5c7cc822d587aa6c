"""Answer SQuAD 2.0's questions with two readings each, as the answerer does, and say what the second one brings.

The first reading is that of the paragraph's windows, which finds the span. The second is of the sentence that holds it,
behind the title and the sentence before it: where a neighbour has led the first astray, the second does not know that
neighbour. What both say is weighed by a logistic model that is fitted to SQuAD questions whose articles were kept apart
from the reader's training, as is the threshold above which a question counts as answered.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from training.answerability import Combination, best_threshold, list_features
from training.examples import pick_share
from training.measures import Doubles, compute_f1, fit_logistic
from training.prepare import Recipe, split_key
from training.reference import Pair, Scorer, read_pairs
from training.sources import SourcePassage, read_passages, read_spans
from training.squad import (
    Answer,
    Question,
    answer_questions,
    measure_answers,
    read_squad,
    sentence_around,
    sentence_before,
)

SOURCE = "squad2_train_rebuilt"


@dataclass(frozen=True, slots=True)
class TwiceRead:
    """The answers to questions, and what both readings say of each: a row of features, (n, 5)."""

    answers: list[Answer]
    features: Doubles


@dataclass(frozen=True, slots=True)
class Weighing:
    """How both readings are weighed, and the log-odds above which a question counts as answered."""

    weights: Doubles
    threshold: float

    def apply(self, features: Doubles) -> Doubles:
        """Return the log-odds, (n,), that questions are answerable; features: (n, 5)."""
        result: Doubles = features @ self.weights[:-1] + self.weights[-1]
        return result


def evaluate_squad_twice(
    scorer: Scorer, *, tokenizer: Tokenizer, data: Path, path: Path, combination: Combination, limit: int = 0
) -> dict[str, object]:
    """Return F1, EM and AUROC on a SQuAD 2.0 file when each question is read twice; `data` holds train/."""
    weighing = fit_weighing(scorer, tokenizer=tokenizer, data=data, combination=combination)
    paragraphs, questions = read_squad(path)
    if limit:
        questions = random.Random(13).sample(questions, limit)
    read = read_twice(scorer, tokenizer=tokenizer, paragraphs=paragraphs, questions=questions, combination=combination)
    scores = weighing.apply(read.features)
    return measure_answers(paragraphs, questions, read.answers, scores=scores, threshold=weighing.threshold)


def fit_weighing(scorer: Scorer, *, tokenizer: Tokenizer, data: Path, combination: Combination) -> Weighing:
    """Return the weights, and the threshold of the highest F1, on questions kept apart; both kinds weigh alike."""
    paragraphs, questions = read_dev(data)
    read = read_twice(scorer, tokenizer=tokenizer, paragraphs=paragraphs, questions=questions, combination=combination)
    answerable = np.array([bool(question.answers) for question in questions])
    weights = fit_logistic(read.features, answerable)
    f1 = np.array(
        [
            compute_f1(paragraphs[question.paragraph].text[answer.start : answer.end], answers=question.answers)
            for question, answer in zip(questions, read.answers, strict=True)
        ]
    )
    odds = Weighing(weights, 0.0).apply(read.features)
    return Weighing(weights, best_threshold(odds, answerable, f1))


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
    before = sentence_before(paragraph.text, start)
    title = f"{paragraph.title}. " if paragraph.title else ""
    head = title + paragraph.text[before:start]
    return Pair(question=question.text, passage=head + paragraph.text[start:end], header_size=len(head))
