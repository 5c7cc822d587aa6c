"""How far behind the quoted sentence are others that answer, and others that do not.

    python -m training.relevance

Over the dev half of the questions about `seeds/`, and those about the reports of `training/news/` that are kept apart
and can be asked all at once: for each answerable question whose gold sentence is among the sentences that the judge
reads again, the logit of each by itself, less that of the best one. Printed is, by distance, which share of each kind
is not farther behind. The bar in `rag/answering/relevance.py` was chosen on it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rag.answering import Finding, Reading
from rag.building import index_articles
from rag.config import load_config
from rag.engine import Engine
from rag.models.reader import SHIPPED, Page, Reader
from training.news import is_held_out, list_reports

ROOT = Path(__file__).parents[1]
DISTANCES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)


def read_questions(files: Sequence[Path]) -> Iterator[tuple[str, list[str]]]:
    """Yield the answerable questions of some files with their gold quotes, the test half left out."""
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["answerable"] and row.get("split") != "test":
                yield row["question"], [evidence["quote"] for evidence in row["evidence"]]


def distances(engine: Engine, reader: Reader, question: str, gold: Sequence[str]) -> tuple[float, list[float]] | None:
    """Return how far behind the best sentence the best gold one is, and each other one; None without a gold one."""
    found = engine.search(question)
    readings = [Reading(hit, found.articles[hit.passage.article]) for hit in found.ranking.hits]
    findings = engine.judge.judge(question, readings).findings
    logits = [reader.read(question, [Page(finding.text)])[0].answerable for finding in findings]
    mine = [_is_gold(finding, gold) for finding in findings]
    if not any(mine):
        return None
    behind = [logits[0] - logit for logit in logits]
    best = min(far for far, is_gold in zip(behind, mine, strict=True) if is_gold)
    return best, [far for far, is_gold in zip(behind, mine, strict=True) if not is_gold]


def _is_gold(finding: Finding, gold: Sequence[str]) -> bool:
    return any(finding.text in quote or quote in finding.text for quote in gold)


def main() -> int:
    """Print the shares."""
    reader = Reader(SHIPPED)
    answering: list[float] = []
    others: list[float] = []
    questions = sorted({report.with_name(f"{report.stem}.jsonl") for report in list_reports()})
    for articles, files in (
        ([ROOT / "seeds"], [ROOT / "seeds" / "questions.jsonl"]),
        (list_reports(), [file for file in questions if file.exists() and is_held_out(file.with_suffix(".md").name)]),
    ):
        with tempfile.TemporaryDirectory() as index:
            config = load_config(file=ROOT / "config.yaml", overrides={"index": index}, environment={}, cwd=ROOT)
            index_articles(config, articles)
            with Engine(config) as engine:
                for question, gold in read_questions(files):
                    if (found := distances(engine, reader, question, gold)) is not None:
                        answering.append(found[0])
                        others += found[1]
    print(f"{len(answering)} sentences that answer, {len(others)} others near them")
    for distance in DISTANCES:
        shares = [float(np.mean(np.array(kind) <= distance)) for kind in (answering, others)]
        print(f"at most {distance:.1f} behind: {shares[0]:.3f} of those that answer, {shares[1]:.3f} of the others")
    return 0


if __name__ == "__main__":
    sys.exit(main())
