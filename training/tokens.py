"""Examples as token ids, and batches of about equal size and length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training.examples import Example

CLS, SEP = 101, 102
COLUMNS = ("breaks", "starts", "ends", "answerable", "support", "inside", "groups")
Integers = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class TokenisedExamples:
    """Examples as flat arrays; example i owns `ids[offsets[i] : offsets[i + 1]]`.

    `breaks[i]` is the position at which token type 1 begins; `starts` and `ends` are token positions, both inclusive,
    -1 without a span; `answerable` is 1, 0 or -1 for claims; `support` the allowed classes as bits, 0 for questions;
    `inside` is 1 where the span merely holds the answer; `groups` indexes `names`, "source · kind".
    """

    ids: Integers
    offsets: NDArray[np.int64]
    breaks: Integers
    starts: Integers
    ends: Integers
    answerable: Integers
    support: Integers
    inside: Integers
    groups: Integers
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.breaks)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Tokens of each example."""
        return np.diff(self.offsets)

    def take(self, rows: NDArray[np.int64]) -> TokenisedExamples:
        """Return the examples of the given rows, in that order."""
        columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        ids = [self.ids[self.offsets[row] : self.offsets[row + 1]] for row in rows]
        offsets = np.concatenate(([0], np.cumsum(self.sizes[rows]))).astype(np.int64)
        return TokenisedExamples(
            ids=np.concatenate(ids) if ids else self.ids[:0], offsets=offsets, names=self.names, **columns
        )

    def join(self, other: TokenisedExamples) -> TokenisedExamples:
        """Return the examples of two sets, those of this one first."""
        columns = {name: np.concatenate((getattr(self, name), getattr(other, name))) for name in COLUMNS}
        columns["groups"] = np.concatenate((self.groups, other.groups + len(self.names))).astype(self.groups.dtype)
        return TokenisedExamples(
            ids=np.concatenate((self.ids, other.ids)),
            offsets=np.concatenate((self.offsets, self.offsets[-1] + other.offsets[1:])),
            names=self.names + other.names,
            **columns,
        )

    def list_sources(self) -> NDArray[np.str_]:
        """Return the source of each example, (n,)."""
        return np.array([name.split(" · ")[0] for name in self.names])[self.groups]

    def draw(self, count: int, *, seed: int = 13) -> TokenisedExamples:
        """Return so many examples at random, as many of one source as of another while both last; all of them for 0."""
        if not count:
            return self
        sources = self.list_sources()
        order = np.random.default_rng(seed).permutation(len(self))
        turns = np.empty(len(self), dtype=np.int64)
        for source in np.unique(sources):
            rows = order[sources[order] == source]
            turns[rows] = np.arange(len(rows))
        return self.take(order[np.argsort(turns[order], kind="stable")][:count])

    def save(self, path: Path) -> None:
        """Write the arrays to a .npz file."""
        arrays = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "names"}
        np.savez(path, names=np.array(self.names), **arrays)

    @classmethod
    def load(cls, path: Path) -> TokenisedExamples:
        """Return the examples of a .npz file."""
        with np.load(path) as file:
            arrays = {name: file[name] for name in cls.__dataclass_fields__ if name != "names"}
            return cls(names=tuple(map(str, file["names"])), **arrays)


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded examples. ids, mask, types: (n, length) int64; the others: (n,) int64."""

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    types: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    answerable: NDArray[np.int64]
    support: NDArray[np.int64]
    inside: NDArray[np.int64]
    rows: NDArray[np.int64]


def load_tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer of a folder, without truncation or padding."""
    tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def locate_tokens(offsets: Sequence[tuple[int, int]], *, span: tuple[int, int]) -> tuple[int, int] | None:
    """Return (first, last) token, both inclusive, that overlap a span of code points; None where none does."""
    found = [index for index, (start, end) in enumerate(offsets) if start < span[1] and end > span[0]]
    return (found[0], found[-1]) if found else None


