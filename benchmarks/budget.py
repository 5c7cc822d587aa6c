"""What an answer is worth that may read only so much: quality against the budget of reading, on questions to tune on.

    python -m benchmarks.budget                  both sets, some minutes; writes benchmarks/BUDGET.md
    python -m benchmarks.budget --clock          what budgets in milliseconds come to by the clock; a minute
    python -m benchmarks.budget --limit 40       a quick look at so many questions of each set, and nothing written

The questions are the dev half of `seeds/questions.jsonl` and those about the invented news that the reader was not
trained on. Every pair is read once, and each budget is given what it pays for. The calibration is the one that ships,
fitted under the default budget. What is measured is kept in benchmarks/budget.json, from which `benchmarks.bench`
puts the curve into its report.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import ROOT, table
from rag import __version__
from rag.answering.judging import Reading
from rag.answering.reading import Budget, PassageReader, ReaderJudge
from rag.building import index_articles
from rag.config import Config
from rag.engine import Engine
from rag.evaluation.statistics import Difference, Estimate, estimate_mean, paired_difference
from rag.models.reader import SHIPPED, Page, PassageReading, Reader
from rag.models.runtime import side_by_side, usable_cores
from rag.models.speed import Speed, reading_speed
from rag.sweeping import RememberingReader
from training.answerer import Asked, configured, held_out_news, is_right, seed_questions
from training.measures import Figure, bootstrap_auroc
from training.news import list_reports

REPORT, KEPT = ROOT / "benchmarks" / "BUDGET.md", ROOT / "benchmarks" / "budget.json"
MILLISECONDS = (10, 20, 40, 80, 160)
TOKENS = (300, 500, 700, 1000, 1400, 2000)
WIDER = (
    ("12 sentences", {"sentences": 12}),
    ("share .8", {"share": 0.8}),
    ("share .6", {"share": 0.6}),
    ("every passage found", {"share": 0.0}),
    ("6 passages, 12 sentences", {"passages": 6, "share": 0.0, "sentences": 12}),
)
_ALL = 1_000_000
_BOUNDED = " tokens"  # what the name of a budget in tokens ends with


Kept = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a pair took that was read: its tokens, and milliseconds of a processor."""

    tokens: int
    ms: float


class Timing:
    """A reader that reads pairs side by side, one on each core, and notes what each of them took."""

    def __init__(self, reader: PassageReader) -> None:
        self._reader = reader
        self.name, self.revision, self.sizes = reader.name, reader.revision, reader.sizes
        self.costs: dict[tuple[str, Page], Cost] = {}

    def read(self, question: str, passages: Sequence[Page]) -> list[PassageReading]:
        """Return what each passage has to say."""
        return side_by_side(lambda page: self._read(question, page), passages, threads=usable_cores())

    def _read(self, question: str, page: Page) -> PassageReading:
        started = time.thread_time()
        (reading,) = self._reader.read(question, [page])
        spent = (time.thread_time() - started) * 1000
        self.costs[question, page] = Cost(self._reader.sizes(question, [page])[0], spent)
        return reading


class Charging(RememberingReader):
    """A reader that reads no pair twice, and notes in `taken` what a question would have taken without that."""

    def __init__(self, reader: PassageReader) -> None:
        self._timing = Timing(reader)
        super().__init__(self._timing)
        self.taken: list[Cost] = []

    def read(self, question: str, passages: Sequence[Page]) -> list[PassageReading]:
        """Return what each passage has to say, read now or before."""
        readings = super().read(question, passages)
        self.taken += [self._timing.costs[question, page] for page in passages]
        return readings


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one question came to: is the best sentence gold, how confident, and what was read for it."""

    answerable: bool
    right: bool
    confidence: float
    pairs: int
    tokens: int
    ms: float


@dataclass(frozen=True, slots=True)
class Row:
    """A budget on a set: what was read on average, and the quality beside that of the whole budget.

    What a small sample cannot tell is None.
    """

    name: str
    pairs: float
    tokens: float
    ms: float
    right: Estimate | None
    less: Difference | None
    answerable: Figure | None


def budgets(default: Budget) -> dict[str, Budget]:
    """Return what is compared, the default without a bound on tokens first."""
    whole = replace(default, tokens=_ALL)
    bounded = {f"{tokens}{_BOUNDED}": replace(default, tokens=tokens) for tokens in TOKENS}
    wider = {name: replace(whole, **changes) for name, changes in WIDER}
    return {"no bound": whole, **bounded, **wider}


def ask(judge: ReaderJudge, reader: Charging, asked: Asked, readings: Sequence[Reading]) -> Outcome:
    """Return what a question comes to under the judge's budget."""
    reader.taken.clear()
    verdict = judge.judge(asked.question, readings)
    right = bool(verdict.findings) and is_right(verdict.findings[0], asked)
    tokens, ms = sum(cost.tokens for cost in reader.taken), sum(cost.ms for cost in reader.taken)
    return Outcome(asked.answerable, right, verdict.confidence, len(reader.taken), tokens, ms)


