"""All that is claimed of the reader, measured by one command, each line with n, its 95 % interval and its goal.

    python -m benchmarks.reader                      everything (make eval-reader)
    python -m benchmarks.reader --sample 40          a quick look at so many cases of each set
    python -m benchmarks.reader --only squad cold    these parts alone

Parts: `squad` SQuAD 2.0's half, read paragraph by paragraph, and asked of the answerer; `seeds` questions about the
articles that ship, beside the answerer that compares; `scifact` ranking anew by reading; `clapnq` what is cited, and
what is declined; `wice` and `altered` whether evidence supports a claim; `twins` where one word decides; `pointing` the
words that are the short answer; `cold` the time of a cold answer. Sets that are not in `--data` are named and left out.
`--out` keeps the lines as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tokenizers import Tokenizer

from benchmarks import cold, quality, rerank
from rag.config import Config, load_config
from rag.errors import ModelMissing, RagError
from rag.evaluation.datasets import Dataset, limited, read_dataset
from rag.evaluation.evaluate import Evaluation, Result
from rag.evaluation.statistics import Difference, Estimate, estimate_mean, paired_difference
from rag.loading import calibration_of, encoder_of
from rag.models.encoder import Encoder
from rag.models.reader import Reader, own_folder
from rag.models.sources import find_model
from rag.progress import Reporting, StageProgress
from rag.scoring import Selection, score, with_settings
from training import evaluate, twins
from training.answerability import Combination, read_combination
from training.judged import evaluate_squad_judged
from training.measures import Figure, bootstrap_auroc
from training.pointing import list_held_out_facts, measure_pointing
from training.reference import OnnxScorer
from training.squad import evaluate_squad, read_squad
from training.tokens import load_tokenizer

BUDGET_MS = 400.0
COLD_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Line:
    """A figure: what it is of, its value and interval, over how many cases, and what it should reach, in words."""

    part: str
    what: str
    value: float
    low: float
    high: float
    n: int
    goal: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured, and on how much of it: `sample` 0 takes every case."""

    config: Config
    data: Path
    sample: int
    split: str
    reporting: Reporting

    @property
    def folder(self) -> Path:
        """Return the reader's folder.

        Raises:
            ModelMissing: it is of another make, which is read through the pipeline alone.
        """
        folder = own_folder(self.config.reader.model)
        if folder is None:
            raise ModelMissing(f"{self.config.reader.model} is no reader of this project's own form")
        return folder

    def encoder(self) -> Encoder:
        """Return the encoder of the settings."""
        return encoder_of(self.config, self.reporting.notify)


def line(
    part: str,
    what: str,
    found: Figure | Estimate | Difference,
    *,
    least: float | None = None,
    most: float | None = None,
) -> Line:
    """Return a figure as a line, with the least or the most that it should be."""
    value = found.value if isinstance(found, Figure) else found.mean
    if least is not None:
        return Line(part, what, value, found.low, found.high, found.n, f"≥ {least:g}", value >= least)
    if most is not None:
        return Line(part, what, value, found.low, found.high, found.n, f"≤ {most:g}", value <= most)
    return Line(part, what, value, found.low, found.high, found.n)


def figure(found: dict[str, object], name: str) -> Figure:
    """Return a figure of training.evaluate by its name.

    Raises:
        TypeError: it is no figure.
    """
    value = found[name]
    if not isinstance(value, Figure):
        raise TypeError(f"{name} is {value!r}")
    return value


