"""What is in the columns of some rows, found in one pass; profiles of parts merge to that of the whole.

Counts and extremes are exact; means and deviations up to rounding; for the different values of a column see
`raydnn.config.sketch`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raydnn.config.moments import Moments
from raydnn.config.sketch import Sketch
from raydnn.feature_column.dtypes import arrow_dtype_name, is_floating, is_integer, is_list

Kind = Literal["boolean", "integer", "float", "string", "time", "null", "mixed", "other"]
"""What values are. null: all are missing; mixed: numbers here and text there; other: no feature reads it."""


@dataclass(frozen=True, order=True)
class Layout:
    """How a column is stored in some rows.

    Attributes:
        type: its Arrow type, as text.
        dtype: of its values, as `raydnn.feature_column` names it; empty where it has no name.
        kind: of its values.
        is_list: whether a row holds several values.
    """

    type: str
    dtype: str
    kind: Kind
    is_list: bool

    @classmethod
    def of(cls, arrow_type: pa.DataType) -> "Layout":
        """The layout of an Arrow column."""
        inner, has_many = arrow_type, is_list(arrow_type) or pa.types.is_fixed_size_list(arrow_type)
        if is_list(inner):
            inner = inner.value_type
        else:
            while pa.types.is_fixed_size_list(inner):
                inner = inner.value_type
        if pa.types.is_dictionary(inner):
            # How a reader keeps equal words is no matter of the data.
            arrow_type = inner = inner.value_type
        kind = _kind(inner)
        named = kind in ("boolean", "integer", "float", "string")
        return cls(str(arrow_type), arrow_dtype_name(inner) if named else "", kind, has_many)


@dataclass(frozen=True, eq=False)
class ColumnProfile:
    """What is in one column.

    Attributes:
        layouts: how it is stored; several where parts differ.
        rows: how many there are.
        missing: rows that are null.
        values: values that are not null, of all rows; of lists there may be any number in a row.
        missing_values: nulls in lists.
        zeros: values that are 0, or empty text.
        not_finite: values that are NaN or infinite.
        moments: of the finite numbers.
        log_moments: of log(1 + x), with negative numbers taken as 0.
        lengths: of the numbers of values in the rows of lists.
        sketch: of the different values, NaN and infinite ones left out.
        watched: values that are among those asked for; None if none were.
    """

    layouts: frozenset[Layout] = frozenset()
    rows: int = 0
    missing: int = 0
    values: int = 0
    missing_values: int = 0
    zeros: int = 0
    not_finite: int = 0
    moments: Moments = field(default_factory=Moments)
    log_moments: Moments = field(default_factory=Moments)
    lengths: Moments = field(default_factory=Moments)
    sketch: Sketch = field(default_factory=Sketch.empty)
    watched: int | None = None

    @property
    def kind(self) -> Kind:
        """What the values are; whole numbers here and others there are 'float'."""
        known = self._known
        kinds = {each.kind for each in known}
        if len({each.is_list for each in known}) > 1 or (len(kinds) > 1 and kinds != {"integer", "float"}):
            return "mixed"
        if not kinds:
            return "null"
        return "float" if len(kinds) > 1 else kinds.pop()

    @property
    def type(self) -> str:
        """Its Arrow type, or types, as text."""
        return " and ".join(sorted(each.type for each in self._known or self.layouts)) or "null"

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes of its values, sorted; one, unless parts differ."""
        return tuple(sorted({each.dtype for each in self._known}))

    @property
    def is_list(self) -> bool:
        """Whether rows hold several values."""
        return any(each.is_list for each in self.layouts)

    @property
    def has_null_arrays(self) -> bool:
        """Whether rows are null in arrays of a fixed size, which no feature reads."""
        return self.missing > 0 and any(each.type.startswith("fixed_size_list") for each in self.layouts)

    @property
    def distinct(self) -> int:
        """How many different values there are; see `raydnn.config.sketch` for the error beyond 4096."""
        return self.sketch.distinct

    @property
    def absent(self) -> int:
        """Rows without a value for a categorical feature: null, and empty text or -1 where a row has one value."""
        if self.is_list:
            return self.missing
        if self.kind == "string":
            return self.missing + self.zeros
        minus_one = dict(self.sketch.top(len(self.sketch.frequent) + len(self.sketch.sample))).get(-1, 0)
        return self.missing + (minus_one if self.kind == "integer" else 0)

    @property
    def _known(self) -> frozenset[Layout]:
        return frozenset(each for each in self.layouts if each.kind != "null")

    def merged(self, other: "ColumnProfile") -> "ColumnProfile":
        """The profile of the rows of both."""
        return ColumnProfile(
            self.layouts | other.layouts,
            self.rows + other.rows,
            self.missing + other.missing,
            self.values + other.values,
            self.missing_values + other.missing_values,
            self.zeros + other.zeros,
            self.not_finite + other.not_finite,
            self.moments.merged(other.moments),
            self.log_moments.merged(other.log_moments),
            self.lengths.merged(other.lengths),
            self.sketch.merged(other.sketch),
            None if self.watched is None and other.watched is None else (self.watched or 0) + (other.watched or 0),
        )


@dataclass(frozen=True, eq=False)
class Profile:
    """What is in some rows.

    Attributes:
        rows: how many there are.
        columns: name -> what is in the column, in the order of the data.
    """

    rows: int = 0
    columns: Mapping[str, ColumnProfile] = field(default_factory=dict)

    def merged(self, other: "Profile") -> "Profile":
        """The profile of the rows of both; where a part lacks a column, its values are missing."""
        if not self.columns or not other.columns:
            return self if self.columns else other
        columns = {
            name: self._column(name).merged(other._column(name))
            for name in dict.fromkeys([*self.columns, *other.columns])
        }
        return Profile(self.rows + other.rows, columns)

    def _column(self, name: str) -> ColumnProfile:
        return self.columns.get(name) or ColumnProfile(rows=self.rows, missing=self.rows)


