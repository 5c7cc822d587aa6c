r"""Measure a reader: dev split, the half of SQuAD 2.0 dev, CLAPNQ dev, WiCE dev and altered claims.

    python -m training.evaluate --data ../shared/data --examples build/reader/examples \\
        --model build/reader/export/model.onnx --out build/reader/figures.json

Nothing but the dev split is used to choose anything: thresholds and the answerability combination are fitted there.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training.examples import list_words, split_sentences
from training.measures import (
    Doubles,
    Figure,
    bootstrap,
    bootstrap_auroc,
    bootstrap_mean,
    compute_auroc,
    compute_balanced_accuracy,
    compute_calibration_error,
    compute_exact,
    compute_f1,
    fit_logistic,
)
from training.prepare import make_altered_claims
from training.reference import OnnxScorer, Pair, Reading, Scorer, find_best_span, read_pairs, take_log_softmax
from training.sources import SourcePassage, check_files, read_recorded_checksums
from training.tokens import TokenisedExamples, load_tokenizer, make_batch, plan_batches

logger = logging.getLogger(__name__)
WINDOW_WORDS = 150
COMBINATION = ("answerable", "span_score", "margin")
EVALUATION_FILES = (
    "reading/squad2_dev_half.json",
    "reading/clapnq_dev_answerable.jsonl",
    "reading/clapnq_dev_unanswerable.jsonl",
    "evidence/wice_claim_dev.jsonl",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question on one paragraph, with its answers; none where the paragraph has none."""

    text: str
    paragraph: int
    answers: tuple[str, ...]
    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Combination:
    """How answerability is computed: weights on `COMBINATION`, a bias, and the threshold that is best on dev F1."""

    weights: tuple[float, float, float]
    bias: float
    threshold: float

    def apply(self, features: Doubles) -> Doubles:
        """Return the log-odds that a pair is answerable; features: (n, 3)."""
        result: Doubles = features @ np.array(self.weights) + self.bias
        return result


@dataclass(frozen=True, slots=True)
class DevScores:
    """Scores on the dev split, a row per example; NaN where an example has no span.

    spans_right: whether the span is the right one or, where a span merely holds the answer, lies within it.
    overlaps: F1 over tokens.
    """

    features: Doubles
    answerable: NDArray[np.int64]
    spans_right: Doubles
    overlaps: Doubles
    support: Doubles
    bits: NDArray[np.int64]
    names: tuple[str, ...]


def read_squad(path: Path) -> tuple[list[SourcePassage], list[Question]]:
    """Return the paragraphs and the questions of a file in SQuAD 2.0's form."""
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
    return paragraphs, questions


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


def list_features(readings: Sequence[Reading]) -> Doubles:
    """Return the features of the combination, (n, 3)."""
    return np.array(
        [[reading.answerable, reading.span_score, reading.margin] for reading in readings], dtype=np.float64
    )


def score_dev(scorer: Scorer, *, dev: TokenisedExamples, max_batch_tokens: int = 1) -> DevScores:
    """Return the scores of every dev example, by default each read by itself.

    That is how the reader reads: what is computed in eight bits depends on what shares a batch.
    """
    features = np.zeros((len(dev), 3))
    spans_right = np.full(len(dev), np.nan)
    overlaps = np.full(len(dev), np.nan)
    support = np.zeros((len(dev), 3))
    for rows in plan_batches(dev.sizes, max_batch_tokens=max_batch_tokens, bucket=len(dev), seed=0):
        batch = make_batch(dev, rows=rows)
        logits = scorer(batch.ids, batch.mask, batch.types)
        support[batch.rows] = np.exp(take_log_softmax(logits.support))
        for i, row in enumerate(batch.rows.tolist()):
            if dev.answerable[row] < 0:
                continue
            span = find_best_span(
                logits.start[i], logits.end[i], begin=int(dev.breaks[row]), stop=int(dev.sizes[row]) - 1
            )
            features[row] = (float(logits.answerable[i]), span.score, span.margin)
            if batch.starts[i] >= 0:
                first, last = int(batch.starts[i]), int(batch.ends[i])
                shared = max(0, min(last, span.last) - max(first, span.first) + 1)
                overlaps[row] = 2 * shared / (last - first + 1 + span.last - span.first + 1)
                spans_right[row] = (
                    float(first <= span.first and span.last <= last)
                    if batch.inside[i]
                    else float((span.first, span.last) == (first, last))
                )
    return DevScores(
        features=features,
        answerable=dev.answerable.astype(np.int64),
        spans_right=spans_right,
        overlaps=overlaps,
        support=support,
        bits=dev.support.astype(np.int64),
        names=tuple(dev.names[group] for group in dev.groups),
    )


