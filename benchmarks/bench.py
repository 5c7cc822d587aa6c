"""Speed beside what people would use instead: the same articles, encoder and questions, in turns.

    python -m benchmarks.bench                                     everything (make bench); hours on two cores
    python -m benchmarks.bench --only cold,warm --rounds 3 --passages 1000     some parts again
    python -m benchmarks.bench --report                            RESULTS.md and the plot anew, nothing measured

Each peer gets an environment of its own in build/peers, from benchmarks/peers/requirements/. What is measured is
appended to build/bench/measured.jsonl as it comes, so a run that is stopped loses nothing, and parts may be measured
on different days. benchmarks/RESULTS.md and benchmarks/speed.svg are written from that file, and from what
`benchmarks.budget` keeps.

The articles are the rows of train/passages.jsonl.gz in `--data`, each cut to its first 100 words so that it is one
passage for every system, and SciFact's abstracts. For an index of more articles than it has rows, all of each row's
text is cut into pieces of 30 words. The questions are those of train/span.jsonl.gz, and SciFact's.

Encoding so much takes each peer the better part of an hour, so at the sizes that `--given` names they get the vectors
of the same encoder, computed once by rag. What such a build takes is not compared.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import budget
from rag.index import open_index
from rag.models.sources import find_model
from rag.models.speed import processor_name

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "benchmarks" / "peers"
REPORT, PLOT = ROOT / "benchmarks" / "RESULTS.md", ROOT / "benchmarks" / "speed.svg"
ENCODER = "all-MiniLM-L6-v2"
# The pinned torch comes first and alone, so that a CPU build that is at hand satisfies the rest.
TORCH = "torch==2.13.0"
PARTS = ("index", "cold", "warm", "size", "quality", "floor", "budget")
SCIFACT, SCIFACT_ARTICLES = "scifact", 5183
DEFAULT_SIZES = (1000, 20_000, 100_000)
GIVEN_SIZES = (100_000, SCIFACT)
WARM_QUESTIONS = 200
PASSAGE_WORDS, PIECE_WORDS = 100, 30
SEED = 13
_NEXT_TO_NOTHING = 0.05
PLAIN = "sentence-transformers"  # what indexing is held against

Record = dict[str, Any]

# A process counts as its own the memory of the one that it was forked from, so that one has to be small.
_LAUNCHER = """
import json, os, sys, time

def busy():
    try:
        with open("/proc/stat") as file:
            user, nice, system, _, _, *rest = map(int, file.readline().split()[1:9])
    except OSError:
        return 0.0
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")

if cores := int(os.environ.pop("BENCH_CORES", "0")):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
before = busy()
started = time.perf_counter()
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
took = {
    "seconds": time.perf_counter() - started,
    "cpu_s": usage.ru_utime + usage.ru_stime,
    "peak_mb": usage.ru_maxrss / 1024,
    "code": os.waitstatus_to_exitcode(status),
}
others = busy() - before - took["cpu_s"]
took["others"] = max(0.0, others / took["seconds"] / os.cpu_count()) if before else None
with open(sys.argv[1], "w") as file:
    json.dump(took, file)
"""


@dataclass(frozen=True, slots=True)
class System:
    """One thing that is measured: the interpreter of its environment, and its script in `peers/`."""

    name: str
    python: Path
    script: Path
    requirements: Path | None

    @property
    def ours(self) -> bool:
        """Tell whether it is rag."""
        return self.requirements is None


@dataclass(frozen=True, slots=True)
class Bench:
    """Where things lie, and what is measured."""

    data: Path
    work: Path
    environments: Path
    passages: tuple[int, ...]
    given: tuple[int | str, ...]
    cores: int
    rounds: int
    systems: tuple[System, ...]

    @property
    def measured(self) -> Path:
        """Return the file that what is measured is appended to."""
        return self.work / "measured.jsonl"

    def note(self, part: str, system: str, **values: object) -> None:
        """Append a record, with when it was made and what else the machine did."""
        record = {"part": part, "system": system, **values}
        record |= {"when": datetime.now(UTC).isoformat(timespec="seconds"), "load": round(os.getloadavg()[0], 1)}
        with self.measured.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        print(" ".join(f"{key}={_short(value)}" for key, value in record.items()), flush=True)

    def records(self) -> list[Record]:
        """Return what was measured so far."""
        if not self.measured.exists():
            return []
        return [json.loads(line) for line in self.measured.read_text(encoding="utf-8").splitlines()]


@dataclass(frozen=True, slots=True)
class Ran:
    """A process that has ended: wall and processor seconds, its memory at most, what it printed last.

    `others` is the share of the machine that other processes took meanwhile; None where that is not told.
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    others: float | None
    last: str

    @property
    def alone(self) -> bool:
        """Tell whether next to nothing ran beside."""
        return self.others is not None and self.others <= _NEXT_TO_NOTHING

    @property
    def costs(self) -> Record:
        """Return what it took."""
        return {"seconds": self.seconds, "cpu_s": self.cpu_s, "peak_mb": self.peak_mb, "alone": self.alone}


