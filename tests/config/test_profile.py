"""Profiles of rows, whole and in parts."""

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydnn.config.profile import ColumnProfile, Profile, merge, profile_rows

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "number": st.none() | st.floats(-1e3, 1e3) | st.just(float("nan")),
            "whole": st.none() | st.integers(-5, 5),
            "word": st.none() | st.text(max_size=2),
            "flag": st.booleans(),
            "words": st.none() | st.lists(st.none() | st.sampled_from("abc"), max_size=3),
        }
    ),
    min_size=1,
    max_size=30,
)
SCHEMA = pa.schema(
    {
        "number": pa.float64(),
        "whole": pa.int32(),
        "word": pa.string(),
        "flag": pa.bool_(),
        "words": pa.list_(pa.string()),
    }
)
WATCHED = {"word": pa.array(["", "a"]), "words": pa.array(["a", "b"])}


def column(values: Any, arrow_type: Any = None) -> ColumnProfile:
    return profile_rows(pa.table({"x": pa.array(values, arrow_type)})).columns["x"]


def facts(profile: Profile) -> dict[str, Any]:
    return {
        name: (
            each.layouts,
            (each.rows, each.missing, each.values, each.missing_values, each.zeros, each.not_finite, each.watched),
            (each.lengths.count, each.moments.count, each.moments.min, each.moments.max),
            sorted(each.sketch.top(100), key=repr),
        )
        for name, each in profile.columns.items()
    }


def means(profile: Profile) -> list[float]:
    of = [moments for each in profile.columns.values() for moments in (each.moments, each.log_moments, each.lengths)]
    return [number for moments in of for number in (moments.mean, moments.m2)]


@settings(max_examples=40, deadline=None)
@given(ROWS, st.lists(st.integers(0, 30), max_size=3))
def test_the_profile_of_the_whole_is_that_of_its_parts(rows: list[dict[str, Any]], cuts: list[int]) -> None:
    table = pa.Table.from_pylist(rows, SCHEMA)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [profile_rows(table.slice(low, high - low), WATCHED) for low, high in pairwise(edges)]
    whole = profile_rows(table, WATCHED)
    from_left = merge(parts)
    from_right = Profile()
    for part in reversed(parts):
        from_right = part.merged(from_right)
    assert whole.rows == from_left.rows == from_right.rows == len(rows)
    for merged in (from_left, from_right):
        assert facts(merged) == facts(whole)
        assert means(merged) == pytest.approx(means(whole), rel=1e-9, abs=1e-6)


def test_values_of_lists_are_counted_beside_their_rows() -> None:
    found = column([["a", "b"], None, [], ["a", None]])
    assert (found.kind, found.is_list, found.type) == ("string", True, "list<item: string>")
    assert (found.rows, found.missing, found.values, found.missing_values) == (4, 1, 3, 1)
    assert (found.lengths.min, found.lengths.max, found.lengths.mean) == (0, 2, 1)
    assert found.sketch.top(1) == [("a", 2)]


def test_arrays_within_arrays_are_laid_flat() -> None:
    found = column([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], pa.list_(pa.list_(pa.int64(), 2), 2))
    assert (found.values, found.lengths.min, found.lengths.max, found.moments.max) == (8, 4, 4, 8)


@pytest.mark.parametrize(
    ("values", "arrow_type", "kind", "distinct"),
    [
        ([1, 2, 2], pa.uint8(), "integer", 2),
        ([1.5, float("nan"), None], pa.float32(), "float", 1),
        ([True, False], pa.bool_(), "boolean", 2),
        (["a", "a"], pa.dictionary(pa.int32(), pa.string()), "string", 1),
        ([b"a", b"\xff"], pa.binary(), "string", 2),
        (["a"], pa.string_view(), "string", 1),
        ([1, 2], pa.date32(), "time", 2),
        ([1, 2], pa.timestamp("us", "UTC"), "time", 2),
        ([None], pa.null(), "null", 0),
        ([{"a": 1}], None, "other", 0),
        ([[[1], [2]]], None, "other", 0),
        ([(1, 2, 3)], pa.month_day_nano_interval(), "other", 0),
        ([np.float16(1.5)], pa.float16(), "float", 1),
        ([2**64 - 1, 1], pa.uint64(), "integer", 2),
        ([], pa.int64(), "integer", 0),
    ],
)
def test_each_type_is_of_a_kind(values: Any, arrow_type: Any, kind: str, distinct: int) -> None:
    found = column(values, arrow_type)
    assert (found.kind, found.distinct) == (kind, distinct)


def test_parts_of_several_types_are_joined_where_that_makes_sense() -> None:
    whole, decimal, text, none = column([1, 2]), column([0.5]), column(["x"]), column([None], pa.null())
    assert (whole.merged(decimal).kind, whole.merged(decimal).type) == ("float", "double and int64")
    assert (none.merged(whole).kind, none.merged(whole).type) == ("integer", "int64")
    assert whole.merged(text).kind == "mixed"
    assert sorted(whole.merged(text).sketch.top(9)) == [("1", 1), ("2", 1), ("x", 1)]
    assert column([1]).merged(column([[1]])).kind == "mixed"


def test_a_column_that_a_part_lacks_is_missing_there() -> None:
    merged = merge([profile_rows(pa.table({"a": [1]})), profile_rows(pa.table({"a": [1], "b": [2]}))])
    assert list(merged.columns) == ["a", "b"]
    assert (merged.columns["b"].rows, merged.columns["b"].missing) == (2, 1)


def test_what_counts_as_absent_for_a_category() -> None:
    assert column(["", None, "a"]).absent == 2
    assert column([-1, 3, None, -1]).absent == 3
    assert column([[""], None, ["a"]]).absent == 1


def test_watched_values_are_counted_across_types() -> None:
    table = pa.table({"x": np.array([1, 2, 3, 3], np.int32), "y": ["1", "2", "3", "3"]})
    found = profile_rows(table, {"x": pa.array([3, 9]), "y": pa.array([3])})
    assert (found.columns["x"].watched, found.columns["y"].watched) == (2, 0)
