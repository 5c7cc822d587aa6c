"""How good rankings and answers are, on public question sets and on the questions about `seeds/`.

    python -m benchmarks.quality                       what is missing or out of date (make eval)
    python -m benchmarks.quality --only seeds          only these sets; the others stay as they were measured
    python -m benchmarks.quality --again --only squad  measure these anew, whether out of date or not
    python -m benchmarks.quality --limit 20 --answers 20 --only seeds --dry-run      a quick look

The sets are read from `../shared/data` (or `--data`), in the forms that their authors published; one that is not there
is named as skipped. `--limit` questions of each set are searched and `--answers` are asked, taken at even distances.

Each row is written into `benchmarks/quality.json` when it is there, so an interrupted run is taken up where it
stopped, and one set is measured again without the others. A row is out of date when its questions, its articles, a
setting that it depends on, the encoder, what counts as one word, or for answers the judges and their weights are others
than when it was measured. Indexes stay in the cache.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.parts import put_part
from rag import __version__
from rag.articles import find_files
from rag.config import Config, load_config, value_text
from rag.engine import Engine
from rag.errors import RagError
from rag.evaluation.datasets import Dataset, Document, corpus_digest, limited, read_dataset
from rag.evaluation.evaluate import Evaluation
from rag.evaluation.measures import ANSWER_MEASURES
from rag.evaluation.runs import run_lines
from rag.index.lexical import ANALYZER
from rag.loading import encoder_of
from rag.models.encoder import Encoder
from rag.models.runtime import write_atomically
from rag.progress import Reporting, StageProgress
from rag.records import Evidence, Question
from rag.scoring import Selection, score, with_settings
from rag.sweeping import remembering

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "benchmarks" / "QUALITY.md"
RESULTS = ROOT / "benchmarks" / "quality.json"
DATA = ROOT.parent / "shared" / "data"
LIBRARIES = ("numpy", "faiss-cpu", "bm25s", "onnxruntime", "tokenizers", "ir_measures")

Reader = Callable[[Path], Dataset]

RANKINGS: Mapping[str, Mapping[str, str]] = {
    "words (BM25)": {"retrieval.dense_weight": "0", "retrieval.dense_weight_unspaced": "0"},
    "meaning (vectors)": {"retrieval.dense_weight": "1", "retrieval.dense_weight_unspaced": "1"},
    "both, min-max": {"retrieval.fusion": "minmax"},
    "both, reciprocal ranks": {"retrieval.fusion": "rrf"},
}
PRIMARY = "both, min-max"
ANSWERS = "answers"
UNSPACED = "問"  # a question in a script that another judge may read
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
    "xquad": Set(
        "XQuAD", "simplified Chinese", lambda data: read_dataset(data / "xquad" / "xquad.zh.json"), answers=True
    ),
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
    """Measure what is missing or out of date, print the tables, and write them into the report if no set is absent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the public sets")
    parser.add_argument("--limit", type=int, default=300, help="most questions of each set that are searched")
    parser.add_argument("--answers", type=int, default=300, help="most questions of each set that are asked")
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS), help="these sets alone")
    parser.add_argument("--again", action="store_true", help="measure anew what is up to date, too")
    parser.add_argument("--dry-run", action="store_true", help="print, and write nothing")
    options = parser.parse_args(arguments)
    config = load_config(file=ROOT / "config.yaml", overrides={}, environment=os.environ, cwd=ROOT)
    measured = Measured(None if options.dry_run else RESULTS)
    with StageProgress(quiet=False) as progress:
        reporting = Reporting(notify=progress.notify, progress=progress)
        skipped = list(measure(config, options, measured, reporting))
    text = report_text(measured.rows, skipped=skipped)
    print(text)
    if not (options.dry_run or skipped):
        put_part(REPORT, text)
    return 0


