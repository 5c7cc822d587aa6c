"""How vectors alone are searched: all of them, in lists, or in a graph, by their number; and what memory writing takes.

    python -m benchmarks.vectors --sizes 10000 20000 50000 100000 200000 1000000 --hnsw 100000

Writes VECTORS.md beside this file. What is measured is kept in the work folder: with `--kept`, a run that was stopped
goes on, and a run without `--sizes` only writes the file anew.

The vectors are those that `benchmarks.size` makes of real ones; the questions' vectors are real. Every second question
is for choosing the share of the rows that a search looks at, and the others are what is reported.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.size import NEAREST, PASSAGES_AN_ARTICLE, SOURCES, MovedVectors, exact, interval, real_vectors, recalls

HERE = Path(__file__).parent
SHARES = (1 / 24, 1 / 16, 1 / 12, 1 / 8, 1 / 6)
BREADTHS = (64, 128, 256, 512, 1024)
AT_ONCE = 2000
MANY = 200_000  # with more vectors, fewer shares are tried and fewer questions compared with all
PASSAGES, QUESTIONS = 4000, 400  # real ones, encoded once


class FileRows:
    """Vectors in a file, mapped anew each time, so that what was read of them is let go again."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.size, self.dim = np.load(file, mmap_mode="r").shape

    def take(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return vectors."""
        return np.asarray(np.load(self._file, mmap_mode="r")[numbers])


def write_rows(file: Path, vectors: Path, *, size: int) -> None:
    """Write the vectors of so many passages."""
    from rag.index.arrays import ArrayWriter

    encoder = MovedVectors(np.load(vectors))
    with ArrayWriter(file, shape=(size, encoder.dim), dtype=np.float32) as writer:
        for start in range(0, size, AT_ONCE):
            writer.write(encoder.encode_passages([f"passage {start}"] * min(AT_ONCE, size - start)))


def own_mb() -> int:
    """Return what this process holds itself, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) // 1024


def masks(size: int) -> dict[str, NDArray[np.bool_] | None]:
    """Return which rows pass each filter: the dates and sources of the articles that `benchmarks.size` writes."""
    article = np.arange(size) // PASSAGES_AN_ARTICLE
    return {
        "none": None,
        "half of the years": article % 25 >= 13,
        "one source of twenty": article % SOURCES == 3,
    }


def write(file: Path, folder: Path, *, memory_mb: int) -> dict:
    """Write vectors in lists, and return what that took."""
    import faiss  # noqa: F401 - what the library itself holds is not the build's

    from rag.index.lists import write_vectors

    before, peak, over = own_mb(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.02):
            peak = max(peak, own_mb())

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    started, worked = time.perf_counter(), time.process_time()
    # Half of the setting, as in a build.
    search = write_vectors(
        FileRows(file), folder=folder, memory_bytes=memory_mb * 2**19, lists_from=1, progress=lambda *_: None
    )
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    over.set()
    watching.join()
    return {"seconds": seconds, "cpu": worked, "own_mb": peak - before, "search": asdict(search)}


def timed(
    search: Callable[[NDArray[np.float32]], Any], vectors: NDArray[np.float32]
) -> tuple[list[Any], list[float], list[float]]:
    """Return what was found for each question, and the milliseconds by the clock and the processor."""
    found, clock, processor = [], [], []
    for vector in vectors:
        begun, worked = time.perf_counter(), time.process_time()
        found.append(search(vector))
        processor.append((time.process_time() - worked) * 1000)
        clock.append((time.perf_counter() - begun) * 1000)
    return found, clock, processor


