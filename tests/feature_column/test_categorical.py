"""Hashed and vocabulary columns: declaration and ids."""

from typing import Any

import farmhash
import numpy as np
import pyarrow as pa
import pytest

from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    categorical_column_with_identity,
    categorical_column_with_vocabulary_list,
    crossed_column,
    embedding_column,
)
from raydnn.feature_column.columns import CategoricalColumn, Ids
from raydnn.feature_column.raw_features import RawFeatures


def encode(column: CategoricalColumn, array: pa.Array) -> Ids:
    return column.encode(RawFeatures(pa.RecordBatch.from_pydict({column.name: array})))


def ids_of(column: CategoricalColumn, array: pa.Array) -> list[int]:
    return encode(column, array).values.tolist()


def bucket(text: str, size: int) -> int:
    return farmhash.fingerprint64(text) % size


# --- Declaration


@pytest.mark.parametrize(
    "column",
    [
        categorical_column_with_hash_bucket("word", 7),
        categorical_column_with_vocabulary_list("word", ["a", "b", "c", "d", "e"], num_oov_buckets=2),
    ],
)
def test_a_column_is_named_by_its_key_and_reads_it(column: CategoricalColumn) -> None:
    assert column.name == "word"
    assert column.feature_keys == ("word",)
    assert column.num_buckets == 7


@pytest.mark.parametrize("key", [None, 3, b"word"])
def test_a_key_that_is_no_string_is_refused(key: Any) -> None:
    with pytest.raises(ValueError, match="key must be a str"):
        categorical_column_with_hash_bucket(key, 3)
    with pytest.raises(ValueError, match="key must be a str"):
        categorical_column_with_vocabulary_list(key, ["a"])


@pytest.mark.parametrize("size", [None, 0, -1])
def test_a_hash_bucket_size_below_1_is_refused(size: Any) -> None:
    with pytest.raises(ValueError, match=f"'word': hash_bucket_size must be 1 or more; got {size}"):
        categorical_column_with_hash_bucket("word", size)


@pytest.mark.parametrize("dtype", ["float32", "bool", np.float64])
def test_a_dtype_that_is_neither_string_nor_integer_is_refused(dtype: Any) -> None:
    with pytest.raises(ValueError, match="'word': dtype must be 'string' or an integer type"):
        categorical_column_with_hash_bucket("word", 3, dtype=dtype)
    with pytest.raises(ValueError, match="'word': dtype must be 'string' or an integer type"):
        categorical_column_with_vocabulary_list("word", [1], dtype=dtype)


@pytest.mark.parametrize("vocabulary", [None, [], ()])
def test_an_empty_vocabulary_is_refused(vocabulary: Any) -> None:
    with pytest.raises(ValueError, match="'word': vocabulary_list must not be empty"):
        categorical_column_with_vocabulary_list("word", vocabulary)


@pytest.mark.parametrize(("vocabulary", "repeated"), [(["a", "b", "a"], "'a'"), ([1, 2, 2], "2"), (["a", b"a"], "'a'")])
def test_a_repeated_word_is_refused_by_name(vocabulary: Any, repeated: str) -> None:
    with pytest.raises(ValueError, match=f"'word': vocabulary_list holds {repeated} more than once"):
        categorical_column_with_vocabulary_list("word", vocabulary)


@pytest.mark.parametrize("vocabulary", [[1.5, 2.5], [True, False], ["a", 1], [None, "a"], np.array([1.0])])
def test_a_vocabulary_of_neither_strings_nor_integers_is_refused(vocabulary: Any) -> None:
    with pytest.raises(ValueError, match="'word': vocabulary_list must hold strings or integers"):
        categorical_column_with_vocabulary_list("word", vocabulary)


@pytest.mark.parametrize(("vocabulary", "dtype"), [(["a"], "int64"), ([1], "string")])
def test_a_vocabulary_of_another_kind_than_the_dtype_is_refused(vocabulary: Any, dtype: str) -> None:
    with pytest.raises(ValueError, match=f"'word': dtype {dtype} and a vocabulary"):
        categorical_column_with_vocabulary_list("word", vocabulary, dtype=dtype)


