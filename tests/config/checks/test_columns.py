"""Columns that are not there, or hold something else."""

from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from checked_runs import profile_of, run_of, told

from raydnn.config.checks.columns import missing_columns, wrong_types
from raydnn.config.profile import profile_rows


def test_every_column_that_a_run_names_must_be_there() -> None:
    features = {
        "age": "numeric",
        "b": {"column": "other", "hash": 3, "weights": "own"},
        "c": {"cross": ["d", "age_buckets"], "hash": 5},
        "age_buckets": {"column": "age", "buckets": [1]},
    }
    run = run_of(features, data={"weight": "w"})
    found = told(missing_columns, run, profile_rows(pa.table({"ages": [1]})))
    assert {(level, key) for level, key, _ in found} == {
        ("error", key)
        for key in (
            "data.label",
            "data.weight",
            "features.age",
            "features.b",
            "features.b.weights",
            "features.c.cross.0",
            "features.age_buckets",
        )
    }
    assert "the data has no column 'age'; did you mean 'ages'?" in [text for _, _, text in found]


def test_columns_that_are_there_are_nothing_to_tell() -> None:
    run = run_of({"x": "numeric", "c": {"cross": ["d", "e"], "hash": 5}})
    assert told(missing_columns, run, profile_of(run, x=[1.0], d=["a"], e=["b"])) == []


@pytest.mark.parametrize(
    ("feature", "values", "way_out"),
    [
        ("numeric", ["a"], "declare hash or vocabulary"),
        ({"buckets": [1]}, ["a"], "declare hash or vocabulary"),
        ("numeric", [date(2020, 1, 1)], "make numbers or text of it"),
        ("numeric", [[1.0, 2.0]], "write shape: 2"),
        ("numeric", [[1.0, 2.0], [1.0]], "has 1 to 2 numbers a row"),
        ({"shape": 2}, [1.0], "the shape asks for 2"),
        ({"shape": 2}, [[1.0, 2.0], None], "has 0 to 2 numbers a row"),
        ({"hash": 3}, [1], "write dtype: int64"),
        ({"hash": 3}, [1.5], "declare buckets or a number"),
        ({"hash": 3}, [True], "declare buckets or a number"),
        ({"hash": 3, "dtype": "int64"}, ["a"], "reads whole numbers"),
        ({"identity": 3}, ["a"], "reads whole numbers"),
        ({"vocabulary": [1, 2]}, ["1"], "reads whole numbers"),
        ({"vocabulary": ["1"]}, [1], "write dtype: int64"),
        ({"hash": 3}, [{"a": 1}], "no feature reads"),
        ({"shape": 2}, pa.array([[1.0, 2.0], None], pa.list_(pa.float64(), 2)), "has 1 null rows among arrays"),
    ],
)
def test_a_column_of_a_wrong_type_is_told_with_the_way_out(feature: Any, values: Any, way_out: str) -> None:
    run = run_of({"x": feature})
    ((level, key, text),) = told(wrong_types, run, profile_of(run, x=values))
    assert (level, key) == ("error", "features.x")
    assert text.startswith("the column 'x' ")
    assert way_out in text


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        ("numeric", [1, 0]),
        ("numeric", [True]),
        ("numeric", [[1.0], [2.0]]),
        ("numeric", [None]),
        ({"shape": [2, 1]}, [[1.0, 2.0]]),
        ({"hash": 3}, [["a"], None]),
        ({"hash": 3, "dtype": "int32"}, [1]),
        ({"vocabulary": [1, 2]}, [[1]]),
        ({"vocabulary": ["a"]}, ["b"]),
        ({"identity": 3}, [2]),
    ],
)
def test_a_column_of_the_right_type_is_nothing_to_tell(feature: Any, values: Any) -> None:
    run = run_of({"x": feature})
    assert told(wrong_types, run, profile_of(run, x=values)) == []


def test_a_column_of_several_types_must_be_made_one() -> None:
    run = run_of()
    mixed = profile_of(run, x=[1]).merged(profile_of(run, x=["a"]))
    assert told(wrong_types, run, mixed) == [
        ("error", "features.x", "the column 'x' is of several types, int64 and string; make it one in the data")
    ]


def test_weights_must_be_numbers_as_many_as_values() -> None:
    run = run_of({"x": {"hash": 3, "weights": "w"}})
    values = [["a"], ["b", "c"]]
    ((_, key, text),) = told(wrong_types, run, profile_of(run, x=values, w=[[1.0], [2.0, 3.0]]))
    assert (key, "weights_dtype: float64" in text) == ("features.x.weights", True)
    floats = pa.list_(pa.float32())
    good = profile_of(run, x=values, w=pa.array([[1.0], [2.0, 3.0]], floats))
    assert told(wrong_types, run, good) == []
    short = profile_of(run, x=values, w=pa.array([[1.0], [2.0]], floats))
    assert "another number of values" in told(wrong_types, run, short)[0][2]


def test_the_weight_of_rows_must_be_a_number() -> None:
    run = run_of(data={"weight": "w"})
    assert told(wrong_types, run, profile_of(run, x=[1], w=["a"])) == [
        ("error", "data.weight", "the column 'w' holds string; a weight is one number a row")
    ]
