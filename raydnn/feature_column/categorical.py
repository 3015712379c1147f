"""Categorical columns that need no vocabulary: ids by hashing, and integers that are ids."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raydnn.feature_column.columns import CategoricalColumn, Ids, check_key, check_whole
from raydnn.feature_column.dtypes import dtype_name, is_integer
from raydnn.feature_column.fingerprint import to_hash_bucket
from raydnn.feature_column.parse_spec import FeatureSpec, VarLenFeature
from raydnn.feature_column.raw_features import FlatValues, RawFeatures, map_to_ids, missing_in_dense


class KeyedCategoricalColumn(CategoricalColumn):
    """A column of the values of one feature, whose name it bears."""

    key: str

    @property
    def name(self) -> str:
        return self.key

    @property
    def feature_keys(self) -> tuple[str, ...]:
        return (self.key,)

    def present_ids(self, features: RawFeatures) -> Ids:
        return drop_missing(features.ids(self), features.flat(self.key))


@dataclass(frozen=True)
class HashedCategoricalColumn(KeyedCategoricalColumn):
    """Ids by hashing; made by `categorical_column_with_hash_bucket`, which documents the attributes."""

    key: str
    hash_bucket_size: int
    dtype: str

    @property
    def num_buckets(self) -> int:
        return self.hash_bucket_size

    @property
    def parse_example_spec(self) -> dict[str, FeatureSpec]:
        return {self.key: VarLenFeature(self.dtype)}

    def encode(self, features: RawFeatures) -> Ids:
        flat = read_values(features, self.key, self.dtype, self.name)
        return to_ids(flat, lambda values: to_hash_bucket(values, self.hash_bucket_size))


@dataclass(frozen=True)
class IdentityCategoricalColumn(KeyedCategoricalColumn):
    """Integers that are ids; made by `categorical_column_with_identity`, which documents the attributes."""

    key: str
    number_buckets: int
    default_value: int | None

    @property
    def num_buckets(self) -> int:
        return self.number_buckets

    @property
    def may_exceed_buckets(self) -> bool:
        return self.default_value is None

    @property
    def parse_example_spec(self) -> dict[str, FeatureSpec]:
        return {self.key: VarLenFeature("int64")}

    def encode(self, features: RawFeatures) -> Ids:
        flat = read_values(features, self.key, "int64", self.name)
        return to_ids(flat, self._in_range)

    def _in_range(self, values: pa.Array) -> NDArray[np.int64]:
        ids: NDArray[np.int64] = pc.fill_null(values.cast(pa.int64()), -1).to_numpy()
        if self.default_value is None:
            return ids
        return np.where((ids < 0) | (ids >= self.number_buckets), self.default_value, ids)


def categorical_column_with_hash_bucket(
    key: str, hash_bucket_size: int, dtype: Any = "string"
) -> HashedCategoricalColumn:
    """A column whose ids are Fingerprint64(value) mod hash_bucket_size; integers are hashed as decimal text.

    Args:
        key: name of the feature, and of the column.
        hash_bucket_size: number of ids, 1 or more.
        dtype: 'string' or an integer type; the feature must be of the same kind.

    Raises:
        ValueError: a bad key, size or dtype.
    """
    check_key(key)
    if hash_bucket_size is None or hash_bucket_size < 1:
        raise ValueError(f"column '{key}': hash_bucket_size must be 1 or more; got {hash_bucket_size}")
    return HashedCategoricalColumn(
        key, check_whole(hash_bucket_size, f"column '{key}': hash_bucket_size"), check_categorical_dtype(dtype, key)
    )


def categorical_column_with_identity(
    key: str, num_buckets: int, default_value: int | None = None
) -> IdentityCategoricalColumn:
    """A column of integers that are ids themselves.

    Args:
        key: name of the feature, and of the column.
        num_buckets: number of ids, 1 or more.
        default_value: what an integer outside [0, num_buckets) becomes. None leaves it: negative ones count as
            missing, too large ones count nowhere in an indicator and are refused by an embedding.

    Raises:
        ValueError: a bad key, number or default.
    """
    check_key(key)
    if num_buckets is None or num_buckets < 1:
        raise ValueError(f"column '{key}': num_buckets must be 1 or more; got {num_buckets}")
    if default_value is not None and not 0 <= default_value < num_buckets:
        raise ValueError(f"column '{key}': default_value must be in [0, {num_buckets}); got {default_value}")
    size = check_whole(num_buckets, f"column '{key}': num_buckets")
    default = None if default_value is None else check_whole(default_value, f"column '{key}': default_value")
    return IdentityCategoricalColumn(key, size, default)


def check_categorical_dtype(dtype: Any, key: str) -> str:
    """The name of a dtype, which must be string or integer.

    Raises:
        ValueError: it is neither.
    """
    name = dtype_name(dtype)
    if name != "string" and not is_integer(name):
        raise ValueError(f"column '{key}': dtype must be 'string' or an integer type; got {dtype!r}")
    return name


def read_values(features: RawFeatures, key: str, dtype: str, column_name: str) -> FlatValues:
    """The flat values of a feature, which must be of the declared kind, string or integer.

    Raises:
        ValueError: the feature is missing or of another kind.
    """
    flat = features.flat(key)
    if pa.types.is_null(flat.values.type):  # Arrow cannot tell the dtype of a batch without any value
        return flat
    found = features.dtype(key)
    kind = "string" if dtype == "string" else "integer"
    if not (found == "string" if kind == "string" else is_integer(found)):
        raise ValueError(
            f"column '{column_name}' is declared with dtype {dtype} but feature '{key}' holds {found}; "
            f"declare dtype='{found}' or convert the feature to {kind} in the input_fn"
        )
    return flat


def to_ids(flat: FlatValues, mapping: Callable[[pa.Array], NDArray[np.int64]]) -> Ids:
    """Map the values of a feature to ids; the ignore value of a dense feature becomes -1."""
    ids = map_to_ids(flat.values, mapping)
    if flat.is_dense:
        ids = np.where(missing_in_dense(flat.values), -1, ids)
    return Ids(ids, flat.offsets)


def drop_missing(ids: Ids, flat: FlatValues) -> Ids:
    """The ids without those of missing values: nulls, and '' or -1 in a dense feature.

    The id -1 of an unknown word stays.

    Args:
        ids: of the values.
        flat: the values.
    """
    missing = is_missing(flat)
    if not missing.any():
        return ids
    offsets = np.arange(len(ids.values) + 1) if ids.offsets is None else ids.offsets
    kept_before = np.concatenate([[0], np.cumsum(~missing)])
    return Ids(ids.values[~missing], kept_before[offsets])


def is_missing(flat: FlatValues) -> NDArray[np.bool_]:
    """Which values are missing: nulls, and '' or -1 in a dense feature; bool [num_values]."""
    if flat.is_dense:
        return missing_in_dense(flat.values)
    return flat.values.is_null().to_numpy(zero_copy_only=False)
