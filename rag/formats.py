"""What each verb prints, as text, JSON or Markdown: pure functions from records to `str`, on top of `render`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from rag import render
from rag.records import Answer

if TYPE_CHECKING:
    from rag.building import RolledBack
    from rag.config import Setting
    from rag.doctor import Examination
    from rag.engine import Asked, Found
    from rag.evaluation.compare import Comparison
    from rag.evaluation.evaluate import Evaluation
    from rag.evaluation.sweep import Sweep
    from rag.index import Manifest
    from rag.index.build import BuildReport
    from rag.models.registry import AddedModel
    from rag.pipeline import Models, Slice, Status
    from rag.verify import Verification

_JSON, _MARKDOWN = "json", "markdown"
EXPLAINED_ROWS = 20


@dataclass(frozen=True, slots=True)
class Style:
    """Where output goes: how wide it may be, whether with colour, and whether to a terminal, which needs escapes.

    Tables keep to the width where they are `fitted`; else whoever reads them line by line finds a row in each.
    """

    format: str
    width: int
    color: bool
    terminal: bool
    fitted: bool = False

    @property
    def table_width(self) -> int | None:
        """Return the width that tables keep to, if any."""
        return self.width if self.fitted else None


def answer(asked: Asked, *, style: Style, unfolded: bool = False) -> str:
    """Return an answer; of one that was `unfolded` before, what goes on behind it."""
    given: Answer = asked.answer
    if style.format == _JSON:
        return render.to_json(render.answer_record(given))
    if style.format == _MARKDOWN:
        return render.answer_markdown(given, excerpts=asked.texts, articles=asked.articles)
    return render.answer_text(
        given,
        width=style.width,
        color=style.color,
        links=style.color and style.terminal,
        unfolded=unfolded,
        excerpts=asked.texts,
        articles=asked.articles,
    )


def unfolding(*, style: Style) -> render.Unfolding | None:
    """Return what shows an answer's claims one by one; None where an answer is printed as a whole."""
    if style.format in {_JSON, _MARKDOWN} or not style.terminal:
        return None
    return render.Unfolding(width=style.width, color=style.color)


def search(found: Found, *, explain: bool, style: Style) -> str:
    """Return ranked passages, with `explain` also what each stage thought of each of them."""
    ranking = found.ranking
    if style.format == _JSON:
        record = render.search_record(found.query, ranking.hits, texts=ranking.texts, articles=found.articles)
        return render.to_json(record | ({"explain": list(_explained(found))} if explain else {}))
    if style.format == _MARKDOWN:
        text = render.hits_markdown(ranking.hits, texts=ranking.texts, articles=found.articles)
        return (
            f"{text}\n\n```text\n{_explain_table(found, style=replace(style, color=False, fitted=False))}\n```"
            if explain
            else text
        )
    text = render.hits_text(
        ranking.hits, texts=ranking.texts, articles=found.articles, width=style.width, color=style.color
    )
    return f"{text}\n\n{_explain_table(found, style=style)}" if explain else text


def passages(asked: Asked, *, style: Style) -> str:
    """Return the passages that an answer was looked for in, as ranked ones are printed."""
    given, texts, articles = asked.answer, asked.texts, asked.articles
    if style.format == _JSON:
        query = given.understood or given.question
        return render.to_json(render.search_record(query, given.hits, texts=texts, articles=articles))
    if style.format == _MARKDOWN:
        return render.hits_markdown(given.hits, texts=texts, articles=articles)
    return render.hits_text(given.hits, texts=texts, articles=articles, width=style.width, color=style.color)


def piece(shown: Slice, *, style: Style) -> str:
    """Return an article's text, or a slice of it: to the letter, but for what would move a terminal's cursor."""
    article = shown.article
    if style.format == _JSON:
        names = ("id", "path", "title", "source", "author", "published", "language", "url")
        about = {name: getattr(article, name) for name in names}
        extent = {"start": shown.start, "end": shown.end, "line": article.line_of(shown.start), "text": shown.text}
        rest = {"origins": dict(article.origins), "metadata": dict(article.metadata)}
        return render.to_json({"schema": "rag.article/1", **about, **extent, **rest})
    return render.escape(shown.text) if style.terminal else shown.text


