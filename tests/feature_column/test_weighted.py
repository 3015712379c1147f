"""Weighted categorical columns: how ids and weights find each other."""

from typing import Any

import numpy as np
import pytest
from column_inputs import ids_of, network_input, row_number_initializer

from raydnn import SparseTensor, errors
from raydnn.feature_column import (
    VarLenFeature,
    bucketized_column,
    categorical_column_with_hash_bucket,
    categorical_column_with_identity,
    categorical_column_with_vocabulary_list,
    embedding_column,
    indicator_column,
    make_parse_example_spec,
    numeric_column,
    weighted_categorical_column,
)

WORD = categorical_column_with_vocabulary_list("word", ["a", "b", "c"])
COLUMN = weighted_categorical_column(WORD, "w")


def float32s(rows: Any) -> np.ndarray:
    return np.array(rows, np.float32)


def ragged(rows: list[list[float]], dtype: str = "float32") -> SparseTensor:
    indices = [(row, place) for row, values in enumerate(rows) for place in range(len(values))]
    flat = np.array([value for values in rows for value in values], dtype)
    return SparseTensor(np.array(indices).reshape(-1, 2), flat, (len(rows), max(map(len, rows), default=0)))


def test_a_weighted_column_is_named_after_both_features() -> None:
    assert COLUMN.name == "word_weighted_by_w"
    assert COLUMN.feature_keys == ("word", "w")
    assert COLUMN.num_buckets == 3
    assert make_parse_example_spec([COLUMN]) == {"word": VarLenFeature("string"), "w": VarLenFeature("float32")}


def test_an_indicator_adds_up_the_weights_of_each_id() -> None:
    features = {"word": [["a", "b", "a"], [], ["c"]], "w": ragged([[0.5, 2.0, 1.0], [], [-3.0]])}
    assert network_input([indicator_column(COLUMN)], features) == [[1.5, 2, 0], [0, 0, 0], [0, 0, -3]]


@pytest.mark.parametrize(
    ("combiner", "expected"),
    [
        ("sum", [1 * 2 + 2 * 4, 1 * 3 + 2 * -1, 0]),
        ("mean", [(1 * 2 + 2 * 4) / 6, 3 / 3, 0]),
        ("sqrtn", [(1 * 2 + 2 * 4) / np.sqrt(2**2 + 4**2), 3 / 3, 0]),
    ],
)
def test_an_embedding_weighs_its_vectors_and_only_sum_keeps_weights_that_are_not_positive(
    combiner: str, expected: list[float]
) -> None:
    column = embedding_column(COLUMN, 1, combiner=combiner, initializer=row_number_initializer)
    features = {"word": [["a", "b"], ["a", "b"], ["c"]], "w": ragged([[2, 4], [3, -1], [0]])}
    np.testing.assert_allclose(network_input([column], features), [[value] for value in expected], rtol=1e-6)


def test_the_weight_of_an_unknown_word_goes_with_it() -> None:
    column = embedding_column(COLUMN, 1, initializer=row_number_initializer)
    assert network_input([column], {"word": [["?", "b"]], "w": ragged([[5, 2]])}) == [[2]]


def test_missing_entries_of_dense_features_have_neither_id_nor_weight() -> None:
    features = {"word": np.array([["a", "", "b"], ["", "", "c"]]), "w": float32s([[2, 0, 3], [0, 0, 4]])}
    assert network_input([indicator_column(COLUMN)], features) == [[2, 3, 0], [0, 0, 4]]


def test_what_remains_of_dense_features_is_paired_in_order_even_across_rows() -> None:
    features = {"word": np.array([["a", "b"], ["", ""]]), "w": float32s([[1, 0], [0, 2]])}
    assert network_input([indicator_column(COLUMN)], features) == [[1, 2, 0], [0, 0, 0]]


def test_one_dense_value_a_row_is_paired_row_by_row() -> None:
    features = {"word": np.array(["c", "", "a"]), "w": float32s([2, 0, 3])}
    assert network_input([indicator_column(COLUMN)], features) == [[0, 0, 2], [0, 0, 0], [3, 0, 0]]


def test_a_zero_weight_in_a_sparse_feature_is_a_weight() -> None:
    features = {"word": [["a", "b"]], "w": ragged([[0, 3]])}
    assert network_input([indicator_column(COLUMN)], features) == [[0, 3, 0]]


def test_a_dense_id_may_have_sparse_weights() -> None:
    features = {"word": np.array([["a", ""], ["b", "c"]]), "w": ragged([[1], [2, 3]])}
    assert network_input([indicator_column(COLUMN)], features) == [[1, 0, 0], [0, 2, 3]]


