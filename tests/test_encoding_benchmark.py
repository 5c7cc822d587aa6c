"""The benchmark of the ways to encode: what it tells of speeds and of rankings, and what it leaves out."""

import argparse

import pytest

from benchmarks import encoding
from benchmarks.encoding import chosen_line, missing, ranked, shown, speed_row
from benchmarks.kept import KeptRows
from rag.models.backends import CUDA_BF16, TORCH_BF16, Comparison, Measured
from rag.models.encoder import ONNX_FP32, ONNX_INT8

OPTIONS = argparse.Namespace(rounds=3)


def kept(tmp_path, rates, *, alone=True):
    rows = KeptRows(tmp_path / "measured.jsonl")
    for number, rate in enumerate(rates):
        row = {
            "a_second": rate,
            "starts_s": 0.5 + number,
            "peak_mb": 100.0 + number,
            "cpu_ms": 2000 / rate,
            "alone": alone,
        }
        rows.get(f"speed onnx-int8 {number}", "stamp", lambda row=row: row)
    return rows


def test_a_speed_is_the_median_with_the_least_and_the_most(tmp_path):
    told = speed_row(kept(tmp_path, [30.0, 10.0, 20.0]), ONNX_INT8, OPTIONS)
    assert told == ["20.0 (10.0–30.0)", "100.0", "3", "1.50", "101", ""]


def test_a_speed_beside_other_work_has_a_star(tmp_path):
    rows = kept(tmp_path, [10.0], alone=False)
    assert speed_row(rows, ONNX_INT8, OPTIONS)[:3] == [
        "10.0 (10.0–10.0) *",
        "200.0",
        "1",
    ]


def test_what_was_not_measured_has_no_figure(tmp_path):
    rows = kept(tmp_path, [])
    assert speed_row(rows, ONNX_INT8, OPTIONS) == ["not measured", "", "", "", "", ""]
    rows.get("build onnx-int8", "stamp", lambda: {"peak_mb": 512.4})
    assert speed_row(rows, ONNX_INT8, OPTIONS)[-1] == "512"


def test_what_this_machine_lacks_is_said(monkeypatch):
    monkeypatch.setattr(encoding, "cuda_is_usable", lambda: False)
    monkeypatch.setattr(encoding, "usable_torch_backends", list)
    assert missing(CUDA_BF16) == "not measured: no GPU"
    assert missing(TORCH_BF16).startswith("not measured: this processor")
    assert missing(ONNX_FP32) is missing(ONNX_INT8) is None
    monkeypatch.setattr(encoding, "cuda_is_usable", lambda: True)
    assert missing(CUDA_BF16) is None


@pytest.mark.parametrize(("moved", "near"), [(0.0, True), (0.29, True), (0.31, False), (-0.29, True), (-0.31, False)])
def test_a_ranking_is_near_within_three_thousandths_either_way(moved, near):
    whole = [0.5] * 100
    one = ranked(whole, [0.5 + moved, *whole[1:]])
    assert one.difference.mean == pytest.approx(moved / 100)
    assert one.near is near
    assert shown(one).endswith(", within" if near else ", outside")


def test_full_precision_has_no_difference_to_itself():
    assert ranked([0.0, 1.0], None).difference is None
    assert shown(ranked([0.0, 1.0], None)).startswith("0.5000 (")
    assert "side" not in shown(ranked([0.0, 1.0], None))


def test_the_choice_is_told_with_what_it_rests_on():
    found = Comparison({ONNX_FP32: Measured(30.0, 0.0, 1.0), ONNX_INT8: Measured(10.0, 0.0, 0.99)}, {})
    assert "takes `onnx-int8` here" in chosen_line(found)
    assert "`onnx-fp32` 30.0 ms (cosine 1.000), `onnx-int8` 10.0 ms (cosine 0.990)" in chosen_line(found)
    assert chosen_line(None).endswith("was not measured.")
