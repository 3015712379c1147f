"""The encoder: raw Arrow batches to the numbers a network eats, the same in training, serving and export.

An encoded batch is itself an Arrow record batch, so that it can be sliced, shuffled and sent between processes:

    dense      fixed-size list of float32, the value columns side by side in name order (absent if there are none)
    ids/I      ids of the I-th categorical column: integers, one a row, or lists of integers; of those that take no part
               -1 is missing, -2 a word that the vocabulary lacks
    weights/I  the weights of those ids, where the column has them
    label      float32 or int64 targets
    weight     float32 example weights
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raydnn import errors
from raydnn.feature_column.columns import (
    CategoricalColumn,
    CategoricalWrapper,
    DenseColumn,
    FeatureColumn,
    Ids,
    ValueColumn,
)
from raydnn.feature_column.embedding import EmbeddingColumn
from raydnn.feature_column.label import LabelEncoder
from raydnn.feature_column.numeric import NumericColumn
from raydnn.feature_column.raw_features import RawFeatures

DENSE = "dense"
LABEL = "label"
WEIGHT = "weight"
MISSING_ID = -1
UNKNOWN_ID = -2
_INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class Encoder:
    """Feature columns, label and weight of one model, applied to raw batches.

    Attributes:
        columns: the dense columns in the order of the input layer; see `input_layer_columns`.
        label: how labels become targets; None encodes none.
        weight: numeric column of shape (1,) with the example weights; None encodes none.
    """

    columns: tuple[DenseColumn, ...]
    label: LabelEncoder | None = None
    weight: NumericColumn | None = None

    @cached_property
    def value_columns(self) -> tuple[ValueColumn, ...]:
        """The columns that make up `dense`."""
        return tuple(column for column in self.columns if isinstance(column, ValueColumn))

    @cached_property
    def categorical_columns(self) -> tuple[CategoricalColumn, ...]:
        """The different categorical columns; the place is the I of `ids/I`."""
        wrapped = (column.categorical_column for column in self.columns if isinstance(column, CategoricalWrapper))
        return tuple(dict.fromkeys(wrapped))

    @cached_property
    def _of_tables(self) -> list[tuple[int, EmbeddingColumn]]:
        """Embedding columns whose ids must be checked, with their place."""
        embeddings = [column for column in self.columns if isinstance(column, EmbeddingColumn)]
        return [
            (self.categorical_columns.index(column.categorical_column), column)
            for column in embeddings
            if column.categorical_column.may_exceed_buckets or not column.use_safe_embedding_lookup
        ]

    def load(self) -> "Encoder":
        """Read the vocabularies in files, so that a missing one is found when a model is built.

        Returns:
            This encoder.

        Raises:
            NotFoundError, InvalidArgumentError, FailedPreconditionError: a vocabulary file is not there or not good.
        """
        for column in self.categorical_columns:
            column.load()
        return self

    @property
    def dense_width(self) -> int:
        """The number of floats in a row of `dense`."""
        return sum(column.width for column in self.value_columns)

    @cached_property
    def feature_keys(self) -> tuple[str, ...]:
        """The raw features that are read, the weight's included, sorted."""
        columns: list[FeatureColumn] = [*self.columns]
        if self.weight is not None:
            columns.append(self.weight)
        return tuple(sorted({key for column in columns for key in column.feature_keys}))

    def encode(self, features: pa.RecordBatch, labels: pa.Array | None = None) -> pa.RecordBatch:
        """Encode a batch.

        Args:
            features: one Arrow column per raw feature; others are ignored.
            labels: as `LabelEncoder.encode` takes them; not looked at without a label encoder.

        Returns:
            The encoded batch, as the module docstring describes it.

        Raises:
            ValueError: a feature is missing, or of another type or shape than its column declares.
            InvalidArgumentError: a value that no column can take, such as a label out of range.
        """
        raw = RawFeatures(features)
        encoded: dict[str, pa.Array] = {}
        if self.value_columns:
            parts = [column.encode_dense(raw) for column in self.value_columns]
            dense = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
            encoded[DENSE] = pa.FixedSizeListArray.from_arrays(pa.array(dense.ravel()), self.dense_width)
        for place, column in enumerate(self.categorical_columns):
            encoded |= _ids_to_arrow(place, raw.ids(column), column.unknown(raw), column.num_buckets)
        for place, embedding in self._of_tables:
            _check_table_ids(embedding, raw.ids(self.categorical_columns[place]), raw)
        if self.label is not None:
            encoded[LABEL] = pa.array(self.label.encode(labels, raw.num_rows))
        if self.weight is not None:
            encoded[WEIGHT] = pa.array(self.weight.encode_dense(raw)[:, 0])
        return pa.RecordBatch.from_pydict(encoded)


