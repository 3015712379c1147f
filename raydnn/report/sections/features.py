"""The sections about single columns and rows: slices, importance, and the rows that the model gets most wrong."""

from collections.abc import Sequence

import numpy as np

from raydnn.report.charts import Series, bar_chart, dot_chart
from raydnn.report.drawing import Axis
from raydnn.report.importance import REPEATS
from raydnn.report.material import Material
from raydnn.report.page import Cell, Chart, Note, Part, Section, Table
from raydnn.report.slices import Slice
from raydnn.report.text import NOTHING, percent, percent_span, slug, span

WORST_ROWS = 20
MOST_COLUMNS = 40
"""Of the table of rows."""
MOST_BARS = 30


def slices(material: Material) -> Section:
    """How the model does on the rows of each value of some columns."""
    is_binary = material.scored.is_binary
    seen = f"{material.second_class} holds" if is_binary else "predictions are right"
    intro = (
        f"How often {seen} on the rows of each value of a column, with intervals of 95 %, against the mean probability "
        "that the model gives. Where that lies outside of the interval, the model is wrong about the slice as a whole."
    )
    axis = Axis(f"Share of {material.second_class}" if is_binary else "Share of right predictions", "percent")
    parts: list[Part] = []
    for place, (column, found) in enumerate(material.slices.items()):
        parts.append(_slice_chart(f"slice-{place}-{slug(column)}".rstrip("-"), column, found, is_binary, axis))
    return Section(
        "slices", "Slices", intro, parts or [Note("No column has few values; choose some with --slices a,b.")]
    )


def importance(material: Material) -> Section:
    """How much worse the model gets without a column."""
    found = material.importances
    intro = (
        "How much the mean loss rises when the values of one column are dealt out to other rows: what the model gets "
        f"from the column. Means of {REPEATS} shuffles; whiskers are their standard deviation. Columns that tell the "
        "same can stand in for each other, and then each looks less important than both are."
    )
    shown = found[:MOST_BARS]
    title = "Rise of the mean loss without a column"
    data = Table(
        title,
        ("Column", "Rise of the loss", "Std. deviation"),
        [(each.name, each.increase, each.spread) for each in found],
    )
    chart = bar_chart(
        "importance",
        title,
        f"Bars of {len(shown)} columns; the most important are {', '.join(each.name for each in shown[:3])}.",
        [each.name for each in shown],
        [each.increase for each in shown],
        Axis("Rise of the mean loss"),
        [each.spread for each in shown],
        data,
    )
    return Section("importance", "Importance of columns", intro, [chart])


def worst_rows(material: Material) -> Section:
    """The rows with the largest loss."""
    scored, run = material.scored, material.run
    order = np.lexsort((np.arange(scored.rows), -scored.losses))
    worst = [int(place) for place in order if scored.weights[place] > 0][:WORST_ROWS]
    used = [name for each in material.importances for name in each.columns]
    others = [name for name in scored.table.column_names if name not in {*used, run.data.label, run.data.weight}]
    names = [*others, *used][:MOST_COLUMNS]
    rows = []
    for rank, row in enumerate(worst, 1):
        label = int(scored.members[row].argmax())
        row_cells: list[Cell] = [
            rank,
            float(scored.losses[row]),
            scored.label_of(row),
            percent(float(scored.probabilities[row, label])),
            scored.classes[int(scored.predicted[row])],
        ]
        rows.append([*row_cells, *(_shown(scored.table.column(name)[row].as_py()) for name in names)])
    heads = ("Rank", "Loss", "Label", "Its probability", "Predicted", *names)
    intro = "The rows with the largest loss: often wrong labels, broken values, or a kind of row that training lacks."
    left_out = len(others) + len(used) - len(names)
    note = f"{left_out:,} more columns are left out." if left_out else ""
    return Section("worst", "Worst rows", intro, [Table("Rows that the model gets most wrong", heads, rows, note)])


def _slice_chart(name: str, column: str, lines: Sequence[Slice], is_binary: bool, axis: Axis) -> Chart:
    what = "labels" if is_binary else "accuracy"
    series = [
        Series(
            f"{what}, 95 % interval",
            [each.share for each in lines],
            (),
            [each.low for each in lines],
            [each.high for each in lines],
        ),
        Series("mean probability", [each.predicted for each in lines]),
    ]
    ends = [min(lines, key=lambda each: each.share), max(lines, key=lambda each: each.share)]
    told = " to ".join(f"{percent(each.share)} ({each.name})" for each in ends)
    alt = f"Slices of {column}: the share goes from {told}."
    data = _slice_table(column, lines, is_binary)
    return dot_chart(name, f"By {column}", alt, [each.name for each in lines], series, axis, data)


def _slice_table(column: str, found: Sequence[Slice], is_binary: bool) -> Table:
    rows = [_slice_row(each, is_binary) for each in found]
    heads = [
        column,
        "Rows",
        "Share of rows",
        "Labels" if is_binary else "Accuracy",
        "95 % interval",
        "Mean probability",
    ]
    heads += ["AUC", "95 % interval of AUC"] if is_binary else []
    note = "Intervals: Wilson (1927) for shares"
    note += ", Hanley and McNeil (1982) for AUC." if is_binary else "."
    return Table(f"Slices of {column}", [*heads, "Mean loss"], rows, note)


def _slice_row(each: Slice, is_binary: bool) -> list[Cell]:
    row: list[Cell] = [
        each.name,
        each.rows,
        percent(each.weight),
        percent(each.share),
        percent_span(each.low, each.high),
    ]
    row.append(percent(each.predicted))
    if is_binary:
        row += [each.area, span(each.area_low, each.area_high)]
    return [*row, each.loss]


def _shown(value: object) -> Cell:
    """A value of the data; long texts are cut."""
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
