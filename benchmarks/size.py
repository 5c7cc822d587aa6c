"""How time and memory grow with the number of passages: building, opening, and searching with and without filters.

    python -m benchmarks.size --data ../shared/data --sizes 1000 10000 200000 1000000

Writes SIZE.md and size.svg beside this file. `--only build` builds the indexes, `--only search` searches them, at an
hour when nothing else runs; with `--kept`, what the work folder has from before is not measured again.

The articles are generated: their words follow Zipf's law, about one in twenty is a number, and each has a date and
one of twenty sources. The encoder is replaced by one that takes a real vector of the shipped model (of passages in
train/passages.jsonl.gz), moves it some way towards a near one and then along the difference of two others that are
near each other, and so keeps the form of real vectors; what encoding costs is measured elsewhere. The questions'
vectors are real (of questions in train/span.jsonl.gz); the build looks at none of them. How many rows a search looks
at was chosen on questions of the same set (VECTORS.md). Their words are eight of those of a passage. Each build runs
in a process of its own, whose memory is sampled: its own ("anonymous") and, beside it, files that are mapped, which
the system takes back when it needs to.
"""

import argparse
import gzip
import itertools
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rag.index.vectors import VectorIndex

SEED = 7
HERE = Path(__file__).parent
WORDS = 200_000
ARTICLE_SENTENCES = 30
ROWS_A_FILE = 500
SOURCES = 20
NEAREST = 10
NEIGHBOURS = 32


def real_vectors(data: Path, folder: Path, *, passages: int, questions: int) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors of real passages and real questions about them, encoded once and kept in a folder."""
    files = folder / f"passages-{passages}.npy", folder / f"questions-{questions}.npy"
    if not all(file.exists() for file in files):
        from rag.models.encoder import load_encoder

        encoder = load_encoder("all-MiniLM-L6-v2")
        rows = read_rows(data / "train" / "passages.jsonl.gz")
        rows = rows[:: max(1, len(rows) // passages)][:passages]
        there = {row["id"] for row in rows}
        asked = [s["question"] for s in read_rows(data / "train" / "span.jsonl.gz") if s["passage_id"] in there]
        random.Random(SEED).shuffle(asked)
        texts = [f"{(row['title'] or '').replace('_', ' ')}\n{row['text']}"[:500] for row in rows]
        folder.mkdir(parents=True, exist_ok=True)
        np.save(files[0], encoder.encode_passages(texts))
        np.save(files[1], encoder.encode_queries(asked[:questions]))
    return np.load(files[0]), np.load(files[1])


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a packed JSONL file."""
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


