import itertools
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from rag.errors import ModelBroken
from rag.models.reader import SHIPPED
from rag.models.runtime import (
    Ahead,
    default_cache,
    open_session,
    optimised_once,
    save_with_plain_norms,
    side_by_side,
    usable_cores,
    write_atomically,
)

QUESTIONS = ["when did the harbour open?", "who paid for the new pier?", "how much did the ferry cost?"]
PASSAGES = [
    "The harbour opened in 1871. It was built by two brothers, and paid for by the town.",
    "The ferry cost 4.2 million crowns, the mayor said on Tuesday. The pier had cost half as much.",
    "Nobody knows who paid for the lighthouse, which stands on an island before the old harbour.",
    "In May the ministry said that exports of scallops had fallen by 12 percent in a year.",
]


def test_the_cache_is_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("RAG_CACHE", "/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_cache() == Path("/own")
    monkeypatch.delenv("RAG_CACHE")
    assert default_cache() == Path("/xdg/rag")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path("~/.cache/rag").expanduser()


def test_at_least_one_core_is_usable():
    assert usable_cores() >= 1


def test_a_damaged_graph_is_named(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelBroken, match=r"model\.onnx") as caught:
        open_session(tmp_path / "model.onnx", threads=1)
    assert str(tmp_path) in caught.value.hint


def test_what_is_made_ahead_is_waited_for_and_made_once():
    gate, made = threading.Event(), []

    def make():
        gate.wait()
        made.append("thing")
        return made[-1]

    ahead = Ahead(make)
    assert made == []
    gate.set()
    assert (ahead.result(), ahead.result(), made) == ("thing", "thing", ["thing"])


def test_what_keeps_it_from_being_made_is_raised_where_it_is_needed():
    def fail():
        raise ModelBroken("no graph")

    ahead = Ahead(fail)
    with pytest.raises(ModelBroken, match="no graph"):
        ahead.result()


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "new" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken", b"")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


@given(st.lists(st.integers()), st.integers(1, 4))
def test_what_is_made_side_by_side_is_in_the_order_of_its_items(items, threads):
    assert side_by_side(lambda item: item + 1, items, threads=threads) == [item + 1 for item in items]


def test_two_things_are_made_at_once():
    meeting = threading.Barrier(2, timeout=10)  # passes only when both are under way
    assert side_by_side(lambda item: meeting.wait() * 0 + item, [1, 2], threads=2) == [1, 2]


def test_what_goes_wrong_beside_is_raised():
    def fail(item):
        raise ValueError(item)

    with pytest.raises(ValueError, match=r"^[0-4]$"):
        side_by_side(fail, list(range(5)), threads=3)


def test_a_graph_is_optimised_once(tmp_path):
    source = SHIPPED / "model.onnx"
    made = optimised_once(source, cache=tmp_path)
    assert made.parent != source.parent
    written = made.stat().st_mtime_ns
    assert optimised_once(source, cache=tmp_path) == made
    assert made.stat().st_mtime_ns == written
    assert [file.name for file in (tmp_path / "graphs").iterdir()] == [made.parent.name]


def test_an_optimised_graph_says_nearly_the_same(tmp_path):
    # Sums in another order, rounded to eight bits, are .03 apart in the mean logit of 96 pairs of news; eight bits are
    # .17 apart from 32.
    source = SHIPPED / "model.onnx"
    sessions = [open_session(graph, threads=1) for graph in (source, optimised_once(source, cache=tmp_path))]
    tokenizer = Tokenizer.from_file(str(SHIPPED / "tokenizer.json"))
    tokenizer.no_padding()
    apart = []
    for question, passage in itertools.product(QUESTIONS, PASSAGES):
        pair = tokenizer.encode(question, passage)
        ids, types = np.array([pair.ids]), np.array([pair.type_ids])
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": types}
        plain, optimised = (session.run(["answerable", "start"], feed) for session in sessions)
        apart.append([np.abs(one - other).mean() for one, other in zip(plain, optimised, strict=True)])
    assert np.mean(apart, axis=0) == pytest.approx([0, 0], abs=0.1)


def test_graphs_whose_file_is_gone_or_replaced_are_cleared_when_another_is_made(tmp_path):
    files = [tmp_path / f"{name}.onnx" for name in ("gone", "replaced", "kept", "new")]
    for file in files:
        shutil.copy(SHIPPED / "model.onnx", file)
    gone, replaced, kept = (optimised_once(file, cache=tmp_path) for file in files[:3])
    old, young, odd = (tmp_path / "graphs" / name for name in ("old", "young", "odd"))
    for folder in (old, young, odd):
        folder.mkdir()
    (odd / "origin.json").write_text("[]")
    os.utime(old, (0, 0))
    files[0].unlink()
    os.utime(files[1], (0, 0))
    new = optimised_once(files[3], cache=tmp_path)
    left = {folder.name for folder in (tmp_path / "graphs").iterdir()}
    assert left == {kept.parent.name, new.parent.name, young.name, odd.name}
    assert {gone.parent.name, replaced.parent.name} & left == set()
    assert optimised_once(files[1], cache=tmp_path) != replaced


def skip_norms(folder, *, epsilon, outputs=1):
    """A graph of two skip norms, one with a bias and one without, over rows of four numbers."""
    rng = np.random.default_rng(5)
    names = ("scale", "shift", "bias")
    constants = [numpy_helper.from_array(rng.normal(size=4).astype(np.float32), name) for name in names]
    first = ["first", "", "", "sum"][: 1 if outputs == 1 else 4]
    nodes = [
        helper.make_node("SkipLayerNormalization", inputs, given, domain="com.microsoft", epsilon=epsilon)
        for inputs, given in (
            (["one", "other", "scale", "shift", "bias"], first),
            (["first", "one", "scale", "shift"], ["second"]),
        )
    ]
    shape = [1, "length", 4]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in named]
        for named in (("one", "other"), ("first", "second", "sum")[: 2 if outputs == 1 else 3])
    ]
    graph = helper.make_graph(nodes, "norms", *ends, constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), folder / "norms.onnx")
    return folder / "norms.onnx"


