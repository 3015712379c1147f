"""Charts of lines, bars, dots and cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from raydnn.report.drawing import (
    HEIGHT,
    MOST_LETTERS_IN_LEGEND,
    WIDTH,
    Axis,
    Numbers,
    Picture,
    drawing,
    finish_axis,
    new_figure,
    picture,
    short,
)
from raydnn.report.page import Table
from raydnn.report.palette import LIGHT, SERIES

_LINES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (1, 2.5)), (0, (10, 3)))
_MARKERS = "osD^vP"


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


def _height_of_rows(rows: int, room: float = 1.0) -> float:
    return 64.0 + 21.0 * room * max(rows, 3)


def _name_rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), [short(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)


def _legend(figure: Figure, axes: Axes) -> None:
    """A legend below the axes, where it hides nothing."""
    handles, names = axes.get_legend_handles_labels()
    if not any(names):
        return
    names = [short(each, MOST_LETTERS_IN_LEGEND) for each in names]
    columns = max(1, min(len(names), int(WIDTH / (6.3 * max(map(len, names)) + 44))))
    figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=10.5)
