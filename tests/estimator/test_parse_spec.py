"""How the examples of a classifier are laid out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raydnn
from raydnn.estimator import classifier_parse_example_spec
from raydnn.feature_column import (
    FixedLenFeature,
    VarLenFeature,
    bucketized_column,
    categorical_column_with_hash_bucket,
    categorical_column_with_identity,
    categorical_column_with_vocabulary_file,
    categorical_column_with_vocabulary_list,
    crossed_column,
    embedding_column,
    indicator_column,
    make_parse_example_spec,
    numeric_column,
    shared_embedding_columns,
    shared_embeddings,
    weighted_categorical_column,
)
from raydnn.feature_column.columns import FeatureColumn
from raydnn.feature_column.parse_spec import FeatureSpec

X = numeric_column("x")
X_SPEC = FixedLenFeature((1,), "float32", None)
IDENTITY = categorical_column_with_identity("i", 5)
WORDS = categorical_column_with_vocabulary_list("v", ["a", "b"])
CROSSED = crossed_column(["raw", WORDS, IDENTITY, bucketized_column(X, [0.0]), crossed_column(["b", "raw"], 3)], 9)
CROSSED_SPEC = {
    "raw": VarLenFeature("string"),
    "v": VarLenFeature("string"),
    "i": VarLenFeature("int64"),
    "x": X_SPEC,
    "b": VarLenFeature("string"),
}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (X, {"x": X_SPEC}),
        (
            numeric_column("x", (2, 2), default_value=3, dtype="int64"),
            {"x": FixedLenFeature((2, 2), "int64", (3, 3, 3, 3))},
        ),
        (
            bucketized_column(numeric_column("x", 2, default_value=[1.0, 2.0]), [0.0]),
            {"x": FixedLenFeature((2,), "float32", (1.0, 2.0))},
        ),
        (categorical_column_with_hash_bucket("h", 5), {"h": VarLenFeature("string")}),
        (categorical_column_with_hash_bucket("h", 5, dtype="int64"), {"h": VarLenFeature("int64")}),
        (WORDS, {"v": VarLenFeature("string")}),
        (categorical_column_with_vocabulary_list("v", [1, 2]), {"v": VarLenFeature("int64")}),
        (categorical_column_with_vocabulary_file("f", "words.txt", 3), {"f": VarLenFeature("string")}),
        (categorical_column_with_vocabulary_file("f", "words.txt", 3, dtype="int64"), {"f": VarLenFeature("int64")}),
        (IDENTITY, {"i": VarLenFeature("int64")}),
        (weighted_categorical_column(WORDS, "w"), {"v": VarLenFeature("string"), "w": VarLenFeature("float32")}),
        (
            weighted_categorical_column(IDENTITY, "w", dtype="int64"),
            {"i": VarLenFeature("int64"), "w": VarLenFeature("int64")},
        ),
        (CROSSED, CROSSED_SPEC),
        (indicator_column(CROSSED), CROSSED_SPEC),
        (embedding_column(CROSSED, 2), CROSSED_SPEC),
        (shared_embedding_columns([CROSSED], 2)[0], CROSSED_SPEC),
        (shared_embeddings([IDENTITY], 2)[0], {"i": VarLenFeature("int64")}),
    ],
)
def test_each_column_declares_the_features_it_reads(column: FeatureColumn, expected: dict[str, FeatureSpec]) -> None:
    assert make_parse_example_spec([column]) == expected


def test_columns_of_one_feature_share_its_layout() -> None:
    columns = [X, bucketized_column(X, [0.0]), indicator_column(IDENTITY), embedding_column(IDENTITY, 2)]
    assert make_parse_example_spec(columns) == {"x": X_SPEC, "i": VarLenFeature("int64")}


@pytest.mark.parametrize(
    "other",
    [
        crossed_column(["x", "y"], 5),
        categorical_column_with_identity("x", 5),
        numeric_column("x", default_value=1.0),
        weighted_categorical_column(IDENTITY, "x"),
    ],
)
def test_one_feature_in_two_layouts_is_refused(other: FeatureColumn) -> None:
    with pytest.raises(ValueError, match="'x' is declared in two ways"):
        make_parse_example_spec([X, other])


def test_a_cross_whose_leaves_read_one_feature_in_two_layouts_is_refused() -> None:
    with pytest.raises(ValueError, match="'i' is declared in two ways"):
        make_parse_example_spec([crossed_column(["i", IDENTITY], 5)])


@pytest.mark.parametrize(
    "columns",
    [
        [numeric_column("i"), embedding_column(IDENTITY, 2)],
        [embedding_column(IDENTITY, 2), indicator_column(crossed_column(["i", "j"], 5))],
        [indicator_column(crossed_column(["i", IDENTITY], 5))],
        [
            embedding_column(categorical_column_with_hash_bucket("i", 5, dtype="int32"), 2),
            indicator_column(IDENTITY),
        ],
    ],
)
def test_layouts_that_cannot_be_parsed_together_can_be_read_from_arrays(
    columns: list[FeatureColumn], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="'i' is declared in two ways"):
        make_parse_example_spec(columns)
    classifier = raydnn.DNNClassifier([2], columns, model_dir=tmp_path, weight_column="j")
    features = {"i": np.array([1, 2]), "j": np.array([3, 4])}
    classifier.train(lambda: (features, np.array([0, 1])), steps=1)
    assert len(list(classifier.predict(lambda: iter([features])))) == 2


def test_a_classifiers_examples_also_have_the_label() -> None:
    spec = classifier_parse_example_spec([X, embedding_column(WORDS, 2)], "y")
    assert spec == {"x": X_SPEC, "v": VarLenFeature("string"), "y": FixedLenFeature((1,), "int64", None)}
    assert list(spec) == ["x", "v", "y"]


@pytest.mark.parametrize(
    ("dtype", "default"), [("string", None), ("string", "no"), ("int64", 0), ("float32", 0.5), (str, None)]
)
def test_the_label_has_the_dtype_and_default_that_are_asked_for(dtype: Any, default: Any) -> None:
    spec = classifier_parse_example_spec([X], "y", dtype, default)
    assert spec["y"] == FixedLenFeature((1,), dtype, default)


@pytest.mark.parametrize(
    ("weight_column", "expected"),
    [
        ("w", FixedLenFeature((1,), "float32", None)),
        (numeric_column("w"), FixedLenFeature((1,), "float32", None)),
        (numeric_column("w", dtype="int64", default_value=1), FixedLenFeature((1,), "int64", (1,))),
        (numeric_column("w", normalizer_fn=lambda values: values), FixedLenFeature((1,), "float32", None)),
    ],
)
def test_a_classifiers_examples_also_have_the_weight(weight_column: Any, expected: FeatureSpec) -> None:
    assert classifier_parse_example_spec([X], "y", weight_column=weight_column)["w"] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label_key": "x"}, "the label 'x' is also used"),
        ({"label_key": "y", "weight_column": "x"}, "the weight 'x' is also used"),
        ({"label_key": "y", "weight_column": numeric_column("x")}, "the weight 'x' is also used"),
        ({"label_key": "y", "weight_column": "y"}, "the weight 'y' is also used"),
        ({"label_key": "y", "weight_column": 3}, "weight_column must be a feature name or a numeric_column"),
        ({"label_key": "y", "weight_column": IDENTITY}, "weight_column must be a feature name or a numeric_column"),
        (
            {"label_key": "y", "weight_column": bucketized_column(numeric_column("w"), [0.0])},
            "weight_column must be a feature name or a numeric_column",
        ),
    ],
)
def test_a_label_or_weight_that_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier_parse_example_spec([X], **arguments)


def test_a_label_of_no_known_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match="not supported"):
        classifier_parse_example_spec([X], "y", "complex64")


@pytest.mark.parametrize("columns", [["x"], [None], [{"x": X}]])
def test_an_item_that_is_no_column_is_refused(columns: list[Any]) -> None:
    with pytest.raises(ValueError, match="must hold feature columns"):
        classifier_parse_example_spec(columns, "y")
