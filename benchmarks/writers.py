"""What comes of answers that a small model writes, beside quotes: what is kept of them, how right, how fast.

    python -m benchmarks.writers                     the table, into its part of benchmarks/QUALITY.md
    python -m benchmarks.writers --split dev --only seeds --dry-run      while choosing a prompt
    python -m benchmarks.writers --limit 2 --each 1 --long 1     a quick look, of which nothing is written
    python -m benchmarks.writers --each 30 --long 20     as the report has it: fewer questions for the long prompt
    python -m benchmarks.writers --also tuned=build/writer/merged        one more model, asked without examples

The questions are the test half of those about `seeds/`, and a sample of CLAPNQ's dev set, read from `../shared/data`
(or `--data`); a set without its files is named as skipped. The models are
asked after `rag models add smollm2-135m` and `rag models add smollm2-135m-grounded`. Each
answer is kept in `build/writers.jsonl`, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.kept import KeptRows, Row
from benchmarks.parts import is_quick_look, put_part
from benchmarks.quality import DATA, REPORT, ROOT, SETS, table
from rag import __version__
from rag.answering import Checker
from rag.answering.checking import Checked
from rag.answering.judging import Finding
from rag.answering.written import check_answer
from rag.building import index_articles
from rag.config import Config, load_config
from rag.engine import Engine
from rag.evaluation.datasets import Dataset, corpus_digest, corpus_lines, limited, locate, read_dataset
from rag.evaluation.measures import Gold, answer_measures
from rag.evaluation.statistics import estimate_mean
from rag.loading import encoder_of
from rag.models.encoder import Encoder
from rag.models.reader import SHIPPED, Reader
from rag.models.runtime import usable_cores, write_atomically
from rag.records import Question
from rag.scoring import with_settings

BUILD = ROOT / "build" / "writers"
PART = "writers"
SEED = 11
MODEL = "smollm2-135m"
TUNED = "smollm2-135m-grounded"
QUOTES = "quotes"
LONG = "SmolLM2-135M, long prompt"
PROMPTED = "SmolLM2-135M, short prompt"
TUNED_NAME = "SmolLM2-135M, fine-tuned"
PAIRED = ("written", "citation_precision", "citation_recall", "F1", "contains")
MEASURES: Mapping[str, str] = {
    "answered": "questions that are answered, by whomever",
    "written": "answers with a claim of the model's, of those that it was to write",
    "claims kept": "share of a question's written claims that the articles bear out",
    "citation_precision": "share of the citations that overlap a gold quote, where something was cited",
    "citation_recall": "share of the gold quotes that are cited",
    "refusal_precision": "declined questions that the articles do not answer",
    "refusal_recall": "declined where the articles do not answer",
    "F1": "words that the answer's text shares with the nearest gold answer; declining is right where there is none",
    "contains": "a gold answer stands in the answer's text",
    "tokens a second": "the model's, reading the prompt included",
    "seconds to the first claim": "from the question, with passages found and read, to a claim that passed",
}


@dataclass(frozen=True, slots=True)
class Asking:
    """A set of questions, how many it was taken from, and the settings under which its articles are indexed."""

    name: str
    of: int
    dataset: Dataset
    config: Config


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, print the table, and write it into the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.writers", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the public sets")
    parser.add_argument("--split", choices=["dev", "test"], default="test", help="half of the questions on seeds/")
    parser.add_argument("--limit", type=int, help="most questions on seeds/, taken at even distances")
    parser.add_argument("--each", type=int, default=40, help="CLAPNQ questions with an answer, and as many without")
    parser.add_argument("--long", type=int, help="most questions of each set for the long prompt, at even distances")
    parser.add_argument("--only", nargs="+", choices=["seeds", "clapnq"], default=["seeds", "clapnq"])
    parser.add_argument("--systems", nargs="+", help="these systems alone")
    parser.add_argument(
        "--also", nargs="*", default=[], metavar="NAME=MODEL", help="further models, asked without examples"
    )
    parser.add_argument("--note", default="", help="a sentence on the circumstances, for the report")
    parser.add_argument("--dry-run", action="store_true", help="print, and write no report")
    options = parser.parse_args(arguments)
    systems = {
        name: settings
        for name, settings in systems_of(options.also).items()
        if not options.systems or name in options.systems
    }
    config = load_config(file=ROOT / "config.yaml", overrides={}, environment=os.environ, cwd=ROOT)
    encoder = encoder_of(config, lambda line: print(line, file=sys.stderr))
    kept = KeptRows(BUILD.with_suffix(".jsonl"))
    columns: dict[str, list[Row]] = {}
    skipped = []
    for key in options.only:
        asking = asking_of(key, config, options)
        if asking is None:
            skipped.append(SETS[key].name)
            continue
        for name, settings in systems.items():
            changed = with_settings(asking.config, settings, where=name)
            few = replace(asking, dataset=limited(asking.dataset, options.long)) if name == LONG else asking
            label = f"{few.name}, {len(few.dataset.questions)} of {few.of}: {name}"
            columns[label] = list(answers(changed, few, name, encoder=encoder, kept=kept))
    told = " ".join(["python -m benchmarks.writers", *(sys.argv[1:] if arguments is None else arguments)])
    text = report_text(columns, skipped=skipped, threads=config.threads, note=options.note, command=told)
    print(text)
    if not (options.dry_run or is_quick_look(options.limit, options.each, options.long)):
        put_part(REPORT, text, name=PART)
    return 0


def systems_of(also: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """Return the systems by name: the settings that make each."""
    writing = {"answerer": "writer", "writer.model": MODEL}
    systems: dict[str, Mapping[str, str]] = {
        QUOTES: {"answerer": "quotes"},
        LONG: {**writing, "writer.prompt": "long"},
        PROMPTED: {**writing, "writer.prompt": "short"},
        TUNED_NAME: {**writing, "writer.model": TUNED, "writer.prompt": "bare"},
    }
    for named in also:
        name, _, model = named.partition("=")
        systems[name] = {**writing, "writer.model": model, "writer.prompt": "bare"}
    return systems


def asking_of(key: str, config: Config, options: argparse.Namespace) -> Asking | None:
    """Return a set's questions, their articles still to be indexed; None where its files are not there."""
    if key == "seeds":
        dataset = read_dataset(ROOT / "seeds" / "questions.jsonl", split=options.split)
        chosen = limited(dataset, options.limit)
        return Asking(
            f"seeds, {options.split} half", len(dataset.questions), chosen, _apart(config, "seeds", ROOT / "seeds")
        )
    try:
        whole = SETS[key].read(options.data)
    except OSError:
        return None
    file = BUILD / key / f"{corpus_digest(whole.corpus or ())[:16]}.jsonl"
    if isinstance(whole.corpus, tuple) and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, "".join(corpus_lines(whole.corpus)).encode())
    chosen = sample(whole, each=options.each)
    about = f"{SETS[key].name}, {SETS[key].about}"
    return Asking(about, len(whole.questions), chosen, _apart(config, key, file))


