"""Partitioners: into how many slices a variable is cut, under TensorFlow's names."""

from collections.abc import Callable, Sequence
from math import ceil, prod

import numpy as np

from raydnn.feature_column.dtypes import dtype_name

Partitioner = Callable[..., list[int]]
"""(shape, dtype=...) -> number of slices along each axis, of which at most one is above 1."""


def fixed_size_partitioner(num_shards: int, axis: int = 0) -> Partitioner:
    """As many slices as asked for, at most one a row: min(num_shards, size of the axis)."""

    def partition(shape: Sequence[int], dtype: object = "float32") -> list[int]:
        _check_axis(shape, axis)
        return _along(shape, axis, min(num_shards, shape[axis]))

    return partition


def min_max_variable_partitioner(
    max_partitions: int = 1, axis: int = 0, min_slice_size: int = 256 << 10, bytes_per_string_element: int = 16
) -> Partitioner:
    """Up to max_partitions slices of at least min_slice_size bytes.

    slices = max(1, min(size of the axis, max_partitions, ceil(bytes / min_slice_size)))

    Raises:
        ValueError: (the partitioner) the axis is not one of the shape's.
    """

    def partition(shape: Sequence[int], dtype: object = "float32") -> list[int]:
        _check_axis(shape, axis)
        total_bytes = prod(shape) * _element_bytes(dtype, bytes_per_string_element)
        return _along(shape, axis, max(1, min(shape[axis], max_partitions, ceil(total_bytes / min_slice_size))))

    return partition


def variable_axis_size_partitioner(
    max_shard_bytes: int, axis: int = 0, bytes_per_string_element: int = 16, max_shards: int | None = None
) -> Partitioner:
    """Slices of at most max_shard_bytes: ceil(size / max(1, max_shard_bytes // bytes of a row)), at most max_shards.

    Raises:
        ValueError: max_shard_bytes or max_shards is below 1.
    """
    if max_shard_bytes < 1 or (max_shards is not None and max_shards < 1):
        raise ValueError(f"max_shard_bytes ({max_shard_bytes}) and max_shards ({max_shards}) must be 1 or more")

    def partition(shape: Sequence[int], dtype: object = "float32") -> list[int]:
        _check_axis(shape, axis)
        row_bytes = prod(shape) // max(shape[axis], 1) * _element_bytes(dtype, bytes_per_string_element)
        rows = max(1, max_shard_bytes // max(row_bytes, 1))
        slices = ceil(shape[axis] / rows)
        return _along(shape, axis, slices if max_shards is None else min(slices, max_shards))

    return partition


def _check_axis(shape: Sequence[int], axis: int) -> None:
    if axis >= len(shape):
        raise ValueError(f"axis {axis} is not one of the shape {tuple(shape)}")


def _element_bytes(dtype: object, bytes_per_string_element: int) -> int:
    name = dtype_name(dtype)
    return bytes_per_string_element if name == "string" else np.dtype(name).itemsize


def slice_rows(num_rows: int, num_slices: int) -> list[tuple[int, int]]:
    """Where each slice begins and ends: the first num_rows mod num_slices slices have a row more."""
    size, longer = divmod(num_rows, num_slices)
    ends = [size * place + min(place, longer) for place in range(num_slices + 1)]
    return [(ends[place], ends[place + 1]) for place in range(num_slices)]


def _along(shape: Sequence[int], axis: int, slices: int) -> list[int]:
    partitions = [1] * len(shape)
    partitions[axis] = slices
    return partitions
