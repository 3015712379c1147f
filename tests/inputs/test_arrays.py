"""What people hand over as a feature, and the Arrow column that it becomes."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from raydnn import SparseTensor
from raydnn.feature_column.raw_features import SPARSE_MARK
from raydnn.inputs.arrays import array_to_arrow, concat_batches, features_to_arrow, table_to_batch


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(np.array([1, 2], np.int32), pa.array([1, 2], pa.int32()), id="numpy"),
        pytest.param(np.array([True, False]), pa.array([True, False]), id="numpy bool"),
        pytest.param(np.arange(8.0)[::2], pa.array([0.0, 2.0, 4.0, 6.0]), id="numpy with strides"),
        pytest.param(np.array([0.5, np.nan]), pa.array([0.5, np.nan]), id="numpy nan is a value"),
        pytest.param(np.array(["a", "bc"]), pa.array(["a", "bc"]), id="numpy text"),
        pytest.param(np.array(["a", None], object), pa.array(["a", None]), id="numpy objects"),
        pytest.param(np.array([b"a", b"\xff"]), pa.array([b"a", b"\xff"]), id="numpy bytes"),
        pytest.param(torch.tensor([1.5, 2.5]), pa.array([1.5, 2.5], pa.float32()), id="torch"),
        pytest.param(torch.tensor([1.5], requires_grad=True), pa.array([1.5], pa.float32()), id="torch with gradient"),
        pytest.param([1, None, 3], pa.array([1, None, 3]), id="list"),
        pytest.param(("a", "b"), pa.array(["a", "b"]), id="tuple"),
        pytest.param([[1], [], [2, 3]], pa.array([[1], [], [2, 3]]), id="ragged lists"),
        pytest.param([np.array([1]), np.array([2, 3])], pa.array([[1], [2, 3]]), id="list of numpy arrays"),
        pytest.param([np.float32(1), np.float32(2)], pa.array([1.0, 2.0]), id="list of numpy scalars"),
        pytest.param(pa.array([1, 2]), pa.array([1, 2]), id="arrow"),
        pytest.param(pa.chunked_array([[1], [2, 3]]), pa.array([1, 2, 3]), id="arrow chunks"),
        pytest.param(pa.chunked_array([], pa.int64()), pa.array([], pa.int64()), id="no arrow chunk"),
        pytest.param(pd.Series([1, 2], index=[7, 8]), pa.array([1, 2]), id="pandas"),
        pytest.param(pd.Series([1.5]), pa.array([1.5]), id="pandas floats"),
        pytest.param(pd.Series([1, None], dtype="Int64"), pa.array([1, None]), id="pandas missing"),
        pytest.param(pd.Series(["a", None]), pa.array(["a", None], pa.large_string()), id="pandas text"),
        pytest.param(SparseTensor([[0, 0], [1, 1]], [5, 6], (2, 2)), pa.array([[5], [6]]), id="sparse"),
    ],
)
def test_each_kind_of_array_becomes_a_column(value: Any, expected: pa.Array) -> None:
    column = array_to_arrow(value, "feature 'x'")
    assert str(column.to_pylist()) == str(expected.to_pylist())
    if not isinstance(value, SparseTensor):
        assert column.type == expected.type


def test_further_axes_become_nested_lists_of_fixed_size() -> None:
    values = np.arange(12.0).reshape(2, 3, 2)
    column = array_to_arrow(values, "feature 'x'")
    assert column.type == pa.list_(pa.list_(pa.float64(), 2), 3)
    assert column.to_pylist() == values.tolist()


def test_an_array_without_rows_keeps_its_shape() -> None:
    column = array_to_arrow(np.zeros((0, 3), np.float32), "feature 'x'")
    assert (len(column), column.type) == (0, pa.list_(pa.float32(), 3))


@pytest.mark.parametrize("value", [3, 2.5, "text", None, np.float32(1), np.array(1), torch.tensor(1)])
def test_a_single_value_is_refused_by_the_name_of_its_feature(value: Any) -> None:
    with pytest.raises(ValueError, match=r"feature 'age' is a single value.*each row"):
        features_to_arrow({"age": value})


@pytest.mark.parametrize("value", [["a", 1], [[1], 2], np.array(["a", 1], object), [object()]])
def test_values_of_mixed_kinds_are_refused_by_the_name_of_their_feature(value: Any) -> None:
    with pytest.raises(ValueError, match="feature 'age' cannot be read as a column"):
        features_to_arrow({"age": value})


@pytest.mark.parametrize("features", [np.zeros(3), [1, 2], pa.table({"x": [1]})])
def test_features_that_are_no_dict_are_refused_with_the_way_out(features: Any) -> None:
    with pytest.raises(ValueError, match=r"should be a dictionary.*\{'x': array\}"):
        features_to_arrow(features)


def test_features_of_different_lengths_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"different numbers of rows: \{'age': 2, 'city': 3\}"):
        features_to_arrow({"age": [1, 2], "city": ["a", "b", "c"]})


def test_sparse_features_carry_a_mark_and_others_do_not() -> None:
    batch = features_to_arrow({"sparse": SparseTensor([[0, 0]], ["a"], (2, 1)), "ragged": [["a"], []]})
    assert batch.schema.field("sparse").metadata == SPARSE_MARK
    assert batch.schema.field("ragged").metadata is None
    assert batch.to_pydict() == {"sparse": [["a"], []], "ragged": [["a"], []]}


def test_batches_with_different_dictionaries_are_joined_by_value() -> None:
    parts = [pa.record_batch({"city": pa.array(words).dictionary_encode()}) for words in (["a", "b"], ["c", "a"])]
    joined = concat_batches(parts)
    assert joined.column("city").to_pylist() == ["a", "b", "c", "a"]
    assert pa.types.is_dictionary(joined.schema.field("city").type)
    assert concat_batches(parts[:1]) is parts[0]


def test_an_empty_table_is_a_batch_with_its_columns() -> None:
    schema = pa.schema({"age": pa.float32(), "city": pa.dictionary(pa.int32(), pa.string())})
    batch = table_to_batch(schema.empty_table())
    assert (batch.num_rows, batch.schema) == (0, schema)
