"""How often an answer holds what each of several parties says, and puts it to the right one.

    python -m benchmarks.sides                    the held-out ones, about invented reports of training/news; writes
                                                  benchmarks/SIDES.md
    python -m benchmarks.sides --set dev          those about seeds/, on which the rules were made
    python -m benchmarks.sides --one-by-one       with a line for each question

A second table asks each party alone, what its own question is when it is one of several, and what is asked of another
party in other articles ("another's matter"), which it says nothing about.

The questions are in benchmarks/sides/*.jsonl, with each party's sentences as gold: those by which a person would say
that the party's side is told. They were written before the rules were tried on them; of the reports, those that the
reader was not trained on. Each is asked twice: as a question that asks each party, and as one question ("as one").
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.answering.judging import Judge, Reading, Verdict
from rag.answering.sides import Side, split_sides
from rag.building import index_articles
from rag.config import load_config
from rag.engine import Engine
from rag.evaluation.statistics import estimate_mean, paired_difference
from rag.models.runtime import write_atomically
from rag.records import Answer, Citation
from training.news import is_held_out, list_reports

ROOT = Path(__file__).parents[1]
QUESTIONS = ROOT / "benchmarks" / "sides"
REPORT = ROOT / "benchmarks" / "SIDES.md"
QUOTED = "its gold quoted, where it is in the articles"
SILENT = "declined, where it is not"
ELSEWHERE = "declined, of another's matter"
SEED = 20261127
_HEADING = """# What several parties say

Measured by `python -m benchmarks.sides`: questions that ask what each of several parties says, about invented reports
that the reader was not trained on (`benchmarks/sides/held_out.jsonl`). Gold, written beforehand, are the sentences by
which a person would say that a party's side is told. Each question is asked as one ("as one question") and of each
party ("side by side"). 95 % intervals are bootstrapped, p is that of the paired randomisation test.

In the second table each party is asked alone: its own question, and what another party is asked of other articles,
which it is taken to say nothing about ("another's matter"); as any question, and as one to that party.
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A question with the parties that it names, and for each the gold quotes: (article, quote)."""

    id: str
    question: str
    gold: Mapping[str, Sequence[tuple[str, str]]]

    @property
    def sides(self) -> int:
        """Return of how many parties the articles hold something."""
        return sum(bool(quotes) for quotes in self.gold.values())


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a question: of each party with gold whether it is quoted, and whether under its name."""

    answered: bool
    quoted: tuple[bool, ...]
    told_apart: tuple[bool, ...]
    under_own: int = 0
    under_other: int = 0
    beside: int = 0
    absent: tuple[bool, ...] = ()


class AsOne(Engine):
    """Answers as if no question asked for several parties."""

    def _sides_of(self, question: str) -> Sequence[Side]:  # noqa: ARG002
        return ()

    def _judge(self, question: str, readings: Sequence[Reading], *, judge: Judge, part: int = 1) -> Verdict:
        return judge.judge(question, readings, part=part)


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sides", description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=["dev", "held_out"], default="held_out")
    parser.add_argument("--limit", type=int, default=None, help="so many questions, from the first on")
    parser.add_argument("--one-by-one", action="store_true", help="print what came of each question")
    options = parser.parse_args(arguments)
    cases = read_cases(QUESTIONS / f"{options.set}.jsonl")[: options.limit]
    with tempfile.TemporaryDirectory() as folder:
        articles = ROOT / "seeds" if options.set == "dev" else _held_out(Path(folder) / "articles")
        settings = {"index": str(Path(folder) / "index")}
        config = load_config(file=ROOT / "config.yaml", overrides=settings, environment=os.environ, cwd=ROOT)
        index_articles(config, [articles])
        with AsOne(config) as one, Engine(config) as several:
            before = [judge(case, one.ask(case.question).answer) for case in cases]
            after = []
            for case in cases:
                answer = several.ask(case.question).answer
                after.append(judge(case, answer))
                if options.one_by_one:
                    print("\n".join(_line(case, answer, after[-1])))
            alone = ask_alone(cases, one, several)
    text = f"{table(cases, before, after, name=options.set)}\n\n{table_of_one(alone)}"
    print(text)
    if options.set == "held_out" and options.limit is None:
        write_atomically(REPORT, f"{_HEADING}\n{text}\n".encode())
    return 0


def read_cases(file: Path) -> list[Case]:
    """Return the questions of a file with their gold."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [Case(row["id"], row["question"], _gold(row)) for row in rows]


def _gold(row: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    return {
        party: [(quote["article"], quote["quote"]) for quote in row["evidence"] if quote["party"] == party]
        for party in row["parties"]
    }


def judge(case: Case, answer: Answer) -> Told:
    """Return what an answer holds of each party's gold; parties are told by their place in the question."""
    with_gold = [number for number, quotes in enumerate(case.gold.values()) if quotes]
    golds = [[citation.marker for citation in answer.citations if _is_of(citation, q)] for q in case.gold.values()]
    said = [side.citations for side in answer.sides or ()]
    if len(said) != len(golds):
        return Told(
            answered=answer.answered,
            quoted=tuple(bool(golds[number]) for number in with_gold),
            told_apart=tuple(False for _ in with_gold),
            absent=tuple(not answer.answered for quotes in case.gold.values() if not quotes),
        )
    counts = [0, 0, 0]
    for number, markers in enumerate(said):
        for marker in markers:
            others = any(marker in gold for place, gold in enumerate(golds) if place != number)
            counts[0 if marker in golds[number] else 1 if others else 2] += 1
    return Told(
        answer.answered,
        tuple(bool(golds[number]) for number in with_gold),
        tuple(bool(set(golds[number]) & set(said[number])) for number in with_gold),
        *counts,
        absent=tuple(not said[number] for number, quotes in enumerate(case.gold.values()) if not quotes),
    )


