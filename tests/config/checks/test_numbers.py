"""Numbers that are missing, not finite, of a bad size, or always the same."""

from typing import Any

import numpy as np
import pytest
from checked_runs import profile_of, run_of, told

from raydnn.config.checks.numbers import constant_columns, missing_numbers, unscaled_numbers

LARGE = np.linspace(900, 1100, 50)


def test_missing_numbers_need_a_default() -> None:
    run = run_of({"x": "numeric", "z": {"column": "x", "buckets": [1]}, "ok": {"default": 0}})
    values = [1.0, 3.0, None, None]
    found = told(missing_numbers, run, profile_of(run, x=values, ok=values))
    text = "2 values (50 %) are missing; give a default, such as the mean 2"
    assert found == [("error", "features.x", text), ("error", "features.z", text)]


def test_numbers_that_are_not_finite_are_an_error_with_any_default() -> None:
    run = run_of({"x": {"default": 0}})
    ((level, _, text),) = told(missing_numbers, run, profile_of(run, x=[1.0, float("nan"), float("inf")]))
    assert (level, text) == ("error", "2 values are NaN or infinite and would make the loss NaN; mend the data")


def test_weights_of_rows_must_be_there_and_not_negative() -> None:
    run = run_of(data={"weight": "w"})
    found = told(missing_numbers, run, profile_of(run, x=[1, 2, 3], w=[None, -1.0, 1.0]))
    assert [(level, key) for level, key, _ in found] == [("error", "data.weight"), ("warning", "data.weight")]


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        ("numeric", LARGE),
        ("numeric", LARGE / 1e6),
        ({"normalize": {"mean": 0, "std": 59}}, LARGE),
        ({"normalize": {"min": 0, "max": 1}}, LARGE),
        ({"normalize": "log1p"}, np.exp(LARGE / 50)),
    ],
)
def test_unscaled_numbers_are_told_with_mean_and_deviation(feature: Any, values: Any) -> None:
    run = run_of({"x": feature})
    ((level, key, text),) = told(unscaled_numbers, run, profile_of(run, x=values))
    assert (level, key) == ("warning", "features.x")
    assert f"write normalize: {{mean: {values.mean():.6g}, std: {values.std():.6g}}}" in text


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        ("numeric", [0, 1] * 20),
        ({"normalize": {"mean": 1000, "std": 59}}, LARGE),
        ({"normalize": {"min": 900, "max": 1100}}, LARGE),
        ({"normalize": "log1p"}, LARGE),
        ({"buckets": [1000]}, LARGE),
    ],
)
def test_scaled_numbers_are_nothing_to_tell(feature: Any, values: Any) -> None:
    run = run_of({"x": feature})
    assert told(unscaled_numbers, run, profile_of(run, x=values)) == []


@pytest.mark.parametrize(
    ("feature", "values", "text"),
    [
        ("numeric", [2, 2], "is 2 in all rows"),
        ({"hash": 3}, ["a", "a"], "is 'a' in all rows"),
        ("numeric", [None, None], "has no value in any row"),
    ],
)
def test_a_constant_column_is_a_warning(feature: Any, values: Any, text: str) -> None:
    run = run_of({"x": feature})
    ((level, key, found),) = told(constant_columns, run, profile_of(run, x=values))
    assert (level, key, found) == ("warning", "features.x", f"{text}; leave the feature out")


@pytest.mark.parametrize(("feature", "values"), [({"hash": 3}, ["a", None]), ({"hash": 3}, [["a"], ["a", "a"]])])
def test_a_column_that_tells_by_being_missing_is_not_constant(feature: Any, values: Any) -> None:
    run = run_of({"x": feature})
    assert told(constant_columns, run, profile_of(run, x=values)) == []
