"""An evaluation as one HTML file: charts, and a table of its questions that opens to answers and their sources.

The file needs nothing besides itself, and its Content-Security-Policy lets it load nothing. Only the style and the
script that stand in it, named there by their hashes, have any effect: markup in an article has none, even if it got out
of the data. But it does not: what comes from articles and questions is JSON, in which no `<` is left, and the script
makes text nodes of it; the few names in the page's own markup are escaped.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from rag.evaluation.charts import MOST_COLUMNS, OUTCOMES, UNJUDGED, Drawing, outcome, stage_colour
from rag.evaluation.evaluate import Evaluation, Result
from rag.evaluation.measures import ANSWER_MEASURES, EVIDENCE, LOWER_IS_BETTER
from rag.evaluation.statistics import Estimate
from rag.evaluation.tables import HEADLINES, number
from rag.records import Answer

TITLE = "How well were the questions answered?"
_SECTIONS = ("Articles ranked", "Evidence ranked", "Answers")
_UNITLESS = frozenset({"characters", "sentences"})
_TILES = ("right", "F1", "citation_recall", "evidence:Success@5", "refusal_recall", "nDCG@10", "R@100")
_STRIP = ("confidence", "F1", "citation_recall", "evidence:RR@10", "nDCG@10")
_COLUMNS = ("F1", "citation_recall", "evidence:RR@10", "nDCG@10", "R@100")
_MOST_TILES, _MOST_COLUMNS, _MOST_GROUPS, _MOST_FACETS, _MOST_VALUES = 5, 3, 12, 3, 20
_RANKED_ARTICLES, _NEAREST = 10, 3
_STRIP_WIDTHS = {"wide": 1040, "narrow": 400}
_DECIMALS = 6
_SHORT_HASH = 16
# `<` could end the script element, the separators are line ends to old JavaScript, and UTF-8 has no lone surrogates.
_NOT_IN_SCRIPT = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How an evaluation came about: the command, when it was given, by which version, and the settings in force."""

    command: str
    made: str
    version: str
    settings: Mapping[str, str]


def report_page(evaluation: Evaluation, *, about: Circumstances) -> str:
    """Return the report as a page of HTML; the same evaluation and circumstances give the same page.

    Raises:
        ReportError: what draws the charts is not installed.
    """
    drawing = Drawing()
    charts = "\n".join(_figures(evaluation, drawing))
    style, script = _part("report.css") + "\n" + drawing.css, _part("report.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": html.escape(f"{evaluation.dataset} · rag eval"),
        "style": style,
        "dataset": html.escape(evaluation.dataset),
        "heading": TITLE,
        "facts": _facts(evaluation, about),
        "command": html.escape(about.command),
        "settings": _settings(about.settings),
        "notice": _notice(evaluation),
        "tiles": "\n".join(_tiles(evaluation)),
        "charts": charts,
        "numbers": _numbers(evaluation),
        "data": embedded_json(report_data(evaluation)),
        "script": script,
    }
    return Template(_part("report.html")).substitute(parts)


def report_data(evaluation: Evaluation) -> dict[str, object]:
    """Return what the page's script makes the table from: the questions, and each passage that one shows, once."""
    results = evaluation.results
    names = {name for result in results for name in result.measures}
    passages: dict[str, dict[str, object]] = {}
    questions = [_question_data(result, passages) for result in results]
    return {
        "outcomes": {name: label for name, label in OUTCOMES.items() if any(outcome(r) == name for r in results)},
        "columns": [name for name in _COLUMNS if name in names][:_MOST_COLUMNS],
        "facets": _facets(results),
        "measures": sorted(names),
        "questions": questions,
        "passages": passages,
    }


