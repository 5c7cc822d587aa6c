"""Whether a killed batch ends as an uninterrupted one, and what a question costs in it beside a cold ask.

    python -m benchmarks.batch --data ../shared/data --questions 500 --kills 5

The articles and the questions are those of the SQuAD 2.0 dev half. The answers are compared byte for byte, but for the
timings. Cold asks run in processes of their own, half of them before the batch and half after it.
"""

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RAG = [sys.executable, "-m", "rag"]
TIMINGS = re.compile(rb'"timings_ms": \{[^}]*\}')
SEED = 13


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
    parser.add_argument("--cold", type=int, default=8, help="questions asked in processes of their own")
    options = parser.parse_args()
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
        for _ in range(options.kills):
            batch([*command, str(work / "killed.jsonl")], killed_after=whole / (options.kills + 2))
            done = (work / "killed.jsonl").read_bytes().count(b"\n") if (work / "killed.jsonl").exists() else 0
            print(f"killed after {done} of {options.questions} answers")
        batch([*command, str(work / "killed.jsonl")])
        same = len({TIMINGS.sub(b"", (work / f"{name}.jsonl").read_bytes()) for name in ("whole", "killed")}) == 1
        lines = (work / "whole.jsonl").read_bytes().count(b"\n")
    each, alone = whole / options.questions, statistics.median(cold)
    print(f"{lines} answers; killed and taken up again, they are {'the same bytes' if same else 'NOT THE SAME'}")
    print(f"a question costs {each:.3f} s in the batch, {alone:.3f} s asked cold: {alone / each:.1f} times as much")
    sys.exit(0 if same and lines == options.questions else 1)


if __name__ == "__main__":
    main()
