r"""Write the model card from what the other steps left.

    python -m training.card --examples build/reader/examples --export build/reader/export \\
        --figures build/reader/figures.json --whole build/reader/figures.fp32.json
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Licence:
    """Where a source comes from and under what terms."""

    what: str
    licence: str
    by: str


LICENCES: Mapping[str, Licence] = {
    "squad2_train_rebuilt": Licence(
        "SQuAD 2.0 training questions on their paragraphs", "CC BY-SA 4.0", "Rajpurkar, Jia, Liang 2018"
    ),
    "squad_nqg_sentence": Licence(
        "SQuAD questions with the sentence that answers (NQG split)",
        "CC BY-SA 4.0",
        "Rajpurkar et al. 2016; Zhou et al. 2017",
    ),
    "squadshifts_new_wiki": Licence("SQuADShifts, new Wikipedia", "CC BY 4.0", "Miller et al. 2020"),
    "nq_open_oracle": Licence("Natural Questions with oracle passages", "CC BY-SA 3.0", "Kwiatkowski et al. 2019"),
    "qed_nq_dev": Licence("QED on Natural Questions", "CC BY-SA 3.0", "Lamm et al. 2021"),
    "onestop_news": Licence("OneStopQA, Guardian news", "CC BY-SA 4.0", "Berzak, Malmaud, Levy 2020"),
    "qamr_wiki_wikinews": Licence("QAMR", "MIT", "Michael et al. 2018"),
    "qadiscourse": Licence("QADiscourse", "CC BY 4.0", "Pyatkin et al. 2020"),
    "qasrl_gs": Licence("QA-SRL gold standard", "MIT", "Roit et al. 2020"),
    "fairytaleqa": Licence("FairytaleQA", "Apache-2.0", "Xu et al. 2022"),
    "timeqa_human_easy": Licence("TimeQA, human, easy", "BSD-3-Clause", "Chen, Wang, Wang 2021"),
    "timeqa_human_hard": Licence("TimeQA, human, hard", "BSD-3-Clause", "Chen, Wang, Wang 2021"),
    "ares_nq": Licence("ARES synthetic questions, NQ", "Apache-2.0", "Saad-Falcon et al. 2024"),
    "ares_hotpotqa": Licence("ARES synthetic questions, HotpotQA", "Apache-2.0", "Saad-Falcon et al. 2024"),
    "ares_wow": Licence("ARES synthetic questions, Wizard of Wikipedia", "Apache-2.0", "Saad-Falcon et al. 2024"),
    "selqa": Licence("SelQA", "Apache-2.0", "Jurczyk, Zhai, Choi 2016"),
    "fever_dev": Licence("FEVER claims with evidence", "CC BY-SA 3.0", "Thorne et al. 2018"),
    "fever_symmetric": Licence("FEVER symmetric", "CC BY-SA 3.0", "Schuster et al. 2019"),
    "fool_me_twice_dev": Licence("FoolMeTwice", "Apache-2.0", "Eisenschlos et al. 2021"),
    "fool_me_twice_test": Licence("FoolMeTwice", "Apache-2.0", "Eisenschlos et al. 2021"),
    "mnli_dev": Licence("MultiNLI", "OANC and others, see its paper", "Williams, Nangia, Bowman 2018"),
    "snli_dev": Licence("SNLI", "CC BY-SA 4.0", "Bowman et al. 2015"),
    "scitail_dev": Licence("SciTail", "Apache-2.0", "Khot, Sabharwal, Clark 2018"),
    "nli_wiki": Licence("NLI on Wikipedia sentences", "CC BY-SA 3.0", "its authors, on text of Wikipedia"),
    "factcheck_gpt": Licence("Factcheck-GPT", "Apache-2.0", "Wang et al. 2023"),
    "news": Licence("invented news with questions, training/news", "as this project", "this project"),
    "entries": Licence("invented entries of an encyclopedia, training/entries", "as this project", "this project"),
    "nonfactoid": Licence("questions for no single fact, training/nonfactoid", "as this project", "this project"),
    "altered": Licence(
        "sentences of the passages above, true or altered by script",
        "as the passages: CC BY-SA 4.0",
        "the sources above",
    ),
}


def count_by_source(counts: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return (answerable, supported or undecided pairs; negatives made or written) by source."""
    good: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for name, count in counts.items():
        source, kind = name.split(" · ")
        (good if kind in {"answerable", "claim", "true", "sentence"} else bad)[source] += count
    return {source: (good[source], bad[source]) for source in sorted(good.keys() | bad.keys())}


