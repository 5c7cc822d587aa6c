"""What it would bring to rank passages anew by reading them: by set, and by how many are read.

    python -m benchmarks.rerank                          all sets, 300 questions of each; writes the report
    python -m benchmarks.rerank --only scifact --limit 0 every question of one set, printed alone
    python -m benchmarks.rerank --limit 20               a quick look

The best passages of the fusion are read with the question, and the reader's logit is mixed with the fused score, both
stretched to 0..1 over those that were read; what was not read stays below. The weight of the mixture is chosen on one
half of a set's questions and counted on the other, both ways, so that no question has a part in its own weight.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.quality import DATA, ROOT, SETS, Set, table
from rag import __version__
from rag.config import Config, load_config
from rag.engine import Engine
from rag.errors import RagError
from rag.evaluation.datasets import Dataset, limited, read_dataset
from rag.evaluation.measures import best_passages, ranking_measures
from rag.evaluation.statistics import Difference, Estimate, estimate_mean, paired_difference
from rag.loading import encoder_of, reader_of
from rag.models.encoder import Encoder
from rag.models.foreign import ForeignReader
from rag.models.reader import Page, Reader
from rag.passages import header
from rag.progress import Reporting, StageProgress
from rag.retrieval import min_max
from rag.scoring import indexed, with_settings

REPORT = ROOT / "benchmarks" / "RERANK.md"
COUNTS = (5, 10, 20, 30)
WEIGHTS = tuple(step / 10 for step in range(11))
MEASURE = "nDCG@10"
LIMIT = 300
DEV = Set("seeds", "dev half", lambda _: read_dataset(ROOT / "seeds" / "questions.jsonl", split="dev"), answers=False)
CHOSEN: Mapping[str, Set] = {
    "scifact": SETS["scifact"],
    "squad": SETS["squad"],
    "clapnq": SETS["clapnq"],
    "seeds-dev": DEV,
}


@dataclass(frozen=True, slots=True)
class Read:
    """A question's fused passages, best first: their articles and scores, and by count the logits of the first ones.

    `ms` is what it took of a processor to read so many, whatever the number of cores.
    """

    id: str
    articles: tuple[str, ...]
    fused: tuple[float, ...]
    logits: Mapping[int, tuple[float, ...]]
    ms: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Gain:
    """What reading `count` passages brought: the weights that either half chose, both means, their difference."""

    count: int
    weights: tuple[float, float]
    fusion: Estimate
    reranked: Estimate
    difference: Difference
    ms: float


def read_all(config: Config, dataset: Dataset, *, encoder: Encoder, reporting: Reporting) -> Iterator[Read]:
    """Yield for every question that has judged articles what the fusion found and what the reader thinks of it."""
    most = max(COUNTS)
    deep = with_settings(config, {"retrieval.k": str(most)}, where="rerank")
    reader = reader_of(config, reporting.notify)
    if reader is None:
        raise ValueError("the settings name no reader")
    found = indexed(deep, dataset, reporting=reporting, encoder=encoder, apart=True)
    questions = [question for question in dataset.questions if str(question.id) in dataset.qrels]
    with Engine(found, reporting=reporting, encoder=encoder) as engine:
        for done, question in enumerate(questions, start=1):
            yield _read(engine, reader, str(question.id), question.question)
            reporting.progress("reading", done, len(questions))


def _read(engine: Engine, reader: Reader | ForeignReader, name: str, question: str) -> Read:
    found = engine.search(question)
    pages = []
    for hit in found.ranking.hits:
        head = f"{header(found.articles[hit.passage.article])}\n"
        pages.append(Page(head + found.ranking.texts[hit.passage.id], len(head)))
    logits: dict[int, tuple[float, ...]] = {}
    spent: dict[int, float] = {}
    known: tuple[float, ...] = ()
    started = time.process_time()  # other work beside it counts little, and the clock would count it in
    for count in COUNTS:  # each goes on where the one before ended, so that no passage is read twice
        known += tuple(reading.answerable for reading in reader.read(question, pages[len(known) : count]))
        logits[count] = known
        spent[count] = (time.process_time() - started) * 1000
    articles = tuple(hit.passage.article for hit in found.ranking.hits)
    return Read(name, articles, tuple(hit.score for hit in found.ranking.hits), logits, spent)


def reranked(read: Read, *, count: int, weight: float) -> list[tuple[str, float]]:
    """Return (article, score), best first, when the first `count` passages are ranked anew; ties keep their order."""
    logits = np.array(read.logits[count], dtype=np.float32)
    first = np.array(read.fused[: len(logits)], dtype=np.float32)
    mixed = min_max(logits, first, dense_weight=weight) if len(logits) else np.zeros(0)
    order = [*sorted(range(len(logits)), key=lambda place: (-mixed[place], place))]
    order += range(len(logits), len(read.articles))
    return [(read.articles[place], float(len(order) - rank)) for rank, place in enumerate(order)]


def scored(reads: Sequence[Read], qrels: Mapping[str, Mapping[str, int]], *, count: int, weight: float) -> list[float]:
    """Return each question's measure, in their order."""
    judged = {read.id: qrels[read.id] for read in reads}
    run = {read.id: best_passages(reranked(read, count=count, weight=weight)) for read in reads}
    values = ranking_measures([MEASURE], qrels=judged, run=run)
    return [values[read.id][MEASURE] for read in reads]