def measured(
    config: Config, questions: Sequence[Asked], *, reader: PassageReader, default: Budget
) -> Iterator[tuple[str, list[Outcome]]]:
    """Yield what the questions come to under each budget."""
    with Engine(config) as engine:
        asked = []
        for question in questions:
            found = engine.search(question.question)
            asked.append((question, [Reading(hit, found.articles[hit.passage.article]) for hit in found.ranking.hits]))
        charging = Charging(reader)
        for name, budget in budgets(default).items():
            judge = ReaderJudge(charging, rarity=engine.index.lexical.rarity, budget=budget)
            yield name, [ask(judge, charging, question, readings) for question, readings in asked]


def row_of(name: str, outcomes: Sequence[Outcome], *, whole: Sequence[Outcome]) -> Row:
    """Return a budget's figures; `whole` is what the same questions come to without a bound on tokens."""
    pairs = [(one.right, other.right) for one, other in zip(outcomes, whole, strict=True) if one.answerable]
    return Row(
        name=name,
        pairs=float(np.mean([one.pairs for one in outcomes])),
        tokens=float(np.mean([one.tokens for one in outcomes])),
        ms=float(np.mean([one.ms for one in outcomes])),
        right=estimate_mean([float(one) for one, _ in pairs]) if pairs else None,
        less=paired_difference([float(other) for _, other in pairs], [float(one) for one, _ in pairs])
        if pairs
        else None,
        answerable=bootstrap_auroc([one.confidence for one in outcomes], [one.answerable for one in outcomes])
        if 0 < len(pairs) < len(outcomes)
        else None,
    )


def timed(
    config: Config, questions: Sequence[Asked], *, reader: Reader, default: Budget, speed: Speed, cores: int
) -> Iterator[Kept]:
    """Yield for each budget in milliseconds what judging one question after another takes by the clock."""
    with Engine(config) as engine:
        asked = []
        for question in questions:
            found = engine.search(question.question)
            readings = [Reading(hit, found.articles[hit.passage.article]) for hit in found.ranking.hits]
            asked.append((question.question, readings))
        for budget_ms in MILLISECONDS:
            tokens = speed.tokens_within(budget_ms, cores=cores)
            judge = ReaderJudge(reader, rarity=engine.index.lexical.rarity, budget=replace(default, tokens=tokens))
            judge.judge(*asked[0])  # opened
            took, spent = [], []
            for wording, readings in asked:
                started, worked = time.perf_counter(), time.process_time()
                judge.judge(wording, readings)
                took.append((time.perf_counter() - started) * 1000)
                spent.append((time.process_time() - worked) * 1000)
            p50, p95 = (float(value) for value in np.percentile(took, [50, 95]))
            core = [float(value) / cores for value in np.percentile(spent, [50, 95])]
            yield {"budget_ms": budget_ms, "tokens": tokens, "p50": p50, "p95": p95, "core": core, "n": len(took)}


def cells(row: Row, *, tokens_a_ms: float) -> list[str]:
    """Return a row as the table shows it; `tokens_a_ms` is how fast this machine reads."""
    return [
        row.name,
        f"{int(row.name.removesuffix(_BOUNDED)) / tokens_a_ms:.0f}" if row.name.endswith(_BOUNDED) else "–",
        f"{row.pairs:.1f}",
        f"{row.tokens:.0f}",
        f"{row.ms:.0f}",
        _shown(row.right and row.right.mean, row.right, sign=""),
        _shown(row.less and row.less.mean, row.less, sign="+"),
        _shown(row.answerable and row.answerable.value, row.answerable, sign=""),
    ]


def _shown(value: float | None, interval: Estimate | Difference | Figure | None, *, sign: str) -> str:
    """Return a figure with its interval; of a sample that is too small for it, that."""
    if value is None or interval is None:
        return "too few"
    return f"{value:{sign}.3f} ({interval.low:{sign}.3f}–{interval.high:{sign}.3f})"


