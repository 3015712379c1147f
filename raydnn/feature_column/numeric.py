"""Numeric columns: numbers that enter the network as they are, or normalised."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raydnn import errors
from raydnn.feature_column.columns import ValueColumn, check_key
from raydnn.feature_column.dtypes import dtype_name, is_floating, is_integer
from raydnn.feature_column.parse_spec import FeatureSpec, FixedLenFeature
from raydnn.feature_column.raw_features import RawFeatures, flatten

Normalizer = Callable[[NDArray[Any]], Any]


@dataclass(frozen=True)
class NumericColumn(ValueColumn):
    """A column of numbers; made by `numeric_column`, which documents the attributes."""

    key: str
    shape: tuple[int, ...]
    default_value: tuple[float, ...] | None
    dtype: str
    normalizer_fn: Normalizer | None

    @property
    def name(self) -> str:
        return self.key

    @property
    def feature_keys(self) -> tuple[str, ...]:
        return (self.key,)

    @property
    def variable_shape(self) -> tuple[int, ...]:
        return self.shape

    @property
    def parse_example_spec(self) -> dict[str, FeatureSpec]:
        return {self.key: FixedLenFeature(self.shape, self.dtype, self.default_value)}

    def encode_dense(self, features: RawFeatures) -> NDArray[np.float32]:
        raw = self._read(features)
        # A function of the user's need not know what to do without rows.
        if self.normalizer_fn is not None and features.num_rows:
            raw = np.asarray(self.normalizer_fn(raw))
        rows = features.num_rows
        if raw.size != rows * self.width:
            raise ValueError(
                f"column '{self.name}': normalizer_fn gave shape {raw.shape}; "
                f"{rows} rows of shape {self.shape} are expected"
            )
        return np.ascontiguousarray(raw, np.float32).reshape(rows, self.width)

    def _read(self, features: RawFeatures) -> NDArray[Any]:
        """The raw values with their own dtype, [rows, *shape]."""
        array = features.array(self.key)
        dtype = features.dtype(self.key)
        if pa.types.is_null(array.type):  # Arrow cannot tell the dtype where every value is missing
            array, dtype = array.cast(pa.float32()), "float32"
        if not (is_integer(dtype) or is_floating(dtype) or dtype == "bool"):
            raise ValueError(
                f"column '{self.name}' is declared numeric but its feature holds {array.type}"
                f"{_first_value(array)}; declare it categorical, or convert it to numbers in the input_fn"
            )
        if features.is_sparse_tensor(self.key):
            raise ValueError(f"column '{self.name}' is numeric and cannot read a SparseTensor; give a dense array")
        flat = flatten(array)
        if flat.offsets is None:
            widths: NDArray[Any] = np.ones(features.num_rows, np.int64)
        else:
            widths = np.diff(flat.offsets)
        if (widths != self.width).any():
            row = int(np.argmax(widths != self.width))
            raise errors.InvalidArgumentError(
                f"column '{self.name}' is declared with shape {self.shape} ({self.width} values a row) but "
                f"row {row} of its feature has {widths[row]}; declare shape=({widths[row]},), or mend the data"
            )
        values = flat.values.dictionary_decode() if pa.types.is_dictionary(flat.values.type) else flat.values
        if dtype == "bool":
            values = values.cast(pa.uint8())
        values = self._fill_nulls(values)
        return values.to_numpy(zero_copy_only=False).reshape(features.num_rows, *self.shape)

    def _fill_nulls(self, values: pa.Array) -> pa.Array:
        if not values.null_count:
            return values
        if self.default_value is None:
            row = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False))) // self.width
            raise ValueError(
                f"column '{self.name}' has {values.null_count} missing values, the first in row {row}; fill "
                "them in the input_fn, or declare default_value"
            )
        if any(value != int(value) for value in self.default_value if np.isfinite(value)):
            values = values.cast(pa.float64())
        defaults = np.asarray(self.default_value, values.type.to_pandas_dtype())
        repeated = pa.array(np.tile(defaults, len(values) // self.width), values.type)
        return pc.if_else(values.is_valid(), values, repeated)


def numeric_column(
    key: str,
    shape: int | Iterable[int] = (1,),
    default_value: Any = None,
    dtype: Any = "float32",
    normalizer_fn: Normalizer | None = None,
) -> NumericColumn:
    """A column of numbers.

    Args:
        key: name of the feature, and of the column.
        shape: of one row's values, sizes >= 1. A feature of [rows] or any shape with the same number of values
            a row is accepted.
        default_value: what stands for a missing value (an Arrow null, or absence in a tf.Example): one number,
            or as many as `shape` holds. None makes a missing value an error.
        dtype: of the feature in a tf.Example; integer or floating.
        normalizer_fn: applied to the raw NumPy array [rows, *shape], which still has the feature's own dtype;
            the result is cast to float32. To export the model, take one of
            `raydnn.feature_column.normalizers` or register your own there.

    Raises:
        ValueError: a bad key, shape, dtype, or default_value.
        TypeError: shape, default_value or normalizer_fn is of a wrong type.
    """
    check_key(key)
    checked_shape = _check_shape(shape, key)
    name = dtype_name(dtype)
    if not (is_integer(name) or is_floating(name)):
        raise ValueError(f"column '{key}': dtype must be an integer or floating type; got {dtype!r}")
    if normalizer_fn is not None and not callable(normalizer_fn):
        raise TypeError(f"column '{key}': normalizer_fn must be callable; got {normalizer_fn!r}")
    default = _check_default(default_value, checked_shape, name, key)
    return NumericColumn(key, checked_shape, default, name, normalizer_fn)


def _check_shape(shape: int | Iterable[int], key: str) -> tuple[int, ...]:
    sizes = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int | np.integer):
            raise TypeError(f"column '{key}': shape must hold ints; got {size!r}")
        if size < 1:
            raise ValueError(f"column '{key}': shape must hold sizes of 1 or more; got {size}")
    return tuple(int(size) for size in sizes)


def _check_default(default: Any, shape: tuple[int, ...], dtype: str, key: str) -> tuple[float, ...] | None:
    """A default value flattened and repeated to the number of values in `shape`."""
    if default is None:
        return None
    is_scalar = isinstance(default, int | float | np.number)
    if not is_scalar and not isinstance(default, list | tuple | np.ndarray):
        raise TypeError(f"column '{key}': default_value must be a number or an array; got {default!r}")
    values = np.asarray(default)
    if values.dtype.kind not in "biuf" or (values.dtype.kind == "f" and not is_floating(dtype)):
        raise TypeError(f"column '{key}': default_value {default!r} is not compatible with dtype {dtype}")
    if not is_scalar and values.shape != shape:
        raise ValueError(f"column '{key}': default_value has shape {values.shape}, the column has shape {shape}")
    flat = values.ravel().tolist()
    return tuple(flat * prod(shape) if is_scalar else flat)


def _first_value(array: pa.Array) -> str:
    """A sample of the data for an error message."""
    valid = array.drop_null()
    return f", for example {valid[0].as_py()!r}" if len(valid) else ""
