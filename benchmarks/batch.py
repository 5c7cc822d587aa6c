"""Whether a killed batch ends as an uninterrupted one, and what a question costs in it beside a cold ask.

    python -m benchmarks.batch --data ../shared/data --questions 500 --kills 5

The articles and the questions are those of the SQuAD 2.0 dev half. The answers are compared byte for byte, but for the
timings. Cold asks run in processes of their own, half of them before the batch and half after it. Whatever else runs on
the cores changes the ratio, so the load is told too. What is shown goes into `benchmarks/BATCH.md`.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from rag import __version__
from rag.evaluation.statistics import estimate_statistic
from rag.models.runtime import usable_cores

REPORT = Path(__file__).with_name("BATCH.md")
RAG = [sys.executable, "-m", "rag"]
TIMINGS = re.compile(rb'"timings_ms": \{[^}]*\}')
SEED = 13
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Cost:
    """What a question costs: in the batch, and asked cold (median with its 95 % interval over so many)."""

    batch_s: float
    cold_s: float
    low_s: float
    high_s: float
    n: int

    def __str__(self) -> str:
        """Return it as a sentence."""
        return (
            f"A question costs {self.batch_s:.3f} s in the batch, and {self.cold_s:.3f} s asked cold "
            f"({self.low_s:.3f}–{self.high_s:.3f}, median of {self.n}): {self.cold_s / self.batch_s:.1f} times as much "
            f"({self.low_s / self.batch_s:.1f}–{self.high_s / self.batch_s:.1f})."
        )


def cost(*, batch_s: float, cold: Sequence[float]) -> Cost:
    """Return what a question costs, the interval of the median by bootstrap."""
    times = np.array(cold)
    median = estimate_statistic(lambda rows: float(np.median(times[rows])), len(times), resamples=RESAMPLES, seed=SEED)
    return Cost(batch_s, median.mean, median.low, median.high, median.n)


def write_set(file: Path, *, articles: Path, questions: Path, n: int) -> list[str]:
    """Write the articles and n of the questions, and return these."""
    articles.mkdir()
    asked = []
    for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
        paragraphs = article["paragraphs"]
        text = "\n\n".join(paragraph["context"] for paragraph in paragraphs)
        (articles / f"{article['title']}.md").write_text(f"# {article['title']}\n\n{text}\n", encoding="utf-8")
        asked += [(qa["id"], qa["question"]) for paragraph in paragraphs for qa in paragraph["qas"]]
    chosen = random.Random(SEED).sample(asked, n)
    rows = [json.dumps({"id": key, "question": question}) for key, question in chosen]
    questions.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return [question for _, question in chosen]


def batch(command: list[str], *, killed_after: float | None = None) -> float:
    """Run a batch, killing it after some seconds if told to; return how long it ran."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(killed_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return time.perf_counter() - started


def ask_cold(questions: list[str], *, index: Path) -> list[float]:
    """Return the seconds of each question asked in a process of its own; one that is declined counts too."""
    times = []
    for question in questions:
        started = time.perf_counter()
        subprocess.run([*RAG, "ask", question, "--index", str(index)], capture_output=True, check=False)
        times.append(time.perf_counter() - started)
    return times


def main() -> None:
    """Print what was compared and measured; fail if the answers differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--cold", type=int, default=16, help="questions asked in processes of their own")
    parser.add_argument("--dry-run", action="store_true", help="print, and write nothing")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        questions, index = work / "questions.jsonl", work / "index"
        file = options.data / "reading" / "squad2_dev_half.json"
        asked = write_set(file, articles=work / "articles", questions=questions, n=options.questions)
        subprocess.run([*RAG, "index", str(work / "articles"), "--index", str(index), "--quiet"], check=True)
        command = [*RAG, "batch", str(questions), "--index", str(index), "-o"]
        cold = ask_cold(asked[: options.cold // 2], index=index)
        whole = batch([*command, str(work / "whole.jsonl")])
        cold += ask_cold(asked[options.cold // 2 : options.cold], index=index)
        kills = []
        for _ in range(options.kills):
            batch([*command, str(work / "killed.jsonl")], killed_after=whole / (options.kills + 2))
            done = (work / "killed.jsonl").read_bytes().count(b"\n") if (work / "killed.jsonl").exists() else 0
            kills.append(done)
        batch([*command, str(work / "killed.jsonl")])
        same = len({TIMINGS.sub(b"", (work / f"{name}.jsonl").read_bytes()) for name in ("whole", "killed")}) == 1
        lines = (work / "whole.jsonl").read_bytes().count(b"\n")
    found = "the same bytes, but for the timings" if same else "NOT THE SAME"
    after = ", ".join(map(str, kills))
    told = [
        f"{lines} answers. Killed after {after} of them and taken up again, they are {found}.",
        str(cost(batch_s=whole / options.questions, cold=cold)),
    ]
    print(*told, sep="\n")
    if not options.dry_run:
        about = (
            f"Written by `python -m benchmarks.batch --questions {options.questions} --kills {options.kills} --cold "
            f"{options.cold}` on {datetime.now(UTC).date().isoformat()}, rag {__version__}, {usable_cores()} cores, "
            f"load before it {load:.1f}. The time of the batch includes its start."
        )
        REPORT.write_text("\n\n".join(["# A set of questions beside cold asks", about, *told]) + "\n", encoding="utf-8")
    sys.exit(0 if same and lines == options.questions else 1)


if __name__ == "__main__":
    main()