def embedded_json(data: object) -> str:
    r"""Return JSON that can stand in a script element: the same data, with `<` written as `\u003c` and the like.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _NOT_IN_SCRIPT.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


# The data


def _question_data(result: Result, passages: dict[str, dict[str, object]]) -> dict[str, object]:
    question, answer = result.question, result.withheld or result.answer
    for hit in () if answer is None else answer.hits:
        passage = hit.passage
        if passage.id in result.texts:
            text = result.texts[passage.id]
            passages.setdefault(passage.id, {"article": passage.article, "start": passage.start, "text": text})
    return {
        "id": result.id,
        "question": question.question,
        "outcome": outcome(result),
        "facets": {**question.metadata, **({} if result.group == "none" else {"group": result.group})},
        "gold": {
            "answerable": result.gold.answerable,
            "answers": list(question.answers),
            "quotes": [
                {"article": evidence.article, "quote": evidence.quote, "places": [[p.start, p.end] for p in places]}
                for evidence, (_, places) in zip(question.evidence, result.gold.quotes, strict=True)
            ],
        },
        "answer": None if answer is None or result.answer is None else _answer_data(answer, result.answer),
        "ranked": [
            {"article": article, "score": round(score, _DECIMALS), "judged": result.judged.get(article, 0)}
            for article, score in result.articles[:_RANKED_ARTICLES]
        ],
        "measures": {name: round(value, _DECIMALS) for name, value in result.measures.items()},
        "ms": round(result.search_ms if answer is None else answer.timings_ms.get("total", result.search_ms), 1),
    }


def _answer_data(answer: Answer, given: Answer) -> dict[str, object]:
    """Return an answer as it would be at any confidence, and why it was not given."""
    return {
        "claims": [{"text": claim.text, "citations": list(claim.citations)} for claim in answer.claims],
        "short": answer.short_answer,
        "reason": given.reason,
        "confidence": round(answer.confidence, _DECIMALS),
        "citations": [
            {
                "marker": citation.marker,
                "article": citation.article,
                "title": citation.title,
                "source": citation.source,
                "published": citation.published,
                "line": citation.line,
                "passage": citation.passage,
                "quote": citation.quote,
                "start": citation.start,
                "end": citation.end,
            }
            for citation in answer.citations
        ],
        "nearest": [hit.passage.id for hit in answer.hits[:_NEAREST]],
    }


def _facets(results: Sequence[Result]) -> dict[str, list[str]]:
    """Return the keys by which questions are told apart, with their values: such as have a few of them."""
    values: dict[str, set[str]] = {}
    for result in results:
        for key, value in result.question.metadata.items():
            values.setdefault(key, set()).add(value)
        if result.group != "none":
            values.setdefault("group", set()).add(result.group)
    if any(values.get("group") == found for key, found in values.items() if key != "group"):
        del values["group"]
    few = {key: sorted(found) for key, found in values.items() if 1 < len(found) <= _MOST_VALUES}
    return dict(list(few.items())[:_MOST_FACETS])


# The page


def _figures(evaluation: Evaluation, drawing: Drawing) -> Iterable[str]:
    results, confidence = evaluation.results, evaluation.confidence
    names = {name for result in results for name in result.measures} | {"confidence"}
    rows = [name for name in _STRIP if name in names and (name != "confidence" or confidence is not None)]
    judged = any(outcome(result) != UNJUDGED for result in results)
    rows = ["outcome", *rows] if judged else rows
    legend = OUTCOMES if judged else {}
    opens = "A click opens the question." if len(results) <= MOST_COLUMNS else "Questions alike share a column."
    strips = "".join(
        drawing.strip(results, rows, width=width, name=f"strip-{name}") for name, width in _STRIP_WIDTHS.items()
    )
    yield _figure(
        "Question by question",
        f"A column for each question; the stronger a cell's colour, the higher the measure. {opens}",
        strips,
        legend=legend,
        wide=True,
    )
    yield _figure(
        "Measures",
        "Means over the questions, with 95 % bootstrap intervals. ↓ less is better.",
        drawing.measures(_sections(evaluation.measures), name="measures"),
    )
    if confidence is not None:
        yield _figure(
            "Risk and coverage",
            f"Share of wrong answers if only the most confident are given; AURC {confidence.area.mean:.3f} "
            f"[{confidence.area.low:.3f}, {confidence.area.high:.3f}].",
            drawing.risk_coverage(confidence, results, name="risk"),
            legend={"accent": "by confidence", "muted": "best order possible", "wrong": "as answered"},
        )
        yield _figure(
            "Calibration",
            f"Is an answer as often right as its confidence says? On the diagonal it is; ECE {confidence.error:.3f}.",
            drawing.calibration(confidence, name="calibration"),
        )
        values = {
            name: [r.withheld.confidence for r in results if r.withheld is not None and outcome(r) == name]
            for name in OUTCOMES
        }
        yield _figure(
            "Confidence",
            "How confident the answers were, by what became of them.",
            drawing.histogram(_filled(values), label="confidence", name="confidence"),
            legend=_kept(OUTCOMES, values),
        )
    scores = {
        "accent": [_best(r) for r in results if r.passages and (r.answer is None or r.answer.answered)],
        "missed": [_best(r) for r in results if r.passages and r.answer is not None and not r.answer.answered],
    }
    if any(scores.values()):
        asked = any(result.answer is not None for result in results)
        labels = {"accent": "answered" if asked else "searched", "missed": "declined"}
        yield _figure(
            "Score of the best passage",
            "What the ranking thought of its first passage.",
            drawing.histogram(_filled(scores), label="score", name="scores"),
            legend=_kept(labels, scores),
        )
    times = _times(results)
    yield _figure(
        "Latency",
        "Share of questions done within a time; the dots are the median and the 95th percentile.",
        drawing.latency(times, name="latency"),
        legend={stage_colour(stage): stage for stage in times},
    )
    if evaluation.groups:
        groups = list(evaluation.groups.items())[:_MOST_GROUPS]
        shown = [name for name in HEADLINES if any(name in found for _, found in groups)]
        shown = ["right", *shown] if "right" in shown else shown
        sections = {
            name: {f"{group} ({found[name].n})": found[name] for group, found in groups if name in found}
            for name in list(dict.fromkeys(shown))[:_MOST_FACETS]
        }
        yield _figure(
            "By group",
            "The same measures, each over the questions of a group; their number in brackets.",
            drawing.measures(sections, name="groups"),
        )


def _figure(title: str, caption: str, svg: str, *, legend: Mapping[str, str] | None = None, wide: bool = False) -> str:
    keys = "".join(
        f'<li><i class="swatch is-{html.escape(colour)}"></i>{html.escape(label)}</li>'
        for colour, label in (legend or {}).items()
    )
    return (
        f'<figure class="card{" across" if wide else ""}"><figcaption><h2>{html.escape(title)}</h2>'
        f"<p>{html.escape(caption)}</p>{f'<ul class=legend>{keys}</ul>' if keys else ''}</figcaption>{svg}</figure>"
    )


def _tiles(evaluation: Evaluation) -> Iterable[str]:
    shown = [name for name in _TILES if name in evaluation.measures][:_MOST_TILES]
    for name in shown:
        estimate = evaluation.measures[name]
        yield (
            f'<div class="tile"><dt>{html.escape(name)}</dt><dd><b>{number(estimate.mean)}</b>'
            f"<small>{number(estimate.low)} – {number(estimate.high)}, n {estimate.n}</small></dd></div>"
        )


def _facts(evaluation: Evaluation, about: Circumstances) -> str:
    facts = {
        "questions": str(len(evaluation.results)),
        "index": evaluation.index[:_SHORT_HASH],
        "made": about.made,
        "rag": about.version,
    }
    return "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(fact)}</dd></div>" for name, fact in facts.items()
    )


def _settings(settings: Mapping[str, str]) -> str:
    return _table(("setting", "value"), [[key, value] for key, value in settings.items()])


def _notice(evaluation: Evaluation) -> str:
    if not evaluation.lost:
        return ""
    listed = html.escape(", ".join(evaluation.lost[:_MOST_VALUES]))
    more = ", …" if len(evaluation.lost) > _MOST_VALUES else ""
    said = f"The gold of {len(evaluation.lost)} questions stands nowhere in the index: {listed}{more}"
    return f'<p class="notice">{said}</p>'


def _numbers(evaluation: Evaluation) -> str:
    rows = [
        [
            name + (" ↓" if name in LOWER_IS_BETTER else ""),
            number(estimate.mean, name=name),
            f"{number(estimate.low, name=name)} – {number(estimate.high, name=name)}",
            str(estimate.n),
            ANSWER_MEASURES.get(
                name, "of passages that hold a gold quote" if name.startswith(EVIDENCE) else "of articles"
            ),
        ]
        for name, estimate in evaluation.measures.items()
    ]
    return _table(("measure", "mean", "95 %", "n", "what it is"), rows)


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th scope=col>{html.escape(cell)}</th>" for cell in headers)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _sections(measures: Mapping[str, Estimate]) -> dict[str, dict[str, Estimate]]:
    """Return the measures that lie in 0..1, by what they are about."""
    sections: dict[str, dict[str, Estimate]] = {title: {} for title in _SECTIONS}
    for name, estimate in measures.items():
        if name in _UNITLESS:
            continue
        title = _SECTIONS[1] if name.startswith(EVIDENCE) else _SECTIONS[2] if name in ANSWER_MEASURES else _SECTIONS[0]
        sections[title][name.removeprefix(EVIDENCE)] = estimate
    return {title: found for title, found in sections.items() if found}


def _times(results: Sequence[Result]) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for result in results:
        if result.answer is not None:
            for stage, spent in result.answer.timings_ms.items():
                values.setdefault(stage, []).append(spent)
    return values or {"deep search": [result.search_ms for result in results]}


def _best(result: Result) -> float:
    return result.passages[0][1]


def _filled(values: Mapping[str, list[float]]) -> dict[str, list[float]]:
    return {name: found for name, found in values.items() if found}


def _kept(labels: Mapping[str, str], values: Mapping[str, list[float]]) -> dict[str, str]:
    return {name: label for name, label in labels.items() if values.get(name)}


def _part(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
