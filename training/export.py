r"""Export a trained reader to ONNX, whole and quantised, and keep the best that fits.

    python -m training.export --run build/reader/run --examples build/reader/examples \\
        --encoder models/all-MiniLM-L6-v2 --out build/reader/export
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from training.answerability import evaluate_dev, fit_combination, score_dev
from training.average import AVERAGED
from training.measures import Figure
from training.model import SUPPORT_NAMES, ReaderModel, load_body
from training.outliers import ALONE, is_feed_forward, measure_inputs, split_outliers
from training.reference import OnnxScorer
from training.sources import compute_sha256
from training.tokens import TokenisedExamples
from training.train import Settings, hash_recipe

logger = logging.getLogger(__name__)
NAME = "rag-reader-22m"
MAX_BYTES = 30_000_000
MAX_TOKENS = 256
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("answerable", "start", "end", "support")


@dataclass(frozen=True, slots=True)
class Variant:
    """A file with its size in bytes, median milliseconds for 16 pairs of 180 tokens, and figures on the dev split."""

    name: str
    bytes: int
    milliseconds: float
    answerable_auroc: Figure
    span_exact: Figure
    support_auroc_published: Figure
    support_auroc_altered: Figure


class ExportedReader(nn.Module):
    """The reader with plain tensors out, and its attention mask spelt out so that the graph has no control flow."""

    def __init__(self, model: ReaderModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> tuple[Tensor, ...]:
        """Return the four outputs in the order of `OUTPUTS`."""
        hidden_mask = (1.0 - attention_mask[:, None, None, :].float()) * -1e4
        output = self.model(input_ids, hidden_mask, token_type_ids)
        return output.answerable, output.start, output.end, output.support


def load_weights(run: Path, *, which: str) -> tuple[dict[str, Tensor], int]:
    """Return (weights, examples seen) of a finished run, or of its last checkpoint; `which` is "average" or "masters".

    Raises:
        FileNotFoundError: the run has left no checkpoint.
    """
    path = next((run / name for name in ("final.pt", "last.pt") if (run / name).exists()), run / "final.pt")
    checkpoint = torch.load(path, weights_only=True)
    return checkpoint["weights"][which], int(checkpoint["seen"])


def export_float(weights: dict[str, Tensor], *, encoder: Path, path: Path) -> None:
    """Write the model in float32."""
    model = ReaderModel(load_body(encoder))
    model.load_state_dict(weights, strict=False)
    exported = ExportedReader(model.eval())
    ids = torch.randint(1000, 2000, (2, 12))
    types = torch.zeros_like(ids)
    types[:, 6:] = 1
    axes = {name: {0: "n", 1: "length"} for name in (*INPUTS, "start", "end")}
    with torch.inference_mode():
        torch.onnx.export(
            exported,
            (ids, torch.ones_like(ids), types),
            str(path),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes=axes | {"answerable": {0: "n"}, "support": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    merge_nodes(path)


def merge_nodes(path: Path) -> None:
    """Rewrite a model with its layer normalisation, GELU and attention as single nodes."""
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    choices = FusionOptions("bert")
    choices.enable_embed_layer_norm = False
    merged = optimizer.optimize_model(
        str(path), model_type="bert", num_heads=12, hidden_size=384, optimization_options=choices, opt_level=0
    )
    merged.save_model_to_file(str(path))


def quantise_rows(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return (int8 matrix, scale of each row) whose product is nearest to the matrix."""
    scales = np.maximum(np.abs(matrix).max(axis=1), 1e-8).astype(np.float32) / 127
    return np.round(matrix / scales[:, None]).astype(np.int8), scales