class Measured:
    """The rows that were measured, by set and variant, kept in a file after each one; without a file, for this run."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.rows: dict[str, dict[str, Any]] = {}
        if file is not None and file.exists():
            self.rows = json.loads(file.read_text(encoding="utf-8"))

    def holds(self, key: str, stamp: str, settings: Mapping[str, str]) -> bool:
        """Tell whether a row is there, and was measured under this stamp and these settings.

        A setting that is newer than the row has changed nothing while it is at its default.
        """
        row = self.rows.get(key, {})
        then = row.get("settings", {})
        default = Config()
        return row.get("stamp") == stamp and all(
            then.get(name, value_text(name, default.value(name))) == text for name, text in settings.items()
        )

    def put(self, key: str, row: dict[str, Any]) -> None:
        """Keep a row."""
        self.rows[key] = row
        if self._file is not None:
            kept = json.dumps(self.rows, indent=1, ensure_ascii=False, sort_keys=True)
            write_atomically(self._file, f"{kept}\n".encode())


def measure(config: Config, options: argparse.Namespace, measured: Measured, reporting: Reporting) -> Iterator[str]:
    """Measure the rows of the chosen sets that are missing or out of date; yield the names of sets without files."""
    encoder = remembering(encoder_of(config, reporting.notify))
    for key in options.only:
        chosen = SETS[key]
        try:
            whole = chosen.read(options.data)
        except (OSError, RagError):
            yield chosen.name
            continue
        variants: dict[str, Mapping[str, str]] = dict(RANKINGS)
        if chosen.answers:
            variants[ANSWERS] = {}
        for name, settings in variants.items():
            answers = name == ANSWERS
            dataset = limited(whole, options.answers if answers else options.limit)
            changed = with_settings(config, settings, where=name)
            stamp = stamp_of(changed, dataset, encoder=encoder, answers=answers)
            counted = counted_settings(changed, answers=answers)
            row_key = f"{key}: {name}"
            if measured.holds(row_key, stamp, counted) and not options.again:
                reporting.notify(f"{chosen.name}, {name}: up to date")
                continue
            reporting.notify(f"{chosen.name}, {name}: {len(dataset.questions)} questions")
            selection = Selection(answers=answers)
            found = score(changed, dataset, selection=selection, reporting=reporting, encoder=encoder, apart=True)
            row = row_of(found, articles=_size(whole), of=len(whole.questions), answers=answers)
            if name == PRIMARY:
                row["pytrec_eval"] = by_pytrec_eval(found, dataset)
            measured.put(row_key, {"stamp": stamp, "settings": counted, **row})


def counted_settings(config: Config, *, answers: bool) -> dict[str, str]:
    """Return the settings that a row depends on, as texts by key."""
    sections = {"encoder", "passages", "retrieval"} | ({"reader", "answer"} if answers else set())
    # Rankings are scored as deep as the candidates go, however many passages an answer looks at.
    without = set() if answers else {"retrieval.k"}
    beside = {"building.int8_from"}
    counted = [
        s
        for s in config.settings()
        if s.key in beside or (s.key.partition(".")[0] in sections and s.key not in without)
    ]
    return {setting.key: setting.text for setting in counted}


def stamp_of(config: Config, dataset: Dataset, *, encoder: Encoder, answers: bool) -> str:
    """Return a hash of what a row depends on beside settings: questions, articles, encoder, words, answers' judges."""
    questions = [[q.id, q.question, q.answers, [[e.article, e.quote] for e in q.evidence]] for q in dataset.questions]
    judges = None
    if answers:
        with Engine(config, encoder=encoder) as engine:
            asked = (engine.judge, engine.judge_of(UNSPACED))
            judges = [[judge.name, judge.model, judge.revision] for judge in asked]
    corpus = _files_digest(config) if dataset.corpus is None else corpus_digest(dataset.corpus)
    facts = [questions, sorted(dataset.qrels), corpus, encoder.fingerprint, ANALYZER, judges]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _files_digest(config: Config) -> str:
    """Return a hash of the articles that the settings name, by their ids."""
    digest = hashlib.sha256()
    for file in find_files([path for path in config.article_paths() if path.exists()]):
        content = b"" if file.refused else hashlib.sha256(file.file.read_bytes()).digest()
        digest.update(json.dumps([file.id, content.hex()]).encode())
    return digest.hexdigest()


def row_of(found: Evaluation, *, articles: int | None, of: int, answers: bool) -> dict[str, Any]:
    """Return what is kept of an evaluation: every measure with its interval and n, and how it came about."""
    row: dict[str, Any] = {
        "measured": datetime.now(UTC).date().isoformat(),
        "versions": {"rag": __version__, "Python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in LIBRARIES},
        "questions": len(found.results),
        "of": of,
        "articles": articles,
        "measures": {name: [e.mean, e.low, e.high, e.n] for name, e in found.measures.items()},
    }
    if answers and found.confidence is not None:
        area = found.confidence.area
        row["AURC"] = [area.mean, area.low, area.high, area.n]
        row["ECE"] = found.confidence.error
        row["times_ms"] = {stage: list(spent) for stage, spent in found.times_ms.items()}
    return row


def by_pytrec_eval(found: Evaluation, dataset: Dataset) -> float:
    """Return nDCG@10 as pytrec_eval computes it from the run file of an evaluation, as `rag eval --run` writes it."""
    import pytrec_eval

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.trec"
        file.write_text("".join(run_lines((r.id, r.articles) for r in found.results)), encoding="utf-8")
        with file.open(encoding="utf-8") as lines:
            parsed = pytrec_eval.parse_run(lines)
    # Blanks in names stand as %20 in a run file.
    unquote = urllib.parse.unquote
    run = {unquote(topic): {unquote(name): s for name, s in found.items()} for topic, found in parsed.items()}
    qrels = {topic: dict(judged) for topic, judged in dataset.qrels.items()}
    scores = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run)
    # A topic that found nothing is in no run file, and counts as zero.
    return float(sum(topic["ndcg_cut_10"] for topic in scores.values()) / len(qrels))