def sample(dataset: Dataset, *, each: int, seed: int = SEED) -> Dataset:
    """Return a dataset with a random sample of its questions: `each` that can be answered and as many that cannot."""
    rng = random.Random(seed)
    chosen: list[Question] = []
    for answerable in (True, False):
        members = [question for question in dataset.questions if question.answerable is answerable]
        chosen += rng.sample(members, min(each, len(members)))
    return replace(dataset, questions=tuple(chosen))


def _apart(config: Config, name: str, articles: Path) -> Config:
    """Return the settings with an index of its own over some articles; files of other kinds beside them are none."""
    return replace(
        config,
        articles=(str(articles),),
        index=str(BUILD / f"index-{name}"),
        folders={"index": Path(), "articles": Path()},
    )


def answers(config: Config, asking: Asking, name: str, *, encoder: Encoder, kept: KeptRows) -> Iterator[Row]:
    """Yield what came of each question, asked now or kept from before."""
    index_articles(config, [], encoder=encoder)
    with Engine(config, encoder=encoder) as engine:
        engine.ready()
        checker = Noting(Checker(Reader(SHIPPED, threads=config.threads)))
        stamp = stamp_of(engine)
        for number, question in enumerate(asking.dataset.questions, start=1):

            def make(question: Question = question) -> Row:
                return answer_row(engine, question, checker=checker)

            print(f"{asking.name}, {name}: {number} of {len(asking.dataset.questions)}", file=sys.stderr)
            yield kept.get(f"{asking.name}: {name}: {question.id}", stamp, make)


