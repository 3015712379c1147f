"""Bucketized columns: edges, the two forms, and what they refuse."""

import math
from typing import Any

import numpy as np
import pytest
from column_inputs import ids_of, network_input, row_number_initializer
from hypothesis import given, settings
from hypothesis import strategies as st

from raydnn.feature_column import (
    bucketized_column,
    categorical_column_with_identity,
    embedding_column,
    indicator_column,
    make_parse_example_spec,
    numeric_column,
)

X = numeric_column("x")
EDGES = [
    (-math.inf, 0),
    (-1e-30, 0),
    (0.0, 1),
    (-0.0, 1),
    (0.5, 1),
    (np.nextafter(np.float32(1), np.float32(0)), 1),
    (1.0, 2),
    (7.0, 2),
    (math.inf, 2),
    (math.nan, 2),
]


def test_a_bucketized_column_is_named_after_its_source() -> None:
    column = bucketized_column(numeric_column("x", 3), [0.0, 1.0])
    assert column.name == "x_bucketized"
    assert column.feature_keys == ("x",)
    assert column.variable_shape == (3, 3)
    assert column.num_buckets == 9
    assert column.parse_example_spec == make_parse_example_spec([numeric_column("x", 3)])


@pytest.mark.parametrize(("value", "bucket"), EDGES)
def test_a_bucket_has_its_lower_boundary_and_the_last_one_also_nan(value: float, bucket: int) -> None:
    column = bucketized_column(X, [0, 1])
    features = {"x": np.array([value], np.float32)}
    assert ids_of(column, features) == [[bucket]]
    assert network_input([column], features) == [[float(place == bucket) for place in range(3)]]


def test_one_boundary_makes_two_buckets() -> None:
    assert network_input([bucketized_column(X, (3.0,))], {"x": np.array([2.9, 3.0])}) == [[1, 0], [0, 1]]


def test_several_values_a_row_stand_one_hot_side_by_side() -> None:
    column = bucketized_column(numeric_column("x", 2), [0.0])
    assert network_input([column], {"x": np.array([[-1.0, 1.0], [1.0, -1.0]])}) == [[1, 0, 0, 1], [0, 1, 1, 0]]


def test_each_place_of_a_row_has_ids_of_its_own() -> None:
    column = bucketized_column(numeric_column("x", 3), [0.0, 1.0])
    features = {"x": np.array([[-1.0, 0.0, 1.0], [2.0, 2.0, 2.0]])}
    assert ids_of(column, features) == [[0, 3 + 1, 6 + 2], [2, 5, 8]]


def test_as_ids_every_value_is_present_in_an_indicator_and_in_an_embedding() -> None:
    column = bucketized_column(numeric_column("x", 2), [0.0])
    features = {"x": np.array([[-1.0, 1.0]])}
    assert network_input([indicator_column(column)], features) == [[1, 0, 0, 1]]
    embedded = embedding_column(column, 1, combiner="sum", initializer=row_number_initializer)
    assert network_input([embedded], features) == [[1 + 4]]


def test_one_source_may_be_numeric_and_bucketized_at_once() -> None:
    assert network_input([X, bucketized_column(X, [0.0])], {"x": np.array([2.0])}) == [[2, 0, 1]]


def test_buckets_are_those_of_the_normalised_value() -> None:
    column = bucketized_column(numeric_column("x", normalizer_fn=lambda values: values * 10), [10.0])
    assert ids_of(column, {"x": np.array([0.9, 1.0])}) == [[0], [1]]


def test_values_and_boundaries_are_compared_as_float32() -> None:
    column = bucketized_column(X, [0.1, 1.0])
    just_below = np.array([0.1 - 1e-12, 1.0 - 1e-12])
    assert ids_of(column, {"x": just_below}) == [[1], [2]]


@pytest.mark.parametrize("values", [np.array([1, 3]), np.array([1, 3], np.int8), [1, 3], np.array([[1.0], [3.0]])])
def test_integers_and_any_shape_of_one_value_a_row_are_read(values: Any) -> None:
    assert ids_of(bucketized_column(X, [2]), {"x": values}) == [[0], [1]]


def test_the_default_of_the_source_stands_for_a_missing_value() -> None:
    column = bucketized_column(numeric_column("x", default_value=5.0), [2.0])
    assert ids_of(column, {"x": [1.0, None]}) == [[0], [1]]


float32s = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(float32s, min_size=1, max_size=5, unique=True).map(sorted),
    st.lists(st.floats(width=32), min_size=1, max_size=8),
)
def test_the_bucket_is_the_number_of_boundaries_not_above_the_value(
    boundaries: list[float], values: list[float]
) -> None:
    found = ids_of(bucketized_column(X, boundaries), {"x": np.array(values, np.float32)})
    at_the_end = len(boundaries)
    expected = [at_the_end if math.isnan(value) else sum(edge <= value for edge in boundaries) for value in values]
    assert found == [[bucket] for bucket in expected]


@pytest.mark.parametrize("source", ["x", None, categorical_column_with_identity("x", 3), bucketized_column(X, [0.0])])
def test_only_a_numeric_column_can_be_cut_into_buckets(source: Any) -> None:
    with pytest.raises(ValueError, match="source_column must be a numeric_column"):
        bucketized_column(source, [0.0])


def test_a_source_of_two_dimensions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'x' must have one dimension; it has shape \(2, 2\)"):
        bucketized_column(numeric_column("x", (2, 2)), [0.0])


@pytest.mark.parametrize("boundaries", [[], (), None, 1.0, "12", {0.0, 1.0}, np.array([0.0, 1.0])])
def test_boundaries_that_are_no_list_of_numbers_are_refused(boundaries: Any) -> None:
    with pytest.raises(ValueError, match="boundaries of 'x' must be a list of numbers"):
        bucketized_column(X, boundaries)


@pytest.mark.parametrize("boundaries", [[1.0, 1.0], [2.0, 1.0], [0.0, 1.0, 0.5], [0.0, math.nan]])
def test_boundaries_that_do_not_increase_are_refused(boundaries: list[float]) -> None:
    with pytest.raises(ValueError, match="boundaries of 'x' must increase"):
        bucketized_column(X, boundaries)


@pytest.mark.parametrize(
    ("values", "message"),
    [(np.array(["a"]), "declared numeric"), (np.zeros((1, 2)), r"shape \(1,\)")],
)
def test_what_the_source_cannot_read_is_refused(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ids_of(bucketized_column(X, [0.0]), {"x": values})


def test_a_missing_feature_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'x' is not in features dictionary"):
        ids_of(bucketized_column(X, [0.0]), {"y": np.array([1.0])})
