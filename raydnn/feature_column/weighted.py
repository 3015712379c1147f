"""Weighted categorical columns: ids that count more or less."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raydnn import errors
from raydnn.feature_column.columns import CategoricalColumn, Ids, check_categorical, check_key
from raydnn.feature_column.dtypes import dtype_name, is_floating, is_integer
from raydnn.feature_column.parse_spec import FeatureSpec, VarLenFeature
from raydnn.feature_column.raw_features import RawFeatures


@dataclass(frozen=True)
class WeightedCategoricalColumn(CategoricalColumn):
    """Ids with weights; made by `weighted_categorical_column`, which documents the attributes."""

    categorical_column: CategoricalColumn
    weight_feature_key: str
    dtype: str

    @property
    def name(self) -> str:
        return f"{self.categorical_column.name}_weighted_by_{self.weight_feature_key}"

    @property
    def feature_keys(self) -> tuple[str, ...]:
        return (*self.categorical_column.feature_keys, self.weight_feature_key)

    @property
    def num_buckets(self) -> int:
        return self.categorical_column.num_buckets

    @property
    def may_exceed_buckets(self) -> bool:
        return self.categorical_column.may_exceed_buckets

    @property
    def parse_example_spec(self) -> dict[str, FeatureSpec]:
        inner = self.categorical_column.parse_example_spec
        if self.weight_feature_key in inner:
            raise ValueError(f"column '{self.name}': the weight feature is also read as a categorical feature")
        return {**inner, self.weight_feature_key: VarLenFeature(self.dtype)}

    def load(self) -> None:
        self.categorical_column.load()

    def encode(self, features: RawFeatures) -> Ids:
        ids = self.categorical_column.present_ids(features)
        weights = self._weights(features)
        if len(weights) != len(ids.values):
            raise errors.InvalidArgumentError(
                f"column '{self.name}' has {len(ids.values)} ids but {len(weights)} weights in a batch; every id needs "
                "one (in dense features '', -1 and the weight 0 mean that there is none)"
            )
        return Ids(ids.values, ids.offsets, weights)

    def unknown(self, features: RawFeatures) -> NDArray[np.bool_] | None:
        if self.categorical_column.unknown(features) is None:
            return None
        # Missing values have no id here at all.
        has_no_id: NDArray[np.bool_] = features.ids(self).values < 0
        return has_no_id

    def _weights(self, features: RawFeatures) -> NDArray[np.float32]:
        found = features.dtype(self.weight_feature_key)
        flat = features.flat(self.weight_feature_key)
        both_floating = is_floating(found) and is_floating(self.dtype)
        if found != self.dtype and not both_floating and not pa.types.is_null(flat.values.type):
            raise ValueError(
                f"column '{self.name}': weights are declared with dtype {self.dtype} but feature "
                f"'{self.weight_feature_key}' holds {found}; declare dtype='{found}' or cast it"
            )
        # TensorFlow makes all floating features float32 first, so what is 0 then counts as missing.
        values = flat.values.cast(pa.float32()) if is_floating(found) else flat.values
        if flat.is_dense:
            values = values.filter(pc.fill_null(pc.not_equal(values, 0), False))
        return values.to_numpy(zero_copy_only=False).astype(np.float32)


def weighted_categorical_column(
    categorical_column: CategoricalColumn, weight_feature_key: str, dtype: Any = "float32"
) -> WeightedCategoricalColumn:
    """A categorical column whose ids have weights, paired with them in order.

    Args:
        categorical_column: gives the ids.
        weight_feature_key: name of the feature with the weights, as many as there are ids.
        dtype: of that feature, integer or floating; a floating one may have any width.

    Raises:
        ValueError: not a categorical column, a bad key, or a dtype that is no number's.
    """
    check_categorical(categorical_column, "weighted_categorical_column")
    check_key(weight_feature_key)
    name = dtype_name(dtype)
    if not (is_integer(name) or is_floating(name)):
        raise ValueError(f"dtype of the weights '{weight_feature_key}' must be a number's; got {dtype!r}")
    return WeightedCategoricalColumn(categorical_column, weight_feature_key, name)
