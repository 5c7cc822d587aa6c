"""The ways to encode passages: how quick each is here, what memory it takes, and what it does to rankings.

    python -m benchmarks.encoding                    all of it
    python -m benchmarks.encoding --only build       index SciFact by each backend; --only speed: some of its passages
    python -m benchmarks.encoding --only report      put together what was measured

Writes ENCODING.md beside this file. What is measured is kept in the work folder, and not measured again while the
vectors are made in the same way (`--again` does). Builds may run beside other work, as nothing is told of their time;
the speed has to be measured at an hour when nothing else runs. Each backend encodes in a process of its own, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.bench import run
from benchmarks.kept import KeptRows
from benchmarks.parts import put_part
from benchmarks.quality import DATA, ROOT, table
from rag import __version__
from rag.config import Config, load_config
from rag.evaluation.datasets import Dataset, read_dataset
from rag.evaluation.measures import best_passages, ranking_measures
from rag.evaluation.statistics import Difference, Estimate, estimate_mean, paired_difference
from rag.models.backends import (
    BACKENDS,
    CUDA_BF16,
    LEAST_COSINE,
    TORCH_BF16,
    Comparison,
    cuda_is_usable,
    encoder_by,
    quickest_backend,
    recorded_backends,
    usable_torch_backends,
)
from rag.models.encoder import ONNX_FP32, Encoder, load_encoder
from rag.models.runtime import usable_cores
from rag.models.speed import processor_name
from rag.scoring import with_settings

if TYPE_CHECKING:
    from rag.index.generations import Index

ENCODER: Final = "all-MiniLM-L6-v2"
REPORT: Final = ROOT / "benchmarks" / "ENCODING.md"
WORK: Final = Path("~/.cache/rag/benchmarks/encoding").expanduser()
MEASURE: Final = "nDCG@10"
BOUND: Final = 0.003
RANKINGS: Final = {"fused with words": {}, "by vectors alone": {"retrieval.dense_weight": "1"}}
LIST: Final = 128  # as many as a build hands on at once
LARGE: Final = 20_000


@dataclass(frozen=True, slots=True)
class Ranked:
    """What a backend's vectors do to a ranking: its mean, and the paired difference to full precision."""

    mean: Estimate
    difference: Difference | None

    @property
    def near(self) -> bool:
        """Tell whether the mean is as near to that in full precision as it has to be."""
        return self.difference is None or abs(self.difference.mean) <= BOUND


def missing(backend: str) -> str | None:
    """Return why a backend cannot be measured here; None if it can."""
    if backend == CUDA_BF16 and not cuda_is_usable():
        return "not measured: no GPU"
    if backend == TORCH_BF16 and backend not in usable_torch_backends():
        return "not measured: this processor does not multiply in bfloat16"
    return None


def measured_builds(rows: KeptRows, encoder: Encoder, backends: Sequence[str], options: argparse.Namespace) -> None:
    """Index the corpus by each backend, in a process of its own, if its index is not there."""
    corpus = options.data / "scifact" / "corpus.jsonl"
    for backend in backends:
        folder = index_folder(options.work, backend)

        def build(backend: str = backend, folder: Path = folder) -> dict[str, Any]:
            if (folder / "CURRENT").exists():  # what an interrupted build left is gone on with
                shutil.rmtree(folder)
            print(f"indexing by {backend} …", flush=True)
            command = [sys.executable, "-m", "rag", "index", corpus, "--index", folder, "--quiet", "--set"]
            took = run([*command, f"encoder.backend={backend}"])
            return {"peak_mb": took.peak_mb, "cpu_s": took.cpu_s}

        stamp = f"{encoder_by(encoder, backend).fingerprint} {corpus.stat().st_size}" + options.again
        rows.get(f"build {backend}", stamp, build)


def measured_speeds(rows: KeptRows, encoder: Encoder, backends: Sequence[str], options: argparse.Namespace) -> None:
    """Encode some passages by each backend, in turns, each time in a process of its own."""
    texts = options.work / "texts.json"
    texts.write_text(json.dumps(passages_of(index_folder(options.work, ONNX_FP32), options.passages)), encoding="utf-8")
    for number in range(options.rounds):
        for backend in backends:

            def encode(backend: str = backend) -> dict[str, Any]:
                took = run([sys.executable, "-m", "benchmarks.encoding", "--child", backend, str(texts)])
                return {**json.loads(took.last), "peak_mb": took.peak_mb, "alone": took.alone}

            stamp = f"{encoder_by(encoder, backend).fingerprint} {options.passages}" + options.again
            row = rows.get(f"speed {backend} {number}", stamp, encode)
            print(f"{backend} {number + 1}: {row['a_second']:.1f} passages a second, alone: {row['alone']}", flush=True)


