"""Charts of many things of which one is the best: each line has the colour of the fifth that its thing belongs to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from raydnn.report.drawing import (
    HEIGHT,
    MOST_LETTERS_IN_LEGEND,
    Axis,
    Numbers,
    Picture,
    as_number,
    drawing,
    finish_axis,
    new_figure,
    picture,
    short,
)
from raydnn.report.page import Table
from raydnn.report.palette import LIGHT, SCALE

MOST_LABELS = 12
"""Of the categories of an axis; of more of them only some are named."""
_BEST, _REFERENCE, _UNRANKED = LIGHT["series-2"], LIGHT["ink"], LIGHT["rule"]
_ROW = 66.0
_MISSING = -0.07
_SHARE_OF_LETTER = 0.0185
"""Of the width of an axis that a letter of its labels takes."""


@dataclass(frozen=True)
class Ranked:
    """One of the things that are drawn.

    Attributes:
        name: in the legend, for the best one and the reference.
        place: from 0 for the worst to 1 for the best; None where it was not compared.
        is_best: whether it stands out as the best.
        is_reference: whether others are held against it.
    """

    name: str
    place: float | None
    is_best: bool = False
    is_reference: bool = False

    @property
    def style(self) -> dict[str, Any]:
        """How its line is drawn."""
        if self.is_best:
            return {"color": _BEST, "linewidth": 3.0, "zorder": 4}
        if self.is_reference:
            return {"color": _REFERENCE, "linewidth": 2.2, "linestyle": (0, (4, 2)), "zorder": 3}
        if self.place is None:
            return {"color": _UNRANKED, "linewidth": 1.2, "zorder": 1.5}
        colour = LIGHT[SCALE[min(int(self.place * len(SCALE)), len(SCALE) - 1)]]
        return {"color": colour, "linewidth": 1.5, "zorder": 2 + self.place / 2}


@dataclass(frozen=True)
class ParallelAxis:
    """One of several parallel axes.

    Attributes:
        name: of what it measures.
        values: one for each thing [n]; of categories their places; None where a thing has none.
        categories: names of the places; none where values are numbers.
        is_log: whether numbers stand by their logarithms.
    """

    name: str
    values: Sequence[float | None]
    categories: tuple[str, ...] = ()
    is_log: bool = False


def curves_chart(
    name: str,
    title: str,
    alt: str,
    things: Sequence[Ranked],
    curves: Sequence[tuple[Numbers, Numbers]],
    x_axis: Axis,
    y_axis: Axis,
    data: Table | None = None,
) -> Picture:
    """A line for each thing over two axes.

    Args:
        name, title, alt, data: see `raydnn.report.page.Chart`.
        things: what the lines belong to [n].
        curves: x and y of their points [n].
        x_axis, y_axis: the axes.
    """
    with drawing(name):
        figure, axes = new_figure(HEIGHT)
        for thing, (x, y) in zip(things, curves, strict=True):
            # Where an evaluation stands alone, only its point can be seen.
            axes.plot(x, y, marker="o", markersize=5 if thing.is_best or len(x) == 1 else 3, **thing.style)
        finish_axis(axes, "x", x_axis)
        finish_axis(axes, "y", y_axis)
        _legend(figure, things)
        return picture(name, title, alt, figure, data)


def parallel_chart(
    name: str, title: str, alt: str, things: Sequence[Ranked], axes: Sequence[ParallelAxis], data: Table | None = None
) -> Picture:
    """Parallel coordinates, with an axis in each row, so that any number of them fits any screen.

    Args:
        name, title, alt, data: see `raydnn.report.page.Chart`.
        things: what the lines belong to [n]; a thing goes to the left end of an axis where it has no value.
        axes: from top to bottom.
    """
    with drawing(name):
        figure, drawn = new_figure(_ROW * len(axes) + 60.0)
        rows = list(range(len(axes)))
        shares = [_draw_axis(drawn, row, axis) for row, axis in enumerate(axes)]
        for place, thing in enumerate(things):
            drawn.plot([each[place] for each in shares], rows, marker="o", markersize=3, **thing.style)
        drawn.set(xlim=(_MISSING - 0.03, 1.03), ylim=(len(axes) - 0.55, -0.5))
        drawn.set_axis_off()
        _legend(figure, things)
        return picture(name, title, alt, figure, data)


def _draw_axis(axes: Axes, row: int, axis: ParallelAxis) -> list[float]:
    """Draw one axis, and give the place of each value on it."""
    present = [value for value in axis.values if value is not None]
    ticks, low, high = _ticks(axis, present)

    def share(value: float) -> float:
        scaled = [math.log(each) if axis.is_log else each for each in (value, low, high)]
        return 0.5 if low == high else (scaled[0] - scaled[1]) / (scaled[2] - scaled[1])

    axes.plot([0, 1], [row, row], color=LIGHT["rule"], linewidth=1.4, zorder=1)
    # Lines pass behind what is written.
    written: Any = {"zorder": 6, "bbox": {"facecolor": LIGHT["paper"], "edgecolor": "none", "alpha": 0.85, "pad": 0.8}}
    axes.text(_MISSING, row - 0.13, short(axis.name, 60), fontsize=10.5, va="bottom", color=LIGHT["ink"], **written)
    marks = [(share(value), label) for value, label in ticks]
    if len(present) < len(axis.values):
        marks.append((_MISSING, "\N{EN DASH}"))
    for place, label in marks:
        axes.plot([place, place], [row - 0.06, row + 0.06], color=LIGHT["rule"], linewidth=1.4, zorder=1)
        axes.text(place, row + 0.1, label, fontsize=9.5, va="top", ha="center", color=LIGHT["muted"], **written)
    return [_MISSING if value is None else share(value) for value in axis.values]


def _ticks(axis: ParallelAxis, present: Sequence[float]) -> tuple[list[tuple[float, str]], float, float]:
    """Places and labels of an axis, and its ends."""
    if axis.categories:
        every = math.ceil(len(axis.categories) / MOST_LABELS)
        shown = list(enumerate(axis.categories))[::every]
        letters = max(3, int(0.95 / max(1, len(shown)) / _SHARE_OF_LETTER))
        return [(place, short(label, letters)) for place, label in shown], 0, len(axis.categories) - 1
    low, high = min(present, default=0.0), max(present, default=0.0)
    if low == high:
        return [(low, as_number(low))], low, high
    if axis.is_log:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        factors = (1, 2, 5) if len(decades) < 4 else (1,)
        values = [factor * 10.0**decade for decade in decades for factor in factors]
    else:
        steps = [1, 2, 5, 10] if (is_whole := all(value == round(value) for value in present)) else [1, 2, 2.5, 5, 10]
        locator = MaxNLocator(5, steps=steps, integer=is_whole)
        values = [float(each) for each in locator.tick_values(low, high)]
    inside = [value for value in values if low <= value <= high]
    # Too few to read the ends by.
    if len(inside) < 2:
        inside = [low, high]
    return [(value, as_number(value)) for value in inside], low, high


def _legend(figure: Figure, things: Sequence[Ranked]) -> None:
    """A legend of the colours that were used."""
    entries = [(thing.name, thing.style) for thing in things if thing.is_best or thing.is_reference]
    if any(thing.place is not None and not thing.is_best and not thing.is_reference for thing in things):
        for name, place in (("best fifth", 1.0), ("middle fifth", 0.5), ("worst fifth", 0.0)):
            entries.append((name, Ranked(name, place).style))
    if any(thing.place is None and not thing.is_reference for thing in things):
        entries.append(("not compared", Ranked("", None).style))
    handles = [Line2D([], [], **{**style, "zorder": 1}) for _, style in entries]
    names = [short(name, MOST_LETTERS_IN_LEGEND) for name, _ in entries]
    if names:
        figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=10.5)
