"""Normalizers with a name."""

import json
import math
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from raydnn.feature_column import normalizers, numeric_column, register_normalizer
from raydnn.feature_column.normalizers import Log1p, MinMax, Standardize, normalizer_from_json, normalizer_to_json


@pytest.fixture
def name() -> Iterator[str]:
    """A name that no other test has registered, free again afterwards."""
    fresh = f"test/{uuid4()}"
    yield fresh
    normalizers._REGISTERED.pop(fresh, None)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize(
    ("normalizer", "formula"),
    [
        (Standardize(3.0, 2.0), lambda x: (x - 3) / 2),
        (MinMax(-1.0, 4.0), lambda x: (x + 1) / 5),
        (Log1p(), lambda x: math.log(1 + max(x, 0))),
    ],
)
def test_values_of_any_dtype_are_normalized_by_the_formula(
    normalizer: normalizers.Function, formula: Callable[[float], float], dtype: Any
) -> None:
    values = np.array([[-5, 0], [3, 100]], dtype)
    expected = [[formula(float(x)) for x in row] for row in values]
    np.testing.assert_allclose(normalizer(values), expected, rtol=1e-12)


@pytest.mark.parametrize("std", [0.0, -1.0, math.nan])
def test_a_deviation_that_is_not_positive_is_refused(std: float) -> None:
    with pytest.raises(ValueError, match="std must be positive"):
        Standardize(0.0, std)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0), (math.nan, 1.0)])
def test_a_range_without_extent_is_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="low must be below high"):
        MinMax(low, high)


@pytest.mark.parametrize("normalizer", [Standardize(1.5, 2.0), MinMax(0.0, 10.0), Log1p()])
def test_a_normalizer_survives_json(normalizer: normalizers.Function) -> None:
    assert normalizer_from_json(json.loads(json.dumps(normalizer_to_json(normalizer)))) == normalizer


def test_a_registered_function_is_found_again_by_its_name(name: str) -> None:
    assert register_normalizer(name, np.tanh) is np.tanh
    assert normalizer_to_json(np.tanh) == {"name": name}
    assert normalizer_from_json({"name": name}) is np.tanh


def test_a_registered_function_works_as_a_normalizer_of_a_column(name: str) -> None:
    column = numeric_column("x", normalizer_fn=register_normalizer(name, np.abs))
    assert column.normalizer_fn is np.abs


def test_the_same_function_can_be_registered_again(name: str) -> None:
    register_normalizer(name, np.tanh)
    register_normalizer(name, np.tanh)


def test_a_name_is_not_given_to_two_functions(name: str) -> None:
    register_normalizer(name, np.tanh)
    with pytest.raises(ValueError, match=f"'{name}' is taken; choose another"):
        register_normalizer(name, np.sin)


@pytest.mark.parametrize("taken", ["standardize", "min_max", "log1p"])
def test_the_librarys_own_names_are_taken(taken: str) -> None:
    with pytest.raises(ValueError, match=f"'{taken}' is taken"):
        register_normalizer(taken, np.sin)


def test_a_function_without_a_name_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="has no name.*Standardize, MinMax, Log1p.*register_normalizer"):
        normalizer_to_json(lambda values: values)


def test_an_unknown_name_is_refused_with_a_way_out() -> None:
    with pytest.raises(ValueError, match="'nobody' is not known here; call .*register_normalizer"):
        normalizer_from_json({"name": "nobody"})
