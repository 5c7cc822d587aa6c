"""The reader: a cross-encoder that points at the words of a passage that answer a question, or says that none do.

The weights that ship are made by `training/`, whose model card tells from what and how well. The graph takes pairs
of a question and a passage and gives, besides the support of claims: `answerable` (n,), a logit, and `start` and `end`
(n, length), logits over the tokens of the pair.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelBroken, ModelMissing
from rag.models.runtime import Ahead, Session, default_cache, open_session, optimised_once, side_by_side, usable_cores

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Logits = NDArray[np.float32]
Row = tuple[NDArray[np.int64], NDArray[np.int64]]

SHIPPED = Path(__file__).parent / "weights" / "reader"
_QUESTION_TOKENS = 64
_SPAN_TOKENS = 30
_SPECIAL_TOKENS = 3
_REMEMBERED_TEXTS = 4096  # some 10 MB of tokens


@dataclass(frozen=True, slots=True)
class Page:
    """What is read: a passage behind its header, whose `header_size` code points are no place for an answer."""

    text: str
    header_size: int = 0


@dataclass(frozen=True, slots=True)
class Pointed:
    """Words of a passage, as a slice of its code points, with log P(start) + log P(end): at most 0."""

    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class PassageReading:
    """What the reader makes of one passage, or of a slice of it, for one question.

    `answerable` is the logit that the passage answers. `starts` and `ends` are log-probabilities over the tokens
    behind the header (m,), or those of the slice, and `tokens` are these tokens as slices of the text (m, 2).
    """

    answerable: float
    starts: Logits
    ends: Logits
    tokens: NDArray[np.int64]

    def best_within(self, start: int, end: int) -> Pointed | None:
        """Return the best span of at most 30 tokens inside a slice of the passage; None if no token lies there."""
        inside = self.within(start, end)
        best = best_span(inside.starts, inside.ends)
        if best is None:
            return None
        first, last, score = best
        return Pointed(start=start + int(inside.tokens[first, 0]), end=start + int(inside.tokens[last, 1]), score=score)

    def within(self, start: int, end: int) -> Self:
        """Return what is said of a slice of the passage: the tokens that lie in it, as slices of it."""
        inside = (self.tokens[:, 0] >= start) & (self.tokens[:, 1] <= end)
        return replace(self, starts=self.starts[inside], ends=self.ends[inside], tokens=self.tokens[inside] - start)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A text cut into tokens: their ids (m,), and what each is of the text, as a slice (m, 2)."""

    ids: NDArray[np.int64]
    tokens: NDArray[np.int64]


class OpenedToRead(ABC):
    """A tokenizer and a session, opened when something is first read, or before that in a thread of its own."""

    _opening: Ahead[tuple[Tokenizer, Session]] | None = None

    def prepare(self) -> None:
        """Begin to open the model in a thread of its own, so that finding passages does not wait for it."""
        if self._opening is None:
            self._opening = Ahead(self._open)

    @abstractmethod
    def _open(self) -> tuple[Tokenizer, Session]: ...

    @cached_property
    def _opened(self) -> tuple[Tokenizer, Session]:
        return self._open() if self._opening is None else self._opening.result()

    @property
    def _tokenizer(self) -> Tokenizer:
        return self._opened[0]

    @property
    def _session(self) -> Session:
        return self._opened[1]


