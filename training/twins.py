r"""Ask where one word decides: rose or fell, more or less, before or after, did or did not.

    python -m training.twins                                  the reader that ships
    python -m training.twins --reader build/reader/export --calibration FILE

Each passage of `twins.jsonl` (invented) holds two sentences that differ in little else, and is asked for both, so that
whoever does not see the word is right for half of the questions. A case is right if the sentence that the answerer
would quote is the right one. Nothing is trained on these passages.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.answering import Judge, ReaderJudge, Reading
from rag.answering.reading import CALIBRATION, PassageReader
from rag.models.foreign import load_foreign_reader
from rag.models.reader import Reader, own_folder
from rag.records import Article, Hit, Passage, Span
from training.measures import Figure, bootstrap_mean

CASES = Path(__file__).with_name("twins.jsonl")
KINDS = ("direction", "amount", "date", "negation")


@dataclass(frozen=True, slots=True)
class Case:
    """A question on a passage, of whose sentences `right` answers and `twin` nearly does."""

    kind: str
    title: str
    question: str
    sentences: tuple[str, ...]
    right: int
    twin: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Which sentence was chosen for a case, and the confidence in it."""

    case: Case
    chosen: int
    confidence: float

    @property
    def right(self) -> bool:
        """Tell whether it is the one that answers."""
        return self.chosen == self.case.right


def read_cases(path: Path = CASES) -> list[Case]:
    """Return the cases of a file, two for each passage: each asks for the other's twin.

    Raises:
        ValueError: a passage does not have two questions with a sentence of its own each.
    """
    cases = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        row = json.loads(line)
        (one, first), (other, second) = row["questions"]
        if first == second or row["kind"] not in KINDS:
            raise ValueError(f"line {number} of {path.name}: two questions for two sentences, of a kind in {KINDS}")
        for question, right, twin in ((one, first, second), (other, second, first)):
            cases.append(Case(row["kind"], row["title"], question, tuple(row["sentences"]), right, twin))
    return cases


def ask_cases(judge: Judge, cases: Sequence[Case]) -> Iterator[Outcome]:
    """Yield what the judge chooses, each passage being the only one that was found."""
    for case in cases:
        reading, spans = lay_out(case)
        verdict = judge.judge(case.question, [reading])
        chosen = spans.index(verdict.findings[0].span) if verdict.findings else -1
        yield Outcome(case, chosen, verdict.confidence)


def lay_out(case: Case) -> tuple[Reading, list[Span]]:
    """Return a case's passage as retrieval would hand it on, and the spans of its sentences."""
    text, spans = "", []
    for sentence in case.sentences:
        text += " " if text else ""
        spans.append(Span(len(text), len(text) + len(sentence)))
        text += sentence
    article = Article(id="twins", path="twins.md", text=text, title=case.title)
    return Reading(Hit(Passage("twins", 0, 0, len(text), tuple(spans)), 1.0, 1), article), spans


def make_judge(reader: PassageReader, *, calibration: Path = CALIBRATION) -> ReaderJudge:
    """Return the judge of the pipeline over a reader, to which all words are as telling."""
    return ReaderJudge(reader, rarity=lambda words: np.ones(len(words)), calibration=calibration)


def open_reader(model: str) -> PassageReader:
    """Return the reader that a setting `reader.model` names."""
    folder = own_folder(model)
    return Reader(folder) if folder is not None else load_foreign_reader(model)


def figures(outcomes: Sequence[Outcome]) -> dict[str, Figure]:
    """Return the share of cases that are right, over all and by kind, with 95 % intervals over the cases."""
    found = {"all": bootstrap_mean([float(outcome.right) for outcome in outcomes])}
    for kind in KINDS:
        found[kind] = bootstrap_mean([float(o.right) for o in outcomes if o.case.kind == kind])
    found["neither twin"] = bootstrap_mean([float(o.chosen not in {o.case.right, o.case.twin}) for o in outcomes])
    return found


def main() -> None:
    """Print the figures, and the cases that went wrong."""
    parser = argparse.ArgumentParser(prog="python -m training.twins", description=__doc__.splitlines()[0])
    parser.add_argument("--reader", default="shipped", help="shipped, a folder, or a hub id")
    parser.add_argument("--calibration", type=Path, default=CALIBRATION, help="what was fitted to the reader")
    options = parser.parse_args()
    judge = make_judge(open_reader(options.reader), calibration=options.calibration)
    outcomes = list(ask_cases(judge, read_cases()))
    for outcome in outcomes:
        if not outcome.right:
            said = outcome.case.sentences[outcome.chosen] if outcome.chosen >= 0 else "nothing"
            print(f"{outcome.case.kind}: {outcome.case.question} → {said}")
    for name, figure in figures(outcomes).items():
        print(f"{name:<13} {figure.value:.3f} ({figure.low:.3f}–{figure.high:.3f}) n={figure.n}")


if __name__ == "__main__":
    main()