def fit_combination(scores: DevScores) -> Combination:
    """Return the combination fitted on the dev questions, its threshold the one with the highest F1 over all.

    For the threshold count the questions that people wrote for a passage (answerable, or impossible on purpose), not
    the mined negatives, and both classes weigh alike: the dev split has twice as many impossible ones, which says
    nothing about the questions that will be asked. An impossible question is worth 1 if declined, others their F1.
    """
    questions = scores.answerable >= 0
    weights = fit_logistic(scores.features[questions], scores.answerable[questions] == 1)
    plain = Combination(
        weights=(float(weights[0]), float(weights[1]), float(weights[2])), bias=float(weights[3]), threshold=0.0
    )
    written = np.array(
        [
            name.startswith("squad2_train_rebuilt · ") and name.endswith(("written", "answerable"))
            for name in scores.names
        ]
    )
    odds = plain.apply(scores.features[written])
    overlaps = np.nan_to_num(scores.overlaps[written])
    threshold = best_threshold(odds, scores.answerable[written] == 1, overlaps)
    return Combination(weights=plain.weights, bias=plain.bias, threshold=threshold)


def best_threshold(odds: Doubles, answerable: NDArray[np.bool_], f1: Doubles) -> float:
    """Return the odds above which answering is worth most, the answerable and the others weighing alike.

    All inputs: (n,). An answered question is worth its F1, a question without an answer 1 if it is declined.
    """
    worth = np.where(answerable, f1, 0.0) / max(1, answerable.sum())
    refused = np.where(answerable, 0.0, 1.0) / max(1, (~answerable).sum())
    order = np.argsort(-odds)
    gains = np.concatenate(([0.0], np.cumsum(worth[order] - refused[order])))
    best = int(np.argmax(gains))
    edges = np.concatenate(([odds.max() + 1], odds[order], [odds.min() - 1]))
    return float((edges[best] + edges[best + 1]) / 2)


def read_combination(path: Path) -> Combination:
    """Return the combination that training.export fitted on the dev split and wrote to the model's config."""
    written = json.loads(path.read_text(encoding="utf-8"))["answerability"]
    first, second, third = written["weights"]
    return Combination(weights=(first, second, third), bias=written["bias"], threshold=written["threshold"])


def compare_combinations(scores: DevScores, *, seed: int = 13) -> dict[str, Figure]:
    """Return the AUROC on held-out halves of the dev questions for each choice of features."""
    rows = np.flatnonzero(scores.answerable >= 0)
    rng = np.random.default_rng(seed)
    half = rng.random(len(rows)) < 0.5
    labels = scores.answerable[rows] == 1
    figures = {}
    for name, columns in (
        ("answerable", [0]), ("span_score", [1]), ("margin", [2]), ("answerable + span_score", [0, 1]),
        ("answerable + span_score + margin", [0, 1, 2]),
    ):  # fmt: skip
        features = scores.features[rows][:, columns]
        held_out = np.zeros(len(rows))
        for part in (half, ~half):
            weights = fit_logistic(features[~part], labels[~part])
            held_out[part] = features[part] @ weights[:-1] + weights[-1]
        figures[name] = bootstrap_auroc(held_out, labels)
    return figures