def gain(reads: Sequence[Read], qrels: Mapping[str, Mapping[str, int]], *, count: int) -> Gain:
    """Return what reading so many passages brings, each half of the questions under the weight that the other chose."""
    by_weight = {weight: np.array(scored(reads, qrels, count=count, weight=weight)) for weight in WEIGHTS}
    half = np.array([zlib.crc32(read.id.encode()) % 2 == 0 for read in reads])
    after, chosen = by_weight[0.0].copy(), []
    for own, other in ((half, ~half), (~half, half)):
        # The least weight of those that do best: where reading does not help, none.
        best = max(WEIGHTS, key=lambda weight: (float(by_weight[weight][other].sum()), -weight)) if other.any() else 0.0
        after[own] = by_weight[best][own]
        chosen.append(best)
    before = by_weight[0.0].tolist()
    return Gain(
        count=count,
        weights=(chosen[0], chosen[1]),
        fusion=estimate_mean(before),
        reranked=estimate_mean(after.tolist()),
        difference=paired_difference(before, after.tolist()),
        ms=statistics.median(read.ms[count] for read in reads),
    )


def measured(
    config: Config, data: Path, *, only: Sequence[str], limit: int, reporting: Reporting
) -> Iterator[tuple[Set, list[Gain]]]:
    """Yield for each set that is there what reading brings, by how many passages are read."""
    encoder = encoder_of(config, reporting.notify)
    for key in only:
        chosen = CHOSEN[key]
        try:
            whole = chosen.read(data)
        except (OSError, RagError):
            reporting.notify(f"{chosen.name}: its files are not in {data}")
            continue
        dataset = limited(whole, limit or None)
        reads = list(read_all(config, dataset, encoder=encoder, reporting=reporting))
        qrels = {name: judged for name, judged in dataset.qrels.items() if judged}
        kept = [read for read in reads if read.id in qrels]
        yield chosen, [gain(kept, qrels, count=count) for count in COUNTS]


def rows_of(chosen: Set, gains: Sequence[Gain]) -> list[list[str]]:
    """Return the table's rows of a set."""
    return [
        [
            f"{chosen.name} ({chosen.about})",
            str(one.fusion.n),
            str(one.count),
            f"{one.weights[0]:.1f}, {one.weights[1]:.1f}",
            shown(one.fusion),
            shown(one.reranked),
            f"{shown(one.difference, sign='+')} p={one.difference.p:.3f}",
            f"{one.ms:.0f}",
        ]
        for one in gains
    ]


def shown(about: Estimate | Difference, *, sign: str = "") -> str:
    """Return a mean with its interval."""
    return f"{about.mean:{sign}.3f} ({about.low:{sign}.3f}–{about.high:{sign}.3f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rerank", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the public sets")
    parser.add_argument("--only", nargs="+", choices=list(CHOSEN), default=list(CHOSEN), help="these sets alone")
    parser.add_argument("--limit", type=int, default=LIMIT, help="most questions of each set; 0: all")
    parser.add_argument("--reader", default="shipped", help="shipped, a folder, or a hub id")
    parser.add_argument("--dry-run", action="store_true", help="print, and write nothing, as with any of the above")
    options = parser.parse_args(arguments)
    base = load_config(file=ROOT / "config.yaml", overrides={}, environment=os.environ, cwd=ROOT)
    config = with_settings(base, {"reader.model": options.reader}, where="--reader")
    found: dict[str, list[Gain]] = {}
    rows: list[list[str]] = []
    with StageProgress(quiet=False) as progress:
        reporting = Reporting(notify=progress.notify, progress=progress)
        for chosen, gains in measured(
            config, options.data, only=options.only, limit=options.limit, reporting=reporting
        ):
            rows += rows_of(chosen, gains)
            found[chosen.name] = gains
        reader = reader_of(config, reporting.notify)
    name = "none" if reader is None else f"{reader.name} ({reader.revision[:12]})"
    text = report(rows, reader=name, conclusion=conclude(found))
    print(text)
    whole = (options.only, options.limit, options.reader) == (list(CHOSEN), LIMIT, "shipped")
    if whole and not options.dry_run:
        REPORT.write_text(text, encoding="utf-8")
    return 0


def conclude(found: Mapping[str, Sequence[Gain]]) -> str:
    """Return on which sets ranking anew helps and hurts, as far as the intervals of the differences tell."""
    helps, hurts = (
        [name for name, gains in found.items() if any(tells(one) for one in gains)]
        for tells in (lambda one: one.difference.low > 0, lambda one: one.difference.high < 0)
    )
    unclear = [name for name in found if name not in {*helps, *hurts}]
    told = zip(("better", "worse", "not told apart"), (helps, hurts, unclear), strict=True)
    return "; ".join(f"{how}: {', '.join(names) or 'none'}" for how, names in told)


def report(rows: Sequence[Sequence[str]], *, reader: str, conclusion: str) -> str:
    """Return the report."""
    columns = ("set", "n", "read", "weights", "fusion", "reranked", "difference", "processor ms")
    return (
        "# Ranking anew by reading\n\n"
        f"Written by `python -m benchmarks.rerank` on {datetime.now(UTC).date().isoformat()}, rag {__version__}, "
        f"reader {reader}.\n\n"
        f"{MEASURE} of articles by their best passage, with 95 % intervals, over the n questions that have judged "
        "articles. The first passages of the fusion are read and ranked by a mixture of the reader's logit and the "
        "fused score; the two weights of the logit were each chosen on one half of the questions and counted on the "
        "other. Processor milliseconds, of this machine and in all, are medians a question; by the clock it is a share "
        "of that, as each core reads a pair of its own.\n\n"
        f"{table(columns, rows)}\n\n"
        f"At one of these numbers at least, by the interval of the difference: {conclusion}. Neither `rag search` nor "
        "the choice of the passages that are read ranks anew by reading; it would have to help to become a default.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
