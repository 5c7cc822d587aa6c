"""What `rag eval` and `rag compare` do: the engine put before a dataset with gold."""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import math
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rag import answer_files
from rag.building import index_articles, index_facts
from rag.config import Config, known_key, leaves
from rag.engine import Engine
from rag.errors import ConfigError, IndexBroken, IndexMissing, QuestionError
from rag.evaluation.compare import Comparison, ScoredTopic, compare_files, compare_sides, read_side
from rag.evaluation.datasets import Dataset, corpus_digest, corpus_lines, limited, read_dataset, read_qrels
from rag.evaluation.evaluate import Evaluation, Result, evaluate, failing, gold_of
from rag.evaluation.measures import answer_measures, correct
from rag.evaluation.runs import run_lines
from rag.index.generations import current_folder, open_store
from rag.loading import encoder_of
from rag.mending import built_of, with_mending
from rag.models.runtime import default_cache, write_atomically
from rag.outputs import STANDARD_OUTPUT, is_same_file, why_no_output, write_output
from rag.pipeline import is_indexed
from rag.progress import SILENT, Reporting
from rag.render import DECIMALS, answer_record, to_json

if TYPE_CHECKING:
    from rag.index.store import Store
    from rag.loading import AnyReader
    from rag.models.encoder import Encoder
    from rag.records import Answer, Article, Hit, Passage

_RANKED_ARTICLES = 10
_REMEMBERED_ARTICLES = 256


@dataclass(frozen=True, slots=True)
class Selection:
    """Which questions of a dataset, how many, how grouped, and whether answers are scored; None: if they have gold."""

    split: str | None = None
    qrels: Path | None = None
    limit: int | None = None
    by: str | None = None
    answers: bool | None = None

    def read(self, path: Path) -> Dataset:
        """Return the questions of a dataset.

        Raises:
            QuestionError: the dataset cannot be read, has no such split, or nothing to group by.
        """
        return limited(read_dataset(path, split=self.split, qrels=self.qrels), self.limit)


def evaluate_dataset(
    config: Config,
    path: Path,
    *,
    selection: Selection,
    emit: Callable[[str], object],
    run: Path | None = None,
    answers: Path | None = None,
    report: Path | None = None,
    command: str = "",
    reporting: Reporting = SILENT,
    encoder: Encoder | None = None,
) -> Evaluation:
    """Return the scores on a dataset; writes rankings, scored answers and a report to the files that are named.

    `emit` is given what is to be written to `-`, standard output.

    A dataset that brings its articles is indexed in a cache, unless `--index` names where. The report names `command`
    as what it came from.

    Raises:
        ConfigError: a file that is named cannot be written.
        ReportError: what draws a report is not installed.
    """
    for file in (run, answers, report):
        if file is not None and file != STANDARD_OUTPUT:
            _prepare(file)
            _spare(file, config, dataset=path)
    if report is not None:
        from rag.evaluation.charts import require_matplotlib

        require_matplotlib()
    dataset = selection.read(path)
    encoder = encoder or encoder_of(config, reporting.notify)
    evaluation = score(config, dataset, selection=selection, reporting=reporting, encoder=encoder)
    if not evaluation.measures:
        reporting.notify(
            f"no question of {path} has gold, so nothing is scored: it takes answers, evidence or answerable"
        )
    if evaluation.lost:
        count, first = len(evaluation.lost), evaluation.lost[0]
        reporting.notify(f"the gold of {count} questions stands nowhere in the index, first that of {first}")
    if run is not None:
        _write(run, run_lines((result.id, result.articles) for result in evaluation.results), emit=emit)
    if answers is not None:
        _write(answers, (to_json(scored_record(result)) + "\n" for result in evaluation.results), emit=emit)
    if report is not None:
        _write(report, iter([_report(evaluation, config, command)]), emit=emit)
    return evaluation


def _report(evaluation: Evaluation, config: Config, command: str) -> str:
    from rag import __version__
    from rag.evaluation.report import Circumstances, report_page

    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    settings = {setting.key: setting.text for setting in config.settings()}
    return report_page(evaluation, about=Circumstances(command, made, __version__, settings))