class Reader(OpenedToRead):
    """A reading model in ONNX Runtime, opened when it first reads: `packed` takes longer to open, and reads quicker."""

    def __init__(self, folder: Path, *, threads: int = 0, packed: bool = False) -> None:
        self._folder = folder
        self._threads = threads
        self._packed = packed
        try:
            self._about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelMissing(
                f"no reader in {folder}: {error}", hint="answer without one: --set reader.model=none"
            ) from error

    @property
    def name(self) -> str:
        """Return the model's name."""
        return str(self._about.get("name", self._folder.name))

    @cached_property
    def revision(self) -> str:
        """Return the hash of the weights, as the model's own description has it."""
        return str(self._about.get("sha256") or hashlib.sha256((self._folder / "model.onnx").read_bytes()).hexdigest())

    def read(self, question: str, passages: Sequence[Page]) -> list[PassageReading]:
        """Return what each passage has to say to a question, in their order.

        Each is read by itself, so that its scores are the same to the bit whatever else is read, and no padding is
        computed; several are read side by side. A passage is cut at the model's limit, the question never.
        """
        asked, room = self._asked(question)
        cuts = [self._cut(page.text) for page in passages]
        scores = self._score(["answerable", "start", "end"], [(asked, cut.ids[:room]) for cut in cuts])
        return [
            self._reading(cut, page, score, begin=len(asked) + 2, room=room)
            for cut, page, score in zip(cuts, passages, scores, strict=True)
        ]

    def sizes(self, question: str, passages: Sequence[Page]) -> list[int]:
        """Return how many tokens the model computes to read each passage with a question, in their order."""
        asked, room = self._asked(question)
        return [len(asked) + _SPECIAL_TOKENS + min(len(self._cut(page.text).ids), room) for page in passages]

    def support(self, claims: Sequence[str], evidence: Sequence[str]) -> Logits:
        """Return (n, 3) probabilities that each claim's evidence supports it, contradicts it, or does neither.

        Raises:
            ValueError: there are not as many pieces of evidence as claims.
        """
        if len(claims) != len(evidence):
            raise ValueError(f"{len(claims)} claims, {len(evidence)} pieces of evidence")
        limit = int(self._about["max_tokens"]) - _SPECIAL_TOKENS
        rows = []
        for claim, text in zip(claims, evidence, strict=True):
            claimed = self._cut(claim.lower()).ids[:_QUESTION_TOKENS]
            rows.append((claimed, self._cut(text).ids[: limit - len(claimed)]))
        probabilities = [np.exp(log_softmax(logits[0])) for (logits,) in self._score(["support"], rows)]
        return np.array(probabilities, dtype=np.float32).reshape(-1, 3)

    def _open(self) -> tuple[Tokenizer, Session]:
        from tokenizers import Tokenizer

        graph = optimised_once(self._folder / "model.onnx", cache=default_cache())
        session: Session = open_session(graph, threads=1, packed=self._packed)
        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer, session

    def _asked(self, question: str) -> tuple[NDArray[np.int64], int]:
        """Return a question's token ids, and how many tokens of a passage there is room for beside them."""
        asked = self._cut(question.lower()).ids[:_QUESTION_TOKENS]
        return asked, int(self._about["max_tokens"]) - len(asked) - _SPECIAL_TOKENS

    @cached_property
    def _cut(self) -> Callable[[str], _Cut]:
        """Return what cuts a text, and remembers it: questions of a set share many passages."""

        def cut(text: str) -> _Cut:
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
            tokens = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
            return _Cut(np.array(encoding.ids, dtype=np.int64), tokens)

        return lru_cache(maxsize=_REMEMBERED_TEXTS)(cut)

    def _reading(self, cut: _Cut, page: Page, scores: list[Logits], *, begin: int, room: int) -> PassageReading:
        answerable, starts, ends = scores
        tokens = cut.tokens[:room]
        skipped = int((tokens[:, 1] <= page.header_size).sum())
        body = slice(begin + skipped, begin + len(tokens))
        return PassageReading(
            answerable=float(answerable[0]),
            starts=log_softmax(starts[0, body]),
            ends=log_softmax(ends[0, body]),
            tokens=tokens[skipped:],
        )

    def _score(self, outputs: list[str], rows: Sequence[Row]) -> list[list[Logits]]:
        """Return outputs of the graph for each pair of token ids: a question or claim, and what is read for it."""
        start, separator = self._special_ids
        session = self._session

        def run(row: Row) -> list[Logits]:
            first, second = row
            ids = np.concatenate(([start], first, [separator], second, [separator]), dtype=np.int64)[np.newaxis]
            types = np.zeros_like(ids)
            types[0, len(first) + 2 :] = 1
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": types}
            scores = list(session.run(outputs, feed))
            if not all(np.isfinite(score).all() for score in scores):
                raise ModelBroken(f"{self.name} gave a score that is no number", hint="--set reader.model=none")
            return scores

        # The longest first, so that no core is left with a long one at the end.
        order = sorted(range(len(rows)), key=lambda place: -len(rows[place][0]) - len(rows[place][1]))
        made = side_by_side(run, [rows[place] for place in order], threads=self._threads or usable_cores())
        scores = dict(zip(order, made, strict=True))
        return [scores[place] for place in range(len(rows))]

    @cached_property
    def _special_ids(self) -> tuple[int, int]:
        start, separator = (self._tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
        if start is None or separator is None:
            raise ModelBroken(f"{self._folder / 'tokenizer.json'} has no [CLS] and [SEP]")
        return start, separator


def own_folder(model: str) -> Path | None:
    """Return the folder of a reader of this project's own form; None if the setting names one of another make.

    Ours has a graph beside a description that names no class of transformers.
    """
    if model == "shipped":
        return SHIPPED
    folder = Path(model).expanduser()
    if not (folder / "model.onnx").is_file():
        return None
    try:
        return None if "architectures" in json.loads((folder / "config.json").read_text(encoding="utf-8")) else folder
    except (OSError, ValueError, TypeError):
        return folder  # damaged, as the one who opens it will say


def best_span(starts: Logits, ends: Logits) -> tuple[int, int, float] | None:
    """Return the first and last token of the best span of at most 30, and start + end of it; None if there are none."""
    if not len(starts):
        return None
    scores = starts[:, None] + ends[None, :]
    distance = np.arange(len(starts))[None, :] - np.arange(len(starts))[:, None]
    scores = np.where((distance >= 0) & (distance < _SPAN_TOKENS), scores, -np.inf)
    first, last = np.unravel_index(int(np.argmax(scores)), scores.shape)
    return int(first), int(last), float(scores[first, last])


def log_softmax(logits: Logits) -> Logits:
    """Return log-probabilities (m,) of logits (m,)."""
    if not logits.size:
        return logits
    shifted = logits - logits.max()
    result: Logits = shifted - np.log(np.exp(shifted).sum())
    return result
