"""An encoder's graph in eight bits, for passages in large numbers: made once, compared with the whole one, and timed.

    <cache>/encoders/<weights hash>-<export version>-int8-<version>/
        model.onnx, model.weights   the graph of `export`, its matrix products in eight bits
        passages.json               what a text of many words takes in either

Vectors in eight bits are near the whole ones (cosine about .994), not equal to them. They are used where a processor is
quicker for it, as the measurement here says.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from rag.errors import ModelBroken, RagError
from rag.models.export import MODEL_FILE, ExportedEncoder, make_once, read_described, read_export
from rag.models.runtime import WEIGHTS_FILE, save_in_eight_bits
from rag.models.sources import ModelFolder

# Raised whenever a change gives other vectors: it stands in an index's fingerprint.
VERSION: Final = 1
DESCRIPTION_FILE: Final = "passages.json"
_LEAST_COSINE: Final = 0.97
_LEAST_GAIN: Final = 1.2  # less is not worth vectors that are not exact
_TIMED_WORDS: Final = 80
_ROUNDS: Final = 9
_INSTEAD: Final = "encode in full: --set building.int8_from=1000000000"


@dataclass(frozen=True, slots=True)
class EightBits:
    """A graph in eight bits, and the milliseconds that a text takes in it and in the whole one, on this machine."""

    folder: Path
    ms: float
    whole_ms: float

    @property
    def quicker(self) -> bool:
        """Tell whether it is worth its inexactness on this machine."""
        return self.whole_ms >= _LEAST_GAIN * self.ms

    def of(self, exported: ExportedEncoder) -> ExportedEncoder:
        """Return the export with this graph in the place of its own."""
        return replace(exported, graph=self.folder / MODEL_FILE)


def ensure_eight_bits(exported: ExportedEncoder, *, notify: Callable[[str], None] | None = None) -> EightBits:
    """Return an export's graph in eight bits, which is made and timed now if the cache does not hold it.

    Raises:
        ModelBroken: it cannot be made, its vectors are far from the whole ones, or the cache cannot be written.
    """
    target = exported.folder.with_name(f"{exported.folder.name}-int8-{VERSION}")
    return make_once(
        ModelFolder("the encoder in eight bits", exported.folder, ""),
        target,
        read=read_eight_bits,
        by="rag.models.eight_bits",
        instead=_INSTEAD,
        notify=notify,
    )


def read_eight_bits(folder: Path) -> EightBits | None:
    """Return the graph in a folder; None if there is none, or one that is not whole."""
    return read_described(folder / DESCRIPTION_FILE, _described)


def _described(folder: Path, description: Mapping[str, Any]) -> EightBits:
    return EightBits(folder, ms=float(description["ms"]["int8"]), whole_ms=float(description["ms"]["float32"]))


def write_eight_bits(source: Path, target: Path) -> None:
    """Write the graph of the export in `source` into the existing folder `target`, compare it, and time both.

    Raises:
        ModelBroken: there is no export, or the vectors differ too much.
    """
    import numpy as np

    from rag.models.encoder import Encoder

    exported = read_export(source)
    if exported is None:
        raise ModelBroken(f"no export in {source}")
    save_in_eight_bits(exported.model, target / MODEL_FILE)
    made = replace(exported, graph=target / MODEL_FILE)
    whole, quick = (Encoder(one, name=source.name, revision="", threads=1) for one in (exported, made))
    texts = ["The bridge was opened in March 1889.", " ".join(["bridge river steel tower"] * (_TIMED_WORDS // 4))]
    cosine = float(np.sum(whole.encode_passages(texts) * quick.encode_passages(texts), axis=1).min())
    if not cosine >= _LEAST_COSINE:  # so that a NaN is refused as well
        raise ModelBroken(f"in eight bits the encoder gives other vectors: cosine {cosine:.3f}")
    took: dict[str, list[float]] = {"float32": [], "int8": []}
    for _ in range(_ROUNDS):  # in turns, as the machine may do other things besides
        for name, encoder in (("float32", whole), ("int8", quick)):
            started = time.perf_counter()
            encoder.encode_passages(texts[1:])
            took[name].append((time.perf_counter() - started) * 1000)
    description = {
        "version": VERSION,
        "cosine": cosine,
        "ms": {name: min(times) for name, times in took.items()},
        "files": {name: (target / name).stat().st_size for name in (MODEL_FILE, WEIGHTS_FILE)},
    }
    (target / DESCRIPTION_FILE).write_text(json.dumps(description, indent=2), encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Write the graph of the export in the first folder into the second; the exit code."""
    source, target = arguments
    try:
        write_eight_bits(Path(source), Path(target))
    except RagError as error:
        sys.stderr.write(f"\n{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