def test_both_default_value_and_oov_buckets_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'word': give default_value \(0\) or num_oov_buckets \(2\), not both"):
        categorical_column_with_vocabulary_list("word", ["a"], default_value=0, num_oov_buckets=2)


def test_a_negative_number_of_oov_buckets_is_refused() -> None:
    with pytest.raises(ValueError, match="'word': num_oov_buckets must be 0 or more; got -1"):
        categorical_column_with_vocabulary_list("word", ["a"], num_oov_buckets=-1)


@pytest.mark.parametrize(
    ("vocabulary", "dtype", "expected"),
    [
        (["a", "b"], None, "string"),
        ([b"a", b"b"], None, "string"),
        (np.array(["a", "b"]), None, "string"),
        ((1, 2), None, "int64"),
        (np.array([1, 2], np.int32), None, "int64"),
        ([1, 2], "int32", "int32"),
    ],
)
def test_the_dtype_is_the_given_one_or_that_of_the_vocabulary(vocabulary: Any, dtype: Any, expected: str) -> None:
    assert categorical_column_with_vocabulary_list("word", vocabulary, dtype=dtype).dtype == expected


def test_equal_declarations_are_equal_and_hash_alike() -> None:
    columns = {
        categorical_column_with_vocabulary_list("word", ["a", "b"]),
        categorical_column_with_vocabulary_list("word", (b"a", b"b"), dtype=str),
        categorical_column_with_hash_bucket("word", 2),
        categorical_column_with_hash_bucket("word", np.int64(2)),
    }
    assert len(columns) == 2


# --- Hashing


@pytest.mark.parametrize("size", [1, 2, 1000, 2**31, 2**62])
def test_the_id_is_the_fingerprint_modulo_the_size(size: int) -> None:
    words = ["a", "b", "zwölf", "日本", "x" * 80]
    column = categorical_column_with_hash_bucket("word", size)
    assert ids_of(column, pa.array(words)) == [bucket(word, size) for word in words]


@pytest.mark.parametrize(
    "arrow_type", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int8(), pa.string())]
)
def test_all_layouts_of_text_hash_alike(arrow_type: pa.DataType) -> None:
    column = categorical_column_with_hash_bucket("word", 1000)
    array = pa.array(["a", "é", "a", None]).cast(arrow_type)
    assert ids_of(column, array) == [939, 25, 939, -1]