def _is_of(citation: Citation, quotes: Sequence[tuple[str, str]]) -> bool:
    return any(citation.article == article and quote in citation.quote for article, quote in quotes)


def table(cases: Sequence[Case], before: Sequence[Told], after: Sequence[Told], *, name: str) -> str:
    """Return the measures as a table, as one question and side by side, with 95 % intervals."""
    both = [number for number, case in enumerate(cases) if case.sides == len(case.gold)]
    some = [number for number, case in enumerate(cases) if case.sides > 0]
    none = [number for number, case in enumerate(cases) if not case.sides]
    measures: list[tuple[str, Sequence[int], Callable[[Told], Sequence[bool]]]] = [
        ("every side quoted", both, lambda told: [all(told.quoted)]),
        ("every side quoted under its name", both, lambda told: [all(told.told_apart)]),
        ("sides quoted", some, lambda told: told.quoted),
        ("sides quoted under their names", some, lambda told: told.told_apart),
        ("answered, where a side is in the articles", some, lambda told: [told.answered]),
        ("declined, where none is", none, lambda told: [not told.answered]),
        ("absent sides left without a quote", [*range(len(cases))], lambda told: told.absent),
    ]
    lines = [
        f"{name}: {len(cases)} questions, {len(both)} with all sides in the articles, {len(none)} with none",
        "",
        "| | n | as one question | side by side | difference, p |",
        "| --- | --- | --- | --- | --- |",
    ]
    for label, chosen, values in measures:
        old = [float(value) for number in chosen for value in values(before[number])]
        new = [float(value) for number in chosen for value in values(after[number])]
        if len(new) < 2:  # one has no interval
            lines.append(f"| {label} | {len(new)} | too few | too few | |")
            continue
        gain = paired_difference(old, new)
        lines.append(f"| {label} | {len(new)} | {_share(old)} | {_share(new)} | {gain.mean:+.3f}, {gain.p:.3f} |")
    placed = [sum(getattr(told, part) for told in after) for part in ("under_own", "under_other", "beside")]
    lines += [
        "",
        f"{sum(placed)} quotes under a name: {placed[0]} its gold, {placed[1]} the other's, {placed[2]} no one's.",
    ]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Alone:
    """A question put to one party, what it should come to, and whether it did: as any question, and as one to it."""

    wanted: str
    before: bool
    after: bool


def ask_alone(cases: Sequence[Case], plain: Engine, heard: Engine) -> list[Alone]:
    """Ask each party its own question, and that of another party of which other articles tell."""
    sides = [(side, quotes) for case in cases for side, quotes in _own_questions(case)]
    asked = [(QUOTED if quotes else SILENT, side.question, quotes) for side, quotes in sides]
    chance = random.Random(SEED)
    for side, quotes in sides:
        articles = {article for article, _ in quotes}
        others = [
            other
            for other, its in sides
            if quotes and its and other.party != side.party and not articles & {article for article, _ in its}
        ]
        if others:
            asked.append((ELSEWHERE, f"What does {side.party} say about {chance.choice(others).topic}?", []))
    return [
        Alone(wanted, *(_comes_to(wanted, engine.ask(question).answer, quotes) for engine in (plain, heard)))
        for wanted, question, quotes in asked
    ]


def _own_questions(case: Case) -> Iterator[tuple[Side, Sequence[tuple[str, str]]]]:
    sides = split_sides(case.question)
    return zip(sides, case.gold.values(), strict=True) if len(sides) == len(case.gold) else iter(())


def _comes_to(wanted: str, answer: Answer, quotes: Sequence[tuple[str, str]]) -> bool:
    if wanted != QUOTED:
        return not answer.answered
    return any(_is_of(citation, quotes) for citation in answer.citations)


def table_of_one(alone: Sequence[Alone]) -> str:
    """Return how often a party asked alone is quoted, or nothing is, with 95 % intervals."""
    lines = [
        "| asked of one party | n | as any question | as one to it | difference, p |",
        "| --- | --- | --- | --- | --- |",
    ]
    for wanted in (QUOTED, SILENT, ELSEWHERE):
        old = [float(one.before) for one in alone if one.wanted == wanted]
        new = [float(one.after) for one in alone if one.wanted == wanted]
        if len(new) > 1:
            gain = paired_difference(old, new)
            lines.append(f"| {wanted} | {len(new)} | {_share(old)} | {_share(new)} | {gain.mean:+.3f}, {gain.p:.3f} |")
    return "\n".join(lines)


def _share(values: Sequence[float]) -> str:
    found = estimate_mean(values)
    return f"{found.mean:.3f} ({found.low:.3f}–{found.high:.3f})"


def _line(case: Case, answer: Answer, told: Told) -> Iterator[str]:
    cited = {citation.marker: citation for citation in answer.citations}
    yield f"{case.id} {told.told_apart} {answer.confidence:.2f} {case.question}"
    for side in answer.sides or ():
        yield f"    {side.party}: " + " / ".join(cited[marker].quote[:110] for marker in side.citations)


def _held_out(folder: Path) -> Path:
    """Return a folder with the reports that the reader was not trained on."""
    folder.mkdir()
    for file in list_reports():
        if is_held_out(file.name):
            shutil.copy(file, folder / file.name)
    return folder


if __name__ == "__main__":
    sys.exit(main())
