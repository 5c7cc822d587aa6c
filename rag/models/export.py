"""A sentence-transformers model as an ONNX graph: made once per model, checked against the original, kept in the cache.

    <cache>/encoders/<weights hash>-<export version>/
        model.onnx      input_ids, attention_mask (and token_type_ids): (n, length) int64 → vectors: (n, dim) float32
        model.weights   the graph's weights, apart so that they can be mapped into memory
        tokenizer.json  the tokenizer, without truncation and padding
        encoder.json    what else must be known: see `ExportedEncoder`

Pooling, dense layers and the division by the length are part of the graph, so its rows are unit vectors whatever the
model is made of. The work is done by `python -m rag.models.export`, a process of its own that may open no connection:
torch never enters the process that asked, and its memory goes back when the export is done.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rag.errors import ModelBroken, RagError
from rag.models.runtime import WEIGHTS_FILE, save_optimised
from rag.models.sources import ModelFolder

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Raised whenever a change below gives other vectors or other files: old exports are then left alone, new ones made.
EXPORT_VERSION: Final = 1
MODEL_FILE: Final = "model.onnx"
TOKENIZER_FILE: Final = "tokenizer.json"
DESCRIPTION_FILE: Final = "encoder.json"

INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids")
_UNLIMITED_TOKENS: Final = 1_000_000  # transformers gives 1e30 where a tokenizer names no limit
_DEFAULT_MAX_TOKENS: Final = 512
_LEAST_COSINE: Final = 0.999
_LONGEST_CHECK_TOKENS: Final = 1024
OFFLINE: Final = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
_ALONE: Final = {"TOKENIZERS_PARALLELISM": "false", "CUDA_VISIBLE_DEVICES": ""}
# The child finds this package wherever the parent did, but last of all, and nothing in the working folder before it.
CHILD: Final = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); runpy.run_module(sys.argv.pop(1), run_name='__main__')"
)
CHECKED_TEXTS: Final = (
    "Who designed the bridge?",
    "The bridge over the Firth of Forth was designed by John Fowler and Benjamin Baker.",
    "a",
    ".",
    " ",
    "1889",
    "It cost £3.2 million; 73 men died.",
    "Eiffel's tower opened on 31 March 1889, and was the tallest structure in the world for 41 years.",
    "naïve café, Ångström, cafe\u0301",
    "Wer hat die Brücke gebaut, und wann wurde sie für den Verkehr freigegeben?",
    "谁设计了这座桥？",
    "東京タワーは1958年に完成した。",
    "мост через реку",
    "جسر فوق النهر",
    "emoji 🌉 and 𝒻𝒶𝓃𝒸𝓎 letters",
    "https://example.org/bridges?id=42#history",
    "UPPER lower MiXeD",
    "tabs\tand\nlines\r\nand\u200bothers",
    "x" * 300,
    "The opening was delayed because the steel came late. " * 6,
)


@dataclass(frozen=True, slots=True)
class ExportedEncoder:
    """An export in the cache, as its `encoder.json` describes it.

    `max_tokens` counts the special tokens. `normalised` tells whether the model itself gives unit rows; the graph
    always does. `similarity` is what the model was trained for. `pooling` and `versions` are for people.
    `packed` says that the weights of `graph` are to be packed when it is opened.
    """

    folder: Path
    dim: int
    max_tokens: int
    query_prompt: str
    passage_prompt: str
    inputs: tuple[str, ...]
    pad_id: int
    pooling: str
    similarity: str
    normalised: bool
    versions: Mapping[str, str]
    graph: Path | None = None
    packed: bool = False

    @property
    def model(self) -> Path:
        """Return the graph's file: `graph`, if it is another than the export's own."""
        return self.graph or self.folder / MODEL_FILE

    @property
    def tokenizer(self) -> Path:
        """Return the tokenizer's file."""
        return self.folder / TOKENIZER_FILE


