"""The ways to encode passages in large numbers, how quick each is on this machine, and which one is taken.

    <cache>/encoders/backends-<hash>.json     what each took for the same texts, and what that holds for

`onnx-fp32` is the encoder as it was exported, and what the others are compared with. `onnx-int8` has its matrix
products in eight bits, `torch-bf16` and `cuda-bf16` are the model in bfloat16: on a processor that multiplies in it,
and on a GPU. They are measured in a process of their own, at the first build that is large enough to gain by it. An
index is made in one precision, which is a part of its fingerprint, and goes on in it wherever that is computed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.errors import ConfigError, ModelBroken, ModelMissing, RagError
from rag.models.eight_bits import PASSAGES, ensure_eight_bits
from rag.models.eight_bits import VERSION as EIGHT_BITS_VERSION
from rag.models.encoder import ONNX_FP32, ONNX_INT8, Encoder, precision_of
from rag.models.export import CHILD, OFFLINE, read_export
from rag.models.runtime import usable_cores, write_atomically

logger = logging.getLogger(__name__)

AUTO: Final = "auto"
TORCH_BF16: Final = "torch-bf16"
CUDA_BF16: Final = "cuda-bf16"
BACKENDS: Final = (ONNX_FP32, ONNX_INT8, TORCH_BF16, CUDA_BF16)
# The least cosine to full precision of any text of the sample. Eight bits give .99 over real passages, bfloat16 .9999.
LEAST_COSINE: Final = {ONNX_FP32: 0.999, ONNX_INT8: PASSAGES.least_cosine, TORCH_BF16: 0.998, CUDA_BF16: 0.998}

# Raised whenever a change of the measurement gives other figures.
VERSION: Final = 1
_LEAST_GAIN: Final = 1.2  # less is not worth vectors that are not exact
# Measuring torch takes some ten seconds, once, and starting it five for each build. Of a build that encodes for so
# long, a gain of a fifth is as much as both.
_WORTH_TORCH_S: Final = 75.0
_TEXTS_A_CORE: Final = 8
_ROUNDS: Final = 4
_ENOUGH_S: Final = 1.0  # for a backend's rounds together; two are run however long they take
_LONGEST_S: Final = 180.0
_CUDA: Final = "cuda"
_CUDA_BATCH_TOKENS: Final = 16_384
_CPU_FACTS: Final = Path("/proc/cpuinfo")
_NVIDIA: Final = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"), Path("/dev/dxg"))
_NVIDIA_GPUS: Final = Path("/proc/driver/nvidia/gpus")
_BF16_FLAGS: Final = frozenset({"amx_bf16", "avx512_bf16"})
_LIBRARIES: Final = ("onnxruntime", "torch", "sentence-transformers", "transformers")
_WORDS_A_TEXT: Final = (28, 124, 96, 138, 60, 112, 131, 82, 118, 104, 44, 127, 89, 135, 73, 121)
_SENTENCES: Final = (
    "The bridge over the estuary was opened in March 1889, eleven months later than the contract had said.",
    "Most of the delay came from the steel, which two mills delivered late and a third one not at all.",
    "In patients older than 65, the second dose raised antibody levels by a factor of four within three weeks.",
    "The ministry said on Tuesday that exports of seafood had fallen by 41 percent since the ban.",
    "Nobody at the hearing could say who had signed the letter, or when.",
    "Cells without the receptor divided more slowly (0.7 against 1.2 divisions a day, n = 48).",
    "Prices for natural gas doubled in the autumn; storage was full by 12 November.",
    "The orchestra will play Bruckner's Seventh in Osaka, Nagoya and Tokyo before it returns to Vienna.",
    "A spokesman for the company declined to comment on whether the plant would be closed.",
    "Rainfall in the upper valley was the heaviest since records began, and the river rose by 3.4 metres overnight.",
    "We found no effect of the inhibitor on the expression of either gene in mice that had been fed normally.",
    "The council voted 9 to 6 for the new tram line, which is to reach the airport by 2031.",
)


class PassageEncoder(Protocol):
    """What is asked of an encoder while it is measured."""

    def encode_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit rows: (n, dim) float32."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a backend takes: milliseconds for a passage and to start; and its least cosine to full precision."""

    ms: float
    starts_ms: float
    cosine: float

    def __post_init__(self) -> None:
        if not all(type(value) is float for value in (self.ms, self.starts_ms, self.cosine)):
            raise TypeError(f"{self!r}: not all are floats")
        if not (0 < self.ms < float("inf") and 0 <= self.starts_ms < float("inf")):
            raise ValueError(f"{self!r}: no times")

    def takes_ms(self, passages: int) -> float:
        """Return what so many passages take, from the start on."""
        return self.starts_ms + passages * self.ms


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was measured of each backend, and why others were not."""

    measured: Mapping[str, Measured]
    failed: Mapping[str, str]

    @property
    def tried(self) -> set[str]:
        """Return the backends that need not be tried again."""
        return {*self.measured, *self.failed}

    def near(self) -> list[str]:
        """Return the backends whose vectors are near enough to those in full precision; NaN is not."""
        return [name for name, found in self.measured.items() if found.cosine >= LEAST_COSINE[name]]

    def quickest(self, *, passages: int) -> str:
        """Return the quickest of those that are near for so many passages; full precision if that is hardly slower."""
        best = min(self.near(), key=lambda name: self.measured[name].takes_ms(passages), default=ONNX_FP32)
        whole, quick = (self.measured[name].takes_ms(passages) for name in (ONNX_FP32, best))
        return best if whole >= _LEAST_GAIN * quick else ONNX_FP32


def encoder_for_index(
    encoder: Encoder,
    fingerprint: str | None,
    *,
    passages: int,
    from_passages: int,
    backend: str = AUTO,
    notify: Callable[[str], None] | None = None,
) -> Encoder:
    """Return what encodes passages of an index: in the precision that it is in, else by the quickest way that is near.

    `fingerprint` is what it was built under, None for a new one of so many passages. Below `from_passages` nothing is
    measured, and a new one is in full precision. A `backend` that is not "auto" is taken as it is.

    Raises:
        ConfigError: there is no GPU for the backend.
        ModelMissing: it needs torch, which is not installed.
        ModelBroken: it cannot be made here.
    """
    if backend != AUTO:
        return encoder_by(encoder, backend, notify=notify)
    if fingerprint is not None:
        return encoder_by(encoder, _backend_of(fingerprint), notify=notify)
    if passages < from_passages:
        return encoder
    return encoder_by(encoder, quickest_backend(encoder, passages=passages, notify=notify), notify=notify)


def encoder_by(encoder: Encoder, backend: str, *, notify: Callable[[str], None] | None = None) -> Encoder:
    """Return an encoder whose passages are encoded by a backend.

    Raises:
        ConfigError, ModelMissing, ModelBroken: see `encoder_for_index`.
    """
    if backend == ONNX_FP32:
        return encoder
    if backend == ONNX_INT8:
        made = ensure_eight_bits(encoder.exported, notify=notify)
        if not made.worth_using:
            raise ModelBroken(
                f"in eight bits {encoder.name} gives other vectors: cosine {made.cosine:.3f}",
                hint="encode in full precision: --set encoder.backend=onnx-fp32",
            )
        return encoder.in_eight_bits(made.of(encoder.exported), version=EIGHT_BITS_VERSION)
    if backend not in BACKENDS:
        raise ValueError(f"no backend {backend!r}, only {BACKENDS}")
    if not _torch_is_there():
        raise ModelMissing(
            f"encoder.backend {backend} needs torch and sentence-transformers, which are not installed",
            hint="pip install torch sentence-transformers, or rebuild with: "
            "rag index --rebuild --set encoder.backend=onnx-fp32",
        )
    if encoder.source is None:
        raise ModelMissing(f"{encoder.name} has no weights that torch could load")
    if backend == CUDA_BF16 and not cuda_is_usable():
        raise ConfigError(
            "encoder.backend is cuda-bf16, but there is no GPU that torch can use",
            hint="let rag choose: --set encoder.backend=auto",
        )
    from rag.models.torch_session import VERSION as BF16_VERSION
    from rag.models.torch_session import TorchSession

    if backend == CUDA_BF16:
        session = TorchSession(encoder.source, device=_CUDA)
        # One thread: what runs at the same time shares the GPU anyway.
        return encoder.in_bfloat16(
            session, version=BF16_VERSION, backend=backend, threads=1, batch_tokens=_CUDA_BATCH_TOKENS
        )
    return encoder.in_bfloat16(TorchSession(encoder.source, device="cpu"), version=BF16_VERSION, backend=backend)


def _backend_of(fingerprint: str) -> str:
    """Return what goes on with an index: the backend, here, of the precision that its vectors are in."""
    precision = precision_of(fingerprint)
    if precision == "bf16":
        return CUDA_BF16 if cuda_is_usable() else TORCH_BF16
    return ONNX_INT8 if precision == "int8" else ONNX_FP32


# The choice


def quickest_backend(encoder: Encoder, *, passages: int, notify: Callable[[str], None] | None = None) -> str:
    """Return the quickest backend here for so many passages: as it is recorded, else measured now, and recorded.

    Torch is looked at only where the processor or a GPU is made for it, and where so many passages take so long that
    starting it can pay.
    """
    from filelock import FileLock

    file = _file(encoder)
    try:
        # Whoever waited takes what the other measured.
        with FileLock(file.with_name("backends.lock")):
            known = _known(encoder, [ONNX_FP32, ONNX_INT8], notify=notify)
            best = min(known.measured[name].takes_ms(passages) for name in {*known.near(), ONNX_FP32})
            if best >= _WORTH_TORCH_S * 1000 and encoder.source is not None:
                known = _known(encoder, [ONNX_FP32, ONNX_INT8, *usable_torch_backends()], notify=notify)
    except (OSError, ModelBroken) as error:
        logger.debug("nothing is known of the backends, so it is full precision: %s", error)
        return ONNX_FP32
    return known.quickest(passages=passages)


def recorded_backends(encoder: Encoder) -> Comparison | None:
    """Return what was measured on this machine; None if there is no sound record of it."""
    file = _file(encoder)
    try:
        record = json.loads(file.read_bytes())
        if record["holds_for"] != _holds_for(encoder):
            return None
        measured = {name: Measured(**found) for name, found in record["measured"].items()}
        failed = {str(name): str(reason) for name, reason in record["failed"].items()}
        if ONNX_FP32 not in measured or not {*measured, *failed} <= {*BACKENDS}:
            return None
        return Comparison(measured, failed)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        logger.debug("%s: %s", file, error)
        return None


def _known(encoder: Encoder, wanted: Sequence[str], *, notify: Callable[[str], None] | None) -> Comparison:
    """Return a comparison of at least the wanted backends, which is recorded."""
    known = recorded_backends(encoder)
    if known is not None and known.tried >= {*wanted}:
        return known
    failed = {}
    if ONNX_INT8 in wanted:  # made here, so that it is told
        try:
            encoder_by(encoder, ONNX_INT8, notify=notify)
        except ModelBroken as error:
            failed[ONNX_INT8] = error.message
    if notify is not None:
        notify("measuring which way of encoding is quickest here (once) …")
    try:
        found = measure_apart(encoder, [name for name in wanted if name not in failed])
    except ModelBroken as error:
        if known is None:
            raise
        # What brought the whole measurement down is not tried again.
        new = {name: error.message for name in wanted if name not in known.tried}
        found = Comparison(known.measured, {**known.failed, **new})
    found = Comparison(found.measured, {**found.failed, **failed})
    record = {
        "holds_for": _holds_for(encoder),
        "measured": {name: asdict(one) for name, one in found.measured.items()},
        "failed": dict(found.failed),
    }
    write_atomically(_file(encoder), json.dumps(record, indent=2).encode())
    return found


def _holds_for(encoder: Encoder) -> dict[str, object]:
    from rag.models.speed import processor_name

    return {
        "version": VERSION,
        "encoder": encoder.fingerprint,
        "processor": processor_name(),
        "gpus": gpu_names(),
        "threads": encoder.threads,
        "versions": {name: _version(name) for name in _LIBRARIES},
    }


def _file(encoder: Encoder) -> Path:
    facts = json.dumps(_holds_for(encoder), sort_keys=True)
    return encoder.exported.folder.parent / f"backends-{hashlib.sha256(facts.encode()).hexdigest()[:32]}.json"


# What the machine has


def bf16_flags(facts: str) -> frozenset[str]:
    """Return which of the instructions that multiply in bfloat16 a processor has, of what /proc/cpuinfo says."""
    lines = (line.partition(":") for line in facts.splitlines())
    return _BF16_FLAGS & {flag for name, _, flags in lines if name.strip() == "flags" for flag in flags.split()}


def gpu_names() -> list[str]:
    """Return the names of NVIDIA's GPUs as the driver tells them, without asking torch; [""] for one without a name."""
    names = []
    for file in sorted(_NVIDIA_GPUS.glob("*/information")):
        try:
            lines = [line.partition(":") for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
        except OSError:
            continue
        names += [value.strip() for name, _, value in lines if name.strip() == "Model"]
    return names or [""] * any(file.exists() for file in _NVIDIA)


def cuda_is_usable() -> bool:
    """Tell whether torch can use a GPU; it is asked only where a driver is there, as importing it takes seconds."""
    if not gpu_names() or not _torch_is_there():
        return False
    import torch

    return bool(torch.cuda.is_available())


def usable_torch_backends() -> list[str]:
    """Return the backends in torch that the processor, or a GPU's driver, is made for."""
    if not _torch_is_there():
        return []
    try:
        facts = _CPU_FACTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        facts = ""
    return [*[TORCH_BF16] * bool(bf16_flags(facts)), *[CUDA_BF16] * bool(gpu_names())]


def _torch_is_there() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "sentence_transformers"))


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