@with_mending
def compare(
    config: Config,
    a: Path,
    b: Path,
    *,
    dataset: Path | None,
    selection: Selection,
    measure: str | None = None,
    most: int = 10,
) -> Comparison:
    """Compare two runs, two files of scored answers, or two answer files, whose gold is found in the index.

    Runs need a dataset or qrels, answer files a dataset.
    """
    for file in (a, b):
        if not file.exists():
            raise QuestionError(
                f"{file} cannot be read: {os.strerror(errno.ENOENT)}",
                hint="write a run with: rag eval DATASET --run FILE; answers with: rag eval DATASET --answers FILE",
            )
    if dataset is None:
        qrels = None if selection.qrels is None else read_qrels(selection.qrels)
        return compare_files(a, b, qrels=qrels, questions={}, measure=measure, most=most)
    known = selection.read(dataset)
    wordings = {str(question.id): question.question for question in known.questions}
    sides = [
        read_side(file, qrels=known.qrels, questions=wordings)
        if records is None
        else _scored_now(file, records, known, config)
        for file, records in ((file, _unscored(file)) for file in (a, b))
    ]
    return compare_sides(*sides, names=(str(a), str(b)), measure=measure, most=most)


def _unscored(file: Path) -> list[dict[str, object]] | None:
    """Return the records of an answer file that `rag batch` wrote; None of any other file."""
    kind = answer_files.SUFFIXES.get(file.suffix.lower())
    if kind is None or not file.is_file():
        return None
    lines = [*answer_files.split_lines(file.read_bytes().removeprefix(answer_files.head(kind)), kind=kind)]
    try:
        records = [answer_files.from_line(line, kind=kind) for line in lines if line.strip()]
    except ValueError:
        return None
    return None if any("measures" in record for record in records) else records


def _scored_now(
    file: Path, records: Sequence[Mapping[str, object]], dataset: Dataset, config: Config
) -> dict[str, ScoredTopic]:
    """Score the answers to a dataset's questions; those that failed, or are to other questions, have no score."""
    asked = {str(question.id): question for question in dataset.questions}
    _, store = open_store(config.index_folder())
    scored = {}
    with closing(store):
        for record in records:
            question = asked.get(str(record["id"]))
            if question is None or record.get("error") is not None:
                continue
            try:
                answer = answer_files.to_answer(record)
            except ValueError as error:
                raise QuestionError(
                    f"{file}: the answer to {question.id} is none: {error}",
                    hint=f"see why with: {shlex.join(['rag', 'verify', str(file)])}",
                ) from error
            gold, _ = gold_of(question, _Articles(store))
            shown = answer.answer or answer.reason or ""
            measures = answer_measures(answer, gold)
            if not answer.answered:
                measures.pop("Brier", None)  # the record does not hold what was withheld, which would be judged
            scored[str(question.id)] = ScoredTopic(answer.question, measures, (shown,))
    return scored


class _Articles:
    """An index as that in which gold is looked up."""

    def __init__(self, store: Store) -> None:
        self.article = store.article
        self._store = store

    def passages_of(self, article_id: str) -> Sequence[Passage]:
        """Return an article's passages."""
        return self._store.stored(article_id).passages


def read_bars(texts: Sequence[str]) -> dict[str, float]:
    """Return measures with the means that they must reach, from texts such as `nDCG@10=.7`.

    Raises:
        QuestionError: a text is something else.
    """
    bars = {}
    for text in texts:
        name, _, written = text.rpartition("=")
        try:
            bars[name.strip()] = float(written)
        except ValueError:
            name = ""
        if not name.strip() or not math.isfinite(bars[name.strip()]):
            raise QuestionError(f"--fail-under takes MEASURE=NUMBER, got {text!r}", hint="for example: nDCG@10=.7")
    return bars


def below_bars(evaluation: Evaluation, bars: Mapping[str, float]) -> list[str]:
    """Return a line for each measure that misses its bar.

    Raises:
        QuestionError: there is a bar for a measure that was not taken.
    """
    try:
        missed = failing(evaluation.measures, bars)
    except ValueError as error:
        raise QuestionError(f"--fail-under: {error}") from error
    return [f"{name} is {mean:.4f}, and {bars[name]:g} was asked for" for name, mean in missed.items()]


