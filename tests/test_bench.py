"""The benchmark's own arithmetic: what it counts, and that its report says what was measured and nothing else."""

import importlib
import itertools
import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module("benchmarks.bench")
    finally:
        sys.path.remove(str(ROOT))


def test_ndcg_discounts_by_rank_and_divides_by_the_best_ranking(bench):
    assert bench.ndcg(["x", "a"], {"a": 1}) == pytest.approx(1 / math.log2(3))
    assert bench.ndcg(["b", "a"], {"a": 2, "b": 1}) == pytest.approx((1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3)))
    assert bench.ndcg([], {"a": 1}) == 0


@given(
    ids=st.lists(st.sampled_from("abcdefghijklmno"), unique=True),
    grades=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3)),
)
def test_ndcg_is_what_trec_eval_counts(bench, ids, grades):
    ir_measures = pytest.importorskip("ir_measures")
    run = [ir_measures.ScoredDoc("q", name, -rank) for rank, name in enumerate(ids)]
    qrels = [ir_measures.Qrel("q", name, grade) for name, grade in grades.items()]
    expected = (
        ir_measures.calc_aggregate([ir_measures.nDCG @ 10], qrels, run)[ir_measures.nDCG @ 10] if run and qrels else 0
    )
    assert bench.ndcg(ids, grades) == pytest.approx(0 if math.isnan(expected) else expected)


def cold(system, seconds, number):
    return {
        "part": "cold", "system": system, "passages": 1000, "round": number, "seconds": seconds, "cpu_s": seconds / 2,
        "peak_mb": 100 * number, "when": "2026-01-02T03:04:05+00:00", "load": 1.0,
    }  # fmt: skip


def test_the_report_gives_medians_spread_and_ratios_of_what_was_measured(bench):
    records = [cold("rag ask", s, n) | {"alone": True} for n, s in enumerate((0.5, 0.4, 0.9), 1)]
    records += [cold("txtai", s, n) | ({"alone": True} if n > 1 else {}) for n, s in enumerate((5.0, 4.0, 6.0), 1)]
    text = bench.report(records, command="the command", versions={"txtai": "1.2"})
    assert "| rag ask | 0.50 (0.40 – 0.90) | 1.00 | 0.25 | 1.00 | 3 |" in text
    assert "| txtai * | 5.00 (4.00 – 6.00) | 10.00 | 2.50 | 10.00 | 3 |" in text
    assert "the command" in text
    assert "2026-01-02" in text
    assert "Not measured yet: `the command --only warm`." in text


def warm(system, cpu_ms, **more):
    return {
        "part": "warm", "system": system, "passages": 1000, "round": 1, "cores": 1, "p50_ms": 2 * cpu_ms,
        "p95_ms": 3 * cpu_ms, "p99_ms": 4 * cpu_ms, "cpu_ms": cpu_ms, "a_second": 500 / cpu_ms, "questions": 200,
        "peak_mb": 100, "when": "2026-01-02T03:04:05+00:00", "load": 1.0, **more,
    }  # fmt: skip


def test_warm_questions_are_compared_by_the_clock_and_by_processor_time_one_by_one_and_at_once(bench):
    records = [
        warm("rag", 5.0, many_a_second=200.0, many_cpu_ms=4.0, alone=True),
        warm("txtai", 15.0, many_error="ProgrammingError"),
        warm("haystack", 50.0, many_a_second=10.0, many_cpu_ms=60.0),
    ]
    text = bench.report(records, command="the command", versions={})
    assert "| rag | 10.0 | 15.0 | 20.0 | 100.0 | 1.00 | 5.0 | 1.00 | 200.0 | 1.00 | 4.0 | 1.00 | 200 × 1 |" in text
    assert "| txtai * | 30.0 | 45.0 | 60.0 | 33.3 | 3.00 | 15.0 | 3.00 | fails | – | – | – | 200 × 1 |" in text
    assert "| 10.0 | 10.00 | 50.0 | 10.00 | 10.0 | 20.00 | 60.0 | 15.00 | 200 × 1 |" in text


