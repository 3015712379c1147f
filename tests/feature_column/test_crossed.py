"""Crossed columns: TensorFlow's hashes, and a plain loop over rows and combinations."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import farmhash
import numpy as np
import pyarrow as pa
import pytest
from column_inputs import by_row, ids_of, network_input
from hypothesis import given, settings
from hypothesis import strategies as st

from raydnn import SparseTensor
from raydnn.feature_column import (
    VarLenFeature,
    bucketized_column,
    categorical_column_with_hash_bucket,
    categorical_column_with_identity,
    categorical_column_with_vocabulary_list,
    crossed_column,
    embedding_column,
    indicator_column,
    make_parse_example_spec,
    numeric_column,
    weighted_categorical_column,
)
from raydnn.feature_column.columns import CategoricalColumn
from raydnn.feature_column.crossed import CrossedColumn
from raydnn.feature_column.raw_features import RawFeatures

GOLDENS = json.loads((Path(__file__).parents[1] / "goldens" / "hashing.json").read_text())["crosses"]
NO_LIMIT = 2**63 - 1
BUCKETS = 1_000_003
MASK = 2**64 - 1


# --- The reference


def shift(value: int) -> int:
    return value ^ (value >> 47)


def value_hash(value: str | int) -> int:
    return farmhash.fingerprint64(value) if isinstance(value, str) else value & MASK


def fold(values: Sequence[str | int], size: int, hash_key: int | None = None) -> int:
    """The id of one combination, as the formula is written."""
    factor = 0xC6A4A7935BD1E995
    folded = hash_key or 0xDECAFCAFFE
    for value in values:
        result = folded ^ factor
        result ^= (shift(value_hash(value) * factor & MASK) * factor) & MASK
        result = result * factor & MASK
        result = shift(result) * factor & MASK
        folded = shift(result)
    return folded % size


def product(leaves: Sequence[Sequence[str | int]], size: int, hash_key: int | None = None) -> list[int]:
    """The ids of all combinations of one row, the last leaf varying fastest."""
    return [fold(values, size, hash_key) for values in itertools.product(*leaves)]


# --- TensorFlow's numbers


def golden_feature(key: dict[str, Any], is_dense: bool) -> pa.Array:
    """The values of one key as a batch of one row."""
    values = pa.array(key["values"], pa.string() if key["dtype"] == "string" else pa.int64())
    if is_dense:
        return pa.FixedSizeListArray.from_arrays(values, len(values))
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)


def golden_ids(golden: dict[str, Any], num_dense: int, leaves: Sequence[Any] | None = None) -> list[int]:
    """The ids of a golden cross whose last keys are dense."""
    keys = golden["keys"]
    features = [golden_feature(key, place >= len(keys) - num_dense) for place, key in enumerate(keys)]
    batch = pa.RecordBatch.from_arrays(features, names=[f"f{place}" for place in range(len(keys))])
    leaves = leaves or batch.schema.names
    # Some goldens have one key alone, which the function refuses but the fold knows.
    make = crossed_column if len(keys) > 1 else lambda *arguments: CrossedColumn(*arguments)
    column = make(tuple(leaves), golden["hash_bucket_size"] or NO_LIMIT, golden["hash_key"])
    (row,) = by_row(column.encode(RawFeatures(batch)), 1)
    return row


@pytest.mark.parametrize("place", range(len(GOLDENS)))
def test_crosses_equal_tensorflows_in_every_layout_that_keeps_the_order(place: int) -> None:
    golden = GOLDENS[place]
    for num_dense in range(len(golden["keys"]) + 1):
        assert golden_ids(golden, num_dense) == golden["output"]


@pytest.mark.parametrize("place", range(len(GOLDENS)))
def test_crosses_of_declared_columns_equal_tensorflows(place: int) -> None:
    golden = GOLDENS[place]
    leaves = [
        categorical_column_with_identity(f"f{place}", NO_LIMIT) if key["dtype"] == "int64" else f"f{place}"
        for place, key in enumerate(golden["keys"])
    ]
    assert golden_ids(golden, 0, leaves) == golden["output"]


def test_all_the_golden_crosses_are_there() -> None:
    assert len(GOLDENS) == 64


@pytest.mark.parametrize(
    ("values", "hash_key", "expected"),
    [
        (("a", "b"), None, 5527121959452899179),
        (("b", "a"), None, 5739045650690388293),
        ((1, 2), None, 5036120653031601357),
        ((1, "b"), None, 4986137273661345257),
        (("b", 1), None, 5354134812324246176),
        ((-1, "b"), None, 7854203728761781092),
        (("a", "b"), 7, 21874290934136094),
        (("a", "c", "e"), None, 8313865165040879184),
    ],
)
def test_one_value_a_key_gives_the_id_of_the_specification(
    values: tuple[str | int, ...], hash_key: int | None, expected: int
) -> None:
    assert fold(values, NO_LIMIT, hash_key) == expected
    features = {f"f{place}": np.array([value]) for place, value in enumerate(values)}
    assert ids_of(crossed_column(list(features), NO_LIMIT, hash_key), features) == [[expected]]


@pytest.mark.parametrize(("keys", "expected"), [(["x", "y"], 86), (["y", "x"], 0)])
def test_the_order_of_the_keys_counts_but_the_name_is_sorted(keys: list[str], expected: int) -> None:
    column = crossed_column(keys, 100)
    assert ids_of(column, {"x": np.array(["a"]), "y": np.array(["b"])}) == [[expected]]
    assert column.name == "x_X_y"


def test_a_product_has_the_last_leaf_varying_fastest() -> None:
    column = crossed_column(["x", "y"], NO_LIMIT)
    assert ids_of(column, {"x": [["a", "b"]], "y": [["c", "d", "e"]]}) == [
        [
            1265624096873407566,
            1584069791037555375,
            3927666362714511010,
            2725843207563437254,
            2292520902626215647,
            4171697120956746554,
        ]
    ]


# --- Rules


def test_a_cross_is_named_after_its_sorted_leaves() -> None:
    bucketized = bucketized_column(numeric_column("z"), [0.0])
    column = crossed_column([bucketized, crossed_column(["b", "a"], 5), "B"], 7)
    assert column.name == "B_X_a_X_b_X_z_bucketized"
    assert column.num_buckets == 7
    assert sorted(column.feature_keys) == ["B", "a", "b", "z"]


@pytest.mark.parametrize("dense", ["x", "y"])
def test_sparse_leaves_are_folded_before_dense_ones(dense: str) -> None:
    column = crossed_column(["x", "y"], BUCKETS)
    values = {"x": "a", "y": "b"}
    features = {key: np.array([value]) if key == dense else [[value]] for key, value in values.items()}
    in_order = [values[key] for key in sorted(values, key=lambda key: (key == dense, key))]
    assert ids_of(column, features) == [[fold(in_order, BUCKETS)]]


def test_a_declared_column_is_sparse_however_its_feature_is_fed() -> None:
    words = categorical_column_with_vocabulary_list("y", ["b", "a"])
    column = crossed_column(["x", words], BUCKETS)
    for fed in (np.array(["a"]), [["a"]]):
        assert ids_of(column, {"x": np.array(["q"]), "y": fed}) == [[fold((1, "q"), BUCKETS)]]


@pytest.mark.parametrize("hash_key", [None, 0])
def test_the_key_zero_is_the_default_key(hash_key: int | None) -> None:
    column = crossed_column(["x", "y"], BUCKETS, hash_key)
    assert ids_of(column, {"x": [["a"]], "y": [["b"]]}) == [[fold("ab", BUCKETS, 0xDECAFCAFFE)]]


@pytest.mark.parametrize("hash_key", [-1, -(2**63), 2**63 - 1, np.int64(-5)])
def test_a_key_may_be_any_int64(hash_key: int) -> None:
    column = crossed_column(["x", "y"], BUCKETS, hash_key)
    assert ids_of(column, {"x": [["a"]], "y": [["b"]]}) == [[fold("ab", BUCKETS, int(hash_key) & MASK)]]


def test_a_nested_cross_is_flattened_and_its_size_and_key_are_ignored() -> None:
    features = {"x": [["a"]], "y": [["b", "c"]], "z": [["d"]]}
    nested = crossed_column([crossed_column(["x", "y"], 3, hash_key=99), "z"], BUCKETS)
    deeper = crossed_column(["x", crossed_column(["y", "z"], 2)], BUCKETS)
    flat = crossed_column(["x", "y", "z"], BUCKETS)
    assert ids_of(nested, features) == ids_of(deeper, features) == ids_of(flat, features)
    assert ids_of(flat, features) == [product([["a"], ["b", "c"], ["d"]], BUCKETS)]


def test_a_row_with_an_empty_sparse_leaf_has_no_cross() -> None:
    column = crossed_column(["x", "y"], BUCKETS)
    features = {"x": [["a"], ["a"], []], "y": [["b"], [], ["b"]]}
    assert ids_of(column, features) == [[fold("ab", BUCKETS)], [], []]
    assert network_input([indicator_column(crossed_column(["x", "y"], 1))], features) == [[1], [0], [0]]


def test_empty_words_and_minus_one_of_dense_raw_features_take_part() -> None:
    column = crossed_column(["x", "y"], BUCKETS)
    features = {"x": np.array([["", "a"]]), "y": np.array([-1])}
    assert ids_of(column, features) == [product([["", "a"], [-1]], BUCKETS)]


def test_missing_values_of_raw_features_do_not_take_part() -> None:
    column = crossed_column(["x", "y"], BUCKETS)
    features = {"x": [["a", None], ["a"], ["a"]], "y": [3, None, 4]}
    assert ids_of(column, features) == [[fold(("a", 3), BUCKETS)], [], [fold(("a", 4), BUCKETS)]]


@pytest.mark.parametrize("values", [np.array([[2.9, -2.9]]), SparseTensor([[0, 0], [0, 1]], [2.9, -2.9], (1, 2))])
def test_floats_are_cut_to_integers(values: Any) -> None:
    assert ids_of(crossed_column(["x", "y"], BUCKETS), {"x": [["a"]], "y": values}) == [
        product([["a"], [2, -2]], BUCKETS)
    ]


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint8", "float32"])
def test_a_number_crosses_alike_in_every_width(dtype: str) -> None:
    features = {"x": np.array(["a"]), "y": np.array([7], dtype)}
    assert ids_of(crossed_column(["x", "y"], BUCKETS), features) == [[fold(("a", 7), BUCKETS)]]


def test_the_minus_one_of_an_unknown_word_takes_part() -> None:
    words = categorical_column_with_vocabulary_list("x", ["a", "b"])
    column = crossed_column([words, "y"], BUCKETS)
    features = {"x": [["b", "?"]], "y": [["q"]]}
    assert ids_of(column, features) == [product([[1, -1], ["q"]], BUCKETS)]
    assert ids_of(column, {"x": np.array([["b", "?"]]), "y": [["q"]]}) == ids_of(column, features)


@pytest.mark.parametrize(
    ("leaf", "values", "present"),
    [
        (categorical_column_with_vocabulary_list("x", ["a", "b"], num_oov_buckets=1), np.array([["", "b"]]), [1]),
        (categorical_column_with_identity("x", 5, default_value=2), np.array([[-1, 3, -7]]), [3, 2]),
        (categorical_column_with_identity("x", 5), np.array([[-1, 9, -7]]), [9, -7]),
        (categorical_column_with_vocabulary_list("x", [4, -1]), np.array([[-1, 4]]), [0]),
        (categorical_column_with_vocabulary_list("x", [4, -1]), [[-1, 4]], [1, 0]),
    ],
)
def test_missing_values_of_dense_declared_columns_are_dropped(
    leaf: CategoricalColumn, values: Any, present: list[int]
) -> None:
    features = {"x": values, "y": [["q"]]}
    assert ids_of(crossed_column([leaf, "y"], BUCKETS), features) == [product([present, ["q"]], BUCKETS)]


def test_a_bucketized_leaf_takes_part_with_its_ids() -> None:
    buckets = bucketized_column(numeric_column("x", 2), [0.0, 1.0])
    features = {"x": np.array([[-5.0, 1.0]]), "y": [["q", "r"]]}
    assert ids_of(crossed_column(["y", buckets], BUCKETS), features) == [product([["q", "r"], [0, 3 + 2]], BUCKETS)]


def test_a_feature_may_stand_in_several_leaves() -> None:
    column = crossed_column(["x", categorical_column_with_vocabulary_list("x", ["a"])], BUCKETS)
    assert column.feature_keys == ("x",)
    assert ids_of(column, {"x": [["a"]]}) == [[fold(("a", 0), BUCKETS)]]


def test_a_cross_can_be_embedded_and_weighted() -> None:
    column = crossed_column(["x", "y"], 4)
    features = {"x": [["a", "b"]], "y": [["c"]], "w": np.array([[2.0, 3.0]], np.float32)}
    (row,) = network_input([indicator_column(weighted_categorical_column(column, "w"))], features)
    assert sum(row) == 5
    assert len(network_input([embedding_column(column, 3)], features)[0]) == 3


def test_the_features_of_all_leaves_are_parsed() -> None:
    column = crossed_column(["x", categorical_column_with_identity("n", 3), "x"], 5)
    assert make_parse_example_spec([column]) == {"x": VarLenFeature("string"), "n": VarLenFeature("int64")}


# --- Refusals


@pytest.mark.parametrize("keys", [None, [], ["x"], "xy", ()])
def test_fewer_than_two_keys_are_refused(keys: Any) -> None:
    with pytest.raises(ValueError, match="keys must be a list of at least two"):
        crossed_column(keys, 10)


@pytest.mark.parametrize("size", [0, -1, None])
def test_a_size_below_one_is_refused(size: Any) -> None:
    with pytest.raises(ValueError, match=f"hash_bucket_size must be 1 or more; got {size}"):
        crossed_column(["x", "y"], size)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (categorical_column_with_hash_bucket("y", 5), "'y' is hashed already.*cross the feature 'y' itself"),
        (
            weighted_categorical_column(categorical_column_with_identity("y", 5), "w"),
            "'y_weighted_by_w' is weighted",
        ),
        (numeric_column("y"), "keys must be feature names or categorical columns"),
        (indicator_column(categorical_column_with_identity("y", 5)), "keys must be feature names or categorical"),
        (3, "keys must be feature names or categorical columns; got 3"),
        (None, "keys must be feature names or categorical columns; got None"),
    ],
)
def test_keys_that_cannot_be_crossed_are_refused(key: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        crossed_column(["x", key], 10)


@pytest.mark.parametrize("absent", ["x", "y"])
def test_a_missing_feature_is_refused_by_name(absent: str) -> None:
    features = {"x": [["a"]], "y": [["b"]]}
    del features[absent]
    with pytest.raises(ValueError, match=f"'{absent}' is not in features dictionary"):
        ids_of(crossed_column(["x", "y"], 10), features)


def test_booleans_are_refused() -> None:
    with pytest.raises(ValueError, match="'x_X_y' crosses feature 'y', which holds bool"):
        ids_of(crossed_column(["x", "y"], 10), {"x": [["a"]], "y": np.array([True])})


# --- Random tables


@dataclass(frozen=True)
class Leaf:
    """One key of a cross.

    Attributes:
        key: of the cross.
        feature: what it reads, in Arrow.
        values: of each row, what takes part.
        is_sparse: whether it is folded before the dense ones.
    """

    key: Any
    feature: pa.Array
    values: list[list[str | int]]
    is_sparse: bool


VOCABULARY = ["a", "", "日本"]
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": st.one_of(st.sampled_from([*VOCABULARY, "?"]), st.text(max_size=5)),
    "int64": st.one_of(st.sampled_from([-1, 0, 1, 5]), st.integers(-(2**63), 2**63 - 1)),
    "float64": st.floats(-(2.0**40), 2.0**40),
}


@st.composite
def raw_rows(draw: st.DrawFn, dtype: str, num_rows: int) -> tuple[pa.Array, list[list[Any]], bool]:
    """A feature as Arrow, as lists, and whether it is dense; None is missing."""
    layout = draw(st.sampled_from(["plain", "fixed", "ragged"]))
    low, high = {"plain": (1, 1), "fixed": (2, 2), "ragged": (0, 3)}[layout]
    value = st.one_of(st.none(), SCALARS[dtype])
    row = st.lists(value, min_size=low, max_size=high)
    rows = draw(st.lists(row, min_size=num_rows, max_size=num_rows))
    arrow_type = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64()}[dtype]
    values = pa.array([each for given_row in rows for each in given_row], arrow_type)
    if dtype == "string" and draw(st.booleans()):
        values = values.dictionary_encode()
    if layout == "ragged":
        offsets = np.cumsum([0, *map(len, rows)])
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values), rows, False
    return values if layout == "plain" else pa.FixedSizeListArray.from_arrays(values, 2), rows, True


@st.composite
def leaves(draw: st.DrawFn, name: str, num_rows: int) -> Leaf:
    kind = draw(st.sampled_from(["string", "int64", "float64", "identity", "vocabulary", "bucketized"]))
    if kind == "bucketized":
        numbers = draw(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0]), min_size=num_rows, max_size=num_rows))
        column = bucketized_column(numeric_column(name), [0.0, 1.0])
        ids: list[list[str | int]] = [[int(number >= 0) + int(number >= 1)] for number in numbers]
        return Leaf(column, pa.array(numbers, pa.float32()), ids, is_sparse=True)
    dtype = {"identity": "int64", "vocabulary": "string"}.get(kind, kind)
    feature, rows, is_dense = draw(raw_rows(dtype, num_rows))
    if kind in SCALARS:
        present = [[value for value in row if value is not None] for row in rows]
        cut = [[int(value) if kind == "float64" else value for value in row] for row in present]
        return Leaf(name, feature, cut, not is_dense)
    ignored = (None, "", -1) if is_dense else (None,)
    if kind == "identity":
        column = categorical_column_with_identity(name, 4, default_value=draw(st.sampled_from([None, 2])))

        def to_id(value: Any) -> int:
            return value if column.default_value is None or 0 <= value < 4 else column.default_value
    else:
        column = categorical_column_with_vocabulary_list(name, VOCABULARY)

        def to_id(value: Any) -> int:
            return VOCABULARY.index(value) if value in VOCABULARY else -1

    ids = [[to_id(value) for value in row if value not in ignored] for row in rows]
    return Leaf(column, feature, ids, is_sparse=True)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_a_cross_equals_a_plain_loop_over_rows_and_combinations(data: st.DataObject) -> None:
    num_rows = data.draw(st.integers(0, 5))
    given_leaves = [data.draw(leaves(f"f{place}", num_rows)) for place in range(data.draw(st.integers(2, 4)))]
    size = data.draw(st.sampled_from([1, 10, BUCKETS, 2**31, NO_LIMIT]))
    hash_key = data.draw(st.sampled_from([None, 0, 1, 2**40]))
    keys = [leaf.key for leaf in given_leaves]
    if len(keys) > 2 and data.draw(st.booleans()):
        keys = [keys[0], crossed_column(keys[1:], 3, hash_key=5)]
    batch = pa.RecordBatch.from_arrays(
        [leaf.feature for leaf in given_leaves], names=[f"f{place}" for place in range(len(given_leaves))]
    )
    start = data.draw(st.integers(0, num_rows))
    in_order = sorted(given_leaves, key=lambda leaf: not leaf.is_sparse)
    expected = [product([leaf.values[row] for leaf in in_order], size, hash_key) for row in range(start, num_rows)]
    found = crossed_column(keys, size, hash_key).encode(RawFeatures(batch.slice(start)))
    assert by_row(found, num_rows - start) == expected