def with_settings(config: Config, texts: Mapping[str, str], *, where: str) -> Config:
    """Return the settings with some of them set, from texts by dotted key.

    Raises:
        ConfigError: there is no such setting, or it does not take the value.
    """
    for key, text in texts.items():
        value = leaves()[known_key(key, where=where)].parse(text, where=f"{where}: {key}")
        section, _, name = key.rpartition(".")
        changed = {section: replace(getattr(config, section), **{name: value})} if section else {name: value}
        config = replace(config, **changed)
    return config


def scored_record(result: Result) -> dict[str, object]:
    """Return a result as a line of `rag eval --answers`: the answer's record, with the gold and what it scored."""
    question = result.question
    if result.answer is None:
        record: dict[str, object] = {"schema": "rag.ranking/1", "id": result.id, "question": question.question}
    else:
        record = answer_record(replace(result.answer, id=result.id))
    withheld = result.withheld
    return record | {
        "gold": {
            "answerable": result.gold.answerable,
            "answers": list(question.answers),
            "evidence": [
                {
                    "article": evidence.article,
                    "quote": evidence.quote,
                    "places": [[place.start, place.end] for place in places],
                }
                for evidence, (_, places) in zip(question.evidence, result.gold.quotes, strict=True)
            ],
        },
        "metadata": dict(question.metadata),
        "measures": {name: round(value, DECIMALS) for name, value in result.measures.items()},
        "correct": None if withheld is None or "right" not in result.measures else correct(withheld, result.gold),
        "ranking": [
            {"article": article, "score": round(score, DECIMALS)}
            for article, score in result.articles[:_RANKED_ARTICLES]
        ],
    }


class _EngineSystem:
    """What is scored: an engine that answers whatever its confidence, and one beside it that ranks deeply."""

    def __init__(self, config: Config, *, reporting: Reporting, encoder: Encoder, reader: AnyReader | None) -> None:
        section = config.retrieval
        deep = replace(section, k=max(section.k, section.candidates))
        self.answering = Engine(config, reporting=reporting, encoder=encoder, reader=reader, bold=True)
        self._ranking = Engine(replace(config, retrieval=deep), reporting=reporting, encoder=encoder)
        self._ranking.index = self.answering.index
        self.article: Callable[[str], Article] = functools.lru_cache(_REMEMBERED_ARTICLES)(
            self.answering.index.store.article
        )

    def passages_of(self, article_id: str) -> Sequence[Passage]:
        """Return an article's passages."""
        return self.answering.index.store.stored(article_id).passages

    def search(self, question: str) -> Sequence[Hit]:
        """Return as many passages as the settings let the fusion see, best first."""
        return self._ranking.search(question).ranking.hits

    def ask(self, question: str) -> Answer:
        """Return the answer, whatever the confidence."""
        return self.answering.ask(question).answer


def score(
    config: Config,
    dataset: Dataset,
    *,
    selection: Selection,
    reporting: Reporting,
    encoder: Encoder,
    apart: bool = False,
) -> Evaluation:
    """Return the scores on a dataset that was read; `apart` keeps its index in the cache whatever it brings.

    Raises:
        QuestionError: there is nothing of the kind to group by.
    """
    if selection.by is not None and not _can_group(dataset, selection.by):
        known = ", ".join([*dataset.keys(), "answerable", "source", "language"])
        raise QuestionError(f"the questions of {dataset.name} have no {selection.by}", hint=f"choose one of: {known}")
    settings = indexed(config, dataset, reporting=reporting, encoder=encoder, apart=apart)
    return score_indexed(settings, dataset, selection=selection, reporting=reporting, encoder=encoder)


def score_indexed(
    config: Config,
    dataset: Dataset,
    *,
    selection: Selection,
    reporting: Reporting,
    encoder: Encoder,
    reader: AnyReader | None = None,
) -> Evaluation:
    """Return the scores on a dataset in the index that the settings name; a `reader` is asked in place of theirs."""
    answers = dataset.has_answers if selection.answers is None else selection.answers
    system = _EngineSystem(config, reporting=reporting, encoder=encoder, reader=reader)
    with system.answering:
        return evaluate(
            dataset,
            system,
            index=system.answering.index.manifest.content,
            answers=answers,
            min_confidence=config.answer.min_confidence,
            by=selection.by,
            progress=lambda done, total: reporting.progress("asking" if answers else "searching", done, total),
        )