def evaluate_dev(scores: DevScores, *, combination: Combination) -> dict[str, object]:
    """Return the figures on the dev split: by negative kind, spans, support, and the choice of the combination."""
    odds = combination.apply(scores.features)
    answerable = scores.answerable == 1
    kinds: defaultdict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(scores.names):
        if scores.answerable[i] == 0:
            kinds[name.split(" · ")[1]].append(i)
    by_kind = {}
    for kind, rows in sorted(kinds.items()):
        chosen = np.concatenate([np.array(rows), np.flatnonzero(answerable)])
        by_kind[kind] = bootstrap_auroc(odds[chosen], answerable[chosen]) if len(rows) >= 20 else None
    questions = scores.answerable >= 0
    exact = scores.spans_right[~np.isnan(scores.spans_right)]
    decided = np.isin(scores.bits, (1, 2, 4))
    published = np.array([name.endswith(" · claim") for name in scores.names])
    right = np.argmax(scores.support, axis=1) == np.log2(np.maximum(scores.bits, 1)).astype(int)
    # A label that allows two classes, contradicts and neither, still says whether the claim is supported.
    claims = scores.bits > 0
    supported = scores.bits == 1
    probabilities = 1 / (1 + np.exp(-odds[questions]))
    return {
        "answerable_auroc": bootstrap_auroc(odds[questions], answerable[questions]),
        "answerable_auroc_by_negative": by_kind,
        "span_exact": bootstrap_mean(exact),
        "support_accuracy_published": bootstrap_mean(right[decided & published].astype(float)),
        "support_auroc_published": bootstrap_auroc(
            scores.support[claims & published, 0], supported[claims & published]
        ),
        "support_auroc_altered": bootstrap_auroc(
            scores.support[claims & ~published, 0], supported[claims & ~published]
        ),
        "calibration_error": compute_calibration_error(probabilities, answerable[questions]),
        "combinations": compare_combinations(scores),
    }


def evaluate_squad(
    scorer: Scorer, *, tokenizer: Tokenizer, path: Path, combination: Combination, header: bool = False, limit: int = 0
) -> dict[str, object]:
    """Return F1, EM and AUROC on a SQuAD 2.0 file; `header` puts the title before each window."""
    paragraphs, questions = read_squad(path)
    if limit:
        questions = random.Random(13).sample(questions, limit)
    answers = answer_questions(
        scorer, tokenizer=tokenizer, paragraphs=paragraphs, questions=questions, combination=combination, header=header
    )
    scores = combination.apply(list_features([answer.reading for answer in answers]))
    return measure_answers(paragraphs, questions, answers, scores=scores, threshold=combination.threshold)


@dataclass(frozen=True, slots=True)
class Answer:
    """The best window of a question's paragraph as it was read, and the slice of the paragraph that its span is."""

    reading: Reading
    start: int
    end: int


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
    return [Answer(readings[j], readings[j].start + owners[j][1], readings[j].end + owners[j][1]) for j in chosen]


def measure_answers(
    paragraphs: Sequence[SourcePassage],
    questions: Sequence[Question],
    answers: Sequence[Answer],
    *,
    scores: Doubles,
    threshold: float,
) -> dict[str, object]:
    """Return F1, EM and AUROC of answers, given unless their score, (n,), is at most the threshold."""
    texts = [paragraphs[question.paragraph].text for question in questions]
    predicted = [text[answer.start : answer.end] for text, answer in zip(texts, answers, strict=True)]
    truth = np.array([bool(question.answers) for question in questions])
    f1 = np.array(
        [compute_f1(text, answers=question.answers) for text, question in zip(predicted, questions, strict=True)]
    )
    exact = np.array(
        [compute_exact(text, answers=question.answers) for text, question in zip(predicted, questions, strict=True)]
    )
    kept = scores > threshold
    overall_f1 = np.where(kept, np.where(truth, f1, 0.0), np.where(truth, 0.0, 1.0))
    overall_exact = np.where(kept, np.where(truth, exact, 0.0), np.where(truth, 0.0, 1.0))
    order = np.argsort(-scores)
    worth = np.where(truth, f1, -1.0)[order]
    ceiling = (float(np.max(np.concatenate(([0.0], np.cumsum(worth))))) + float((~truth).sum())) / len(truth)
    sentence_right = []
    for text, question, answer in zip(texts, questions, answers, strict=True):
        if question.answers:
            low, high = sentence_around(text, answer.start)
            sentence_right.append(any(low <= start < high for start in question.starts))
    raw = np.array([answer.reading.answerable for answer in answers])
    return {
        "overall_f1": bootstrap_mean(overall_f1),
        "overall_exact": bootstrap_mean(overall_exact),
        "overall_f1_at_best_threshold": ceiling,
        "answerable_f1": bootstrap_mean(f1[truth]),
        "answerable_exact": bootstrap_mean(exact[truth]),
        "sentence_right": bootstrap_mean(np.array(sentence_right, dtype=float)),
        "auroc": bootstrap_auroc(scores, truth),
        "auroc_head_alone": bootstrap_auroc(raw, truth),
        "declined_unanswerable": bootstrap_mean((~kept[~truth]).astype(float)),
        "declined_answerable": bootstrap_mean((~kept[truth]).astype(float)),
        "calibration_error": compute_calibration_error(1 / (1 + np.exp(-scores)), truth),
    }


