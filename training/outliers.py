"""Products whose inputs have a few channels far larger than the rest, taken apart before they are quantised.

A product in eight bits has one scale for all of its input. In a BERT's feed-forward layers a few of the channels reach
ten times what the others do, and take the bits from them. Those few are multiplied in float32, the rest in eight bits,
as in Dettmers et al., LLM.int8() (NeurIPS 2022), but chosen once, by what they reach on examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from training.tokens import TokenisedExamples, make_batch, plan_batches

CHANNELS = 8
ALONE = "_outliers"  # ends the name of the product of the few channels, which stays in float32
_EXAMPLES = 256
Largest = Mapping[str, NDArray[np.float32]]


def is_feed_forward(node: NodeProto) -> bool:
    """Tell whether a node is one of the two products of a feed-forward layer."""
    if node.op_type != "MatMul":
        return False
    return "/intermediate/dense/" in node.name or ("/output/dense/" in node.name and "/attention/" not in node.name)


def measure_inputs(path: Path, *, examples: TokenisedExamples) -> Largest:
    """Return by product of a feed-forward layer the largest size of each channel of its input, (channels,)."""
    model = onnx.load(str(path))
    inputs = {node.name: node.input[0] for node in model.graph.node if is_feed_forward(node)}
    known = list(dict.fromkeys(inputs.values()))
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in known)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [tensor.name for tensor in session.get_inputs()]
    largest: dict[str, NDArray[np.float32]] = {}
    taken = examples.draw(_EXAMPLES)
    for rows in plan_batches(taken.sizes, max_batch_tokens=2000, bucket=len(taken), seed=0):
        batch = make_batch(taken, rows=rows)
        values = session.run(known, dict(zip(names, (batch.ids, batch.mask, batch.types), strict=True)))
        for name, value in zip(known, values, strict=True):
            most = np.abs(value[batch.mask > 0]).max(axis=0)
            largest[name] = np.maximum(largest.get(name, np.float32(0)), most)
    return {node: largest[name] for node, name in inputs.items()}


def split_outliers(model: onnx.ModelProto, *, largest: Largest, channels: int = CHANNELS) -> None:
    """Multiply the channels that reach most apart from the others; the model computes what it did before."""
    graph = model.graph
    matrices = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.name not in largest:
            nodes.append(node)
            continue
        matrix = numpy_helper.to_array(matrices[node.input[1]])
        few = np.sort(np.argsort(largest[node.name])[-channels:])
        others = np.ones(len(matrix), dtype=np.float32)
        others[few] = 0
        name, came, gave = node.name, node.input[0], node.output[0]
        graph.initializer.extend([
            numpy_helper.from_array(others, f"{name}_others"),
            numpy_helper.from_array(few.astype(np.int64), f"{name}_few"),
            numpy_helper.from_array(matrix[few], f"{name}_few_rows"),
        ])  # fmt: skip
        node.input[0] = f"{came}_others{len(nodes)}"
        nodes += [
            helper.make_node("Mul", [came, f"{name}_others"], [node.input[0]], name=f"{name}_masked"),
            helper.make_node("Gather", [came, f"{name}_few"], [f"{name}_few_in"], name=f"{name}_picked", axis=2),
            helper.make_node("MatMul", [f"{name}_few_in", f"{name}_few_rows"], [f"{name}_few_out"], name=name + ALONE),
            node,
            helper.make_node("Add", [gave, f"{name}_few_out"], [f"{gave}_whole"], name=f"{name}_together"),
        ]
    whole = {node.input[0]: node.output[0] for node in nodes if node.name.endswith("_together")}
    for node in nodes:
        if not node.name.endswith("_together"):
            for place, tensor in enumerate(node.input):
                node.input[place] = whole.get(tensor, tensor)
    del graph.node[:]
    graph.node.extend(nodes)
