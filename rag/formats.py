"""What each verb prints, as text, JSON or Markdown: pure functions from records to `str`, on top of `render`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rag import render
from rag.records import Answer

if TYPE_CHECKING:
    from rag.config import Setting
    from rag.index import BuildReport
    from rag.pipeline import Asked, Found, Slice, Status

_JSON, _MARKDOWN = "json", "markdown"


@dataclass(frozen=True, slots=True)
class Style:
    """Where output goes: how wide it may be, whether with colour, and whether to a terminal, which needs escapes."""

    format: str
    width: int
    color: bool
    terminal: bool


def answer(asked: Asked, *, style: Style) -> str:
    """Return an answer."""
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
        excerpts=asked.texts,
        articles=asked.articles,
    )


def search(found: Found, *, explain: bool, style: Style) -> str:
    """Return ranked passages, with `explain` also what each stage thought of each of them."""
    ranking = found.ranking
    if style.format == _JSON:
        record = render.search_record(found.query, ranking.hits, texts=ranking.texts, articles=found.articles)
        return render.to_json(record | ({"explain": list(_explained(found))} if explain else {}))
    if style.format == _MARKDOWN:
        text = render.hits_markdown(ranking.hits, texts=ranking.texts, articles=found.articles)
        return f"{text}\n\n```text\n{_explain_table(found)}\n```" if explain else text
    text = render.hits_text(
        ranking.hits, texts=ranking.texts, articles=found.articles, width=style.width, color=style.color
    )
    return f"{text}\n\n{_explain_table(found, color=style.color)}" if explain else text


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
    listed = [f"{name:<8} {render.escape(article)}" for name in names for article in getattr(report, name)]
    failed = [f"failed   {render.escape(failure.path)}: {render.escape(failure.reason)}" for failure in report.failed]
    counts = ", ".join(f"{len(getattr(report, name))} {name}" for name in (*names, "unchanged", "failed"))
    if dry_run:
        return "\n".join([*listed, *failed, f"would be: {counts}"])
    total = f"{report.articles} articles in {report.passages} passages, {report.encoded} encoded"
    return "\n".join([*failed, f"{total} ({counts})"])


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
                "items": [dict(item) for item in state.articles],
            }
        )
    lines = [
        f"{manifest.articles} articles in {manifest.passages} passages, built {manifest.built}",
        f"index    {render.escape(str(state.folder))}",
        f"content  {manifest.content[:16]}",
        f"encoder  {render.escape(manifest.encoder.name)} ({manifest.encoder.revision[:12]})",
        *(f"failed   {render.escape(f['path'])}: {render.escape(f['reason'])}" for f in manifest.failed),
    ]
    columns = ("id", "title", "source", "published", "passages")
    rows = [[item[name] for name in columns] for item in state.articles]
    return _tabled("\n".join(lines), columns, rows, style=style, right=(4,))


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


def _explain_table(found: Found, *, color: bool = False) -> str:
    headers = ("passage", "rank", "fused", "meaning", "", "words", "", "dropped")
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
        for row in _explained(found)
    ]
    return render.table(headers, rows, right=(1, 2, 3, 4, 5, 6), color=color)


def _tabled(
    above: str, headers: Sequence[str], rows: Sequence[Sequence[object]], *, style: Style, right: Sequence[int] = ()
) -> str:
    if style.format == _MARKDOWN:
        lines = [headers, ["---"] * len(headers), *rows]
        body = "\n".join(
            "| " + " | ".join(render.markdown("" if v is None else str(v)) for v in row) + " |" for row in lines
        )
    else:
        body = render.table(headers, rows, right=right, color=style.color)
    return f"{above}\n\n{body}" if above else body


def _number(value: object) -> str:
    return f"{value:.3f}"


def _place(rank: object) -> str:
    return "" if rank is None else f"#{rank}"