def test_the_floor_divides_the_work_by_what_the_machine_does(bench):
    stages = {"encoding": 2.0, "vectors": 0.5, "words": 0.25, "texts": 0.25, "rest": 1.0, "all": 4.0}
    record = warm("rag", 4.0) | {
        "part": "floor", "stages_ms": stages, "tokens": 12.0, "weights": 1, "mflop": 260.0, "mb_read": 14.0,
        "gemm_gflops": 104.0, "copy_gb_s": 7.0,
    }  # fmt: skip
    text = bench.report([record], command="the command", versions={})
    assert "| 1,000 | 2.00 | 0.50 | 0.25 | 0.25 | 1.00 | 4.00 |" in text
    assert "2.50 ms in float32" in text
    assert "2.00 ms at 7.0 GB" in text


def test_a_system_that_answers_one_by_one_alone_leaves_its_columns_at_once_empty(bench):
    """Each column of the table stands over what it says: a row is read by the names of the columns."""
    records = [
        warm("rag", 5.0, many_a_second=200.0, many_cpu_ms=4.0, alone=True),
        warm("haystack", 50.0, many_a_second=10.0, many_cpu_ms=60.0, alone=True),
        warm("txtai", 15.0, many_error="ProgrammingError", alone=True),
    ]
    rows = table_rows(bench.report(records, command="the command", versions={}), "1,000 articles:")
    assert [*rows] == ["rag", "haystack", "txtai"]
    assert rows["haystack"]["questions a second"] == f"{500 / 50:.1f}"
    assert rows["haystack"]["rag's are times that"] == f"{(500 / 5) / (500 / 50):.2f}"
    assert rows["haystack"]["processor ms"] == "50.0"
    assert rows["haystack"]["times rag"] == f"{50 / 5:.2f}"
    assert rows["haystack"]["at once: questions a second"] == "10.0"
    assert rows["haystack"]["at once: rag's are times that"] == f"{200 / 10:.2f}"
    assert rows["haystack"]["at once: processor ms"] == "60.0"
    assert rows["haystack"]["at once: times rag"] == f"{60 / 4:.2f}"
    at_once = [value for name, value in rows["txtai"].items() if name.startswith("at once: ")]
    assert at_once == ["fails", "–", "–", "–"]
    assert rows["txtai"]["rag's are times that"] == "3.00"


def table_rows(text, title):
    """Return the rows of the table under a title by their first cell, each cell by the name of its column."""
    lines = text.partition(f"{title}\n\n")[2].splitlines()
    table = [line.strip("|").split("|") for line in itertools.takewhile(lambda line: line.startswith("|"), lines)]
    header, _, *rows = [[cell.strip() for cell in row] for row in table]
    assert len(set(header)) == len(header)
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def budget_record(bound, right, **more):
    return {
        "part": "budget", "system": "rag", "when": "2026-01-02T03:04:05+00:00", "set": "seeds", "questions": 71,
        "bound": bound, "budget_ms": bound / 10, "tokens": bound * 0.9, "ms": bound / 8,
        "right": {"mean": right, "low": right - 0.1, "high": right + 0.1, "n": 50}, "answerable": None, **more,
    }  # fmt: skip


def test_the_report_holds_the_curve_of_quality_against_the_budget_of_reading(bench):
    records = [budget_record(300, 0.5), budget_record(1000, 0.75)]
    text = bench.report([warm("rag", 5.0), *records], command="the command", versions={})
    rows = table_rows(text, "seeds, n = 71:")
    assert [*rows] == ["300", "1,000"]
    assert rows["1,000"] == {
        "`reader.budget_tokens`": "1,000",
        "as `reader.budget_ms` here": "100",
        "tokens read": "900",
        "processor ms": "125",
        "gold sentence first": "0.750 (0.650 – 0.850)",
        "AUROC": "too few",
    }


def test_the_plot_draws_the_curve_beside_the_bars(bench, tmp_path):
    pytest.importorskip("matplotlib")
    bench.plot([warm("rag", 5.0), budget_record(300, 0.5), budget_record(1000, 0.75)], tmp_path / "speed.svg")
    bench.plot([budget_record(300, 0.5)], tmp_path / "curve.svg")
    assert (tmp_path / "speed.svg").stat().st_size > (tmp_path / "curve.svg").stat().st_size > 0


def test_the_plot_compares_at_the_largest_size_at_which_most_systems_were_measured(bench):
    alone = warm("rag", 5.0) | {"passages": 100_000}
    compared = [warm(name, 5.0) | {"passages": size} for name in ("rag", "txtai") for size in (1000, 20_000)]
    assert bench._most_compared([alone, *compared], "warm") == 20_000
    assert bench._most_compared([alone], "warm") == 100_000
    assert bench._most_compared([], "warm") is None
