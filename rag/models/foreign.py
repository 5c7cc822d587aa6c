"""Readers that others trained: extractive question answering, and cross-encoders with one logit.

They are exported once by `foreign_export` and run here in ONNX Runtime, by what their tokenizers make of a pair. A
model that answers questions says by its first token that a passage does not answer, as SQuAD 2.0 has it: its
answerability is how far the best span lies above that. A cross-encoder says whether, and not where: a sentence is
pointed at as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelBroken
from rag.models.encoder import batches_by_length
from rag.models.export import MODEL_FILE, TOKENIZER_FILE, make_once, read_described
from rag.models.reader import Logits, OpenedToRead, Page, PassageReading, Pointed, best_span, log_softmax
from rag.models.runtime import Session, default_cache, open_session
from rag.models.sources import ModelFolder, find_model, transformer_files, weights_hash

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

Task = Literal["question-answering", "sequence-classification"]

# Raised whenever a change gives other scores or other files.
EXPORT_VERSION: Final = 1
DESCRIPTION_FILE: Final = "reader.json"
OUTPUTS: Final[Mapping[Task, tuple[str, ...]]] = {
    "question-answering": ("start", "end"),
    "sequence-classification": ("answerable",),
}
_HEADS: Final[Mapping[str, Task]] = {
    "ForQuestionAnswering": "question-answering",
    "ForSequenceClassification": "sequence-classification",
}
_KIND: Final = "an extractive question-answering model or a cross-encoder"
_INSTEAD: Final = "answer with the reader that comes with rag: --set reader.model=shipped"
_QUESTION_TOKENS: Final = 64
_BATCH_TOKENS: Final = 4096
# What stands for "nothing here": a passage that is all header, or that the question left no room for.
_NOTHING: Final = -20.0


@dataclass(frozen=True, slots=True)
class ExportedReader:
    """An export in the cache, as its `reader.json` describes it; `max_tokens` counts the special tokens."""

    folder: Path
    task: Task
    max_tokens: int
    inputs: tuple[str, ...]
    pad_id: int
    no_answer_id: int

    @property
    def model(self) -> Path:
        """Return the graph's file."""
        return self.folder / MODEL_FILE

    @property
    def tokenizer(self) -> Path:
        """Return the tokenizer's file."""
        return self.folder / TOKENIZER_FILE


@dataclass(frozen=True, slots=True)
class WholeReading(PassageReading):
    """What a cross-encoder makes of a passage: it answers or not, and no word of it more than another."""

    def best_within(self, start: int, end: int) -> Pointed | None:
        """Return the slice itself, at no cost; None if no token that was read lies there."""
        inside = (self.tokens[:, 0] >= start) & (self.tokens[:, 1] <= end)
        return Pointed(start, end, 0.0) if inside.any() else None


class ForeignReader(OpenedToRead):
    """A reading model of another make in ONNX Runtime, opened when it first reads."""

    def __init__(self, exported: ExportedReader, *, name: str, revision: str, threads: int = 0) -> None:
        self.name = name
        self.revision = revision
        self._exported = exported
        self._threads = threads

    def read(self, question: str, passages: Sequence[Page]) -> list[PassageReading]:
        """Return what each passage has to say to a question, in their order.

        A passage is cut at the model's limit. A question is cut at 64 tokens, or at half of that limit.
        """
        asked = self._cut(question)
        encodings = self._tokenizer.encode_batch([(asked, page.text) for page in passages])
        readings: dict[int, PassageReading] = {}
        for batch in batches_by_length([len(one.ids) for one in encodings], batch_tokens=_BATCH_TOKENS):
            scores = self._score([encodings[place] for place in batch])
            for row, place in enumerate(batch):
                readings[place] = self._reading(encodings[place], passages[place], [score[row] for score in scores])
        return [readings[place] for place in range(len(passages))]

    def sizes(self, question: str, passages: Sequence[Page]) -> list[int]:
        """Return how many tokens the model computes to read each passage with a question, in their order."""
        asked = self._cut(question)
        return [len(one.ids) for one in self._tokenizer.encode_batch([(asked, page.text) for page in passages])]

    def _reading(self, encoding: Encoding, page: Page, scores: Sequence[Logits]) -> PassageReading:
        places, tokens = _tokens_behind(encoding, page)
        if self._exported.task == "sequence-classification":
            nothing = np.zeros(len(places), dtype=np.float32)
            return WholeReading(float(scores[0]), nothing, nothing, tokens)
        starts, ends = (score[places] for score in scores)
        none = encoding.ids.index(self._exported.no_answer_id)
        best = best_span(starts, ends)
        answerable = _NOTHING if best is None else best[2] - float(scores[0][none] + scores[1][none])
        return PassageReading(answerable, log_softmax(starts), log_softmax(ends), tokens)

    def _score(self, encodings: Sequence[Encoding]) -> list[Logits]:
        shape = len(encodings), max(len(encoding.ids) for encoding in encodings)
        feed = {
            "input_ids": np.full(shape, self._exported.pad_id, dtype=np.int64),
            "attention_mask": np.zeros(shape, dtype=np.int64),
            "token_type_ids": np.zeros(shape, dtype=np.int64),
        }
        for row, encoding in enumerate(encodings):
            feed["input_ids"][row, : len(encoding.ids)] = encoding.ids
            feed["attention_mask"][row, : len(encoding.ids)] = 1
            feed["token_type_ids"][row, : len(encoding.ids)] = encoding.type_ids
        outputs = OUTPUTS[self._exported.task]
        scores = list(self._session.run(outputs, {name: feed[name] for name in self._exported.inputs}))
        if not all(np.isfinite(score).all() for score in scores):
            raise ModelBroken(f"{self.name} gave a score that is no number", hint=_INSTEAD)
        return scores

    def _cut(self, question: str) -> str:
        most = min(_QUESTION_TOKENS, self._exported.max_tokens // 2)
        # As the second of a pair, because it is the second that this tokenizer may cut.
        encoding = self._tokenizer.encode("", question)
        ends = [end for (_, end), one in zip(encoding.offsets, encoding.sequence_ids, strict=True) if one == 1]
        return question[: ends[most - 1]] if len(ends) > most else question

    def _open(self) -> tuple[Tokenizer, Session]:
        from tokenizers import Tokenizer

        session: Session = open_session(self._exported.model, threads=self._threads)
        try:
            tokenizer = Tokenizer.from_file(str(self._exported.tokenizer))
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelBroken(
                f"{self._exported.tokenizer} cannot be loaded: {error}",
                hint=f"delete {self._exported.folder}; it is made again when it is needed",
            ) from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length=self._exported.max_tokens, strategy="only_second")
        return tokenizer, session


