"""What an evaluation, a comparison and a sweep come to, as plain rows for tables and as mappings for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rag.evaluation.compare import Comparison
from rag.evaluation.datasets import evenly
from rag.evaluation.evaluate import Evaluation
from rag.evaluation.measures import Bin
from rag.evaluation.statistics import Estimate
from rag.evaluation.sweep import Sweep

Rows = list[list[object]]

MEASURE_COLUMNS = ("measure", "mean", "95 %", "n")
GROUP_COLUMNS = ("measure", "group", "mean", "95 %", "n")
HEADLINES = ("nDCG@10", "evidence:Success@5", "right", "F1", "contains", "citation_recall", "refusal_recall")
BIN_COLUMNS = ("confidence", "right", "n")
TIME_COLUMNS = ("time", "median", "95th percentile")
DIFFERENCE_COLUMNS = ("measure", "A", "B", "B - A", "95 %", "p", "n")
MOVED_COLUMNS = ("question", "A", "B")
_DECIMALS = 6
_CURVE_POINTS = 101
_WIDE = frozenset({"characters", "sentences"})
_SHOWN = 160


def measure_rows(measures: Mapping[str, Estimate]) -> Rows:
    """Return measures with their intervals."""
    return [[name, *_estimate(estimate, name=name)] for name, estimate in measures.items()]


def group_rows(groups: Mapping[str, Mapping[str, Estimate]]) -> Rows:
    """Return the headline measures of each group with their intervals; JSON has all of them."""
    return [
        [name, group, *_estimate(measures[name], name=name)]
        for name in HEADLINES
        for group, measures in groups.items()
        if name in measures
    ]


def confidence_rows(evaluation: Evaluation) -> Rows:
    """Return the area under the risk–coverage curve and the calibration error, as measures."""
    found = evaluation.confidence
    if found is None:
        return []
    return [["AURC", *_estimate(found.area)], ["ECE", number(found.error), None, found.area.n]]


def bin_rows(bins: Sequence[Bin]) -> Rows:
    """Return how confident the answers were and how often right."""
    return [[number(part.confidence), number(part.right), part.n] for part in bins]


def time_rows(evaluation: Evaluation) -> Rows:
    """Return the median and the 95th percentile of each stage."""
    return [[stage, f"{p50:.0f} ms", f"{p95:.0f} ms"] for stage, (p50, p95) in evaluation.times_ms.items()]


def difference_rows(comparison: Comparison) -> Rows:
    """Return what two sides differ in; a star marks what is no chance at the 5 % level."""
    return [
        [
            row.measure,
            number(row.a),
            number(row.b),
            f"{row.difference.mean:+.3f}",
            _interval(row.difference.low, row.difference.high, sign="+"),
            _p(row.p),
            row.difference.n,
        ]
        for row in comparison.rows
    ]


def moved_lines(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Return the questions that moved, each with what A and what B shows of it."""
    return [
        (
            f"{topic.id}  {topic.a:.3f} → {topic.b:.3f}  {topic.question}".rstrip(),
            _shown(topic.shown_a),
            _shown(topic.shown_b),
        )
        for topic in comparison.moved
    ]


def sweep_rows(sweep: Sweep) -> tuple[list[str], Rows]:
    """Return the combinations, best first, one column for each setting, and the columns' names."""
    keys = list(sweep.rows[0].settings)
    rows: Rows = []
    for row in sweep.rows:
        apart = row.difference
        against: list[object] = (
            ["best", None, None]
            if apart is None
            else [f"{apart.mean:+.3f}", _interval(apart.low, apart.high, sign="+"), _p(row.p)]
        )
        rows.append([*(row.settings[key] for key in keys), *_estimate(row.estimate)[:2], *against])
    return [*keys, sweep.measure, "95 %", "to the best", "95 %", "p"], rows


def evaluation_record(evaluation: Evaluation) -> dict[str, object]:
    """Return an evaluation as `rag eval --json` prints it."""
    found = evaluation.confidence
    return {
        "schema": "rag.eval/1",
        "dataset": evaluation.dataset,
        "index": evaluation.index,
        "questions": len(evaluation.results),
        "measures": _estimates(evaluation.measures),
        "groups": {name: _estimates(measures) for name, measures in evaluation.groups.items()},
        "confidence": None
        if found is None
        else {
            "aurc": _rounded(asdict(found.area)),
            "ece": round(found.error, _DECIMALS),
            "bins": [_rounded(asdict(part)) for part in found.bins],
            "curve": [
                {"coverage": round(c, _DECIMALS), "risk": round(r, _DECIMALS), "confidence": round(p, _DECIMALS)}
                for c, r, p in evenly(found.curve, _CURVE_POINTS)
            ],
        },
        "times_ms": {
            stage: {"p50": round(p50, 3), "p95": round(p95, 3)} for stage, (p50, p95) in evaluation.times_ms.items()
        },
        "lost": list(evaluation.lost),
    }


def comparison_record(comparison: Comparison) -> dict[str, object]:
    """Return a comparison as `rag compare --json` prints it."""
    return {
        "schema": "rag.compare/1",
        "a": comparison.a,
        "b": comparison.b,
        "questions": comparison.topics,
        "unpaired": list(comparison.unpaired),
        "measures": {
            row.measure: {
                "a": round(row.a, _DECIMALS),
                "b": round(row.b, _DECIMALS),
                "difference": _rounded(asdict(row.difference)),
                "p_holm": round(row.p, _DECIMALS),
            }
            for row in comparison.rows
        },
        "measure": comparison.measure,
        "moved": [_rounded(asdict(topic)) for topic in comparison.moved],
    }


def sweep_record(sweep: Sweep) -> dict[str, object]:
    """Return a sweep as `rag sweep --json` prints it."""
    return {
        "schema": "rag.sweep/1",
        "dataset": sweep.dataset,
        "measure": sweep.measure,
        "questions": sweep.questions,
        "rows": [
            {
                "settings": dict(row.settings),
                "estimate": _rounded(asdict(row.estimate)),
                "difference": None if row.difference is None else _rounded(asdict(row.difference)),
                "p_tukey": None if row.p is None else round(row.p, _DECIMALS),
                "differs": row.differs,
            }
            for row in sweep.rows
        ],
    }


def number(value: float, *, name: str = "") -> str:
    """Return a value as tables show it: three decimals, or one where it is no share."""
    return f"{value:.1f}" if name in _WIDE else f"{value:.3f}"


def _estimate(estimate: Estimate, *, name: str = "") -> list[object]:
    low, high = number(estimate.low, name=name), number(estimate.high, name=name)
    return [number(estimate.mean, name=name), f"{low} – {high}", estimate.n]


def _interval(low: float, high: float, *, sign: str) -> str:
    return f"{low:{sign}.3f} – {high:{sign}.3f}"


def _p(value: float | None) -> str:
    if value is None:
        return ""
    shown = "<.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004 - what three decimals can show
    return f"{shown} *" if value < 0.05 else f"{shown}  "  # noqa: PLR2004 - the usual level


def _shown(parts: Sequence[str]) -> str:
    text = ", ".join(parts) or "nothing"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _estimates(measures: Mapping[str, Estimate]) -> dict[str, dict[str, object]]:
    return {name: _rounded(asdict(estimate)) for name, estimate in measures.items()}


def _rounded(record: Mapping[str, object]) -> dict[str, object]:
    return {key: round(value, _DECIMALS) if isinstance(value, float) else value for key, value in record.items()}
