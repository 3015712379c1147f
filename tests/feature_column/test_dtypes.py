"""Dtype arguments in all the forms that people write them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from raydnn.feature_column.dtypes import (
    FLOATING_DTYPES,
    INTEGER_DTYPES,
    arrow_dtype_name,
    dtype_name,
    is_floating,
    is_integer,
    is_list,
)


@pytest.mark.parametrize("name", sorted({*INTEGER_DTYPES, *FLOATING_DTYPES, "string", "bool"}))
def test_a_name_stays_as_it_is(name: str) -> None:
    assert dtype_name(name) == name


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (str, "string"),
        (bytes, "string"),
        (int, "int64"),
        (float, "float64"),
        (bool, "bool"),
        ("double", "float64"),
        ("utf8", "string"),
        (np.int16, "int16"),
        (np.dtype("uint8"), "uint8"),
        (np.float32, "float32"),
        (np.dtype("U5"), "string"),
        (np.dtype("S5"), "string"),
        (np.dtype(object), "string"),
        (pa.string(), "string"),
        (pa.large_string(), "string"),
        (pa.binary(), "string"),
        (pa.float16(), "float16"),
        (pa.float32(), "float32"),
        (pa.float64(), "float64"),
        (pa.uint64(), "uint64"),
        (pa.bool_(), "bool"),
        (torch.int32, "int32"),
        (torch.bfloat16, "bfloat16"),
        (torch.float64, "float64"),
        (torch.bool, "bool"),
        (SimpleNamespace(name="int64"), "int64"),
    ],
)
def test_dtypes_of_other_libraries_become_names(dtype: Any, name: str) -> None:
    assert dtype_name(dtype) == name


@pytest.mark.parametrize(
    "dtype",
    [None, "strin", "complex64", np.complex64, torch.complex64, pa.timestamp("s"), pa.list_(pa.int8()), np.dtype("M8")],
)
def test_anything_else_is_refused_with_a_way_out(dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"dtype .*give.*'float32'"):
        dtype_name(dtype)


def test_what_is_no_dtype_at_all_is_named_in_the_refusal() -> None:
    with pytest.raises(ValueError, match="<object object"):
        dtype_name(object())


@pytest.mark.parametrize("name", ["int8", "uint64", "float16", "bfloat16", "float64", "string", "bool"])
def test_a_name_is_integer_or_floating_or_neither(name: str) -> None:
    assert is_integer(name) == ("int" in name)
    assert is_floating(name) == ("float" in name)


@pytest.mark.parametrize(
    ("arrow_type", "name"),
    [
        (pa.int8(), "int8"),
        (pa.list_(pa.string()), "string"),
        (pa.large_list(pa.float32()), "float32"),
        (pa.list_(pa.list_(pa.int16(), 3), 2), "int16"),
        (pa.dictionary(pa.int8(), pa.large_string()), "string"),
        (pa.list_(pa.dictionary(pa.int32(), pa.int64())), "int64"),
        (pa.null(), "string"),
    ],
)
def test_the_dtype_of_an_arrow_column_is_that_of_its_innermost_values(arrow_type: pa.DataType, name: str) -> None:
    assert arrow_dtype_name(arrow_type) == name


def test_only_lists_with_lengths_of_their_own_count_as_lists() -> None:
    assert is_list(pa.list_(pa.int8()))
    assert is_list(pa.large_list(pa.int8()))
    assert not is_list(pa.list_(pa.int8(), 2))
    assert not is_list(pa.int8())