def load_foreign_reader(
    model: str, *, threads: int = 0, cache: Path | None = None, notify: Callable[[str], None] | None = None
) -> ForeignReader:
    """Return the reader of a model that others trained: its folder, or its id if it lies in the hub's cache.

    The first use of a model exports it, which takes some seconds and is told to `notify`.

    Raises:
        ModelMissing: the model is nowhere on this machine.
        ModelBroken: it is there, but is no reader, or cannot be read, exported or cached.
    """
    cache = cache or default_cache()
    found, weights = find_reader(model, cache=cache)
    target = cache / "readers" / f"{weights}-{EXPORT_VERSION}"
    exported = make_once(
        found, target, read=read_reader, by="rag.models.foreign_export", instead=_INSTEAD, notify=notify
    )
    return ForeignReader(exported, name=model, revision=weights, threads=threads)


def find_reader(model: str, *, cache: Path | None = None) -> tuple[ModelFolder, str]:
    """Return where a model lies that others trained to read, and the hash of its files.

    Raises:
        ModelMissing: it is nowhere on this machine.
        ModelBroken: it is no reader, or cannot be read.
    """
    found = find_model(model, setting="reader.model", kind=_KIND)
    read_task(found.folder)
    return found, weights_hash(found.folder, cache=cache, files_of=transformer_files)


def read_reader(folder: Path) -> ExportedReader | None:
    """Return the export in a folder, or None if there is none, or one that is not whole."""
    return read_described(folder / DESCRIPTION_FILE, _described)


def read_task(folder: Path) -> Task:
    """Return what the model in a folder was trained for, as its `config.json` says.

    Raises:
        ModelBroken: it says neither of the two, or the model brings code of its own, or has more logits than one.
    """
    file = folder / "config.json"
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        names, labels, code = about.get("architectures") or [], about.get("id2label"), about.get("auto_map")
        architecture = str(names[0]) if names else "nothing"
    except (OSError, ValueError, AttributeError, LookupError, TypeError) as error:
        raise ModelBroken(
            f"model in {folder} is no reader: config.json cannot be read: {error}",
            hint=f"name {_KIND}, or: --set reader.model=shipped",
        ) from error
    task = next((task for head, task in _HEADS.items() if architecture.endswith(head)), None)
    if task is None:
        raise ModelBroken(
            f"model in {folder} is no reader: its config.json names {architecture}, neither of {', '.join(_HEADS)}",
            hint=f"name {_KIND}, or: --set reader.model=shipped",
        )
    if code:
        raise ModelBroken(f"model in {folder} needs code of its own, which is never run", hint=_INSTEAD)
    if task == "sequence-classification" and labels is not None and len(labels) != 1:
        raise ModelBroken(
            f"model in {folder} has {len(labels)} logits; a cross-encoder that says whether a passage answers has one",
            hint=_INSTEAD,
        )
    return task


def _described(folder: Path, description: Mapping[str, Any]) -> ExportedReader:
    task = description["task"]
    if task not in OUTPUTS:
        raise ValueError(f"no task {task}")
    return ExportedReader(
        folder=folder,
        task=task,
        max_tokens=int(description["max_tokens"]),
        inputs=tuple(description["inputs"]),
        pad_id=int(description["pad_id"]),
        no_answer_id=int(description["no_answer_id"]),
    )


def _tokens_behind(encoding: Encoding, page: Page) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places in a pair of the passage's tokens behind the header (m,), and their slices of the page (m, 2).

    A vocabulary of sentencepiece or bytes counts the space before a word as part of it; slices here are without, and
    what is nothing but space is left out.
    """
    places, tokens = [], []
    for place, sequence in enumerate(encoding.sequence_ids):
        if sequence != 1:
            continue
        start, end = encoding.offsets[place]
        piece = page.text[start:end]
        start += len(piece) - len(piece.lstrip())
        end -= len(piece) - len(piece.rstrip())
        if start < end and end > page.header_size:
            places.append(place)
            tokens.append((start, end))
    return np.array(places, dtype=np.int64), np.array(tokens, dtype=np.int64).reshape(-1, 2)