@pytest.mark.parametrize("arrow_type", [pa.int8(), pa.uint8(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()])
def test_integers_of_any_width_are_hashed_as_decimal_text(arrow_type: pa.DataType) -> None:
    column = categorical_column_with_hash_bucket("word", 1000, dtype="int64")
    assert ids_of(column, pa.array([0, 1, 100], arrow_type)) == [735, 849, bucket("100", 1000)]


def test_negative_integers_are_hashed_with_their_sign() -> None:
    column = categorical_column_with_hash_bucket("word", 1000, dtype="int64")
    assert ids_of(column, pa.array([[-1], [-5]])) == [430, bucket("-5", 1000)]


def test_the_largest_unsigned_integer_is_a_value() -> None:
    column = categorical_column_with_hash_bucket("word", 1000, dtype="uint64")
    assert ids_of(column, pa.array([2**64 - 1], pa.uint64())) == [bucket(str(2**64 - 1), 1000)]


# --- Vocabulary


@pytest.mark.parametrize(
    ("vocabulary", "values"), [(["x", "y", "z"], ["y", "z", "?", "x"]), ([30, -10, 20], [-10, 20, 7, 30])]
)
@pytest.mark.parametrize(("default_value", "unknown"), [(-1, -1), (0, 0), (2, 2), (17, 17)])
def test_the_id_is_the_place_and_of_an_unknown_value_the_default(
    vocabulary: Any, values: Any, default_value: int, unknown: int
) -> None:
    column = categorical_column_with_vocabulary_list("word", vocabulary, default_value=default_value)
    assert ids_of(column, pa.array(values)) == [1, 2, unknown, 0]


@pytest.mark.parametrize(("vocabulary", "values"), [(["x", "y"], ["y", "?", "!"]), ([3, 4], [4, 5, -6])])
@pytest.mark.parametrize("oov", [1, 2, 1000])
def test_unknown_values_are_hashed_behind_the_vocabulary(vocabulary: Any, values: Any, oov: int) -> None:
    column = categorical_column_with_vocabulary_list("word", vocabulary, num_oov_buckets=oov)
    assert column.num_buckets == 2 + oov
    assert ids_of(column, pa.array(values)) == [1, 2 + bucket(str(values[1]), oov), 2 + bucket(str(values[2]), oov)]


@pytest.mark.parametrize("dtype", ["int8", "int64"])
@pytest.mark.parametrize("arrow_type", [pa.int8(), pa.uint16(), pa.int32(), pa.int64()])
def test_integers_of_any_width_are_compared_as_int64(dtype: str, arrow_type: pa.DataType) -> None:
    column = categorical_column_with_vocabulary_list("word", [1, 2, 300], dtype=dtype)
    assert ids_of(column, pa.array([2, 1, 5], arrow_type)) == [1, 0, -1]


@pytest.mark.parametrize("arrow_type", [pa.large_string(), pa.binary(), pa.dictionary(pa.int8(), pa.string())])
def test_a_vocabulary_is_found_in_all_layouts_of_text(arrow_type: pa.DataType) -> None:
    column = categorical_column_with_vocabulary_list("word", ["x", "ü"], num_oov_buckets=1)
    assert ids_of(column, pa.array(["ü", None, "x", "?"]).cast(arrow_type)) == [1, -1, 0, 2]


# --- Both


HASHED_TEXT = categorical_column_with_hash_bucket("f", 1000)
HASHED_INTEGERS = categorical_column_with_hash_bucket("f", 1000, dtype="int64")
LISTED_TEXT = categorical_column_with_vocabulary_list("f", ["", "a"], num_oov_buckets=3)
LISTED_INTEGERS = categorical_column_with_vocabulary_list("f", [-1, 5], num_oov_buckets=3)


@pytest.mark.parametrize("column", [HASHED_TEXT, LISTED_TEXT])
@pytest.mark.parametrize("is_dictionary", [False, True])
def test_an_empty_string_is_missing_when_dense_and_a_value_when_sparse(
    column: CategoricalColumn, is_dictionary: bool
) -> None:
    plain = pa.array(["", "a"])
    plain = plain.dictionary_encode() if is_dictionary else plain
    assert ids_of(column, plain)[0] == -1
    sparse = pa.ListArray.from_arrays([0, 1, 2], plain)
    assert ids_of(column, sparse)[0] == (0 if column is LISTED_TEXT else 263)
    assert ids_of(column, plain)[1] == ids_of(column, sparse)[1]


@pytest.mark.parametrize("column", [HASHED_INTEGERS, LISTED_INTEGERS])
def test_minus_one_is_missing_when_dense_and_a_value_when_sparse(column: CategoricalColumn) -> None:
    assert ids_of(column, pa.array([-1, 5]))[0] == -1
    assert ids_of(column, pa.array([[-1], [5]]))[0] == (0 if column is LISTED_INTEGERS else 430)


@pytest.mark.parametrize("column", [HASHED_TEXT, LISTED_TEXT])
def test_a_row_of_lists_has_as_many_ids_as_values(column: CategoricalColumn) -> None:
    ids = encode(column, pa.array([["a", "a", "b"], [], None, ["", None]]))
    assert ids.offsets is not None
    assert ids.offsets.tolist() == [0, 3, 3, 3, 5]
    assert (ids.values >= 0).tolist() == [True, True, True, True, False]


def test_rows_of_one_length_are_dense_and_pad_with_the_ignore_value() -> None:
    ids = encode(HASHED_TEXT, pa.array([["a", ""], ["b", "a"]], pa.list_(pa.string(), 2)))
    assert ids.offsets is not None
    assert ids.offsets.tolist() == [0, 2, 4]
    assert ids.values.tolist() == [939, -1, 822, 939]


def test_one_value_a_row_needs_no_offsets() -> None:
    assert encode(HASHED_TEXT, pa.array(["a"])).offsets is None
    assert encode(HASHED_TEXT, pa.array([["a"]], pa.list_(pa.string(), 1))).offsets is None


@pytest.mark.parametrize(
    ("column", "array", "found"),
    [
        (HASHED_TEXT, pa.array([1]), "int64"),
        (LISTED_TEXT, pa.array([[1.5]]), "float64"),
        (HASHED_INTEGERS, pa.array(["1"]), "string"),
        (LISTED_INTEGERS, pa.array(["1"]).dictionary_encode(), "string"),
        (HASHED_INTEGERS, pa.array([1.0], pa.float32()), "float32"),
        (LISTED_INTEGERS, pa.array([True]), "bool"),
    ],
)
def test_a_feature_of_another_kind_than_declared_is_refused(
    column: CategoricalColumn, array: pa.Array, found: str
) -> None:
    with pytest.raises(ValueError, match=rf"'f' is declared with dtype \w+ but feature 'f' holds {found}; declare"):
        encode(column, array)


@pytest.mark.parametrize("column", [HASHED_TEXT, HASHED_INTEGERS, LISTED_TEXT, LISTED_INTEGERS])
@pytest.mark.parametrize("array", [pa.array([None, None]), pa.array([[], None]), pa.array([[None], []])])
def test_a_batch_in_which_every_value_is_missing_has_no_ids(column: CategoricalColumn, array: pa.Array) -> None:
    assert all(value == -1 for value in ids_of(column, array))


@pytest.mark.parametrize("column", [HASHED_TEXT, LISTED_TEXT])
@pytest.mark.parametrize("arrow_type", [pa.string(), pa.list_(pa.string()), pa.dictionary(pa.int8(), pa.string())])
def test_no_rows_give_no_ids(column: CategoricalColumn, arrow_type: pa.DataType) -> None:
    ids = encode(column, pa.array([], arrow_type))
    assert ids.values.shape == (0,)
    assert ids.values.dtype == np.int64


@pytest.mark.parametrize("column", [HASHED_TEXT, LISTED_INTEGERS])
def test_a_feature_that_is_not_there_is_refused_with_those_that_are(column: CategoricalColumn) -> None:
    with pytest.raises(ValueError, match="'f' is not in features dictionary: the input has other"):
        column.encode(RawFeatures(pa.RecordBatch.from_pydict({"other": [1]})))


@pytest.mark.parametrize("size", [2.0, 2.5, np.float32(3)])
def test_a_number_of_buckets_that_is_no_whole_number_is_refused(size: Any) -> None:
    # TensorFlow 2.15.1: TypeError, "Dimension value must be integer".
    with pytest.raises(TypeError, match="'word': hash_bucket_size must be a whole number; got"):
        categorical_column_with_hash_bucket("word", size)
    with pytest.raises(TypeError, match="'word': num_buckets must be a whole number; got"):
        categorical_column_with_identity("word", size)
    with pytest.raises(TypeError, match="hash_bucket_size must be a whole number; got"):
        crossed_column(["word", "other"], size)
    with pytest.raises(TypeError, match="dimension must be a whole number; got"):
        embedding_column(categorical_column_with_hash_bucket("word", 5), size)


def test_numpys_integers_are_whole_numbers() -> None:
    assert categorical_column_with_hash_bucket("word", np.int32(5)).num_buckets == 5


@pytest.mark.parametrize("value", [None, "a", 1.0])
@pytest.mark.parametrize("argument", ["default_value", "num_oov_buckets"])
def test_ids_and_counts_of_a_vocabulary_that_are_no_whole_numbers_are_refused(argument: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"'word': {argument} must be a whole number; got {value!r}"):
        categorical_column_with_vocabulary_list("word", ["a", "b"], **{argument: value})
