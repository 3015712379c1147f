"""What all charts are made with: SVG that stands in a page and follows its colours, and the same as PNG.

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
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from raydnn.report.page import Chart, Table
from raydnn.report.palette import LIGHT

Numbers = Sequence[float] | NDArray[Any]
Form = Literal["number", "percent"]

WIDTH, HEIGHT = 440.0, 300.0
"""Of a chart, in points of 1/72 inch. Text is large enough to be read where a telephone shows it."""
PNG_DPI = 160
MOST_LETTERS, MOST_LETTERS_IN_LEGEND = 26, 48
"""Of the name of a row, and of a series; longer ones are cut."""

_VARIABLES = {colour: f"var(--{key})" for key, colour in LIGHT.items()}
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


def new_figure(height: float) -> tuple[Figure, Axes]:
    """Empty axes on a figure of the width of all charts, and a height in points."""
    figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
    return figure, figure.add_subplot()


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


def short(label: str, most: int = MOST_LETTERS) -> str:
    """A name that fits beside a chart, in one line."""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in label).split())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


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
