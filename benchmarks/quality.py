"""How good rankings and answers are, on public question sets and on the questions about `seeds/`.

    python -m benchmarks.quality                       print the tables and write benchmarks/QUALITY.md (make eval)
    python -m benchmarks.quality --limit 20 --only seeds --dry-run      a quick look

The sets are read from `../shared/data` (or `--data`), in the forms that their authors published; one that is not there
is named as skipped. `--limit` questions of each set are asked, taken at even distances. Indexes stay in the cache.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rag import __version__
from rag.config import Config, load_config
from rag.errors import RagError
from rag.evaluation.datasets import Dataset, Document, limited, read_dataset
from rag.evaluation.evaluate import Evaluation
from rag.evaluation.measures import ANSWER_MEASURES
from rag.pipeline import Reporting, encoder_of
from rag.progress import StageProgress
from rag.records import Evidence, Question
from rag.scoring import Selection, score, with_settings

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "benchmarks" / "QUALITY.md"
DATA = ROOT.parent / "shared" / "data"
LIBRARIES = ("numpy", "faiss-cpu", "bm25s", "onnxruntime", "tokenizers", "ir_measures")

Reader = Callable[[Path], Dataset]

RANKINGS: Mapping[str, Mapping[str, str]] = {
    "words (BM25)": {"retrieval.dense_weight": "0", "retrieval.dense_weight_unspaced": "0"},
    "meaning (vectors)": {"retrieval.dense_weight": "1", "retrieval.dense_weight_unspaced": "1"},
    "both, min-max": {"retrieval.fusion": "minmax"},
    "both, reciprocal ranks": {"retrieval.fusion": "rrf"},
}
RANKING_MEASURES = ("nDCG@10", "RR@10", "R@10", "R@100", "Success@1", "Success@5")


@dataclass(frozen=True, slots=True)
class Set:
    """A question set: its name, how it is read from the data folder, and whether rankings or answers are scored."""

    name: str
    about: str
    read: Reader
    answers: bool


def clapnq(data: Path) -> Dataset:
    """Return CLAPNQ's dev questions; each passage is an article, the sentences that annotators chose are gold."""
    articles: dict[str, Document] = {}
    questions = []
    for part, answerable in (("answerable", True), ("unanswerable", False)):
        for line in (data / "reading" / f"clapnq_dev_{part}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            passage = row["passages"][0]
            known = articles.setdefault(passage["text"], Document(str(row["id"]), passage["title"], passage["text"]))
            outputs = row["output"] if answerable else []
            chosen = dict.fromkeys(quote for output in outputs for quote in output["selected_sentences"])
            questions.append(
                Question(
                    question=row["input"],
                    id=str(row["id"]),
                    answers=tuple(output["answer"] for output in outputs if output["answer"]),
                    evidence=tuple(Evidence(known.id, quote) for quote in chosen),
                    answerable=answerable,
                )
            )
    qrels = {str(q.id): {evidence.article: 1 for evidence in q.evidence} for q in questions if q.evidence}
    return Dataset("clapnq", tuple(questions), qrels, tuple(articles.values()))


SETS: Mapping[str, Set] = {
    "scifact": Set("SciFact", "BEIR, test", lambda data: read_dataset(data / "scifact"), answers=False),
    "jsquad": Set("JSQuAD", "Japanese", lambda data: read_dataset(data / "ja" / "jsquad_valid.json"), answers=False),
    "cmrc": Set(
        "CMRC 2018", "simplified Chinese", lambda data: read_dataset(data / "zh" / "cmrc2018_dev.json"), answers=False
    ),
    "drcd": Set("DRCD", "traditional Chinese", lambda data: read_dataset(data / "zh" / "DRCD_dev.json"), answers=False),
    "seeds": Set(
        "seeds", "test half", lambda _: read_dataset(ROOT / "seeds" / "questions.jsonl", split="test"), answers=True
    ),
    "squad": Set(
        "SQuAD 2.0",
        "half of dev",
        lambda data: read_dataset(data / "reading" / "squad2_dev_half.json"),
        answers=True,
    ),
    "clapnq": Set("CLAPNQ", "dev", clapnq, answers=True),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Score the sets, print the tables, and write them into the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the public sets")
    parser.add_argument("--limit", type=int, default=300, help="most questions of each set")
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS), help="these sets alone")
    parser.add_argument("--dry-run", action="store_true", help="print, and write no report")
    options = parser.parse_args(arguments)
    config = load_config(file=ROOT / "config.yaml", overrides={}, environment=os.environ, cwd=ROOT)
    with StageProgress(quiet=False) as progress:
        reporting = Reporting(notify=progress.notify, progress=progress)
        sections = list(report(config, options, reporting))
    text = "\n\n".join([heading(options), *sections]) + "\n"
    print(text)
    if not options.dry_run:
        REPORT.write_text(text, encoding="utf-8")
    return 0


