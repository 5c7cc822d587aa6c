import json
import math
import shutil

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

from rag.errors import ModelBroken, ModelMissing
from rag.models.reader import SHIPPED, Page, PassageReading, Reader, own_folder

WORDS = ["[UNK]", "[CLS]", "[SEP]", ".", "where", "did", "they", "meet", "in", "title", "on", "paris", "geneva"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A reader whose logit for a token is the token's number: it points at the word with the highest."""
    folder = tmp_path_factory.mktemp("reader")
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "length"]) for name in names]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "length"]) for name in ("start", "end")]
    outputs += [
        helper.make_tensor_value_info("answerable", TensorProto.FLOAT, ["n"]),
        helper.make_tensor_value_info("support", TensorProto.FLOAT, ["n", 3]),
    ]
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["start"], to=TensorProto.FLOAT),
        helper.make_node("Identity", ["start"], ["end"]),
        helper.make_node("Mul", ["attention_mask", "token_type_ids"], ["seen"]),
        helper.make_node("ReduceSum", ["seen", "axes"], ["count"], keepdims=0),
        helper.make_node("Cast", ["count"], ["answerable"], to=TensorProto.FLOAT),
        helper.make_node("Identity", ["three"], ["support"]),
    ]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
        helper.make_tensor("three", TensorProto.FLOAT, [1, 3], [0, 0, 0]),
    ]
    graph = helper.make_graph(nodes, "reader", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))  # noqa: S106  # no password
    tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"name": "tiny", "max_tokens": 20, "sha256": "abc"}))
    return folder


def test_a_reading_points_at_words_of_the_page(folder):
    text = "In Paris they did. They meet in Geneva."
    reading = Reader(folder).read("Where did they meet?", [Page(text)])[0]
    found = reading.best_within(0, len(text) - 1)
    assert text[found.start : found.end] == "Geneva"
    first = reading.best_within(0, text.index("."))
    assert text[first.start : first.end] == "Paris"


def test_the_size_of_a_page_is_how_many_tokens_are_computed(folder):
    reader, question = Reader(folder), "Where did they meet?"
    asked = len(["[CLS]", "where", "did", "they", "meet", "?", "[SEP]"])
    for text in ("", "In Geneva.", "In Paris they did. " * 9):
        # The logit of this model counts the tokens behind the question.
        counted = reader.read(question, [Page(text)])[0].answerable
        assert reader.sizes(question, [Page(text)]) == [asked + counted]


def test_a_reader_that_was_prepared_reads_the_same(folder):
    prepared, page = Reader(folder), Page("They meet in Geneva.")
    prepared.prepare()
    one, other = (reader.read("Where?", [page])[0] for reader in (prepared, Reader(folder)))
    assert one.answerable == other.answerable
    assert np.array_equal(one.starts, other.starts)


def test_a_damaged_reader_is_told_when_it_reads_not_when_it_is_prepared(folder, tmp_path):
    damaged = tmp_path / "reader"
    shutil.copytree(folder, damaged)
    (damaged / "model.onnx").write_bytes(b"not a graph")
    reader = Reader(damaged)
    reader.prepare()
    with pytest.raises(ModelBroken, match=r"model\.onnx"):
        reader.read("Where?", [Page("In Geneva.")])


def test_probabilities_are_over_what_stands_behind_the_header(folder):
    reading = Reader(folder).read("Where?", [Page("Title on.\nIn Paris.", header_size=10)])[0]
    assert len(reading.tokens) == 3
    assert np.exp(reading.starts).sum() == pytest.approx(1)
    assert np.exp(reading.ends).sum() == pytest.approx(1)


def test_pages_are_read_in_their_order_whatever_their_length(folder):
    pages = [Page("in geneva ."), Page("in"), Page("they meet in paris .")]
    together = Reader(folder).read("Where?", pages)
    alone = [Reader(folder).read("Where?", [page])[0] for page in pages]
    assert [reading.answerable for reading in together] == [4, 2, 6]
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one.starts, other.starts)