def build_report(report: BuildReport, *, dry_run: bool, style: Style) -> str:
    """Return what a build did, or would do."""
    if style.format == _JSON:
        return render.to_json({"schema": "rag.index/1", "dry_run": dry_run, **asdict(report)})
    names = ("added", "changed", "removed")
    listed = [f"{name:<8} {render.escape_name(article)}" for name in names for article in getattr(report, name)]
    copies = [
        _named(
            "copy", copy.article, f"{'the same' if copy.exact else 'nearly the same'} text as {copy.of}", style=style
        )
        for copy in report.duplicates
    ]
    without = [
        _named(name, failure.path, failure.reason, style=style)
        for name in ("empty", "failed", *(["skipped"] if dry_run else []))
        for failure in getattr(report, name)
    ]
    some = ("empty", "skipped", "duplicates")
    told = [*names, "unchanged", "failed", *(name for name in some if getattr(report, name))]
    counts = ", ".join(f"{len(getattr(report, name))} {name}" for name in told)
    if dry_run:
        return "\n".join([*listed, *without, _flowed([], f"would be: {counts}", style=style)])
    resumed = f", {report.resumed} taken from an interrupted build" if report.resumed else ""
    total = f"{report.articles} articles in {report.passages} passages, {report.encoded} encoded{resumed}"
    return "\n".join([*copies, *without, _flowed([], f"{total} ({counts})", style=style)])


def rolled_back(done: RolledBack, *, style: Style) -> str:
    """Return which generation is current again."""
    manifest = done.manifest
    facts = {"generation": done.folder.name, "replaced": done.replaced, "index": manifest.content}
    if style.format == _JSON:
        return render.to_json({"schema": "rag.rollback/1", **facts, "built": manifest.built})
    return f"back from generation {done.replaced} to {done.folder.name}: {_generation(manifest)}"


def examination(found: Examination, *, style: Style) -> str:
    """Return what was looked at and how it stands, with the command that mends each thing that is wrong."""
    if style.format == _JSON:
        return render.to_json({"schema": "rag.doctor/1", "sound": found.sound, **asdict(found)})
    rows = [[check.state, check.name, check.detail] for check in found.checks]
    fixes = [f"{check.name}: {check.fix}" for check in found.checks if check.fix is not None]
    safe = render.markdown if style.format == _MARKDOWN else render.escape
    table = _tabled("", ("", "check", "detail"), rows, style=style)
    return "\n".join([table, *(["", *(f"fix  {safe(fix)}" for fix in fixes)] if fixes else [])])


def status(state: Status, *, style: Style) -> str:
    """Return what is indexed, with what, and what could not be."""
    manifest = state.manifest
    if style.format == _JSON:
        return render.to_json(
            {
                "schema": "rag.status/1",
                "folder": str(state.folder),
                "index": manifest.content,
                "built": manifest.built,
                "articles": manifest.articles,
                "passages": manifest.passages,
                "encoder": asdict(manifest.encoder),
                "settings": {"passages": dict(manifest.passage_settings), "lexical": dict(manifest.lexical_settings)},
                "metric": manifest.metric,
                "roots": list(manifest.roots),
                "failed": [dict(failed) for failed in manifest.failed],
                "empty": [dict(empty) for empty in manifest.empty],
                "skipped": [dict(skipped) for skipped in manifest.skipped],
                "search": dict(manifest.search),
                "items": [dict(item) for item in state.articles],
            }
        )
    name, made_by = manifest.encoder.name, manifest.encoder.backend
    backend = f", passages by {render.escape(made_by)}" if made_by else ""
    lines = [
        _flowed([], _generation(manifest), style=style),
        f"index    {render.escape(str(state.folder))}",
        f"content  {manifest.content[:16]}",
        _flowed(["encoder  "], f"{render.escape(name)} ({manifest.encoder.revision[:12]}){backend}", style=style),
        *(_named("empty", f["path"], f["reason"], style=style) for f in manifest.empty),
        *(_named("skipped", f["path"], f["reason"], style=style) for f in manifest.skipped),
        *(_named("failed", f["path"], f["reason"], style=style) for f in manifest.failed),
    ]
    columns = ("id", "title", "source", "published", "passages")
    rows = [[item[name] for name in columns] for item in state.articles]
    return _tabled("\n".join(lines), columns, rows, style=style, right=(4,), cut=(1, 2))


