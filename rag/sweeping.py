"""What `rag sweep` does: a grid of settings tried on one set of questions, and nothing computed twice.

Combinations share most of their passages, questions and readings: in one sweep these are remembered, and what a
combination scored is kept in the cache for the next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from rag.config import Config
from rag.engine import Engine
from rag.errors import QuestionError
from rag.evaluation.datasets import Dataset
from rag.evaluation.measures import ANSWER_MEASURES
from rag.evaluation.sweep import Sweep, combinations, rank_combinations, read_grid
from rag.loading import encoder_of, reader_of
from rag.models.runtime import write_atomically
from rag.progress import SILENT, Reporting
from rag.scoring import Selection, dataset_folder, indexed, score_indexed, with_settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rag.answering.reading import PassageReader
    from rag.loading import AnyReader
    from rag.models.encoder import Encoder
    from rag.models.reader import Page, PassageReading

_DEV = "dev"

Scores = list[dict[str, float]]
T = TypeVar("T")


def sweep(
    config: Config,
    grid: Path,
    path: Path,
    *,
    selection: Selection,
    measure: str | None = None,
    reporting: Reporting = SILENT,
    encoder: Encoder | None = None,
) -> Sweep:
    """Score every combination of a grid's settings on the dev split, or on all questions where there are no splits.

    An index is built once for all combinations that differ only in how it is asked, and kept in the cache; so are the
    scores of a combination, as long as the questions, the articles, the settings and this program are the same.
    """
    values = read_grid(grid)
    configs = [(chosen, with_settings(config, chosen, where=str(grid))) for chosen in combinations(values)]
    dataset = _development(path, selection)
    measure = measure or ("right" if dataset.has_answers and selection.answers is not False else "nDCG@10")
    selection = replace(selection, answers=measure in ANSWER_MEASURES)
    models = _Models(encoder, reporting)
    asked = {"program": _program(), "answers": selection.answers, "dataset": _facts(dataset)}
    scores = []
    places: set[tuple[int, ...]] = set()
    for number, (chosen, settings) in enumerate(configs, start=1):
        reporting.notify(f"{number} of {len(configs)}: {', '.join(f'{key}={value}' for key, value in chosen.items())}")
        measures = _scores(settings, dataset, asked=asked, selection=selection, reporting=reporting, models=models)
        scored = {place: found[measure] for place, found in enumerate(measures) if measure in found}
        scores.append((chosen, list(scored.values())))
        places.add(tuple(scored))
    if not scores[0][1] or len(places) > 1:
        raise QuestionError(
            f"{measure} cannot be compared here: not every combination has it for the same questions",
            hint="choose another: --measure nDCG@10, right or F1",
        )
    return Sweep(dataset.name, measure, len(scores[0][1]), tuple(rank_combinations(scores, measure=measure)))


def _scores(
    config: Config,
    dataset: Dataset,
    *,
    asked: Mapping[str, object],
    selection: Selection,
    reporting: Reporting,
    models: _Models,
) -> Scores:
    """Return the measures of each question, as they were kept or are found now; `asked` is all but the settings."""
    encoder, reader = models.encoder(config), models.reader(config)
    settings = indexed(config, dataset, reporting=reporting, encoder=encoder, apart=True)
    with Engine(settings, encoder=encoder, reader=reader) as engine:
        facts = {**engine.stamp(None), **asked}
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    file = dataset_folder(dataset) / "scores" / f"{name}.json"
    try:
        return cast("Scores", json.loads(file.read_bytes()))
    except (OSError, ValueError):
        pass  # never scored, or cut short
    evaluation = score_indexed(
        settings, dataset, selection=selection, reporting=reporting, encoder=encoder, reader=reader
    )
    scores = [dict(result.measures) for result in evaluation.results]
    write_atomically(file, json.dumps(scores).encode())
    return scores


def _facts(dataset: Dataset) -> list[object]:
    return [[asdict(question) for question in dataset.questions], dataset.qrels]


def _program() -> str:
    """Return a hash of this program's code, since scores hold for it alone."""
    code = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        code.update(file.read_bytes())
    return code.hexdigest()


