"""Non-factoid questions about our own news: how something changed, what its effect was, where somebody stands.

`training/nonfactoid/` holds them as JSON lines. `evidence` of one that can be answered lists every sentence that would
do as the first of an answer; of the others the reports speak of the topic, and not of what is asked. See Bolotova et
al., A Non-Factoid Question-Answering Taxonomy (SIGIR 2022).
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from training.news import NewsQuestion

FOLDER = Path(__file__).with_name("nonfactoid")
_ID = re.compile(r"nf-(\w\d\d)-\d+")


def read_nonfactoid(folder: Path = FOLDER) -> list[NewsQuestion]:
    """Return the questions, each with the report that it was written for.

    Raises:
        ValueError: an id names no report.
    """
    return [
        _question(json.loads(line))
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def _question(row: dict[str, object]) -> NewsQuestion:
    found = _ID.fullmatch(str(row["id"]))
    evidence = row["evidence"]
    if found is None or not isinstance(evidence, list):
        raise ValueError(f"{row['id']}: an id is nf-REPORT-NUMBER, and evidence is a list")
    return NewsQuestion(
        question=str(row["question"]),
        answerable=bool(row["answerable"]),
        kind=str(row["kind"]),
        answers=(),
        quotes=tuple((str(quote["article"]), str(quote["quote"])) for quote in evidence),
        about=f"{found[1]}.md",
        source=FOLDER.name,
    )
