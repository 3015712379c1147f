"""Declared features: what a model reads, and how it becomes numbers."""

from raydnn.feature_column import normalizers
from raydnn.feature_column.categorical import (
    categorical_column_with_hash_bucket,
    categorical_column_with_vocabulary_list,
)
from raydnn.feature_column.embedding import embedding_column, indicator_column
from raydnn.feature_column.fingerprint import fingerprint64
from raydnn.feature_column.normalizers import register_normalizer
from raydnn.feature_column.numeric import numeric_column
from raydnn.feature_column.parse_spec import FixedLenFeature, VarLenFeature, make_parse_example_spec
from raydnn.feature_column.serialize import column_from_json, column_to_json

__all__ = [
    "FixedLenFeature",
    "VarLenFeature",
    "categorical_column_with_hash_bucket",
    "categorical_column_with_vocabulary_list",
    "column_from_json",
    "column_to_json",
    "embedding_column",
    "fingerprint64",
    "indicator_column",
    "make_parse_example_spec",
    "normalizers",
    "numeric_column",
    "register_normalizer",
]
