"""The encoder against a plain reference, row by row in Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import farmhash
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydnn import errors
from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    categorical_column_with_vocabulary_list,
    embedding_column,
    indicator_column,
    numeric_column,
)
from raydnn.feature_column.columns import CategoricalColumn
from raydnn.feature_column.encoder import UNKNOWN_ID, Encoder, example_weight_column, input_layer_columns
from raydnn.feature_column.label import LabelEncoder

WORDS = ["a", "b", "zwölf", "日本", " ", "x" * 70]
VOCABULARIES = {"string": ["b", "", "日本", "a"], "int64": [7, -1, 0, 10**12]}


def encoder_of(*columns: Any, **other: Any) -> Encoder:
    return Encoder(input_layer_columns(columns), **other)


# --- Random features in random layouts


@dataclass(frozen=True)
class Feature:
    """One raw feature, as Python rows and as an Arrow column.

    Attributes:
        rows: a value a row, or a list of values a row; None is missing.
        array: the same in Arrow.
        is_dense: whether '' and -1 mean missing.
    """

    rows: list[Any]
    array: pa.Array
    is_dense: bool


def scalars(dtype: str) -> st.SearchStrategy[Any]:
    if dtype == "string":
        return st.one_of(st.none(), st.just(""), st.sampled_from(WORDS), st.text(max_size=9))
    small = st.sampled_from([-1, 0, 7, 10**12])
    return st.one_of(st.none(), small, st.integers(-(2**63), 2**63 - 1))


@st.composite
def features(draw: st.DrawFn, dtype: str, num_rows: int) -> Feature:
    """A feature in one of the layouts that Arrow knows, possibly a slice of a longer column."""
    layout = draw(st.sampled_from(["plain", "fixed", "ragged"]))
    before, after = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    arrow_type = draw(
        st.sampled_from([pa.string(), pa.large_string(), pa.binary()] if dtype == "string" else [pa.int64()])
    )
    value = scalars(dtype)
    width = draw(st.integers(1, 3))
    if layout == "fixed":
        value = st.lists(value, min_size=width, max_size=width)
    elif layout == "ragged":
        value = st.one_of(st.none(), st.lists(value, max_size=4))
    total = before + num_rows + after
    rows = draw(st.lists(value, min_size=total, max_size=total))
    array = as_arrow(rows, layout, width, arrow_type, draw(st.booleans()), draw(st.booleans()))
    return Feature(rows[before : before + num_rows], array.slice(before, num_rows), layout != "ragged")


def as_arrow(
    rows: list[Any], layout: str, width: int, value_type: pa.DataType, is_dictionary: bool, is_large: bool
) -> pa.Array:
    if layout == "plain":
        return encoded_values(rows, value_type, is_dictionary)
    flat = [value for row in rows for value in row or ()]
    values = encoded_values(flat, value_type, is_dictionary)
    if layout == "fixed":
        return pa.FixedSizeListArray.from_arrays(values, width)
    offsets = np.concatenate([[0], np.cumsum([len(row or ()) for row in rows])])
    kind = pa.LargeListArray if is_large else pa.ListArray
    offset_type = pa.int64() if is_large else pa.int32()
    return kind.from_arrays(
        pa.array(offsets, offset_type), values, mask=pa.array([row is None for row in rows], pa.bool_())
    )


def encoded_values(values: Sequence[Any], value_type: pa.DataType, is_dictionary: bool) -> pa.Array:
    if pa.types.is_binary(value_type):
        values = [value if value is None else value.encode() for value in values]
    array = pa.array(values, value_type)
    return array.dictionary_encode() if is_dictionary else array


@st.composite
def categorical_columns(draw: st.DrawFn, key: str, dtype: str) -> CategoricalColumn:
    if draw(st.booleans()):
        size = draw(st.sampled_from([1, 3, 1000, 2**31 - 1, 2**31, 2**62]))
        return categorical_column_with_hash_bucket(key, size, dtype)
    oov = draw(st.integers(0, 3))
    default = -1 if oov else draw(st.sampled_from([-1, 0, 2]))
    return categorical_column_with_vocabulary_list(key, VOCABULARIES[dtype], default_value=default, num_oov_buckets=oov)


@st.composite
def tables(draw: st.DrawFn, max_rows: int = 8) -> tuple[list[CategoricalColumn], list[Feature], int]:
    num_rows = draw(st.integers(0, max_rows))
    dtypes = draw(st.lists(st.sampled_from(["string", "int64"]), min_size=1, max_size=3))
    columns = [draw(categorical_columns(f"f{place}", dtype)) for place, dtype in enumerate(dtypes)]
    return columns, [draw(features(dtype, num_rows)) for dtype in dtypes], num_rows


# --- The reference


def reference_id(column: Any, value: Any, is_dense: bool) -> int:
    if value is None or (is_dense and value in ("", -1)):
        return -1
    hashed = farmhash.fingerprint64(str(value))
    if hasattr(column, "hash_bucket_size"):
        return hashed % column.hash_bucket_size
    words = list(column.vocabulary_list)
    if value in words:
        return words.index(value)
    if column.num_oov_buckets:
        return len(words) + hashed % column.num_oov_buckets
    return UNKNOWN_ID if column.default_value == -1 else column.default_value


def reference_ids(column: Any, feature: Feature) -> list[list[int]]:
    rows = [
        row if isinstance(row, list) else [] if row is None and not feature.is_dense else [row] for row in feature.rows
    ]
    return [[reference_id(column, value, feature.is_dense) for value in row] for row in rows]


def encoded_ids(encoded: pa.RecordBatch, place: int) -> list[list[int]]:
    rows = encoded.column(f"ids/{place}").to_pylist()
    return [row if isinstance(row, list) else [row] for row in rows]


# --- Categorical columns


@settings(max_examples=250, deadline=None)
@given(tables())
def test_ids_equal_those_of_a_plain_loop_over_the_rows(
    table: tuple[list[CategoricalColumn], list[Feature], int],
) -> None:
    columns, given_features, num_rows = table
    batch = pa.RecordBatch.from_arrays(
        [feature.array for feature in given_features], names=[column.name for column in columns]
    )
    encoded = encoder_of(*[indicator_column(column) for column in columns]).encode(batch)
    assert encoded.num_rows == num_rows
    for place, (column, feature) in enumerate(zip(columns, given_features, strict=True)):
        assert encoded_ids(encoded, place) == reference_ids(column, feature)


@settings(max_examples=100, deadline=None)
@given(tables(max_rows=12), st.data())
def test_parts_of_a_table_encode_to_the_parts_of_its_encoding(
    table: tuple[list[CategoricalColumn], list[Feature], int], data: st.DataObject
) -> None:
    columns, given_features, num_rows = table
    numbers = pa.array(np.linspace(-1, 1, num_rows))
    batch = pa.RecordBatch.from_arrays(
        [*[feature.array for feature in given_features], numbers], names=[*[column.name for column in columns], "x"]
    )
    labels = pa.array([row % 2 for row in range(num_rows)], pa.int64())
    encoder = encoder_of(
        numeric_column("x"),
        *[embedding_column(column, 2) for column in columns],
        label=LabelEncoder("binary", 2),
        weight=example_weight_column("x"),
    )
    whole = encoder.encode(batch, labels)
    cuts = sorted(data.draw(st.lists(st.integers(0, num_rows), max_size=3)))
    parts = [
        encoder.encode(batch.slice(start, end - start), labels.slice(start, end - start))
        for start, end in pairwise([0, *cuts, num_rows])
    ]
    assert all(part.schema == whole.schema for part in parts)
    assert pa.Table.from_batches(parts).to_pylist() == whole.to_pylist()


def test_a_table_of_many_rows_equals_the_plain_loop() -> None:
    random = np.random.default_rng(5)
    rows = [[f"w{word}" for word in random.integers(0, 500, size)] for size in random.integers(0, 6, 20_000)]
    column = categorical_column_with_hash_bucket("f", 10_007)
    encoded = encoder_of(indicator_column(column)).encode(pa.RecordBatch.from_pydict({"f": rows}))
    assert encoded_ids(encoded, 0) == reference_ids(column, Feature(rows, pa.array(rows), is_dense=False))


@pytest.mark.parametrize(
    ("size", "value_type"), [(10, pa.int32()), (2**31 - 1, pa.int32()), (2**31, pa.int64()), (2**40, pa.int64())]
)
def test_ids_are_as_narrow_as_their_column_allows(size: int, value_type: pa.DataType) -> None:
    encoder = encoder_of(indicator_column(categorical_column_with_hash_bucket("f", size)))
    assert encoder.encode(pa.RecordBatch.from_pydict({"f": ["a"]})).column("ids/0").type == value_type
    lists = encoder.encode(pa.RecordBatch.from_pydict({"f": [["a"]]})).column("ids/0").type
    assert lists == pa.large_list(value_type)


def test_an_id_that_is_too_large_does_not_wrap_around_to_a_valid_one() -> None:
    column = categorical_column_with_vocabulary_list("f", ["a", "b"], default_value=2**32 + 1)
    encoded = encoder_of(indicator_column(column)).encode(pa.RecordBatch.from_pydict({"f": ["?", "b"]}))
    unknown, known = encoded.column("ids/0").to_pylist()
    assert unknown >= 2
    assert known == 1


def test_a_categorical_column_wrapped_twice_is_encoded_once() -> None:
    word = categorical_column_with_hash_bucket("word", 9)
    again = categorical_column_with_hash_bucket("word", 9)
    encoder = encoder_of(indicator_column(word), embedding_column(again, 2))
    assert encoder.categorical_columns == (word,)
    assert encoder.encode(pa.RecordBatch.from_pydict({"word": ["a"]})).schema.names == ["ids/0"]


# --- Value columns, labels, weights


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(width=32, allow_nan=False), st.integers(-(2**31), 2**31 - 1), st.booleans()), max_size=10
    ),
    st.integers(0, 3),
)
def test_numbers_equal_their_float32_values(rows: list[tuple[float, int, bool]], start: int) -> None:
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array([row[0] for row in rows], pa.float64()),
            pa.array([row[1] for row in rows], pa.int32()),
            pa.array([row[2] for row in rows], pa.bool_()),
        ],
        names=["a", "b", "c"],
    ).slice(start)
    encoder = encoder_of(numeric_column("c"), numeric_column("a"), numeric_column("b"))
    encoded = encoder.encode(batch)
    expected = [[float(np.float32(value)) for value in row] for row in rows[start:]]
    assert encoded.column("dense").to_pylist() == expected


def test_value_columns_lie_side_by_side_in_the_order_of_their_names() -> None:
    encoder = encoder_of(numeric_column("b", 2), numeric_column("a"), numeric_column("B"))
    batch = pa.RecordBatch.from_pydict(
        {"a": [1.0], "b": pa.array([[2.0, 3.0]], pa.list_(pa.float32(), 2)), "B": [4.0], "not read": ["?"]}
    )
    assert encoder.encode(batch).column("dense").to_pylist() == [[4.0, 1.0, 2.0, 3.0]]
    assert encoder.dense_width == 4


def test_labels_and_weights_stand_beside_the_features() -> None:
    encoder = encoder_of(
        numeric_column("x"),
        label=LabelEncoder("multiclass", 3),
        weight=numeric_column("w", normalizer_fn=lambda values: values * 10),
    )
    encoded = encoder.encode(pa.RecordBatch.from_pydict({"x": [1, 2], "w": [3, 4]}), pa.array([2, 0]))
    assert encoded.to_pydict() == {"dense": [[1.0], [2.0]], "label": [2, 0], "weight": [30.0, 40.0]}
    assert encoder.feature_keys == ("w", "x")


def test_an_encoder_passes_on_what_labels_and_features_are_refused_for() -> None:
    encoder = encoder_of(numeric_column("x"), label=LabelEncoder("binary", 2))
    batch = pa.RecordBatch.from_pydict({"x": [1.0]})
    with pytest.raises(errors.InvalidArgumentError, match="label 2 in row 0"):
        encoder.encode(batch, pa.array([2]))
    with pytest.raises(ValueError, match="labels are missing"):
        encoder.encode(batch)
    with pytest.raises(ValueError, match="'x' is not in features dictionary"):
        encoder.encode(pa.RecordBatch.from_pydict({"y": [1.0]}), pa.array([1]))


def test_a_weight_that_is_not_in_the_features_is_refused() -> None:
    encoder = encoder_of(numeric_column("x"), weight=example_weight_column("w"))
    with pytest.raises(ValueError, match="'w' is not in features dictionary"):
        encoder.encode(pa.RecordBatch.from_pydict({"x": [1.0]}))


@pytest.mark.parametrize("weights", [pa.array(["1"]), pa.array([[1.0, 2.0]], pa.list_(pa.float64(), 2))])
def test_weights_that_are_not_one_number_a_row_are_refused(weights: pa.Array) -> None:
    encoder = encoder_of(numeric_column("x"), weight=example_weight_column("w"))
    with pytest.raises(ValueError, match="'w' is declared"):
        encoder.encode(pa.RecordBatch.from_pydict({"x": [1.0], "w": weights}))


# --- What makes an input layer


def test_columns_are_ordered_by_name_with_upper_case_first() -> None:
    word = categorical_column_with_hash_bucket("word", 3)
    columns = [
        numeric_column("b"),
        embedding_column(word, 2),
        indicator_column(word),
        numeric_column("B"),
        numeric_column("a"),
    ]
    names = [column.name for column in input_layer_columns(iter(columns))]
    assert names == ["B", "a", "b", "word_embedding", "word_indicator"]


@pytest.mark.parametrize("columns", [None, [], ()])
def test_an_input_layer_without_columns_is_refused(columns: Any) -> None:
    with pytest.raises(ValueError, match="feature_columns must not be empty"):
        input_layer_columns(columns)


@pytest.mark.parametrize("columns", [{"x": numeric_column("x")}, numeric_column("x")])
def test_a_dict_or_a_bare_column_is_refused(columns: Any) -> None:
    with pytest.raises(ValueError, match="must be a list of feature columns"):
        input_layer_columns(columns)


@pytest.mark.parametrize("columns", ["x", ["x"], [numeric_column("x"), None]])
def test_an_item_that_is_no_column_is_refused(columns: Any) -> None:
    with pytest.raises(ValueError, match="must hold feature columns; got"):
        input_layer_columns(columns)


def test_a_bare_categorical_column_is_refused_with_a_way_out() -> None:
    columns: list[Any] = [categorical_column_with_hash_bucket("word", 3)]
    with pytest.raises(ValueError, match="'word' is categorical.*embedding_column or indicator_column"):
        input_layer_columns(columns)


def test_two_columns_of_one_name_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"more than one column named \['x'\]"):
        input_layer_columns([numeric_column("x"), numeric_column("y"), numeric_column("x", 2)])


@pytest.mark.parametrize(
    "weight_column", [3, ["w"], indicator_column(categorical_column_with_hash_bucket("w", 3)), b"w"]
)
def test_a_weight_column_of_another_type_is_a_type_error(weight_column: Any) -> None:
    with pytest.raises(TypeError, match="weight_column must be a feature name or a numeric_column"):
        example_weight_column(weight_column)


def test_a_weight_column_of_several_values_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'w' must have one value a row; it has shape \(2,\)"):
        example_weight_column(numeric_column("w", 2))


def test_a_weight_column_by_name_is_a_numeric_column_of_that_name() -> None:
    assert example_weight_column("w") == numeric_column("w")
    assert example_weight_column(None) is None
