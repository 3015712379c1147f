"""Every kind of column as JSON and back, nested ones too."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raydnn.feature_column import (
    bucketized_column,
    categorical_column_with_hash_bucket,
    categorical_column_with_identity,
    categorical_column_with_vocabulary_file,
    categorical_column_with_vocabulary_list,
    column_from_json,
    column_to_json,
    crossed_column,
    embedding_column,
    indicator_column,
    numeric_column,
    register_normalizer,
    shared_embedding_columns,
    shared_embeddings,
    weighted_categorical_column,
)
from raydnn.feature_column.columns import FeatureColumn
from raydnn.feature_column.normalizers import Standardize


def double(values: np.ndarray) -> np.ndarray:
    return values * 2


register_normalizer("tests.double", double)

NUMBER = numeric_column("x", 2, default_value=[1.0, 2.0], normalizer_fn=Standardize(1.0, 2.0))
BUCKETS = bucketized_column(NUMBER, [0, 0.5, 10])
HASHED = categorical_column_with_hash_bucket("h", 2**40, dtype="int32")
IDENTITY = categorical_column_with_identity("i", 7, default_value=3)
WORDS = categorical_column_with_vocabulary_list("v", ["a", "öwl", ""], num_oov_buckets=2)
FILE = categorical_column_with_vocabulary_file("f", "words.txt", 5, default_value=4)
WEIGHTED = weighted_categorical_column(HASHED, "w", dtype="int64")
CROSSED = crossed_column(["raw", BUCKETS, IDENTITY], 100, hash_key=2**40)
NESTED = crossed_column([crossed_column(["b", WORDS], 5), CROSSED, FILE], 50)
CATEGORICAL = [BUCKETS, HASHED, IDENTITY, WORDS, FILE, WEIGHTED, CROSSED, NESTED]
OF_TABLE = {"combiner": "sqrtn", "max_norm": 1.5, "trainable": False, "use_safe_embedding_lookup": False}


def named(column: FeatureColumn) -> str:
    return f"{type(column).__name__}-{column.name}"


@pytest.mark.parametrize(
    "column",
    [
        NUMBER,
        numeric_column("x", normalizer_fn=double),
        categorical_column_with_identity("i", 7),
        categorical_column_with_vocabulary_list("v", [3, -1], dtype="int8", default_value=1),
        categorical_column_with_vocabulary_file("f", "words.txt", 5, num_oov_buckets=1, dtype="int64"),
        weighted_categorical_column(NESTED, "w"),
        *CATEGORICAL,
        *map(indicator_column, CATEGORICAL),
        *[embedding_column(column, 3, **OF_TABLE) for column in CATEGORICAL],
        *shared_embedding_columns([WORDS, weighted_categorical_column(WORDS, "w")], 3, **OF_TABLE),
        *shared_embeddings([IDENTITY, categorical_column_with_identity("j", 7)], 2),
        *shared_embeddings([NESTED], 2, shared_embedding_collection_name="t"),
    ],
    ids=named,
)
def test_a_column_survives_json(column: FeatureColumn) -> None:
    again = column_from_json(json.loads(json.dumps(column_to_json(column))))
    assert again == column
    assert again.name == column.name
    assert again.feature_keys == column.feature_keys


@pytest.mark.parametrize(
    "make",
    [
        lambda: bucketized_column(numeric_column("x"), list(np.array([0.25, 0.5], np.float32))),
        lambda: categorical_column_with_identity("i", np.int64(7), default_value=np.int64(3)),
        lambda: categorical_column_with_hash_bucket("h", np.int64(7)),
        lambda: categorical_column_with_vocabulary_list("v", np.array(["a", "b"])),
        lambda: categorical_column_with_vocabulary_list("v", np.array([1, 2]), default_value=np.int64(1)),
        lambda: crossed_column(["a", "b"], np.int64(7), hash_key=np.int64(3)),
        lambda: embedding_column(HASHED, np.int64(3), max_norm=np.float32(1.5)),
    ],
)
def test_numpy_arguments_are_written_as_plain_numbers(make: Any) -> None:
    column = make()
    assert column_from_json(json.loads(json.dumps(column_to_json(column)))) == column


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (BUCKETS, {"type": "bucketized_column", "boundaries": [0, 0.5, 10], "source_column": column_to_json(NUMBER)}),
        (
            IDENTITY,
            {"type": "categorical_column_with_identity", "key": "i", "num_buckets": 7, "default_value": 3},
        ),
        (
            WEIGHTED,
            {
                "type": "weighted_categorical_column",
                "categorical_column": column_to_json(HASHED),
                "weight_feature_key": "w",
                "dtype": "int64",
            },
        ),
        (
            CROSSED,
            {
                "type": "crossed_column",
                "keys": ["raw", column_to_json(BUCKETS), column_to_json(IDENTITY)],
                "hash_bucket_size": 100,
                "hash_key": 2**40,
            },
        ),
    ],
)
def test_what_is_written_is_the_call_that_makes_the_column(column: FeatureColumn, expected: dict[str, Any]) -> None:
    assert column_to_json(column) == expected


@pytest.mark.parametrize(
    "wrap",
    [
        lambda source: bucketized_column(source, [0.0]),
        lambda source: embedding_column(crossed_column(["a", bucketized_column(source, [0.0])], 5), 2),
    ],
)
def test_a_normalizer_without_a_name_is_refused_however_deep_it_lies(wrap: Any) -> None:
    source = numeric_column("x", normalizer_fn=lambda values: values)
    with pytest.raises(ValueError, match=r"register_normalizer"):
        column_to_json(wrap(source))


def test_what_gave_a_table_its_first_values_is_not_written(tmp_path: Path) -> None:
    column = embedding_column(HASHED, 3, ckpt_to_load_from=str(tmp_path), tensor_name_in_ckpt="table")
    assert column_from_json(column_to_json(column)) == embedding_column(HASHED, 3)


def test_a_vocabulary_file_need_not_be_there_to_be_written_or_read() -> None:
    assert column_to_json(FILE)["vocabulary_file"] == "words.txt"
    assert column_from_json(column_to_json(FILE)) == FILE
