"""SQuAD 2.0's questions, read paragraph by paragraph, and the measures that its authors defined."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from rag.records import Span
from training.answerability import Combination, list_cuts, list_features
from training.examples import split_sentences
from training.measures import (
    Doubles,
    bootstrap_auroc,
    bootstrap_mean,
    compute_calibration_error,
    compute_exact,
    compute_f1,
)
from training.reference import Pair, Reading, Scorer, read_pairs
from training.sources import SourcePassage

WINDOW_WORDS = 150


@dataclass(frozen=True, slots=True)
class Question:
    """A question on one paragraph, with its answers; none where the paragraph has none."""

    text: str
    paragraph: int
    answers: tuple[str, ...]
    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The best window of a question's paragraph as it was read, and the slice of the paragraph that its span is."""

    reading: Reading
    span: Span


def read_squad(path: Path, *, limit: int = 0) -> tuple[list[SourcePassage], list[Question]]:
    """Return the paragraphs and questions of a file in SQuAD 2.0's form; at most `limit` of these at random, or all."""
    paragraphs: list[SourcePassage] = []
    questions: list[Question] = []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            number = len(paragraphs)
            title = article["title"].replace("_", " ")
            paragraphs.append(SourcePassage(id=number, title=title, text=paragraph["context"]))
            for row in paragraph["qas"]:
                answers = [] if row.get("is_impossible") else row["answers"]
                questions.append(
                    Question(
                        text=row["question"],
                        paragraph=number,
                        answers=tuple(answer["text"] for answer in answers),
                        starts=tuple(answer["answer_start"] for answer in answers),
                    )
                )
    return paragraphs, random.Random(13).sample(questions, limit) if limit else questions


def cut_passages(text: str, *, max_words: int = WINDOW_WORDS, overlap: int = 1) -> list[tuple[int, int]]:
    """Return (start, end) of runs of whole sentences of at most `max_words` words, each `overlap` sentences back.

    One sentence that is longer makes a run of its own.
    """
    sentences = split_sentences(text)
    sizes = [len(text[start:end].split()) for start, end in sentences]
    runs: list[tuple[int, int]] = []
    first = 0
    while first < len(sentences):
        last, total = first, sizes[first]
        while last + 1 < len(sentences) and total + sizes[last + 1] <= max_words:
            last += 1
            total += sizes[last]
        runs.append((sentences[first][0], sentences[last][1]))
        if last == len(sentences) - 1:
            break
        first = max(first + 1, last + 1 - overlap)
    return runs


def evaluate_squad(
    scorer: Scorer, *, tokenizer: Tokenizer, path: Path, combination: Combination, header: bool = False, limit: int = 0
) -> dict[str, object]:
    """Return F1, EM and AUROC on a SQuAD 2.0 file; `header` puts the title before each window."""
    paragraphs, questions = read_squad(path, limit=limit)
    answers = answer_questions(
        scorer, tokenizer=tokenizer, paragraphs=paragraphs, questions=questions, combination=combination, header=header
    )
    scores = combination.apply(list_features([answer.reading for answer in answers]))
    spans = [answer.span for answer in answers]
    raw = np.array([answer.reading.answerable for answer in answers])
    truth = np.array([bool(question.answers) for question in questions])
    return {
        **measure_answers(paragraphs, questions, spans, scores=scores, threshold=combination.threshold),
        "auroc_head_alone": bootstrap_auroc(raw, truth),
        "calibration_error": compute_calibration_error(1 / (1 + np.exp(-scores)), truth),
    }


