"""The bi-encoder: texts in, unit vectors out, in ONNX Runtime.

Nothing here imports torch, transformers or sentence-transformers. The graph is opened at the first text that is
encoded, so cutting passages by tokens needs the tokenizer alone.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rag.errors import ConfigError, ModelBroken
from rag.models.export import EXPORT_VERSION, ExportedEncoder, ensure_export
from rag.models.runtime import Session, default_cache, open_session, usable_cores
from rag.models.sources import find_model, weights_hash

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tokenizers import Tokenizer

Vectors: TypeAlias = NDArray[np.float32]
Tokens: TypeAlias = tuple[list[int], list[int]]  # a text's ids and types

# What a batch of this size passes from one layer to the next stays in a core's cache: 2,048 tokens take 9 % longer.
DEFAULT_BATCH_TOKENS: Final = 512
# Texts are sorted by length within a window, so that any number of them can be encoded in bounded memory.
WINDOW_TEXTS: Final = 1024
# What passages are encoded by: see `backends`.
ONNX_FP32: Final = "onnx-fp32"
ONNX_INT8: Final = "onnx-int8"
_UNIT_TOLERANCE: Final = 1e-3
_SPARED_PADDING: Final = 8  # tokens: so little padding is never worth a batch of its own


@dataclass(frozen=True, slots=True)
class Precision:
    """What passages are encoded in where that is not full precision, in a version: `key` marks it in a fingerprint."""

    key: Literal["eight_bits", "bfloat16"]
    version: int


_SHORT_NAMES: Final = {"eight_bits": "int8", "bfloat16": "bf16"}


class Encoder:
    """A bi-encoder that was exported: it turns texts into unit vectors, and cuts them into tokens.

    `revision` is the hash of the model's weights. `max_tokens` counts the prompt and the special tokens; what is longer
    loses its end. `questions` is the export with another graph for them, `source` the folder of the model itself.
    `backend` names what encodes passages, `precision` what they are in if not in full precision.
    An encoder may be used from several threads.
    """

    def __init__(
        self,
        exported: ExportedEncoder,
        *,
        name: str,
        revision: str,
        query_prompt: str | None = None,
        passage_prompt: str | None = None,
        max_tokens: int | None = None,
        threads: int = 0,
        session: Session | None = None,
        precision: Precision | None = None,
        questions: ExportedEncoder | None = None,
        source: Path | None = None,
        backend: str = ONNX_FP32,
        batch_tokens: int = DEFAULT_BATCH_TOKENS,
    ) -> None:
        self.name = name
        self.revision = revision
        self.dim = exported.dim
        self.max_tokens = exported.max_tokens if max_tokens is None else max_tokens
        self.query_prompt = exported.query_prompt if query_prompt is None else query_prompt
        self.passage_prompt = exported.passage_prompt if passage_prompt is None else passage_prompt
        self.exported = exported
        self.threads = threads
        self.source = source
        self.backend = backend
        self._given_session = session
        self._precision = precision
        self._batch_tokens = batch_tokens
        self._questions = questions
        if self.max_tokens > exported.max_tokens:
            raise ConfigError(
                f"encoder.max_tokens is {self.max_tokens}, but {name} reads at most {exported.max_tokens}",
                hint=f"set encoder.max_tokens to {exported.max_tokens} or less",
            )
        if max_tokens is not None and self.passage_tokens < 1:
            raise ConfigError(
                f"encoder.max_tokens is {max_tokens}, which leaves nothing beside {self.special_tokens} special tokens "
                "and the prompt",
                hint=f"leave encoder.max_tokens out, to take the model's own {exported.max_tokens}",
            )

    @property
    def special_tokens(self) -> int:
        """Return how many tokens the model puts around every text."""
        return int(self._whole_tokenizer.num_special_tokens_to_add(is_pair=False))

    @property
    def passage_tokens(self) -> int:
        """Return how many tokens of a passage are read: `max_tokens` less the special tokens and the prompt's."""
        prompt = len(self._whole_tokenizer.encode(self.passage_prompt, add_special_tokens=False).ids)
        return self.max_tokens - self.special_tokens - prompt

    @property
    def fingerprint(self) -> str:
        """Return, as JSON, all that determines a passage's vector; an index built under another has to be built again.

        The model's name and the prompt of questions are not in it: neither changes what an index holds.
        """
        facts = {
            "weights": self.revision,
            "export_version": EXPORT_VERSION,
            "passage_prompt": self.passage_prompt,
            "max_tokens": self.max_tokens,
        }
        if self._precision:
            facts[self._precision.key] = self._precision.version
        return json.dumps(facts, ensure_ascii=False)

    def for_index(
        self,
        fingerprint: str | None,
        *,
        passages: int,
        int8_from: int,
        backend: str = "auto",
        notify: Callable[[str], None] | None = None,
    ) -> Encoder:
        """Return what encodes passages of an index: see `backends.encoder_for_index`.

        Raises:
            ConfigError, ModelMissing, ModelBroken: what the index is in, or the backend, cannot be had here.
        """
        from rag.models.backends import encoder_for_index

        return encoder_for_index(
            self, fingerprint, passages=passages, from_passages=int8_from, backend=backend, notify=notify
        )

    def in_eight_bits(self, exported: ExportedEncoder, *, version: int) -> Encoder:
        """Return an encoder of passages with a graph in eight bits; it takes them one by one."""
        return self._other(exported, backend=ONNX_INT8, precision=Precision("eight_bits", version))

    def in_bfloat16(
        self,
        session: Session,
        *,
        version: int,
        backend: str,
        threads: int | None = None,
        batch_tokens: int = DEFAULT_BATCH_TOKENS,
    ) -> Encoder:
        """Return an encoder of passages that a session in bfloat16 encodes, in batches of so many tokens."""
        return self._other(
            self.exported,
            backend=backend,
            session=session,
            precision=Precision("bfloat16", version),
            threads=threads,
            batch_tokens=batch_tokens,
        )

    def _other(
        self,
        exported: ExportedEncoder,
        *,
        backend: str,
        threads: int | None = None,
        session: Session | None = None,
        precision: Precision | None = None,
        batch_tokens: int = DEFAULT_BATCH_TOKENS,
    ) -> Encoder:
        return Encoder(
            exported,
            name=self.name,
            revision=self.revision,
            query_prompt=self.query_prompt,
            passage_prompt=self.passage_prompt,
            max_tokens=self.max_tokens,
            threads=self.threads if threads is None else threads,
            session=session,
            precision=precision,
            source=self.source,
            backend=backend,
            batch_tokens=batch_tokens,
        )

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return the tokens of every text as slices of it: code points, end exclusive, in reading order.

        Special tokens, the prompt and truncation are left out. What the model does not see (spaces, stripped accents)
        belongs to no token; where a token is a part of a character, as in byte-level vocabularies, slices overlap.
        """
        encodings = self._whole_tokenizer.encode_batch([_encodable(text) for text in texts], add_special_tokens=False)
        return [[(start, end) for start, end in encoding.offsets] for encoding in encodings]

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the questions' vectors, in their order: (n, dim) float32, unit rows.

        Raises:
            ModelBroken: the model gave a vector without length, or one that is not finite.
        """
        if len(texts) == 1 and not isinstance(texts, str):
            # Sorting one text into batches and threads takes longer than its tokens do.
            tokens = self._tokens([_encodable(self.query_prompt + texts[0])])
            session = self._session if self._questions is None else self._question_session
            return self._run(session, tokens, 0, [0])
        batches = self._batches(texts, prompt=self.query_prompt, batch_tokens=DEFAULT_BATCH_TOKENS, asked=True)
        return self._gathered(len(texts), batches, progress=None)

    def encode_passages(
        self,
        texts: Sequence[str],
        *,
        batch_tokens: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Vectors:
        """Return the passages' vectors, in their order: (n, dim) float32, unit rows.

        `progress` is told after every batch how many passages are done. Which passages share a batch changes a vector
        by about 1e-7, and the same call gives the same bytes.

        Raises:
            ModelBroken: the model gave a vector without length, or one that is not finite.
        """
        batches = self.encode_batches(texts, batch_tokens=batch_tokens)
        return self._gathered(len(texts), batches, progress=progress)

    def encode_batches(
        self, texts: Sequence[str], *, batch_tokens: int | None = None
    ) -> Iterator[tuple[list[int], Vectors]]:
        """Yield passages' vectors as they are made: the places in `texts` of a batch, and its (n, dim) rows.

        Every passage comes once. Batches hold passages of like length, so the places are out of order.

        Raises:
            ModelBroken: the model gave a vector without length, or one that is not finite.
        """
        if batch_tokens is None:
            batch_tokens = self._batch_tokens
        return self._batches(texts, prompt=self.passage_prompt, batch_tokens=batch_tokens)

    def encode_series(self, series: Iterable[Sequence[str]]) -> Iterator[Vectors]:
        """Yield the vectors of one list of passages after another: (n, dim) float32, unit rows.

        While a list is encoded, the next one is cut into tokens.

        Raises:
            ModelBroken: the model gave a vector without length, or one that is not finite.
        """
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as beside:
            before = 0
            waiting: Future[list[Tokens]] | None = None
            for texts in itertools.chain(series, [None]):
                coming = None
                if texts is not None:
                    coming = beside.submit(self._tokens, [_encodable(self.passage_prompt + text) for text in texts])
                if waiting is not None:
                    tokens = waiting.result()
                    yield self.encode_list(tokens, before=before)
                    before += len(tokens)
                waiting = coming

    def encode_list(self, tokens: list[Tokens], *, before: int = 0) -> Vectors:
        """Return the vectors of passages that are cut into tokens; errors count a text from those `before` on.

        Raises:
            ModelBroken: the model gave a vector without length, or one that is not finite.
        """
        batches = self._token_batches(tokens, batch_tokens=self._batch_tokens, before=before)
        return self._gathered(len(tokens), batches, progress=None)

    def _gathered(
        self, size: int, batches: Iterator[tuple[list[int], Vectors]], *, progress: Callable[[int], None] | None
    ) -> Vectors:
        vectors = np.empty((size, self.dim), dtype=np.float32)
        done = 0
        for places, rows in batches:
            vectors[places] = rows
            done += len(places)
            if progress is not None:
                progress(done)
        return vectors

    def _batches(
        self, texts: Sequence[str], *, prompt: str, batch_tokens: int, asked: bool = False
    ) -> Iterator[tuple[list[int], Vectors]]:
        if isinstance(texts, str):  # a str is a Sequence[str], and would be encoded letter by letter
            raise TypeError(f"texts are a sequence of texts, got one text of {len(texts)} characters")
        if batch_tokens < 1:
            raise ValueError(f"batch_tokens must be at least 1, got {batch_tokens}")
        for first in range(0, len(texts), WINDOW_TEXTS):
            window = texts[first : first + WINDOW_TEXTS]
            tokens = self._tokens([_encodable(prompt + text) for text in window])
            for batch, rows in self._token_batches(tokens, batch_tokens=batch_tokens, before=first, asked=asked):
                yield [first + place for place in batch], rows

    def _token_batches(
        self, tokens: list[Tokens], *, batch_tokens: int, before: int, asked: bool = False
    ) -> Iterator[tuple[list[int], Vectors]]:
        """Return vectors and the places of their texts; errors count a text from those `before` on."""
        # In eight bits, what shares a batch would change a vector by more than rounding, so each text is by itself; the
        # graph for questions knows no padding.
        alone = self.backend == ONNX_INT8 or (asked and self._questions is not None)
        batches = list(batches_by_length([len(ids) for ids, _ in tokens], batch_tokens=1 if alone else batch_tokens))
        return zip(batches, self._run_all(tokens, batches, before, asked=asked), strict=True)

    def _run_all(self, tokens: list[Tokens], batches: list[list[int]], first: int, *, asked: bool) -> Iterator[Vectors]:
        """Yield the vectors of batches, in their order.

        Several batches are run side by side, one a core: sharing each among all cores takes a tenth longer, as they
        wait for each other at every layer.
        """
        workers = min(self.threads or usable_cores(), len(batches))
        alone = workers < 2  # noqa: PLR2004  # one by one
        if asked and self._questions is not None:
            session = self._question_session
        else:
            session = self._session if alone else self._side_session
        if alone:
            yield from (self._run(session, [tokens[place] for place in batch], first, batch) for batch in batches)
            return
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(workers)
        try:
            yield from pool.map(
                lambda batch: self._run(session, [tokens[place] for place in batch], first, batch), batches
            )
        finally:
            # Whoever is interrupted waits for the batches that have begun, and for no others.
            pool.shutdown(cancel_futures=True)

    def _tokens(self, texts: list[str]) -> list[Tokens]:
        # A single question is not worth waking the tokenizer's threads for.
        encodings = [self._tokenizer.encode(texts[0])] if len(texts) == 1 else self._tokenizer.encode_batch(texts)
        # A model without special tokens sees nothing in an empty text; padding then stands in for it.
        return [(encoding.ids or [self.exported.pad_id], encoding.type_ids or [0]) for encoding in encodings]

    def _run(self, session: Session, tokens: list[Tokens], first: int, batch: list[int]) -> Vectors:
        shape = len(tokens), max(len(ids) for ids, _ in tokens)
        feed = {
            "input_ids": np.full(shape, self.exported.pad_id, dtype=np.int64),
            "attention_mask": np.zeros(shape, dtype=np.int64),
            "token_type_ids": np.zeros(shape, dtype=np.int64),
        }
        for row, (ids, types) in enumerate(tokens):
            feed["input_ids"][row, : len(ids)] = ids
            feed["attention_mask"][row, : len(ids)] = 1
            feed["token_type_ids"][row, : len(ids)] = types
        vectors = session.run(None, {name: feed[name] for name in self.exported.inputs})[0]
        unit = np.abs(np.linalg.norm(vectors, axis=1) - 1) <= _UNIT_TOLERANCE
        if not unit.all():  # NaN compares as false, so it is refused as well
            place = first + batch[int(np.argmin(unit))]
            raise ModelBroken(
                f"{self.name} gave no usable vector for text number {place + 1}: it has no length, or is not finite",
                hint="choose another encoder.model, such as all-MiniLM-L6-v2",
            )
        return vectors

    @cached_property
    def _session(self) -> Session:
        if self._given_session is not None:
            return self._given_session
        session: Session = open_session(self.exported.model, threads=self.threads, packed=self.exported.packed)
        return session

    @cached_property
    def _question_session(self) -> Session:
        # One core: a question is so short that a second one takes as long to wake as it spares.
        if self._questions is None or self._given_session is not None:
            return self._session
        session: Session = open_session(self._questions.model, threads=1, packed=self._questions.packed)
        return session

    @cached_property
    def _side_session(self) -> Session:
        """Return a session whose runs keep to the thread that they are called from."""
        if self._given_session is not None:
            return self._given_session
        session: Session = open_session(self.exported.model, threads=1, packed=self.exported.packed)
        return session

    # Truncation is a state of the tokenizer, so the spans of whole texts need one of their own: switching it to and fro
    # would show one thread's setting to another.
    @cached_property
    def _whole_tokenizer(self) -> Tokenizer:
        return _load_tokenizer(self.exported.tokenizer)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = _load_tokenizer(self.exported.tokenizer)
        tokenizer.enable_truncation(max_length=self.max_tokens)
        return tokenizer


def same_questions(one: str, other: str) -> bool:
    """Tell whether the same vectors of questions fit two fingerprints, in whatever precision the passages are."""
    if one == other:
        return True
    try:
        whole = dict.fromkeys(_SHORT_NAMES)
        facts = [{**json.loads(fingerprint), **whole} for fingerprint in (one, other)]
    except (ValueError, TypeError):  # another encoder's, which may be any text
        return False
    return facts[0] == facts[1]


def precision_of(fingerprint: str) -> str:
    """Return what an index's vectors are in, by its fingerprint: "fp32", "int8" or "bf16"."""
    try:
        facts = json.loads(fingerprint)
    except ValueError:  # another encoder's, which may be any text
        return "fp32"
    known = facts if isinstance(facts, dict) else {}
    return next((short for key, short in _SHORT_NAMES.items() if key in known), "fp32")


def load_encoder(
    model: str,
    *,
    query_prompt: str | None = None,
    passage_prompt: str | None = None,
    max_tokens: int | None = None,
    threads: int = 0,
    cache: Path | None = None,
    notify: Callable[[str], None] | None = None,
) -> Encoder:
    """Return the encoder of a model: a folder, a name that a package carries, or one in the hub's cache.

    A prompt that is None is the model's own, an empty one is none. `threads` 0 takes every usable core. The first use
    of a model exports it, which takes some seconds and is told to `notify`; later ones open what is there.

    Raises:
        ModelMissing: the model is nowhere on this machine.
        ModelBroken: it is there, but cannot be read, exported or cached.
        ConfigError: `max_tokens` is more than the model reads, or too few to hold anything.
    """
    cache = cache or default_cache()
    found = find_model(model)
    weights = weights_hash(found.folder, cache=cache)
    exported = ensure_export(found, weights=weights, cache=cache, notify=notify)
    from rag.models.eight_bits import graph_for_questions

    return Encoder(
        exported,
        name=model,
        revision=weights,
        query_prompt=query_prompt,
        passage_prompt=passage_prompt,
        max_tokens=max_tokens,
        threads=threads,
        questions=graph_for_questions(exported, notify=notify),
        source=found.folder,
    )


def batches_by_length(lengths: Sequence[int], *, batch_tokens: int) -> Iterator[list[int]]:
    """Yield the places of texts in batches, longest first, each text once.

    A batch is padded to its longest text, and `batch_tokens` bounds it with the padding; a text that is longer than
    that comes alone. A text that is much shorter than the longest begins the next batch: computing padding costs more
    than a larger batch saves. Texts of one length keep their order.
    """
    batch: list[int] = []
    longest = 0
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        padding = longest - lengths[place]
        if batch and ((len(batch) + 1) * longest > batch_tokens or padding > max(_SPARED_PADDING, longest // 4)):
            yield batch
            batch = []
        if not batch:
            longest = lengths[place]
        batch.append(place)
    if batch:
        yield batch


def _load_tokenizer(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ModelBroken(
            f"{path} cannot be loaded: {error}", hint=f"delete {path.parent}; it is made again when it is needed"
        ) from error


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair, as bytes on the command line that are no UTF-8 leave it: the tokenizer takes none. One
        # "?" for each keeps every offset where it was.
        return text.encode(errors="replace").decode()
    return text
