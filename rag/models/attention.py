"""Attention as one node, in a graph whose texts are not padded.

Exported, a layer's attention is a dozen small nodes, and a mask that hides padding is built before the first of them.
A question that comes alone has no padding: one node (onnxruntime's MultiHeadAttention) does the same without a mask.
Whoever joins a graph compares it with what it was, as a mask may hide more than padding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

_PARTED = [0, 2, 1, 3]  # (n, tokens, heads, size) to (n, heads, tokens, size), and back
_TURNED = [0, 2, 3, 1]


def join_attention(model: onnx.ModelProto) -> bool:
    """Put one node in the place of each layer's attention that is made as expected; False if there is none."""
    from onnx import helper

    graph = _Graph(model)
    joined = {}
    for node in model.graph.node:
        found = graph.attention(node)
        if found is not None:
            inputs, output, heads, scale = found
            joined[output] = helper.make_node(
                "MultiHeadAttention",
                inputs,
                [output],
                f"{node.name}_joined",
                domain="com.microsoft",
                num_heads=heads,
                scale=scale,
            )
    if not joined:
        return False
    nodes = [joined.get(node.output[0], node) for node in model.graph.node]
    _replace_nodes(model, nodes)
    return True


class _Graph:
    """A graph's nodes by what they make, and by what they use."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self.makers = {output: node for node in model.graph.node for output in node.output}
        self.users: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)

    def attention(self, softmax: onnx.NodeProto) -> tuple[list[str], str, int, float] | None:
        """Return queries, keys and values, what is made of them, the heads and the scale; None if it is otherwise."""
        if softmax.op_type != "Softmax":
            return None
        masked = self._made(softmax.input[0], "Add")
        products = [self._made(name, "FusedMatMul") for name in masked.input] if masked else []
        product = next(filter(None, products), None)
        summed = self._only_user(softmax.output[0], "MatMul")
        merged = self._only_user(summed.output[0], "Transpose") if summed else None
        shaped = self._only_user(merged.output[0], "Reshape") if merged else None
        if product is None or summed is None or merged is None or shaped is None:
            return None
        parted = [
            self._parted(name, order)
            for name, order in ((product.input[0], _PARTED), (product.input[1], _TURNED), (summed.input[1], _PARTED))
        ]
        sources = [reshape.input[0] for reshape in parted if reshape is not None]
        if len(sources) < len(parted) or _order(merged) != _PARTED or parted[0] is None:
            return None
        size, width = self._last_of_shape(parted[0].input[1]), self._width(sources[2])
        if not size or not width:
            return None
        scale = next(attribute.f for attribute in product.attribute if attribute.name == "alpha")
        return sources, shaped.output[0], width // size, scale

    def _made(self, name: str, kind: str) -> onnx.NodeProto | None:
        node = self.makers.get(name)
        return node if node is not None and node.op_type == kind else None

    def _only_user(self, name: str, kind: str) -> onnx.NodeProto | None:
        users = self.users.get(name, [])
        return users[0] if len(users) == 1 and users[0].op_type == kind else None

    def _parted(self, name: str, order: list[int]) -> onnx.NodeProto | None:
        """Return the node that cuts into heads what is then put into such an order."""
        node = self._made(name, "Transpose")
        return self._made(node.input[0], "Reshape") if node is not None and _order(node) == order else None

    def _last_of_shape(self, name: str) -> int | None:
        """Return the last number of a shape, which is a constant or is put together of some."""
        from onnx import numpy_helper

        while (node := self._made(name, "Concat")) is not None:
            name = node.input[-1]
        tensor = self.weights.get(name)
        return None if tensor is None else int(numpy_helper.to_array(tensor).reshape(-1)[-1])

    def _width(self, name: str) -> int | None:
        """Return how many numbers there are to a token, as the weights that make them have it."""
        node = self.makers.get(name)
        sizes = [self.weights[put].dims[-1] for put in node.input if put in self.weights] if node is not None else []
        return int(sizes[0]) if sizes else None


def _order(node: onnx.NodeProto) -> list[int]:
    return next((list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"), [])


def _replace_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    """Give a graph other nodes: those that its outputs need, each after what it uses, and no weights besides."""
    makers = {output: node for node in nodes for output in node.output}
    ordered: list[onnx.NodeProto] = []
    done: set[str] = set()
    waiting = [output.name for output in model.graph.output]
    while waiting:
        node = makers.get(waiting[-1])
        missing = [name for name in node.input if name in makers and name not in done] if node is not None else []
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if node is not None and node.output[0] not in done:
            ordered.append(node)
            done.update(node.output)
    used = {name for node in ordered for name in node.input}
    weights = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(ordered)
    model.graph.initializer.extend(weights)