def models(found: Models, *, style: Style) -> str:
    """Return the models that were added, then those that can be."""
    if style.format == _JSON:
        listed = [_model_record(model) for model in found.added]
        return render.to_json({"schema": "rag.models/1", "added": listed, "available": dict(found.available)})
    rows = [[model.name, f"{model.size / 1e6:.0f} MB", model.origin] for model in found.added]
    rows += [[name, "", f"rag models add {name}"] for name in found.available]
    return _tabled("", ("model", "size", "from"), rows, style=style, right=(1,))


def added_model(model: AddedModel, *, done: str, style: Style) -> str:
    """Return what was done with a model."""
    if style.format == _JSON:
        return render.to_json({"schema": "rag.models/1", "done": done, **_model_record(model)})
    used = f"; use it with: --set answerer=writer --set writer.model={model.name}" if done == "added" else ""
    safe = render.markdown if style.format == _MARKDOWN else render.escape
    return safe(f"{done} {model.name}: {len(model.files)} files, {model.size / 1e6:.0f} MB{used}")


def verified_model(name: str, changed: Sequence[str], *, style: Style) -> str:
    """Return which files of a model are not what was added."""
    if style.format == _JSON:
        return render.to_json({"schema": "rag.models/1", "name": name, "holds": not changed, "changed": list(changed)})
    safe = render.markdown if style.format == _MARKDOWN else render.escape
    return "\n".join(map(safe, [*changed, f"{name}: {_counted(len(changed), 'failure') if changed else 'all hold'}"]))


def model_path(model: AddedModel, *, style: Style) -> str:
    """Return the folder that a model lies in."""
    if style.format == _JSON:
        return render.to_json({"schema": "rag.models/1", **_model_record(model)})
    return render.escape(model.folder) if style.terminal else model.folder


def _model_record(model: AddedModel) -> dict[str, object]:
    return {"name": model.name, "revision": model.revision, "size": model.size, **asdict(model)}


def verification(found: Verification, *, style: Style) -> str:
    """Return what an answer file was checked for, and what of it does not hold."""
    if style.format == _JSON:
        return render.to_json({"schema": "rag.verify/1", "holds": found.holds, **asdict(found)})
    lines = []
    for failure in found.failures:
        name = "" if failure.id is None else f" ({failure.id})"
        marker = "" if failure.marker is None else f" [{failure.marker}]"
        lines.append(render.escape(f"line {failure.line}{name}{marker}: {failure.problem}").replace("\n", "\\n"))
    lines += [f"note: {render.escape(note)}" for note in found.notes]
    counts = f"{_counted(found.answers, 'answer')} with {_counted(found.citations, 'citation')} checked"
    lines.append(f"{counts}: {_counted(len(found.failures), 'failure') if found.failures else 'all hold'}")
    return "\n".join(f"- {render.markdown(line)}" if style.format == _MARKDOWN else line for line in lines)


def evaluation(scores: Evaluation, *, style: Style) -> str:
    """Return the measures of a dataset, by group where groups were asked for, with the confidence and the times."""
    from rag.evaluation import tables

    if style.format == _JSON:
        return render.to_json(tables.evaluation_record(scores))
    about = "; means with 95 % bootstrap intervals" if scores.measures else ", none of them with gold"
    head = f"{scores.dataset}: {_counted(len(scores.results), 'question')}{about}"
    if style.format != _MARKDOWN:
        head = render.escape(head)
    rows = tables.measure_rows(scores.measures) + tables.confidence_rows(scores)
    parts = [_tabled(head, tables.MEASURE_COLUMNS, rows, style=style, right=(1, 2, 3)) if rows else head]
    if scores.groups:
        grouped = tables.group_rows(scores.groups)
        parts.append(_tabled("", tables.GROUP_COLUMNS, grouped, style=style, right=(2, 3, 4)))
    if scores.confidence is not None:
        bins = tables.bin_rows(scores.confidence.bins)
        parts.append(_tabled("", tables.BIN_COLUMNS, bins, style=style, right=(0, 1, 2)))
    parts.append(_tabled("", tables.TIME_COLUMNS, tables.time_rows(scores), style=style, right=(1, 2)))
    return "\n\n".join(parts)