def answer_questions(
    scorer: Scorer,
    *,
    tokenizer: Tokenizer,
    paragraphs: Sequence[SourcePassage],
    questions: Sequence[Question],
    combination: Combination,
    header: bool = False,
) -> list[Answer]:
    """Return an answer for each question, from the window of its paragraph that scores best."""
    pairs: list[Pair] = []
    owners: list[tuple[int, int]] = []
    for i, question in enumerate(questions):
        paragraph = paragraphs[question.paragraph]
        line = f"{paragraph.title}. " if header else ""
        for start, end in cut_passages(paragraph.text):
            pairs.append(Pair(question=question.text, passage=line + paragraph.text[start:end], header_size=len(line)))
            owners.append((i, start - len(line)))
    readings = read_pairs(scorer, tokenizer=tokenizer, pairs=pairs)
    odds = combination.apply(list_features(readings))
    best: dict[int, int] = {}
    for j, (i, _) in enumerate(owners):
        if i not in best or odds[j] > odds[best[i]]:
            best[i] = j
    chosen = [best[i] for i in range(len(questions))]
    return [Answer(readings[j], Span(readings[j].start + owners[j][1], readings[j].end + owners[j][1])) for j in chosen]


def measure_answers(
    paragraphs: Sequence[SourcePassage],
    questions: Sequence[Question],
    spans: Sequence[Span],
    *,
    scores: Doubles,
    threshold: float,
) -> dict[str, object]:
    """Return F1, EM and AUROC of answers, as slices of paragraphs: given if their score, (n,), is above `threshold`.

    F1 and EM are those of Rajpurkar et al. (2018, arXiv:1806.03822), in 0..1. Of the answerable questions they count
    every answer, whether it is given or not. An empty slice is no answer.

    Raises:
        ValueError: all questions have an answer, or none has.
    """
    texts = [paragraphs[question.paragraph].text for question in questions]
    predicted = list_predicted(paragraphs, questions, spans)
    truth = np.array([bool(question.answers) for question in questions])
    f1 = measure_f1(paragraphs, questions, spans)
    exact = np.array(
        [compute_exact(text, answers=question.answers) for text, question in zip(predicted, questions, strict=True)]
    )
    kept = scores > threshold
    overall_f1 = np.where(kept, np.where(truth, f1, 0.0), np.where(truth, 0.0, 1.0))
    overall_exact = np.where(kept, np.where(truth, exact, 0.0), np.where(truth, 0.0, 1.0))
    order = np.argsort(-scores)
    gains = np.concatenate(([0.0], np.cumsum(np.where(truth, f1, -1.0)[order])))
    ceiling = (float(gains[list_cuts(scores[order])].max()) + float((~truth).sum())) / len(truth)
    sentence_right = []
    for text, question, span in zip(texts, questions, spans, strict=True):
        if question.answers:
            low, high = sentence_around(text, span.start)
            sentence_right.append(span.start < span.end and any(low <= start < high for start in question.starts))
    return {
        "overall_f1": bootstrap_mean(overall_f1),
        "overall_exact": bootstrap_mean(overall_exact),
        "overall_f1_at_best_threshold": ceiling,
        "answerable_f1": bootstrap_mean(f1[truth]),
        "answerable_exact": bootstrap_mean(exact[truth]),
        "sentence_right": bootstrap_mean(np.array(sentence_right, dtype=float)),
        "auroc": bootstrap_auroc(scores, truth),
        "declined_unanswerable": bootstrap_mean((~kept[~truth]).astype(float)),
        "declined_answerable": bootstrap_mean((~kept[truth]).astype(float)),
    }


def list_predicted(
    paragraphs: Sequence[SourcePassage], questions: Sequence[Question], spans: Sequence[Span]
) -> list[str]:
    """Return the words that each answer is."""
    pairs = zip(questions, spans, strict=True)
    return [paragraphs[question.paragraph].text[span.start : span.end] for question, span in pairs]


def measure_f1(paragraphs: Sequence[SourcePassage], questions: Sequence[Question], spans: Sequence[Span]) -> Doubles:
    """Return the F1 of each answer, whether it is given or not: (n,)."""
    predicted = list_predicted(paragraphs, questions, spans)
    pairs = zip(predicted, questions, strict=True)
    return np.array([compute_f1(text, answers=question.answers) for text, question in pairs])


def sentence_around(text: str, place: int) -> tuple[int, int]:
    """Return (start, end) of the sentence that holds a place; of an empty slice there if none does."""
    around = (span for span in split_sentences(text) if span[0] <= place < span[1])
    return next(around, (place, place))