def format_figure(figure: object, *, percent: bool = False) -> str:
    """Return a figure with its interval and n, "–" where there is none."""
    if isinstance(figure, float):
        return f"{100 * figure:.1f}" if percent else f"{figure:.3f}"
    if not isinstance(figure, Mapping):
        return "–"
    if percent:
        return f"{100 * figure['value']:.1f} ({100 * figure['low']:.1f}–{100 * figure['high']:.1f}), n {figure['n']}"
    return f"{figure['value']:.3f} ({figure['low']:.3f}–{figure['high']:.3f}), n {figure['n']}"


ROWS = (
    ("squad", "answerable_f1", "SQuAD 2.0 dev half: F1 on the answerable", True),
    ("squad", "answerable_exact", "SQuAD 2.0 dev half: exact match on the answerable", True),
    ("squad", "overall_f1", "SQuAD 2.0 dev half: F1 over all", True),
    ("squad", "overall_exact", "SQuAD 2.0 dev half: exact match over all", True),
    ("squad", "overall_f1_at_best_threshold", "the same F1 at the best threshold in hindsight", True),
    ("squad", "auroc", "SQuAD 2.0 dev half: answerability AUROC", False),
    ("squad", "auroc_head_alone", "the answerable head without the span scores", False),
    ("squad", "sentence_right", "SQuAD 2.0 dev half: best span in a right sentence", True),
    ("squad", "declined_unanswerable", "unanswerable declined", True),
    ("squad", "declined_answerable", "answerable declined", True),
    ("squad", "calibration_error", "expected calibration error there", False),
    ("clapnq", "auroc", "CLAPNQ dev: answerable against unanswerable, AUROC", False),
    ("wice", "auroc", "WiCE dev claims: supported against the rest, AUROC", False),
    ("wice", "cosine_auroc", "the same by cosine of all-MiniLM-L6-v2", False),
    ("wice", "balanced_accuracy", "WiCE dev claims: balanced accuracy, cross-validated threshold", True),
    ("wice", "cosine_balanced_accuracy", "the same by cosine", True),
    ("altered", "auroc", "altered claims: true against altered, AUROC", False),
    ("altered", "auroc_altered_year", "altered year", False),
    ("altered", "auroc_altered_number", "altered number", False),
    ("altered", "auroc_altered_name", "altered name", False),
    ("altered", "auroc_altered_negation", "altered negation", False),
    ("altered", "auroc_altered_direction", "altered direction", False),
    ("altered", "cosine_auroc", "altered claims by cosine", False),
    ("dev", "answerable_auroc", "own dev split: answerability AUROC, mined negatives included", False),
    ("dev", "span_exact", "own dev split: exact span, by tokens", True),
    ("dev", "support_accuracy_published", "own dev split: support, accuracy of three classes", True),
    ("dev", "support_auroc_published", "own dev split: support, AUROC", False),
)


def describe_examples(provenance: Mapping[str, Any]) -> str:
    """Return how many examples the weights have seen, run after run, and which runs were averaged."""
    return ", then ".join(_describe_stage(stage) for stage in provenance["stages"]) + " examples"


def _describe_stage(stage: Mapping[str, Any]) -> str:
    shares = ", ".join(f"{member['share']:g} of run {member['run']}" for member in stage.get("averaged", ()))
    return f"{stage['examples']:,}" + (f" (averaged: {shares})" if shares else "")