def comparison(found: Comparison, *, style: Style) -> str:
    """Return what two sides differ in, and the questions that moved most, side by side."""
    from rag.evaluation import tables

    if style.format == _JSON:
        return render.to_json(tables.comparison_record(found))
    safe = render.markdown if style.format == _MARKDOWN else render.escape
    head = [f"A  {found.a}", f"B  {found.b}", f"{found.topics} questions in both"]
    head += [f"{len(found.unpaired)} only in one of them"] if found.unpaired else []
    above = "\n".join(safe(line) for line in head)
    rows = tables.difference_rows(found)
    parts = [_tabled(above, tables.DIFFERENCE_COLUMNS, rows, style=style, right=range(1, 7))]
    for about, shown_a, shown_b in tables.moved_lines(found):
        lines = [about, f"  A  {shown_a}", f"  B  {shown_b}"]
        parts.append("\n".join(safe(" ".join(line.split("\n"))) for line in lines))
    return "\n\n".join(parts)


def sweep(found: Sweep, *, style: Style) -> str:
    """Return the combinations of a grid, best first, and whether the best is better than each by more than chance."""
    from rag.evaluation import tables

    if style.format == _JSON:
        return render.to_json(tables.sweep_record(found))
    columns, rows = tables.sweep_rows(found)
    head = f"{found.dataset}: {found.questions} questions, {len(found.rows)} combinations, best first"
    right = range(len(columns) - 5, len(columns))
    safe = head if style.format == _MARKDOWN else render.escape(head)
    return _tabled(safe, columns, rows, style=style, right=right)


def settings(found: Sequence[Setting], *, style: Style) -> str:
    """Return every setting with its value and where that came from."""
    if style.format == _JSON:
        listed = [{"key": s.key, "value": s.value, "origin": s.origin, "about": s.about} for s in found]
        return render.to_json({"schema": "rag.config/1", "settings": listed})
    rows = [[s.key, s.text, s.origin] for s in found]
    return _tabled("", ("setting", "value", "from"), rows, style=style)


def _explained(found: Found) -> Iterable[dict[str, object]]:
    ranking = found.ranking
    for candidate, passage in zip(ranking.candidates, ranking.passages, strict=True):
        facts = {name: value for name, value in asdict(candidate).items() if name != "row"}
        yield {"id": passage.id, **facts}


def _explain_table(found: Found, *, style: Style) -> str:
    headers = ("passage", "rank", "fused", "meaning", "", "words", "", "dropped")
    explained = list(_explained(found))
    rows = [
        [
            row["id"],
            row["rank"],
            _number(row["fused"]),
            _number(row["dense"]),
            _place(row["dense_rank"]),
            _number(row["lexical"]),
            _place(row["lexical_rank"]),
            row["dropped"],
        ]
        for row in explained[:EXPLAINED_ROWS]
    ]
    table = render.table(headers, rows, right=(1, 2, 3, 4, 5, 6), width=style.table_width, color=style.color)
    rest = len(explained) - EXPLAINED_ROWS
    return f"{table}\nand {rest} more; --json has them all" if rest > 0 else table


def _tabled(
    above: str,
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    style: Style,
    right: Sequence[int] = (),
    cut: Sequence[int] = (),
) -> str:
    if style.format == _MARKDOWN:
        lines = [[render.markdown("" if cell is None else str(cell)) for cell in row] for row in (headers, *rows)]
        ruled = [lines[0], ["---"] * len(headers), *lines[1:]]
        body = "\n".join(f"| {' | '.join(row)} |" for row in ruled)
    else:
        body = render.table(headers, rows, right=right, cut=cut, width=style.table_width, color=style.color)
    return f"{above}\n\n{body}" if above else body


def _named(kind: str, name: str, about: str, *, style: Style) -> str:
    """Return a file or an article with what is told of it, in lines where there is a width to keep to."""
    label = f"{kind:<8} "
    safe = render.escape_name(about.removeprefix(f"cannot read {name}: ").removeprefix(f"{name} is "))
    return _flowed([label, f"{render.escape_name(name)}:"], f" {safe}", style=style)


def _flowed(names: Sequence[str], text: str, *, style: Style) -> str:
    """Return names and a text behind them, in lines under the text where there is a width to keep to."""
    if style.table_width is None:
        return "".join([*names, text])
    pieces = [*(render.Piece(name, name=True) for name in names), render.Piece(text)]
    return "\n".join(render.wrap(pieces, width=style.table_width, indent=sum(map(len, names[:1]))))


def _generation(manifest: Manifest) -> str:
    return f"{manifest.articles} articles in {manifest.passages} passages, built {manifest.built}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _number(value: object) -> str:
    return f"{value:.3f}"


def _place(rank: object) -> str:
    return "" if rank is None else f"#{rank}"