def tokenise_examples(examples: Sequence[Example], *, tokenizer: Tokenizer, max_tokens: int) -> TokenisedExamples:
    """Return the examples as `[CLS] question [SEP] passage [SEP]`, the passage cut at `max_tokens` tokens in all.

    An answerable question whose span is cut off is left out, as are questions of more than 64 tokens' excess.
    """
    names = sorted({f"{example.source} · {example.kind}" for example in examples})
    index = {name: i for i, name in enumerate(names)}
    ids: list[int] = []
    offsets = [0]
    columns: dict[str, list[int]] = {key: [] for key in COLUMNS}
    questions = tokenizer.encode_batch([example.question for example in examples], add_special_tokens=False)
    passages = tokenizer.encode_batch([example.passage for example in examples], add_special_tokens=False)
    for example, question, passage in zip(examples, questions, passages, strict=True):
        asked = question.ids[:64]
        room = max_tokens - len(asked) - 3
        begin = len(asked) + 2
        start = end = -1
        if example.spans:
            located = locate_tokens(passage.offsets, span=example.spans[0])
            if located is None or located[0] >= room or (located[1] >= room and not example.inside):
                continue
            start, end = begin + located[0], begin + min(located[1], room - 1)
        ids += [CLS, *asked, SEP, *passage.ids[:room], SEP]
        offsets.append(len(ids))
        columns["breaks"].append(begin)
        columns["starts"].append(start)
        columns["ends"].append(end)
        columns["answerable"].append(-1 if example.answerable is None else int(example.answerable))
        columns["support"].append(example.support)
        columns["inside"].append(int(example.inside))
        columns["groups"].append(index[f"{example.source} · {example.kind}"])
    return TokenisedExamples(
        ids=np.array(ids, dtype=np.int32),
        offsets=np.array(offsets, dtype=np.int64),
        names=tuple(names),
        **{key: np.array(column, dtype=np.int32) for key, column in columns.items()},
    )


def plan_batches(sizes: NDArray[np.int64], *, max_batch_tokens: int, bucket: int, seed: int) -> list[NDArray[np.int64]]:
    """Return the rows of each batch: shuffled, sorted by size within buckets, batches shuffled again.

    A batch holds at most `max_batch_tokens` tokens, padding counted.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(sizes))
    batches: list[NDArray[np.int64]] = []
    for begin in range(0, len(order), bucket):
        rows = order[begin : begin + bucket]
        rows = rows[np.argsort(sizes[rows], kind="stable")]
        current: list[int] = []
        for row in rows.tolist():
            if current and int(sizes[row]) * (len(current) + 1) > max_batch_tokens:
                batches.append(np.array(current))
                current = []
            current.append(row)
        batches.append(np.array(current))
    rng.shuffle(batches)
    return batches


def make_batch(examples: TokenisedExamples, *, rows: NDArray[np.int64]) -> Batch:
    """Return the rows padded to the longest of them."""
    sizes = examples.sizes[rows]
    shape = (len(rows), int(sizes.max()))
    ids, mask, types = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for i, row in enumerate(rows.tolist()):
        size = int(sizes[i])
        ids[i, :size] = examples.ids[examples.offsets[row] : examples.offsets[row + 1]]
        mask[i, :size] = 1
        types[i, examples.breaks[row] : size] = 1
    return Batch(
        ids=ids, mask=mask, types=types, rows=rows,
        starts=examples.starts[rows].astype(np.int64), ends=examples.ends[rows].astype(np.int64),
        answerable=examples.answerable[rows].astype(np.int64), support=examples.support[rows].astype(np.int64),
        inside=examples.inside[rows].astype(np.int64),
    )  # fmt: skip


def iterate_batches(
    examples: TokenisedExamples, *, max_batch_tokens: int, seed: int, bucket: int = 2000
) -> Iterator[Batch]:
    """Yield one epoch of batches in an order that depends on the seed alone."""
    for rows in plan_batches(examples.sizes, max_batch_tokens=max_batch_tokens, bucket=bucket, seed=seed):
        yield make_batch(examples, rows=rows)
