"""Declared features: what a model reads, and how it becomes numbers."""

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
    "make_parse_example_spec",
    "normalizers",
    "numeric_column",
    "register_normalizer",
    "shared_embedding_columns",
    "shared_embeddings",
    "weighted_categorical_column",
]
