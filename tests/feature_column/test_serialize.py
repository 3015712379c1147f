"""Columns as JSON and back."""

import json
from typing import Any

import pytest

from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    categorical_column_with_vocabulary_list,
    column_from_json,
    column_to_json,
    embedding_column,
    indicator_column,
    numeric_column,
)
from raydnn.feature_column.columns import FeatureColumn
from raydnn.feature_column.normalizers import Log1p, MinMax, Standardize
from raydnn.initializers import Zeros

HASHED = categorical_column_with_hash_bucket("word", 100)
LISTED = categorical_column_with_vocabulary_list("animal", ["cat", "öwl"], num_oov_buckets=2)


@pytest.mark.parametrize(
    "column",
    [
        numeric_column("x"),
        numeric_column("x", (2, 3), dtype="int64"),
        numeric_column("x", default_value=3, dtype="int32"),
        numeric_column("x", 3, default_value=[1.5, 2.5, 3.5]),
        numeric_column("x", (2, 2), default_value=[[1, 2], [3, 4]]),
        numeric_column("x", (2, 1, 2), default_value=[[[1, 2]], [[3, 4]]]),
        numeric_column("x", (1, 2), default_value=0.5),
        numeric_column("x", (1, 1), default_value=7),
        numeric_column("x", normalizer_fn=Standardize(1.0, 2.0)),
        numeric_column("x", normalizer_fn=MinMax(1.0, 2.0)),
        numeric_column("x", normalizer_fn=Log1p()),
        HASHED,
        categorical_column_with_hash_bucket("n", 2**40, dtype="int32"),
        LISTED,
        categorical_column_with_vocabulary_list("n", [3, -1], dtype="int8", default_value=1),
        indicator_column(HASHED),
        indicator_column(LISTED),
        embedding_column(HASHED, 8),
        embedding_column(LISTED, 3, combiner="sqrtn", max_norm=1.5, trainable=False),
    ],
)
def test_a_column_survives_json(column: FeatureColumn) -> None:
    assert column_from_json(json.loads(json.dumps(column_to_json(column)))) == column


def test_what_is_written_is_the_call_that_makes_the_column() -> None:
    assert column_to_json(indicator_column(HASHED)) == {
        "type": "indicator_column",
        "categorical_column": {
            "type": "categorical_column_with_hash_bucket",
            "key": "word",
            "hash_bucket_size": 100,
            "dtype": "string",
        },
    }


def test_arguments_left_out_take_their_defaults() -> None:
    assert column_from_json({"type": "numeric_column", "key": "x"}) == numeric_column("x")


def test_an_initializer_has_done_its_work_and_is_not_written() -> None:
    column = embedding_column(HASHED, 8, initializer=Zeros())
    assert column_from_json(column_to_json(column)) == embedding_column(HASHED, 8)


def test_a_normalizer_without_a_name_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="register_normalizer"):
        column_to_json(numeric_column("x", normalizer_fn=lambda values: values))


@pytest.mark.parametrize("settings", [{"type": "magic_column", "key": "x"}, {"key": "x"}])
def test_an_unknown_type_is_refused_with_the_known_ones(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown column type .*; known are .*embedding_column.*numeric_column"):
        column_from_json(settings)


def test_what_the_makers_refuse_is_refused_here_too() -> None:
    with pytest.raises(ValueError, match="'word': hash_bucket_size"):
        column_from_json({"type": "categorical_column_with_hash_bucket", "key": "word", "hash_bucket_size": 0})


def test_reading_does_not_change_what_was_read() -> None:
    settings = column_to_json(embedding_column(HASHED, 8))
    before = json.dumps(settings)
    column_from_json(settings)
    assert json.dumps(settings) == before
