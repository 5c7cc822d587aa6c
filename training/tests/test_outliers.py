from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402  # after the skip

from training.export import quantise_dynamically  # noqa: E402  # after the skip: it imports torch
from training.outliers import ALONE, is_feed_forward, measure_inputs, split_outliers  # noqa: E402
from training.tokens import TokenisedExamples  # noqa: E402

SIZE, INNER, LARGE = 64, 96, 5
FIRST, SECOND = "/layer.0/intermediate/dense/MatMul", "/layer.0/output/dense/MatMul"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a model of one feed-forward layer over embedded ids, of which one channel is large."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(50, SIZE)).astype(np.float32)
    table[:, LARGE] *= 40
    matrices = {
        "table": table,
        "first": rng.normal(size=(SIZE, INNER)).astype(np.float32) / 8,
        "second": rng.normal(size=(INNER, 4)).astype(np.float32) / 8,
    }
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "length"]) for name in names]
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["hidden"], name="/embeddings/Gather"),
            helper.make_node("MatMul", ["hidden", "first"], ["wide"], name=FIRST),
            helper.make_node("Relu", ["wide"], ["active"], name="/layer.0/Relu"),
            helper.make_node("MatMul", ["active", "second"], ["out"], name=SECOND),
            helper.make_node("Identity", ["out"], ["result"], name="/layer.0/Identity"),
        ],
        "layer", inputs, [helper.make_tensor_value_info("result", TensorProto.FLOAT, ["n", "length", 4])],
        [numpy_helper.from_array(value, name) for name, value in matrices.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "model.onnx"))
    return tmp_path / "model.onnx"


@pytest.fixture
def examples() -> TokenisedExamples:
    count, size = 30, 12
    zeros = np.zeros(count, dtype=np.int32)
    return TokenisedExamples(
        ids=np.random.default_rng(0).integers(0, 50, count * size, dtype=np.int32),
        offsets=np.arange(0, count * size + 1, size, dtype=np.int64),
        breaks=np.full(count, 5, dtype=np.int32),
        starts=zeros - 1, ends=zeros - 1, answerable=zeros, support=zeros, inside=zeros, groups=zeros,
        names=("s · k",),
    )  # fmt: skip


def run(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path))
    ids = np.random.default_rng(1).integers(0, 50, (3, 9))
    return session.run(None, {tensor.name: ids for tensor in session.get_inputs()})[0]


def test_the_products_of_a_feed_forward_layer_are_found(path: Path) -> None:
    graph = onnx.load(str(path)).graph
    assert [node.name for node in graph.node if is_feed_forward(node)] == [FIRST, SECOND]
    attention = helper.make_node("MatMul", ["a", "b"], ["c"], name="/layer.0/attention/output/dense/MatMul")
    assert not is_feed_forward(attention)


def test_the_largest_value_of_each_channel_is_measured(path: Path, examples: TokenisedExamples) -> None:
    largest = measure_inputs(path, examples=examples)
    assert {name: value.shape for name, value in largest.items()} == {FIRST: (SIZE,), SECOND: (INNER,)}
    assert int(largest[FIRST].argmax()) == LARGE
    table = numpy_helper.to_array(next(t for t in onnx.load(str(path)).graph.initializer if t.name == "table"))
    assert largest[FIRST] == pytest.approx(np.abs(table[np.unique(examples.ids)]).max(axis=0))


def test_what_is_split_computes_the_same_and_is_nearer_in_eight_bits(path: Path, examples: TokenisedExamples) -> None:
    expected = run(path)
    plain, split, quantised = (path.with_name(f"{name}.onnx") for name in ("plain", "split", "quantised"))
    quantise_dynamically(path, path=plain, reduce_range=False)
    model = onnx.load(str(path))
    split_outliers(model, largest=measure_inputs(path, examples=examples), channels=2)
    onnx.save(model, str(split))
    assert run(split) == pytest.approx(expected, rel=1e-4, abs=1e-4)
    few = [node.name for node in model.graph.node if node.name.endswith(ALONE)]
    assert len(few) == 2
    quantise_dynamically(split, path=quantised, reduce_range=False, excluded=few)
    assert np.abs(run(quantised) - expected).mean() < 0.5 * np.abs(run(plain) - expected).mean()