def ensure_export(
    model: ModelFolder, *, weights: str, cache: Path, notify: Callable[[str], None] | None = None
) -> ExportedEncoder:
    """Return the model's export, which is made now if the cache does not hold a whole one.

    Any number of processes may do this at once: each works in a folder of its own, and the first to finish is kept.

    Raises:
        ModelBroken: the model cannot be exported, its export gives other vectors, or the cache cannot be written.
    """
    return make_once(
        model,
        cache / "encoders" / f"{weights}-{EXPORT_VERSION}",
        read=read_export,
        by="rag.models.export",
        instead="choose another encoder.model, such as all-MiniLM-L6-v2",
        notify=notify,
    )


def make_once(
    model: ModelFolder,
    target: Path,
    *,
    read: Callable[[Path], T | None],
    by: str,
    instead: str,
    notify: Callable[[str], None] | None,
) -> T:
    """Return what `read` finds of a model in the folder `target`, which is made now if there is no whole one.

    `by` is the module that makes it, run in a process of its own; `instead` is the hint where it cannot.

    Raises:
        ModelBroken: it cannot be made, or not written.
    """
    if (exported := read(target)) is not None:
        return exported
    if notify is not None:
        notify(f"preparing {model.name} (once) …")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as name:
            made = Path(name) / "export"
            made.mkdir()
            _export_apart(model, target=made, by=by, instead=instead)
            _publish(made, target, read=read)
    except OSError as error:
        # Two processes may both have mended a damaged export; then one of them finds it whole.
        if (exported := read(target)) is not None:
            return exported
        raise ModelBroken(
            f"{model.name} cannot be prepared in {target.parent}: {error}",
            hint="set RAG_CACHE to a folder that can be written and has room for the model",
        ) from error
    if (exported := read(target)) is None:
        raise ModelBroken(
            f"the export of {model.name} in {target} is not whole", hint=f"delete {target}, and try again"
        )
    return exported


def read_export(folder: Path) -> ExportedEncoder | None:
    """Return the export in a folder, or None if there is none, or one that is not whole."""
    return read_described(folder / DESCRIPTION_FILE, _described_encoder)


def _described_encoder(folder: Path, description: Mapping[str, Any]) -> ExportedEncoder:
    return ExportedEncoder(
        folder=folder,
        dim=int(description["dim"]),
        max_tokens=int(description["max_tokens"]),
        query_prompt=str(description["prompts"]["query"]),
        passage_prompt=str(description["prompts"]["passage"]),
        inputs=tuple(description["inputs"]),
        pad_id=int(description["pad_id"]),
        pooling=str(description["pooling"]),
        similarity=str(description["similarity"]),
        normalised=bool(description["normalised"]),
        versions=dict(description["versions"]),
    )


def read_described(file: Path, take: Callable[[Path, Mapping[str, Any]], T]) -> T | None:
    """Return what `take` makes of an export's folder and its description; None if there is none, or no whole one."""
    folder = file.parent
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
        for name, size in description["files"].items():
            if (folder / name).stat().st_size != size:
                logger.warning("%s has not the %d bytes that were written", folder / name, size)
                return None
        return take(folder, description)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        logger.warning("%s is not a usable export: %s", folder, error)
        return None


def write_export(source: Path, target: Path) -> None:
    """Export the model in `source` into the existing folder `target`, in this process, and check the result.

    Raises:
        ModelBroken: the model is of a kind that cannot be exported, or its export gives other vectors.
    """
    import sentence_transformers
    import torch
    import transformers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # "eager" is plain matrix products, which onnxruntime fuses best; float32 whatever the weights were stored in.
        model = sentence_transformers.SentenceTransformer(
            str(source),
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"attn_implementation": "eager", "dtype": torch.float32, "use_safetensors": True},
        ).eval()
        inputs = _check_kind(model)
        with tempfile.TemporaryDirectory(dir=target, prefix=".graph-") as name:
            graph = Path(name) / MODEL_FILE
            _write_graph(model, graph, inputs=inputs)
            save_optimised(graph, target / MODEL_FILE)
    tokenizer = model.tokenizer.backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    # transformers keeps truncation and padding apart from the tokenizer and sets them at every call, so they are lost
    # to nobody here.
    tokenizer.save(str(target / TOKENIZER_FILE), pretty=False)
    description = {
        "export_version": EXPORT_VERSION,
        "dim": _dim(model),
        "max_tokens": _max_tokens(model),
        "prompts": _prompts(model),
        "inputs": inputs,
        "pad_id": model.tokenizer.pad_token_id or 0,  # masked, so any token that exists will do
        "pooling": _pooling(model),
        "similarity": str(model.similarity_fn_name),
        "normalised": any(type(module).__name__ == "Normalize" for module in model.modules()),
        "versions": {
            "sentence-transformers": sentence_transformers.__version__,
            "transformers": transformers.__version__,
            "torch": str(torch.__version__),
        },
        "files": sizes(target),
    }
    (target / DESCRIPTION_FILE).write_text(json.dumps(description, indent=2, ensure_ascii=False), encoding="utf-8")
    _verify(model, target)


