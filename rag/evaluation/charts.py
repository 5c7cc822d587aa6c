"""The charts of an evaluation, as SVG that stands inside a page and takes the page's colours, light or dark.

Drawn by matplotlib, which this module alone imports. It is an optional extra, for only the report needs it. What else
was weighed: plotly puts 4.5 MB of script into every report; Vega-Lite 0.8 MB, which wants `unsafe-eval` or an
interpreter beside it, and drawn beforehand by vl-convert it is 34 MB of binary; bokeh comes with script too, and ties
colours to its own themes. Matplotlib (a licence of its own, like the BSD's) has been kept for twenty years, draws what
readers of such figures know, and leaves some 20 kB of SVG for each chart and no script. What its SVG lacks for a page,
colours that follow the theme and styles that a Content-Security-Policy can name, is added here: shapes are drawn in
stand-in colours, which become the page's CSS variables, and every style becomes a class. The same evaluation gives the
same bytes.
"""

from __future__ import annotations

import html
import importlib.util
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rag.errors import ReportError
from rag.evaluation.evaluate import Confidence, Result
from rag.evaluation.measures import LOWER_IS_BETTER, correct
from rag.evaluation.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OUTCOMES: Mapping[str, str] = {
    "right": "answered right",
    "wrong": "answered wrong",
    "declined": "declined rightly",
    "missed": "declined wrongly",
}
UNJUDGED = "unjudged"
LEVELS = 6
# What a shape is drawn in, and the CSS variable that takes its place; no colour of matplotlib's own is among them.
_VARIABLES = {
    "#010102": "ink",
    "#010103": "muted",
    "#010104": "line",
    "#010105": "accent",
    "#010106": "surface",
    "#010107": "second",
    "#010108": "third",
    **{f"#02000{place}": outcome for place, outcome in enumerate(OUTCOMES)},
    **{f"#03000{level}": f"level-{level}" for level in range(LEVELS)},
}
_COLOURS = {name: colour for colour, name in _VARIABLES.items()}
_STAGES = {"total": "accent", "answer": "second", "retrieve": "third", "deep search": "muted"}
_ROW, _SMALL, _WIDTH = 19, 11, 400
_MOST_DURATIONS = 6  # labels that stand apart on the axis of times
MOST_COLUMNS, _MOST_GROUPS, _LABEL_CHARACTERS, _TITLE_CHARACTERS = 200, 12, 22, 120
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.usetex": False,
    "font.size": 11.5,
    "axes.titlesize": 11.5,
    "axes.labelsize": 11.5,
    "axes.labelcolor": _COLOURS["muted"],
    "axes.edgecolor": _COLOURS["line"],
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": _COLOURS["line"],
    "grid.linewidth": 0.8,
    "text.color": _COLOURS["ink"],
    "xtick.color": _COLOURS["line"],
    "ytick.color": _COLOURS["line"],
    "xtick.labelcolor": _COLOURS["muted"],
    "ytick.labelcolor": _COLOURS["muted"],
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