def run(
    command: Sequence[str | Path], *, accepted: Iterable[int] = (0,), environment: Mapping[str, str] | None = None
) -> Ran:
    """Run a process from exec to exit, without the network, and return what it took."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}}
    quiet = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HAYSTACK_TELEMETRY_ENABLED": "False"}
    ours = {"PYTHONPATH": str(ROOT)} if str(command[0]) == sys.executable else {}
    ours |= environment or {}
    with tempfile.NamedTemporaryFile(suffix=".json") as told:
        launch = [sys.executable, "-I", "-S", "-c", _LAUNCHER, told.name, *map(str, command)]
        done = subprocess.run(launch, env=kept | quiet | ours, capture_output=True, encoding="utf-8", check=True)
        took = json.loads(Path(told.name).read_text(encoding="utf-8"))
    if took.pop("code") not in accepted:
        raise SystemExit(f"{command} failed\n{done.stderr[-2000:]}")
    return Ran(**took, last=(done.stdout.strip().splitlines() or [""])[-1])


# The material


def articles(bench: Bench, size: int | str) -> Path:
    """Return the articles of an index as a JSONL file, written if need be."""
    target = bench.work / f"articles-{size}.jsonl"
    if target.exists():
        return target
    if size == SCIFACT:
        lines = (bench.data / "scifact" / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
        read = [json.loads(line) for line in lines]
        rows = [{"id": row["_id"], "title": row["title"], "text": row["text"]} for row in read]
    else:
        with gzip.open(bench.data / "train" / "passages.jsonl.gz", "rt", encoding="utf-8") as file:
            read = [json.loads(line) for line in file]
        cut = [_row(passage) for passage in read] if len(read) >= int(size) else [*_pieces(read)]
        if len(cut) < int(size):
            raise SystemExit(f"{bench.data} holds {len(cut)} passages, not {size}")
        chosen = np.random.default_rng(SEED).permutation(len(cut))[: int(size)]
        rows = [cut[i] for i in sorted(chosen.tolist())]
    target.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return target


def _row(passage: Record) -> Record:
    # Cut, so that it is one passage for every system: peers lose what is longer than the encoder reads, rag cuts it up.
    text = " ".join(passage["text"].split()[:PASSAGE_WORDS])
    return {"id": f"p{passage['id']}", "title": (passage["title"] or "").replace("_", " "), "text": text}


def _pieces(passages: Iterable[Record]) -> Iterator[Record]:
    for passage in passages:
        words = passage["text"].split()
        for first in range(0, len(words) - PIECE_WORDS + 1, PIECE_WORDS):
            piece = {**passage, "text": " ".join(words[first : first + PIECE_WORDS])}
            yield _row(piece) | {"id": f"p{passage['id']}-{first}"}


def vectors(bench: Bench, size: int | str) -> Path:
    """Return the vectors of an index's articles as an array file (n, dim), in the order of their rows, made if need be.

    SciFact's are encoded in full; the others are those that rag's own index holds.
    """
    target = bench.work / f"vectors-{size}.npy"
    if target.exists():
        return target
    rows = [json.loads(line) for line in articles(bench, size).read_text(encoding="utf-8").splitlines()]
    if size == SCIFACT:
        from rag.models.encoder import load_encoder

        np.save(target, load_encoder(ENCODER).encode_passages([f"{row['title']}\n{row['text']}" for row in rows]))
        return target
    ours = next(system for system in systems(bench.environments, wanted=["rag"]))
    index = open_index(built(bench, ours, size))
    # Of the few articles that are cut in two, the first half stands for the whole.
    first: dict[str, int] = {}
    for place, passage in enumerate(index.store.passages_with_texts(range(index.manifest.passages))[0]):
        first.setdefault(passage.article, place)
    np.save(target, index.vectors.rows(np.array([first[row["id"]] for row in rows])))
    return target


def questions(bench: Bench, size: int | str) -> Path:
    """Return the questions as a JSONL file of ids and questions, written if need be."""
    target = bench.work / ("questions-scifact.jsonl" if size == SCIFACT else "questions.jsonl")
    if target.exists():
        return target
    if size == SCIFACT:
        lines = (bench.data / "scifact" / "queries.jsonl").read_text(encoding="utf-8").splitlines()
        judged = set(qrels(bench))
        read = [json.loads(line) for line in lines]
        rows = [{"id": row["_id"], "question": row["text"]} for row in read if row["_id"] in judged]
    else:
        with gzip.open(bench.data / "train" / "span.jsonl.gz", "rt", encoding="utf-8") as file:
            read = [json.loads(line) for line in file]
        chosen = np.random.default_rng(SEED).choice(len(read), WARM_QUESTIONS, replace=False)
        rows = [{"id": str(i), "question": read[i]["question"]} for i in sorted(chosen.tolist())]
    target.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return target


def qrels(bench: Bench) -> dict[str, dict[str, int]]:
    """Return SciFact's judgements, by question."""
    found: dict[str, dict[str, int]] = {}
    for line in (bench.data / "scifact" / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, article, grade = line.split("\t")
        found.setdefault(query, {})[article] = int(grade)
    return found


# The systems


def systems(environments: Path, *, wanted: Sequence[str]) -> tuple[System, ...]:
    """Return rag and its peers, those that are wanted."""
    peers = [
        System(
            file.stem,
            environments / file.stem / "bin" / "python",
            PEERS / f"peer_{file.stem.replace('-', '_')}.py",
            file,
        )
        for file in sorted((PEERS / "requirements").glob("*.txt"))
    ]
    ours = System("rag", Path(sys.executable), PEERS / "peer_rag.py", None)
    return tuple(system for system in (ours, *peers) if not wanted or system.name in wanted)


def install(folder: Path, requirements: Sequence[str], *, stamp: str) -> None:
    """Make an environment, unless one with the same requirements is there."""
    mark = folder / "installed.txt"
    if mark.exists() and mark.read_text(encoding="utf-8") == stamp:
        return
    print(f"installing {folder.name} …", flush=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    for given in ([TORCH], list(requirements)):
        subprocess.run([*pip, *given], check=True)
    mark.write_text(stamp, encoding="utf-8")


def install_all(bench: Bench, *, ours: bool) -> None:
    """Make the environments that are missing; rag's own, to be weighed, is without development tools."""
    for system in bench.systems:
        if system.requirements is not None:
            stamp = system.requirements.read_text(encoding="utf-8")
            install(bench.environments / system.name, ["-r", str(system.requirements)], stamp=stamp)
    if not ours:
        return
    constraints = ROOT / "constraints.txt"
    stamp = constraints.read_text(encoding="utf-8") + (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    install(bench.environments / "rag", ["--constraint", str(constraints), str(ROOT)], stamp=stamp)


def index_of(bench: Bench, system: System, size: int | str) -> Path:
    """Return where a system keeps its index."""
    return bench.work / "indexes" / f"{system.name}-{size}"


def build(bench: Bench, system: System, size: int | str) -> Ran:
    """Index articles from nothing."""
    folder = index_of(bench, system, size)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    rows = articles(bench, size)
    if system.ours:
        return run([sys.executable, "-m", "rag", "index", rows, "--index", folder, "--quiet"])
    given = [vectors(bench, size)] if size in bench.given else []
    return run([system.python, system.script, "build", model(), rows, folder, *given])


def built(bench: Bench, system: System, size: int | str) -> Path:
    """Return a system's index, built if need be."""
    folder = index_of(bench, system, size)
    if not folder.exists():
        bench.note("built", system.name, passages=size, **build(bench, system, size).costs)
    return folder


def model() -> Path:
    """Return the encoder's folder."""
    return find_model(ENCODER).folder


# The parts


def measure_index(bench: Bench) -> None:
    """Time indexing from nothing, exec to exit; the larger sizes once."""
    for size in bench.passages:
        for number in range(bench.rounds if size == min(bench.passages) else 1):
            for system in bench.systems:
                if size in bench.given and not system.ours:
                    continue
                costs = build(bench, system, size).costs
                bench.note("index", system.name, passages=size, round=number + 1, **costs)


def measure_cold(bench: Bench) -> None:
    """Time one question, exec to exit; rag's also to the cited answer."""
    size = min(bench.passages)
    asked = [json.loads(line)["question"] for line in questions(bench, size).read_text(encoding="utf-8").splitlines()]
    for system in bench.systems:
        folder = built(bench, system, size)
        if system.ours:  # what is prepared once is prepared
            run([sys.executable, "-m", "rag", "ask", asked[0], "--index", folder], accepted=(0, 3))
    for number in range(bench.rounds):
        question = asked[number % len(asked)]
        for system in bench.systems:
            folder = index_of(bench, system, size)
            if system.ours:
                for verb in ("ask", "search"):
                    # A question may be declined, which is an answer (3).
                    command = [sys.executable, "-m", "rag", verb, question, "--index", folder]
                    costs = run(command, accepted=(0, 3)).costs
                    bench.note("cold", f"rag {verb}", passages=size, round=number + 1, **costs)
            else:
                costs = run([system.python, system.script, "ask", model(), folder, question]).costs
                bench.note("cold", system.name, passages=size, round=number + 1, **costs)


def measure_warm(bench: Bench) -> None:
    """Time questions one after another, then many at once, in one process."""
    for size in bench.passages:
        for system in bench.systems:
            built(bench, system, size)
        for number in range(bench.rounds):
            for system in bench.systems:
                served = _serve(bench, system, size)
                bench.note(
                    "warm", system.name, passages=size, round=number + 1, cores=bench.cores, **_latencies(served)
                )


def measure_quality(bench: Bench) -> None:
    """Score the rankings on SciFact, and time the same run."""
    judged = qrels(bench)
    for system in bench.systems:
        built(bench, system, SCIFACT)
        served = _serve(bench, system, SCIFACT)
        found = json.loads(served.last)["run"]
        gains = [ndcg(found.get(query, []), judged[query]) for query in sorted(judged)]
        bench.note("quality", system.name, passages=SCIFACT, ndcg=gains, **_latencies(served))


def measure_floor(bench: Bench) -> None:
    """Time what a question is made of, and what this machine does at its best."""
    ours = next(system for system in systems(bench.environments, wanted=["rag"]))
    for size in bench.passages:
        command = [sys.executable, PEERS / "floor.py", model(), built(bench, ours, size), questions(bench, size)]
        told = run(command, environment={"OPENBLAS_NUM_THREADS": "1"})
        bench.note("floor", "rag", passages=size, **json.loads(told.last))


def measure_size(bench: Bench) -> None:
    """Weigh the environments and the indexes."""
    for system in bench.systems:
        bench.note("size", system.name, environment_mb=_megabytes(bench.environments / system.name))
        for size in (*bench.passages, SCIFACT):
            if (folder := index_of(bench, system, size)).exists():
                bench.note("size", system.name, passages=size, index_mb=_megabytes(folder))


def measure_budget(_: Bench) -> None:
    """Measure quality against the budget of reading, which `benchmarks.budget` keeps."""
    for arguments in ([], ["--clock"]):
        budget.main(arguments)


MEASURES: Mapping[str, Callable[[Bench], None]] = {
    "index": measure_index,
    "cold": measure_cold,
    "warm": measure_warm,
    "quality": measure_quality,
    "size": measure_size,
    "floor": measure_floor,
    "budget": measure_budget,
}


def _serve(bench: Bench, system: System, size: int | str) -> Ran:
    return run(
        [
            system.python,
            system.script,
            "serve",
            model(),
            index_of(bench, system, size),
            questions(bench, size),
        ],
        environment={"BENCH_CORES": str(bench.cores)},
    )


def _latencies(served: Ran) -> Record:
    told = json.loads(served.last)
    times = np.array(told["seconds"]) * 1000
    quantiles = {f"p{q}_ms": float(np.percentile(times, q)) for q in (50, 95, 99)}
    many = {f"many_{name}": value for name, value in told["many"].items() if name != "seconds"}
    if waits := told["many"].get("seconds"):
        many |= {f"many_p{q}_ms": float(np.percentile(waits, q)) * 1000 for q in (50, 95)}
    return {
        **quantiles,
        "cpu_ms": told["cpu_s"] * 1000,
        "a_second": 1000 / float(times.mean()),
        "questions": len(times),
        **many,
        "peak_mb": served.peak_mb,
        "alone": served.alone,
    }


def ndcg(ids: Sequence[str], grades: Mapping[str, int], *, k: int = 10) -> float:
    """Return nDCG@k of one ranking, with the grade itself as gain, as trec_eval counts it."""
    gain = sum(grades.get(name, 0) / float(np.log2(rank + 1)) for rank, name in enumerate(ids[:k], start=1))
    ideal = sum(
        grade / float(np.log2(rank + 1)) for rank, grade in enumerate(sorted(grades.values(), reverse=True)[:k], 1)
    )
    return gain / ideal if ideal else 0.0


def _megabytes(folder: Path) -> float:
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir()) / 1e6


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"[{len(value)}]" if isinstance(value, list) else str(value)


# The report


def report(records: Sequence[Record], *, command: str, versions: Mapping[str, str]) -> str:
    """Return RESULTS.md."""
    lines = [*_head(records, command=command, versions=versions)]
    measured = {record["part"] for record in records}
    for part, title, section in _SECTIONS:
        lines += ["", f"## {title}", ""]
        lines += section(records) if part in measured else [f"Not measured yet: `{command} --only {part}`."]
    missing = [size for size in DEFAULT_SIZES if size not in _sizes(records, "index")]
    if missing:
        sizes = ", ".join(f"{size:,}" for size in missing)
        lines += ["", f"Indexes of {sizes} articles: not measured yet."]
    lines += ["", "![cold question, indexing, warm questions, and quality against the budget](speed.svg)", ""]
    return "\n".join(lines)


def _head(records: Sequence[Record], *, command: str, versions: Mapping[str, str]) -> Iterator[str]:
    days = sorted({record["when"][:10] for record in records})
    yield "# Speed beside what people would use instead"
    yield ""
    yield f"Measured by `{command}`, {days[0]}{f' to {days[-1]}' if days[1:] else ''}."
    yield f"Machine: {processor_name()}, {len(os.sched_getaffinity(0))} cores; Python {platform.python_version()}."
    yield "The systems take turns. Where other work took more than a twentieth of the machine meanwhile, or nobody"
    yield "looked, the row has a star (*): the clock counts such work in, and only processor seconds compare."
    yield f"Versions: {', '.join(f'{name} {version}' for name, version in versions.items())}."
    yield f"An article is a passage of at most {PASSAGE_WORDS} words; SciFact's abstracts are whole."
    yield f"Every system encodes with {ENCODER} and gets the same articles. {PLAIN} ranks by vectors alone;"
    yield "the others fuse them with BM25. No graphics processor was at hand: what one would change is not measured."


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def _spread(values: Sequence[float], form: str = ".2f") -> str:
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{_median(values):{form}} ({min(values):{form}} – {max(values):{form}})"


def _marked(name: str, group: Sequence[Record]) -> str:
    """Return a system's name, with a star if something else ran beside."""
    return name if all(record.get("alone") for record in group) else f"{name} *"


def _grouped(records: Iterable[Record], part: str, *, size: int | str | None = None) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        if record["part"] == part and (size is None or record.get("passages") == size):
            found.setdefault(record["system"], []).append(record)
    return found


def _sizes(records: Iterable[Record], part: str) -> list[int | str]:
    found = {r["passages"] for r in records if r["part"] == part and "passages" in r}
    return sorted(found, key=lambda size: (isinstance(size, str), size))


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(headers) + " |"
    yield "|" + "---|" * len(headers)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _ratio(value: float, reference: float | None) -> str:
    return "–" if not reference else f"{value / reference:.2f}"


def _times(ours: Sequence[float], theirs: Sequence[float]) -> str:
    return _ratio(_median(ours), _median(theirs)) if ours and theirs else "–"


def _cold_part(records: Sequence[Record]) -> Iterator[str]:
    groups = _grouped(records, "cold")
    answer = _median(r["seconds"] for r in groups["rag ask"]) if "rag ask" in groups else None
    cpu = _median(r["cpu_s"] for r in groups["rag ask"]) if "rag ask" in groups else None
    size = _sizes(records, "cold")[0]
    yield f"From exec to exit, over {size:,} articles. `rag ask` goes on to the cited answer, the others end at ranked"
    yield "passages."
    yield ""
    yield from _table(
        ["", "seconds: median (least – most)", "times `rag ask`", "processor s", "times `rag ask`", "rounds"],
        [
            [
                _marked(name, rows),
                _spread([r["seconds"] for r in rows]),
                _ratio(_median(r["seconds"] for r in rows), answer),
                f"{_median(r['cpu_s'] for r in rows):.2f}",
                _ratio(_median(r["cpu_s"] for r in rows), cpu),
                str(len(rows)),
            ]
            for name, rows in groups.items()
        ],
    )


def _index_part(records: Sequence[Record]) -> Iterator[str]:
    yield "From nothing, exec to exit: reading, cutting, encoding, words and vectors, writing."
    yield "An index that a peer was given vectors for is not in these tables."
    for size in _sizes(records, "index"):
        groups = _grouped(records, "index", size=size)
        plain = groups.get(PLAIN)
        wall = _median(r["seconds"] for r in plain) if plain else None
        cpu = _median(r["cpu_s"] for r in plain) if plain else None
        count = SCIFACT_ARTICLES if size == SCIFACT else int(size)
        yield ""
        yield f"{_named(size)}:"
        yield ""
        rows = []
        for name, group in groups.items():
            seconds, work = _median(r["seconds"] for r in group), _median(r["cpu_s"] for r in group)
            rows.append(
                [
                    _marked(name, group),
                    _spread([r["seconds"] for r in group], ".0f"),
                    f"{count / seconds:.1f}",
                    f"{wall / seconds:.2f}" if wall else "–",
                    f"{work:.0f}",
                    f"{cpu / work:.2f}" if cpu else "–",
                    str(len(group)),
                ]
            )
        yield from _table(
            ["", "seconds", "articles a second", f"times {PLAIN}", "processor s", f"times {PLAIN}", "rounds"], rows
        )


def _named(size: int | str) -> str:
    return f"SciFact's {SCIFACT_ARTICLES:,} abstracts" if size == SCIFACT else f"{int(size):,} articles"


def _warm_part(records: Sequence[Record]) -> Iterator[str]:
    yield "Milliseconds from a question to ranked passages in a process that is loaded, encoding the question included:"
    yield "one question after another, then for five seconds from eight threads at once."
    held = {r["cores"] for r in records if r["part"] == "warm" and r.get("cores")}
    if held:
        yield f"Every system was held to {max(held)} core."
    for size in _sizes(records, "warm"):
        groups = _grouped(records, "warm", size=size)
        ours = groups.get("rag", [])
        yield ""
        yield f"{_named(size)}:"
        yield ""
        rows = []
        for name, group in groups.items():
            compared = []
            for key in ("cpu_ms", "many_cpu_ms"):
                mine, theirs = ([r[key] for r in some if key in r] for some in (ours, group))
                compared += (
                    [f"{_median(theirs):.1f}", _ratio(_median(theirs), _median(mine))] if theirs and mine else ["–"] * 2
                )
            at_once = [r["many_a_second"] for r in group if "many_a_second" in r]
            ours_at_once = [r["many_a_second"] for r in ours if "many_a_second" in r]
            rows.append(
                [
                    _marked(name, group),
                    *(_spread([r[f"p{q}_ms"] for r in group], ".1f") for q in (50, 95, 99)),
                    f"{_median(r['a_second'] for r in group):.1f}",
                    _times([r["a_second"] for r in ours], [r["a_second"] for r in group]),
                    *compared[:2],
                    f"{_median(at_once):.1f}" if at_once else "fails",
                    _times(ours_at_once, at_once),
                    *compared[2:],
                    f"{group[0]['questions']} × {len(group)}",
                ]
            )
        headers = ["", "p50", "p95", "p99"]
        for begun in ("", "at once: "):
            columns = ("questions a second", "rag's are times that", "processor ms", "times rag")
            headers += [f"{begun}{column}" for column in columns]
        headers += ["n"]
        yield from _table(headers, rows)


def _floor_part(records: Sequence[Record]) -> Iterator[str]:
    yield "Processor milliseconds of a question to rag, by stage (medians of 200), and what one core of this"
    yield "machine does at its best: float32 products of large matrices, and copying more than the caches hold."
    yield ""
    names = ("encoding", "vectors", "words", "texts", "rest", "all")
    groups = {
        size: [r for r in records if r["part"] == "floor" and r["passages"] == size]
        for size in _sizes(records, "floor")
    }
    cells = {size: [_median(r["stages_ms"][name] for r in group) for name in names] for size, group in groups.items()}
    yield from _table(
        ["articles", *names], [[f"{size:,}", *(f"{value:.2f}" for value in row)] for size, row in cells.items()]
    )
    last = [r for r in records if r["part"] == "floor"][-1]
    arithmetic, reading = last["mflop"] / last["gemm_gflops"], last["mb_read"] / last["copy_gb_s"]
    yield ""
    yield f"A question has {last['tokens']:.1f} tokens in the mean, and its encoding {last['mflop']:.0f} million"
    yield f"floating-point operations over {last['mb_read']:.1f} MB of weights. These operations would take"
    yield f"{arithmetic:.2f} ms in float32 at {last['gemm_gflops']:.0f} GFLOP a second, and reading the weights"
    yield f"{reading:.2f} ms at {last['copy_gb_s']:.1f} GB a second, where no cache holds them."


def _memory_part(records: Sequence[Record]) -> Iterator[str]:
    yield "MB resident at most, files that are mapped counted in; the largest of the rounds."
    yield ""
    columns = [(part, size) for part in ("index", "warm", "cold") for size in _sizes(records, part)]
    names = list(dict.fromkeys(r["system"] for r in records if "peak_mb" in r))
    rows = []
    for name in names:
        cells = []
        for part, size in columns:
            group = _grouped(records, part, size=size).get(name, [])
            peaks = [r["peak_mb"] for r in group if "peak_mb" in r]
            cells.append(f"{max(peaks):.0f}" if peaks else "–")
        rows.append([name, *cells])
    yield from _table(["", *(f"{part}, {size}" for part, size in columns)], rows)


def _size_part(records: Sequence[Record]) -> Iterator[str]:
    yield "MB. An environment holds Python's packages with torch's CPU build, and rag's its encoder and reader too."
    yield ""
    groups = _grouped(records, "size")
    sizes = _sizes(records, "size")
    rows = []
    for name, group in groups.items():
        cells = [[r["environment_mb"] for r in group if "environment_mb" in r]]
        cells += [[r["index_mb"] for r in group if r.get("passages") == size] for size in sizes]
        rows.append([name, *(f"{cell[-1]:,.0f}" if cell else "–" for cell in cells)])
    yield from _table(["", "environment", *(f"index, {size}" for size in sizes)], rows)


def _quality_part(records: Sequence[Record]) -> Iterator[str]:
    yield "nDCG@10 on SciFact's test questions, the 95 % interval by 10,000 resamplings of the questions."
    if any(r["system"] != "rag" for r in records if r["part"] == "quality") and SCIFACT in GIVEN_SIZES:
        yield f"The peers got the vectors of {ENCODER} in full, computed once by rag; rag encoded for itself."
    yield ""
    random = np.random.default_rng(SEED)
    rows = []
    for name, group in _grouped(records, "quality").items():
        gains = np.array(group[-1]["ndcg"])
        means = gains[random.integers(0, len(gains), (10_000, len(gains)))].mean(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        rows.append([name, f"{gains.mean():.3f}", f"{low:.3f} – {high:.3f}", str(len(gains))])
    yield from _table(["", "nDCG@10", "95 %", "n"], rows)


def _budget_part(records: Sequence[Record]) -> Iterator[str]:
    yield "What an answer is worth for which only so much is read, best first: how often the gold sentence comes first,"
    yield "and how well the confidence tells the answerable questions from the others (AUROC), with 95 % intervals."
    yield "Settings are tuned on these questions: they tell which budget to choose, not how good the answers are."
    yield "[BUDGET.md](BUDGET.md) has more, and what else bounds the reading."
    for name in dict.fromkeys(r["set"] for r in records if r["part"] == "budget"):
        group = [r for r in records if r["part"] == "budget" and r["set"] == name]
        yield ""
        yield f"{name}, n = {group[0]['questions']}:"
        yield ""
        yield from _table(
            [
                *("`reader.budget_tokens`", "as `reader.budget_ms` here", "tokens read", "processor ms"),
                *("gold sentence first", "AUROC"),
            ],
            [
                [
                    f"{r['bound']:,}",
                    *(f"{r[key]:.0f}" for key in ("budget_ms", "tokens", "ms")),
                    *(_interval(r[key], value) for key, value in (("right", "mean"), ("answerable", "value"))),
                ]
                for r in group
            ],
        )


def _interval(kept: Record | None, value: str) -> str:
    return f"{kept[value]:.3f} ({kept['low']:.3f} – {kept['high']:.3f})" if kept else "too few"


_SECTIONS: Sequence[tuple[str, str, Callable[[Sequence[Record]], Iterator[str]]]] = (
    ("cold", "A cold question", _cold_part),
    ("index", "Indexing", _index_part),
    ("warm", "Warm questions", _warm_part),
    ("index", "Memory", _memory_part),
    ("size", "On disk", _size_part),
    ("quality", "Quality, from the same code", _quality_part),
    ("budget", "Quality against the budget of reading", _budget_part),
    ("floor", "Where a warm question's time goes, and the floor", _floor_part),
)


def versions_of(bench: Bench) -> dict[str, str]:
    """Return the versions of what was measured, as the requirements pin them."""
    import rag

    packages = {"txtai": "txtai", "llama-index": "llama-index-core", "haystack": "haystack-ai", PLAIN: PLAIN}
    found = {"rag": rag.__version__}
    for system in bench.systems:
        if system.requirements is not None:
            pins = dict(line.split("==") for line in system.requirements.read_text().splitlines() if "==" in line)
            found[system.name] = pins[packages[system.name]]
    return found


def plot(records: Sequence[Record], target: Path) -> None:
    """Draw the medians: a cold question, indexing, warm questions; and quality against the budget of reading."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "rag"  # the same figures give the same file
    from matplotlib import pyplot as plt

    panels = [
        ("cold", "seconds", "a cold question, s", None),
        ("index", "seconds", "indexing, s", _most_compared(records, "index")),
        ("warm", "p50_ms", "a warm question, p50 ms", _most_compared(records, "warm")),
    ]
    drawn = [panel for panel in panels if _grouped(records, panel[0], size=panel[3])]
    curves = list(dict.fromkeys(r["set"] for r in records if r["part"] == "budget" and r["right"]))
    columns = len(drawn) + bool(curves)
    figure, axes = plt.subplots(1, columns, figsize=(4 * columns, 2.6), squeeze=False)
    for axis, (part, key, title, size) in zip(axes[0], drawn, strict=False):
        groups = _grouped(records, part, size=size)
        names = list(groups)[::-1]
        values = [_median(r[key] for r in groups[name]) for name in names]
        bars = axis.barh(names, values, color=["#2a6f97" if name.startswith("rag") else "#b0b7bf" for name in names])
        axis.bar_label(bars, fmt="%.3g", padding=2, fontsize=8)
        axis.set_title(title if size is None else f"{title} ({_named(size)})", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.margins(x=0.18)
        axis.spines[["top", "right"]].set_visible(False)
    for name, color in zip(curves, ("#2a6f97", "#c1666b"), strict=False):
        points = [r for r in records if r["part"] == "budget" and r["set"] == name]
        means = np.array([r["right"]["mean"] for r in points])
        ends = np.array([[r["right"]["low"], r["right"]["high"]] for r in points]).T
        axis = axes[0][-1]
        axis.errorbar(
            [r["budget_ms"] for r in points],
            means,
            yerr=np.abs(ends - means),
            color=color,
            label=name,
            marker="o",
            markersize=3,
            linewidth=1,
            capsize=2,
        )
        axis.set_title("gold sentence first, by budget_ms", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.legend(fontsize=7, frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)


def _most_compared(records: Sequence[Record], part: str) -> int | str | None:
    """Return the size at which the most systems were measured, the largest of these."""
    numbers = [size for size in _sizes(records, part) if size != SCIFACT]
    return max(numbers, key=lambda size: (len(_grouped(records, part, size=size)), size), default=None)


def main() -> None:
    """Measure the parts that are asked for, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {', '.join(PARTS)}")
    parser.add_argument("--systems", default="", help="rag and names of benchmarks/peers/requirements; all if left out")
    parser.add_argument("--passages", default=",".join(map(str, DEFAULT_SIZES)), help="sizes of the indexes")
    parser.add_argument("--given", default=",".join(map(str, GIVEN_SIZES)), help="sizes at which peers get vectors")
    parser.add_argument("--cores", type=int, default=0, help="hold warm questions to so many cores; 0: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--environments", type=Path, default=ROOT / "build" / "peers")
    parser.add_argument(
        "--report", action="store_true", help="measure nothing; write the report from what was measured"
    )
    options = parser.parse_args()
    wanted = [part for part in options.only.split(",") if part]
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    bench = Bench(
        data=options.data,
        work=options.work.absolute(),
        environments=options.environments.absolute(),
        passages=tuple(int(size) for size in options.passages.split(",")),
        given=tuple(int(size) if size.isdecimal() else size for size in options.given.split(",") if size),
        cores=options.cores,
        rounds=options.rounds,
        systems=systems(options.environments.absolute(), wanted=[s for s in options.systems.split(",") if s]),
    )
    bench.work.mkdir(parents=True, exist_ok=True)
    if not options.report:
        install_all(bench, ours="size" in wanted)
        # Compiled ahead, as an installed package is.
        subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "rag")], check=True)
        for part in wanted:
            MEASURES[part](bench)
    records = bench.records() + list(budget.curve(budget.read_kept()))
    if records:
        REPORT.write_text(
            report(records, command="python -m benchmarks.bench", versions=versions_of(bench)), encoding="utf-8"
        )
        plot(records, PLOT)


if __name__ == "__main__":
    main()