def sizes(folder: Path) -> dict[str, int]:
    """Return how many bytes each file of an export has."""
    names = (MODEL_FILE, WEIGHTS_FILE, TOKENIZER_FILE)
    return {name: (folder / name).stat().st_size for name in names if (folder / name).exists()}


def main(arguments: Sequence[str], *, write: Callable[[Path, Path], None] = write_export) -> int:
    """Export the model in the first folder into the second; the exit code. What went wrong stands on stderr, last."""
    sys.addaudithook(_refuse_connections)
    source, target = arguments
    logging.disable(logging.WARNING)
    try:
        write(Path(source), Path(target))
    except RagError as error:
        sys.stderr.write(f"\n{error.message}\n")
        return 1
    return 0


def _export_apart(model: ModelFolder, *, target: Path, by: str, instead: str) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-P", "-c", CHILD, str(root), by, str(model.folder), str(target)]
    child = subprocess.run(  # noqa: S603  (our own interpreter and module, no shell)
        command,
        env={**os.environ, **OFFLINE, **_ALONE},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if child.returncode == 0:
        return
    logger.debug("the export of %s ended with %d: %s", model.folder, child.returncode, child.stderr)
    lines = [line.strip() for line in child.stderr.splitlines() if line.strip()]
    reason = "".join(character for character in lines[-1] if character.isprintable()) if lines else ""
    raise ModelBroken(
        f"{model.name} in {model.folder} cannot be exported: {reason or f'the export ended with {child.returncode}'}",
        hint=instead,
    )


def _publish(made: Path, target: Path, *, read: Callable[[Path], object | None]) -> None:
    try:
        made.replace(target)
    except OSError:
        # A folder only replaces one that is not there. Another process was faster: its export is as good as ours. Or
        # what lies there is not whole: it is moved into our temporary folder, and goes with it.
        if read(target) is None:
            target.replace(made.with_name("broken"))
            made.replace(target)


def _refuse_connections(event: str, _arguments: tuple[object, ...]) -> None:
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        raise ModelBroken("the model, or a library that reads it, tried to open a connection; the export works offline")


def _check_kind(model: SentenceTransformer) -> list[str]:
    """Return the names of the tensors that the model reads, in the graph's order."""
    import torch

    for module in model.modules():
        if getattr(module, "include_prompt", True) is False:
            raise ModelBroken("the model leaves its prompt out of the pooling, which an exported graph cannot")
    features = model.preprocess(["one text", "another text"])
    tensors = {name for name, value in features.items() if isinstance(value, torch.Tensor)}
    if not {"input_ids", "attention_mask"} <= tensors <= set(INPUTS):
        raise ModelBroken(f"the model reads {sorted(tensors)}, and only transformers over text can be exported")
    return [name for name in INPUTS if name in tensors]


def _write_graph(model: SentenceTransformer, path: Path, *, inputs: Sequence[str]) -> None:
    import torch

    class UnitEmbedding(torch.nn.Module):
        """The model's forward pass over plain tensors, its rows divided by their lengths."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            embedding = self.model(dict(zip(inputs, tensors, strict=True)))["sentence_embedding"]
            return torch.nn.functional.normalize(embedding.float(), dim=-1)

    # Two rows of different length: a mask that is all ones could be left out of the graph.
    features = model.preprocess(["the first of two texts", "second"])
    # Not "embedding": BERT's graph has a value of that name already, and dynamo does not look.
    write_graph(UnitEmbedding(), {name: features[name] for name in inputs}, path, outputs={"vectors": {0: "n"}})


def write_graph(
    module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], path: Path, *, outputs: Mapping[str, dict[int, str]]
) -> None:
    """Write a module's graph, as it is for these inputs (n, length); `outputs` says which axes are `n` and `length`."""
    import torch

    with torch.no_grad():
        try:
            # dynamo=False on purpose: on torch 2.13 it exports MiniLM in 1.5 s against 8.5 s, to a graph as fast and
            # as close. What it traces wrongly, the comparison with the original finds.
            torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                str(path),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes={**{name: {0: "n", 1: "length"} for name in inputs}, **outputs},
                dynamo=False,
            )
        except Exception as error:  # noqa: BLE001  (a tracer fails in as many ways as there are models: Gemma 3 does)
            logger.info("the tracing exporter failed, so dynamo is tried: %s", error)
            shape = {0: torch.export.Dim("n"), 1: torch.export.Dim("length")}
            torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                str(path),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=((shape,) * len(inputs),),
                dynamo=True,
                verbose=False,
            )


