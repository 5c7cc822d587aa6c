"""A grid of settings: every combination is scored on the same questions, and the best is told from the lucky."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.errors import ConfigError
from rag.evaluation.measures import LOWER_IS_BETTER
from rag.evaluation.statistics import LEVEL, Difference, Estimate, estimate_mean, paired_difference, tukey_hsd

_EXAMPLE = "for example: retrieval.dense_weight: [0, 0.5, 1]"


@dataclass(frozen=True, slots=True)
class SweepRow:
    """A combination of settings with its measure, and how far behind the best it is.

    `difference` is this one's less the best's, `p` Tukey's for all pairs of combinations, as the best is known from the
    same questions; the best itself has neither.
    """

    settings: Mapping[str, str]
    estimate: Estimate
    difference: Difference | None = None
    p: float | None = None

    @property
    def differs(self) -> bool:
        """Tell whether the best is really better, at the 5 % level."""
        return self.p is not None and self.p < 1 - LEVEL


@dataclass(frozen=True, slots=True)
class Sweep:
    """The combinations by a measure, best first."""

    dataset: str
    measure: str
    questions: int
    rows: tuple[SweepRow, ...]


def read_grid(file: Path) -> dict[str, list[str]]:
    """Return the values to try by dotted setting, as texts, in the order of the file.

    Raises:
        ConfigError: the file is no mapping of settings to values.
    """
    import yaml

    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}", hint=_EXAMPLE) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not YAML: {str(error).splitlines()[0]}", hint=_EXAMPLE) from error
    if not isinstance(loaded, dict) or not loaded:
        raise ConfigError(f"{file}: expected settings, each with a list of values", hint=_EXAMPLE)
    grid: dict[str, list[str]] = {}
    for key, value in loaded.items():
        # A section, as config.yaml has them, or a dotted key.
        entries = {f"{key}.{name}": inner for name, inner in value.items()} if isinstance(value, dict) else {key: value}
        for name, values in entries.items():
            grid[str(name)] = [_text(one) for one in (values if isinstance(values, list) else [values])]
            if not grid[str(name)]:
                raise ConfigError(f"{file}: {name} has no values", hint=_EXAMPLE)
    return grid


def combinations(grid: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return every combination of the values; the last setting changes fastest."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def rank_combinations(scores: Sequence[tuple[Mapping[str, str], Sequence[float]]], *, measure: str) -> list[SweepRow]:
    """Return the combinations, best first, from each one's values of a measure, question by question.

    Raises:
        ValueError: there are no values, or not as many for one combination as for another.
    """
    sign = -1.0 if measure in LOWER_IS_BETTER else 1.0
    estimates = [estimate_mean(values) for _, values in scores]
    order = sorted(range(len(scores)), key=lambda place: -sign * estimates[place].mean)
    best, *others = order
    chances = tukey_hsd([values for _, values in scores])
    rows = [SweepRow(scores[best][0], estimates[best])]
    for place in others:
        difference = paired_difference(scores[best][1], scores[place][1])
        rows.append(SweepRow(scores[place][0], estimates[place], difference, float(chances[best, place])))
    return rows


def _text(value: object) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