def passages_of(folder: Path, count: int) -> list[str]:
    """Return so many of an index's passages as they are embedded, evenly over the index, the longest first."""
    from rag.index import open_index
    from rag.passages import embedded_text

    index = open_index(folder)
    chosen = range(0, index.manifest.passages, max(1, index.manifest.passages // count))[:count]
    passages, _ = index.store.passages_with_texts(chosen)
    return sorted((embedded_text(index.store.article(p.article), p) for p in passages), key=len, reverse=True)


def encode_here(backend: str, texts: Path) -> dict[str, float]:
    """Encode texts by a backend in this process, as a build does; return what it took."""
    lists = json.loads(texts.read_text(encoding="utf-8"))
    encoder = load_encoder(ENCODER)
    started = time.perf_counter()
    encoder = encoder_by(encoder, backend)
    encoder.encode_passages(lists[:1])
    begun, worked = time.perf_counter(), time.process_time()
    done = sum(len(rows) for rows in encoder.encode_series(lists[i : i + LIST] for i in range(0, len(lists), LIST)))
    took, worked = time.perf_counter() - begun, time.process_time() - worked
    return {"starts_s": begun - started, "a_second": done / took, "cpu_ms": worked * 1000 / done}


def index_folder(work: Path, backend: str) -> Path:
    """Return where the index of a backend lies."""
    return work / f"index-{backend}"


def cosines(one: Index, other: Index) -> np.ndarray:
    """Return the cosine of each passage's vectors in two indexes of the same articles."""
    places = np.arange(one.manifest.passages)
    return np.asarray((one.vectors.rows(places) * other.vectors.rows(places)).sum(axis=1))


def scores(config: Config, dataset: Dataset, folder: Path, encoder: Encoder, *, name: str) -> list[float]:
    """Return the measure of each judged question, in their order, when an index is searched."""
    from rag.pipeline import Engine

    settings = with_settings(config, {**RANKINGS[name], "retrieval.k": "100", "index": str(folder)}, where=name)
    questions = [question for question in dataset.questions if str(question.id) in dataset.qrels]
    found = {}
    with Engine(settings, encoder=encoder) as engine:
        for question in questions:
            hits = engine.search(question.question).ranking.hits
            found[str(question.id)] = best_passages((hit.passage.article, hit.score) for hit in hits)
    judged = {name: dict(dataset.qrels[name]) for name in found}
    values = ranking_measures([MEASURE], qrels=judged, run=found)
    return [values[name][MEASURE] for name in found]


def ranked(whole: Sequence[float], values: Sequence[float] | None) -> Ranked:
    """Return what is told of a ranking; None stands for the one in full precision itself."""
    if values is None:
        return Ranked(estimate_mean(whole), None)
    return Ranked(estimate_mean(values), paired_difference(whole, values))


def report(
    rows: KeptRows, encoder: Encoder, config: Config, backends: Sequence[str], options: argparse.Namespace
) -> str:
    """Return the report of what was measured."""
    from rag.index import open_index

    dataset = read_dataset(options.data / "scifact")
    indexes = {backend: open_index(index_folder(options.work, backend)) for backend in backends}
    passages = indexes[ONNX_FP32].manifest.passages
    nearness, speeds = [], []
    values = {
        (backend, name): scores(config, dataset, index_folder(options.work, backend), encoder, name=name)
        for backend in backends
        for name in RANKINGS
    }
    for backend in BACKENDS:
        if backend not in backends:
            reason = missing(backend) or "not measured"
            speeds.append([f"`{backend}`", reason, *[""] * 5])
            nearness.append([f"`{backend}`", reason, *[""] * 4])
            continue
        near = cosines(indexes[ONNX_FP32], indexes[backend])
        told = [f"{near.min():.4f}", f"{np.median(near):.4f}"]
        for name in RANKINGS:
            same = backend == ONNX_FP32
            one = ranked(values[ONNX_FP32, name], None if same else values[backend, name])
            told.append(shown(one))
        nearness.append([f"`{backend}`", *told, str(len(values[backend, "fused with words"]))])
        speeds.append([f"`{backend}`", *speed_row(rows, backend, options)])
    return "\n".join(lines(speeds, nearness, passages=passages, encoder=encoder, options=options))


def speed_row(rows: KeptRows, backend: str, options: argparse.Namespace) -> list[str]:
    """Return what is told of a backend's speed: medians over the rounds, and the least and the most."""
    kept = [row for number in range(options.rounds) if (row := rows.kept(f"speed {backend} {number}")) is not None]
    built = rows.kept(f"build {backend}")
    memory = "" if built is None else f"{built['peak_mb']:.0f}"
    if not kept:
        return ["not measured", "", "", "", "", memory]
    a_second = [row["a_second"] for row in kept]
    worked = [row["cpu_ms"] for row in kept if "cpu_ms" in row]
    star = "" if all(row["alone"] for row in kept) else " *"
    return [
        f"{statistics.median(a_second):.1f} ({min(a_second):.1f}–{max(a_second):.1f}){star}",
        f"{statistics.median(worked):.1f}" if worked else "",
        str(len(kept)),
        f"{statistics.median(row['starts_s'] for row in kept):.2f}",
        f"{statistics.median(row['peak_mb'] for row in kept):.0f}",
        memory,
    ]


def lines(
    speeds: Sequence[Sequence[str]],
    nearness: Sequence[Sequence[str]],
    *,
    passages: int,
    encoder: Encoder,
    options: argparse.Namespace,
) -> Iterator[str]:
    """Yield the lines of the report."""
    yield "# Encoding passages"
    yield ""
    yield (
        f"Written by `python -m benchmarks.encoding` on {datetime.now(UTC).date().isoformat()}, rag {__version__}, "
        f"{ENCODER}, {processor_name()}, {usable_cores()} cores."
    )
    yield ""
    yield (
        f"Speed: {options.passages} of SciFact's passages, longest first, in lists of {LIST} as a build hands them on, "
        "each round in a process of its own, in turns; the median, the least and the most. A star: other work took "
        "more than a twentieth of the machine in a round, and only processor time compares. Memory is what a process "
        f"held at most: one that encodes these, and a build of all {passages} with `building.memory_mb` at its default."
    )
    yield ""
    columns = ["passages a second", "processor ms a passage", "rounds", "starts in s", "MB, encoding", "MB, building"]
    yield table(["backend", *columns], speeds)
    yield ""
    yield (
        f"Nearness: the cosine of each of {passages} passages to full precision, and {MEASURE} of articles by their "
        "best passage over SciFact's n test questions, with 95 % intervals; behind it the difference to full "
        f"precision, question by question, "
        f"and whether that is within {BOUND} either way. rag fuses unless it is told otherwise."
    )
    yield ""
    yield table(["backend", "least cosine", "median", *(f"{MEASURE}, {name}" for name in RANKINGS), "n"], nearness)
    yield ""
    yield chosen_line(recorded_backends(encoder))


def chosen_line(known: Comparison | None) -> str:
    """Return what `encoder.backend: auto` takes here, and what it knows."""
    if known is None:
        return "What `encoder.backend: auto` takes here was not measured."
    told = ", ".join(f"`{name}` {one.ms:.1f} ms (cosine {one.cosine:.3f})" for name, one in known.measured.items())
    bounds = ", ".join(f"{bound:g} for `{name}`" for name, bound in LEAST_COSINE.items() if name != ONNX_FP32)
    return (
        f"`encoder.backend: auto` takes `{known.quickest(passages=LARGE)}` here for {LARGE} passages: on its own "
        f"sample it measured, a passage, {told}. The least cosine there has to be {bounds}."
    )


def shown(one: Ranked) -> str:
    """Return a ranking's mean with its interval, and the difference."""
    mean = f"{one.mean.mean:.4f} ({one.mean.low:.3f}–{one.mean.high:.3f})"
    if one.difference is None:
        return mean
    by = one.difference
    return f"{mean}, {by.mean:+.4f} ({by.low:+.4f} to {by.high:+.4f}), {'within' if one.near else 'outside'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, print the report, and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoding", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the public sets")
    parser.add_argument("--work", type=Path, default=WORK, help="folder for indexes and what was measured")
    parser.add_argument("--only", nargs="+", choices=("build", "speed", "report"), default=["build", "speed", "report"])
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS), help="these alone")
    parser.add_argument("--passages", type=int, default=512, help="passages that are encoded in a round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the speed")
    parser.add_argument("--again", default="", metavar="WORD", help="measure anew what another WORD stands beside")
    parser.add_argument("--dry-run", action="store_true", help="print the report, and do not write it")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child is not None:
        print(json.dumps(encode_here(options.child[0], Path(options.child[1]))))
        return 0
    options.work.mkdir(parents=True, exist_ok=True)
    backends = [backend for backend in options.backends if missing(backend) is None]
    encoder = load_encoder(ENCODER)
    rows = KeptRows(options.work / "measured.jsonl")
    if "build" in options.only:
        measured_builds(rows, encoder, backends, options)
    if "speed" in options.only:
        quickest_backend(encoder, passages=LARGE, notify=print)
        measured_speeds(rows, encoder, backends, options)
    if "report" in options.only:
        config = load_config(file=ROOT / "config.yaml", overrides={}, environment=os.environ, cwd=ROOT)
        text = report(rows, encoder, config, backends, options)
        print(text)
        if not options.dry_run:
            put_part(REPORT, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
