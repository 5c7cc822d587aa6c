"""How well follow-ups are understood: the passages found for the turns of a public set of conversations.

    python -m benchmarks.conversation                  print the tables and write benchmarks/CONVERSATION.md
    python -m benchmarks.conversation --half dev       the half that the rules were made on; nothing is written

The set is MTRAG-UN's reference turns, read from `../shared/data` (or `--data`). For each turn after the first that has
gold passages, they are looked for among all passages of the set, with the last question alone, with all questions in a
row, and with what `rag chat` makes of it. Conversations are halved by a hash of their id: the rules were made on `dev`,
`test` is reported. What the agent said, as the set has it, stands for the answers of the turns before.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag import __version__
from rag.answering.conversation import Turn, Understood, understand
from rag.config import load_config
from rag.evaluation.datasets import Dataset, Document
from rag.evaluation.measures import ranking_measures
from rag.evaluation.statistics import Difference, Estimate, estimate_mean, holm, paired_difference
from rag.pipeline import Reporting, encoder_of
from rag.progress import StageProgress
from rag.records import Question
from rag.scoring import Selection, score

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "benchmarks" / "CONVERSATION.md"
DATA = ROOT.parent / "shared" / "data"
MEASURES = ("R@5", "nDCG@10")
EVIDENCE_SENTENCES = 2  # of what the agent said, as many as an answer mostly cites


@dataclass(frozen=True, slots=True)
class Spoken:
    """A turn with its gold: the questions up to it, what the agent said in between, and the passages that answer."""

    id: str
    questions: tuple[str, ...]
    replies: tuple[str, ...]
    gold: tuple[str, ...]

    @property
    def half(self) -> str:
        """Return the half that the conversation belongs to."""
        conversation = self.id.partition("<")[0]
        return "dev" if int(hashlib.sha256(conversation.encode()).hexdigest(), 16) % 2 == 0 else "test"

    def understood(self) -> Understood:
        """Return what `rag chat` takes the last question for."""
        turns: list[Turn] = []
        meant = Understood("", "")
        for place, question in enumerate(self.questions):
            meant = understand(question, turns)
            if place < len(self.replies):
                sentences = re.split(r"(?<=[.!?])\s+", self.replies[place])[:EVIDENCE_SENTENCES]
                topic = meant.question if meant.sure else question
                turns.append(Turn(topic, tuple(sentence for sentence in sentences if sentence)))
        return meant


WORDINGS: Mapping[str, Callable[[Spoken], str]] = {
    "the last question alone": lambda turn: turn.questions[-1],
    "all questions in a row": lambda turn: " ".join(turn.questions),
    "as rag chat understands it": lambda turn: turn.understood().query,
}
BASE = "the last question alone"


def read_turns(file: Path) -> tuple[list[Spoken], list[Document]]:
    """Return the turns after the first that have gold, and all passages of the set."""
    turns: list[Spoken] = []
    documents: dict[str, Document] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for passage in row["contexts"]:
            name = passage["document_id"]
            documents.setdefault(name, Document(name, passage.get("title") or "", passage["text"]))
        said = [(one["speaker"], one["text"].strip()) for one in row["input"]]
        questions = tuple(text for speaker, text in said if speaker == "user")
        if len(questions) > 1 and row["contexts"]:
            replies = tuple(text for speaker, text in said if speaker != "user")
            gold = tuple(passage["document_id"] for passage in row["contexts"])
            turns.append(Spoken(row["task_id"], questions, replies, gold))
    return turns, list(documents.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Score the wordings, print the tables, and write them into the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conversation", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the public sets")
    parser.add_argument("--half", choices=["dev", "test"], default="test", help="which conversations")
    options = parser.parse_args(arguments)
    file = options.data / "reading" / "mtrag_un_reference.jsonl"
    if not file.is_file():
        print(f"skipped: {file} is not there", file=sys.stderr)
        return 0
    turns, documents = read_turns(file)
    chosen = [turn for turn in turns if turn.half == options.half]
    with StageProgress(quiet=False) as progress:
        scores = measure(chosen, documents, Reporting(notify=progress.notify, progress=progress))
    text = report(scores, chosen, half=options.half, passages=len(documents))
    print(text)
    if options.half == "test":
        REPORT.write_text(text, encoding="utf-8")
    return 0


def measure(
    turns: Sequence[Spoken], documents: Sequence[Document], reporting: Reporting
) -> dict[str, dict[str, list[float]]]:
    """Return by wording and measure what each turn scores, in the order of the turns."""
    # No passage is left out as another's copy here: gold may name either of two.
    settings = {"retrieval.duplicate_similarity": "1"}
    config = load_config(file=ROOT / "config.yaml", overrides=settings, environment=os.environ, cwd=ROOT)
    encoder = encoder_of(config, reporting.notify)
    found: dict[str, dict[str, list[float]]] = {}
    for name, wording in WORDINGS.items():
        dataset = Dataset(
            "mtrag-un",
            tuple(Question(question=wording(turn), id=turn.id) for turn in turns),
            {turn.id: dict.fromkeys(turn.gold, 1) for turn in turns},
            tuple(documents),
        )
        scored = score(
            config, dataset, selection=Selection(answers=False), reporting=reporting, encoder=encoder, apart=True
        )
        rankings = {result.id: result.articles for result in scored.results}
        by_turn = ranking_measures(MEASURES, qrels=dataset.qrels, run=rankings)
        found[name] = {measure: [by_turn[turn.id][measure] for turn in turns] for measure in MEASURES}
    return found


def report(
    scores: Mapping[str, Mapping[str, Sequence[float]]], turns: Sequence[Spoken], *, half: str, passages: int
) -> str:
    """Return the tables."""
    n = len(turns)
    changed = sum(turn.understood().query != turn.questions[-1] for turn in turns)
    rows = [[name, *(_estimate(estimate_mean(scores[name][measure])) for measure in MEASURES)] for name in WORDINGS]
    ours = "as rag chat understands it"
    compared = [
        (name, measure, paired_difference(scores[name][measure], scores[ours][measure]))
        for name in WORDINGS
        if name != ours
        for measure in MEASURES
    ]
    corrected = holm([difference.p for _, _, difference in compared])
    against = [
        [f"against {name}", measure, _difference(difference), f"{p:.4f}"]
        for (name, measure, difference), p in zip(compared, corrected, strict=True)
    ]
    about = (
        f"`python -m benchmarks.conversation`, rag {__version__}. MTRAG-UN's reference turns: {n} turns after the first"
        f" that have gold passages, of the {half} half of the conversations, among {passages} passages. Means with "
        f"95 % bootstrap intervals. `rag chat` takes {changed} of the {n} for leaning on a turn before; passages for "
        "the others are looked for with what was typed. The rules were made on the dev half."
    )
    return "\n".join(
        [
            "# Follow-ups",
            "",
            textwrap.fill(about, width=120),
            "",
            *_table(["passages are looked for with", *MEASURES], rows),
            "",
            "What `rag chat` makes of it, paired by turn; p from a randomisation test, corrected after Holm:",
            "",
            *_table(["", "measure", "difference", "p"], against),
            "",
        ]
    )


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.mean:.3f} ({estimate.low:.3f}–{estimate.high:.3f})"


def _difference(difference: Difference) -> str:
    return f"{difference.mean:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (headers, ["---"] * len(headers), *rows)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