def input_layer_columns(feature_columns: Iterable[DenseColumn]) -> tuple[DenseColumn, ...]:
    """The columns of an input layer in its order, which is that of their names.

    Raises:
        ValueError: no columns, not feature columns, categorical columns without a wrapper, or equal names.
    """
    if feature_columns is None:
        raise ValueError("feature_columns must not be empty")
    if isinstance(feature_columns, Mapping | FeatureColumn):
        raise ValueError(f"feature_columns must be a list of feature columns; got {feature_columns!r}")
    columns = tuple(feature_columns)
    if not columns:
        raise ValueError("feature_columns must not be empty")
    for column in columns:
        if isinstance(column, CategoricalColumn) and not isinstance(column, DenseColumn):
            raise ValueError(
                f"column '{column.name}' is categorical and cannot enter the network by itself; wrap it with "
                "embedding_column or indicator_column"
            )
        if not isinstance(column, DenseColumn):
            raise ValueError(f"feature_columns must hold feature columns; got {column!r}")
    names = [column.name for column in columns]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f"feature_columns holds more than one column named {sorted(repeated)}")
    return tuple(sorted(columns, key=lambda column: column.name))


def example_weight_column(weight_column: Any) -> NumericColumn | None:
    """The column of example weights: from None, the name of a feature, or a numeric column.

    Raises:
        TypeError: it is something else.
        ValueError: a numeric column with more than one value a row.
    """
    if isinstance(weight_column, NumericColumn) and weight_column.width != 1:
        raise ValueError(
            f"weight_column '{weight_column.name}' must have one value a row; it has shape {weight_column.shape}"
        )
    if weight_column is None or isinstance(weight_column, NumericColumn):
        return weight_column
    if isinstance(weight_column, str):
        return NumericColumn(weight_column, (1,), None, "float32", None)
    raise TypeError(f"weight_column must be a feature name or a numeric_column; got {weight_column!r}")


def _check_table_ids(column: EmbeddingColumn, ids: Ids, features: RawFeatures) -> None:
    """Refuse ids that a table has no row for.

    Raises:
        InvalidArgumentError: an id behind the last bucket; without safe lookup a negative one.
    """
    buckets = column.categorical_column.num_buckets
    if len(ids.values) and ids.values.max() >= buckets:
        raise errors.InvalidArgumentError(
            f"column '{column.name}': id {ids.values.max()} is not in [0, {buckets}); raise num_buckets, or give a "
            "default_value"
        )
    if column.use_safe_embedding_lookup:
        return
    present = column.categorical_column.present_ids(features)
    if len(present.values) and present.values.min() < 0:
        raise errors.InvalidArgumentError(
            f"column '{column.name}': id {present.values.min()} is negative, "
            "which use_safe_embedding_lookup=False refuses"
        )


def _ids_to_arrow(place: int, ids: Ids, unknown: NDArray[np.bool_] | None, num_buckets: int) -> dict[str, pa.Array]:
    """The arrays of one categorical column; ids are narrowed to int32 where they fit, to move less."""
    values = np.maximum(ids.values, MISSING_ID)
    if num_buckets <= _INT32_MAX:
        # An id that is too large must stay so, and not wrap around to one that is valid.
        values = np.minimum(values, num_buckets).astype(np.int32)
    if unknown is not None:
        values[unknown] = UNKNOWN_ID
    arrays = {f"ids/{place}": pa.array(values)}
    if ids.weights is not None:
        arrays[f"weights/{place}"] = pa.array(ids.weights)
    if ids.offsets is None:
        return arrays
    offsets = pa.array(ids.offsets)
    return {name: pa.LargeListArray.from_arrays(offsets, array) for name, array in arrays.items()}
