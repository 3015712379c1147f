"""Vocabulary columns: places in a list or in a file, unknown words, and bad vocabularies."""

from pathlib import Path
from typing import Any

import farmhash
import numpy as np
import pyarrow as pa
import pytest
from column_inputs import ids_of, network_input, row_number_initializer
from fake_data import fake_labels

import raydnn
from raydnn import errors
from raydnn.feature_column import (
    VarLenFeature,
    categorical_column_with_vocabulary_file,
    categorical_column_with_vocabulary_list,
    crossed_column,
    embedding_column,
    indicator_column,
    make_parse_example_spec,
    weighted_categorical_column,
)
from raydnn.feature_column.columns import CategoricalColumn

WORDS = ["b", "a", "zwölf", "日本"]


def oov_id(words: int, value: object, buckets: int) -> int:
    return words + farmhash.fingerprint64(str(value)) % buckets


def written(folder: Path, content: str | bytes) -> str:
    path = folder / "words.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def load(column: CategoricalColumn) -> None:
    column.load()


# --- Ids


@pytest.fixture(params=["list", "file"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A vocabulary column over `WORDS`, of both kinds."""
    if request.param == "list":
        return lambda **arguments: categorical_column_with_vocabulary_list("word", WORDS, **arguments)
    path = written(tmp_path, "".join(f"{word}\n" for word in WORDS))
    return lambda **arguments: categorical_column_with_vocabulary_file("word", path, **arguments)


def test_the_id_of_a_word_is_its_place(make: Any) -> None:
    assert ids_of(make(), {"word": np.array(["a", "日本", "b", "zwölf"])}) == [[1], [3], [0], [2]]
    assert ids_of(make(), {"word": [["a", "a"], [], ["b"]]}) == [[1, 1], [], [0]]


@pytest.mark.parametrize("value_type", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_words_are_found_in_any_arrow_layout(make: Any, value_type: pa.DataType) -> None:
    words = pa.array([word.encode() for word in ["zwölf", "b", "?"]], pa.binary()).cast(value_type)
    assert ids_of(make(), {"word": words}) == [[2], [0], [-1]]
    assert ids_of(make(), {"word": words.dictionary_encode()}) == [[2], [0], [-1]]


def test_bytes_that_are_no_text_are_an_unknown_word(make: Any) -> None:
    words = pa.array([b"\xff\xfe", b"a"], pa.binary())
    assert ids_of(make(), {"word": words}) == [[-1], [1]]


def test_an_unknown_word_is_left_out_by_default(make: Any) -> None:
    features = {"word": [["?", "a"], ["?"]]}
    assert network_input([indicator_column(make())], features) == [[0, 1, 0, 0], [0, 0, 0, 0]]
    embedded = embedding_column(make(), 1, initializer=row_number_initializer)
    assert network_input([embedded], features) == [[2], [0]]


def test_an_unknown_word_gets_the_default_value(make: Any) -> None:
    assert ids_of(make(default_value=2), {"word": np.array(["?", "a"])}) == [[2], [1]]


def test_a_default_value_behind_the_words_counts_nowhere_in_an_indicator(make: Any) -> None:
    assert network_input([indicator_column(make(default_value=4))], {"word": [["?", "a"]]}) == [[0, 1, 0, 0]]


def test_a_default_value_behind_the_words_is_refused_by_an_embedding_that_meets_it(make: Any) -> None:
    column = embedding_column(make(default_value=4), 2)
    assert len(network_input([column], {"word": [["a"]]})) == 1
    with pytest.raises(errors.InvalidArgumentError, match="'word_embedding': id 4"):
        network_input([column], {"word": [["?"]]})


def test_unknown_words_are_hashed_to_the_oov_buckets(make: Any) -> None:
    column = make(num_oov_buckets=3)
    assert column.num_buckets == 7
    unknown = ["?", "A", "a ", "ä", "0"]
    expected = [[oov_id(4, word, 3)] for word in unknown]
    assert ids_of(column, {"word": np.array(unknown)}) == expected
    assert ids_of(column, {"word": [[word] for word in unknown]}) == expected


def test_an_empty_word_is_missing_in_dense_input_and_unknown_in_sparse_input(make: Any) -> None:
    column = make(num_oov_buckets=3)
    assert ids_of(column, {"word": np.array(["", "a"])}) == [[-1], [1]]
    assert ids_of(column, {"word": [["", "a"]]}) == [[oov_id(4, "", 3), 1]]


def test_a_vocabulary_column_is_named_after_its_feature(make: Any) -> None:
    column = make()
    assert column.name == "word"
    assert column.feature_keys == ("word",)
    assert column.num_buckets == 4
    assert make_parse_example_spec([column]) == {"word": VarLenFeature("string")}


@pytest.mark.parametrize("values", [np.array([1]), np.array([1.0]), [[True]]])
def test_values_that_are_no_strings_are_refused(make: Any, values: Any) -> None:
    with pytest.raises(ValueError, match="column 'word' is declared with dtype string but feature 'word' holds"):
        ids_of(make(), {"word": values})


# --- Integers


@pytest.fixture(params=["list", "file"])
def make_numbers(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A vocabulary column over 7, -1, 10^12, of both kinds."""
    if request.param == "list":
        return lambda **arguments: categorical_column_with_vocabulary_list("n", [7, -1, 10**12], **arguments)
    path = written(tmp_path, "7\r\n-1\r\n1000000000000")
    return lambda **arguments: categorical_column_with_vocabulary_file("n", path, dtype="int64", **arguments)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8"])
def test_integers_of_any_width_are_looked_up(make_numbers: Any, dtype: str) -> None:
    assert ids_of(make_numbers(), {"n": np.array([7, 8], dtype)}) == [[0], [-1]]


def test_a_minus_one_is_missing_in_dense_input_and_looked_up_in_sparse_input(make_numbers: Any) -> None:
    assert ids_of(make_numbers(), {"n": np.array([-1, 10**12])}) == [[-1], [2]]
    assert ids_of(make_numbers(), {"n": [[-1, 10**12]]}) == [[1, 2]]


def test_unknown_integers_are_hashed_as_decimal_text(make_numbers: Any) -> None:
    column = make_numbers(num_oov_buckets=5)
    expected = [oov_id(3, value, 5) for value in (0, -2, 12345678901234567)]
    assert ids_of(column, {"n": [[0, -2, 12345678901234567]]}) == [expected]
    assert make_parse_example_spec([column]) == {"n": VarLenFeature("int64")}


@pytest.mark.parametrize("values", [np.array(["7"]), np.array([7.0])])
def test_an_integer_vocabulary_refuses_other_values(make_numbers: Any, values: Any) -> None:
    with pytest.raises(ValueError, match="column 'n' is declared with dtype int64 but feature 'n' holds"):
        ids_of(make_numbers(), {"n": values})


# --- Refusals that both kinds share


def test_oov_buckets_and_a_default_value_are_not_accepted_together(make: Any) -> None:
    with pytest.raises(ValueError, match=r"give default_value \(0\) or num_oov_buckets \(2\), not both"):
        make(num_oov_buckets=2, default_value=0)


def test_a_negative_number_of_oov_buckets_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="num_oov_buckets must be 0 or more; got -1"):
        make(num_oov_buckets=-1)


@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_a_dtype_that_is_neither_string_nor_integer_is_refused(make: Any, dtype: str) -> None:
    with pytest.raises(ValueError, match="dtype must be 'string' or an integer type"):
        make(dtype=dtype)


# --- Lists


@pytest.mark.parametrize("words", [None, [], (), np.array([])])
def test_an_empty_list_is_refused(words: Any) -> None:
    with pytest.raises(ValueError, match="'word': vocabulary_list must not be empty"):
        categorical_column_with_vocabulary_list("word", words)


@pytest.mark.parametrize("words", [["a", "b", "a"], ["a", b"a"], [1, 2, 1], np.array([3, 3])])
def test_a_list_with_a_word_twice_is_refused_by_that_word(words: Any) -> None:
    with pytest.raises(ValueError, match=r"vocabulary_list holds ('a'|1|3) more than once"):
        categorical_column_with_vocabulary_list("word", words)


@pytest.mark.parametrize("words", [[1.0, 2.0], [True, False], ["a", 1], [None], np.array([0.5])])
def test_a_list_of_other_things_than_strings_or_integers_is_refused(words: Any) -> None:
    with pytest.raises(ValueError, match="vocabulary_list must hold strings or integers"):
        categorical_column_with_vocabulary_list("word", words)


@pytest.mark.parametrize(("words", "dtype"), [(["a"], "int64"), ([1], "string")])
def test_a_dtype_that_does_not_fit_the_list_is_refused(words: Any, dtype: str) -> None:
    with pytest.raises(ValueError, match=f"dtype {dtype} and a vocabulary of .* do not go together"):
        categorical_column_with_vocabulary_list("word", words, dtype=dtype)


@pytest.mark.parametrize(
    ("words", "dtype"), [(["a"], "string"), ([b"a"], "string"), (np.array(["a"]), "string"), ([1], "int64")]
)
def test_the_dtype_of_a_list_is_that_of_its_words(words: Any, dtype: str) -> None:
    assert categorical_column_with_vocabulary_list("word", words).dtype == dtype


def test_an_empty_word_in_a_list_is_found_in_sparse_input() -> None:
    column = categorical_column_with_vocabulary_list("word", ["a", ""])
    assert ids_of(column, {"word": [["", "a"]]}) == [[1, 0]]


# --- Files


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a\nb\n", ["a", "b"]),
        ("a\nb", ["a", "b"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("a\r\nb", ["a", "b"]),
        ("a\nb\r\n", ["a", "b"]),
        (" a\nb \n\tc\t\n", [" a", "b ", "\tc\t"]),
        (" \n  \n", [" ", "  "]),
        ("a\x0bb\x85c\u2028d\n", ["a\x0bb\x85c\u2028d"]),
        ("zwölf\n日本", ["zwölf", "日本"]),
    ],
)
def test_only_line_ends_part_the_words_of_a_file(content: str, words: list[str], tmp_path: Path) -> None:
    column = categorical_column_with_vocabulary_file("word", written(tmp_path, content))
    assert column.num_buckets == len(words)
    assert ids_of(column, {"word": [words]}) == [list(range(len(words)))]
    stripped = [word.strip() for word in words if word.strip() not in words]
    assert ids_of(column, {"word": [[word] for word in stripped]}) == [[-1]] * len(stripped)


def test_a_path_object_names_a_file_too(tmp_path: Path) -> None:
    assert categorical_column_with_vocabulary_file("word", Path(written(tmp_path, "a\n"))).num_buckets == 1


def test_only_the_first_words_up_to_the_size_count(tmp_path: Path) -> None:
    column = categorical_column_with_vocabulary_file("word", written(tmp_path, "a\nb\nc\na\n\n"), 2)
    assert column.num_buckets == 2
    assert ids_of(column, {"word": [["b", "c", "a"]]}) == [[1, -1, 0]]


def test_oov_ids_follow_the_size_and_not_the_length_of_the_file(tmp_path: Path) -> None:
    column = categorical_column_with_vocabulary_file("word", written(tmp_path, "a\nb\nc\n"), 2, num_oov_buckets=1)
    assert column.num_buckets == 3
    assert ids_of(column, {"word": [["c", "b"]]}) == [[2, 1]]


def test_arguments_stand_in_tensorflows_order(tmp_path: Path) -> None:
    column = categorical_column_with_vocabulary_file("n", written(tmp_path, "5\n6\n"), 2, 0, 1, "int32")
    assert (column.vocabulary_size, column.num_oov_buckets, column.default_value, column.dtype) == (2, 0, 1, "int32")
    assert ids_of(column, {"n": [[6, 9]]}) == [[1, 1]]


def test_even_the_default_minus_one_is_refused_beside_oov_buckets(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not both"):
        categorical_column_with_vocabulary_file("word", written(tmp_path, "a"), num_oov_buckets=1, default_value=-1)


@pytest.mark.parametrize("name", ["", None])
def test_no_file_name_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="'word': vocabulary_file must be given"):
        categorical_column_with_vocabulary_file("word", name, 3)


def test_without_a_size_the_file_must_exist_now(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'word': vocabulary_file .*gone\.txt does not exist"):
        categorical_column_with_vocabulary_file("word", str(tmp_path / "gone.txt"))


def test_with_a_size_the_file_is_read_when_the_model_is_built(tmp_path: Path) -> None:
    path = tmp_path / "later.txt"
    column = categorical_column_with_vocabulary_file("word", str(path), 2)
    assert column.num_buckets == 2
    path.write_text("a\nb\n")
    assert ids_of(column, {"word": [["b"]]}) == [[1]]


def test_a_file_that_is_missing_when_the_model_is_built_is_not_found(tmp_path: Path) -> None:
    column = categorical_column_with_vocabulary_file("word", str(tmp_path / "gone.txt"), 2)
    classifier = raydnn.DNNClassifier([2], [indicator_column(column)], model_dir=tmp_path / "model")
    with pytest.raises(errors.NotFoundError, match=r"'word': vocabulary_file .*gone\.txt does not exist"):
        classifier.train(lambda: ({"word": np.array(["a"] * 4)}, fake_labels(4)), steps=1)


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_is_refused(size: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"'word': vocabulary_size must be 1 or more; got {size}"):
        categorical_column_with_vocabulary_file("word", written(tmp_path, "a\n"), size)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'word': vocabulary_size must be 1 or more; got 0"):
        categorical_column_with_vocabulary_file("word", written(tmp_path, ""))


def test_a_size_larger_than_the_file_is_refused_at_build(tmp_path: Path) -> None:
    column = categorical_column_with_vocabulary_file("word", written(tmp_path, "a\nb\n"), 3)
    with pytest.raises(errors.InvalidArgumentError, match="has 2 lines, fewer than vocabulary_size 3"):
        load(column)


@pytest.mark.parametrize(("content", "line"), [("a\n\nb\n", 2), ("\na\n", 1), ("a\r\n\r\nb", 2), ("a\n\n", 2)])
def test_an_empty_line_is_refused_at_build(content: str, line: int, tmp_path: Path) -> None:
    column = categorical_column_with_vocabulary_file("word", written(tmp_path, content))
    with pytest.raises(errors.InvalidArgumentError, match=f"has an empty line, line {line}"):
        load(column)


@pytest.mark.parametrize(
    ("content", "dtype"), [("a\nb\na\n", "string"), ("a\na\r\n", "string"), ("1\n1\n", "int64"), ("1\n01\n", "int64")]
)
def test_a_word_twice_is_refused_at_build(content: str, dtype: str, tmp_path: Path) -> None:
    column = categorical_column_with_vocabulary_file("word", written(tmp_path, content), dtype=dtype)
    with pytest.raises(errors.FailedPreconditionError, match=r"holds .* more than once"):
        load(column)


@pytest.mark.parametrize("content", ["1\nx\n", "1.5\n", "99999999999999999999\n"])
def test_a_line_that_is_no_int64_is_refused_at_build(content: str, tmp_path: Path) -> None:
    column = categorical_column_with_vocabulary_file("n", written(tmp_path, content), dtype="int64")
    with pytest.raises(errors.InvalidArgumentError, match="is declared with dtype int64, but"):
        load(column)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda column: indicator_column(column),
        lambda column: embedding_column(column, 2),
        lambda column: indicator_column(weighted_categorical_column(column, "weight")),
        lambda column: indicator_column(crossed_column([column, "other"], 5)),
        lambda column: indicator_column(crossed_column([crossed_column([column, "other"], 5), "third"], 5)),
    ],
)
def test_a_bad_file_is_found_at_build_however_deep_the_column_lies(wrap: Any, tmp_path: Path) -> None:
    column = categorical_column_with_vocabulary_file("word", written(tmp_path, "a\na\n"), 2)
    classifier = raydnn.DNNClassifier([2], [wrap(column)], model_dir=tmp_path / "model")
    with pytest.raises(errors.FailedPreconditionError, match="holds 'a' more than once"):
        classifier.train(lambda: ({}, fake_labels(4)), steps=1)