def sentence_around(text: str, place: int) -> tuple[int, int]:
    """Return (start, end) of the sentence that holds a place; of an empty slice there if none does."""
    around = (span for span in split_sentences(text) if span[0] <= place < span[1])
    return next(around, (place, place))


def sentence_before(text: str, place: int) -> int:
    """Return where the sentence before the one at a place begins, or the place itself if it is the first."""
    starts = [start for start, _ in split_sentences(text) if start < place]
    return starts[-1] if starts else place


def evaluate_clapnq(
    scorer: Scorer, *, tokenizer: Tokenizer, folder: Path, combination: Combination
) -> dict[str, object]:
    """Return how well CLAPNQ's answerable questions score above its unanswerable ones, each on its own passage."""
    pairs: list[Pair] = []
    owners: list[int] = []
    labels: list[bool] = []
    for name, label in (("clapnq_dev_answerable.jsonl", True), ("clapnq_dev_unanswerable.jsonl", False)):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            for passage in row["passages"]:
                header = f"{passage['title']}. "
                for start, end in cut_passages(passage["text"]):
                    pairs.append(
                        Pair(
                            question=row["input"], passage=header + passage["text"][start:end], header_size=len(header)
                        )
                    )
                    owners.append(len(labels))
            labels.append(label)
    odds = combination.apply(list_features(read_pairs(scorer, tokenizer=tokenizer, pairs=pairs)))
    scores = np.full(len(labels), -np.inf)
    np.maximum.at(scores, owners, odds)
    return {"auroc": bootstrap_auroc(scores, labels)}


def select_evidence(claim: str, *, sentences: Sequence[str], count: int = 8) -> list[int]:
    """Return the sentences that share the most words with the claim, best first."""
    wanted = frozenset(list_words(claim))
    return sorted(range(len(sentences)), key=lambda i: (-len(wanted.intersection(list_words(sentences[i]))), i))[:count]


