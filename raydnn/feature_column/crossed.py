"""Crossed columns: hashed combinations of several features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raydnn.feature_column.categorical import HashedCategoricalColumn
from raydnn.feature_column.columns import CategoricalColumn, Ids, check_whole
from raydnn.feature_column.fingerprint import fingerprint64_arrow, fingerprint_cat64
from raydnn.feature_column.parse_spec import FeatureSpec, VarLenFeature, merge_specs
from raydnn.feature_column.raw_features import RawFeatures
from raydnn.feature_column.weighted import WeightedCategoricalColumn

DEFAULT_HASH_KEY = 0xDECAFCAFFE


@dataclass(frozen=True)
class CrossedColumn(CategoricalColumn):
    """Hashes of combinations; made by `crossed_column`, which documents the attributes."""

    keys: tuple[str | CategoricalColumn, ...]
    hash_bucket_size: int
    hash_key: int | None

    @property
    def leaves(self) -> tuple[str | CategoricalColumn, ...]:
        """The keys, those of nested crosses among them in place of the crosses."""
        flat: list[str | CategoricalColumn] = []
        for key in self.keys:
            flat += key.leaves if isinstance(key, CrossedColumn) else [key]
        return tuple(flat)

    @property
    def name(self) -> str:
        return "_X_".join(sorted(leaf if isinstance(leaf, str) else leaf.name for leaf in self.leaves))

    @property
    def feature_keys(self) -> tuple[str, ...]:
        keys = [(leaf,) if isinstance(leaf, str) else leaf.feature_keys for leaf in self.leaves]
        return tuple(dict.fromkeys(key for group in keys for key in group))

    @property
    def num_buckets(self) -> int:
        return self.hash_bucket_size

    @property
    def parse_example_spec(self) -> dict[str, FeatureSpec]:
        specs: dict[str, FeatureSpec] = {}
        for leaf in self.leaves:
            merge_specs(specs, {leaf: VarLenFeature("string")} if isinstance(leaf, str) else leaf.parse_example_spec)
        return specs

    def load(self) -> None:
        for leaf in self.leaves:
            if isinstance(leaf, CategoricalColumn):
                leaf.load()

    def encode(self, features: RawFeatures) -> Ids:
        hashed = [_leaf_hashes(leaf, features, self.name) for leaf in self.leaves]
        # As TensorFlow's kernel folds them: all sparse inputs before all dense ones.
        ordered = [leaf for leaf in hashed if leaf.is_sparse] + [leaf for leaf in hashed if not leaf.is_sparse]
        start = np.uint64((self.hash_key or DEFAULT_HASH_KEY) & 0xFFFF_FFFF_FFFF_FFFF)
        rows = np.arange(features.num_rows)
        folded = np.full(features.num_rows, start, np.uint64)
        for leaf in ordered:
            rows, folded = _cross(rows, folded, leaf)
        offsets = np.searchsorted(rows, np.arange(features.num_rows + 1))
        return Ids((folded % np.uint64(self.hash_bucket_size)).astype(np.int64), offsets)


@dataclass(frozen=True, eq=False)
class _Leaf:
    """The hashed values of one leaf.

    Attributes:
        values: uint64 [n].
        offsets: int64 [rows + 1].
        is_sparse: whether TensorFlow would see a sparse tensor.
    """

    values: NDArray[np.uint64]
    offsets: NDArray[np.int64]
    is_sparse: bool


def crossed_column(
    keys: Sequence[str | CategoricalColumn], hash_bucket_size: int, hash_key: int | None = None
) -> CrossedColumn:
    """A column of hashed combinations: in each row, of one value of every key with each other.

    The hash folds the keys in their order, sparse inputs before dense ones, as TensorFlow does: feed a feature
    the same way (dense or ragged) in training and in serving.

    Args:
        keys: two or more: names of raw features, or categorical columns without a hash of their own. Nested crosses
            are taken apart.
        hash_bucket_size: number of ids, 1 or more.
        hash_key: start of the hash; None, or 0 as in TensorFlow, is 0xDECAFCAFFE.

    Raises:
        ValueError: fewer than two keys, a key of another kind, or a bad size.
    """
    if not hash_bucket_size or hash_bucket_size < 1:
        raise ValueError(f"hash_bucket_size must be 1 or more; got {hash_bucket_size}")
    if not keys or isinstance(keys, str) or len(keys) < 2:
        raise ValueError(f"keys must be a list of at least two; got {keys!r}")
    for key in keys:
        if isinstance(key, HashedCategoricalColumn):
            raise ValueError(
                f"column '{key.name}' is hashed already and would be hashed twice; cross the feature '{key.key}' itself"
            )
        if isinstance(key, WeightedCategoricalColumn):
            raise ValueError(f"column '{key.name}' is weighted, and a cross has no weights")
        if not isinstance(key, str | CategoricalColumn):
            raise ValueError(f"keys must be feature names or categorical columns; got {key!r}")
    size = check_whole(hash_bucket_size, "hash_bucket_size")
    return CrossedColumn(tuple(keys), size, None if hash_key is None else check_whole(hash_key, "hash_key"))


def _leaf_hashes(leaf: str | CategoricalColumn, features: RawFeatures, name: str) -> _Leaf:
    if isinstance(leaf, str):
        return _raw_hashes(leaf, features, name)
    ids = leaf.present_ids(features)
    offsets = np.arange(features.num_rows + 1) if ids.offsets is None else ids.offsets
    return _Leaf(ids.values.view(np.uint64), offsets, is_sparse=True)


def _raw_hashes(key: str, features: RawFeatures, name: str) -> _Leaf:
    """Hashes of a raw feature; of a dense one nothing is left out but nulls, '' and -1 take part."""
    flat = features.flat(key)
    offsets = np.arange(features.num_rows + 1) if flat.offsets is None else flat.offsets
    values = flat.values
    if values.null_count:
        keep = values.is_valid().to_numpy(zero_copy_only=False)
        offsets = np.concatenate([[0], np.cumsum(keep)])[offsets]
        values = values.drop_null()
    dtype = features.dtype(key)
    if dtype == "string":
        return _Leaf(fingerprint64_arrow(values), offsets, not flat.is_dense)
    if dtype == "bool":
        raise ValueError(f"column '{name}' crosses feature '{key}', which holds {dtype}; give strings or numbers")
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    numbers = values.to_numpy(zero_copy_only=False).astype(np.int64)
    return _Leaf(numbers.view(np.uint64), offsets, not flat.is_dense)


def _cross(
    rows: NDArray[np.int64], folded: NDArray[np.uint64], leaf: _Leaf
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Combine what is there with each value of a further leaf in the same row; the new leaf varies fastest.

    Args:
        rows: of the combinations so far, ascending, [n].
        folded: their hashes, [n].
        leaf: whose values are folded in.

    Returns:
        Rows and hashes of the longer combinations.
    """
    repeats = np.diff(leaf.offsets)[rows]
    before = np.repeat(np.arange(len(rows)), repeats)
    first = np.repeat(np.cumsum(repeats) - repeats, repeats)
    place = leaf.offsets[rows[before]] + np.arange(len(before)) - first
    return rows[before], fingerprint_cat64(folded[before], leaf.values[place])