def report_text(rows: Mapping[str, Mapping[str, Any]], *, skipped: Sequence[str]) -> str:
    """Return the report: the tables of all rows that were measured, whenever that was."""
    rankings, checks, answers = [], [], {}
    for key, chosen in SETS.items():
        for name in RANKINGS:
            row = rows.get(f"{key}: {name}")
            if row is not None:
                searched = str(row["articles"] or "")
                judged = row["measures"].get("nDCG@10", [0, 0, 0, 0])[3]
                cells = [cell(row, measure) for measure in RANKING_MEASURES]
                rankings.append([f"{chosen.name} ({chosen.about})", name, str(judged), searched, *cells])
                if "pytrec_eval" in row:
                    ours = row["measures"]["nDCG@10"][0]
                    checks.append(f"{chosen.name} {row['pytrec_eval']:.4f} ({ours:.4f} in the table)")
        if (row := rows.get(f"{key}: {ANSWERS}")) is not None:
            answers[f"{chosen.name}, {chosen.about}"] = row
    parts = [heading(rows)]
    if rankings:
        columns = ("set", "ranked by", "n", "articles", *RANKING_MEASURES)
        parts.append("## Rankings\n\n" + table(columns, rankings))
    if checks:
        parts.append(f"nDCG@10 of the run files of “{PRIMARY}”, by pytrec_eval: {', '.join(checks)}.")
    if answers:
        meanings = "\n".join(f"- `{name}`: {about}" for name, about in ANSWER_MEASURES.items())
        parts.append("## Answers\n\n" + answer_table(answers))
        parts.append("What the measures mean:\n\n" + meanings)
    if skipped:
        named = ", ".join(skipped)
        parts.append(f"Not measured in the last run, as their files were not in the data folder: {named}.")
    return "\n\n".join(parts) + "\n"


def heading(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what a reader needs to measure the same again."""
    dates = sorted({row["measured"] for row in rows.values()})
    versions = sorted({", ".join(f"{name} {v}" for name, v in row["versions"].items()) for row in rows.values()})
    when = " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else "no day yet"
    return (
        "# Quality\n\n"
        f"Written by `python -m benchmarks.quality` (`make eval`); measured on {when} with "
        f"{'; or '.join(versions)}.\n\n"
        "Means, with 95 % bootstrap intervals in parentheses, over n questions taken at even distances; a question "
        "that found nothing counts as zero. Articles are ranked by their best passage, among as many as the column "
        "says. The settings are those of `config.yaml` but for what “ranked by” names."
    )


def answer_table(answers: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the answers' measures, a column for each set."""
    rows = [["questions", *(f"{row['questions']} of {row['of']}" for row in answers.values())]]
    rows += [[name, *(cell(row, name) for row in answers.values())] for name in ANSWER_MEASURES]
    areas = [row.get("AURC") for row in answers.values()]
    rows.append(["AURC", *("" if a is None else f"{a[0]:.3f} ({a[1]:.3f}–{a[2]:.3f})" for a in areas)])
    rows.append(["ECE", *(f"{row['ECE']:.3f}" if "ECE" in row else "" for row in answers.values())])
    for name, place in (("median", 0), ("95th percentile", 1)):
        spent = [row.get("times_ms", {}).get("total", (0.0, 0.0))[place] for row in answers.values()]
        rows.append([f"time of an answer, {name}", *(f"{value:.0f} ms" for value in spent)])
    return table(("measure", *answers), rows)


def cell(row: Mapping[str, Any], name: str) -> str:
    """Return a measure with its interval, and for an answer's measure with its number of questions."""
    if name not in row["measures"]:
        return ""
    mean, low, high, n = row["measures"][name]
    digits = 1 if name in {"characters", "sentences"} else 3
    interval = f"({low:.{digits}f}–{high:.{digits}f})"
    return f"{mean:.{digits}f} {interval}" + (f" n={n}" if name in ANSWER_MEASURES else "")


def _size(dataset: Dataset) -> int | None:
    """Return how many articles a dataset brings; None if it asks the articles that the settings name."""
    if isinstance(dataset.corpus, Path):
        with dataset.corpus.open("rb") as lines:
            return sum(1 for line in lines if line.strip())
    return None if dataset.corpus is None else len(dataset.corpus)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
