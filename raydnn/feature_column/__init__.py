"""Declared features: what a model reads, and how it becomes numbers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from raydnn.feature_column import normalizers
from raydnn.feature_column.bucketized import bucketized_column
from raydnn.feature_column.categorical import (
    categorical_column_with_hash_bucket,
    categorical_column_with_identity,
)
from raydnn.feature_column.crossed import crossed_column
from raydnn.feature_column.embedding import (
    embedding_column,
    indicator_column,
    shared_embedding_columns,
    shared_embeddings,
)
from raydnn.feature_column.fingerprint import fingerprint64
from raydnn.feature_column.normalizers import register_normalizer
from raydnn.feature_column.numeric import numeric_column
from raydnn.feature_column.parse_spec import FixedLenFeature, VarLenFeature, make_parse_example_spec
from raydnn.feature_column.serialize import column_from_json, column_to_json
from raydnn.feature_column.vocabulary import (
    categorical_column_with_vocabulary_file,
    categorical_column_with_vocabulary_list,
)
from raydnn.feature_column.weighted import weighted_categorical_column

if TYPE_CHECKING:
    from raydnn.layers import input_layer

__all__ = [
    "FixedLenFeature",
    "VarLenFeature",
    "bucketized_column",
    "categorical_column_with_hash_bucket",
    "categorical_column_with_identity",
    "categorical_column_with_vocabulary_file",
    "categorical_column_with_vocabulary_list",
    "column_from_json",
    "column_to_json",
    "crossed_column",
    "embedding_column",
    "fingerprint64",
    "indicator_column",
    "input_layer",
    "make_parse_example_spec",
    "normalizers",
    "numeric_column",
    "register_normalizer",
    "shared_embedding_columns",
    "shared_embeddings",
    "weighted_categorical_column",
]


def __getattr__(name: str) -> Any:
    if name != "input_layer":
        raise AttributeError(f"module 'raydnn.feature_column' has no attribute '{name}'")
    # By name: columns know nothing of torch, and a model's input layer stands far above them.
    return import_module("raydnn.layers").input_layer


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