def evaluate_wice(
    scorer: Scorer, *, tokenizer: Tokenizer, path: Path, embed: Callable[[Sequence[str]], Doubles] | None
) -> dict[str, object]:
    """Return how well fully supported WiCE claims score above the others, P(supports) against cosine.

    The evidence is a whole web page: the claim is compared with the eight sentences that share most words with it, each
    with its neighbours, and keeps its highest probability. The threshold of the balanced accuracy is fitted by two-fold
    cross-validation, for both scores alike.
    """
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    pairs: list[Pair] = []
    owners: list[int] = []
    sentences: list[str] = []
    for number, row in enumerate(rows):
        evidence = row["evidence"]
        for i in select_evidence(row["claim"], sentences=evidence):
            context = " ".join(evidence[max(0, i - 1) : i + 2])
            pairs.append(Pair(question=row["claim"], passage=" ".join(context.split()[:WINDOW_WORDS])))
            owners.append(number)
            sentences.append(" ".join(evidence[i].split()[:WINDOW_WORDS]))
    readings = read_pairs(scorer, tokenizer=tokenizer, pairs=pairs)
    scores = np.full(len(rows), -np.inf)
    np.maximum.at(scores, owners, np.array([reading.support[0] for reading in readings]))
    supported = np.array([row["label"] == "supported" for row in rows])
    figures: dict[str, object] = {
        "auroc": bootstrap_auroc(scores, supported),
        "balanced_accuracy": cross_validate_threshold(scores, supported),
        "auroc_supported_against_not_supported": bootstrap_auroc(
            scores[[row["label"] != "partially_supported" for row in rows]],
            supported[[row["label"] != "partially_supported" for row in rows]],
        ),
    }
    if embed is not None:
        claims = embed([row["claim"] for row in rows])
        cosines = np.full(len(rows), -np.inf)
        np.maximum.at(cosines, owners, np.sum(embed(sentences) * claims[owners], axis=1))
        figures["cosine_auroc"] = bootstrap_auroc(cosines, supported)
        figures["cosine_balanced_accuracy"] = cross_validate_threshold(cosines, supported)
        figures["auroc_gain"] = bootstrap(
            len(rows),
            lambda drawn: (
                compute_auroc(scores[drawn], supported[drawn]) - compute_auroc(cosines[drawn], supported[drawn])
            ),
            resamples=400,
        )
    return figures


def cross_validate_threshold(scores: Doubles, labels: NDArray[np.bool_], *, seed: int = 13) -> Figure:
    """Return the balanced accuracy with each half decided by the threshold that is best on the other."""
    half = np.random.default_rng(seed).random(len(scores)) < 0.5
    predicted = np.zeros(len(scores), dtype=np.bool_)
    for part in (half, ~half):
        other = ~part
        candidates = np.unique(scores[other])
        best = max(candidates, key=lambda edge: compute_balanced_accuracy(scores[other] >= edge, labels[other]))
        predicted[part] = scores[part] >= best
    return bootstrap(len(scores), lambda rows: compute_balanced_accuracy(predicted[rows], labels[rows]))


def evaluate_altered(
    scorer: Scorer,
    *,
    tokenizer: Tokenizer,
    paragraphs: Sequence[SourcePassage],
    embed: Callable[[Sequence[str]], Doubles] | None,
    wanted: int = 1200,
) -> dict[str, object]:
    """Return how well true sentences score above altered ones, over all and by way of altering.

    The sentences are from articles that were not trained on; the script that alters them is that of the training data.
    """
    examples = [
        example
        for example in make_altered_claims(paragraphs, wanted=wanted, rng=random.Random(99))
        if example.kind != "elsewhere"
    ]
    pairs = [Pair(question=example.question, passage=example.passage) for example in examples]
    readings = read_pairs(scorer, tokenizer=tokenizer, pairs=pairs)
    scores = np.array([reading.support[0] for reading in readings])
    true = np.array([example.kind == "true" for example in examples])
    figures: dict[str, object] = {"auroc": bootstrap_auroc(scores, true)}
    for kind in sorted({example.kind for example in examples} - {"true"}):
        rows = np.array([example.kind in {"true", kind} for example in examples])
        figures[f"auroc_{kind}"] = bootstrap_auroc(scores[rows], true[rows])
    figures["three_way_accuracy_true_or_contradicts"] = bootstrap_mean(
        [
            float(np.argmax(reading.support) == (0 if is_true else 1))
            for reading, is_true in zip(readings, true, strict=True)
        ]
    )
    if embed is not None:
        cosines = np.sum(embed([p.question for p in pairs]) * embed([p.passage for p in pairs]), axis=1)
        figures["cosine_auroc"] = bootstrap_auroc(cosines, true)
    return figures