def quantise_embeddings(model: onnx.ModelProto) -> None:
    """Turn the word embeddings into int8 with a scale for each word, looked up together."""
    graph = model.graph
    initialisers = {tensor.name: tensor for tensor in graph.initializer}
    table = max(
        (
            initialisers[node.input[0]]
            for node in graph.node
            if node.op_type == "Gather" and node.input[0] in initialisers
        ),
        key=lambda tensor: int(np.prod(tensor.dims)),
    )
    integers, scales = quantise_rows(numpy_helper.to_array(table).astype(np.float32))
    name = table.name
    nodes = []
    for node in graph.node:
        if node.op_type != "Gather" or node.input[0] != name:
            nodes.append(node)
            continue
        rows, out = node.input[1], node.output[0]
        nodes += [
            helper.make_node("Gather", [f"{name}_int8", rows], [f"{out}_int8"]),
            helper.make_node("Cast", [f"{out}_int8"], [f"{out}_float"], to=TensorProto.FLOAT),
            helper.make_node("Gather", [f"{name}_scale", rows], [f"{out}_scale"]),
            helper.make_node("Mul", [f"{out}_float", f"{out}_scale"], [out]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.remove(table)
    graph.initializer.extend([
        numpy_helper.from_array(integers, f"{name}_int8"),
        numpy_helper.from_array(scales[:, None], f"{name}_scale"),
    ])  # fmt: skip


def store_weights_as_int8(model: onnx.ModelProto, *, min_size: int = 50_000) -> None:
    """Store every large matrix as int8 with a scale for each column; computation stays in float32."""
    graph = model.graph
    before = []
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 2 or int(np.prod(tensor.dims)) < min_size:
            continue
        users = [node for node in graph.node if tensor.name in node.input]
        if not all(node.op_type in {"MatMul", "Attention", "Gemm"} for node in users):
            continue
        integers, scales = quantise_rows(numpy_helper.to_array(tensor).T.copy())
        graph.initializer.remove(tensor)
        graph.initializer.extend([
            numpy_helper.from_array(integers.T.copy(), f"{tensor.name}_int8"),
            numpy_helper.from_array(scales, f"{tensor.name}_scale"),
        ])  # fmt: skip
        before.append(
            helper.make_node("DequantizeLinear", [f"{tensor.name}_int8", f"{tensor.name}_scale"], [tensor.name], axis=1)
        )
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(before + nodes)


def quantise_dynamically(source: Path, *, path: Path, reduce_range: bool, excluded: Sequence[str] = ()) -> None:
    """Write a copy whose matrix products are of int8 weights, by column, and of activations quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source,
        path,
        op_types_to_quantize=["MatMul", "Attention", "Gemm"],
        per_channel=True,
        reduce_range=reduce_range,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=list(excluded),
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )


def make_variants(source: Path, *, folder: Path, examples: TokenisedExamples) -> dict[str, Path]:
    """Write every quantised variant of a float32 model; return the files by name. The examples show what it sees."""
    embedded = folder / "embedded.onnx"
    model = onnx.load(str(source))
    quantise_embeddings(model)
    onnx.save(model, str(embedded))
    variants: dict[str, Path] = {}
    for name, reduce_range in (("int8", False), ("int8_7bit", True)):
        variants[name] = folder / f"{name}.onnx"
        quantise_dynamically(embedded, path=variants[name], reduce_range=reduce_range)
    split, variants["int8_split"] = folder / "split.onnx", folder / "int8_split.onnx"
    model = onnx.load(str(embedded))
    split_outliers(model, largest=measure_inputs(embedded, examples=examples))
    onnx.save(model, str(split))
    few = [node.name for node in model.graph.node if node.name.endswith(ALONE)]
    quantise_dynamically(split, path=variants["int8_split"], reduce_range=False, excluded=few)
    stored = folder / "stored_int8.onnx"
    model = onnx.load(str(embedded))
    store_weights_as_int8(model)
    onnx.save(model, str(stored))
    variants["stored_int8"] = stored
    # The second matrix of each feed-forward layer sees the widest range of activations.
    outputs = [
        node.name for node in onnx.load(str(embedded)).graph.node if is_feed_forward(node) and "/output/" in node.name
    ]
    if outputs:
        partly = folder / "partly.onnx"
        quantise_dynamically(embedded, path=partly, reduce_range=False, excluded=outputs)
        model = onnx.load(str(partly))
        store_weights_as_int8(model)
        mixed = folder / "int8_mixed.onnx"
        onnx.save(model, str(mixed))
        variants["int8_mixed"] = mixed
    return variants


def measure_speed(scorer: OnnxScorer, *, n: int = 16, length: int = 180, repeats: int = 7) -> float:
    """Return the median milliseconds to score n pairs of the given number of tokens."""
    rng = np.random.default_rng(1)
    ids = rng.integers(1000, 20000, size=(n, length))
    types = np.zeros_like(ids)
    types[:, 20:] = 1
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        scorer(ids, np.ones_like(ids), types)
        times.append(1000 * (time.perf_counter() - began))
    return median(times[1:])


def measure_variant(name: str, *, path: Path, dev: TokenisedExamples) -> Variant:
    """Return size, speed and dev figures of one file."""
    scorer = OnnxScorer(path)
    scores = score_dev(scorer, dev=dev)
    figures = evaluate_dev(scores, combination=fit_combination(scores))
    values = {
        key: figures[key]
        for key in ("answerable_auroc", "span_exact", "support_auroc_published", "support_auroc_altered")
    }
    kept = {key: value for key, value in values.items() if isinstance(value, Figure)}
    return Variant(name=name, bytes=path.stat().st_size, milliseconds=measure_speed(scorer), **kept)


def choose_variant(variants: Sequence[Variant], *, whole: Variant, tolerance: float = 0.003) -> Variant:
    """Return the fastest variant that fits and loses at most `tolerance` on each figure, else the one losing least.

    Raises:
        ValueError: none fits.
    """
    fitting = [variant for variant in variants if variant.bytes <= MAX_BYTES]
    if not fitting:
        raise ValueError(f"no variant is at most {MAX_BYTES} bytes; the smallest is {min(v.bytes for v in variants)}")

    def lose(variant: Variant) -> float:
        return max(
            whole.answerable_auroc.value - variant.answerable_auroc.value,
            whole.span_exact.value - variant.span_exact.value,
            whole.support_auroc_published.value - variant.support_auroc_published.value,
            whole.support_auroc_altered.value - variant.support_auroc_altered.value,
        )

    good = [variant for variant in fitting if lose(variant) <= tolerance]
    return min(good, key=lambda variant: variant.milliseconds) if good else min(fitting, key=lose)


def list_stages(folder: Path) -> list[dict[str, object]]:
    """Return the runs that led to a finished run or an exported reader, first to last, each with what it has seen.

    A run whose weights were averaged with earlier ones names those by their place in the list, from 1.
    """
    if not (folder / "final.pt").exists():
        provenance = json.loads((folder / "config.json").read_text(encoding="utf-8"))["provenance"]
        stages: list[dict[str, object]] = provenance["stages"]
        return stages
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    seen = torch.load(folder / "final.pt", weights_only=True)["seen"]
    before = list_stages(Path(settings["start"])) if settings["start"] else []
    stage: dict[str, object] = {"examples": seen, "settings": {**settings, "start": ""}}
    if (folder / AVERAGED).exists():
        members = json.loads((folder / AVERAGED).read_text(encoding="utf-8"))
        stage["averaged"] = [
            {"run": len(list_stages(Path(member["run"]))), "share": member["share"]} for member in members
        ]
    return [*before, stage]


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 after writing model.onnx, model.fp32.onnx, tokenizer.json, config.json and variants.json."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run that training.train left")
    parser.add_argument("--examples", type=Path, required=True, help="folder that training.prepare wrote")
    parser.add_argument("--encoder", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--out", type=Path, required=True, help="folder that the model is written to")
    parser.add_argument("--weights", choices=("average", "masters"), default="average", help="which weights to export")
    parser.add_argument(
        "--dev-limit", type=int, default=0, help="measure on so many dev examples, the sources alike; 0 takes all"
    )
    parser.add_argument("--variant", help="export this variant without measuring the others")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    dev = TokenisedExamples.load(options.examples / "dev.npz").draw(options.dev_limit)
    whole_path = options.out / "model.fp32.onnx"
    weights, seen = load_weights(options.run, which=options.weights)
    export_float(weights, encoder=options.encoder, path=whole_path)
    with tempfile.TemporaryDirectory() as folder:
        paths = make_variants(whole_path, folder=Path(folder), examples=dev)
        if options.variant:
            chosen_name = options.variant
        else:
            whole = measure_variant("fp32", path=whole_path, dev=dev)
            variants = [measure_variant(name, path=path, dev=dev) for name, path in paths.items()]
            for variant in (whole, *variants):
                logger.info("%s", variant)
            chosen_name = choose_variant(variants, whole=whole).name
            (options.out / "variants.json").write_text(
                json.dumps([asdict(variant) for variant in (whole, *variants)], indent=1), encoding="utf-8"
            )
        shutil.copyfile(paths[chosen_name], options.out / "model.onnx")
    shutil.copyfile(options.encoder / "tokenizer.json", options.out / "tokenizer.json")
    combination = fit_combination(score_dev(OnnxScorer(options.out / "model.onnx"), dev=dev))
    manifest = json.loads((options.examples / "manifest.json").read_text(encoding="utf-8"))
    settings = Settings(**json.loads((options.run / "settings.json").read_text(encoding="utf-8")))
    stages = list_stages(options.run)
    config = {
        "name": NAME,
        "format": "reader-cross-encoder",
        "max_tokens": MAX_TOKENS,
        "max_question_tokens": 64,
        "lower_case_questions": True,
        "inputs": list(INPUTS),
        "outputs": list(OUTPUTS),
        "support_names": list(SUPPORT_NAMES),
        "max_span_tokens": 30,
        "answerability": {
            "features": ["answerable", "span_score", "margin"],
            "weights": list(combination.weights),
            "bias": combination.bias,
            "threshold": combination.threshold,
        },
        "quantisation": chosen_name,
        "sha256": compute_sha256(options.out / "model.onnx"),
        "provenance": {
            "encoder": "sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)",
            "recipe_hash": hash_recipe(manifest, settings=settings),
            "weights": options.weights,
            "examples_seen": seen,
            "stages": stages,
            "recipe": manifest["recipe"],
            "settings": asdict(replace(settings, start="")),
            "data_sha256": manifest["checksums"],
        },
    }
    (options.out / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    logger.info(
        "wrote %s (%s, %d bytes)", options.out / "model.onnx", chosen_name, (options.out / "model.onnx").stat().st_size
    )
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main())
