"""A page of tables, charts and words in one HTML file that needs nothing but itself."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from raydnn.report.palette import DARK, LIGHT, variables
from raydnn.report.text import NOTHING, number

Cell = str | int | float | None
"""Text, or a number that the page formats; None is shown as a dash."""

MOST_COLUMNS_ON_PAPER = 12
"""Of a table that is printed; the style sheet leaves out the others."""

_FOLDER = Path(__file__).parent
_NUMBER = re.compile(r"(< )?[-+]?[\d.,]+(e[-+]\d+)?( (to|of) [-+]?[\d.,]+(e[-+]\d+)?)*( (%|bytes|[kMGT]B|s))?")


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Attributes:
        title: what is seen; the caption.
        columns: the heads.
        rows: with a cell for each head. The first one of a row names it.
        note: what a reader has to know, below the table.
    """

    kind: ClassVar[str] = "table"
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    @property
    def shown(self) -> list[list[str]]:
        """The cells as text."""
        return [[_shown(cell) for cell in row] for row in self.rows]

    @property
    def is_wide(self) -> bool:
        """Whether it has more columns than paper has room for."""
        return len(self.columns) > MOST_COLUMNS_ON_PAPER

    @property
    def is_number(self) -> list[bool]:
        """Of each column but the first, whether its cells are numbers, which stand on the right."""
        columns = [_are_numbers(cells) for cells in zip(*self.shown, strict=True)] or [False] * len(self.columns)
        return [False, *columns[1:]]


@dataclass(frozen=True)
class Chart:
    """A picture, and its numbers.

    Attributes:
        name: of the chart; no other on the page has it.
        title: what is seen.
        svg: the picture, to stand in the page.
        alt: what the picture shows, for those who do not see it.
        data: the numbers behind it.
    """

    kind: ClassVar[str] = "chart"
    name: str
    title: str
    svg: str
    alt: str
    data: Table | None = None

    @property
    def markup(self) -> Markup:
        """The picture, which is markup already."""
        return Markup(self.svg)


@dataclass(frozen=True)
class Note:
    """A paragraph; 'warning' and 'error' say so in words too."""

    kind: ClassVar[str] = "note"
    text: str
    level: Literal["info", "warning", "error"] = "info"


@dataclass(frozen=True)
class Fact:
    """One number that matters.

    Attributes:
        name: of the number.
        value: the number.
        note: what to hold it against.
    """

    name: str
    value: Cell
    note: str = ""

    @property
    def shown(self) -> str:
        """The value as text."""
        return _shown(self.value)


@dataclass(frozen=True)
class Facts:
    """The numbers that matter most, in large letters."""

    kind: ClassVar[str] = "facts"
    facts: Sequence[Fact]


@dataclass(frozen=True)
class Code:
    """Text that is shown as it is, behind its title."""

    kind: ClassVar[str] = "code"
    title: str
    text: str


Part = Table | Chart | Note | Facts | Code


@dataclass(frozen=True)
class Section:
    """A part of a page with a name in the table of contents.

    Attributes:
        id: in the address of the section.
        title: of the section.
        intro: what a reader sees here, and how to read it.
        parts: in their order; charts that follow each other stand side by side where there is room.
    """

    id: str
    title: str
    intro: str = ""
    parts: Sequence[Part] = field(default_factory=tuple)

    @property
    def groups(self) -> list[tuple[str, list[Part]]]:
        """Parts of one kind that follow each other."""
        return [(kind, list(parts)) for kind, parts in groupby(self.parts, key=lambda part: part.kind)]


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: of the page.
        subtitle: what it is about, in a line.
        sections: in their order.
    """

    title: str
    subtitle: str
    sections: Sequence[Section]

    @property
    def charts(self) -> list[Chart]:
        """All charts of the page."""
        return [part for section in self.sections for part in section.parts if isinstance(part, Chart)]

    def to_html(self) -> str:
        """The page as HTML: no script, and nothing that is not in it.

        Raises:
            ValueError: two charts have one name, or two sections one id.
        """
        for what, names in (("charts", [chart.name for chart in self.charts]), ("sections", list(self._ids()))):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two {what} of a page are called {', '.join(twice)}; give each its own name")
        template = _environment().get_template("page.html")
        css = (_FOLDER / "page.css").read_text(encoding="utf-8")
        return template.render(page=self, css=Markup(css), light=variables(LIGHT), dark=variables(DARK))

    def _ids(self) -> Iterator[str]:
        return (section.id for section in self.sections)


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _shown(cell: Any) -> str:
    return cell if isinstance(cell, str) else number(cell)


def _are_numbers(cells: Sequence[str]) -> bool:
    present = [cell for cell in cells if cell not in ("", NOTHING)]
    return bool(present) and all(_NUMBER.fullmatch(cell) for cell in present)
