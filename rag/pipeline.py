"""What the verbs do, one function each, from settings to records."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rag.engine import Asked, Engine, Found, Tell
from rag.errors import ArticleMissing, IndexBroken, IndexMissing
from rag.mending import build_command, for_index, rebuild_command, update_command, with_mending
from rag.progress import SILENT, Reporting
from rag.records import Article

if TYPE_CHECKING:
    from rag.config import Config
    from rag.doctor import Examination
    from rag.index import ArticleFilter, Manifest
    from rag.index.store import Store, StoredFile
    from rag.models.registry import AddedModel
    from rag.verify import Verification

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Slice:
    """A piece of an article as indexed, and where it lies."""

    article: Article
    start: int
    end: int

    @property
    def text(self) -> str:
        """Return the piece, verbatim."""
        return self.article.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Status:
    """What is indexed: the generation's manifest, where it lies, and its articles one by one."""

    folder: Path
    manifest: Manifest
    articles: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class Models:
    """The models that were added, and of those that can be, what each is, by name."""

    added: tuple[AddedModel, ...]
    available: Mapping[str, str]


def ask(
    config: Config,
    question: str,
    *,
    wanted: ArticleFilter | None = None,
    reporting: Reporting = SILENT,
    tell: Tell | None = None,
) -> Asked:
    """Return a cited answer; `tell` is given each claim that a model writes as soon as it has passed the check.

    Builds the index first where there is none.
    """
    with Engine(config, reporting=reporting) as engine:
        asked = engine.ask(question, wanted=wanted, tell=tell)
        _tell_changed(engine.index.store.files_of(one.article for one in asked.answer.citations), config, reporting)
    return asked


def search(
    config: Config,
    query: str,
    *,
    wanted: ArticleFilter | None = None,
    explain: bool = False,
    reporting: Reporting = SILENT,
) -> Found:
    """Return the ranked passages for a query; with `explain`, also those that came below them."""
    with Engine(config, reporting=reporting) as engine:
        return engine.search(query, wanted=wanted, explain=explain)


@with_mending
def show(config: Config, target: str, *, at: tuple[int, int] | None = None) -> Slice:
    """Return an article, a passage (`ARTICLE#PASSAGE`), what begins on a line (`PATH:LINE`), or a citation's slice.

    Raises:
        ArticleMissing: the index holds no such article, passage, line or slice.
    """
    from rag.index.generations import open_store

    _, store = open_store(config.index_folder())
    with closing(store):
        named = _split_target(target, store)
        article_id = named.article
        article = store.article(article_id)
        start, end = 0 if named.line is None else _start_of(article, named.line), len(article.text)
        if named.passage is not None:
            passage = store.passage(article_id, named.passage)
            start, end = passage.start, passage.end
    if at is not None:
        start, end = at
        if not 0 <= start < end <= len(article.text):
            raise ArticleMissing(
                f"{article_id} has characters 0:{len(article.text)}, not {start}:{end}",
                hint=f"see the whole of it with: rag show {shlex.quote(article_id)}",
            )
    return Slice(article, start, end)


@with_mending
def status(config: Config) -> Status:
    """Return what is indexed."""
    from rag.index.generations import current_folder, open_store

    manifest, store = open_store(config.index_folder())
    with closing(store):
        return Status(current_folder(config.index_folder()), manifest, tuple(store.outline()))


@with_mending
def verify(config: Config, answers: Path) -> Verification:
    """Return what holds of an answer file, and what does not; needs no model."""
    from rag.verify import verify_answers

    found = verify_answers(answers, index=config.index_folder())
    if found.finds_changed_files:
        note = f"bring the index up to date with: {update_command(config)}; then ask again"
        found = replace(found, notes=(*found.notes, note))
    return found


def is_indexed(config: Config, file: Path) -> bool:
    """Tell whether a file is there of which articles are in the index, or will be once there is one."""
    if not file.is_file():
        return False
    from rag.index.generations import open_store

    try:
        _, store = open_store(config.index_folder())
    except (IndexMissing, IndexBroken):
        return any(file.absolute().is_relative_to(path) for path in config.article_paths())
    with closing(store):
        return store.file(str(file.absolute())) is not None


def doctor(config: Config) -> Examination:
    """Return what could keep this installation from answering."""
    from rag.doctor import IndexCommands, examine

    return examine(
        index=config.index_folder(),
        encoder=config.encoder.model,
        reader=config.reader.model,
        threads=config.threads,
        budget_ms=config.reader.budget_ms,
        commands=IndexCommands(
            build_command(config), rebuild_command(config), update_command(config), for_index("rag status", config)
        ),
    )