def report(config: Config, options: argparse.Namespace, reporting: Reporting) -> Iterator[str]:
    """Yield the sections of the report."""
    encoder = encoder_of(config, reporting.notify)
    rankings: list[list[str]] = []
    answers: dict[str, Evaluation] = {}
    skipped: list[str] = []
    for key in options.only:
        chosen = SETS[key]
        try:
            dataset = limited(chosen.read(options.data), options.limit)
        except (OSError, RagError):
            skipped.append(f"- {chosen.name}: its files are not in the data folder")
            continue
        variants = {"as configured": {}} if chosen.answers else RANKINGS
        for name, settings in variants.items():
            reporting.notify(f"{chosen.name}, {name}: {len(dataset.questions)} questions")
            found = score(
                with_settings(config, settings, where=name),
                dataset,
                selection=Selection(answers=chosen.answers),
                reporting=reporting,
                encoder=encoder,
                apart=True,
            )
            if chosen.answers:
                answers[f"{chosen.name}, {chosen.about}"] = found
            rankings.append([f"{chosen.name} ({chosen.about})", name, *ranking_cells(found)])
    if rankings:
        yield "## Rankings\n\n" + table(("set", "ranked by", "n", *RANKING_MEASURES), rankings)
    if answers:
        yield "## Answers\n\n" + answer_table(answers)
        yield "What the measures mean:\n\n" + "\n".join(
            f"- `{name}`: {about}" for name, about in ANSWER_MEASURES.items()
        )
    if skipped:
        yield "## Skipped\n\n" + "\n".join(skipped)


def heading(options: argparse.Namespace) -> str:
    """Return what a reader needs to measure the same again."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    only = "" if options.only == list(SETS) else f" --only {' '.join(options.only)}"
    return (
        "# Quality\n\n"
        f"Written by `python -m benchmarks.quality --limit {options.limit}{only}` (`make eval`) on "
        f"{datetime.now(UTC).date().isoformat()}, rag {__version__}, Python {platform.python_version()}, "
        f"{versions}.\n\n"
        "Means, with 95 % bootstrap intervals in parentheses, over n questions taken at even distances; a question "
        "that found nothing counts as zero. Articles are ranked by their best passage. The settings are those of "
        "`config.yaml` but for what “ranked by” names."
    )


def ranking_cells(found: Evaluation) -> list[str]:
    """Return a row's number of questions and measures."""
    judged = found.measures.get("nDCG@10")
    return [str(judged.n if judged else 0), *(cell(found, name) for name in RANKING_MEASURES)]


def answer_table(answers: Mapping[str, Evaluation]) -> str:
    """Return the answers' measures, a column for each set."""
    rows = [["questions", *(str(len(found.results)) for found in answers.values())]]
    rows += [[name, *(cell(found, name) for found in answers.values())] for name in ANSWER_MEASURES]
    trusted = [found.confidence for found in answers.values()]
    rows.append(["AURC", *(f"{c.area.mean:.3f} ({c.area.low:.3f}–{c.area.high:.3f})" if c else "" for c in trusted)])
    rows.append(["ECE", *(f"{c.error:.3f}" if c else "" for c in trusted)])
    for name, place in (("median", 0), ("95th percentile", 1)):
        spent = [found.times_ms.get("total", (0.0, 0.0))[place] for found in answers.values()]
        rows.append([f"time of an answer, {name}", *(f"{value:.0f} ms" for value in spent)])
    return table(("measure", *answers), rows)


def cell(found: Evaluation, name: str) -> str:
    """Return a measure with its interval, and with its number of questions where that is not all of them."""
    estimate = found.measures.get(name)
    if estimate is None:
        return ""
    digits = 1 if name in {"characters", "sentences"} else 3
    interval = f"({estimate.low:.{digits}f}–{estimate.high:.{digits}f})"
    return f"{estimate.mean:.{digits}f} {interval}" + (f" n={estimate.n}" if name in ANSWER_MEASURES else "")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