class MovedVectors:
    """Stands for an encoder: a text's vector is a real one, moved; the text's hash decides how."""

    name, revision, dim, passage_tokens = "moved", "0" * 64, 384, 254

    def __init__(self, real: np.ndarray) -> None:
        self.fingerprint, self.backend = "moved-1", "moved"
        self._real = real
        # A copy, or all of the sorted square would be kept.
        self._near = np.argsort(-(real @ real.T), axis=1)[:, 1 : NEIGHBOURS + 1].copy()

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return each word as a token."""
        spans = []
        for text in texts:
            ends = [*itertools.accumulate(len(word) + 1 for word in text.split(" "))]
            spans.append([(start, end - 1) for start, end in zip([0, *ends], ends, strict=False)])
        return spans

    def encode_passages(self, texts: Sequence[str], **_: object) -> NDArray[np.float32]:
        """Return unit rows."""
        rng = np.random.default_rng([SEED, *texts[0].encode()[:64], len(texts)])
        a, b = rng.integers(0, len(self._real), (2, len(texts)))
        near_a, near_b = (self._near[i, rng.integers(0, NEIGHBOURS, len(texts))] for i in (a, b))
        real = self._real
        rows = real[a] + rng.random((len(texts), 1)) * (real[near_a] - real[a]) + 0.6 * (real[near_b] - real[b])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def encode_series(self, series: Iterable[Sequence[str]]) -> Iterator[NDArray[np.float32]]:
        """Yield unit rows of one list of passages after another."""
        return map(self.encode_passages, series)


def write_articles(folder: Path, *, passages: int) -> None:
    """Write about so many passages' worth of articles, as rows of JSONL files."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(SEED)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    lengths = rng.integers(3, 11, WORDS)
    words = [
        "".join(row[:length]) for row, length in zip(letters[rng.integers(0, 26, (WORDS, 10))], lengths, strict=True)
    ]
    share = 1 / np.arange(1, WORDS + 1)
    bounds = np.cumsum(share / share.sum())
    articles = max(1, round(passages / PASSAGES_AN_ARTICLE))
    for first in range(0, articles, ROWS_A_FILE):
        lines = []
        for number in range(first, min(articles, first + ROWS_A_FILE)):
            drawn = np.searchsorted(bounds, rng.random((ARTICLE_SENTENCES, 12)))
            sentences = [" ".join(words[place] for place in row).capitalize() for row in drawn]
            ends = np.where(rng.random(len(drawn)) < 0.6, rng.integers(0, 10_000, len(drawn)), -1)
            sentences = [f"{s}." if end < 0 else f"{s} {end}." for s, end in zip(sentences, ends, strict=True)]
            lines.append(json.dumps({
                "id": f"a{number:07}", "title": f"Article {number}", "text": " ".join(sentences),
                "source": f"Paper {number % SOURCES}", "language": "en",
                "published": f"{2000 + number % 25}-{1 + number % 12:02}-{1 + number % 28:02}",
            }))  # fmt: skip
        (folder / f"{first:07}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


# Measured with the settings below; the table gives the true number.
PASSAGES_AN_ARTICLE = 10


def build(articles: Path, index: Path, vectors: Path, *, memory_mb: int) -> None:
    """Build an index in this process, and print what it took as JSON."""
    from rag.index.build import BuildSettings, build_index

    encoder = MovedVectors(np.load(vectors))
    peak = {"own": 0, "mapped": 0}
    peaks: dict[str, int] = {}
    now = "starting"
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            for line in Path("/proc/self/status").read_text().splitlines():
                name, _, value = line.partition(":")
                key = {"RssAnon": "own", "RssFile": "mapped"}.get(name)
                if key:
                    peak[key] = max(peak[key], int(value.split()[0]) // 1024)
                if key == "own":
                    peaks[now] = max(peaks.get(now, 0), int(value.split()[0]) // 1024)

    before = int(next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")
    ).split()[1]) // 1024  # fmt: skip
    threading.Thread(target=watch, daemon=True).start()
    started, cpu = time.perf_counter(), time.process_time()
    stages: dict[str, float] = {}

    def progress(stage: str, _done: int, _total: int) -> None:
        nonlocal now
        now = stage
        stages[stage] = time.perf_counter() - started

    settings = BuildSettings(max_tokens=64, overlap_sentences=1, k1=0.9, b=0.4)
    report = build_index(
        [articles], index=index, encoder=encoder, settings=settings,
        add=False, rebuild=False, progress=progress, memory_bytes=memory_mb * 2**20,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    over.set()
    print(json.dumps({
        "passages": report.passages, "articles": report.articles, "seconds": seconds,
        "cpu": time.process_time() - cpu, "before_mb": before, "own_mb": peak["own"], "mapped_mb": peak["mapped"],
        "stages": stages, "own_mb_by_stage": peaks,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }))  # fmt: skip


def search(index: Path, questions: Path, *, rounds: int) -> None:
    """Open an index and search it in this process, and print what it took as JSON."""
    from rag.index import ArticleFilter, open_index
    from rag.index.lexical import terms
    from rag.retrieval import RetrievalSettings, retrieve

    settings = RetrievalSettings(
        k=8, candidates=100, fusion="minmax", dense_weight=0.5, rrf_k=60, duplicate_similarity=0.8
    )
    started = time.perf_counter()
    opened = open_index(index)
    opened.vectors.rows(np.array([0]))
    opening = time.perf_counter() - started
    vectors = np.load(questions)[1::2][:rounds]
    size = opened.manifest.passages
    rng = random.Random(SEED)
    rows = [rng.randrange(size) for _ in vectors]
    # Words as a question about a passage has them: eight of its own, the commonest among them.
    _, texts = opened.store.passages_with_texts(rows)
    words = [rng.sample(terms(text), min(8, len(terms(text)))) for text in texts]
    filters = {
        "none": None,
        "half of the years": ArticleFilter(since="2013"),
        "one source of twenty": ArticleFilter(source="Paper 3"),
        "one source in one month": ArticleFilter(source="Paper 3", since="2003-04", until="2003-04"),
    }
    found = {"opening": opening, "search": dict(opened.manifest.search)}
    for name, wanted in filters.items():
        times, cpu_times, dense_times, found_rows = [], [], [], []
        mask = None
        for vector, asked in zip(vectors, words, strict=True):
            begun, worked = time.perf_counter(), time.process_time()
            mask = opened.store.allowed(wanted, size=size) if wanted else None
            retrieve(vector, asked, index=opened, settings=settings, allowed=mask)
            times.append((time.perf_counter() - begun) * 1000)
            cpu_times.append((time.process_time() - worked) * 1000)
            begun = time.perf_counter()
            nearest, _ = opened.vectors.search(vector, k=NEAREST, allowed=mask)
            dense_times.append((time.perf_counter() - begun) * 1000)
            found_rows.append(nearest)
        recall = recalls(found_rows, exact(opened.vectors, vectors, mask, size=size))
        found[name] = {
            "passing": size if mask is None else int(mask.sum()), "times": times, "cpu": cpu_times,
            "vectors": dense_times, "recall": recall,
            "full": min(len(rows) for rows in found_rows),
        }  # fmt: skip
    print(json.dumps(found))


def exact(
    index: "VectorIndex", vectors: NDArray[np.float32], mask: NDArray[np.bool_] | None, *, size: int
) -> NDArray[np.int64]:
    """Return the ten rows nearest to each question of those that pass, by a comparison with every one."""
    best = np.full((len(vectors), 0), 0, np.float32)
    names = np.full((len(vectors), 0), 0, np.int64)
    for start in range(0, size, 20_000):
        rows = np.arange(start, min(size, start + 20_000))
        if mask is not None:
            rows = rows[mask[rows]]
        best = np.hstack([best, vectors @ index.rows(rows).T])
        names = np.hstack([names, np.broadcast_to(rows, (len(vectors), len(rows)))])
        if best.shape[1] > NEAREST:
            top = np.argpartition(-best, NEAREST, axis=1)[:, :NEAREST]
            best, names = np.take_along_axis(best, top, axis=1), np.take_along_axis(names, top, axis=1)
    return names


def recalls(found: list[NDArray[np.int64]], nearest: NDArray[np.int64]) -> list[float]:
    """Return each question's recall at 10, beside the rows that are nearest."""
    return [len(np.intersect1d(mine, best)) / max(1, len(best)) for mine, best in zip(found, nearest, strict=True)]


def interval(values: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of a mean, by the bootstrap."""
    rng = np.random.default_rng(SEED)
    means = np.array(values)[rng.integers(0, len(values), (2000, len(values)))].mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def run(action: str, *arguments: object) -> dict:
    """Run a part of this benchmark in a process of its own, and return what it printed."""
    command = [sys.executable, "-m", "benchmarks.size", "--part", action, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def measure_build(size: int, *, work: Path, vectors: Path, memory_mb: int) -> dict:
    """Return what building takes, measured now."""
    articles, index = work / f"articles-{size}", work / f"index-{size}"
    for folder in (articles, index):
        shutil.rmtree(folder, ignore_errors=True)
    write_articles(articles, passages=size)
    built = run("build", articles, index, vectors, memory_mb)
    files = [file for file in (index / "generations").rglob("*") if file.is_file()]
    return {"size": size, "built": built, "bytes": sum(file.stat().st_size for file in files)}


def measure_search(size: int, *, work: Path, questions: Path, rounds: int) -> dict:
    """Return what searching takes, measured now."""
    index = work / f"index-{size}"
    # Searched twice: the first time brings the files into the system's cache.
    run("search", index, questions, 20)
    return {"searched": run("search", index, questions, rounds)}


FILTERS = ("none", "half of the years", "one source of twenty", "one source in one month")


def table(results: list[dict], *, options: argparse.Namespace) -> str:
    """Return SIZE.md."""
    sizes = " ".join(str(result["size"]) for result in results)
    command = f"python -m benchmarks.size --memory-mb {options.memory_mb} --sizes {sizes}"
    lines = [
        "# How time and memory grow with the passages",
        "",
        f"Measured by `{command}`, {time.strftime('%Y-%m-%d')}, on two cores that other work shared, so",
        "the clock's times say what it takes at most; the processor's say what it takes.",
        *(line.strip() for line in __doc__.split("\n\n")[3].splitlines()),
        f"`building.memory_mb` was {options.memory_mb}; lists are thought of from `building.lists_from` passages on.",
        "Vectors alone, compared whole and in lists, are in VECTORS.md.",
        "",
        "## Building",
        "",
        "MB of memory: the build's own at most, beside what its process held before, and mapped files at most.",
        "",
        "| passages | articles | seconds | processor s | processor ms a passage | own | mapped | disk |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        b = result["built"]
        lines.append(
            f"| {b['passages']:,} | {b['articles']:,} | {b['seconds']:.0f} | {b['cpu']:.0f} | "
            f"{b['cpu'] / b['passages'] * 1000:.2f} | {b['own_mb'] - b['before_mb']} | {b['mapped_mb']} | "
            f"{result['bytes'] / 2**20:.0f} |"
        )
    lines += [
        "",
        "## Opening and choice",
        "",
        "The recall and the times are those that the build measured, with passages as questions.",
        "",
        "| passages | opening, ms | search | rows compared | recall@10 | flat, ms | lists, ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        s, how = result["searched"], result["searched"]["search"]
        told = [f"{how[key]:.1f}" if how[key] is not None else "–" for key in ("flat_ms", "lists_ms")]
        lines.append(
            f"| {result['built']['passages']:,} | {s['opening'] * 1000:.0f} | {how['kind']} | {how['compared']:,} | "
            f"{how['recall_at_10']:.3f} | {' | '.join(told)} |"
        )
    lines += [
        "",
        "## Searching, warm",
        "",
        "Milliseconds of a whole search, the question's vector at hand: filter, both rankings, fusion, passages and",
        f"their texts. n = {len(results[0]['searched']['none']['times'])} questions a line. Recall@10 is",
        "that of the vectors beside a comparison with every row that passes, 95 % interval; found is how many of",
        "10 came back at least.",
        "",
        "| passages | filter | passing | median | 90 % below | processor | vectors alone | recall@10 | found |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        for name in FILTERS:
            s = result["searched"][name]
            low, high = interval(s["recall"])
            lines.append(
                f"| {result['built']['passages']:,} | {name} | {s['passing']:,} | {np.median(s['times']):.1f} | "
                f"{np.quantile(s['times'], 0.9):.1f} | {np.median(s['cpu']):.1f} | "
                f"{np.median(s['vectors']):.1f} | {np.mean(s['recall']):.3f} "
                f"({low:.3f}–{high:.3f}) | {s['full']} |"
            )
    lines += ["", "![time and memory by number of passages](size.svg)", ""]
    return "\n".join(lines)


def draw(results: list[dict], file: Path) -> None:
    """Draw time and memory over the number of passages."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "size"
    from matplotlib import pyplot as plt

    sizes = [result["built"]["passages"] for result in results]
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    drawn = {
        "seconds of processor time to build": {"": [r["built"]["cpu"] for r in results]},
        "MB at most while building": {
            "own": [r["built"]["own_mb"] for r in results],
            "mapped files": [r["built"]["mapped_mb"] for r in results],
        },
        "ms, median": {
            "opening": [r["searched"]["opening"] * 1000 for r in results],
            **{f"search, filter: {n}": [float(np.median(r["searched"][n]["times"])) for r in results] for n in FILTERS},
        },
    }
    for axis, (title, curves) in zip(axes, drawn.items(), strict=True):
        for name, values in curves.items():
            axis.plot(sizes, values, marker="o", label=name)
        axis.set(xscale="log", yscale="log", xlabel="passages", title=title)
        axis.grid(visible=True, alpha=0.3)
        if len(curves) > 1:
            axis.legend(fontsize="small")
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Measure, and write the table and the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--memory-mb", type=int, default=512)
    parser.add_argument("--questions", type=int, default=400, help="real ones; every second one is searched for")
    parser.add_argument("--passages", type=int, default=4000, help="real passages that are encoded")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "rag-size")
    parser.add_argument("--only", choices=("build", "search"), help="measure this alone, and keep what is measured")
    parser.add_argument("--kept", action="store_true", help="take what the work folder has from before")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        action, *rest = options.part
        if action == "build":
            build(*map(Path, rest[:3]), memory_mb=int(rest[3]))
        else:
            search(*map(Path, rest[:2]), rounds=int(rest[2]))
        return
    real_vectors(options.data, options.work, passages=options.passages, questions=options.questions)
    vectors = options.work / f"passages-{options.passages}.npy"
    questions = options.work / f"questions-{options.questions}.npy"
    results = [{} for _ in options.sizes]
    for part in ("build", "search"):
        for result, size in zip(results, options.sizes, strict=True):
            file = options.work / f"{part}-{size}.json"
            if options.only in (None, part) and not (options.kept and file.exists()):
                if part == "build":
                    done = measure_build(size, work=options.work, vectors=vectors, memory_mb=options.memory_mb)
                else:
                    done = measure_search(size, work=options.work, questions=questions, rounds=options.questions)
                file.write_text(json.dumps(done))
                own = (
                    f": {done['built']['own_mb'] - done['built']['before_mb']} MB of its own" if part == "build" else ""
                )
                print(f"{part} {size}{own}", file=sys.stderr, flush=True)
            if options.only is None:
                result.update(json.loads(file.read_text()))
    if options.only is not None:
        return
    (HERE / "SIZE.md").write_text(table(results, options=options), encoding="utf-8")
    draw(results, HERE / "size.svg")


if __name__ == "__main__":
    main()