def models() -> Models:
    """Return the models that can write: those that were added, and those that can be added by name."""
    from rag.models.registry import added_models, catalogue, packaged_origin

    added = tuple(added_models())
    origins = {model.origin for model in added}
    available = {name: entry["about"] for name, entry in catalogue().items() if packaged_origin(name) not in origins}
    return Models(added, available)


def add_model(target: str, *, name: str | None, revision: str | None, reporting: Reporting = SILENT) -> AddedModel:
    """Add a model that can write; the only function that may download."""
    from rag.models import registry

    return registry.add_model(target, name=name, revision=revision, notify=reporting.notify)


def added_model(name: str) -> AddedModel:
    """Return a model that was added."""
    from rag.models import registry

    return registry.added_model(name)


def remove_model(name: str) -> AddedModel:
    """Forget a model."""
    from rag.models import registry

    return registry.remove_model(name)


def verify_model(name: str) -> list[str]:
    """Return the files of a model that are not what was added."""
    from rag.models import registry

    return registry.changed_files(registry.added_model(name))


def _tell_changed(files: Sequence[StoredFile], config: Config, reporting: Reporting) -> None:
    """Notify of files that are quoted as they were indexed and have changed since; of none that is not there."""
    changed = [file.path for file in files if _has_changed(file)]
    if changed:
        reporting.notify(
            f"changed since it was indexed: {', '.join(changed)}; bring the index up to date with: "
            f"{update_command(config)}"
        )


def _has_changed(file: StoredFile) -> bool:
    path = Path(file.file)
    try:
        status = path.stat()
        if not path.is_file() or (status.st_size, status.st_mtime_ns) == (file.bytes, file.modified_ns):
            return False
        with path.open("rb") as stream:
            return status.st_size != file.bytes or hashlib.file_digest(stream, "sha256").hexdigest() != file.hash
    except OSError:
        return False


def _start_of(article: Article, line: int) -> int:
    """Return where a line of the file begins in an article's text; its own beginning for what lies before it."""
    last = article.line_of(len(article.text))
    if line > last:
        raise ArticleMissing(
            f"{article.path} ends on line {last}, before line {line}",
            hint=f"see the whole of it with: rag show {shlex.quote(article.id)}",
        )
    before = article.text.split("\n")[: max(0, line - article.first_line)]
    return sum(len(one) + 1 for one in before)


class _Target(NamedTuple):
    """What a command line names: an article and, if it says so, a passage of it or the line to begin on."""

    article: str
    passage: int | None = None
    line: int | None = None


def _split_target(target: str, store: Store) -> _Target:
    """Return what a target names; an id may itself hold a `#`.

    An article may also be named as citations do: by its path, with or without a line.
    """
    known = store.article_ids()
    if target in known:
        return _Target(target)
    article_id, mark, ordinal = target.rpartition("#")
    if mark and article_id in known and ordinal.isdecimal():
        return _Target(article_id, passage=int(ordinal))
    whole = os.path.normpath(target)
    path, colon, line = whole.rpartition(":")
    from_line = int(line) if colon and line.isdecimal() else None
    if from_line is not None and path in known:
        return _Target(path, line=from_line)
    places = {whole, *([] if from_line is None else [path])}
    at_path = [(str(row["id"]), row["path"] == whole) for row in store.outline() if row["path"] in places]
    if from_line is not None:
        # Of the rows of a file, or the items of a feed, the last that begins there or before.
        begin = {pair: store.article(pair[0]).first_line for pair in at_path}
        latest = max((line for line in begin.values() if line <= from_line), default=0)
        there = [pair for pair in at_path if begin[pair] == latest]
        at_path = there if len(there) == 1 else at_path
    if len(at_path) == 1:
        (article_id, by_path) = at_path[0]
        return _Target(article_id, line=None if by_path else from_line)
    if at_path:
        raise ArticleMissing(
            f"{target} holds {len(at_path)} articles: {', '.join(name for name, _ in at_path[:_MOST_NAMED])}"
            + (", …" if len(at_path) > _MOST_NAMED else ""),
            hint=f"name one by its id: rag show {shlex.quote(at_path[0][0])}",
        )
    import difflib

    close = difflib.get_close_matches(target, known, n=1)
    hint = f"did you mean {close[0]}?" if close else "list them with: rag status"
    raise ArticleMissing(f"no article {target!r} in the index", hint=hint)
