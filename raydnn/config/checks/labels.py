"""Whether labels are classes of the model, and how often each comes."""

from collections.abc import Iterator

from raydnn.config.checks.finding import Finding
from raydnn.config.document import Place
from raydnn.config.profile import ColumnProfile, Profile
from raydnn.config.run import Run
from raydnn.feature_column.soundness import percent

RARE = 0.01
"""A class with a smaller share of the rows is called rare."""
MOST_COUNTED = 1000
"""Classes of a model with more than these are not counted one by one."""

_LABEL: Place = ("data", "label")


def labels_are_classes(run: Run, profile: Profile) -> Iterator[Finding]:
    """Labels that are missing, of a wrong type, or no class of the model."""
    data = profile.columns.get(run.data.label)
    if data is None:
        return
    if data.missing:
        text = f"is missing in {data.missing:,} of {data.rows:,} rows; drop these rows from the data"
        yield Finding("error", _LABEL, text)
    if data.kind == "null":
        return
    if data.is_list or data.kind not in ("boolean", "integer", "float", "string"):
        yield Finding("error", _LABEL, f"holds {data.type}; give one number or word a row")
    elif run.model.label_vocabulary is not None:
        yield from _in_vocabulary(run.model.label_vocabulary, data)
    elif data.kind == "string":
        words = ", ".join(str(word) for word, _ in data.sketch.top(5))
        text = f"holds text ({words}); write model.label_vocabulary with the names of the classes"
        yield Finding("error", _LABEL, text)
    else:
        yield from _in_range(run.model.n_classes, data)


def _in_vocabulary(vocabulary: list[str], data: ColumnProfile) -> Iterator[Finding]:
    place: Place = ("model", "label_vocabulary")
    if data.kind != "string":
        text = f"is for labels of text, and the labels are {data.type}; leave it out, or make text of the labels"
        yield Finding("error", place, text)
        return
    unknown = [(word, count) for word, count in data.sketch.top(MOST_COUNTED) if word not in set(vocabulary)]
    if unknown:
        words = ", ".join(repr(word) for word, _ in unknown[:5])
        rows = sum(count for _, count in unknown)
        text = f"lacks {words}, the labels of {rows:,} rows; add them, or drop these rows from the data"
        yield Finding("error", place, text)


def _in_range(n_classes: int, data: ColumnProfile) -> Iterator[Finding]:
    if n_classes > 2 and data.kind != "integer":
        text = f"holds {data.type}; {n_classes} classes need whole numbers, so cast it in the data"
        yield Finding("error", _LABEL, text)
        return
    low, high = data.moments.min, data.moments.max
    if data.not_finite:
        yield Finding("error", _LABEL, f"is NaN or infinite in {data.not_finite:,} rows; drop them from the data")
    elif low < 0:
        yield Finding("error", _LABEL, f"goes down to {low:g}; number the classes from 0 in the data")
    elif high > n_classes - 1:
        text = f"goes up to {high:g}, and n_classes {n_classes} ends at {n_classes - 1}; set model.n_classes"
        yield Finding("error", _LABEL, text)


def classes_are_there(run: Run, profile: Profile) -> Iterator[Finding]:
    """A single class, classes without rows, and rare ones."""
    data = profile.columns.get(run.data.label)
    if data is None or not data.values or data.is_list or run.model.n_classes > MOST_COUNTED:
        return
    found = data.sketch.top(MOST_COUNTED)
    if len(found) == 1:
        text = f"is {found[0][0]!r} in all rows; there is nothing to learn, so bring rows of other classes"
        yield Finding("warning", _LABEL, text)
        return
    if any(value != int(value) for value, _ in found if isinstance(value, float)):
        return  # shares of the two classes, and no classes
    counted = {str(int(value)) if isinstance(value, float) else str(value): count for value, count in found}
    classes = run.model.label_vocabulary or [str(number) for number in range(run.model.n_classes)]
    absent = [name for name in classes if name not in counted]
    if absent:
        more = " ..." if len(absent) > 5 else ""
        text = f"is never {', '.join(absent[:5])}{more}; bring rows of these classes, or take them out of the model"
        yield Finding("warning", _LABEL, text)
    name, count = min(counted.items(), key=lambda each: each[1])
    if count < RARE * data.values:
        text = (
            f"is {name} in {percent(count / data.values)} of the rows ({count:,}); accuracy says little here: look at "
            "auc_precision_recall, and give such rows more weight with data.weight if they matter more"
        )
        yield Finding("warning", _LABEL, text)