def squad(bench: Bench) -> Iterator[Line]:
    """Yield reading and answerability on SQuAD 2.0's half: by one reading, and as the answerer answers."""
    scorer, tokenizer, combination = _opened(bench)
    path = bench.data / "reading" / "squad2_dev_half.json"
    found = evaluate_squad(scorer, tokenizer=tokenizer, path=path, combination=combination, limit=bench.sample)
    yield line("squad", "F1 over all", figure(found, "overall_f1"), least=0.72)
    yield line("squad", "F1 of the answerable", figure(found, "answerable_f1"), least=0.82)
    yield line("squad", "answerability, AUROC", figure(found, "auroc"), least=0.86)
    judge = twins.make_judge(Reader(bench.folder), calibration=calibration_of(bench.config))
    judged = evaluate_squad_judged(judge, data=bench.data, path=path, limit=bench.sample, reporting=bench.reporting)
    yield line("squad", "F1 over all, as the answerer answers", figure(judged, "overall_f1"), least=0.72)
    yield line("squad", "F1 of the answerable, as the answerer answers", figure(judged, "answerable_f1"), least=0.82)
    yield line("squad", "answerability, AUROC, as the answerer answers", figure(judged, "auroc"), least=0.86)


def seeds(bench: Bench) -> Iterator[Line]:
    """Yield what is cited, answered and declined, and how far that is from the answerer that compares."""
    file = quality.ROOT / "seeds" / "questions.jsonl"
    dataset = limited(read_dataset(file, split=bench.split), bench.sample or None)
    encoder = bench.encoder()
    ours = _scored(bench, dataset, encoder)
    theirs = _scored(replace(bench, config=_without_reader(bench.config)), dataset, encoder)
    # A small sample may have no question with an answer, or none without: what there is none of is left out.
    if (cited := ours.measures.get("evidence_cited")) is not None:
        yield line("seeds", "gold evidence cited", cited, least=0.92)
    factoids = [r for r in ours.results if r.question.metadata.get("kind") == "factoid" and r.gold.answerable]
    if factoids:
        exact = [max(r.measures.get("EM", 0.0), r.measures.get("contains", 0.0)) for r in factoids]
        yield line("seeds", "factoids: gold answer in the sentence", estimate_mean(exact), least=0.75)
        short = [r.measures.get("EM", 0.0) for r in factoids]
        yield line("seeds", "factoids: short answer exact", estimate_mean(short))
    if (declined := ours.measures.get("refusal_recall")) is not None:
        yield line("seeds", "unanswerable declined", declined, least=0.85)
    if (wrongly := ours.measures.get("declined_answerable")) is not None:
        yield line("seeds", "answerable declined", wrongly, most=0.04)
    for name in ("right", "evidence_cited", "refusal_recall", "declined_answerable"):
        pairs = [
            (b.measures[name], a.measures[name])
            for a, b in zip(ours.results, theirs.results, strict=True)
            if name in a.measures and name in b.measures
        ]
        if pairs:
            difference = paired_difference([b for b, _ in pairs], [a for _, a in pairs])
            yield line("seeds", f"{name}, more than by comparing (paired, p={difference.p:.3f})", difference)


def scifact(bench: Bench) -> Iterator[Line]:
    """Yield the ranking as it is, and ranked anew by as many passages as the budget allows."""
    for _, gains in rerank.measured(
        bench.config, bench.data, only=["scifact"], limit=bench.sample, reporting=bench.reporting
    ):
        yield line("scifact", "nDCG@10 of the fusion", gains[0].fusion)
        for one in gains:
            within = one.ms <= BUDGET_MS
            what = f"nDCG@10, {one.count} passages read in {one.ms:.0f} ms{'' if within else ', over the budget'}"
            yield line("scifact", what, one.reranked, least=0.74 if within else None)