# The measurement


def sample_texts(count: int) -> list[str]:
    """Return texts of as many words as passages have, no two alike."""
    texts = []
    for number in range(count):
        wanted, words = _WORDS_A_TEXT[number % len(_WORDS_A_TEXT)], [f"{number}:"]
        step = number
        while len(words) < wanted:
            words += _SENTENCES[step % len(_SENTENCES)].split()
            step += 1 + number // len(_SENTENCES)
        texts.append(" ".join(words[:wanted]))
    return texts


def measure(
    backends: Mapping[str, Callable[[], PassageEncoder]],
    texts: Sequence[str],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """Return what each backend takes for the texts: the quickest of some rounds, in turns; full precision comes first.

    Raises:
        ModelBroken: the one in full precision fails.
    """
    encoders: dict[str, PassageEncoder] = {}
    starts: dict[str, float] = {}
    cosines: dict[str, float] = {}
    failed: dict[str, str] = {}
    took: dict[str, list[float]] = {}
    whole: NDArray[np.float32] | None = None
    for name, opened in backends.items():
        started = clock()
        try:
            encoder = opened()
            encoder.encode_passages(texts[:1])
            starts[name] = clock() - started
            started = clock()
            rows = encoder.encode_passages(texts)
            took[name] = [clock() - started]
        except Exception as error:  # a library, a driver or a model: each fails in its own way
            if name == ONNX_FP32:
                raise ModelBroken(f"the encoder fails: {error}") from error
            failed[name] = str(error) or type(error).__name__
            continue
        whole = rows if whole is None else whole
        cosines[name] = float(np.sum(whole * rows, axis=1).min())
        encoders[name] = encoder
    for _ in range(1, _ROUNDS):  # in turns, as the machine may do other things besides
        for name, encoder in encoders.items():
            if len(took[name]) >= 2 and sum(took[name]) > _ENOUGH_S:  # noqa: PLR2004 - one may be disturbed
                continue
            started = clock()
            encoder.encode_passages(texts)
            took[name].append(clock() - started)
    a_text = 1000 / len(texts)
    return Comparison(
        {name: Measured(min(took[name]) * a_text, starts[name] * 1000, cosines[name]) for name in encoders}, failed
    )


def measure_apart(encoder: Encoder, backends: Sequence[str]) -> Comparison:
    """Return what `measure` finds of an encoder's backends, in a process of its own, whose memory goes with it.

    Raises:
        ModelBroken: the process fails.
    """
    facts = {
        "name": encoder.name,
        "source": None if encoder.source is None else str(encoder.source),
        "export": str(encoder.exported.folder),
        "passage_prompt": encoder.passage_prompt,
        "max_tokens": encoder.max_tokens,
        "threads": encoder.threads,
        "backends": list(backends),
    }
    root = Path(__file__).resolve().parents[2]
    try:
        child = subprocess.run(  # noqa: S603  (our own interpreter and module, no shell)
            [sys.executable, "-P", "-c", CHILD, str(root), "rag.models.backends", json.dumps(facts)],
            env={**os.environ, **OFFLINE},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_LONGEST_S,
            check=True,
        )
        found = json.loads(child.stdout.splitlines()[-1])
        return Comparison({name: Measured(**one) for name, one in found["measured"].items()}, found["failed"])
    except (subprocess.SubprocessError, ValueError, LookupError, TypeError) as error:
        lines = str(getattr(error, "stderr", "") or "").split("\n")
        logger.debug("measuring %s failed: %s %s", ", ".join(backends), error, lines[-5:])
        raise ModelBroken(f"measuring {', '.join(backends)} failed: {error}") from error


def main(arguments: Sequence[str]) -> int:
    """Measure the backends that the first argument names, and write what was found to stdout; the exit code."""
    facts = json.loads(arguments[0])
    logging.disable(logging.WARNING)
    exported = read_export(Path(facts["export"]))
    if exported is None:
        raise ModelBroken(f"no export in {facts['export']}")
    encoder = Encoder(
        exported,
        name=facts["name"],
        revision="",
        passage_prompt=facts["passage_prompt"],
        max_tokens=facts["max_tokens"],
        threads=facts["threads"],
        source=None if facts["source"] is None else Path(facts["source"]),
    )
    texts = sample_texts(max(2, facts["threads"] or usable_cores()) * _TEXTS_A_CORE)
    found = measure({name: partial(encoder_by, encoder, name) for name in facts["backends"]}, texts)
    sys.stdout.write(f"\n{json.dumps(asdict(found))}\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except RagError as failure:
        sys.exit(failure.message)
