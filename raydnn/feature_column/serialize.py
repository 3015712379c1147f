"""Columns as JSON and back: the function that makes a column, with its arguments."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from raydnn.feature_column.bucketized import BucketizedColumn, bucketized_column
from raydnn.feature_column.categorical import (
    HashedCategoricalColumn,
    IdentityCategoricalColumn,
    categorical_column_with_hash_bucket,
    categorical_column_with_identity,
)
from raydnn.feature_column.columns import FeatureColumn
from raydnn.feature_column.crossed import CrossedColumn, crossed_column
from raydnn.feature_column.embedding import (
    EmbeddingColumn,
    IndicatorColumn,
    SharedEmbeddingColumn,
    embedding_column,
    indicator_column,
)
from raydnn.feature_column.normalizers import normalizer_from_json, normalizer_to_json
from raydnn.feature_column.numeric import NumericColumn, numeric_column
from raydnn.feature_column.vocabulary import (
    VocabularyFileCategoricalColumn,
    VocabularyListCategoricalColumn,
    categorical_column_with_vocabulary_file,
    categorical_column_with_vocabulary_list,
)
from raydnn.feature_column.weighted import WeightedCategoricalColumn, weighted_categorical_column


def _shared_embedding_column(**arguments: Any) -> SharedEmbeddingColumn:
    return SharedEmbeddingColumn(initializer=None, **arguments)


_MAKERS: dict[type[FeatureColumn], tuple[str, Callable[..., FeatureColumn]]] = {
    NumericColumn: ("numeric_column", numeric_column),
    BucketizedColumn: ("bucketized_column", bucketized_column),
    HashedCategoricalColumn: ("categorical_column_with_hash_bucket", categorical_column_with_hash_bucket),
    IdentityCategoricalColumn: ("categorical_column_with_identity", categorical_column_with_identity),
    VocabularyListCategoricalColumn: (
        "categorical_column_with_vocabulary_list",
        categorical_column_with_vocabulary_list,
    ),
    VocabularyFileCategoricalColumn: (
        "categorical_column_with_vocabulary_file",
        categorical_column_with_vocabulary_file,
    ),
    WeightedCategoricalColumn: ("weighted_categorical_column", weighted_categorical_column),
    CrossedColumn: ("crossed_column", crossed_column),
    IndicatorColumn: ("indicator_column", indicator_column),
    EmbeddingColumn: ("embedding_column", embedding_column),
    SharedEmbeddingColumn: ("shared_embedding_column", _shared_embedding_column),
}
_BY_NAME = dict(_MAKERS.values())
# Fields whose name differs from that of the function's argument.
_RENAMED = {"number_buckets": "num_buckets"}
# Work that is done when a column is written.
_LEFT_OUT = {"initializer", "ckpt_to_load_from", "tensor_name_in_ckpt"}


def column_to_json(column: FeatureColumn) -> dict[str, Any]:
    """A column as plain values: `type` is the function that makes it, the rest are its arguments.

    What gives an embedding its initial values is left out.

    Raises:
        ValueError: a normalizer_fn without a name.
    """
    settings: dict[str, Any] = {"type": _MAKERS[type(column)][0]}
    for field in fields(column):  # type: ignore[arg-type]
        value = getattr(column, field.name)
        if field.name == "normalizer_fn" and value is not None:
            value = normalizer_to_json(value)
        if field.name not in _LEFT_OUT:
            settings[_RENAMED.get(field.name, field.name)] = _plain(value)
    if isinstance(column, VocabularyFileCategoricalColumn) and column.num_oov_buckets:
        settings["default_value"] = None  # which the function refuses beside num_oov_buckets
    return settings


def column_from_json(settings: dict[str, Any]) -> FeatureColumn:
    """The column that `column_to_json` wrote.

    Raises:
        ValueError: an unknown type, or arguments that its function refuses.
    """
    arguments = dict(settings)
    kind = arguments.pop("type", None)
    if kind not in _BY_NAME:
        raise ValueError(f"unknown column type {kind!r}; known are {', '.join(sorted(_BY_NAME))}")
    arguments = {name: _column(value) for name, value in arguments.items()}
    if arguments.get("normalizer_fn") is not None:
        arguments["normalizer_fn"] = normalizer_from_json(arguments["normalizer_fn"])
    if kind == "numeric_column" and arguments.get("default_value") is not None:
        arguments["default_value"] = _shaped(arguments["default_value"], arguments["shape"])
    if kind == "shared_embedding_column":
        arguments = {"ckpt_to_load_from": None, "tensor_name_in_ckpt": None, **arguments}
    return _BY_NAME[kind](**arguments)


def _plain(value: Any) -> Any:
    if isinstance(value, FeatureColumn):
        return column_to_json(value)
    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    return value.item() if isinstance(value, np.generic) else value


def _column(value: Any) -> Any:
    """A value with the columns in it made."""
    if isinstance(value, dict) and "type" in value:
        return column_from_json(value)
    if isinstance(value, list):
        return [_column(member) for member in value]
    return value


def _shaped(values: Any, shape: list[int]) -> Any:
    """A flat default value in the shape of its column; one value as it is."""
    if not isinstance(values, list) or len(values) == 1:
        return values[0] if isinstance(values, list) else values
    for size in reversed(shape[1:]):
        values = [values[start : start + size] for start in range(0, len(values), size)]
    return values
