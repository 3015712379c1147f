"""Bucketized columns: numbers that become the bucket they lie in."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydnn.feature_column.columns import CategoricalColumn, Ids, ValueColumn
from raydnn.feature_column.numeric import NumericColumn
from raydnn.feature_column.parse_spec import FeatureSpec
from raydnn.feature_column.raw_features import RawFeatures


@dataclass(frozen=True)
class BucketizedColumn(ValueColumn, CategoricalColumn):
    """Buckets of a numeric column, one-hot or as ids; made by `bucketized_column`, which documents the attributes."""

    source_column: NumericColumn
    boundaries: tuple[float, ...]

    @property
    def name(self) -> str:
        return f"{self.source_column.name}_bucketized"

    @property
    def feature_keys(self) -> tuple[str, ...]:
        return self.source_column.feature_keys

    @property
    def parse_example_spec(self) -> dict[str, FeatureSpec]:
        return self.source_column.parse_example_spec

    @property
    def variable_shape(self) -> tuple[int, ...]:
        return (*self.source_column.shape, len(self.boundaries) + 1)

    @property
    def num_buckets(self) -> int:
        return self.width

    def encode_dense(self, features: RawFeatures) -> NDArray[np.float32]:
        ids = self._ids(features)
        one_hot = np.zeros((len(ids), self.width), np.float32)
        np.put_along_axis(one_hot, ids, 1.0, axis=1)
        return one_hot

    def encode(self, features: RawFeatures) -> Ids:
        ids = self._ids(features)
        rows, width = ids.shape
        offsets = None if width == 1 else np.arange(0, rows * width + 1, width, dtype=np.int64)
        return Ids(ids.ravel(), offsets)

    def _ids(self, features: RawFeatures) -> NDArray[np.int64]:
        """int64 [rows, values a row]: bucket + number of buckets * place of the value. NaN lies in the last bucket."""
        values = self.source_column.encode_dense(features)
        buckets = np.searchsorted(np.asarray(self.boundaries, np.float32), values, side="right")
        return buckets + np.arange(values.shape[1]) * (len(self.boundaries) + 1)


def bucketized_column(source_column: NumericColumn, boundaries: list[float] | tuple[float, ...]) -> BucketizedColumn:
    """A column of the buckets that a numeric column's values lie in.

    It enters the network one-hot, or as ids when an indicator, embedding or crossed column takes it.

    Args:
        source_column: numeric, with a shape of one dimension.
        boundaries: n numbers, increasing; they make n + 1 buckets, each with its lower boundary.

    Raises:
        ValueError: a bad source column or bad boundaries.
    """
    if not isinstance(source_column, NumericColumn):
        raise ValueError(f"source_column must be a numeric_column; got {source_column!r}")
    name = source_column.name
    if len(source_column.shape) > 1:
        raise ValueError(f"source_column '{name}' must have one dimension; it has shape {source_column.shape}")
    checked = _check_boundaries(boundaries, name)
    return BucketizedColumn(source_column, checked)


def _check_boundaries(boundaries: Any, name: str) -> tuple[float, ...]:
    if not isinstance(boundaries, list | tuple) or not boundaries:
        raise ValueError(f"boundaries of '{name}' must be a list of numbers; got {boundaries!r}")
    for low, high in pairwise(boundaries):
        if not low < high:
            raise ValueError(f"boundaries of '{name}' must increase; {low} is followed by {high}")
    return tuple(boundaries)