@pytest.mark.parametrize("dtype", ["int32", "int64", "float64", "float32"])
def test_weights_of_the_declared_dtype_are_cast(dtype: str) -> None:
    column = weighted_categorical_column(WORD, "w", dtype=dtype)
    for weights in (np.array([[2, 3]], dtype), ragged([[2, 3]], dtype)):
        assert network_input([indicator_column(column)], {"word": [["a", "b"]], "w": weights}) == [[2, 3, 0]]


@pytest.mark.parametrize(
    ("categorical", "ids"),
    [
        (categorical_column_with_identity("f", 3), np.array([[0, 2]])),
        (bucketized_column(numeric_column("f", 2), [0.0]), np.array([[-1.0, 1.0]])),
        (categorical_column_with_vocabulary_list("f", [5, 6, 7, 8]), [[5, 8]]),
    ],
)
def test_any_categorical_column_can_be_weighted(categorical: Any, ids: Any) -> None:
    column = weighted_categorical_column(categorical, "w")
    (row,) = network_input([indicator_column(column)], {"f": ids, "w": float32s([[2, 3]])})
    places = ids_of(categorical, {"f": ids})[0]
    assert [row[place] for place in places] == [2, 3]
    assert sum(row) == 5


def test_a_column_may_be_used_with_and_without_weights() -> None:
    features = {"word": [["a", "a"]], "w": ragged([[2, 3]])}
    columns = [indicator_column(WORD), indicator_column(COLUMN)]
    assert network_input(columns, features) == [[2, 0, 0, 5, 0, 0]]


@pytest.mark.parametrize(
    ("words", "weights"),
    [
        ([["a", "b"]], [[1.0]]),
        ([["a"]], [[1.0, 2.0]]),
        (np.array([["a", "b"]]), float32s([[1, 0]])),
        (np.array([["a", ""]]), float32s([[1, 2]])),
        ([[]], [[1.0]]),
    ],
)
def test_other_numbers_of_ids_and_weights_are_refused(words: Any, weights: Any) -> None:
    given = weights if isinstance(weights, np.ndarray) else ragged(weights)
    with pytest.raises(errors.InvalidArgumentError, match="'word_weighted_by_w' has . ids but . weights in a batch"):
        ids_of(COLUMN, {"word": words, "w": given})


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_floating_weights_of_any_width_are_taken(dtype: str) -> None:
    # TensorFlow 2.15.1 makes all floating features float32 before columns see them: 1e-60 is 0 then, and missing.
    tiny = np.array([[1.5, 1e-60]], dtype)
    found = network_input([indicator_column(COLUMN)], {"word": np.array([["a", ""]]), "w": tiny})
    assert np.asarray(found).tolist() == [[1.5, 0.0, 0.0]]


@pytest.mark.parametrize("dtype", ["int64", "int32"])
def test_weights_of_another_dtype_are_refused(dtype: str) -> None:
    with pytest.raises(ValueError, match=f"weights are declared with dtype float32 but feature 'w' holds {dtype}"):
        ids_of(COLUMN, {"word": [["a"]], "w": np.array([1], dtype)})


@pytest.mark.parametrize("absent", ["word", "w"])
def test_both_features_are_needed(absent: str) -> None:
    features = {"word": [["a"]], "w": ragged([[1]])}
    del features[absent]
    with pytest.raises(ValueError, match=f"'{absent}' is not in features dictionary"):
        ids_of(COLUMN, features)


@pytest.mark.parametrize("dtype", ["string", "bool", None])
def test_weights_that_are_no_numbers_cannot_be_declared(dtype: Any) -> None:
    with pytest.raises(ValueError, match="dtype"):
        weighted_categorical_column(WORD, "w", dtype=dtype)


@pytest.mark.parametrize("column", ["word", None, numeric_column("word"), indicator_column(WORD)])
def test_only_a_categorical_column_can_be_weighted(column: Any) -> None:
    with pytest.raises(ValueError, match="weighted_categorical_column needs a categorical column"):
        weighted_categorical_column(column, "w")


@pytest.mark.parametrize("key", [None, 3, WORD])
def test_a_weight_key_that_is_no_string_is_refused(key: Any) -> None:
    with pytest.raises(ValueError, match="key must be a str"):
        weighted_categorical_column(WORD, key)


def test_a_feature_cannot_be_parsed_as_ids_and_as_weights() -> None:
    column = weighted_categorical_column(categorical_column_with_hash_bucket("f", 3, dtype="int64"), "f", "int64")
    with pytest.raises(ValueError, match="the weight feature is also read as a categorical feature"):
        make_parse_example_spec([column])
