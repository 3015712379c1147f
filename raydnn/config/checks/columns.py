"""Whether the columns that a run names are there, and of a type that its features read."""

from collections.abc import Iterator
from math import prod

from raydnn.config.checks.finding import Finding, Use, column_of, uses
from raydnn.config.document import Place
from raydnn.config.features import Buckets, Cross, Hash, Identity, Numeric, Vocabulary
from raydnn.config.messages import nearest
from raydnn.config.profile import ColumnProfile, Profile
from raydnn.config.run import Run
from raydnn.feature_column.dtypes import dtype_name


def missing_columns(run: Run, profile: Profile) -> Iterator[Finding]:
    """Columns that the data does not have."""
    for place, column in _named(run):
        if column not in profile.columns:
            yield Finding("error", place, f"the data has no column '{column}'; {nearest(column, profile.columns)}")


def _named(run: Run) -> Iterator[tuple[Place, str]]:
    yield ("data", "label"), run.data.label
    if run.data.weight is not None:
        yield ("data", "weight"), run.data.weight
    for name, feature in run.features.items():
        if isinstance(feature, Cross):
            for number, part in enumerate(feature.cross):
                if part not in run.features:
                    yield ("features", name, "cross", number), part
        else:
            yield ("features", name), column_of(name, feature)
        weights = getattr(feature, "weights", None)
        if weights is not None:
            yield ("features", name, "weights"), weights


def wrong_types(run: Run, profile: Profile) -> Iterator[Finding]:
    """Columns of a type that their features do not read."""
    for use in uses(run, profile):
        problem = _of_feature(use)
        if problem:
            yield Finding("error", use.place, f"the column '{use.column}' {problem}")
        weights = getattr(use.feature, "weights", None)
        if weights is not None and weights in profile.columns:
            yield from _of_weights(use, profile.columns[weights])
    weight = run.data.weight
    if weight is not None and weight in profile.columns:
        data = profile.columns[weight]
        if data.kind not in ("boolean", "integer", "float") or data.is_list:
            text = f"the column '{weight}' holds {data.type}; a weight is one number a row"
            yield Finding("error", ("data", "weight"), text)


def _of_feature(use: Use) -> str | None:
    data = use.data
    if data.kind == "null":
        return None
    if data.kind == "mixed":
        return f"is of several types, {data.type}; make it one in the data"
    if data.kind in ("time", "other"):
        return f"holds {data.type}, which no feature reads; make numbers or text of it in the data"
    if data.has_null_arrays:
        return f"has {data.missing:,} null rows among arrays of a fixed size; fill them, or write lists, in the data"
    if isinstance(use.feature, Numeric | Buckets):
        return _of_number(use.feature, data)
    return _of_words(use.feature, data)


def _of_number(feature: Numeric | Buckets, data: ColumnProfile) -> str | None:
    if data.kind == "string":
        return f"holds {data.type}, no numbers; declare hash or vocabulary, or make numbers of it in the data"
    shape = feature.shape if isinstance(feature.shape, list) else [feature.shape or 1]
    width = prod(shape)
    if not data.is_list:
        return None if width == 1 else f"has one number a row; the shape asks for {width}"
    low, high = (0 if data.missing else data.lengths.min), data.lengths.max
    if (low, high) == (width, width):
        return None
    if low == high:
        return f"has {low:.0f} numbers a row; write shape: {low:.0f}"
    return f"has {low:.0f} to {high:.0f} numbers a row, and a number has a shape; fill or cut the rows in the data"


def _of_words(feature: Hash | Vocabulary | Identity, data: ColumnProfile) -> str | None:
    is_text = _reads_text(feature)
    if (data.kind == "string") if is_text else (data.kind == "integer"):
        return None
    if data.kind == "string":
        way_out = "numbers in the data, or declare hash or vocabulary of text"
        return f"holds text, and the feature reads whole numbers; make it {way_out}"
    if data.kind == "integer":
        return f"holds whole numbers, and the feature reads text; write dtype: {data.dtypes[0]}"
    return f"holds {data.type}, no words or ids; declare buckets or a number, or make whole numbers of it in the data"


def _reads_text(feature: Hash | Vocabulary | Identity) -> bool:
    if isinstance(feature, Identity):
        return False
    if feature.dtype is None and isinstance(feature, Vocabulary) and not isinstance(feature.vocabulary, str):
        return isinstance(feature.vocabulary[0], str)
    return feature.dtype is None or dtype_name(feature.dtype) == "string"


def _of_weights(use: Use, data: ColumnProfile) -> Iterator[Finding]:
    wanted = dtype_name(use.feature.weights_dtype)
    if data.kind not in ("integer", "float") or data.dtypes != (wanted,):
        found = " and ".join(data.dtypes) or data.type
        text = f"the column '{use.feature.weights}' holds {found}; write weights_dtype: {found}, or cast it in the data"
        yield Finding("error", (*use.place, "weights"), text)
    elif data.is_list != use.data.is_list or data.lengths.mean != use.data.lengths.mean:
        text = f"the column '{use.feature.weights}' has another number of values than '{use.column}'; each needs one"
        yield Finding("error", (*use.place, "weights"), text)
