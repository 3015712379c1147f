"""Raw rows as the features and labels of a model function of the user's own."""

from typing import Any

import pyarrow as pa
import torch

from raydnn.feature_column.dtypes import arrow_dtype_name
from raydnn.feature_column.raw_features import flatten
from raydnn.inputs.dataset import LABEL_COLUMN


def raw_tensors(rows: pa.RecordBatch) -> tuple[dict[str, Any], Any]:
    """Features by name and labels.

    Numbers of a fixed shape become torch tensors [rows, ...]; text and ragged features stay Arrow arrays.
    """
    values = {name: _tensor(rows.column(name)) for name in rows.schema.names}
    return values, values.pop(LABEL_COLUMN, None)


def _tensor(array: pa.Array) -> Any:
    if arrow_dtype_name(array.type) == "string" or array.null_count:
        return array
    flat = flatten(array)
    if not flat.is_dense:
        return array
    shape, inner = [len(array)], array.type
    while pa.types.is_fixed_size_list(inner):
        shape.append(inner.list_size)
        inner = inner.value_type
    return torch.from_numpy(flat.values.to_numpy(zero_copy_only=False).copy()).view(shape)
