"""Rankings as TREC run files: `topic Q0 article rank score tag`, by article, best first."""

from __future__ import annotations

import math
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path

from rag.errors import QuestionError
from rag.evaluation.measures import Ranking, strictly_falling

TAG = "rag"
_COLUMNS = 6
# Blanks part the columns, so those in a name are written as %20; and a % that would be read as such, as %25.
_WRITTEN_OTHERWISE = re.compile(r"\s|%(?=[0-9A-Fa-f]{2})")


def run_lines(rankings: Iterable[tuple[str, Ranking]]) -> Iterator[str]:
    """Yield the lines of a run; scores fall strictly with the rank, as trec_eval looks at the scores alone."""
    for topic, ranking in rankings:
        for rank, (article, score) in enumerate(strictly_falling(ranking), start=1):
            yield f"{_written(topic)} Q0 {_written(article)} {rank} {score:.7f} {TAG}\n"


def read_run(file: Path) -> dict[str, list[tuple[str, float]]]:
    """Return a run's articles with their scores by topic, best score first, as trec_eval orders them.

    Raises:
        QuestionError: the file cannot be read, or a line of it is none of a run; says which.
    """
    found: dict[str, dict[str, float]] = {}
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise QuestionError(
            f"{file} cannot be read: {error.strerror}", hint="write a run with: rag eval … --run"
        ) from error
    except UnicodeDecodeError as error:
        raise QuestionError(f"{file} is not UTF-8 text") from error
    for line, content in enumerate(lines, start=1):
        cells = content.split()
        if not cells:
            continue
        score = _number(cells[4]) if len(cells) == _COLUMNS else None
        if score is None:
            raise QuestionError(f"{file}:{line}: expected six columns: topic Q0 article rank score tag")
        topic, article = urllib.parse.unquote(cells[0]), urllib.parse.unquote(cells[2])
        if article in found.setdefault(topic, {}):
            raise QuestionError(f"{file}:{line}: topic {topic} ranks {article} twice")
        found[topic][article] = score
    if not found:
        raise QuestionError(f"{file} holds no ranking", hint="write a run with: rag eval … --run")
    return {topic: _ordered(scores) for topic, scores in found.items()}


def _ordered(scores: dict[str, float]) -> list[tuple[str, float]]:
    # trec_eval breaks ties by name, the last in the alphabet first.
    return sorted(sorted(scores.items(), reverse=True), key=lambda item: -item[1])


def _written(name: str) -> str:
    return _WRITTEN_OTHERWISE.sub(lambda match: urllib.parse.quote(match[0], safe=""), name)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
