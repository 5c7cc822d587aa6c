"""The training data as it lies on disk, read into records and checked by SHA-256."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

CHECKSUMS_PATH = Path(__file__).with_name("checksums.json")
TRAINING_FILES = ("train/passages.jsonl.gz", "train/span.jsonl.gz", "train/claim.jsonl.gz", "train/rank.jsonl.gz")


class DataChanged(ValueError):
    """A data file is not the one that the recorded figures were made with."""


@dataclass(frozen=True, slots=True)
class SourcePassage:
    """A paragraph of a source, as its authors published it."""

    id: int
    title: str | None
    text: str


@dataclass(frozen=True, slots=True)
class SpanRow:
    """A question about one passage, with its answers as (start, end) in code points, or none."""

    source: str
    question: str
    passage_id: int
    title: str | None
    spans: tuple[tuple[int, int], ...]
    answerable: bool
    kind: str


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim, a piece of evidence, and its published label."""

    source: str
    claim: str
    evidence: str
    label: str


@dataclass(frozen=True, slots=True)
class RankRow:
    """A question with sentences of one article that answer it and sentences that do not."""

    source: str
    question: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]


def compute_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_files(data: Path, *, recorded: Mapping[str, str], names: tuple[str, ...] = TRAINING_FILES) -> dict[str, str]:
    """Return the SHA-256 of every named file under `data`.

    Raises:
        DataChanged: a file's checksum is recorded and differs.
        FileNotFoundError: a file is absent.
    """
    found = {name: compute_sha256(data / name) for name in names}
    for name, digest in found.items():
        if recorded.get(name, digest) != digest:
            raise DataChanged(f"{name} has SHA-256 {digest}, recorded is {recorded[name]}")
    return found


def read_recorded_checksums() -> dict[str, str]:
    """Return the checksums kept beside this module, by file name."""
    recorded: dict[str, str] = json.loads(CHECKSUMS_PATH.read_text(encoding="utf-8"))
    return recorded


def read_json_lines(path: Path) -> Iterator[dict[str, object]]:
    """Yield the records of a gzip'd file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def read_passages(data: Path) -> dict[int, SourcePassage]:
    """Return the source passages by id."""
    passages = {}
    for row in read_json_lines(data / "train/passages.jsonl.gz"):
        title = row["title"]
        passage_id = int(str(row["id"]))
        passages[passage_id] = SourcePassage(
            id=passage_id, title=None if title is None else clean_title(str(title)), text=str(row["text"])
        )
    return passages


def clean_title(title: str) -> str:
    """Return a title as a reader would print it: no path, no underscores, words of a slug capitalised."""
    name = title.removeprefix("/wiki/").replace("_", " ").strip()
    if "-" in name and " " not in name and name.islower():
        name = name.replace("-", " ").capitalize()
    return name


def read_spans(data: Path, *, passages: Mapping[int, SourcePassage]) -> list[SpanRow]:
    """Return the questions whose every answer stands in its passage where the file says."""
    rows = []
    for row in read_json_lines(data / "train/span.jsonl.gz"):
        passage = passages[int(str(row["passage_id"]))]
        answers = row["answers"]
        if not isinstance(answers, list):
            raise TypeError(f"answers of {row['question']!r} are {type(answers).__name__}, expected a list")
        spans = tuple(
            (int(answer["start"]), int(answer["start"]) + len(answer["text"]))
            for answer in answers
            if passage.text[int(answer["start"]) :].startswith(answer["text"]) and answer["text"].strip()
        )
        if bool(spans) != bool(row["answerable"]):
            continue
        rows.append(
            SpanRow(
                source=str(row["src"]),
                question=str(row["question"]),
                passage_id=passage.id,
                title=passage.title,
                spans=spans,
                answerable=bool(row["answerable"]),
                kind=str(row["kind"]),
            )
        )
    return rows


def read_claims(data: Path) -> list[ClaimRow]:
    """Return the claims with their evidence."""
    return [
        ClaimRow(
            source=str(row["src"]), claim=str(row["claim"]), evidence=str(row["evidence"]), label=str(row["label"])
        )
        for row in read_json_lines(data / "train/claim.jsonl.gz")
    ]


def read_ranks(data: Path) -> list[RankRow]:
    """Return the groups of sentences of one article per question."""
    rows = []
    for row in read_json_lines(data / "train/rank.jsonl.gz"):
        positives, negatives = row["positives"], row["negatives"]
        if not isinstance(positives, list) or not isinstance(negatives, list):
            raise TypeError(f"the sentences of {row['question']!r} are no lists")
        rows.append(
            RankRow(
                source=str(row["src"]),
                question=str(row["question"]),
                positives=tuple(map(str, positives)),
                negatives=tuple(map(str, negatives)),
            )
        )
    return rows
