"""Identity columns: integers that are ids, in and out of range."""

from typing import Any

import numpy as np
import pytest
from column_inputs import ids_of, network_input, row_number_initializer

from raydnn import errors
from raydnn.feature_column import (
    VarLenFeature,
    categorical_column_with_identity,
    embedding_column,
    indicator_column,
    make_parse_example_spec,
)

THREE = categorical_column_with_identity("n", 3)
WITH_DEFAULT = categorical_column_with_identity("n", 3, default_value=1)


def test_an_identity_column_is_named_after_its_feature() -> None:
    assert THREE.name == "n"
    assert THREE.feature_keys == ("n",)
    assert THREE.num_buckets == 3
    assert make_parse_example_spec([THREE]) == {"n": VarLenFeature("int64")}


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"])
def test_an_integer_of_any_width_is_its_own_id(dtype: str) -> None:
    assert ids_of(THREE, {"n": np.array([2, 0, 1], dtype)}) == [[2], [0], [1]]
    assert ids_of(THREE, {"n": [[2, 2], [], [1]]}) == [[2, 2], [], [1]]


@pytest.mark.parametrize("value", [3, 100, 2**40, -5, -(2**40)])
@pytest.mark.parametrize("is_dense", [True, False])
def test_a_default_replaces_what_is_out_of_range(value: int, is_dense: bool) -> None:
    features = {"n": np.array([value]) if is_dense else [[value]]}
    assert ids_of(WITH_DEFAULT, features) == [[1]]


def test_a_dense_minus_one_is_missing_but_an_explicit_one_gets_the_default() -> None:
    assert network_input([indicator_column(WITH_DEFAULT)], {"n": np.array([-1, 2])}) == [[0, 0, 0], [0, 0, 1]]
    assert network_input([indicator_column(WITH_DEFAULT)], {"n": [[-1], [2]]}) == [[0, 1, 0], [0, 0, 1]]


def test_a_missing_value_does_not_get_the_default() -> None:
    assert network_input([indicator_column(WITH_DEFAULT)], {"n": [None, 2]}) == [[0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("value", [3, 2**31, 2**32, 2**32 + 1, 2**62])
def test_without_default_a_too_large_id_counts_nowhere_in_an_indicator(value: int) -> None:
    assert network_input([indicator_column(THREE)], {"n": [[value, 1]]}) == [[0, 1, 0]]


@pytest.mark.parametrize("value", [3, 2**32, 2**32 + 1])
def test_without_default_an_embedding_refuses_a_too_large_id(value: int) -> None:
    with pytest.raises(errors.InvalidArgumentError, match=rf"'n_embedding': id {value} is not in \[0, 3\)"):
        network_input([embedding_column(THREE, 2)], {"n": np.array([0, value])})


@pytest.mark.parametrize("value", [-1, -2, -(2**40)])
def test_without_default_a_negative_id_is_left_out(value: int) -> None:
    features = {"n": [[value, 2], [value]]}
    assert network_input([indicator_column(THREE)], features) == [[0, 0, 1], [0, 0, 0]]
    embedded = embedding_column(THREE, 1, initializer=row_number_initializer)
    assert network_input([embedded], features) == [[3], [0]]


@pytest.mark.parametrize("num_buckets", [0, -1, None])
def test_fewer_than_one_bucket_is_refused(num_buckets: Any) -> None:
    with pytest.raises(ValueError, match=f"'n': num_buckets must be 1 or more; got {num_buckets}"):
        categorical_column_with_identity("n", num_buckets)


@pytest.mark.parametrize("default", [-1, 3, 100])
def test_a_default_that_is_no_id_is_refused(default: int) -> None:
    with pytest.raises(ValueError, match=rf"'n': default_value must be in \[0, 3\); got {default}"):
        categorical_column_with_identity("n", 3, default)


@pytest.mark.parametrize("key", [None, 3, b"n"])
def test_a_key_that_is_no_string_is_refused(key: Any) -> None:
    with pytest.raises(ValueError, match="key must be a str"):
        categorical_column_with_identity(key, 3)


@pytest.mark.parametrize("values", [np.array(["1"]), np.array([1.0]), [[True]], [["1"], []]])
def test_values_that_are_no_integers_are_refused(values: Any) -> None:
    with pytest.raises(ValueError, match="column 'n' is declared with dtype int64 but feature 'n' holds"):
        ids_of(THREE, {"n": values})