def profile_rows(rows: pa.RecordBatch | pa.Table, watched: Mapping[str, pa.Array] | None = None) -> Profile:
    """The profile of rows in memory.

    Args:
        rows: with one column per name.
        watched: column -> values, of which it is to be told how many rows have one; for a vocabulary.
    """
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        words = (watched or {}).get(name)
        chunks = column.chunks or [pa.array([], column.type)]
        columns[name] = reduce(ColumnProfile.merged, [_profile_column(chunk, words) for chunk in chunks])
    return Profile(table.num_rows, columns)


def merge(profiles: Iterable[Profile]) -> Profile:
    """The profile of all parts together."""
    return reduce(Profile.merged, profiles, Profile())


def _kind(inner: pa.DataType) -> Kind:
    if is_list(inner) or pa.types.is_fixed_size_list(inner) or pa.types.is_interval(inner):
        return "other"
    if pa.types.is_temporal(inner):
        return "time"
    try:
        name = arrow_dtype_name(inner)
    except ValueError:
        return "other"
    if pa.types.is_null(inner):
        return "null"
    if name == "bool":
        return "boolean"
    if is_integer(name):
        return "integer"
    return "float" if is_floating(name) else "string"


def _profile_column(array: pa.Array, watched: pa.Array | None) -> ColumnProfile:
    layout = Layout.of(array.type)
    rows, missing = len(array), array.null_count
    lengths = Moments()
    if layout.is_list and layout.kind != "other":
        array, of_rows = _flattened(array)
        numbers, times = np.unique(of_rows, return_counts=True)
        lengths = Moments.of(numbers, times.astype(np.int64))
    base = ColumnProfile(
        frozenset([layout]),
        rows,
        missing,
        values=len(array) - array.null_count,
        missing_values=array.null_count if layout.is_list and layout.kind != "other" else 0,
        lengths=lengths,
    )
    if layout.kind in ("null", "other"):
        return base
    return _with_values(base, layout, array, watched)


def _flattened(array: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    """The values of a column of lists, and how many each row has, int64 [rows]; null rows have none."""
    counts: NDArray[np.int64] = np.ones(len(array), np.int64)
    while is_list(array.type) or pa.types.is_fixed_size_list(array.type):
        sizes = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        ends = np.concatenate([[0], np.cumsum(sizes)])
        starts = np.concatenate([[0], np.cumsum(counts)])
        counts = ends[starts[1:]] - ends[starts[:-1]]
        array = pc.list_flatten(array)
    return array, counts


def _with_values(base: ColumnProfile, layout: Layout, array: pa.Array, watched: pa.Array | None) -> ColumnProfile:
    """A column's profile with what its values tell."""
    if pa.types.is_string_view(array.type):
        array = array.cast(pa.large_string())
    elif pa.types.is_float16(array.type):
        array = array.cast(pa.float32())
    counted = pc.value_counts(array)
    values, times = counted.field(0), counted.field(1).to_numpy().astype(np.int64)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    present = values.is_valid()
    values, times = _plain(values.filter(present), layout.kind), times[present.to_numpy(zero_copy_only=False)]
    if layout.kind == "string":
        is_zero = pc.equal(pc.binary_length(values), 0).to_numpy(zero_copy_only=False)
        moments, log_moments, not_finite = Moments(), Moments(), 0
    else:
        numbers = values.to_numpy(zero_copy_only=False)
        is_finite = np.isfinite(numbers)
        not_finite = int(times[~is_finite].sum())
        numbers, times = numbers[is_finite], times[is_finite]
        values = values.filter(pa.array(is_finite))
        is_zero = numbers == 0
        moments = Moments.of(numbers, times)
        log_moments = Moments.of(np.log1p(np.maximum(numbers.astype(np.float64), 0)), times)
    return ColumnProfile(
        base.layouts,
        base.rows,
        base.missing,
        base.values,
        base.missing_values,
        int(times[is_zero].sum()),
        not_finite,
        moments,
        log_moments,
        base.lengths,
        Sketch.of(values, times),
        _among(values, times, watched),
    )


def _plain(values: pa.Array, kind: Kind) -> pa.Array:
    """Values as text, int64 or float64; equal ones that a narrower type kept apart stay apart."""
    if kind == "string":
        # Bytes that are no text are shown as hexadecimal digits.
        try:
            return values.cast(pa.large_string()).cast(pa.string())
        except pa.ArrowInvalid:
            return pa.array([each.hex() for each in values.cast(pa.large_binary()).to_pylist()], pa.string())
    if kind == "float":
        return values.cast(pa.float64())
    if pa.types.is_uint64(values.type) and pc.max(values).as_py() is not None and pc.max(values).as_py() >= 2**63:
        return values.cast(pa.float64(), safe=False)
    if kind == "time":
        is_short = pa.types.is_date32(values.type) or pa.types.is_time32(values.type)
        values = values.cast(pa.int32()) if is_short else values
    return values.cast(pa.int64(), safe=False)


def _among(values: pa.Array, times: NDArray[np.int64], watched: pa.Array | None) -> int | None:
    if watched is None:
        return None
    if pa.types.is_string(values.type) != pa.types.is_string(watched.type):
        return 0
    found = pc.is_in(values, value_set=watched.cast(values.type, safe=False))
    return int(times[found.to_numpy(zero_copy_only=False)].sum())
