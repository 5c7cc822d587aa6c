"""An encoder's graph in eight bits: made once, compared with the whole one, and timed.

    <cache>/encoders/<weights hash>-<export version>-int8-<version>/            for passages in large numbers
    <cache>/encoders/<weights hash>-<export version>-questions-<version>/       for questions
        model.onnx, model.weights   the graph of `export`, its matrix products in eight bits
        passages.json or questions.json     how near it comes, and what a text takes in either

For passages a call has one scale for all that is multiplied: the quickest way, with vectors near the whole ones (cosine
about .994). A question's vector meets all passages, so there each 32 numbers have a scale of their own (.9998), and as
questions come one by one, nothing is padded, and a layer's attention is one node that needs no mask. Either is used
only where the measurement here says that it is near enough, and that this processor is quicker for it.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from rag.errors import ModelBroken, RagError
from rag.models.export import CHECKED_TEXTS, MODEL_FILE, ExportedEncoder, make_once, read_described, read_export
from rag.models.runtime import WEIGHTS_FILE, save_in_blocks, save_in_eight_bits
from rag.models.sources import ModelFolder

logger = logging.getLogger(__name__)

# Raised whenever a change gives other vectors: it stands in an index's fingerprint.
VERSION: Final = 2
QUESTIONS_VERSION: Final = 2
_LEAST_GAIN: Final = 1.2  # less is not worth vectors that are not exact
_LONG_PASSAGE: Final = " ".join(["bridge river steel tower"] * 20)
_ROUNDS: Final = 9
_WORTH_MAKING: Final = 4_000_000  # bytes: a question takes no time in what is smaller


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to make a graph in eight bits, described in `file`.

    It has to be near for the texts that are `compared`, and quicker for the one that is `timed`, alone and on one core;
    None is timed elsewhere, with the other `backends`. If it is not, it is deleted, unless an index may have been begun
    in it elsewhere (`kept`).
    """

    name: str
    file: str
    suffix: str
    by: str
    instead: str
    save: Callable[[Path, Path], None]
    packed: bool
    compared: tuple[str, ...]
    timed: str | None
    least_cosine: float
    kept: bool


PASSAGES: Final = Kind(
    name="the encoder in eight bits",
    file="passages.json",
    suffix=f"int8-{VERSION}",
    by="rag.models.eight_bits",
    instead="encode in full precision: --set encoder.backend=onnx-fp32",
    save=save_in_eight_bits,
    packed=False,
    compared=("The bridge was opened in March 1889.", _LONG_PASSAGE),
    timed=None,
    least_cosine=0.97,
    kept=True,
)
QUESTIONS: Final = Kind(
    name="the encoder for questions",
    file="questions.json",
    suffix=f"questions-{QUESTIONS_VERSION}",
    by="rag.models.question_bits",
    instead="set RAG_CACHE to a folder that can be written",
    save=save_in_blocks,
    packed=True,
    compared=CHECKED_TEXTS,
    timed="Who designed the bridge over the river, and when was it opened?",
    least_cosine=0.999,
    kept=False,
)


@dataclass(frozen=True, slots=True)
class EightBits:
    """A graph in eight bits, its least cosine, and the milliseconds of a text in it and in the whole one here."""

    folder: Path
    kind: Kind
    cosine: float
    ms: float
    whole_ms: float

    @property
    def worth_using(self) -> bool:
        """Tell whether it is near enough, and so much quicker on this machine that it is worth its inexactness."""
        quicker = self.kind.timed is None or self.whole_ms >= _LEAST_GAIN * self.ms
        return quicker and self.cosine >= self.kind.least_cosine

    def of(self, exported: ExportedEncoder) -> ExportedEncoder:
        """Return the export with this graph in the place of its own."""
        return replace(exported, graph=self.folder / MODEL_FILE, packed=self.kind.packed)


def ensure_eight_bits(
    exported: ExportedEncoder, *, kind: Kind = PASSAGES, notify: Callable[[str], None] | None = None
) -> EightBits:
    """Return an export's graph in eight bits, which is made and timed now if the cache does not hold it.

    Raises:
        ModelBroken: it cannot be made, or the cache cannot be written.
    """
    return make_once(
        ModelFolder(kind.name, exported.folder, ""),
        exported.folder.with_name(f"{exported.folder.name}-{kind.suffix}"),
        read=lambda folder: read_eight_bits(folder, kind=kind),
        by=kind.by,
        instead=kind.instead,
        notify=notify,
    )


def graph_for_questions(
    exported: ExportedEncoder, *, notify: Callable[[str], None] | None = None
) -> ExportedEncoder | None:
    """Return an export with the graph that questions are encoded with here; None if that is its own."""
    try:
        if (exported.folder / WEIGHTS_FILE).stat().st_size < _WORTH_MAKING:
            return None
        made = ensure_eight_bits(exported, kind=QUESTIONS, notify=notify)
    except (OSError, ModelBroken) as error:  # without weights of its own the graph is tiny
        logger.debug("questions are encoded in full: %s", error)
        return None
    return made.of(exported) if made.worth_using else None


def read_eight_bits(folder: Path, *, kind: Kind = PASSAGES) -> EightBits | None:
    """Return the graph in a folder; None if there is none, or one that is not whole."""
    return read_described(folder / kind.file, lambda folder, description: _described(folder, description, kind))


def _described(folder: Path, description: Mapping[str, Any], kind: Kind) -> EightBits:
    took = description["ms"]
    return EightBits(folder, kind, float(description["cosine"]), float(took["int8"]), float(took["float32"]))


def write_eight_bits(source: Path, target: Path, *, kind: Kind = PASSAGES) -> None:
    """Write the graph of the export in `source` into the existing folder `target`, compare it, and time both.

    Raises:
        ModelBroken: there is no export.
    """
    import numpy as np

    from rag.models.encoder import Encoder

    exported = read_export(source)
    if exported is None:
        raise ModelBroken(f"no export in {source}")
    kind.save(exported.model, target / MODEL_FILE)
    made = EightBits(target, kind, cosine=0, ms=0, whole_ms=0)
    whole, quick = (Encoder(one, name=source.name, revision="", threads=1) for one in (exported, made.of(exported)))
    texts = list(kind.compared)
    made = replace(
        made,
        cosine=float(np.sum(whole.encode_passages(texts) * quick.encode_passages(texts, batch_tokens=1), axis=1).min()),
    )
    if kind.timed is not None:
        took: dict[str, list[float]] = {"float32": [], "int8": []}
        for _ in range(_ROUNDS):  # in turns, as the machine may do other things besides
            for name, encoder in (("float32", whole), ("int8", quick)):
                started = time.perf_counter()
                encoder.encode_passages([kind.timed])
                took[name].append((time.perf_counter() - started) * 1000)
        made = replace(made, ms=min(took["int8"]), whole_ms=min(took["float32"]))
    files = [target / MODEL_FILE, target / WEIGHTS_FILE]
    if not made.worth_using and not kind.kept:
        for file in files:
            file.unlink()
        files = []
    description = {
        "version": VERSION,
        "cosine": made.cosine,
        "ms": {"float32": made.whole_ms, "int8": made.ms},
        "files": {file.name: file.stat().st_size for file in files},
    }
    (target / kind.file).write_text(json.dumps(description, indent=2), encoding="utf-8")


def main(arguments: Sequence[str], *, kind: Kind = PASSAGES) -> int:
    """Write the graph of the export in the first folder into the second; the exit code."""
    source, target = arguments
    try:
        write_eight_bits(Path(source), Path(target), kind=kind)
    except RagError as error:
        sys.stderr.write(f"\n{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