class Noting:
    """A checker that notes when it first let a claim pass."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self.passed: float | None = None

    def check(self, claim: str, evidence: Sequence[Finding], *, hints: Sequence[int] = ()) -> Checked:
        """Return what the checker says of a claim."""
        checked = self._checker.check(claim, evidence, hints=hints)
        if checked.kept and self.passed is None:
            self.passed = time.perf_counter()
        return checked


def answer_row(engine: Engine, question: Question, *, checker: Noting) -> Row:
    """Return what comes of one question: measures of the answer as it is shown, claims, tokens and seconds."""
    started = time.perf_counter()
    begun = engine.begin(question.question)
    row: Row = {"asked_to_write": begun.draft is not None, "quoted_s": time.perf_counter() - started}
    pieces: list[str] = []
    spent = 0.0

    def timed() -> Iterator[str]:
        nonlocal spent
        source = engine.write(begun)
        while True:
            before = time.perf_counter()
            piece = next(source, None)
            spent += time.perf_counter() - before
            if piece is None:
                return
            pieces.append(piece)
            yield piece

    if begun.draft is not None and engine.writer is not None:
        checker.passed = None
        check_answer(begun.draft, timed(), checker=checker)  # type: ignore[arg-type]  # it checks as a Checker does
        text = "".join(pieces)
        row |= {"text": text, "tokens": engine.writer.count(text), "writing_s": spent}
    answer = engine.finish(begun, iter(pieces)).answer
    written = answer.answered and engine.writer is not None and answer.answerer.name == engine.writer.name
    first = checker.passed if written and checker.passed is not None else time.perf_counter()
    quotes = tuple(
        (evidence.article, tuple(locate(evidence.quote, engine.index.store.article(evidence.article).text)))
        for evidence in question.evidence
    )
    gold = Gold(question.question, tuple(question.answers), quotes, question.answerable)
    said = replace(answer, short_answer=None)  # what is compared is the text, not the span beside it
    return row | {
        "answered": answer.answered,
        "written": written,
        "kept": len(answer.claims) if written else 0,
        "dropped": answer.dropped or 0,
        "claims": [claim.text for claim in answer.claims],
        "first_claim_s": (row["quoted_s"] if begun.draft is None else first - started) if answer.answered else None,
        "measures": answer_measures(said, gold),
    }


def stamp_of(engine: Engine) -> str:
    """Return a hash of what an answer depends on: articles, settings, models, and the code that asks and checks."""
    code = b"".join(file.read_bytes() for file in sorted((ROOT / "rag" / "answering").glob("*.*")))
    facts = [engine.stamp(None), hashlib.sha256(code).hexdigest()]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def values(rows: Sequence[Row], measure: str) -> list[float]:
    """Return a measure's values, one for each question that has it."""
    if measure == "answered":
        return [float(row["answered"]) for row in rows]
    if measure == "written":
        return [float(row["written"]) for row in rows if row["asked_to_write"]]
    if measure == "claims kept":
        shares = [(row["kept"], row["kept"] + row["dropped"]) for row in rows if row["asked_to_write"]]
        return [kept / made for kept, made in shares if made]
    if measure == "seconds to the first claim":
        return [row["first_claim_s"] for row in rows if row["first_claim_s"] is not None]
    if measure == "tokens a second":
        return [row["tokens"] / row["writing_s"] for row in rows if row.get("tokens")]
    return [row["measures"][measure] for row in rows if measure in row["measures"]]


def report_text(
    columns: Mapping[str, Sequence[Row]],
    *,
    skipped: Sequence[str],
    threads: int = 0,
    note: str = "",
    command: str = "python -m benchmarks.writers",
) -> str:
    """Return the part of the report: a column for each set and system, a row for each measure."""
    lines = [["questions", *(str(len(rows)) for rows in columns.values())]]
    counts = [
        f"{sum(row['kept'] for row in rows)} / {sum(row['dropped'] for row in rows)}" for rows in columns.values()
    ]
    lines.append(["claims kept / dropped", *counts])
    lines += [[measure, *(cell(values(rows, measure)) for rows in columns.values())] for measure in MEASURES]
    meanings = "\n".join(f"- `{measure}`: {about}" for measure, about in MEASURES.items())
    text = (
        "## Answers that a small model writes\n\n"
        f"Written by `{command}` on {datetime.now(UTC).date().isoformat()}, rag {__version__}, "
        f"Python {platform.python_version()}, {threads or usable_cores()} threads. {note}\n"
        "Means with 95 % bootstrap intervals, and the number of questions that have the measure. The questions of\n"
        f"CLAPNQ are a random sample (seed {SEED}), half of them without an answer, asked of all its dev passages.\n"
        "What nothing bore out is left out; where nothing is left, the answer is quoted and counts as the user sees it."
    )
    beside = paired_lines(columns)
    if skipped:
        text += f" Not measured, as the files were not in the data folder: {', '.join(skipped)}."
    parts = [text, table(("measure", *columns), lines)]
    if beside:
        parts.append(f"{TUNED_NAME} less {PROMPTED}, over the questions that have the measure for both:")
        parts.append(table(("set", "measure", "difference", "n"), beside))
    return "\n\n".join([*parts, "What the measures mean:\n\n" + meanings]) + "\n"


def paired_lines(columns: Mapping[str, Sequence[Row]]) -> list[list[str]]:
    """Return for each set and measure the mean difference, by question, that fine-tuning makes to the short prompt."""
    lines = []
    for label, rows in columns.items():
        about, _, name = label.rpartition(": ")
        other = columns.get(f"{about}: {PROMPTED}")
        if name != TUNED_NAME or other is None:
            continue
        for measure in PAIRED:
            pairs = [(values([one], measure), values([two], measure)) for one, two in zip(rows, other, strict=True)]
            differences = [one[0] - two[0] for one, two in pairs if one and two]
            if differences:
                found = estimate_mean(differences)
                lines.append(
                    [about, measure, f"{found.mean:+.2f} ({found.low:+.2f} to {found.high:+.2f})", str(found.n)]
                )
    return lines


def cell(found: Sequence[float]) -> str:
    """Return a mean with its interval and n."""
    if not found:
        return ""
    estimate = estimate_mean(found)
    return f"{estimate.mean:.2f} ({estimate.low:.2f}–{estimate.high:.2f}) n={estimate.n}"


if __name__ == "__main__":
    sys.exit(main())
