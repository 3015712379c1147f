"""Categorical columns: strings and integers that become ids, by hashing or by a vocabulary."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raydnn.feature_column.columns import CategoricalColumn, Ids, check_key
from raydnn.feature_column.dtypes import arrow_dtype_name, dtype_name, is_integer
from raydnn.feature_column.fingerprint import to_hash_bucket
from raydnn.feature_column.parse_spec import FeatureSpec, VarLenFeature
from raydnn.feature_column.raw_features import FlatValues, RawFeatures, map_to_ids, missing_in_dense


@dataclass(frozen=True)
class HashedCategoricalColumn(CategoricalColumn):
    """Ids by hashing; made by `categorical_column_with_hash_bucket`, which documents the attributes."""

    key: str
    hash_bucket_size: int
    dtype: str

    @property
    def name(self) -> str:
        return self.key

    @property
    def feature_keys(self) -> tuple[str, ...]:
        return (self.key,)

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
class VocabularyListCategoricalColumn(CategoricalColumn):
    """Ids by place in a list; made by `categorical_column_with_vocabulary_list`, which documents the attributes."""

    key: str
    vocabulary_list: tuple[str, ...] | tuple[int, ...]
    dtype: str
    default_value: int
    num_oov_buckets: int

    @property
    def name(self) -> str:
        return self.key

    @property
    def feature_keys(self) -> tuple[str, ...]:
        return (self.key,)

    @property
    def num_buckets(self) -> int:
        return len(self.vocabulary_list) + self.num_oov_buckets

    @property
    def parse_example_spec(self) -> dict[str, FeatureSpec]:
        return {self.key: VarLenFeature(self.dtype)}

    @cached_property
    def _words(self) -> pa.Array:
        return pa.array(self.vocabulary_list, pa.string() if self.dtype == "string" else pa.int64())

    def encode(self, features: RawFeatures) -> Ids:
        flat = read_values(features, self.key, self.dtype, self.name)
        return to_ids(flat, lambda values: look_up(values, self._words, self.default_value, self.num_oov_buckets))


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
    return HashedCategoricalColumn(key, int(hash_bucket_size), check_categorical_dtype(dtype, key))


def categorical_column_with_vocabulary_list(
    key: str,
    vocabulary_list: Sequence[str] | Sequence[int],
    dtype: Any = None,
    default_value: int = -1,
    num_oov_buckets: int = 0,
) -> VocabularyListCategoricalColumn:
    """A column whose ids are places in a list of words.

    Args:
        key: name of the feature, and of the column.
        vocabulary_list: different strings, or different integers; the id is the place.
        dtype: 'string' or an integer type; None takes the vocabulary's.
        default_value: the id of an unknown value; -1 leaves it out.
        num_oov_buckets: if positive, an unknown value gets the id
            len(vocabulary_list) + Fingerprint64(value) mod num_oov_buckets instead.

    Raises:
        ValueError: a bad key, an empty vocabulary, duplicates, values that are neither all strings nor all
            integers, a dtype of the other kind, or both default_value and num_oov_buckets.
    """
    check_key(key)
    if vocabulary_list is None or len(vocabulary_list) < 1:
        raise ValueError(f"column '{key}': vocabulary_list must not be empty")
    words: list[Any] = [word.decode() if isinstance(word, bytes) else word for word in vocabulary_list]
    if all(isinstance(word, str) for word in words):
        kind, default_dtype = "string", "string"
    elif all(isinstance(word, int | np.integer) and not isinstance(word, bool) for word in words):
        kind, default_dtype = "integer", "int64"
        words = [int(word) for word in words]
    else:
        raise ValueError(f"column '{key}': vocabulary_list must hold strings or integers; got {words[:5]!r} ...")
    if len(set(words)) != len(words):
        repeated = next(word for place, word in enumerate(words) if word in words[:place])
        raise ValueError(f"column '{key}': vocabulary_list holds {repeated!r} more than once")
    checked_dtype = default_dtype if dtype is None else check_categorical_dtype(dtype, key)
    if (checked_dtype == "string") != (kind == "string"):
        raise ValueError(f"column '{key}': dtype {checked_dtype} and a vocabulary of {kind}s do not go together")
    check_oov(key, default_value, num_oov_buckets, no_default=-1)
    return VocabularyListCategoricalColumn(key, tuple(words), checked_dtype, int(default_value), int(num_oov_buckets))


def check_categorical_dtype(dtype: Any, key: str) -> str:
    """The name of a dtype, which must be string or integer.

    Raises:
        ValueError: it is neither.
    """
    name = dtype_name(dtype)
    if name != "string" and not is_integer(name):
        raise ValueError(f"column '{key}': dtype must be 'string' or an integer type; got {dtype!r}")
    return name


def check_oov(key: str, default_value: int | None, num_oov_buckets: int, no_default: int | None) -> None:
    """Refuse a negative num_oov_buckets, and one beside a default_value.

    Raises:
        ValueError: either is found.
    """
    if num_oov_buckets < 0:
        raise ValueError(f"column '{key}': num_oov_buckets must be 0 or more; got {num_oov_buckets}")
    if num_oov_buckets and default_value != no_default:
        raise ValueError(
            f"column '{key}': give default_value ({default_value}) or num_oov_buckets ({num_oov_buckets}), not both"
        )


def read_values(features: RawFeatures, key: str, dtype: str, column_name: str) -> FlatValues:
    """The flat values of a feature, which must be of the declared kind, string or integer.

    Raises:
        ValueError: the feature is missing or of another kind.
    """
    flat = features.flat(key)
    if pa.types.is_null(flat.values.type):  # Arrow cannot tell the dtype of a batch without any value
        return flat
    found = arrow_dtype_name(flat.values.type)
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


def look_up(values: pa.Array, words: pa.Array, default_value: int, num_oov_buckets: int) -> NDArray[np.int64]:
    """The places of values in a vocabulary.

    Args:
        values: plain Arrow array [n] of strings or integers.
        words: the vocabulary, Arrow array of string or int64.
        default_value: id of an unknown value where there are no oov buckets.
        num_oov_buckets: how many ids behind the vocabulary unknown values are hashed to.

    Returns:
        int64 [n].
    """
    if values.type != words.type:
        values = values.cast(words.type)
    places = pc.index_in(values, value_set=words)
    if not places.null_count:
        return places.to_numpy().astype(np.int64)
    ids: NDArray[np.int64] = pc.fill_null(places, -1).to_numpy().astype(np.int64)
    unknown = ids < 0
    if num_oov_buckets:
        ids[unknown] = len(words) + to_hash_bucket(values.filter(pa.array(unknown)), num_oov_buckets)
    else:
        ids[unknown] = default_value
    return ids
