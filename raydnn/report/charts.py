"""Charts as SVG that stands in a page and follows its colours, and the same ones as PNG.

A chart is drawn in the colours of `palette.LIGHT`. In the page's SVG each of them becomes the CSS variable of its name,
so that one picture serves light and dark screens; the text is text, in the page's own letters.
"""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from raydnn.report.page import Chart, Table
from raydnn.report.palette import LIGHT, SERIES

Numbers = Sequence[float] | NDArray[Any]
Form = Literal["number", "percent"]

WIDTH, HEIGHT = 440.0, 300.0
"""Of a chart, in points of 1/72 inch. Text is large enough to be read where a telephone shows it."""
PNG_DPI = 160
MOST_LETTERS, MOST_LETTERS_IN_LEGEND = 26, 48
"""Of the name of a row, and of a series; longer ones are cut."""

_VARIABLES = {colour: f"var(--{key})" for key, colour in LIGHT.items()}
_LINES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (1, 2.5)), (0, (10, 3)))
_MARKERS = "osD^vP"
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 11.0,
    "text.color": LIGHT["ink"],
    "axes.edgecolor": LIGHT["rule"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LIGHT["grid"],
    "grid.linewidth": 0.8,
    "xtick.color": LIGHT["rule"],
    "ytick.color": LIGHT["rule"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.labelcolor": LIGHT["muted"],
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "lines.linewidth": 2.0,
    "lines.markersize": 5.0,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}


@dataclass(frozen=True, eq=False)
class Picture(Chart):
    """A chart of this module.

    Attributes:
        figure: what is drawn.
    """

    figure: Figure | None = None

    def to_png(self) -> bytes:
        """The chart on white, with its title."""
        assert self.figure is not None
        buffer = io.BytesIO()
        with drawing(self.name):
            self.figure.suptitle(self.title, fontsize=12, color=LIGHT["ink"])
            self.figure.savefig(buffer, format="png", dpi=PNG_DPI, facecolor=LIGHT["paper"])
        return buffer.getvalue()


@dataclass(frozen=True, eq=False)
class Series:
    """Points that belong together.

    Attributes:
        name: in the legend; empty where there is one series only.
        x, y: of the points [n]; in charts with a row for each value, x is the value and y is not given.
        low, high: ends of the interval around each value [n], or None.
        style: 'line'; 'points'; 'both'; 'reference' for what others are held against; 'area' for steps that are filled,
            where y[i] reaches from x[i] to x[i + 1] and x has one number more.
    """

    name: str
    x: Numbers
    y: Numbers = ()
    low: Numbers | None = None
    high: Numbers | None = None
    style: Literal["line", "points", "both", "reference", "area"] = "line"


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: what is measured, and its unit.
        form: of its numbers.
        limits: its ends; None takes those of the data.
    """

    label: str
    form: Form = "number"
    limits: tuple[float, float] | None = None


SHARE_LIMITS = (-0.02, 1.02)
"""Of an axis from 0 to 1, with room for the line at its ends."""


def line_chart(
    name: str, title: str, alt: str, series: Sequence[Series], x_axis: Axis, y_axis: Axis, data: Table | None = None
) -> Picture:
    """A chart of lines and points over two axes.

    Args:
        name, title, alt, data: see `raydnn.report.page.Chart`.
        series: what is drawn; references come first and take no colour.
        x_axis, y_axis: the axes.
    """
    with drawing(name):
        figure, axes = new_figure(HEIGHT)
        place = 0
        for each in series:
            if each.style == "reference":
                axes.plot(
                    each.x, each.y, color=LIGHT["series-6"], linewidth=1.2, linestyle=(0, (4, 3)), label=each.name
                )
                continue
            _draw_series(axes, each, place)
            place += 1
        finish_axis(axes, "x", x_axis)
        finish_axis(axes, "y", y_axis)
        _legend(figure, axes)
        return picture(name, title, alt, figure, data)


def bar_chart(
    name: str,
    title: str,
    alt: str,
    labels: Sequence[str],
    values: Numbers,
    axis: Axis,
    spreads: Numbers | None = None,
    data: Table | None = None,
) -> Picture:
    """Horizontal bars, the first one on top.

    Args:
        name, title, alt, data: see `raydnn.report.page.Chart`.
        labels, values: of the bars [n].
        axis: of the values.
        spreads: half the length of the whisker at each bar's end [n], or None.
    """
    with drawing(name):
        figure, axes = new_figure(_height_of_rows(len(labels)))
        places = np.arange(len(labels))
        axes.barh(places, values, height=0.66, color=LIGHT["series-1"])
        if spreads is not None:
            axes.errorbar(values, places, xerr=spreads, fmt="none", ecolor=LIGHT["ink"], elinewidth=1.2)
        _name_rows(axes, labels)
        finish_axis(axes, "x", axis)
        return picture(name, title, alt, figure, data)


def dot_chart(
    name: str,
    title: str,
    alt: str,
    labels: Sequence[str],
    series: Sequence[Series],
    axis: Axis,
    data: Table | None = None,
) -> Picture:
    """A row for each label, with a point and its interval for each series.

    Args:
        name, title, alt, data: see `raydnn.report.page.Chart`.
        labels: of the rows [n], the first one on top.
        series: with x [n]; their points lie a little below each other.
        axis: of the values.
    """
    with drawing(name):
        figure, axes = new_figure(_height_of_rows(len(labels), 1 if len(series) == 1 else 1.25))
        for place, each in enumerate(series):
            rows = np.arange(len(labels)) + 0.26 * (place - (len(series) - 1) / 2)
            colour = LIGHT[SERIES[place % len(SERIES)]]
            if each.low is not None and each.high is not None:
                axes.hlines(rows, each.low, each.high, color=colour, linewidth=1.6)
            axes.plot(each.x, rows, linestyle="none", marker=_MARKERS[place], color=colour, label=each.name)
        _name_rows(axes, labels)
        finish_axis(axes, "x", axis)
        _legend(figure, axes)
        return picture(name, title, alt, figure, data)


def matrix_chart(
    name: str,
    title: str,
    alt: str,
    labels: Sequence[str],
    shares: NDArray[np.float64],
    texts: Sequence[Sequence[str]],
    x_label: str,
    y_label: str,
    data: Table | None = None,
) -> Picture:
    """A square of cells.

    Args:
        name, title, alt, data: see `raydnn.report.page.Chart`.
        labels: of rows and columns [n].
        shares: how strongly each cell is filled, from 0 to 1 [n, n].
        texts: in each cell [n, n].
        x_label, y_label: what columns and rows are.
    """
    size = len(labels)
    with drawing(name):
        figure, axes = new_figure(max(HEIGHT, 22.0 * size + 70.0))
        for row in range(size):
            for column in range(size):
                # Pale enough for the text to stand out, on dark paper too.
                cell = Rectangle(
                    (column - 0.5, row - 0.5),
                    1,
                    1,
                    facecolor=LIGHT["series-1"],
                    alpha=0.45 * float(shares[row][column]),
                    edgecolor="none",
                )
                axes.add_patch(cell)
                font = 11 if size <= 6 else 7.5
                axes.text(column, row, texts[row][column], ha="center", va="center", fontsize=font)
        names = [short(label) for label in labels]
        axes.set_xticks(range(size), names, rotation=0 if size <= 4 else 90)
        axes.set_yticks(range(size), names)
        axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), xlabel=x_label, ylabel=y_label)
        axes.tick_params(length=0)
        axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
        axes.grid(False)
        axes.grid(True, which="minor")
        axes.tick_params(which="minor", length=0)
        axes.spines[:].set_visible(False)
        return picture(name, title, alt, figure, data)


def short(label: str, most: int = MOST_LETTERS) -> str:
    """A name that fits beside a chart, in one line."""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in label).split())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def _draw_series(axes: Axes, series: Series, place: int) -> None:
    colour, line = LIGHT[SERIES[place % len(SERIES)]], _LINES[place % len(_LINES)]
    if series.style == "area":
        axes.stairs(series.y, series.x, fill=True, color=colour, alpha=0.18, linewidth=0)
        axes.stairs(series.y, series.x, color=colour, linewidth=1.8, linestyle=line, label=series.name)
        return
    marker = None if series.style == "line" else _MARKERS[place % len(_MARKERS)]
    shown_line = "none" if series.style == "points" else line
    if series.low is not None and series.high is not None:
        axes.vlines(series.x, series.low, series.high, color=colour, linewidth=1.6)
    axes.plot(series.x, series.y, color=colour, linestyle=shown_line, marker=marker, label=series.name)


def new_figure(height: float) -> tuple[Figure, Axes]:
    """Empty axes on a figure of the width of all charts, and a height in points."""
    figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
    return figure, figure.add_subplot()


def _height_of_rows(rows: int, room: float = 1.0) -> float:
    return 64.0 + 21.0 * room * max(rows, 3)


def _name_rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), [short(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)


def finish_axis(axes: Axes, which: Literal["x", "y"], axis: Axis) -> None:
    """Give one of the axes of a figure its label, ends, and the form of its numbers."""
    drawn = axes.xaxis if which == "x" else axes.yaxis
    drawn.set_label_text(axis.label)
    drawn.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    drawn.set_major_formatter(FuncFormatter(_as_percent if axis.form == "percent" else as_number))
    if axis.limits is not None:
        (axes.set_xlim if which == "x" else axes.set_ylim)(axis.limits)


def as_number(value: float, _: object = None) -> str:
    """A number as it stands beside an axis."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _as_percent(value: float, _: object) -> str:
    return f"{100 * value:.4g} %"


def _legend(figure: Figure, axes: Axes) -> None:
    """A legend below the axes, where it hides nothing."""
    handles, names = axes.get_legend_handles_labels()
    if not any(names):
        return
    names = [short(each, MOST_LETTERS_IN_LEGEND) for each in names]
    columns = max(1, min(len(names), int(WIDTH / (6.3 * max(map(len, names)) + 44))))
    figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=10.5)


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """The settings of all charts; figures are made and drawn within.

    Args:
        name: of the chart.
    """
    settings: Any = {**_SETTINGS, "svg.hashsalt": name}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # The browser has letters that the font which measures them lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def picture(name: str, title: str, alt: str, figure: Figure, data: Table | None) -> Picture:
    """The chart of a figure; the rest as `raydnn.report.page.Chart` has it."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing)
    return Picture(name, title, _in_page(buffer.getvalue(), name, title, alt), alt, data, figure)


def _in_page(svg: str, name: str, title: str, alt: str) -> str:
    """A file of Matplotlib as an element of a page: without a size or fonts of its own, and with ids of its own."""
    svg = svg[svg.index("<svg") :]
    # As the figure of the page is called.
    name = f"chart-{name}"
    view = re.search(r'viewBox="[^"]*"', svg)
    assert view is not None
    body = svg[svg.index(">") + 1 :]
    body = re.sub(r"<(metadata|style)\b.*?</\1>|<defs>\s*</defs>|<!--.*?-->", "", body, flags=re.DOTALL)
    # Within tags alone: what stands between them is the chart's text.
    body = re.sub(r"<[^>]*>", lambda tag: _tag_in_page(tag[0], name), body)
    head = f'<svg {view[0]} role="img" aria-labelledby="{name}-title {name}-desc">'
    words = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(alt)}</desc>'
    return f"{head}{words}{body.strip()}"


def _tag_in_page(tag: str, name: str) -> str:
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", tag).replace("xlink:href", "href")
    tag = re.sub(r"#[0-9a-f]{6}\b(?=[;\"])", lambda colour: _VARIABLES.get(colour[0], colour[0]), tag)
    # Coordinates to a hundredth of a point are as good, and half as long.
    return re.sub(r"(\d+\.\d{2})\d+", r"\1", tag)