def clapnq(bench: Bench) -> Iterator[Line]:
    """Yield what of the gold sentences is cited, and how well the confidence tells what can be answered."""
    scorer, tokenizer, combination = _opened(bench)
    names = ("clapnq_dev_answerable.jsonl", "clapnq_dev_unanswerable.jsonl")
    with _thinned(bench.data / "reading", names, bench.sample) as folder:
        found = evaluate.evaluate_clapnq(scorer, tokenizer=tokenizer, folder=folder, combination=combination)
    yield line("clapnq", "answerable, on its own passage, AUROC", figure(found, "auroc"), least=0.80)
    scored = _scored(bench, limited(quality.clapnq(bench.data), bench.sample or None), bench.encoder())
    yield line("clapnq", "selected sentences cited (recall)", scored.measures["citation_recall"])
    yield line("clapnq", "citations that are selected sentences (precision)", scored.measures["citation_precision"])
    yield line("clapnq", "answerable, by the answer's confidence, AUROC", answerable_auroc(scored.results))


def answerable_auroc(results: Sequence[Result]) -> Figure:
    """Return how well the confidence tells questions that can be answered from those that cannot.

    Raises:
        ValueError: there are none of one kind.
    """
    known = [result for result in results if result.withheld is not None and result.gold.answerable is not None]
    confidences = [result.withheld.confidence for result in known if result.withheld is not None]
    return bootstrap_auroc(confidences, [bool(result.gold.answerable) for result in known])


def wice(bench: Bench) -> Iterator[Line]:
    """Yield how well support is told on WiCE's claims, beside the cosine."""
    scorer, tokenizer, _ = _opened(bench)
    embed = evaluate.make_embedder(find_model("all-MiniLM-L6-v2").folder, tokenizer=tokenizer)
    with _thinned(bench.data / "evidence", ("wice_claim_dev.jsonl",), bench.sample) as folder:
        path = folder / "wice_claim_dev.jsonl"
        found = evaluate.evaluate_wice(scorer, tokenizer=tokenizer, path=path, embed=embed)
    for what in ("balanced_accuracy", "cosine_balanced_accuracy", "auroc", "cosine_auroc", "auroc_gain"):
        yield line("wice", what.replace("_", " "), figure(found, what))


def altered(bench: Bench) -> Iterator[Line]:
    """Yield how well true sentences are told from altered ones."""
    scorer, tokenizer, _ = _opened(bench)
    paragraphs, _ = read_squad(bench.data / "reading" / "squad2_dev_half.json")
    found = evaluate.evaluate_altered(
        scorer, tokenizer=tokenizer, paragraphs=paragraphs, embed=None, wanted=bench.sample * 4 or 1200
    )
    yield line("altered", "true against altered, AUROC", figure(found, "auroc"), least=0.95)
    for name in found:
        if name.startswith("auroc_"):
            yield line("altered", f"{name.removeprefix('auroc_').replace('_', ' ')}, AUROC", figure(found, name))


def where_one_word_decides(bench: Bench) -> Iterator[Line]:
    """Yield how often the right one of two sentences is chosen that differ in a word."""
    judge = twins.make_judge(twins.open_reader(bench.config.reader.model), calibration=calibration_of(bench.config))
    outcomes = list(twins.ask_cases(judge, twins.read_cases()))
    for kind, found in twins.figures(outcomes).items():
        yield line("twins", kind, found)


def short_answers(bench: Bench) -> Iterator[Line]:
    """Yield how well the short answer is found by the reading of a passage, of the sentence alone, and in context."""
    found = measure_pointing(Reader(bench.folder), list_held_out_facts(bench.sample))
    for name, pointing in found.items():
        yield line("pointing", f"short answer by {name}, F1", estimate_mean(pointing.f1))
        yield line("pointing", f"short answer by {name}, exact", estimate_mean(pointing.exact))
    chosen = "the sentence in context"
    for other in ("the passage", "the sentence alone"):
        gain = paired_difference(found[other].exact, found[chosen].exact)
        yield line("pointing", f"exact by {chosen}, more than by {other} (paired, p={gain.p:.3f})", gain)


