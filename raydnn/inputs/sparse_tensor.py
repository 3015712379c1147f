"""Sparse features, as TensorFlow's SparseTensor gives them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class SparseTensor:
    """A matrix of which only some entries are given.

    Attributes:
        indices: int64 [n, 2] (row, column) in row-major order; [n, 1] for a rank-1 tensor, one entry a row at most.
        values: [n], NumPy or Arrow, any dtype.
        dense_shape: (rows, columns), or (rows,).

    Raises:
        ValueError: the parts do not fit together, or rows are out of order.
    """

    indices: ArrayLike
    values: Any
    dense_shape: ArrayLike

    def __post_init__(self) -> None:
        shape = tuple(int(size) for size in np.asarray(self.dense_shape).ravel())
        indices = np.asarray(self.indices, np.int64).reshape(-1, len(shape))
        if len(shape) not in (1, 2):
            raise ValueError(f"a SparseTensor feature must have rank 1 or 2; got dense_shape {shape}")
        if len(indices) != len(self.values):
            raise ValueError(f"a SparseTensor has {len(indices)} indices but {len(self.values)} values")
        if len(indices) and ((indices < 0) | (indices >= np.array(shape))).any():
            raise ValueError(f"a SparseTensor has indices outside its dense_shape {shape}")
        if (np.diff(indices[:, 0]) < 0).any():
            raise ValueError("a SparseTensor must be in row-major order; sort its indices")
        object.__setattr__(self, "indices", indices)
        object.__setattr__(self, "dense_shape", shape)

    def to_arrow(self) -> pa.Array:
        """Its values as a list array with one list a row."""
        rows: NDArray[np.int64] = np.asarray(self.indices)[:, 0]
        num_rows = int(np.asarray(self.dense_shape)[0])
        offsets = np.searchsorted(rows, np.arange(num_rows + 1))
        values = self.values
        if isinstance(values, list | tuple):
            values = pa.array(values)
            # Python's floats become float32, as in TensorFlow.
            values = values.cast(pa.float32()) if pa.types.is_float64(values.type) else values
        elif not isinstance(values, pa.Array):
            values = np.asarray(values)
            values = pa.array(values if values.dtype.kind in "iufb" else values.tolist())
        return pa.LargeListArray.from_arrays(pa.array(offsets), values)
