"""The models that the settings name, loaded: encoder, reader, writer, and the weights by which a reading counts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import ConfigError

if TYPE_CHECKING:
    from rag.answering.writing import TextWriter
    from rag.config import Config
    from rag.models.encoder import Encoder
    from rag.models.endpoint import EndpointWriter
    from rag.models.foreign import ForeignReader
    from rag.models.reader import Reader
    from rag.progress import Notify

    AnyReader = Reader | ForeignReader


def encoder_of(config: Config, notify: Notify) -> Encoder:
    """Return the encoder that the settings name."""
    from rag.models.encoder import load_encoder

    section = config.encoder
    return load_encoder(
        section.model,
        query_prompt=section.query_prompt,
        passage_prompt=section.passage_prompt,
        max_tokens=section.max_tokens,
        threads=config.threads,
        notify=notify,
    )


def reader_of(config: Config, notify: Notify, *, many: bool = False) -> AnyReader | None:
    """Return the reading model that the settings name; None if passages are to be compared instead.

    One for `many` questions reads on one core, and is packed.
    """
    from rag.models.reader import Reader, own_folder

    if config.reader.model == "none":
        return None
    if (folder := own_folder(config.reader.model)) is not None:
        return Reader(folder, threads=1 if many else config.threads, packed=many)
    from rag.models.foreign import load_foreign_reader

    return load_foreign_reader(config.reader.model, threads=1 if many else config.threads, notify=notify)


def calibration_of(config: Config) -> Path:
    """Return the file of the weights by which the reader's scores count, which is known to be one.

    Raises:
        ConfigError: it cannot be read, or was fitted for other features.
    """
    from rag.answering.reading import CALIBRATION, Calibration

    file = config.calibration_file()
    if file is None:
        return CALIBRATION
    hint = "fit one with: python -m training.answerer --reader READER --out FILE"
    try:
        features = [[*model["features"]] for model in _models_in(file)]
        Calibration.read(file)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"reader.calibration: {file} is no calibration: {error}", hint=hint) from error
    if features != [[*model["features"]] for model in _models_in(CALIBRATION)]:
        raise ConfigError(f"reader.calibration: {file} was fitted for another version of rag", hint=hint)
    return file


def _models_in(file: Path) -> list[Mapping[str, Sequence[str]]]:
    fitted = json.loads(file.read_text(encoding="utf-8"))
    return [fitted[name] for name in ("shortlist", "sentence", "decision")]


def writer_of(config: Config) -> TextWriter:
    """Return the model that writes in this process, which the settings name, loaded."""
    from rag.models.writer import load_writer

    section = config.writer
    return load_writer(section.model, device=section.device, dtype=section.dtype, threads=config.threads)


def endpoint_of(config: Config) -> EndpointWriter:
    """Return the model behind HTTP that the settings name; nothing is contacted yet.

    Raises:
        ConfigError: they name none.
    """
    from rag.models.endpoint import KEY_VARIABLE, EndpointWriter

    section = config.endpoint
    if section.url is None or section.model is None:
        missing = "endpoint.url" if section.url is None else "endpoint.model"
        raise ConfigError(
            f"{missing} is not set",
            hint="for example: --set endpoint.url=http://localhost:11434/v1 --set endpoint.model=NAME",
        )
    return EndpointWriter(
        section.url,
        model=section.model,
        key=os.environ.get(KEY_VARIABLE),
        timeout_s=section.timeout_s,
        retries=section.retries,
        context_tokens=section.context_tokens,
    )