@dataclass(slots=True)
class Drawing:
    """Charts for one page: each call returns an SVG, and `css` holds the classes that all of them use."""

    _classes: dict[str, str] = field(default_factory=dict)

    @property
    def css(self) -> str:
        """Return the rules for the classes of all charts drawn so far."""
        return "\n".join(f".{name}{{{style}}}" for style, name in self._classes.items())

    def measures(self, sections: Mapping[str, Mapping[str, Estimate]], *, name: str) -> str:
        """Return measures as dots with their intervals as whiskers, under the title of their section."""
        rows = [row for title, found in sections.items() for row in [(title, None), *found.items()]]
        height = _ROW * len(rows) + 30
        with _chart(_WIDTH, height) as (figure, axes):
            _margins(figure, left=142, right=46, top=4, bottom=26)
            for y, (label, estimate) in enumerate(rows):
                if estimate is None:
                    axes.text(-0.66, y, _plain(label), weight="bold", va="center", color=_COLOURS["ink"])
                    continue
                axes.plot(
                    [estimate.low, estimate.high], [y, y], color=_COLOURS["accent"], lw=2, alpha=0.45, clip_on=False
                )
                axes.plot([estimate.mean], [y], "o", color=_COLOURS["accent"], ms=6, clip_on=False)
                axes.text(1.04, y, f"{estimate.mean:.3f}", va="center", size=_SMALL, color=_COLOURS["ink"])
                shown = _plain(label) + (" ↓" if label in LOWER_IS_BETTER else "")
                axes.text(-0.04, y, shown, va="center", ha="right", size=_SMALL, color=_COLOURS["muted"])
            axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.7), yticks=[], xticks=[0, 0.25, 0.5, 0.75, 1])
            axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
            return self._svg(figure, name, "Measures, each with its mean and 95 % interval")

    def strip(self, results: Sequence[Result], rows: Sequence[str], *, width: int, name: str) -> str:
        """Return every question as a column, with a cell for its outcome or for a measure in each row.

        More questions than there is room for share columns, each then showing its middle question's outcome and the
        means; else a column links to its question, whose place in `results` is its anchor.
        """
        from matplotlib.collections import PatchCollection
        from matplotlib.patches import Rectangle

        order = sorted(range(len(results)), key=lambda place: _strip_key(results[place]))
        columns = [[int(place) for place in part] for part in np.array_split(order, min(len(order), MOST_COLUMNS))]
        with _chart(width, 24 * len(rows) + 12) as (figure, axes):
            _margins(figure, left=112, right=4, top=4, bottom=4)
            for y, row in enumerate(rows):
                axes.text(-0.006 * len(columns), y, _plain(row), ha="right", va="center", size=_SMALL)
                cells, colours, links = [], [], []
                for x, places in enumerate(columns):
                    colour = _cell([results[place] for place in places], row)
                    if colour is not None:
                        cells.append(Rectangle((x, y - 0.42), 1, 0.84))
                        colours.append(_COLOURS[colour])
                        links.append(f"#q{places[0]}" if len(places) == 1 else None)
                collection = PatchCollection(cells, facecolors=colours, edgecolors=_COLOURS["surface"], linewidths=0.5)
                collection.set_urls(links)
                axes.add_collection(collection)
            axes.set(xlim=(0, len(columns)), ylim=(len(rows) - 0.5, -0.5))
            axes.axis("off")
            svg = self._svg(figure, name, "Every question as a column, coloured by its outcome and its measures")
        return re.sub(r'<a href="#q(\d+)">', lambda match: _titled(match[0], results[int(match[1])]), svg)

    def risk_coverage(self, confidence: Confidence, results: Sequence[Result], *, name: str) -> str:
        """Return the risk of answering ever more questions, the least there could be, and where the answers stand."""
        coverage, risk, _ = np.array(confidence.curve).T
        n, wrong = len(coverage), round(float(risk[-1]) * len(coverage))
        best = [max(0.0, (i - (n - wrong)) / i) for i in range(1, n + 1)]
        with _chart(_WIDTH, 290) as (figure, axes):
            _margins(figure, left=52, right=14, top=12, bottom=42)
            axes.fill_between(coverage, risk, best, color=_COLOURS["accent"], alpha=0.1, lw=0)
            axes.plot(coverage, best, color=_COLOURS["muted"], lw=1.2, ls=(0, (2, 2)))
            axes.plot(coverage, risk, color=_COLOURS["accent"], lw=2)
            stands = _operating_point(results)
            if stands is not None:
                axes.plot(*stands, "o", ms=9, color=_COLOURS["wrong"], mec=_COLOURS["surface"], mew=1.5)
            axes.set(xlim=(0, 1), ylim=(0, max(0.1, *risk, *(stands or ())) * 1.06), xlabel="coverage", ylabel="risk")
            return self._svg(figure, name, "Share of wrong answers against the share of questions answered")

    def calibration(self, confidence: Confidence, *, name: str) -> str:
        """Return how often answers of each confidence were right; a dot's area goes by its number of questions."""
        bins = confidence.bins
        most = max(part.n for part in bins)
        with _chart(_WIDTH, 290) as (figure, axes):
            _margins(figure, left=52, right=14, top=12, bottom=42)
            axes.plot([0, 1], [0, 1], color=_COLOURS["muted"], lw=1.2, ls=(0, (2, 2)))
            for part in bins:
                axes.plot(
                    [part.confidence] * 2, [part.confidence, part.right], color=_COLOURS["wrong"], lw=1.5, alpha=0.6
                )
            xs, ys = [part.confidence for part in bins], [part.right for part in bins]
            axes.plot(xs, ys, color=_COLOURS["accent"], lw=1.2, alpha=0.5)
            sizes = [20 + 90 * part.n / most for part in bins]
            axes.scatter(xs, ys, s=sizes, color=_COLOURS["accent"], edgecolors=_COLOURS["surface"], zorder=3)
            axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="confidence", ylabel="share right")
            return self._svg(figure, name, "Share of right answers against the confidence in them")

    def histogram(self, values: Mapping[str, Sequence[float]], *, label: str, name: str) -> str:
        """Return how often each value was, from 0 or less to 1 or more, stacked in the order and colours given."""
        from matplotlib.ticker import MaxNLocator

        given = [value for part in values.values() for value in part]
        edges = np.linspace(min(0.0, *given), max(1.0, *given), 21)
        width = edges[1] - edges[0]
        with _chart(_WIDTH, 250) as (figure, axes):
            _margins(figure, left=52, right=14, top=12, bottom=42)
            below = np.zeros(20)
            for colour, part in values.items():
                counts, _ = np.histogram(part, edges)
                shown = counts > 0
                axes.bar(
                    (edges[:-1] + width / 2)[shown],
                    counts[shown],
                    width * 0.88,
                    bottom=below[shown],
                    color=_COLOURS[colour],
                )
                below += counts
            axes.set(xlim=(edges[0], edges[-1]), xlabel=_plain(label), ylabel="questions")
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(visible=False, axis="x")
            return self._svg(figure, name, f"How many questions have which {_plain(label)}")

    def latency(self, times_ms: Mapping[str, Sequence[float]], *, name: str) -> str:
        """Return the share of questions that each stage had done after some time, with median and 95th percentile."""
        with _chart(_WIDTH, 290) as (figure, axes):
            _margins(figure, left=52, right=14, top=12, bottom=42)
            longest, shortest = 0.0, np.inf
            for stage, spent in times_ms.items():
                rising = np.sort(np.maximum(spent, 0.01))
                shares = np.arange(1, len(rising) + 1) / len(rising)
                colour = _COLOURS[stage_colour(stage)]
                axes.step(rising, shares, where="post", color=colour, lw=1.8)
                middle = np.quantile(rising, [0.5, 0.95], method="inverted_cdf")  # on the line
                axes.plot(middle, [0.5, 0.95], "o", ms=7, color=colour, mec=_COLOURS["surface"], mew=1, zorder=3)
                longest, shortest = max(longest, rising[-1]), min(shortest, rising[0])
            axes.set_xscale("log")
            axes.set(xlim=(shortest / 1.15, longest * 1.15), ylim=(0, 1.03), ylabel="share of questions", xlabel="time")
            axes.minorticks_off()
            shown = _durations(shortest / 1.15, longest * 1.15)
            axes.set_xticks(shown, [_duration(tick) for tick in shown])
            return self._svg(figure, name, "Share of questions done within a time, by stage")

    def _svg(self, figure: Figure, name: str, label: str) -> str:
        """Return a figure as it can stand in a page: without ids of its own, but those that it refers to."""
        import matplotlib as mpl

        out = io.StringIO()
        with mpl.rc_context({"svg.hashsalt": name}):
            figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        svg = re.sub(
            r"^.*?(?=<svg)|<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", out.getvalue(), flags=re.DOTALL
        )
        svg = re.sub(r' (?:xmlns(?::xlink)?|version)="[^"]*"', "", svg)
        svg = re.sub(r'(<svg[^>]*?) width="[^"]*"|(<svg[^>]*?) height="[^"]*"', r"\1\2", svg, count=1)
        svg = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", svg, count=1)
        svg = svg.replace("xlink:href", "href")
        used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg))
        svg = re.sub(r' id="([^"]*)"', lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", svg)
        svg = re.sub(r'(url\(#|href="#)(?!q\d+")', rf"\g<1>{name}-", svg)
        svg = re.sub(r' style="([^"]*)"', lambda match: f' class="{self._class(match[1])}"', svg)
        return svg.replace(
            "<svg ", f'<svg class="chart-{name}" role="img" aria-label="{html.escape(label)}" ', 1
        ).strip()

    def _class(self, style: str) -> str:
        for colour, variable in _VARIABLES.items():
            style = style.replace(colour, f"var(--{variable})")
        style = re.sub(r"'DejaVu Sans'[^;]*", "var(--sans)", html.unescape(style))
        return self._classes.setdefault(style, f"c{len(self._classes)}")


def require_matplotlib() -> None:
    """Make sure that charts can be drawn, before the work that they are to show.

    Raises:
        ReportError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ReportError(
            "the report's charts are drawn by matplotlib, which is not installed",
            hint="install it with: pip install 'rag-cited[report]'",
        )


def outcome(result: Result) -> str:
    """Return what became of a question: a key of `OUTCOMES`, or that there is no gold to judge its answer by."""
    right = result.measures.get("right")
    if right is None or result.answer is None:
        return UNJUDGED
    if result.answer.answered:
        return "right" if right else "wrong"
    return "declined" if right else "missed"


def stage_colour(stage: str) -> str:
    """Return the variable with the colour of a stage's line."""
    return _STAGES.get(stage, "muted")


@contextmanager
def _chart(width: int, height: int) -> Iterator[tuple[Figure, Axes]]:
    """Yield an empty chart whose units are the page's pixels, drawn in our style whatever the user's is."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(), warnings.catch_warnings():
        # A script that matplotlib's own font lacks is drawn by the reader's browser.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)  # type: ignore[arg-type]  # the stubs want each key as a literal
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        yield figure, figure.subplots()


def _margins(figure: Figure, *, left: int, right: int, top: int, bottom: int) -> None:
    width, height = figure.get_size_inches() * 72
    figure.subplots_adjust(left=left / width, right=1 - right / width, top=1 - top / height, bottom=bottom / height)


def _strip_key(result: Result) -> tuple[float, ...]:
    names = [*OUTCOMES, UNJUDGED]
    confidence = 0.0 if result.withheld is None else result.withheld.confidence
    return (names.index(outcome(result)), -confidence, -result.measures.get("nDCG@10", 0.0))


def _cell(results: Sequence[Result], row: str) -> str | None:
    if row == "outcome":
        found = outcome(results[len(results) // 2])
        return None if found == UNJUDGED else found
    if row == "confidence":
        values = [result.withheld.confidence for result in results if result.withheld is not None]
    else:
        values = [result.measures[row] for result in results if row in result.measures]
    if not values:
        return None
    return f"level-{round(min(1.0, max(0.0, sum(values) / len(values))) * (LEVELS - 1))}"


def _titled(link: str, result: Result) -> str:
    return f"{link}<title>{html.escape(f'{result.id}: {result.question.question}'[:_TITLE_CHARACTERS])}</title>"


def _operating_point(results: Sequence[Result]) -> tuple[float, float] | None:
    """Return coverage and risk of the answers that were not withheld."""
    judged = [result for result in results if outcome(result) != UNJUDGED and result.answer is not None]
    wrong = [not correct(result.answer, result.gold) for result in judged if result.answer and result.answer.answered]
    return (len(wrong) / len(judged), sum(wrong) / len(wrong)) if wrong else None


def _plain(text: str) -> str:
    """Return a text of the user's as a label: on one line, nothing invisible, not too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LABEL_CHARACTERS else line[: _LABEL_CHARACTERS - 1] + "…"


def _durations(shortest: float, longest: float) -> list[float]:
    """Return round milliseconds to label, as many as fit: by powers of ten, with threes between if those are few."""
    steps: list[tuple[int, ...]] = [(1, 3), (1,)]
    for step in steps:
        ticks = [tick for power in range(-2, 8) for tick in (by * 10.0**power for by in step)]
        shown = [tick for tick in ticks if shortest <= tick <= longest]
        if len(shown) <= _MOST_DURATIONS:
            break
    return shown


def _duration(ms: float) -> str:
    return f"{ms / 1000:g} s" if ms >= 1000 else f"{ms:g} ms"  # noqa: PLR2004 - milliseconds in a second