@pytest.mark.parametrize("epsilon", [1e-12, 0.5])
def test_plain_norms_give_what_skip_norms_give(tmp_path, epsilon):
    source = skip_norms(tmp_path, epsilon=epsilon)
    save_with_plain_norms(source, tmp_path / "plain.onnx")
    made = [node.op_type for node in onnx.load(str(tmp_path / "plain.onnx"), load_external_data=False).graph.node]
    assert sorted(made) == ["Add", "Add", "Add", "LayerNormalization", "LayerNormalization"]
    rng = np.random.default_rng(6)
    feed = {name: rng.normal(size=(1, 7, 4)).astype(np.float32) for name in ("one", "other")}
    one, other = (open_session(graph, threads=1).run(None, feed) for graph in (source, tmp_path / "plain.onnx"))
    assert np.allclose(one[0], other[0], atol=1e-6)
    assert np.allclose(one[1], other[1], atol=1e-6)


def test_a_skip_norm_whose_sum_is_used_stays_one(tmp_path):
    source = skip_norms(tmp_path, epsilon=1e-5, outputs=4)
    save_with_plain_norms(source, tmp_path / "plain.onnx")
    feed = {
        name: np.arange(4, dtype=np.float32).reshape(1, 1, 4) + ahead for ahead, name in enumerate(("one", "other"))
    }
    one, other = (open_session(graph, threads=1).run(None, feed) for graph in (source, tmp_path / "plain.onnx"))
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(one, other, strict=True))


def test_packed_weights_in_eight_bits_give_the_same_bits():
    ids = np.arange(1000, 1040, dtype=np.int64)[None, :]
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    outputs = ["answerable", "start", "end"]
    one, other = (
        open_session(SHIPPED / "model.onnx", threads=1, packed=packed).run(outputs, feed) for packed in (False, True)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_graph_that_cannot_be_optimised_or_kept_is_opened_as_it_is(tmp_path):
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"no graph" * 200_000)
    assert optimised_once(broken, cache=tmp_path / "cache") == broken
    (tmp_path / "file").touch()
    assert optimised_once(SHIPPED / "model.onnx", cache=tmp_path / "file") == SHIPPED / "model.onnx"
