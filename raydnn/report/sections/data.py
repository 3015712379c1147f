"""The sections about rows: what is in them, what became of them, and how those of training and evaluation differ."""

from collections.abc import Iterator
from math import nan

from raydnn.config.profile import ColumnProfile, Profile
from raydnn.report.charts import bar_chart
from raydnn.report.differences import Difference, differences
from raydnn.report.drawing import Axis
from raydnn.report.material import Material
from raydnn.report.page import Cell, Note, Part, Section, Table
from raydnn.report.text import NOTHING, number, percent
from raydnn.train.ledger import LedgerEntry, sums_of_epochs

MOST_CLASSES = 50
MOST_COLUMNS = 300
MOST_BARS = 20
MOST_WORKERS = 32


def data_summary(material: Material) -> Section:
    """Rows, classes and columns."""
    both = [("training", material.train)]
    if material.evaluation is not None:
        both.append(("evaluation", material.evaluation))
    intro = " and ".join(f"{profile.rows:,} rows of {name}" for name, profile in both)
    intro += f"; the label is {material.run.data.label}."
    parts = [*_classes(material, both), _columns(material)]
    return Section("data", "Data", intro, parts)


def row_ledger(material: Material) -> Section:
    """What became of the rows in each epoch."""
    intro = "Which rows each epoch has read, left out and learned from. A call is one start of training."
    entries = sums_of_epochs(material.ledger)
    if not entries:
        absent = Note("There is no ledger in model_dir: the model was trained without one.")
        return Section("ledger", "Row ledger", intro, [absent])
    reasons = list(dict.fromkeys(reason for entry in entries for reason in entry.dropped))
    is_weighted = any(entry.weight is not None for entry in entries)
    workers = max(len(entry.workers) for entry in entries)
    heads = [
        "Call from step",
        "Epoch",
        "From step",
        "To step",
        "Rows read",
        *(f"Dropped: {reason}" for reason in reasons),
        "Rows learned",
    ]
    heads += ["Sum of weights", "Rows of weight 0"] if is_weighted else []
    heads += [f"Worker {rank}" for rank in range(workers)] if 1 < workers <= MOST_WORKERS else []
    rows = [_ledger_row(entry, reasons, is_weighted, workers) for entry in entries]
    note = "Workers: how many of the learned rows each saw." if 1 < workers <= MOST_WORKERS else ""
    return Section("ledger", "Row ledger", intro, [Table("Rows by epoch", heads, rows, note)])


def train_against_eval(material: Material) -> Section:
    """How the rows to evaluate on differ from those of training."""
    intro = (
        "How the columns of the rows to evaluate on differ from those of training. A model does worse where they "
        "differ much, and a large difference in an unexpected column is often a fault in the data."
    )
    title = "Training against evaluation"
    if material.evaluation is None:
        return Section("differences", title, intro, [Note("The run has no data.eval to compare with.")])
    found = differences(material.train, material.evaluation)
    rows = [_difference_row(each) for each in found]
    heads = ("Column", "Distance", "Missing in training", "Missing in evaluation", "Unseen values", "Shift of the mean")
    note = (
        "Distance: the total variation distance, from 0 (alike) to 1 (nothing in common), of ten ranges of numbers or "
        "the fifty most frequent words of training and the rest. Unseen: the share of the evaluation's values that "
        "training does not have. Shift: in standard deviations of training."
    )
    table = Table("All columns, those that differ most first", heads, rows, note)
    largest = found[:MOST_BARS]
    parts: list[Part] = [table]
    if largest:
        chart = bar_chart(
            "differences",
            "Distance between training and evaluation",
            f"Bars of the total variation distance of {len(largest)} columns; the largest is {largest[0].column} with "
            f"{number(largest[0].distance)}.",
            [each.column for each in largest],
            [each.distance for each in largest],
            Axis("Total variation distance"),
            data=table,
        )
        parts = [chart]
    only = [name for name in material.train.columns if name not in material.evaluation.columns]
    only += [name for name in material.evaluation.columns if name not in material.train.columns]
    if only:
        parts.append(Note(f"Only one of both has the columns {', '.join(only)}."))
    return Section("differences", title, intro, parts)