def _dim(model: SentenceTransformer) -> int:
    return int(model.encode(["a"], convert_to_numpy=True, show_progress_bar=False).shape[1])


def _max_tokens(model: SentenceTransformer) -> int:
    tokens = model.max_seq_length
    if tokens is None or tokens > _UNLIMITED_TOKENS:
        tokens = getattr(model.config, "max_position_embeddings", None) or _DEFAULT_MAX_TOKENS
    return int(tokens)


def _prompts(model: SentenceTransformer) -> dict[str, str]:
    # The names and their order are those of encode_query and encode_document. The library fills in empty prompts under
    # the names it knows, so the first that says something is taken.
    prompts: dict[str, str | None] = model.prompts
    passage = next((text for name in ("document", "passage", "corpus") if (text := prompts.get(name))), "")
    return {"query": prompts.get("query") or "", "passage": passage}


def _pooling(model: SentenceTransformer) -> str:
    modes: list[str] = []
    for module in model.modules():
        if (mode := getattr(module, "pooling_mode", None)) is not None:
            modes += [mode] if isinstance(mode, str) else list(mode)
    return "+".join(modes) or "none"


def _verify(model: SentenceTransformer, folder: Path) -> None:
    import numpy as np

    from rag.models.encoder import Encoder

    exported = read_export(folder)
    if exported is None:
        raise ModelBroken("the export could not be read back")
    # A text that must be cut, unless the model reads so much that the comparison would take minutes.
    words = "bridge river steel stone " * (min(exported.max_tokens, _LONGEST_CHECK_TOKENS) // 3)
    texts = [*CHECKED_TEXTS, words]
    encoder = Encoder(exported, name=str(folder), revision="")
    # Small batches: the original pads every text to the longest beside it.
    options: dict[str, Any] = {"normalize_embeddings": True, "show_progress_bar": False, "batch_size": 4}
    kinds = {"query": (encoder.encode_queries, exported.query_prompt)}
    if exported.passage_prompt != exported.query_prompt:
        kinds["passage"] = (encoder.encode_passages, exported.passage_prompt)
    for kind, (encode, prompt) in kinds.items():
        ours, theirs = encode(texts), model.encode(texts, prompt=prompt, **options)
        cosines = np.sum(ours * theirs, axis=1)
        worst = int(np.argmin(cosines))
        if not cosines[worst] >= _LEAST_COSINE:  # so that a NaN is refused as well
            raise ModelBroken(
                f"the exported graph gives another vector than the model for the {kind} {texts[worst][:40]!r}: "
                f"cosine {cosines[worst]:.6f}, at least {_LEAST_COSINE} is asked"
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