def _development(path: Path, selection: Selection) -> Dataset:
    if selection.split is not None or path.is_dir():
        return replace(selection, split=selection.split or _DEV).read(path)
    whole = selection.read(path)
    splits = {question.metadata.get("split") for question in whole.questions} - {None}
    return replace(selection, split=_DEV).read(path) if splits else whole


class _Models:
    """The models of a sweep, each loaded once, and remembering what it was asked."""

    def __init__(self, given: Encoder | None, reporting: Reporting) -> None:
        self._given = given
        self._reporting = reporting
        self._loaded: dict[object, object] = {}

    def encoder(self, config: Config) -> Encoder:
        """Return the encoder that the settings name."""
        key = (config.encoder, config.threads)
        return self._once(key, lambda: remembering(self._given or encoder_of(config, self._reporting.notify)))

    def reader(self, config: Config) -> AnyReader | None:
        """Return the reader that the settings name."""
        return self._once((config.reader.model, config.threads), lambda: self._opened(config))

    def _opened(self, config: Config) -> AnyReader | None:
        reader = reader_of(config, self._reporting.notify)
        return None if reader is None else cast("AnyReader", RememberingReader(reader))

    def _once(self, key: object, load: Callable[[], T]) -> T:
        if key not in self._loaded:
            self._loaded[key] = load()
        return cast("T", self._loaded[key])


def remembering(encoder: Encoder) -> Encoder:
    """Return an encoder that encodes no text twice."""
    return cast("Encoder", _Remembering(encoder))  # it has all that is asked of an encoder


class _Remembering:
    """An encoder that encodes no text twice: combinations share most of their passages, questions and sentences."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[tuple[str, str], NDArray[np.float32]] = {}

    def __getattr__(self, name: str) -> object:
        return getattr(self._encoder, name)

    def for_index(
        self, fingerprint: str | None, *, passages: int, int8_from: int, backend: str, notify: Callable[[str], None]
    ) -> Encoder:
        """Return the encoder that an index is to be built with, which encodes no text twice either."""
        chosen = self._encoder.for_index(
            fingerprint, passages=passages, int8_from=int8_from, backend=backend, notify=notify
        )
        return cast("Encoder", self) if chosen is self._encoder else remembering(chosen)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit rows: (n, dim) float32."""
        return self._remembered("query", texts, self._encoder.encode_queries)

    def encode_passages(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Return unit rows: (n, dim) float32."""
        return self._remembered("passage", texts, lambda new: self._encoder.encode_passages(new, progress=progress))

    def encode_series(self, series: Iterable[Sequence[str]]) -> Iterator[NDArray[np.float32]]:
        """Yield unit rows, (n, dim) float32, of one list of passages after another."""
        return map(self.encode_passages, series)

    def _remembered(
        self, kind: str, texts: Sequence[str], encode: Callable[[list[str]], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        import numpy as np

        new = [text for text in dict.fromkeys(texts) if (kind, text) not in self._known]
        if new or not texts:
            rows = encode(new)
            self._known.update(zip(((kind, text) for text in new), rows, strict=True))
            if not texts:
                return rows
        return np.stack([self._known[kind, text] for text in texts])


class RememberingReader:
    """A reader that reads no pair twice; what it makes of one depends on nothing beside it."""

    def __init__(self, reader: PassageReader) -> None:
        self._reader = reader
        self._known: dict[tuple[str, Page], PassageReading] = {}

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)

    def read(self, question: str, passages: Sequence[Page]) -> list[PassageReading]:
        """Return what each passage has to say, read now or before."""
        new = [page for page in dict.fromkeys(passages) if (question, page) not in self._known]
        if new:
            self._known.update(zip(((question, page) for page in new), self._reader.read(question, new), strict=True))
        return [self._known[question, page] for page in passages]
