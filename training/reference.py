"""The right way to read with the model: from pairs of text to spans, scores and support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training.tokens import CLS, SEP

Floats = NDArray[np.float32]
MAX_SPAN_TOKENS = 30


@dataclass(frozen=True, slots=True)
class Logits:
    """What the model returns. answerable: (n,), start and end: (n, length), support: (n, 3); all float32."""

    answerable: Floats
    start: Floats
    end: Floats
    support: Floats


class Scorer(Protocol):
    """Anything that turns padded ids into logits."""

    def __call__(self, ids: NDArray[np.int64], mask: NDArray[np.int64], types: NDArray[np.int64]) -> Logits:
        """Return the logits of a batch. All inputs: (n, length)."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A question (or claim) with a passage whose first `header_size` code points are no place for an answer."""

    question: str
    passage: str
    header_size: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model finds in one pair.

    `start:end` slices the passage. `span_score` is log P(start) + log P(end), each over the passage's tokens, so <= 0.
    `margin` is how far it lies above the best span that does not overlap it. `support` are probabilities of supports,
    contradicts, neither.
    """

    answerable: float
    span_score: float
    margin: float
    start: int
    end: int
    support: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class BestSpan:
    """Token positions, both inclusive, with the span's score and its margin over the next that does not overlap."""

    first: int
    last: int
    score: float
    margin: float


def take_log_softmax(logits: Floats) -> Floats:
    """Return the log-probabilities over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def find_best_span(
    start_logits: Floats, end_logits: Floats, *, begin: int, stop: int, max_tokens: int = MAX_SPAN_TOKENS
) -> BestSpan:
    """Return the best span with begin <= first <= last < stop and at most `max_tokens` tokens.

    The probabilities are over `begin:stop`: there is no "no answer" among them, the answerable head says that.

    Raises:
        ValueError: the range is empty.
    """
    if begin >= stop:
        raise ValueError(f"no token between {begin} and {stop}")
    starts, ends = take_log_softmax(start_logits[begin:stop]), take_log_softmax(end_logits[begin:stop])
    size = stop - begin
    distance = np.arange(size)[None, :] - np.arange(size)[:, None]
    scores = np.where((distance >= 0) & (distance < max_tokens), starts[:, None] + ends[None, :], -np.inf)
    first, last = np.unravel_index(int(np.argmax(scores)), scores.shape)
    best = float(scores[first, last])
    rest = scores.copy()
    rest[: last + 1, first:] = -np.inf
    second = float(rest.max())
    return BestSpan(first=begin + int(first), last=begin + int(last), score=best, margin=min(best - second, 20.0))


def read_pairs(
    scorer: Scorer, *, tokenizer: Tokenizer, pairs: Sequence[Pair], max_tokens: int = 256, max_batch_tokens: int = 1
) -> list[Reading]:
    """Return a reading for each pair, in order. A passage is cut at `max_tokens` tokens in all, never the question.

    Questions are lower-cased, as in training. Pairs are batched by length, up to
    `max_batch_tokens`; by default each is read by itself, as the reader reads.
    """
    questions = [encoding.ids[:64] for encoding in tokenizer.encode_batch(
        [pair.question.lower() for pair in pairs], add_special_tokens=False
    )]  # fmt: skip
    passages = tokenizer.encode_batch([pair.passage for pair in pairs], add_special_tokens=False)
    sizes = [
        min(max_tokens, len(asked) + len(passage.ids) + 3) for asked, passage in zip(questions, passages, strict=True)
    ]
    order = sorted(range(len(pairs)), key=lambda i: sizes[i])
    readings: dict[int, Reading] = {}
    while order:
        rows = [order.pop()]
        while order and sizes[rows[0]] * (len(rows) + 1) <= max_batch_tokens:
            rows.append(order.pop())
        shape = (len(rows), sizes[rows[0]])
        ids, mask, types = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        for i, row in enumerate(rows):
            begin = len(questions[row]) + 2
            kept = passages[row].ids[: sizes[row] - begin - 1]
            ids[i, : sizes[row]] = [CLS, *questions[row], SEP, *kept, SEP]
            mask[i, : sizes[row]] = 1
            types[i, begin : sizes[row]] = 1
        logits = scorer(ids, mask, types)
        support = np.exp(take_log_softmax(logits.support))
        for i, row in enumerate(rows):
            begin, stop = len(questions[row]) + 2, sizes[row] - 1
            offsets = passages[row].offsets
            while begin < stop - 1 and offsets[begin - len(questions[row]) - 2][1] <= pairs[row].header_size:
                begin += 1
            span = (
                find_best_span(logits.start[i], logits.end[i], begin=begin, stop=stop)
                if begin < stop
                else BestSpan(first=0, last=0, score=-20.0, margin=0.0)
            )
            move = len(questions[row]) + 2
            readings[row] = Reading(
                answerable=float(logits.answerable[i]),
                span_score=span.score,
                margin=span.margin,
                start=offsets[span.first - move][0] if begin < stop else 0,
                end=offsets[span.last - move][1] if begin < stop else 0,
                support=(float(support[i, 0]), float(support[i, 1]), float(support[i, 2])),
            )
    return [readings[i] for i in range(len(pairs))]


class OnnxScorer:
    """A scorer that runs an exported model in ONNX Runtime on the CPU."""

    def __init__(self, path: Path, *, threads: int = 2) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Spinning threads burn the cores that other programs need, and gain nothing at these sizes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, ids: NDArray[np.int64], mask: NDArray[np.int64], types: NDArray[np.int64]) -> Logits:
        """Return the logits of a batch. All inputs: (n, length)."""
        answerable, start, end, support = self.session.run(
            ["answerable", "start", "end", "support"],
            {"input_ids": ids, "attention_mask": mask, "token_type_ids": types},
        )
        return Logits(answerable=answerable, start=start, end=end, support=support)
