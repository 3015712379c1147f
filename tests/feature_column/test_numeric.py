"""Numeric columns: declaration, reading, normalising."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raydnn import errors
from raydnn.feature_column import numeric_column
from raydnn.feature_column.numeric import NumericColumn
from raydnn.feature_column.raw_features import SPARSE_MARK, RawFeatures


def encode(column: NumericColumn, array: pa.Array, metadata: dict[bytes, bytes] | None = None) -> np.ndarray:
    field = pa.field(column.key, array.type, metadata=metadata)
    return column.encode_dense(RawFeatures(pa.RecordBatch.from_arrays([array], schema=pa.schema([field]))))


def nested(rows: Any, value_type: pa.DataType | None = None) -> pa.Array:
    """Rows of one shape as an Arrow column of nested fixed-size lists."""
    values = np.asarray(rows)
    array = pa.array(values.ravel(), value_type)
    for size in reversed(values.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, size)
    return array


# --- Declaration


def test_a_column_is_named_by_its_key_and_reads_it() -> None:
    column = numeric_column("age")
    assert column.name == "age"
    assert column.feature_keys == ("age",)
    assert column.dtype == "float32"
    assert column.default_value is None


@pytest.mark.parametrize(
    ("shape", "expected", "width"),
    [(3, (3,), 3), ([2], (2,), 2), ((2, 3), (2, 3), 6), (np.array([4]), (4,), 4), (iter([2, 2]), (2, 2), 4)],
)
def test_a_shape_is_an_int_or_an_iterable_of_ints(shape: Any, expected: tuple[int, ...], width: int) -> None:
    column = numeric_column("x", shape=shape)
    assert column.variable_shape == expected
    assert column.width == width


def test_equal_declarations_are_equal_and_hash_alike() -> None:
    columns = {numeric_column("x", shape=2), numeric_column("x", shape=(2,)), numeric_column("x")}
    assert len(columns) == 2


@pytest.mark.parametrize("key", [None, 1, b"age", ("age",)])
def test_a_key_that_is_no_string_is_refused(key: Any) -> None:
    with pytest.raises(ValueError, match="key must be a str"):
        numeric_column(key)


@pytest.mark.parametrize("shape", [2.0, "2", None, (1, 2.5), (True,), [None]])
def test_a_shape_of_something_else_than_ints_is_a_type_error(shape: Any) -> None:
    with pytest.raises(TypeError, match="'age': shape must hold ints"):
        numeric_column("age", shape=shape)


@pytest.mark.parametrize("shape", [0, -1, (2, 0)])
def test_a_shape_with_a_size_below_1_is_refused(shape: Any) -> None:
    with pytest.raises(ValueError, match="'age': shape must hold sizes of 1 or more"):
        numeric_column("age", shape=shape)


@pytest.mark.parametrize("dtype", ["string", "bool", str, np.bool_])
def test_a_dtype_that_is_no_number_is_refused(dtype: Any) -> None:
    with pytest.raises(ValueError, match="'age': dtype must be an integer or floating type"):
        numeric_column("age", dtype=dtype)


def test_a_missing_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match="dtype must not be None"):
        numeric_column("age", dtype=None)


@pytest.mark.parametrize(
    ("default_value", "shape", "dtype", "expected"),
    [
        (3, (1,), "int32", (3,)),
        (3, (1,), "float32", (3,)),
        (0.5, (1,), "float64", (0.5,)),
        (np.float32(0.5), (1,), "float32", (0.5,)),
        (7, (2, 2), "int64", (7, 7, 7, 7)),
        ([1, 2], 2, "int64", (1, 2)),
        ((1.5, 2), 2, "float32", (1.5, 2)),
        ([[1, 2], [3, 4]], (2, 2), "float32", (1, 2, 3, 4)),
        (np.array([1.5]), 1, "float32", (1.5,)),
    ],
)
def test_a_default_value_fills_the_shape(
    default_value: Any, shape: Any, dtype: str, expected: tuple[float, ...]
) -> None:
    assert numeric_column("age", shape, default_value, dtype).default_value == expected


@pytest.mark.parametrize(
    ("default_value", "dtype"),
    [(0.5, "int64"), ([0.5], "int32"), ("3", "float32"), (["3"], "float32"), ({"a": 1}, "float32"), (1j, "float32")],
)
def test_a_default_value_of_another_type_is_a_type_error(default_value: Any, dtype: str) -> None:
    with pytest.raises(TypeError, match="'age': default_value"):
        numeric_column("age", default_value=default_value, dtype=dtype)


@pytest.mark.parametrize(("default_value", "shape"), [([1, 2], 3), ([1, 2], (2, 1)), ([[1]], 1)])
def test_a_default_value_of_another_shape_is_refused(default_value: Any, shape: Any) -> None:
    with pytest.raises(ValueError, match="'age': default_value has shape"):
        numeric_column("age", shape=shape, default_value=default_value)


def test_a_normalizer_that_cannot_be_called_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="'age': normalizer_fn must be callable"):
        numeric_column("age", normalizer_fn=2.0)  # type: ignore[arg-type]


# --- Reading


@pytest.mark.parametrize(
    "arrow_type", [pa.int8(), pa.uint16(), pa.int64(), pa.float16(), pa.float32(), pa.float64(), pa.bool_()]
)
def test_every_kind_of_number_becomes_float32(arrow_type: pa.DataType) -> None:
    values = np.array([1, 0, 1], arrow_type.to_pandas_dtype())
    encoded = encode(numeric_column("x"), pa.array(values, arrow_type))
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[1.0], [0.0], [1.0]]


def test_integers_beyond_24_bits_lose_precision_as_float32_does() -> None:
    assert encode(numeric_column("x"), pa.array([2**24 + 1])).tolist() == [[float(2**24)]]


@pytest.mark.parametrize("shape", [4, (2, 2), (4, 1), (1, 4)])
@pytest.mark.parametrize("data_shape", [(3, 4), (3, 2, 2), (3, 4, 1)])
def test_a_feature_of_any_shape_with_as_many_values_a_row_is_accepted(shape: Any, data_shape: tuple[int, ...]) -> None:
    values = np.arange(12.0).reshape(data_shape)
    np.testing.assert_array_equal(encode(numeric_column("x", shape), nested(values)), values.reshape(3, 4))


def test_a_plain_feature_and_one_of_lists_of_one_are_the_same() -> None:
    column = numeric_column("x")
    np.testing.assert_array_equal(encode(column, pa.array([1.0, 2.0])), encode(column, nested([[1.0], [2.0]])))


def test_ragged_lists_that_all_have_the_declared_length_are_accepted() -> None:
    assert encode(numeric_column("x", 2), pa.array([[1, 2], [3, 4]])).tolist() == [[1, 2], [3, 4]]


def test_dictionary_encoded_numbers_are_read_through_their_dictionary() -> None:
    array = pa.array([1.5, None, 1.5, 2.5]).dictionary_encode()
    assert encode(numeric_column("x", default_value=7), array).tolist() == [[1.5], [7.0], [1.5], [2.5]]


@pytest.mark.parametrize("start", [0, 1, 3])
def test_a_slice_of_a_feature_gives_the_rows_of_the_slice(start: int) -> None:
    array = nested(np.arange(8.0).reshape(4, 2))
    expected = np.arange(8.0).reshape(4, 2)[start:]
    np.testing.assert_array_equal(encode(numeric_column("x", 2), array.slice(start)), expected)


def test_no_rows_give_an_empty_matrix_of_the_columns_width() -> None:
    column = numeric_column("x", (2, 3), normalizer_fn=lambda values: values * 2)
    assert encode(column, nested(np.empty((0, 6)))).shape == (0, 6)


@pytest.mark.parametrize("default_value", [9, [7, 8]])
def test_missing_values_become_the_default_of_their_place(default_value: Any) -> None:
    array = pa.array([[1.0, None], [None, None], [None, 2.0]], pa.list_(pa.float32(), 2))
    first, second = (9, 9) if default_value == 9 else (7, 8)
    encoded = encode(numeric_column("x", 2, default_value), array)
    assert encoded.tolist() == [[1.0, second], [first, second], [first, 2.0]]


def test_a_missing_value_without_default_is_refused_with_its_row() -> None:
    array = pa.array([[1.0, 2.0], [3.0, None], [None, None]], pa.list_(pa.float32(), 2))
    with pytest.raises(ValueError, match=r"'age' has 3 missing values, the first in row 1; .*default_value"):
        encode(numeric_column("age", 2), array)


def test_nan_is_a_value_and_not_missing() -> None:
    assert np.isnan(encode(numeric_column("x", default_value=0), pa.array([float("nan")]))).all()


@pytest.mark.parametrize("array", [pa.array(["12"]), pa.array([["12"]]), pa.array(["12"]).dictionary_encode()])
def test_text_is_refused_with_a_sample_of_it(array: pa.Array) -> None:
    with pytest.raises(ValueError, match="'age' is declared numeric but its feature holds .*'12'.*categorical"):
        encode(numeric_column("age"), array)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (pa.array([1.0, 2.0]), "row 0 of its feature has 1"),
        (pa.array([[1.0, 2.0], [3.0]]), "row 1 of its feature has 1"),
        (pa.array([[1.0, 2.0], None]), "row 1 of its feature has 0"),
        (nested([[1.0, 2.0, 3.0]]), "row 0 of its feature has 3"),
    ],
)
def test_another_number_of_values_in_a_row_is_refused(array: pa.Array, found: str) -> None:
    with pytest.raises(ValueError, match=rf"'age' is declared with shape \(2,\).*{found}; declare shape="):
        encode(numeric_column("age", 2), array)


def test_a_sparse_tensor_is_refused() -> None:
    with pytest.raises(ValueError, match="'age' is numeric and cannot read a SparseTensor"):
        encode(numeric_column("age"), pa.array([[1.0]]), metadata=SPARSE_MARK)


def test_a_feature_that_is_not_there_is_refused_with_those_that_are() -> None:
    features = RawFeatures(pa.RecordBatch.from_pydict({"height": [1], "weight": [2]}))
    with pytest.raises(ValueError, match="'age' is not in features dictionary: the input has height, weight"):
        numeric_column("age").encode_dense(features)


# --- Normalising


def test_a_normalizer_sees_the_raw_dtype_and_shape() -> None:
    seen = []

    def remember(values: np.ndarray) -> np.ndarray:
        seen.append((values.dtype, values.shape))
        return values

    encode(numeric_column("x", (2, 1), normalizer_fn=remember), nested([[1, 2], [3, 4], [5, 6]], pa.int16()))
    assert seen == [(np.dtype(np.int16), (3, 2, 1))]


def test_the_result_of_a_normalizer_becomes_float32() -> None:
    # In integers, as the normalizer sees them: 7 // 2 is 3, which float division would not give.
    encoded = encode(numeric_column("x", normalizer_fn=lambda values: values // 2), pa.array([7, 8]))
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[3.0], [4.0]]


def test_a_normalizer_is_applied_after_missing_values_were_filled() -> None:
    column = numeric_column("x", default_value=10, normalizer_fn=lambda values: values + 1)
    assert encode(column, pa.array([1, None])).tolist() == [[2.0], [11.0]]


def test_a_normalizer_that_changes_the_number_of_values_is_refused() -> None:
    column = numeric_column("age", 2, normalizer_fn=lambda values: values[:, :1])
    with pytest.raises(ValueError, match=r"'age': normalizer_fn gave shape \(3, 1\)"):
        encode(column, nested(np.zeros((3, 2))))


def test_a_row_with_another_number_of_values_is_tensorflows_error_and_a_value_error() -> None:
    # TensorFlow 2.15.1 finds it when the step runs: InvalidArgumentError from its Reshape.
    features = RawFeatures(pa.RecordBatch.from_pydict({"x": pa.array([1.0, 2.0])}))
    with pytest.raises(errors.InvalidArgumentError, match=r"'x' is declared with shape \(2,\)") as caught:
        numeric_column("x", shape=2).encode_dense(features)
    assert isinstance(caught.value, ValueError)
