"""What an answer is worth that may read only so much: quality against the budget of reading, on questions to tune on.

    python -m benchmarks.budget                  both sets, some minutes; writes benchmarks/BUDGET.md
    python -m benchmarks.budget --limit 40       a quick look at so many questions of each set, and nothing written

The questions are the dev half of `seeds/questions.jsonl` and those about the invented news that the reader was not
trained on. Every pair is read once, and each budget is given what it pays for. The calibration is the one that ships,
fitted under the default budget.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.quality import ROOT, table
from rag import __version__
from rag.answering.judging import Reading
from rag.answering.reading import Budget, PassageReader, ReaderJudge
from rag.config import Config
from rag.evaluation.statistics import Difference, Estimate, estimate_mean, paired_difference
from rag.models.reader import SHIPPED, Page, PassageReading, Reader
from rag.models.runtime import side_by_side, usable_cores
from rag.pipeline import Engine, index_articles
from training.answerer import Asked, configured, held_out_news, is_right, seed_questions
from training.measures import Figure, bootstrap_auroc
from training.news import FOLDER as NEWS

REPORT = ROOT / "benchmarks" / "BUDGET.md"
TOKENS = (300, 500, 700, 1000, 1400, 2000)
WIDER = (
    ("12 sentences", {"sentences": 12}),
    ("share .8", {"share": 0.8}),
    ("share .6", {"share": 0.6}),
    ("every passage found", {"share": 0.0}),
    ("6 passages, 12 sentences", {"passages": 6, "share": 0.0, "sentences": 12}),
)
_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class Read:
    """A pair that was read: what came of it, its tokens, and what it took of a processor."""

    reading: PassageReading
    tokens: int
    ms: float


class Remembering:
    """A reader that reads every pair once, and notes what a question would have taken without that."""

    def __init__(self, reader: PassageReader) -> None:
        self._reader = reader
        self._known: dict[tuple[str, Page], Read] = {}
        self.name, self.revision = reader.name, reader.revision
        self.taken: list[Read] = []

    def sizes(self, question: str, passages: Sequence[Page]) -> list[int]:
        """Return how many tokens reading each passage takes."""
        return self._reader.sizes(question, passages)

    def read(self, question: str, passages: Sequence[Page]) -> list[PassageReading]:
        """Return what each passage has to say, read now or before."""
        missing = [page for page in dict.fromkeys(passages) if (question, page) not in self._known]
        made = side_by_side(lambda page: self._read(question, page), missing, threads=usable_cores())
        self._known |= {(question, page): read for page, read in zip(missing, made, strict=True)}
        reads = [self._known[question, page] for page in passages]
        self.taken += reads
        return [read.reading for read in reads]

    def _read(self, question: str, page: Page) -> Read:
        started = time.thread_time()
        (reading,) = self._reader.read(question, [page])
        spent = (time.thread_time() - started) * 1000
        return Read(reading, self._reader.sizes(question, [page])[0], spent)


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
    bounded = {f"{tokens} tokens": replace(default, tokens=tokens) for tokens in TOKENS}
    wider = {name: replace(whole, **changes) for name, changes in WIDER}
    return {"no bound": whole, **bounded, **wider}


def ask(judge: ReaderJudge, reader: Remembering, asked: Asked, readings: Sequence[Reading]) -> Outcome:
    """Return what a question comes to under the judge's budget."""
    reader.taken.clear()
    verdict = judge.judge(asked.question, readings)
    right = bool(verdict.findings) and is_right(verdict.findings[0], asked)
    tokens, ms = sum(read.tokens for read in reader.taken), sum(read.ms for read in reader.taken)
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
        remembering = Remembering(reader)
        for name, budget in budgets(default).items():
            judge = ReaderJudge(remembering, rarity=engine.index.lexical.rarity, budget=budget)
            yield name, [ask(judge, remembering, question, readings) for question, readings in asked]


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


def cells(row: Row) -> list[str]:
    """Return a row as the table shows it."""
    return [
        row.name,
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


def report(rows: dict[str, tuple[int, list[Row]]], *, reader: str, default: Budget) -> str:
    """Return the report."""
    columns = ("budget", "pairs", "tokens", "processor ms", "gold sentence first", "against no bound", "AUROC")
    tables = {f"{name}, n = {n}": table(columns, [cells(row) for row in found]) for name, (n, found) in rows.items()}
    return (
        "# Quality against the budget of reading\n\n"
        f"Written by `python -m benchmarks.budget` on {datetime.now(UTC).date().isoformat()}, rag {__version__}, "
        f"reader {reader}. Settings are tuned on these questions, so they tell which budget to choose, not how good "
        "the answers are.\n\n"
        f"By default at most {default.passages} passages are read, those that score {default.share:g} of the nearest "
        f"or more, then {default.sentences} of their sentences by themselves and the best one in its context; "
        f"`reader.budget_tokens` is {default.tokens}. A pair is a question with one of these, tokens and processor "
        "milliseconds (of this machine, in all, whatever the number of cores) are means a question. The gold sentence "
        "comes first: of the answerable, with the paired difference from the default without a bound on tokens. AUROC: "
        "how well the confidence tells the answerable from the others. Intervals of 95 %.\n\n"
        + "".join(f"## {name}\n\n{shown}\n\n" for name, shown in tables.items())
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and write them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget", description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=0, help="most questions of each set; 0: all, and written")
    options = parser.parse_args(arguments)
    reader, default = Reader(SHIPPED, threads=1), Budget()
    rows: dict[str, tuple[int, list[Row]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "news").mkdir()
        for path in NEWS.glob("*.md"):
            shutil.copy(path, work / "news")
        for name, folder, questions in (
            ("seeds, dev half", ROOT / "seeds", seed_questions(ROOT / "seeds" / "questions.jsonl", split="dev")),
            ("news kept apart", work / "news", held_out_news()),
        ):
            config = configured(work, articles=folder, index=work / f"{folder.name}-index", reader="shipped")
            index_articles(config, [])
            step = max(1, len(questions) // options.limit) if options.limit else 1
            found = dict(measured(config, questions[::step], reader=reader, default=default))
            whole = next(iter(found.values()))
            rows[name] = len(whole), [row_of(key, outcomes, whole=whole) for key, outcomes in found.items()]
    text = report(rows, reader=f"{reader.name} ({reader.revision[:12]})", default=default)
    print(text, end="")
    if not options.limit:
        REPORT.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