def search(file: Path, folder: Path, questions: Path) -> dict:
    """Search vectors in lists and all of them, and return what was found in what time."""
    from rag.index.vectors import VectorIndex

    started = time.perf_counter()
    opened = VectorIndex.load(folder)
    opening = (time.perf_counter() - started) * 1000
    lists = opened._lists  # noqa: SLF001 - how many rows it looks at is what is varied
    vectors = np.load(questions)
    choosing, reported = vectors[0::2], vectors[1::2]
    flat = VectorIndex(np.load(file, mmap_mode="r").view(np.ndarray))
    result = {"opening": opening, "size": opened.size, "filters": {}}
    for name, mask in masks(opened.size).items():
        nearest = exact(flat, vectors, mask, size=opened.size)
        shares = {}
        for share in SHARES if opened.size <= MANY else SHARES[1::2]:
            index = VectorIndex(opened._vectors, lists=replace(lists, compared=math.ceil(share * opened.size)))  # noqa: SLF001
            found = [index.search(vector, k=NEAREST, allowed=mask)[0] for vector in choosing]
            shares[f"1/{round(1 / share)}"] = float(np.mean(recalls(found, nearest[0::2])))
        index = VectorIndex(opened._vectors, lists=replace(lists, compared=math.ceil(opened.size / 8)))  # noqa: SLF001
        found, clock, processor = timed(lambda v, i=index, m=mask: i.search(v, k=NEAREST, allowed=m)[0], reported)
        timed(lambda v, m=mask: flat.search(v, k=NEAREST, allowed=m), reported[:2])
        _, flat_clock, flat_processor = timed(
            lambda v, m=mask: flat.search(v, k=NEAREST, allowed=m), reported[: 50 if opened.size <= MANY else 10]
        )
        result["filters"][name] = {
            "passing": opened.size if mask is None else int(mask.sum()),
            "chosen on": shares,
            "recall": recalls(found, nearest[1::2]),
            "lists": [float(np.median(clock)), float(np.median(processor))],
            "flat": [float(np.median(flat_clock)), float(np.median(flat_processor))],
        }
    return result


def graph(file: Path, questions: Path) -> dict:
    """Search the same vectors in a graph (HNSW)."""
    import faiss

    from rag.index.vectors import VectorIndex

    flat = VectorIndex(np.load(file, mmap_mode="r").view(np.ndarray))
    reported = np.load(questions)[1::2]
    before, started, worked = own_mb(), time.perf_counter(), time.process_time()
    built = faiss.IndexHNSWFlat(flat.dim, 16, faiss.METRIC_INNER_PRODUCT)
    built.hnsw.efConstruction = 80
    for start in range(0, flat.size, AT_ONCE):
        built.add(flat.rows(np.arange(start, min(flat.size, start + AT_ONCE))))
    result = {
        "size": flat.size, "seconds": time.perf_counter() - started, "cpu": time.process_time() - worked,
        "own_mb": own_mb() - before, "tries": [],
    }  # fmt: skip
    for name, mask in masks(flat.size).items():
        bits = None if mask is None else np.packbits(mask, bitorder="little")
        nearest = exact(flat, reported, mask, size=flat.size)
        selector = None if bits is None else faiss.IDSelectorBitmap(bits)
        for breadth in BREADTHS:
            options = faiss.SearchParametersHNSW(efSearch=breadth, sel=selector)
            found, clock, processor = timed(
                lambda v, o=options: built.search(v[None, :], NEAREST, params=o)[1][0], reported
            )
            rows = [line[line >= 0] for line in found]
            recall = recalls(rows, nearest)
            result["tries"].append([
                name, breadth, float(np.mean(recall)), min(map(len, rows)), float(np.median(clock)),
                float(np.median(processor)),
            ])  # fmt: skip
    return result


