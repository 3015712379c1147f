"""How raw features lie in a serialized example."""

from typing import Any

import numpy as np
import pytest

from raydnn.feature_column import (
    FixedLenFeature,
    VarLenFeature,
    categorical_column_with_hash_bucket,
    categorical_column_with_vocabulary_list,
    embedding_column,
    indicator_column,
    make_parse_example_spec,
    numeric_column,
)
from raydnn.feature_column.columns import FeatureColumn
from raydnn.feature_column.parse_spec import FeatureSpec, merge_specs

HASHED = categorical_column_with_hash_bucket("word", 5)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (numeric_column("x"), {"x": FixedLenFeature((1,), "float32", None)}),
        (
            numeric_column("x", (2, 2), default_value=1, dtype="int64"),
            {"x": FixedLenFeature((2, 2), "int64", (1, 1, 1, 1))},
        ),
        (HASHED, {"word": VarLenFeature("string")}),
        (categorical_column_with_hash_bucket("n", 5, dtype="int32"), {"n": VarLenFeature("int32")}),
        (categorical_column_with_vocabulary_list("n", [1, 2]), {"n": VarLenFeature("int64")}),
        (indicator_column(HASHED), {"word": VarLenFeature("string")}),
        (embedding_column(HASHED, 3), {"word": VarLenFeature("string")}),
    ],
)
def test_each_column_declares_the_features_it_reads(column: FeatureColumn, expected: dict[str, FeatureSpec]) -> None:
    assert make_parse_example_spec([column]) == expected


def test_features_come_in_the_order_of_the_columns_and_shared_ones_once() -> None:
    columns = [numeric_column("z"), embedding_column(HASHED, 3), indicator_column(HASHED), numeric_column("a")]
    assert list(make_parse_example_spec(iter(columns))) == ["z", "word", "a"]


def test_no_columns_read_nothing() -> None:
    assert make_parse_example_spec([]) == {}


@pytest.mark.parametrize("item", ["x", None, {"x": 1}])
def test_an_item_that_is_no_column_is_refused(item: Any) -> None:
    with pytest.raises(ValueError, match="must hold feature columns; got"):
        make_parse_example_spec([numeric_column("x"), item])


@pytest.mark.parametrize(
    "other", [numeric_column("word"), categorical_column_with_hash_bucket("word", 5, dtype="int64")]
)
def test_one_feature_declared_in_two_ways_is_refused(other: FeatureColumn) -> None:
    with pytest.raises(ValueError, match="'word' is declared in two ways: .*VarLenFeature"):
        make_parse_example_spec([HASHED, other])


def test_merging_adds_what_is_new_and_leaves_what_is_equal() -> None:
    specs: dict[str, FeatureSpec] = {"a": VarLenFeature("string")}
    merge_specs(specs, {"a": VarLenFeature("string"), "b": FixedLenFeature((), "int64")})
    assert specs == {"a": VarLenFeature("string"), "b": FixedLenFeature((), "int64")}


def test_shapes_and_dtypes_are_brought_to_one_form() -> None:
    assert FixedLenFeature(np.array([2, 3]), np.float32) == FixedLenFeature((2, 3), "float32")  # type: ignore[arg-type]
    assert VarLenFeature(str) == VarLenFeature("string")  # type: ignore[arg-type]


def test_a_bad_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match="not supported"):
        VarLenFeature("complex64")
