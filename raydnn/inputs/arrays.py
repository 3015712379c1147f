"""From the arrays that people hand over to Arrow columns."""

import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raydnn.feature_column.dtypes import is_list
from raydnn.feature_column.raw_features import SPARSE_MARK, missing_feature
from raydnn.inputs.sparse_tensor import SparseTensor


def features_to_arrow(features: Mapping[str, Any], keys: Collection[str] | None = None) -> pa.RecordBatch:
    """A dict of features as a record batch.

    Args:
        features: name -> [rows] or [rows, ...] NumPy, torch or Arrow array, pandas Series, list (of lists, then
            ragged), or SparseTensor.
        keys: which features are wanted; None is all.

    Raises:
        ValueError: not a dict, a wanted feature is missing, an array without rows, or different numbers of rows.
    """
    if not isinstance(features, Mapping):
        raise ValueError(
            f"features should be a dictionary of name -> array; got {type(features).__name__}. Wrap a single array: "
            "{'x': array}"
        )
    for key in keys or ():
        if key not in features:
            raise missing_feature(key, map(str, features))
    fields, arrays = [], []
    for name, value in features.items():
        if keys is not None and name not in keys:
            continue
        array = array_to_arrow(value, f"feature '{name}'")
        mark = SPARSE_MARK if isinstance(value, SparseTensor) else None
        fields.append(pa.field(str(name), array.type, metadata=mark))
        arrays.append(array)
    lengths = {field.name: len(array) for field, array in zip(fields, arrays, strict=True)}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"features have different numbers of rows: {lengths}")
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def array_to_arrow(value: Any, what: str) -> pa.Array:
    """One array as an Arrow array.

    Args:
        value: as `features_to_arrow` takes them.
        what: for messages, such as "feature 'age'".

    Returns:
        A plain array for [rows], nested fixed-size lists for [rows, ...], lists for ragged and sparse values.

    Raises:
        ValueError: it is a scalar, or Arrow cannot hold it.
    """
    if isinstance(value, pa.ChunkedArray):
        return value.combine_chunks() if value.num_chunks != 1 else value.chunk(0)
    if isinstance(value, pa.Array):
        return value
    if isinstance(value, SparseTensor):
        return value.to_arrow()
    try:
        if _is_torch(value):
            value = _torch_to_numpy(value)
        if isinstance(value, np.ndarray):
            return _numpy_to_arrow(value, what)
        if isinstance(value, list | tuple):
            return list_to_arrow(value)
        if hasattr(value, "to_numpy"):
            return _series_to_arrow(value)
        return _numpy_to_arrow(np.asarray(value), what)
    except (pa.ArrowException, TypeError) as error:
        raise ValueError(f"{what} cannot be read as a column: {error}") from error


def labels_to_arrow(labels: Any) -> pa.Array:
    """Labels as an Arrow array, [rows] or a fixed-size list of each row's; a dict of labels as a struct.

    Raises:
        ValueError: a SparseTensor, or what `array_to_arrow` refuses.
    """
    if isinstance(labels, Mapping):
        columns = [labels_to_arrow(value) for value in labels.values()]
        return pa.StructArray.from_arrays(columns, names=[str(name) for name in labels])
    if isinstance(labels, SparseTensor):
        raise ValueError("labels must be dense, [rows] or [rows, 1]; got a SparseTensor")
    if isinstance(labels, list | tuple) and len(labels) and np.ndim(labels[0]):
        labels = np.asarray(labels)
    return array_to_arrow(labels, "labels")


def list_to_arrow(values: Sequence[Any]) -> pa.Array:
    """A list, or a list of lists, as an Arrow array; Python's floats become float32, as in TensorFlow."""
    plain = [_torch_to_numpy(value) if _is_torch(value) else value for value in values]
    array = pa.array([value.tolist() if isinstance(value, np.ndarray | np.generic) else value for value in plain])
    is_python = not any(isinstance(value, np.ndarray | np.generic) for value in plain)
    if is_python and pa.types.is_float64(array.type):
        return array.cast(pa.float32())
    if is_python and is_list(array.type) and pa.types.is_float64(array.type.value_type):
        return array.cast(pa.list_(pa.float32()))
    return array


def _series_to_arrow(series: Any) -> pa.Array:
    """A pandas Series; NaN stays what it is in a column of floats, and is a missing value elsewhere."""
    if getattr(series.dtype, "kind", None) == "f" and isinstance(series.dtype, np.dtype):
        return pa.array(series.to_numpy())
    array = pa.Array.from_pandas(series)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _numpy_to_arrow(values: NDArray[Any], what: str) -> pa.Array:
    if values.ndim == 0:
        raise ValueError(f"{what} is a single value ({values!r}); give one value for each row")
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.dtype.kind in "iuf":
        flat = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    array = pa.array(flat if flat.dtype.kind in "iufbM" else flat.tolist())
    for size in reversed(values.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, size)
    return array


def _torch_to_numpy(tensor: Any) -> NDArray[Any]:
    tensor = tensor.detach().cpu()
    # NumPy has no bfloat16.
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def _is_torch(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def table_to_batch(table: pa.Table) -> pa.RecordBatch:
    """A table as one record batch."""
    batches = table.unify_dictionaries().combine_chunks().to_batches()
    if batches:
        return batches[0]
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in table.schema], schema=table.schema)


def concat_batches(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Record batches of one schema end to end; at least one is needed."""
    return batches[0] if len(batches) == 1 else table_to_batch(pa.Table.from_batches(batches))


def without_dictionaries(table: pa.Table) -> pa.Table:
    """The table with strings where reading has left their places in a dictionary."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields, table.schema.metadata))
