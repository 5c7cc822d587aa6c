"""How well follow-ups are understood: the passages found for the turns of a public set of conversations.

    python -m benchmarks.conversation                  print the tables and write benchmarks/CONVERSATION.md
    python -m benchmarks.conversation --half dev       the half that the rules were made on; nothing is written
    python -m benchmarks.conversation --limit 3 --writer smollm2-135m --half dev     a quick look, with a model too

The set is MTRAG-UN's reference turns, read from `../shared/data` (or `--data`). For each turn after the first that has
gold passages, they are looked for among all passages of the set, with the last question alone, with all questions in a
row, and with what `rag chat` makes of it by rules. `--rewritten` of them, taken at even distances, are made whole by a
model, too (`--writer`, as `rag models` has it): as it comes, and as `rag chat` would take it, the rules' question where
it is refused. What it wrote is kept in `build/conversation.jsonl`, so that a stopped run goes on. Conversations are
halved by a hash of their id: the rules were made on `dev`, `test` is reported. What the agent said, as the set has it,
stands for the answers of the turns before.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.kept import KeptRows, Row
from rag import __version__
from rag.config import load_config
from rag.conversation.followups import Understood, understand
from rag.conversation.rewriting import MAX_TOKENS, check_rewriting, draft_rewriting, with_rewritten
from rag.conversation.turns import Turn
from rag.evaluation.datasets import Dataset, Document, evenly
from rag.evaluation.measures import ranking_measures
from rag.evaluation.statistics import Difference, Estimate, estimate_mean, holm, paired_difference
from rag.loading import encoder_of
from rag.models.writer import load_writer
from rag.progress import Reporting, StageProgress
from rag.records import Question
from rag.scoring import Selection, score

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "benchmarks" / "CONVERSATION.md"
DATA = ROOT.parent / "shared" / "data"
MEASURES = ("R@5", "nDCG@10")
MODEL = "smollm2-135m"
KEPT = ROOT / "build" / "conversation.jsonl"
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

    def before(self) -> list[Turn]:
        """Return the turns before the last question, as `rag chat` remembers them."""
        turns: list[Turn] = []
        for question, reply in zip(self.questions[:-1], self.replies, strict=False):
            meant = understand(question, turns)
            sentences = re.split(r"(?<=[.!?])\s+", reply)[:EVIDENCE_SENTENCES]
            topic = meant.question if meant.sure else question
            turns.append(Turn(topic, tuple(sentence for sentence in sentences if sentence)))
        return turns

    def understood(self) -> Understood:
        """Return what the rules take the last question for."""
        return understand(self.questions[-1], self.before())


BASE = "the last question alone"
RULES = "as the rules understand it"
CHECKED = "as {} rewrites it, checked, else the rules"
PLAIN = "as {} rewrites it, unchecked"
WORDINGS: Mapping[str, Callable[[Spoken], str]] = {
    BASE: lambda turn: turn.questions[-1],
    "all questions in a row": lambda turn: " ".join(turn.questions),
    RULES: lambda turn: turn.understood().query,
}


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
    parser.add_argument("--limit", type=int, help="most turns, taken at even distances; nothing is written")
    parser.add_argument("--writer", default=MODEL, help="a model of rag models that rewrites; none: rules alone")
    parser.add_argument("--rewritten", type=int, default=24, help="most turns that it rewrites, likewise")
    options = parser.parse_args(arguments)
    file = options.data / "reading" / "mtrag_un_reference.jsonl"
    if not file.is_file():
        print(f"skipped: {file} is not there", file=sys.stderr)
        return 0
    turns, documents = read_turns(file)
    chosen = [turn for turn in turns if turn.half == options.half]
    chosen = evenly(chosen, options.limit) if options.limit is not None else chosen
    with StageProgress(quiet=False) as progress:
        reporting = Reporting(notify=progress.notify, progress=progress)
        scores = measure(chosen, documents, WORDINGS, reporting)
        text = report(scores, chosen, half=options.half, passages=len(documents))
        if options.writer != "none":
            few = evenly([turn for turn in chosen if leans(turn)], options.rewritten)
            written = rewrite_all(few, options.writer, notify=progress.notify)
            wordings = {name: WORDINGS[name] for name in (BASE, RULES)} | rewritings(written, name=options.writer)
            text += "\n" + report_rewriting(measure(few, documents, wordings, reporting), written, name=options.writer)
    print(text)
    if options.half == "test" and options.limit is None:
        REPORT.write_text(text, encoding="utf-8")
    return 0


def leans(turn: Spoken) -> bool:
    """Tell whether the rules take a turn for leaning on one before; a model is asked of no other."""
    return turn.understood().question != turn.questions[-1]


def rewrite_all(turns: Sequence[Spoken], name: str, *, notify: Callable[[str], None]) -> list[tuple[Spoken, str]]:
    """Return what a model writes of each turn's last question, as it comes, written now or kept from before."""
    writer = load_writer(name)
    code = hashlib.sha256((ROOT / "rag" / "conversation" / "rewriting.py").read_bytes()).hexdigest()[:16]
    kept = KeptRows(KEPT)
    written = []
    for number, turn in enumerate(turns, start=1):

        def make(turn: Spoken = turn) -> Row:
            messages = draft_rewriting(turn.questions[-1], turn.before(), writer=writer)
            started = time.perf_counter()
            pieces = list(writer.write(messages, max_tokens=MAX_TOKENS)) if messages else []
            return {"text": "".join(pieces), "seconds": time.perf_counter() - started}

        row = kept.get(turn.id, f"{name} {writer.revision} {code}", make)
        notify(f"rewritten: {number} of {len(turns)}")
        written.append((turn, row["text"]))
    return written


