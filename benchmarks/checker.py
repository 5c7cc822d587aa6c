"""How many untrue claims the check of written answers catches, and how many true ones it keeps.

    python -m benchmarks.checker                     print the tables and write benchmarks/CHECKER.md
    python -m benchmarks.checker --each 2 --limit 20     a quick look, of which nothing is written

True and untrue claims are made by `training/alterations.py` from the paragraphs of half of SQuAD 2.0's dev set,
articles on which nothing was fitted; the claims of WiCE's dev set were written by people. Baselines are given the
threshold at which they keep as many of the true claims as the check does, in hindsight.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.parts import is_quick_look
from rag import __version__
from rag.answering.checking import Checker, words_shared
from rag.config import load_config
from rag.evaluation.datasets import evenly
from rag.loading import encoder_of
from rag.models.reader import SHIPPED, Reader
from training.alterations import WAYS
from training.checker import Case, made_cases, make_findings
from training.measures import Figure, bootstrap, bootstrap_auroc, compute_balanced_accuracy

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "benchmarks" / "CHECKER.md"
DATA = ROOT.parent / "shared" / "data"
SEED = 7
EACH = 60
NEAREST = 2
RULES_ALONE = 0.7
"""With the rules alone, a claim is kept when this share of its words stands in evidence that breaks none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case: by the check, by its rules alone, and what the reader and the cosine make of it."""

    case: Case
    kept: bool
    support: float
    by_rules: bool
    reader: float
    cosine: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and write them into the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checker", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the public sets")
    parser.add_argument("--each", type=int, default=EACH, help="untrue claims of each kind")
    parser.add_argument("--limit", type=int, default=None, help="most claims of WiCE, taken at even distances")
    parser.add_argument("--dry-run", action="store_true", help="print, and write no report")
    options = parser.parse_args(arguments)
    judges = Judges()
    made = judges.judge(read_made(options.data, each=options.each))
    wice = read_wice(options.data)
    natural = judges.judge(wice if options.limit is None else evenly(wice, options.limit))
    text = "\n\n".join(
        [
            heading(options),
            "## Claims made untrue by script",
            *made_tables(made),
            "## Claims of WiCE",
            wice_table(natural),
        ]
    )
    print(text)
    if not (options.dry_run or is_quick_look(options.limit, options.each)):
        REPORT.write_text(text + "\n", encoding="utf-8")
    return 0


def read_made(data: Path, *, each: int) -> list[Case]:
    """Return claims about the paragraphs of half of SQuAD 2.0 dev."""
    articles = json.loads((data / "reading" / "squad2_dev_half.json").read_text(encoding="utf-8"))["data"]
    paragraphs = [
        (article["title"].replace("_", " "), paragraph["context"])
        for article in articles
        for paragraph in article["paragraphs"]
    ]
    return made_cases(paragraphs, wanted=each, seed=SEED)


def read_wice(data: Path) -> list[Case]:
    """Return WiCE's dev claims, each before all sentences of the page that it cites."""
    cases = []
    for line in (data / "evidence" / "wice_claim_dev.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        title = next((s.partition("TITLE: ")[2] for s in row["evidence"] if "TITLE: " in s), "")
        sentences = [" ".join(s.replace("(meta data) ", "").split()) for s in row["evidence"]]
        text = "\n\n".join(sentence for sentence in sentences if sentence)
        cases.append(Case(row["claim"], make_findings(text, title=title), row["label"] == "supported", "wice"))
    return cases


class Judges:
    """The check and what it is measured against."""

    def __init__(self) -> None:
        config = load_config(file=ROOT / "config.yaml", overrides={}, environment={}, cwd=ROOT)
        self._encoder = encoder_of(config, lambda _: None)
        self._reader = Reader(SHIPPED)
        self._checker = Checker(self._reader)

    def judge(self, cases: Sequence[Case]) -> list[Outcome]:
        """Return what becomes of each case."""
        outcomes = []
        for number, case in enumerate(cases):
            if number % 50 == 0:
                print(f"{number} of {len(cases)}", file=sys.stderr)
            outcomes.append(self._judge(case))
        return outcomes

    def _judge(self, case: Case) -> Outcome:
        checked = self._checker.check(case.claim, case.evidence)
        sound = [row for row in self._checker.compare(case.claim, case.evidence) if row.fault is None]
        nearest = sorted(case.evidence, key=lambda finding: -words_shared(case.claim, finding.text))[:NEAREST]
        texts = [finding.text for finding in nearest]
        read = self._reader.support([case.claim] * len(texts), texts)[:, 0]
        vectors = self._encoder.encode_passages([case.claim, *texts])
        return Outcome(
            case,
            checked.kept,
            checked.support,
            any(row.comparison.coverage >= RULES_ALONE for row in sound),
            float(read.max()),
            float((vectors[1:] @ vectors[0]).max()),
        )


def made_tables(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the tables on claims made by script: by kind of alteration, and by form of the true ones."""
    true = [outcome for outcome in outcomes if outcome.case.true]
    untrue = [outcome for outcome in outcomes if not outcome.case.true]
    kept = sum(outcome.kept for outcome in true)
    marks = {
        "the check": [outcome.kept for outcome in outcomes],
        "its rules alone": [outcome.by_rules for outcome in outcomes],
        "the reader alone": above([o.reader for o in outcomes], outcomes, kept),
        "cosine": above([o.cosine for o in outcomes], outcomes, kept),
    }
    keeps = {
        name: {id(outcome): mark for outcome, mark in zip(outcomes, marked, strict=True)}
        for name, marked in marks.items()
    }
    rows = [row("all untrue", untrue, keeps, caught=True)]
    rows += [row(way, [o for o in untrue if o.case.origin == way], keeps, caught=True) for way in WAYS]
    forms = sorted({outcome.case.origin for outcome in true})
    true_rows = [row("all true", true, keeps, caught=False)]
    true_rows += [
        row(form.removeprefix("true, "), [o for o in true if o.case.origin == form], keeps, caught=False)
        for form in forms
    ]
    areas = " · ".join(
        f"{name} {figure(partial(bootstrap_auroc, scores, [o.case.true for o in outcomes]))}"
        for name, scores in scores_of(outcomes).items()
    )
    return [
        "Share of untrue claims caught:\n\n" + table(("made untrue by", "n", *keeps), rows),
        "Share of true claims kept:\n\n" + table(("true claim", "n", *keeps), true_rows),
        f"AUROC of the score, true against untrue: {areas}",
    ]


def scores_of(outcomes: Sequence[Outcome]) -> Mapping[str, list[float]]:
    """Return the scores that rank claims."""
    return {
        "the check": [outcome.support for outcome in outcomes],
        "the reader alone": [outcome.reader for outcome in outcomes],
        "cosine": [outcome.cosine for outcome in outcomes],
    }


def above(scores: Sequence[float], outcomes: Sequence[Outcome], kept: int) -> list[bool]:
    """Return which claims score so high that `kept` of the true ones do."""
    ranked = sorted((s for s, o in zip(scores, outcomes, strict=True) if o.case.true), reverse=True)
    threshold = ranked[kept - 1] if kept else math.inf
    return [score >= threshold for score in scores]


def row(name: str, outcomes: Sequence[Outcome], keeps: Mapping[str, Mapping[int, bool]], *, caught: bool) -> list[str]:
    """Return a line of a table: the share caught or kept, with Wilson's 95 % interval."""
    cells = []
    for marks in keeps.values():
        count = sum(marks[id(outcome)] != caught for outcome in outcomes)
        cells.append(share(count, len(outcomes)))
    return [name, str(len(outcomes)), *cells]


def share(count: int, n: int) -> str:
    """Return a share in percent with Wilson's interval (JASA 1927, doi:10.1080/01621459.1927.10502953)."""
    if not n:
        return ""
    z, p = 1.96, count / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return f"{100 * p:.1f} ({100 * low:.1f}–{100 * high:.1f})"


def wice_table(outcomes: Sequence[Outcome]) -> str:
    """Return how well scores tell supported claims from the rest."""
    labels = np.array([outcome.case.true for outcome in outcomes])
    rows = []
    for name, scores in scores_of(outcomes).items():
        values = np.array(scores)
        rows.append(
            [
                name,
                str(len(labels)),
                figure(partial(bootstrap_auroc, values, labels)),
                figure(partial(bootstrap_accuracy, values, labels)),
            ]
        )
    kept = [outcome for outcome in outcomes if outcome.kept]
    right = sum(outcome.case.true for outcome in kept)
    return (
        table(("score", "n", "AUROC", "balanced accuracy, five-fold threshold"), rows)
        + f"\n\nAs shipped, the check keeps {len(kept)} of these {len(outcomes)} claims, {right} of them among the "
        f"{int(labels.sum())} that the page supports in full."
    )


def bootstrap_accuracy(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> Figure:
    """Return the balanced accuracy under thresholds that were chosen on other claims, with its interval."""
    told = cross_validated(scores, labels)
    return bootstrap(len(labels), lambda drawn: compute_balanced_accuracy(told[drawn], labels[drawn]))


def cross_validated(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which claims count as supported, each by a threshold that was chosen on four other fifths.

    Raises:
        ValueError: four fifths hold claims of one kind alone.
    """
    folds = np.random.default_rng(SEED).permutation(len(scores)) % 5
    told = np.zeros(len(scores), dtype=np.bool_)
    for fold in range(5):
        inside = folds == fold
        best = max(
            np.unique(scores[~inside]),
            key=lambda cut, out=~inside: compute_balanced_accuracy(scores[out] >= cut, labels[out]),
        )
        told[inside] = scores[inside] >= best
    return told


def figure(measure: Callable[[], Figure]) -> str:
    """Return a measure with its interval; of a sample that is too small for it, that."""
    try:
        found = measure()
    except ValueError:
        return "too few"
    return f"{found.value:.3f} ({found.low:.3f}–{found.high:.3f})"


def heading(options: argparse.Namespace) -> str:
    """Return what a reader needs to measure the same again."""
    reader = Reader(SHIPPED)
    limit = "" if options.limit is None else f" --limit {options.limit}"
    return (
        "# The check of written claims\n\n"
        f"Written by `python -m benchmarks.checker --each {options.each}{limit}` on "
        f"{datetime.now(UTC).date().isoformat()}, rag {__version__}, reader `{reader.revision[:12]}`.\n\n"
        "Percentages and areas with 95 % intervals in parentheses. The claims come from articles on which neither the "
        "reader nor the check was fitted: sentences of half of SQuAD 2.0's dev set, true as they stand or as a writer "
        "could put them, and made untrue in one place by a seeded script that shares no code with the check; and the "
        "claims of WiCE's dev set, against the whole page that each cites. A claim counts as caught when it is not "
        f"kept. The reader alone and the cosine see the {NEAREST} sentences that share most words with the claim, and "
        "have the threshold at which they keep as many true claims as the check, in hindsight; the rules alone keep "
        f"what breaks none and has {RULES_ALONE:.0%} of its words in the evidence."
    )


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