def _classes(material: Material, both: list[tuple[str, Profile]]) -> Iterator[Table]:
    label = material.run.data.label
    classes = material.scored.classes
    counted = []
    for _, profile in both:
        column = profile.columns.get(label, ColumnProfile())
        found = column.sketch.top(len(classes) + MOST_CLASSES)
        counts = {
            str(int(value)) if isinstance(value, float) and value.is_integer() else str(value): count
            for value, count in found
        }
        if not set(counts) <= set(classes):
            return  # labels between the classes, of which there is no number
        counted.append((counts, column.values))
    rows: list[list[Cell]] = []
    for name in classes[:MOST_CLASSES]:
        row: list[Cell] = [name]
        for counts, total in counted:
            row += [counts.get(name, 0), percent(counts.get(name, 0) / total if total else nan)]
        rows.append(row)
    heads = ["Class"]
    for name, _ in both:
        heads += [f"Rows of {name}", "Share"]
    note = f"The first {MOST_CLASSES} of {len(classes):,} classes." if len(classes) > MOST_CLASSES else ""
    yield Table("Classes", heads, rows, note)


def _columns(material: Material) -> Table:
    evaluation = material.evaluation
    used = {name for each in material.importances for name in each.columns}
    names = sorted(material.train.columns, key=lambda name: name not in used)
    heads = [
        "Column",
        "Type",
        "In the model",
        "Missing",
        "Different values",
        "Mean",
        "Std. deviation",
        "Smallest",
        "Largest",
        "Most frequent",
    ]
    if evaluation is not None:
        heads.insert(4, "Missing in evaluation")
        heads.insert(5, "Unseen in evaluation")
    rows = []
    for name in names[:MOST_COLUMNS]:
        column = material.train.columns[name]
        row: list[Cell] = [name, column.type, "yes" if name in used else "no", _missing(column), _distinct(column)]
        if evaluation is not None:
            other = evaluation.columns.get(name)
            unseen = None if other is None else other.sketch.unseen(column.sketch)
            row[4:4] = [
                NOTHING if other is None else _missing(other),
                NOTHING if unseen is None or column.kind == "float" else percent(unseen[1]),
            ]
        rows.append([*row, *_values(column)])
    note = "Different values beyond 4,096 are estimated, with a standard error of 1.6 %."
    if len(names) > MOST_COLUMNS:
        note += f" The first {MOST_COLUMNS} of {len(names):,} columns."
    return Table("Columns of the training rows", heads, rows, note)


def _values(column: ColumnProfile) -> list[Cell]:
    moments, is_number = column.moments, column.kind in ("integer", "float", "boolean")
    numbers: list[Cell] = [None] * 4
    if is_number and moments.count:
        numbers = [
            moments.mean,
            moments.std,
            *(number(int(end)) if column.kind == "integer" else end for end in (moments.min, moments.max)),
        ]
    top = (
        column.sketch.top(3)
        if column.kind in ("string", "integer", "boolean") and column.distinct < column.values
        else []
    )
    return [
        *numbers,
        ", ".join(
            f"{str(word)[:24]!r} {percent(count / column.values)}"
            if isinstance(word, str)
            else f"{word} {percent(count / column.values)}"
            for word, count in top
        )
        or NOTHING,
    ]


def _missing(column: ColumnProfile) -> str:
    return percent(column.missing / column.rows) if column.rows else NOTHING


def _distinct(column: ColumnProfile) -> str:
    return f"{column.distinct:,}" if column.values else NOTHING


def _ledger_row(entry: LedgerEntry, reasons: list[str], is_weighted: bool, workers: int) -> list[Cell]:
    row: list[Cell] = [entry.call_start_step, entry.epoch + 1, entry.first_step, entry.last_step, entry.read]
    row += [entry.dropped.get(reason, 0) for reason in reasons]
    row.append(entry.rows)
    if is_weighted:
        row += [entry.weight, entry.zero_weight_rows]
    if 1 < workers <= MOST_WORKERS:
        row += [entry.workers[rank] if rank < len(entry.workers) else None for rank in range(workers)]
    return row


def _difference_row(each: Difference) -> tuple[Cell, ...]:
    return (
        each.column,
        each.distance,
        percent(each.missing_train),
        percent(each.missing_eval),
        percent(each.unseen),
        each.shift,
    )