def write_card(
    *,
    config: Mapping[str, object],
    manifest: Mapping[str, object],
    figures: Mapping[str, object],
    whole: Mapping[str, object],
) -> str:
    """Return the model card as Markdown."""
    counts = manifest["counts"]
    provenance = config["provenance"]
    if not isinstance(counts, Mapping) or not isinstance(provenance, Mapping):
        raise TypeError("the manifest or the config is not as training.prepare and training.export write them")
    lines = [
        "# Reader", "",
        "A cross-encoder of 22 M parameters for English with one body and three heads: does this passage answer this",
        "question, which span of it is the answer, and whether evidence supports, contradicts or leaves open a claim.",
        "Initialised from all-MiniLM-L6-v2 (Apache-2.0), six layers of 384.", "",
        f"- Stored as: {config['quantisation']}, SHA-256 `{config['sha256']}`",
        f"- Recipe: `{provenance['recipe_hash']}`",
        f"- Trained on: {describe_examples(provenance)}", "",
        "## Figures", "",
        "95 % bootstrap intervals over the cases (1,000 resamples; 400 for AUROC). Thresholds and the answerability",
        "combination were fitted on the own dev split, articles apart from the training articles.", "",
        "| measure | shipped | float32 |", "|---|---|---|",
    ]  # fmt: skip
    for section, key, label, percent in ROWS:
        cells = []
        for source in (figures, whole):
            part = source.get(section)
            cells.append(format_figure(part.get(key), percent=percent) if isinstance(part, Mapping) else "–")
        if cells != ["–", "–"]:
            lines.append(f"| {label} | {cells[0]} | {cells[1]} |")
    dev = figures.get("dev")
    if isinstance(dev, Mapping):
        lines += [
            "",
            "Answerability AUROC on the dev split by kind of negative, against all answerable:",
            "",
            "| negative | AUROC |",
            "|---|---|",
        ]
        lines += [
            f"| {kind.replace('_', ' ')} | {format_figure(figure)} |"
            for kind, figure in dev["answerable_auroc_by_negative"].items()
        ]
        lines += [
            "",
            "What predicts answerability best, by two-fold cross-validation on the dev split:",
            "",
            "| features | AUROC |",
            "|---|---|",
        ]
        lines += [
            f"| {name.replace('_', ' ')} | {format_figure(figure)} |" for name, figure in dev["combinations"].items()
        ]
    lines += [
        "", "## Data", "",
        "| source | what | licence | by | pairs | negatives made from them |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, (good, bad) in count_by_source(counts["train"]).items():
        licence = LICENCES[name]
        lines.append(f"| {name} | {licence.what} | {licence.licence} | {licence.by} | {good:,} | {bad:,} |")
    lines += [
        "",
        "The texts of SQuAD, SQuADShifts, Natural Questions, FEVER and NLI-wiki are Wikipedia's, by its contributors,",
        "CC BY-SA. For squad2_train_rebuilt the negatives include the impossible questions that people wrote.", "",
        "SHA-256 of the data files:", "",
    ]  # fmt: skip
    checksums = provenance["data_sha256"]
    lines += [f"- `{name}` `{digest}`" for name, digest in checksums.items()]
    lines += [
        "", "## Limits", "",
        "- English only, lower-cased; at most 256 tokens a pair, 30 tokens a span.",
        "- The questions that people wrote to be impossible, where every word but one fits, remain its hardest case:",
        "  see the figures by kind of negative. A high score is not a proof.",
        "- The altered claims of the test are made by the same script as those of the training, on other articles;",
        "  real errors vary more.",
        "- Support is judged on one passage at a time; a claim that several passages support together scores low.",
        "- It does not calculate, compare dates or join two passages.",
        "- Where one word decides (rose or fell, more or less, a negation), it takes the wrong one of two sentences",
        "  that are alike now and then: `python -m training.twins` tells how often.",
        "- Probabilities were fitted on about as many answerable as unanswerable pairs; another mixture moves them.",
        "", "## How to retrain", "", "`make reader`; see `training/README.md`.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 after writing MODEL_CARD.md beside the model."""
    parser = argparse.ArgumentParser(prog="python -m training.card", description=__doc__)
    parser.add_argument("--examples", type=Path, required=True, help="folder that training.prepare wrote")
    parser.add_argument("--export", type=Path, required=True, help="folder that training.export wrote")
    parser.add_argument("--figures", type=Path, required=True, help="figures of the shipped model")
    parser.add_argument("--whole", type=Path, help="figures of the float32 model")
    options = parser.parse_args(arguments)
    card = write_card(
        config=json.loads((options.export / "config.json").read_text(encoding="utf-8")),
        manifest=json.loads((options.examples / "manifest.json").read_text(encoding="utf-8")),
        figures=json.loads(options.figures.read_text(encoding="utf-8")),
        whole=json.loads(options.whole.read_text(encoding="utf-8")) if options.whole and options.whole.exists() else {},
    )
    (options.export / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    logger.info("wrote %s", options.export / "MODEL_CARD.md")
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main())