def report(kept: Kept, *, default: Budget) -> str:
    """Return the report of what was kept."""
    columns = (
        *("budget", "as `reader.budget_ms` here", "pairs", "tokens", "processor ms"),
        *("gold sentence first", "against no bound", "AUROC"),
    )
    tables = {
        f"{name}, n = {about['n']}": table(
            columns, [cells(row_from(row), tokens_a_ms=kept["tokens_a_ms"]) for row in about["rows"]]
        )
        for name, about in kept["sets"].items()
    }
    return (
        "# Quality against the budget of reading\n\n"
        f"Written by `python -m benchmarks.budget` on {kept['when'][:10]}, rag {__version__}, "
        f"reader {kept['reader']}. Settings are tuned on these questions, so they tell which budget to choose, not how "
        "good the answers are.\n\n"
        f"By default at most {default.passages} passages are read, those that score {default.share:g} of the nearest "
        f"or more, then {default.sentences} of their sentences by themselves and the best one in its context; "
        f"`reader.budget_tokens` is {default.tokens}. `reader.budget_ms` is turned into tokens by what this machine "
        f"was found to read: {kept['tokens_a_ms']:.1f} tokens a millisecond on {kept['cores']} cores. "
        "A pair is a question with one of these, tokens and processor milliseconds (of "
        "this machine, in all, whatever the number of cores) are means a question. The gold sentence "
        "comes first: of the answerable, with the paired difference from the default without a bound on tokens. AUROC: "
        "how well the confidence tells the answerable from the others. Intervals of 95 %.\n\n"
        + "".join(f"## {name}\n\n{shown}\n\n" for name, shown in tables.items())
        + (_clock_part(kept["clock"]) if kept.get("clock") else "")
    )


def _clock_part(clock: Kept) -> str:
    columns = (
        *("`reader.budget_ms`", "tokens here", "clock ms: median", "p95"),
        *("processor ms a core: median", "p95"),
    )
    rows = [
        [f"{row['budget_ms']}", *(f"{value:.0f}" for value in (row["tokens"], row["p50"], row["p95"], *row["core"]))]
        for row in clock["rows"]
    ]
    return (
        "## Milliseconds by the clock\n\n"
        f"From the question with its passages to the verdict, one question after another (seeds, dev half, n = "
        f"{clock['rows'][0]['n']}), on {clock['cores']} cores; measured by `python -m benchmarks.budget --clock` on "
        f"{clock['when'][:10]}. One passage, one of its sentences and that in its context are read under any "
        "budget. The clock counts in what other work took of the machine; the processor's milliseconds, divided by the "
        "cores, are what it would show at least without that.\n\n"
        f"{table(columns, rows)}\n\n"
    )


def row_from(kept: Kept) -> Row:
    """Return a row as it was before it was kept."""
    made = {"right": Estimate, "less": Difference, "answerable": Figure}
    return Row(**{name: made[name](**value) if name in made and value else value for name, value in kept.items()})


def read_kept() -> Kept:
    """Return what was measured last; nothing if nothing was."""
    return dict(json.loads(KEPT.read_text(encoding="utf-8"))) if KEPT.exists() else {}


def curve(kept: Kept) -> Iterator[Kept]:
    """Yield by set the quality under each budget in tokens, as records of a report on speed."""
    for name, about in kept.get("sets", {}).items():
        for row in about["rows"]:
            if row["name"].endswith(_BOUNDED):
                tokens = int(row["name"].removesuffix(_BOUNDED))
                told = {"part": "budget", "system": "rag", "when": kept["when"], "set": name, "questions": about["n"]}
                yield {**row, **told, "bound": tokens, "budget_ms": tokens / kept["tokens_a_ms"]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and write them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget", description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=0, help="most questions of each set; 0: all, and written")
    parser.add_argument("--clock", action="store_true", help="budgets in milliseconds by the clock, and nothing else")
    options = parser.parse_args(arguments)
    reader, default = Reader(SHIPPED, threads=1), Budget()
    speed, cores = reading_speed(reader.revision, opened=lambda: reader), usable_cores()
    now = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "cores": cores}
    sets: Kept = {}
    clock: Kept = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "news").mkdir()
        for path in list_reports():
            shutil.copy(path, work / "news")
        for name, folder, questions in (
            ("seeds, dev half", ROOT / "seeds", seed_questions(ROOT / "seeds" / "questions.jsonl", split="dev")),
            ("news kept apart", work / "news", held_out_news()),
        ):
            config = configured(work, articles=folder, index=work / f"{folder.name}-index", reader="shipped")
            index_articles(config, [])
            step = max(1, len(questions) // options.limit) if options.limit else 1
            if options.clock:
                several = Reader(SHIPPED)
                rows = timed(config, questions[::step], reader=several, default=default, speed=speed, cores=cores)
                clock = {**now, "rows": list(rows)}
                break
            found = dict(measured(config, questions[::step], reader=reader, default=default))
            whole = next(iter(found.values()))
            made = [asdict(row_of(key, outcomes, whole=whole)) for key, outcomes in found.items()]
            sets[name] = {"n": len(whole), "rows": made}
    kept = read_kept()
    if clock:
        kept["clock"] = clock
    if sets:
        about = {"reader": f"{reader.name} ({reader.revision[:12]})", "tokens_a_ms": speed.tokens_a_ms(cores=cores)}
        kept |= {**now, **about, "sets": sets}
    text = report(kept, default=default) if kept.get("sets") else _clock_part(clock)
    print(text, end="")
    if not options.limit:
        KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    if not options.limit and kept.get("sets"):
        REPORT.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
