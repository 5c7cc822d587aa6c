"""The command line: a verb parses, calls one function of the pipeline, renders, and prints."""
# Annotations are read by typer as objects, so this module does without `from __future__ import annotations`.

import functools
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.errors import ConfigError, QuestionError, RagError

if TYPE_CHECKING:
    from rag.config import Config
    from rag.formats import Style
    from rag.index import ArticleFilter
    from rag.pipeline import Reporting

EXIT_FAILED, EXIT_USAGE, EXIT_NOT_ANSWERED, EXIT_CHECK_FAILED, EXIT_BUG, EXIT_INTERRUPTED = 1, 2, 3, 5, 70, 130

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

    def settings(self, *, k: int | None = None) -> "Config":
        """Return the settings with the flags on top."""
        from rag.config import load_config

        overrides = dict(_assignment(text) for text in self.set or [])
        flagged = {"index": ("--index", self.index), "retrieval.k": ("-k", k)}
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

    @contextmanager
    def reporting(self) -> Iterator["Reporting"]:
        """Show progress and notices on stderr while work goes on."""
        from rag.pipeline import Reporting
        from rag.progress import StageProgress

        with StageProgress(quiet=self.quiet) as progress:
            yield Reporting(notify=progress.notify, progress=progress)


K = Annotated[int | None, typer.Option("-k", min=1, help="How many passages to look at.", show_default=False)]
Since = Annotated[
    str | None, typer.Option("--since", metavar="DATE", help="Only articles from this day, month or year on.")
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="DATE", help="Only articles up to this day, month or year.")
]
Source = Annotated[str | None, typer.Option("--source", metavar="NAME", help="Only articles from this source.")]
Language = Annotated[str | None, typer.Option("--language", metavar="CODE", help="Only articles in this language.")]

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

        typer.echo(f"rag {__version__}")
        raise typer.Exit


VersionFlag = Annotated[
    bool,
    typer.Option("--version", callback=lambda value: _version(wanted=value), is_eager=True, help="Print the version."),
]


@app.callback()
def rag(*, version: VersionFlag = False) -> None:
    """Ask your own articles; every answer is made of their own sentences, with citations."""


def verb(*, example: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command: it takes `Options` first, and its flags are joined by theirs."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        names = [field.name for field in fields(Options)]

        @functools.wraps(function)
        def command(**given: Any) -> None:  # noqa: ANN401 - whatever typer parsed
            options = Options(**{name: given.pop(name) for name in names})
            given.pop("version")
            _configure_logging(verbose=options.verbose)
            try:
                function(options, **given)
            except KeyboardInterrupt:
                typer.echo("interrupted; what was done is kept", err=True)
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
        return app.command(name=function.__name__.rstrip("_"), epilog=f"Example: {example}")(command)

    return decorate


@verb(example="rag index articles/")
def index(
    options: Options,
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files and folders; default: articles of config.yaml.")
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="Keep what is indexed besides.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Use nothing of the present index again.")] = False,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Only list what would be done.")] = False,
) -> None:
    """Bring the index up to date with the articles, so that it mirrors exactly the paths given."""
    from rag import formats, pipeline

    settings = options.settings()
    with options.reporting() as reporting:
        report = pipeline.index_articles(
            settings, paths or [], add=add, rebuild=rebuild, dry_run=dry_run, reporting=reporting
        )
    _write(options, formats.build_report(report, dry_run=dry_run, style=_style(options)))


@verb(example='rag ask "How many new enterprises did Japan establish in China in 2023?" --json')
def ask(
    options: Options,
    question: Annotated[str, typer.Argument(help="The question; - reads it from standard input.")],
    k: K = None,
    since: Since = None,
    until: Until = None,
    source: Source = None,
    language: Language = None,
) -> None:
    """Answer a question in the articles' own sentences, each cited."""
    from rag import formats, pipeline

    settings = options.settings(k=k)
    wanted = _filter(since, until, source, language)
    with options.reporting() as reporting:
        asked = pipeline.ask(settings, _question(question), wanted=wanted, reporting=reporting)
    _write(options, formats.answer(asked, style=_style(options)))
    if not asked.answer.answered:
        raise typer.Exit(EXIT_NOT_ANSWERED)


@verb(example='rag search "seafood ban" -k 3 --explain')
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
        found = pipeline.search(settings, _question(query), wanted=wanted, reporting=reporting)
    _write(options, formats.search(found, explain=explain, style=_style(options)))


@verb(example="rag show hong-kong-japan-trade.md --at 120:240")
def show(
    options: Options,
    target: Annotated[str, typer.Argument(metavar="ARTICLE[#PASSAGE]", help="An article or passage, by its id.")],
    at: Annotated[
        str | None, typer.Option("--at", metavar="START:END", help="The slice that a citation names.")
    ] = None,
) -> None:
    """Print an article's text as indexed: the text that every citation's offsets count in."""
    from rag import formats, pipeline

    piece = pipeline.show(options.settings(), target, at=_offsets(at))
    _write(options, formats.piece(piece, style=_style(options)))


@verb(example="rag status --json | jq .passages")
def status(options: Options) -> None:
    """Say what is indexed, with what, and what could not be."""
    from rag import formats, pipeline

    _write(options, formats.status(pipeline.status(options.settings()), style=_style(options)))


@verb(example="rag config --set retrieval.fusion=rrf")
def config(options: Options) -> None:
    """Print every setting, its value, and where that came from."""
    from rag import formats

    _write(options, formats.settings(options.settings().settings(), style=_style(options)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; the user's mistakes end as two lines, ours as a traceback in a file."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="rag")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else EXIT_FAILED
    except RagError as error:
        from rag.render import error_text

        typer.echo(error_text(error), err=True)
        return EXIT_FAILED
    except BrokenPipeError:
        # The reader of our output is gone (`rag show … | head`); nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # noqa: BLE001  # the boundary: whatever arrives here is our bug
        typer.echo(_crash_report(), err=True)
        return EXIT_BUG
    return 0


def run() -> None:
    """Run a command and leave the process with its exit code."""
    sys.exit(main())


def _crash_report() -> str:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="rag-crash-", suffix=".txt", delete=False, encoding="utf-8") as file:
        traceback.print_exc(file=file)
    return f"error: this is a bug in rag; the traceback is in {file.name}\nhint:  report it with that file"


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
        return text
    try:
        return sys.stdin.read().strip()
    except UnicodeDecodeError as error:
        raise QuestionError("standard input is not UTF-8 text", hint='ask it as: rag ask "…"') from error


def _filter(since: str | None, until: str | None, source: str | None, language: str | None) -> "ArticleFilter":
    from rag.index import ArticleFilter

    return ArticleFilter(since=since, until=until, source=source, language=language)


def _offsets(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    start, colon, end = text.partition(":")
    if not (colon and start.isdecimal() and end.isdecimal()):
        raise typer.BadParameter(f"--at takes START:END, for example 120:240, got {text!r}")
    return int(start), int(end)


def _style(options: Options) -> "Style":
    import shutil

    from rag.formats import Style

    terminal = options.output is None and sys.stdout.isatty()
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return Style(
        format=options.written_as,
        width=shutil.get_terminal_size().columns,
        color=terminal and not plain,
        terminal=terminal,
    )


def _write(options: Options, text: str) -> None:
    if options.output is None:
        typer.echo(text)
        return
    staged = options.output.with_name(options.output.name + ".partial")
    try:
        staged.write_text(text + "\n", encoding="utf-8")
        staged.replace(options.output)
    except OSError as error:
        raise RagError(
            f"{options.output} cannot be written: {error.strerror}", hint="choose another with: -o FILE"
        ) from error