@pytest.mark.skipif(not (SHIPPED / "model.onnx").exists(), reason="no reader")
def test_a_page_and_a_claim_score_the_same_to_the_bit_whatever_is_read_beside_them():
    pages = [Page("China banned seafood in August 2023."), Page("Japan protested. " * 12), Page("It rained.")]
    reader, question = Reader(SHIPPED, threads=2), "When did China ban seafood?"
    together = reader.read(question, pages)
    alone = [Reader(SHIPPED, threads=1).read(question, [page])[0] for page in pages]
    for one, other in zip(together, alone, strict=True):
        assert one.answerable == other.answerable
        assert np.array_equal(one.starts, other.starts)
        assert np.array_equal(one.ends, other.ends)
    claims, evidence = ["China banned seafood.", "It snowed."], [pages[0].text, pages[1].text]
    supports = [reader.support([claim], [text])[0] for claim, text in zip(claims, evidence, strict=True)]
    assert np.array_equal(reader.support(claims, evidence), supports)


def test_a_long_page_is_cut_and_the_question_is_not(folder):
    reading = Reader(folder).read("Where did they meet?", [Page("in " * 100)])[0]
    assert len(reading.tokens) == 20 - 3 - 5


def test_no_page_and_an_empty_page_are_read(folder):
    assert Reader(folder).read("Where?", []) == []
    assert Reader(folder).read("Where?", [Page("")])[0].best_within(0, 10) is None


def test_a_missing_reader_names_the_setting_that_does_without(tmp_path):
    with pytest.raises(ModelMissing) as error:
        Reader(tmp_path)
    assert "reader.model=none" in error.value.hint


def test_support_is_a_probability_of_three_for_each_claim(folder):
    found = Reader(folder).support(["they meet", "in paris"], ["they meet in geneva . " * 20, "paris"])
    assert found == pytest.approx(np.full((2, 3), 1 / 3))
    assert Reader(folder).support([], []).shape == (0, 3)


def test_a_claim_without_evidence_is_refused(folder):
    with pytest.raises(ValueError, match="2 claims, 1 pieces"):
        Reader(folder).support(["they meet", "in paris"], ["paris"])


def test_the_shipped_reader_tells_what_evidence_says_of_a_claim():
    evidence = "Exports of scallops fell by 12 percent in 2021, the ministry in Oslo said on Tuesday."
    unlike = "The museum opens at ten."
    claims = ["Exports of scallops fell by 12 percent in 2021.", "Exports of scallops rose by 12 percent in 2021."]
    reader = Reader(SHIPPED)
    true, altered, elsewhere = reader.support([*claims, claims[0]], [evidence, evidence, unlike])
    assert true.argmax() == 0
    assert altered[0] < true[0] / 2
    assert elsewhere.argmax() == 2
    assert reader.support(claims[:1], [evidence])[0] == pytest.approx(true, abs=0.02)


@given(st.lists(st.tuples(st.floats(-9, 0), st.floats(-9, 0)), min_size=1, max_size=40), st.data())
def test_the_best_span_is_that_of_a_search_through_all(scores, data):
    low = data.draw(st.integers(0, len(scores) - 1))
    high = data.draw(st.integers(low, len(scores) - 1))
    starts, ends = (np.array([pair[side] for pair in scores]) for side in (0, 1))
    tokens = np.array([[2 * place, 2 * place + 1] for place in range(len(scores))])
    found = PassageReading(0.0, starts, ends, tokens).best_within(2 * low, 2 * high + 1)
    pairs = [(i, j) for i in range(low, high + 1) for j in range(i, min(high, i + 29) + 1)]
    assert found.score == pytest.approx(max(starts[i] + ends[j] for i, j in pairs))
    assert 2 * low <= found.start < found.end <= 2 * high + 1
    assert math.isfinite(found.score)


def test_a_folder_is_of_our_own_form_unless_its_description_names_a_class(folder, tmp_path):
    assert own_folder("shipped") == SHIPPED
    assert own_folder(str(folder)) == folder
    assert own_folder(str(tmp_path)) is None
    foreign = shutil.copytree(folder, tmp_path / "foreign")
    (foreign / "config.json").write_text('{"architectures": ["BertForQuestionAnswering"]}')
    assert own_folder(str(foreign)) is None
    (foreign / "config.json").write_text("{")
    assert own_folder(str(foreign)) == foreign
