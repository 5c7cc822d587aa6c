"""What a question to rag is made of, and what this machine does at its best; prints one JSON object.

    python floor.py MODEL FOLDER QUESTIONS.jsonl

The floors are those of one core, so run it with OPENBLAS_NUM_THREADS=1: a large product of float32 matrices, and
copying more than the caches hold. Milliseconds are medians over the questions, processor time of the whole process.
"""

import functools
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from protocol import WARM_UP, K, read_rows

from rag.config import load_config
from rag.engine import Engine

SIDE, COPIED_BYTES, ROUNDS = 1536, 256 * 2**20, 5


def best(work):
    """Return the least seconds that some work takes."""
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return min(took)


def machine():
    """Return what a core does at its best: GFLOP and GB a second."""
    one, other = (np.random.default_rng(n).random((SIDE, SIDE), np.float32) for n in (1, 2))
    source = np.ones(COPIED_BYTES // 4, np.float32)
    target = np.empty_like(source)
    return {
        "gemm_gflops": 2 * SIDE**3 / best(lambda: one @ other) / 1e9,
        "copy_gb_s": COPIED_BYTES / best(lambda: np.copyto(target, source)) / 1e9,
    }


class Clock:
    """Adds up what calls of methods take, by name."""

    def __init__(self):
        self.spent = {}

    def around(self, thing, method, name):
        """Time every call of a method."""
        plain = getattr(thing, method)

        @functools.wraps(plain)
        def timed(*arguments, **options):
            started = time.process_time()
            try:
                return plain(*arguments, **options)
            finally:
                self.spent[name] = self.spent.get(name, 0.0) + time.process_time() - started

        object.__setattr__(thing, method, timed)


def main():
    """Time the questions, stage by stage."""
    _, folder, questions = sys.argv[1:]
    settings = {"index": folder, "retrieval.k": str(K)}
    engine = Engine(load_config(file=Path(os.devnull), overrides=settings, environment={}, cwd=Path(folder)))
    asked = [row["question"] for row in read_rows(questions)]
    for question in asked[:WARM_UP]:
        engine.search(question)
    clock = Clock()
    clock.around(engine.encoder, "encode_queries", "encoding")
    clock.around(engine.index.vectors, "search", "vectors")
    clock.around(engine.index.lexical, "search", "words")
    for method in ("passages", "passage_texts", "articles"):
        clock.around(engine.index.store, method, "texts")
    rows = []
    for question in asked:
        clock.spent = {}
        started = time.process_time()
        engine.search(question)
        whole = time.process_time() - started
        rows.append({**clock.spent, "all": whole, "rest": whole - sum(clock.spent.values())})
    stages = {name: float(np.median([row.get(name, 0.0) for row in rows]) * 1000) for name in rows[0]}
    exported = engine.encoder._questions or engine.encoder.exported  # noqa: SLF001  # nobody else needs to know
    tokens = np.mean([len(ids) for ids, _ in engine.encoder._tokens(asked)])  # noqa: SLF001
    weights, products, bytes_read = weights_of(exported.model)
    told = {
        "stages_ms": stages,
        "tokens": float(tokens),
        "weights": weights,
        "mflop": 2 * products * float(tokens) / 1e6,
        "mb_read": bytes_read / 1e6,
    }
    print(json.dumps(told | machine()))


def weights_of(file):
    """Return how many numbers a graph holds, how many of them are multiplied with each token, and their bytes."""
    import onnx

    graph = onnx.load(str(file), load_external_data=False).graph
    sizes = {tensor.name: (int(np.prod(tensor.dims)), tensor.data_type) for tensor in graph.initializer}
    products = bytes_read = 0
    for node in graph.node:
        if node.op_type not in {"MatMul", "MatMulNBits"}:
            continue
        for name in node.input[1:3]:
            if name in sizes:
                numbers, kind = sizes[name]
                width = onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize
                bytes_read += numbers * width
                products += numbers if name == node.input[1] else 0
    return sum(numbers for numbers, _ in sizes.values()), products, bytes_read


if __name__ == "__main__":
    main()
