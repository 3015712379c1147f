"""Sparse features."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raydnn import SparseTensor


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array(["a", "b", "c"], object), [["a", "b"], [], ["c"], []]),
        (["a", "b", "c"], [["a", "b"], [], ["c"], []]),
        (np.array([1, 2, 3], np.int32), [[1, 2], [], [3], []]),
        (pa.array([0.5, None, 2.5]), [[0.5, None], [], [2.5], []]),
    ],
)
def test_each_row_is_a_list_of_its_values(values: Any, expected: list[list[Any]]) -> None:
    column = SparseTensor([[0, 1], [0, 5], [2, 0]], values, (4, 6)).to_arrow()
    assert column.to_pylist() == expected


def test_numbers_keep_their_dtype() -> None:
    assert SparseTensor([[0, 0]], np.array([1], np.int32), (1, 1)).to_arrow().type.value_type == pa.int32()


def test_a_tensor_of_rank_1_has_one_value_a_row_at_most() -> None:
    assert SparseTensor([[0], [2]], ["a", "b"], (3,)).to_arrow().to_pylist() == [["a"], [], ["b"]]
    assert SparseTensor([0, 2], ["a", "b"], [3]).to_arrow().to_pylist() == [["a"], [], ["b"]]


def test_a_tensor_without_values_has_empty_rows() -> None:
    assert SparseTensor(np.zeros((0, 2)), np.zeros(0), (2, 3)).to_arrow().to_pylist() == [[], []]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0, 0, 0]], ["a"], (1, 1, 1)), "rank 1 or 2"),
        (([[0, 0]], ["a", "b"], (1, 1)), "1 indices but 2 values"),
        (([[0, 1]], ["a"], (1, 1)), "outside its dense_shape"),
        (([[-1, 0]], ["a"], (1, 1)), "outside its dense_shape"),
        (([[1, 0], [0, 0]], ["a", "b"], (2, 1)), "row-major order; sort"),
    ],
)
def test_parts_that_do_not_fit_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SparseTensor(*arguments)