def make_embedder(encoder: Path, *, tokenizer: Tokenizer) -> Callable[[Sequence[str]], Doubles]:
    """Return a function from texts to unit vectors by all-MiniLM-L6-v2: the baseline."""
    import torch

    from training.model import load_body

    body = load_body(encoder)
    body.train(mode=False)

    def embed(texts: Sequence[str]) -> Doubles:
        vectors = np.zeros((len(texts), body.config.hidden_size))
        encodings = [encoding.ids[:254] for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
        order = sorted(range(len(texts)), key=lambda i: len(encodings[i]))
        for begin in range(0, len(order), 32):
            rows = order[begin : begin + 32]
            length = max(len(encodings[row]) for row in rows) + 2
            ids = torch.zeros((len(rows), length), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for i, row in enumerate(rows):
                full = [101, *encodings[row], 102]
                ids[i, : len(full)] = torch.tensor(full)
                mask[i, : len(full)] = 1
            with torch.inference_mode():
                hidden = body(input_ids=ids, attention_mask=mask).last_hidden_state
            weights = mask.unsqueeze(-1).float()
            pooled = torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=1)
            vectors[rows] = pooled.numpy()
        return vectors

    return embed


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 after writing the figures."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/, reading/ and evidence/")
    parser.add_argument(
        "--examples", type=Path, required=True, help="folder that training.prepare wrote, for its dev split"
    )
    parser.add_argument(
        "--model", type=Path, required=True, help="an exported model, its config and tokenizer beside it"
    )
    parser.add_argument("--out", type=Path, required=True, help="the JSON file that the figures are written to")
    parser.add_argument("--encoder", type=Path, help="folder of all-MiniLM-L6-v2, for the cosine baseline")
    parser.add_argument("--limit", type=int, default=0, help="ask only so many questions of the SQuAD half; 0 asks all")
    parser.add_argument("--only", default="dev,squad,clapnq,wice,altered", help="the sets to measure, by comma")
    parser.add_argument("--threads", type=int, default=2, help="threads of ONNX Runtime")
    options = parser.parse_args(arguments)
    check_files(options.data, recorded=read_recorded_checksums(), names=EVALUATION_FILES)
    wanted = options.only.split(",")
    tokenizer = load_tokenizer(options.model.parent)
    scorer = OnnxScorer(options.model, threads=options.threads)
    embed = make_embedder(options.encoder, tokenizer=tokenizer) if options.encoder else None
    began = time.monotonic()
    combination = read_combination(options.model.with_name("config.json"))
    figures: dict[str, object] = {"model": options.model.name, "combination": combination}
    squad = options.data / EVALUATION_FILES[0]
    reading = options.data / "reading"
    steps: dict[str, Callable[[], dict[str, object]]] = {
        "dev": lambda: evaluate_dev(
            score_dev(scorer, dev=TokenisedExamples.load(options.examples / "dev.npz")), combination=combination
        ),
        "squad": lambda: evaluate_squad(
            scorer, tokenizer=tokenizer, path=squad, combination=combination, limit=options.limit
        ),
        "squad_with_title": lambda: evaluate_squad(
            scorer, tokenizer=tokenizer, path=squad, combination=combination, header=True, limit=options.limit
        ),
        "clapnq": lambda: evaluate_clapnq(scorer, tokenizer=tokenizer, folder=reading, combination=combination),
        "wice": lambda: evaluate_wice(
            scorer, tokenizer=tokenizer, path=options.data / "evidence/wice_claim_dev.jsonl", embed=embed
        ),
        "altered": lambda: evaluate_altered(scorer, tokenizer=tokenizer, paragraphs=read_squad(squad)[0], embed=embed),
    }
    for name in wanted:
        figures[name] = steps[name]()
        logger.info("%s after %.0f s: %s", name, time.monotonic() - began, describe_figures(figures[name]))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=1, default=asdict), encoding="utf-8")
    return 0


def describe_figures(figures: object) -> str:
    """Return the figures as one line of text."""
    if isinstance(figures, Figure):
        return f"{figures.value:.3f} [{figures.low:.3f}, {figures.high:.3f}] n={figures.n}"
    if isinstance(figures, dict):
        return "; ".join(f"{name} {describe_figures(value)}" for name, value in figures.items())
    return f"{figures:.4f}" if isinstance(figures, float) else str(figures)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main())
