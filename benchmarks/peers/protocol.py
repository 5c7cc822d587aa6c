"""What every system under the benchmark does on the command line, so that all of them do the same work.

    python PEER.py build MODEL ARTICLES.jsonl FOLDER [VECTORS.npy]
                                                           index rows {"id", "title", "text"} into FOLDER
    python PEER.py ask MODEL FOLDER QUESTION               print the ids of the ten best, from a cold start
    python PEER.py serve MODEL FOLDER QUESTIONS.jsonl      ask all of {"id", "question"}, and time each

`build` and `serve` print one JSON object. A peer's module has two functions: `build(model, rows, folder, vectors)`,
where `vectors` (n, dim) are the rows' own, or None if they are to be encoded, and `open_index(model, folder)`, which
returns the function that ranks: question and number in, ids out, best first. `serve` asks one question after another,
then from eight threads at once for some seconds, as a server would.
Runs in the peer's own environment, so nothing but the standard library is imported here.
"""

import itertools
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

K = 10
WARM_UP = 5
CLIENTS, AT_ONCE_S = 8, 5


def text_of(row):
    """Return what is indexed of a row: the title, then the text."""
    return f"{row['title']}\n{row['text']}".strip()


def read_rows(file):
    """Return the objects of a JSONL file."""
    return [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]


def many_at_once(rank, questions):
    """Return how many questions a second are answered when several are asked at once, and how long each takes."""
    waiting = itertools.cycle(questions)
    ends = time.perf_counter() + AT_ONCE_S

    def ask(_client):
        seconds = []
        while (started := time.perf_counter()) < ends:
            rank(next(waiting), K)
            seconds.append(time.perf_counter() - started)
        return seconds

    started, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(CLIENTS) as clients:
        try:
            seconds = [took for client in clients.map(ask, range(CLIENTS)) for took in client]
        except Exception as error:  # noqa: BLE001  # a peer that cannot be asked so is said to be one
            return {"clients": CLIENTS, "error": f"{type(error).__name__}: {error}"[:200]}
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        "clients": CLIENTS,
        "a_second": len(seconds) / wall,
        "cpu_ms": cpu * 1000 / len(seconds),
        "seconds": seconds,
    }


def main(build, open_index):
    """Do what the arguments say."""
    verb, model, *rest = sys.argv[1:]
    if verb == "build":
        rows = read_rows(rest[0])
        vectors = None
        if rest[2:]:
            import numpy as np

            vectors = np.load(rest[2])
        started = time.perf_counter()
        build(model, rows, Path(rest[1]), vectors)
        print(json.dumps({"seconds": time.perf_counter() - started, "articles": len(rows)}))
    elif verb == "ask":
        print("\n".join(open_index(model, Path(rest[0]))(rest[1], K)))
    else:
        rank = open_index(model, Path(rest[0]))
        questions = read_rows(rest[1])
        for row in questions[:WARM_UP]:
            rank(row["question"], K)
        times, run = [], {}
        cpu = time.process_time()
        for row in questions:
            started = time.perf_counter()
            ids = rank(row["question"], K)
            times.append(time.perf_counter() - started)
            run[row["id"]] = list(ids)
        cpu = (time.process_time() - cpu) / len(questions)
        many = many_at_once(rank, [row["question"] for row in questions])
        print(json.dumps({"seconds": times, "cpu_s": cpu, "run": run, "many": many}))
