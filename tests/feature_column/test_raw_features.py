"""Raw Arrow columns as feature columns read them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raydnn.feature_column.columns import CategoricalColumn, Ids
from raydnn.feature_column.raw_features import SPARSE_MARK, RawFeatures, flatten, map_to_ids, missing_in_dense


def lengths_as_ids(values: pa.Array) -> np.ndarray:
    return np.array([len(value) if value is not None else 99 for value in values.to_pylist()], np.int64)


# --- One batch


def test_a_feature_is_found_by_its_name() -> None:
    features = RawFeatures(pa.RecordBatch.from_pydict({"a": [1, 2], "b": ["x", "y"]}))
    assert features.num_rows == 2
    assert features.array("b").to_pylist() == ["x", "y"]


@pytest.mark.parametrize(("names", "found"), [(["b", "a"], "a, b"), ([], "nothing")])
def test_a_missing_feature_is_refused_with_those_that_are_there(names: list[str], found: str) -> None:
    features = RawFeatures(pa.RecordBatch.from_pydict({name: [1] for name in names}))
    with pytest.raises(ValueError, match=f"'age' is not in features dictionary: the input has {found}. Return it"):
        features.array("age")


def test_only_a_marked_column_is_a_sparse_tensor() -> None:
    lists = pa.array([[1], [2]])
    schema = pa.schema([pa.field("marked", lists.type, metadata=SPARSE_MARK), pa.field("plain", lists.type)])
    features = RawFeatures(pa.RecordBatch.from_arrays([lists, lists], schema=schema))
    assert features.is_sparse_tensor("marked")
    assert not features.is_sparse_tensor("plain")


def test_a_feature_is_laid_flat_once() -> None:
    features = RawFeatures(pa.RecordBatch.from_pydict({"a": [[1], []]}))
    assert features.flat("a") is features.flat("a")


@dataclass(frozen=True)
class CountingColumn(CategoricalColumn):
    """A column that knows how often it was encoded."""

    calls: list[int]

    name = "counting"
    feature_keys = ()
    parse_example_spec: Any = None
    num_buckets = 1

    def encode(self, features: RawFeatures) -> Ids:
        self.calls.append(1)
        return Ids(np.zeros(features.num_rows, np.int64))


def test_a_column_is_encoded_once_however_often_its_ids_are_read() -> None:
    features = RawFeatures(pa.RecordBatch.from_pydict({"a": [1, 2]}))
    column = CountingColumn([])
    assert features.ids(column) is features.ids(column)
    assert len(column.calls) == 1


# --- Laying flat


@pytest.mark.parametrize(
    ("array", "values", "offsets", "is_dense"),
    [
        (pa.array([1, 2]), [1, 2], None, True),
        (pa.array([[1], [2]], pa.list_(pa.int8(), 1)), [1, 2], None, True),
        (pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)), [1, 2, 3, 4], [0, 2, 4], True),
        (
            pa.array([[[1, 2]], [[3, 4]]], pa.list_(pa.list_(pa.int8(), 2), 1)),
            [1, 2, 3, 4],
            [0, 2, 4],
            True,
        ),
        (pa.array([[1, 2], [], [3]]), [1, 2, 3], [0, 2, 2, 3], False),
        (pa.array([[1, 2], None, [None]], pa.large_list(pa.int8())), [1, 2, None], [0, 2, 2, 3], False),
        (pa.array([], pa.list_(pa.int8())), [], [0], False),
        (pa.array([], pa.list_(pa.int8(), 2)), [], [0], True),
        (pa.array([], pa.int8()), [], None, True),
    ],
)
def test_values_are_laid_end_to_end_with_the_rows_offsets(
    array: pa.Array, values: list[Any], offsets: list[int] | None, is_dense: bool
) -> None:
    flat = flatten(array)
    assert flat.values.to_pylist() == values
    assert (flat.offsets.tolist() if flat.offsets is not None else None) == offsets
    assert flat.is_dense == is_dense


@pytest.mark.parametrize("arrow_type", [pa.list_(pa.int8()), pa.large_list(pa.int8()), pa.list_(pa.int8(), 2)])
def test_of_a_slice_only_its_own_values_are_laid_flat(arrow_type: pa.DataType) -> None:
    array = pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], arrow_type).slice(1, 2)
    flat = flatten(array)
    assert flat.values.to_pylist() == [3, 4, 5, 6]
    assert flat.offsets is not None
    assert flat.offsets.tolist() == [0, 2, 4]


def test_values_behind_a_null_list_are_not_seen() -> None:
    array = pa.ListArray.from_arrays([0, 2, 3], pa.array([1, 2, 3]), mask=pa.array([True, False]))
    flat = flatten(array)
    assert flat.values.to_pylist() == [3]
    assert flat.offsets is not None
    assert flat.offsets.tolist() == [0, 0, 1]


def test_a_null_row_of_a_fixed_size_is_refused_with_a_way_out() -> None:
    with pytest.raises(ValueError, match="fixed-size list has null rows: fill them, or give a list without"):
        flatten(pa.array([[1, 2], None], pa.list_(pa.int8(), 2)))


# --- Ids through dictionaries


@pytest.mark.parametrize("is_dictionary", [False, True])
def test_values_are_mapped_and_nulls_become_minus_one(is_dictionary: bool) -> None:
    array = pa.array(["aa", None, "b", "aa"])
    array = array.dictionary_encode() if is_dictionary else array
    assert map_to_ids(array, lengths_as_ids).tolist() == [2, -1, 1, 2]


def test_of_a_dictionary_array_only_the_dictionary_is_mapped() -> None:
    seen = []

    def remember(values: pa.Array) -> np.ndarray:
        seen.append(values.to_pylist())
        return lengths_as_ids(values)

    map_to_ids(pa.array(["aa", "b"] * 50).dictionary_encode(), remember)
    assert seen == [["aa", "b"]]


@pytest.mark.parametrize("indices", [[0, 1], [0, None], []])
def test_a_null_within_a_dictionary_is_missing_too(indices: list[int | None]) -> None:
    array = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), pa.array([None, "aa"]))
    expected = [-1 if index in (0, None) else 2 for index in indices]
    assert map_to_ids(array, lengths_as_ids).tolist() == expected
    assert missing_in_dense(array).tolist() == [place == -1 for place in expected]


def test_an_empty_dictionary_has_no_ids() -> None:
    assert map_to_ids(pa.array([], pa.string()).dictionary_encode(), lengths_as_ids).tolist() == []
    nothing = pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int8()), pa.array([], pa.string()))
    assert map_to_ids(nothing, lengths_as_ids).tolist() == [-1, -1]


# --- The ignore value of dense features


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array(["", "a", None, " "]), [True, False, True, False]),
        (pa.array([b"", b"a"], pa.large_binary()), [True, False]),
        (pa.array([-1, 0, None, 1], pa.int8()), [True, False, True, False]),
        (pa.array([-1, -(2**63), 2**63 - 1]), [True, False, False]),
        (pa.array([255, None], pa.uint8()), [False, True]),
        (pa.array([2**64 - 1], pa.uint64()), [False]),
        (pa.array(["", "a", None]).dictionary_encode(), [True, False, True]),
        (pa.array([None, None]), [True, True]),
        (pa.array([], pa.string()), []),
    ],
)
def test_empty_strings_minus_one_and_nulls_are_missing(array: pa.Array, expected: list[bool]) -> None:
    assert missing_in_dense(array).tolist() == expected