def rewritings(written: Sequence[tuple[Spoken, str]], *, name: str) -> Mapping[str, Callable[[Spoken], str]]:
    """Return what passages are looked for with, where a model rewrites: its text as it comes, and as it is taken."""
    texts = {turn.id: text for turn, text in written}

    def unchecked(turn: Spoken) -> str:
        return texts[turn.id].strip().partition("\n")[0] or turn.questions[-1]

    def checked(turn: Spoken) -> str:
        found = check_rewriting(texts[turn.id], turn.questions[-1], turn.before()).question
        understood = turn.understood()
        return understood.query if found is None else with_rewritten(understood, found, turn.before()).query

    return {CHECKED.format(name): checked, PLAIN.format(name): unchecked}


def measure(
    turns: Sequence[Spoken],
    documents: Sequence[Document],
    wordings: Mapping[str, Callable[[Spoken], str]],
    reporting: Reporting,
) -> dict[str, dict[str, list[float]]]:
    """Return by wording and measure what each turn scores, in the order of the turns."""
    # No passage is left out as another's copy here: gold may name either of two.
    settings = {"retrieval.duplicate_similarity": "1"}
    config = load_config(file=ROOT / "config.yaml", overrides=settings, environment=os.environ, cwd=ROOT)
    encoder = encoder_of(config, reporting.notify)
    found: dict[str, dict[str, list[float]]] = {}
    for name, wording in wordings.items():
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
    about = (
        f"`python -m benchmarks.conversation`, rag {__version__}. MTRAG-UN's reference turns: {n} turns after the first"
        f" that have gold passages, of the {half} half of the conversations, among {passages} passages. Means with "
        f"95 % bootstrap intervals. The rules take {changed} of the {n} for leaning on a turn before; passages for "
        "the others are looked for with what was typed. The rules were made on the dev half."
    )
    return "\n".join(
        [
            "# Follow-ups",
            "",
            textwrap.fill(about, width=120),
            "",
            *_tables(scores, of=RULES, told="What the rules make of it"),
        ]
    )


def report_rewriting(
    scores: Mapping[str, Mapping[str, Sequence[float]]], written: Sequence[tuple[Spoken, str]], *, name: str
) -> str:
    """Return the tables on a model's rewriting."""
    checked = [check_rewriting(text, turn.questions[-1], turn.before()) for turn, text in written]
    reasons = Counter(re.sub("“.*”", "a word", one.refused) for one in checked if one.refused is not None)
    told = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
    about = (
        f"{name} was asked to make {len(written)} of the turns whole that lean by the rules, taken at even distances, "
        f"greedily and with at most {MAX_TOKENS} tokens. What it wrote was taken "
        f"{sum(one.refused is None for one in checked)} times, and the rest refused: {told}."
    )
    return "\n".join(
        [
            "## Made whole by a model",
            "",
            textwrap.fill(about, width=120),
            "",
            *_tables(scores, of=CHECKED.format(name), told="What `rag chat` with `chat.rewriter: writer` makes of it"),
        ]
    )


def _tables(scores: Mapping[str, Mapping[str, Sequence[float]]], *, of: str, told: str) -> list[str]:
    """Return the means by wording, and one wording's differences from the others, paired by turn."""
    rows = [
        [name, *(_estimate(estimate_mean(found[measure])) for measure in MEASURES)] for name, found in scores.items()
    ]
    compared = [
        (name, measure, paired_difference(found[measure], scores[of][measure]))
        for name, found in scores.items()
        if name != of
        for measure in MEASURES
    ]
    corrected = holm([difference.p for _, _, difference in compared])
    against = [
        [f"against {name}", measure, _difference(difference), f"{p:.4f}"]
        for (name, measure, difference), p in zip(compared, corrected, strict=True)
    ]
    return [
        *_table(["passages are looked for with", *MEASURES], rows),
        "",
        f"{told}, paired by turn; p from a randomisation test, corrected after Holm:",
        "",
        *_table(["", "measure", "difference", "p"], against),
        "",
    ]


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.mean:.3f} ({estimate.low:.3f}–{estimate.high:.3f})"


def _difference(difference: Difference) -> str:
    return f"{difference.mean:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (headers, ["---"] * len(headers), *rows)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
