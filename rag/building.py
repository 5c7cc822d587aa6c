"""The index that the settings name: built, brought up to date, or put back by one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from rag.errors import ConfigError
from rag.loading import encoder_of
from rag.mending import folder_command, near, telling_mending, with_mending
from rag.progress import SILENT, Reporting

if TYPE_CHECKING:
    from rag.config import Config
    from rag.index import Manifest
    from rag.index.build import BuildReport, BuildSettings
    from rag.models.encoder import Encoder

_FORMATS_TOLD = 5


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The generation that is current again, and the name of the one that it replaces."""

    replaced: str
    folder: Path
    manifest: Manifest


def index_articles(
    config: Config,
    paths: Sequence[Path],
    *,
    add: bool = False,
    rebuild: bool = False,
    dry_run: bool = False,
    keep: int | None = None,
    reporting: Reporting = SILENT,
    encoder: Encoder | None = None,
) -> BuildReport:
    """Bring the index up to date with the articles under `paths`, or under those that the settings name."""
    from rag.index.build import build_index, plan_build
    from rag.index.generations import KEPT

    roots = list(paths) or _configured_articles(config)
    if dry_run:
        with telling_mending(config, roots, add=add):
            return plan_build(roots, index=config.index_folder(), add=add, progress=reporting.progress)
    encoder = encoder or encoder_of(config, reporting.notify)

    def choose(fingerprint: str | None, passages: int) -> Encoder:
        return encoder.for_index(
            fingerprint,
            passages=passages,
            int8_from=config.building.int8_from,
            backend=config.encoder.backend,
            notify=reporting.notify,
        )

    with telling_mending(config, roots, add=add):
        report = build_index(
            roots,
            index=config.index_folder(),
            encoder=encoder,
            settings=_build_settings(config),
            add=add,
            rebuild=rebuild,
            progress=reporting.progress,
            keep=KEPT if keep is None else keep,
            memory_bytes=config.building.memory_mb * 2**20,
            lists_from=config.building.lists_from,
            choose=choose,
        )
    _tell_other_formats(roots, reporting)
    return report


@with_mending
def roll_back(config: Config) -> RolledBack:
    """Go back to the generation before the current one."""
    from rag.index.generations import roll_back as switch_back

    replaced, folder, manifest = switch_back(config.index_folder())
    return RolledBack(replaced, folder, manifest)


def index_facts(config: Config, encoder: Encoder) -> dict[str, object]:
    """Return what decides, beside the articles, what an index holds."""
    return _build_settings(config).described(encoder.fingerprint)


class Building(TypedDict):
    """What decides how articles are split and words are weighed."""

    max_tokens: int
    overlap_sentences: int
    k1: float
    b: float


def building_settings(config: Config) -> Building:
    """Return what the settings say of how an index is built."""
    passages, retrieval = config.passages, config.retrieval
    return {
        "max_tokens": passages.max_tokens,
        "overlap_sentences": passages.overlap_sentences,
        "k1": retrieval.k1,
        "b": retrieval.b,
    }


def _build_settings(config: Config) -> BuildSettings:
    from rag.index.build import BuildSettings

    return BuildSettings(**building_settings(config))


def _tell_other_formats(roots: Sequence[Path], reporting: Reporting) -> None:
    from rag.articles import other_formats

    found = other_formats(roots)
    if found:
        named = [f"{count} {suffix or 'without a suffix'}" for suffix, count in found.most_common(_FORMATS_TOLD)]
        rest = f" and {found.total() - sum(count for _, count in found.most_common(_FORMATS_TOLD))} others"
        more = rest if len(found) > _FORMATS_TOLD else ""
        reporting.finish()
        reporting.notify(f"passed over, as such files are not read: {', '.join(named)}{more}")


def _configured_articles(config: Config) -> list[Path]:
    paths = [near(path) for path in config.article_paths()]
    # Not pathlib's, which raises where it may not look: whoever reads the folder says what is wrong with it.
    missing = [path for path in paths if not os.path.lexists(path)]
    if missing:
        raise ConfigError(
            f"no articles: {missing[0]} does not exist ({config.origin('articles')})",
            hint=f"name your folder: {folder_command(config)}",
        )
    return paths