def table(results: list[dict], graphs: list[dict], *, memory_mb: int) -> str:
    """Return VECTORS.md."""
    sizes = " ".join(str(result["size"]) for result in results)
    command = f"python -m benchmarks.vectors --memory-mb {memory_mb} --sizes {sizes}"
    if graphs:
        command += " --hnsw " + " ".join(str(graph["size"]) for graph in graphs)
    lines = [
        "# How vectors are searched, by their number",
        "",
        f"Measured by `{command}`,",
        f"{time.strftime('%Y-%m-%d')}, on two cores that other work shared: the clock's times say what it takes at",
        "most, the processor's what it takes. Vectors alone: no words, no texts. They are made of real ones as in",
        "SIZE.md; the questions' vectors are real, and ten nearest are asked for. Every second question was for",
        "choosing the share of the rows that a search looks at; the others are reported here, with 95 % intervals.",
        "",
        "## All of them, or lists",
        "",
        "Milliseconds of a search, median: by the clock, and of the processor.",
        "",
        "| vectors | filter | passing | all, clock | all, processor | lists, clock | lists, processor | recall@10 |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for result in results:
        for name, s in result["filters"].items():
            low, high = interval(s["recall"])
            lines.append(
                f"| {result['size']:,} | {name} | {s['passing']:,} | {s['flat'][0]:.1f} | {s['flat'][1]:.1f} | "
                f"{s['lists'][0]:.1f} | {s['lists'][1]:.1f} | {np.mean(s['recall']):.3f} ({low:.3f}–{high:.3f}) |"
            )
    asked = len(results[0]["filters"]["none"]["recall"])
    shares = [f"1/{round(1 / share)}" for share in SHARES]
    lines += [
        "",
        f"n = {asked} questions a line for lists and recall, the first 50 of them for all vectors, 10 beyond {MANY:,}.",
        "",
        "## Which share of the rows",
        "",
        f"Recall@10 of the {asked} questions that were for choosing it.",
        "",
        f"| vectors | filter | {' | '.join(shares)} |",
        f"|---|---|{'---|' * len(SHARES)}",
    ]
    for result in results:
        for name, s in result["filters"].items():
            values = " | ".join(f"{s['chosen on'][share]:.3f}" if share in s["chosen on"] else "–" for share in shares)
            lines.append(f"| {result['size']:,} | {name} | {values} |")
    lines += [
        "",
        "## Writing them",
        "",
        f"Into lists, with half of `building.memory_mb` ({memory_mb}), as in a build; MB are the most that the process",
        "held itself beside what it held before.",
        "",
        "| vectors | seconds | processor s | MB | opening, ms |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        w = result["written"]
        lines.append(
            f"| {result['size']:,} | {w['seconds']:.0f} | {w['cpu']:.0f} | {w['own_mb']} | {result['opening']:.1f} |"
        )
    for g in graphs:
        lines += [
            "",
            f"## A graph (HNSW) of {g['size']:,} vectors",
            "",
            f"FAISS, 16 neighbours, breadth 80 while building: {g['cpu']:.0f} s of the processor",
            f"({g['seconds']:.0f} by the clock) and {g['own_mb']} MB, all of it in memory.",
            "",
            "| filter | breadth | recall@10 | found at least | clock, ms | processor, ms |",
            "|---|---|---|---|---|---|",
            *(
                f"| {name} | {breadth} | {recall:.3f} | {least} | {clock:.1f} | {processor:.1f} |"
                for name, breadth, recall, least, clock, processor in g["tries"]
            ),
        ]  # fmt: skip
    return "\n".join([*lines, ""])


def part(work: Path, name: str, *arguments: object) -> dict:
    """Measure a part in a process of its own, keep the result in a file, and return it."""
    command = [sys.executable, "-m", "benchmarks.vectors", "--part", *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    (work / f"vectors-{name}.json").write_text(done.stdout)
    print(name, file=sys.stderr, flush=True)
    return json.loads(done.stdout)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sizes", type=int, nargs="*", default=[])
    parser.add_argument("--hnsw", type=int, nargs="*", default=[], help="compare with HNSW at these sizes")
    parser.add_argument("--memory-mb", type=int, default=512)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "rag-size")
    parser.add_argument("--kept", action="store_true", help="take what the work folder has from before")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        action, first, second, *rest = options.part
        if action == "write":
            done = write(Path(first), Path(second), memory_mb=int(rest[0]))
        elif action == "search":
            done = search(Path(first), Path(second), Path(rest[0]))
        else:
            done = graph(Path(first), Path(second))
        print(json.dumps(done))
        return
    work = options.work
    for size in sorted({*options.sizes, *options.hnsw}):
        real_vectors(options.data, work, passages=PASSAGES, questions=QUESTIONS)
        questions, file, folder = work / f"questions-{QUESTIONS}.npy", work / f"rows-{size}.npy", work / f"lists-{size}"
        if not file.exists():
            write_rows(file, work / f"passages-{PASSAGES}.npy", size=size)
        if size in options.sizes and not (options.kept and (work / f"vectors-search-{size}.json").exists()):
            shutil.rmtree(folder, ignore_errors=True)
            part(work, f"write-{size}", "write", file, folder, options.memory_mb)
            part(work, f"search-{size}", "search", file, folder, questions)
        if size in options.hnsw and not (options.kept and (work / f"vectors-graph-{size}.json").exists()):
            part(work, f"graph-{size}", "graph", file, questions)
    results, graphs = kept(work, "search"), kept(work, "graph")
    for result in results:
        result["written"] = json.loads((work / f"vectors-write-{result['size']}.json").read_text())
    (HERE / "VECTORS.md").write_text(table(results, graphs, memory_mb=options.memory_mb), encoding="utf-8")


def kept(work: Path, name: str) -> list[dict]:
    """Return the results that the work folder has of a part, the smallest first."""
    found = [json.loads(file.read_text()) for file in work.glob(f"vectors-{name}-*.json")]
    return sorted(found, key=lambda result: result["size"])


if __name__ == "__main__":
    main()
