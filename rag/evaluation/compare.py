"""Two runs or two sets of scored answers, question by question: what differs, and whether that can be chance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.errors import QuestionError
from rag.evaluation.measures import ANSWER_MEASURES, ARTICLE_MEASURES, EVIDENCE, NOT_COMPARED, ranking_measures
from rag.evaluation.runs import read_run
from rag.evaluation.statistics import Difference, holm, paired_difference

_SHOWN_ARTICLES = 3


@dataclass(frozen=True, slots=True)
class ScoredTopic:
    """One question of one side: its measures by name, and what there is to see of it (articles, or the answer)."""

    question: str
    measures: Mapping[str, float]
    shown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MeasureDifference:
    """A measure's means on both sides, over the questions that have it on both, and the difference `b - a`.

    `p` is the randomisation test's, corrected after Holm for the number of measures.
    """

    measure: str
    a: float
    b: float
    difference: Difference
    p: float


@dataclass(frozen=True, slots=True)
class MovedTopic:
    """A question whose measure changed, with what each side shows."""

    id: str
    question: str
    a: float
    b: float
    shown_a: tuple[str, ...]
    shown_b: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All measures of two sides, and the questions that moved most in `measure`.

    `unpaired` are the ids that only one side has.
    """

    a: str
    b: str
    topics: int
    unpaired: tuple[str, ...]
    rows: tuple[MeasureDifference, ...]
    measure: str
    moved: tuple[MovedTopic, ...]


def compare_files(
    a: Path,
    b: Path,
    *,
    qrels: Mapping[str, Mapping[str, int]] | None,
    questions: Mapping[str, str],
    measure: str | None,
    most: int,
) -> Comparison:
    """Compare two runs, for which qrels are needed, or two files of scored answers.

    `questions` are the wordings by id, as far as they are known; `measure` chooses what the `most` questions that
    moved are looked for in, by default the first that there is.

    Raises:
        QuestionError: a file cannot be read, the two have nothing in common, or the measure is none of theirs.
    """
    sides = [read_side(file, qrels=qrels, questions=questions) for file in (a, b)]
    return compare_sides(*sides, names=(str(a), str(b)), measure=measure, most=most)


def compare_sides(
    a: Mapping[str, ScoredTopic],
    b: Mapping[str, ScoredTopic],
    *,
    names: tuple[str, str],
    measure: str | None,
    most: int,
) -> Comparison:
    """Compare two sides' topics by their ids, as `compare_files` does."""
    both = [topic for topic in a if topic in b]
    if not both:
        raise QuestionError(f"{names[0]} and {names[1]} have no question in common", hint="compare runs of one dataset")
    for topic in both:
        if a[topic].question != b[topic].question:
            raise QuestionError(
                f"question {topic} is not the same in {names[0]} and {names[1]}", hint="compare runs of one dataset"
            )
    pairs = {name: [topic for topic in both if _has(a, b, topic, name)] for name in _names(a, b)}
    pairs = {name: topics for name, topics in pairs.items() if topics}
    if measure is not None and measure not in pairs:
        raise QuestionError(f"{measure} is not in both files", hint=f"choose one of: {', '.join(pairs)}")
    rows = [_difference(name, topics, a, b) for name, topics in pairs.items()]
    corrected = holm([row.p for row in rows])
    chosen = measure or next(iter(pairs), "")
    return Comparison(
        a=names[0],
        b=names[1],
        topics=len(both),
        unpaired=tuple(sorted(a.keys() ^ b.keys())),
        rows=tuple(
            MeasureDifference(row.measure, row.a, row.b, row.difference, p)
            for row, p in zip(rows, corrected, strict=True)
        ),
        measure=chosen,
        moved=tuple(_moved(chosen, pairs.get(chosen, []), a, b)[:most]),
    )


def read_side(
    file: Path, *, qrels: Mapping[str, Mapping[str, int]] | None, questions: Mapping[str, str]
) -> dict[str, ScoredTopic]:
    """Return the topics of a run file, scored by the qrels, or of a file of scored answers.

    Raises:
        QuestionError: the file cannot be read, or there are no qrels for a run.
    """
    if file.suffix.lower() == ".jsonl":
        return _read_scored(file)
    if qrels is None:
        raise QuestionError(f"{file} is a run, which needs its gold", hint="name it: --dataset DATASET or --qrels FILE")
    run = read_run(file)
    scored = ranking_measures(ARTICLE_MEASURES, qrels=qrels, run=run)
    return {
        topic: ScoredTopic(
            question=questions.get(topic, ""),
            measures=measures,
            shown=tuple(article for article, _ in run.get(topic, [])[:_SHOWN_ARTICLES]),
        )
        for topic, measures in scored.items()
    }


def _read_scored(file: Path) -> dict[str, ScoredTopic]:
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionError(f"{file} cannot be read: {error}") from error
    found = {}
    for line, content in enumerate(lines, start=1):
        if content.strip():
            try:
                record = json.loads(content)
                found[str(record["id"])] = _scored_topic(record)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise QuestionError(
                    f"{file}:{line} is no scored answer",
                    hint="write them with: rag eval DATASET --answers FILE; "
                    "what rag batch wrote needs its gold: --dataset DATASET",
                ) from error
    return found


def _scored_topic(record: Mapping[str, object]) -> ScoredTopic:
    measures, ranking = record["measures"], record["ranking"]
    if not isinstance(measures, dict) or not isinstance(ranking, list):
        raise TypeError("measures and ranking are a mapping and a list")
    articles = tuple(str(entry["article"]) for entry in ranking[:_SHOWN_ARTICLES])
    # The reason of a refusal stands where the answer would.
    said = record.get("answer") or record.get("reason")
    return ScoredTopic(
        question=str(record["question"]),
        measures={str(name): float(value) for name, value in measures.items()},
        shown=(str(said),) if said else articles,
    )


def _names(a: Mapping[str, ScoredTopic], b: Mapping[str, ScoredTopic]) -> list[str]:
    there = {name for side in (a, b) for topic in side.values() for name in topic.measures}
    known = [*ANSWER_MEASURES, *ARTICLE_MEASURES]
    evidence = sorted(name for name in there if name.startswith(EVIDENCE))
    return [name for name in (*known, *evidence) if name in there and name not in NOT_COMPARED]


def _has(a: Mapping[str, ScoredTopic], b: Mapping[str, ScoredTopic], topic: str, name: str) -> bool:
    return name in a[topic].measures and name in b[topic].measures


def _difference(
    name: str, topics: Sequence[str], a: Mapping[str, ScoredTopic], b: Mapping[str, ScoredTopic]
) -> MeasureDifference:
    one, other = ([side[topic].measures[name] for topic in topics] for side in (a, b))
    difference = paired_difference(one, other)
    return MeasureDifference(name, sum(one) / len(one), sum(other) / len(other), difference, difference.p)


def _moved(
    name: str, topics: Sequence[str], a: Mapping[str, ScoredTopic], b: Mapping[str, ScoredTopic]
) -> list[MovedTopic]:
    moved = [
        MovedTopic(
            topic, a[topic].question, a[topic].measures[name], b[topic].measures[name], a[topic].shown, b[topic].shown
        )
        for topic in topics
        if a[topic].measures[name] != b[topic].measures[name]
    ]
    return sorted(moved, key=lambda topic: (-abs(topic.b - topic.a), topic.id))