def cold_answer(bench: Bench) -> Iterator[Line]:
    """Yield the time of a cold answer as a share of what importing sentence-transformers takes: least to most."""
    python = [sys.executable, "-m", "rag"]
    with tempfile.TemporaryDirectory() as index:
        named = ["--index", index, "--set", f"reader.model={bench.config.reader.model}"]
        cold.seconds([*python, "index", str(cold.SEEDS), "--index", index, "--quiet"])
        shares, rounds = [], 2 if bench.sample else COLD_ROUNDS
        for _ in range(rounds):
            whole = cold.seconds([sys.executable, "-c", "import sentence_transformers"])
            shares.append(cold.seconds([*python, "ask", cold.QUESTION, *named]) / whole)
    middle = statistics.median(shares)
    yield Line(
        "cold", "answer against import of the library", middle, min(shares), max(shares), rounds, "≤ 0.2", middle <= 0.2
    )


PARTS: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "squad": squad,
    "seeds": seeds,
    "scifact": scifact,
    "clapnq": clapnq,
    "wice": wice,
    "altered": altered,
    "twins": where_one_word_decides,
    "pointing": short_answers,
    "cold": cold_answer,
}


def _opened(bench: Bench) -> tuple[OnnxScorer, Tokenizer, Combination]:
    folder = bench.folder
    combination = read_combination(folder / "config.json")
    return OnnxScorer(folder / "model.onnx"), load_tokenizer(folder), combination


def _scored(bench: Bench, dataset: Dataset, encoder: Encoder) -> Evaluation:
    selection = Selection(answers=True)
    return score(bench.config, dataset, selection=selection, reporting=bench.reporting, encoder=encoder, apart=True)


def _without_reader(config: Config) -> Config:
    return with_settings(config, {"reader.model": "none"}, where="reader")


@contextmanager
def _thinned(folder: Path, names: Sequence[str], sample: int) -> Iterator[Path]:
    """Give a folder with the files of these names, each cut to lines taken at even distances."""
    with tempfile.TemporaryDirectory() as thinned:
        for name in names:
            lines = (folder / name).read_text(encoding="utf-8").splitlines(keepends=True)
            step = max(1, len(lines) // sample) if sample else 1
            kept = lines[::step][:sample] if sample else lines
            (Path(thinned) / name).write_text("".join(kept), encoding="utf-8")
        yield Path(thinned)


def report(lines: Sequence[Line]) -> str:
    """Return the lines as a table."""
    marks = {None: "", True: "yes", False: "no"}
    rows = [
        [one.part, one.what, f"{one.value:.3f} ({one.low:.3f}–{one.high:.3f})", str(one.n), one.goal, marks[one.met]]
        for one in lines
    ]
    return quality.table(("part", "what", "measured", "n", "goal", "met"), rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the chosen parts, and print each line when it is there, then the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reader", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=quality.DATA, help="folder with the public sets")
    parser.add_argument("--reader", default="shipped", help="shipped, or a folder that training.export wrote")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="these parts alone")
    parser.add_argument("--sample", type=int, default=0, help="so many cases of each set; 0: all")
    parser.add_argument("--split", default="test", help="of seeds/questions.jsonl")
    parser.add_argument("--out", type=Path, help="file that the lines are written to as JSON")
    options = parser.parse_args(arguments)
    base = load_config(file=quality.ROOT / "config.yaml", overrides={}, environment=os.environ, cwd=quality.ROOT)
    config = with_settings(base, {"reader.model": options.reader}, where="--reader")
    lines: list[Line] = []
    with StageProgress(quiet=False) as progress:
        reporting = Reporting(notify=progress.notify, progress=progress)
        bench = Bench(config, options.data, options.sample, options.split, reporting)
        for name in options.only:
            try:
                for found in PARTS[name](bench):
                    lines.append(found)
                    progress.notify(f"{found.part}: {found.what} {found.value:.3f} n={found.n}")
            except (OSError, ValueError, RagError) as error:  # a small sample may hold cases of one kind alone
                progress.notify(f"{name} is left out: {error}")
    print(report(lines))
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps([asdict(one) for one in lines], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