def _can_group(dataset: Dataset, key: str) -> bool:
    return key in dataset.keys() or key in {"answerable", "source", "language", "published"}  # noqa: SIM118 - a method


def indexed(config: Config, dataset: Dataset, *, reporting: Reporting, encoder: Encoder, apart: bool = False) -> Config:
    """Return the settings with the index that the dataset is to be searched in, built if need be.

    The user's own index is left alone: what a dataset brings, and what a sweep tries (`apart`), lies in the cache, in
    a folder by content, and in it each index in one by what determines it.
    """
    if not apart and dataset.corpus is None:
        return config
    if not apart and config.origin("index") == "--index":
        folder = config.index_folder()
        try:
            current_folder(folder)
        except IndexMissing:
            reporting.notify(f"no index in {folder} yet: building one of what {dataset.name} brings")
            index_articles(config, [_corpus_file(dataset)], reporting=reporting, encoder=encoder)
        return config
    roots = _articles_of(config) if dataset.corpus is None else [_corpus_file(dataset)]
    sources = json.dumps([str(root.absolute()) for root in roots] if dataset.corpus is None else [])
    facts = json.dumps(index_facts(config, encoder), sort_keys=True) + sources
    facts += f" {config.building.int8_from} {config.encoder.backend}"
    folder = dataset_folder(dataset) / f"index-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"
    settings = replace(config, index=str(folder), folders={**config.folders, "index": Path()})
    try:
        report = index_articles(settings, roots, reporting=reporting, encoder=encoder)
    except IndexBroken:
        # What lies in the cache is nobody's work: one of another version, or a damaged one, is made again.
        report = index_articles(settings, roots, rebuild=True, reporting=reporting, encoder=encoder)
    if report.failed:
        reporting.notify(f"{len(report.failed)} articles could not be indexed, first: {report.failed[0].reason}")
    return settings


def dataset_folder(dataset: Dataset) -> Path:
    """Return the folder in the cache for what is made of a dataset, by what it brings to be searched."""
    name = "own" if dataset.corpus is None else corpus_digest(dataset.corpus)[:32]
    return default_cache() / "datasets" / name


def _corpus_file(dataset: Dataset) -> Path:
    """Return the file with the articles that a dataset brings, written into the cache if it brings them otherwise."""
    if isinstance(dataset.corpus, Path):
        return dataset.corpus
    file = dataset_folder(dataset) / "articles.jsonl"
    if not file.exists():
        write_atomically(file, "".join(corpus_lines(dataset.corpus or ())).encode())
    return file


def _write(file: Path, lines: Iterator[str], *, emit: Callable[[str], object]) -> None:
    if file == STANDARD_OUTPUT:
        emit("".join(lines))
        return
    try:
        write_output(file, "".join(lines).encode())
    except OSError as error:
        raise _unwritten(file, error.strerror) from error


def _prepare(file: Path) -> None:
    """Make a file's folder, and refuse one that cannot be written before the work is done."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritten(file, error.strerror) from error
    if (why := why_no_output(file)) is not None:
        raise _unwritten(file, why)


def _spare(file: Path, config: Config, *, dataset: Path) -> None:
    """Refuse to write over what is read."""
    if is_same_file(file, dataset):
        raise _unwritten(file, "it is what is read here")
    if is_indexed(config, file):
        raise _unwritten(file, "it holds an article that is indexed")


def _unwritten(file: Path, why: str | None) -> ConfigError:
    return ConfigError(f"{file} cannot be written: {why}", hint="choose another file")


def _articles_of(config: Config) -> Sequence[Path]:
    """Return where the articles lie that the settings name, or, where they are not there, those that are indexed."""
    named = config.article_paths()
    if all(path.exists() for path in named):
        return named
    if indexed := built_of(config):
        return indexed
    raise ConfigError(
        f"no articles: {named[0]} does not exist ({config.origin('articles')})",
        hint="name your folder: --set articles=FOLDER",
    )
