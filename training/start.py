"""Read the weights of an exported reader back, to train on from them.

The shipped weights are int8 with a scale for each column; multiplied out, they are a start that is within rounding of
the reader that was exported.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

_PRODUCT = re.compile(r"/model/(.+)/MatMul_output_0")
_TRANSPOSED = ".weight_Transposed"


def read_start(folder: Path) -> dict[str, Tensor]:
    """Return the averaged weights of a finished run, or those of an exported reader, whichever the folder holds."""
    run = folder / "final.pt"
    if not run.exists():
        return read_exported_weights(folder / "model.onnx")
    averaged: dict[str, Tensor] = torch.load(run, weights_only=True)["weights"]["average"]
    return averaged


def read_exported_weights(model: Path) -> dict[str, Tensor]:
    """Return the weights of a `model.onnx` that `training.export` wrote, in float32, by their names in `ReaderModel`.

    Raises:
        ValueError: the file holds no reader.
    """
    graph = onnx.load(str(model)).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = {name: array for name, array in arrays.items() if name.endswith((".weight", ".bias"))}
    for stored in (name for name in arrays if name.endswith(("_int8", "_quantized"))):
        name = stored.removesuffix("_int8").removesuffix("_quantized")
        multiplied = _multiply_out(arrays, stored=stored, name=name)
        if name.endswith(_TRANSPOSED):
            weights[name.removesuffix("_Transposed")] = multiplied.T
        elif name.endswith(".weight"):
            weights[name] = multiplied
        else:
            weights[f"model.{_find_module(graph, stored=stored, name=name)}.weight"] = multiplied.T
    if not weights:
        raise ValueError(f"{model} holds no weights of a reader")
    return {
        name.removeprefix("model."): torch.tensor(np.ascontiguousarray(array, dtype=np.float32))
        for name, array in weights.items()
    }


def _multiply_out(arrays: dict[str, NDArray[np.generic]], *, stored: str, name: str) -> NDArray[np.float32]:
    integers = arrays[stored].astype(np.float32)
    zero = arrays.get(f"{name}_zero_point", np.int8(0))
    product: NDArray[np.float32] = (integers - np.asarray(zero, dtype=np.float32)) * arrays[f"{name}_scale"]
    return product


def _find_module(graph: onnx.GraphProto, *, stored: str, name: str) -> str:
    """Return the path of the layer that multiplies by a matrix; the exporter names its output after it."""
    for node in graph.node:
        if {stored, name} & set(node.input) and (found := _PRODUCT.match(node.output[0])):
            return found[1].replace("/", ".")
    raise ValueError(f"no layer multiplies by {stored}")
