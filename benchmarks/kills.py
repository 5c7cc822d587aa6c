"""What an index survives, and what a change costs: kill -9 at random moments, and one changed article of a thousand.

    python -m benchmarks.kills --data ../shared/data

Both use the encoder that ships and whole `rag index` processes. The articles are SciFact's abstracts, four to an
article in the first part. Writes KILLS.md beside this file.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RAG = [sys.executable, "-m", "rag"]
SEED = 12
HERE = Path(__file__).parent


def write_articles(corpus: Path, folder: Path, *, count: int, abstracts: int) -> None:
    """Write articles of so many abstracts each."""
    folder.mkdir(parents=True)
    with corpus.open(encoding="utf-8") as stream:
        rows = [json.loads(line) for line, _ in zip(stream, range(count * abstracts), strict=False)]
    for number in range(count):
        part = rows[number * abstracts : (number + 1) * abstracts]
        text = "\n\n".join(f"{row['title']}\n\n{row['text']}" for row in part)
        (folder / f"article-{number:04}.md").write_text(f"# Article {number}\n\n{text}\n", encoding="utf-8")


def run(arguments: list[object], *, check: bool = True) -> tuple[str, float]:
    """Run `rag` to its end; return what it printed, and the seconds."""
    started = time.perf_counter()
    done = subprocess.run([*RAG, *map(str, arguments)], capture_output=True, text=True, check=check)
    return done.stdout, time.perf_counter() - started


def state(index: Path) -> dict[str, object] | None:
    """Return what `rag status` tells of an index, None where there is none yet."""
    out, _ = run(["status", "--index", index, "--json"], check=False)
    return json.loads(out) if out else None


def build(folder: Path, index: Path, log: Path) -> None:
    """Run `rag index` in this process; every batch is counted in a file before it is encoded."""
    from rag.cli import main as command
    from rag.models.encoder import Encoder, Tokens

    encode = Encoder.encode_list

    def counted(self: Encoder, tokens: Sequence[Tokens], *, before: int) -> NDArray[np.float32]:
        with log.open("a") as stream:
            stream.write(f"{len(tokens)}\n")
        return encode(self, tokens, before=before)

    Encoder.encode_list = counted
    sys.exit(command(["index", str(folder), "--index", str(index), "--quiet"]))


def batches(log: Path) -> list[int]:
    """Return the sizes of the batches that were begun."""
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def kill(corpus: Path, work: Path, *, articles: int, kills: int) -> list[str]:
    """Kill builds; return what is to be told of it."""
    rng = random.Random(SEED)
    folder, index, whole, log = work / "articles", work / "index", work / "whole", work / "log"
    write_articles(corpus, folder, count=articles, abstracts=4)
    command = [sys.executable, "-m", "benchmarks.kills", "--build", str(folder)]
    started = time.perf_counter()
    subprocess.run([*command, str(whole), str(work / "whole.log")], check=True)
    seconds = time.perf_counter() - started
    expected = state(whole)
    passages = sum(batches(work / "whole.log"))
    rows = []
    for number in range(kills):
        before = len(batches(log))
        process = subprocess.Popen([*command, str(index), str(log)])
        # Some die while articles are read, most while passages are encoded.
        if number % 4:
            while process.poll() is None and len(batches(log)) == before:
                time.sleep(0.01)
            moment = rng.uniform(0, seconds / kills)
        else:
            moment = rng.uniform(0.2, 2)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            raise SystemExit("a build ended before it was killed: give more articles")
        found = state(index)
        if found is not None:
            raise SystemExit("there is an index although no build has ended")
        begun = batches(log)[before:]
        rows.append(f"| {number + 1} | {moment:.2f} | {'encoding' if number % 4 else 'the start'} | {sum(begun)} |")
    subprocess.run([*command, str(index), str(log)], check=True)
    found = state(index)
    if any(found[key] != expected[key] for key in ("index", "articles", "passages", "failed")):
        raise SystemExit("the index ended differently")
    made, largest = sum(batches(log)), max(batches(log))
    return [
        f"{kills} kills at random moments of builds over {articles} articles. None left a broken index, and the run",
        "after them ended with the same articles, passages and content hash as an uninterrupted build.",
        "",
        f"**{passages} passages were to be encoded, {made} were: {made - passages} twice**.",
        f"A batch is at most {largest} passages.",
        "",
        "| kill | seconds | after | passages that were begun |",
        "|---|---|---|---|",
        *rows,
    ]


def touch(corpus: Path, work: Path, *, articles: int) -> list[str]:
    """Change one article; return what is to be told of it."""
    folder, index = work / "thousand", work / "thousand-index"
    write_articles(corpus, folder, count=articles, abstracts=1)
    first, first_s = run(["index", folder, "--index", index])
    changed = folder / f"article-{articles // 2:04}.md"
    changed.write_text(changed.read_text(encoding="utf-8") + "\nOne sentence more was added today.\n", encoding="utf-8")
    second, second_s = run(["index", folder, "--index", index])
    _, third_s = run(["index", folder, "--index", index])
    share = second_s / first_s
    return [
        f"| run over {articles} articles | seconds | share of the first | `rag index` says |",
        "|---|---|---|---|",
        f"| first | {first_s:.1f} | | {first.strip().splitlines()[-1]} |",
        f"| one article changed | {second_s:.1f} | {share:.1%} | {second.strip().splitlines()[-1]} |",
        f"| nothing changed | {third_s:.1f} | {third_s / first_s:.1%} | |",
    ]


def main() -> None:
    """Measure both, and write them down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--articles", type=int, default=65, help="articles of the builds that are killed")
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--many", type=int, default=1000, help="articles of which one is changed")
    parser.add_argument("--build", type=Path, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        build(*options.build)
    corpus = options.data / "scifact" / "corpus.jsonl"
    with tempfile.TemporaryDirectory() as temporary:
        killed = kill(corpus, Path(temporary), articles=options.articles, kills=options.kills)
        touched = touch(corpus, Path(temporary), articles=options.many)
    lines = [
        "# Kills, and one changed article",
        "",
        f"Measured by `python -m benchmarks.kills`, {time.strftime('%Y-%m-%d')}.",
    ]
    lines += ["", "## Kills", "", *killed, "", "## One changed article", "", *touched, ""]
    (HERE / "KILLS.md").write_text("\n".join(lines), encoding="utf-8")
    sys.stdout.write("\n".join([*killed, "", *touched, ""]))


if __name__ == "__main__":
    main()
