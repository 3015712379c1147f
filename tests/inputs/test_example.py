"""Serialized examples: what is read from them, and what does not fit."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fake_examples import example

from raydnn import errors
from raydnn.feature_column import (
    FixedLenFeature,
    VarLenFeature,
    categorical_column_with_hash_bucket,
    indicator_column,
    make_parse_example_spec,
    numeric_column,
)
from raydnn.feature_column.encoder import Encoder, input_layer_columns
from raydnn.feature_column.parse_spec import FeatureSpec
from raydnn.feature_column.raw_features import RawFeatures
from raydnn.inputs.example import parse_examples


def parse_one(features: dict[str, Any], spec: FeatureSpec, name: str = "f") -> list[Any]:
    """The rows of one feature of one example."""
    found: list[Any] = parse_examples([example(features)], {name: spec}).column(name).to_pylist()
    return found


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ([1, -1, 2**62], "int64", [1, -1, 2**62]),
        (["a", "", "zwölf"], "string", [b"a", b"", "zwölf".encode()]),
        ([b"\xff\x00"], "string", [b"\xff\x00"]),
        ([1.5, -0.0, float("inf")], "float32", [1.5, -0.0, float("inf")]),
        ([0.1], "float32", [float(np.float32(0.1))]),
    ],
)
def test_a_varlen_feature_is_a_sparse_row_of_its_values(value: list[Any], dtype: str, expected: list[Any]) -> None:
    assert parse_one({"f": value}, VarLenFeature(dtype)) == [expected]


@pytest.mark.parametrize("features", [{}, {"other": 3}, {"f": None}, {"f": []}])
def test_an_absent_or_empty_varlen_feature_is_an_empty_row(features: dict[str, Any]) -> None:
    assert parse_one(features, VarLenFeature("int64")) == [[]]


def test_rows_keep_their_own_lengths() -> None:
    records = [example({"f": [1, 2]}), example({}), example({"f": 3})]
    assert parse_examples(records, {"f": VarLenFeature("int64")}).to_pydict() == {"f": [[1, 2], [], [3]]}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((), 1), ((1,), [1]), ((1, 1), [[1]])],
)
def test_a_fixed_feature_of_one_value_has_its_shape(shape: tuple[int, ...], expected: Any) -> None:
    assert parse_one({"f": 1}, FixedLenFeature(shape, "int64")) == [expected]


def test_a_fixed_feature_of_two_dimensions_is_filled_row_by_row() -> None:
    found = parse_one({"f": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}, FixedLenFeature((2, 3), "float32"))
    assert found == [[[1, 2, 3], [4, 5, 6]]]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (FixedLenFeature((1,), "int64", 7), [7]),
        (FixedLenFeature((), "string", "none"), b"none"),
        (FixedLenFeature((), "string", b""), b""),
        (FixedLenFeature((2,), "float32", 0.5), [0.5, 0.5]),
        (FixedLenFeature((2,), "float32", (1.0, 2.0)), [1.0, 2.0]),
        (FixedLenFeature((2, 2), "int64", [[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    ],
)
@pytest.mark.parametrize("features", [{}, {"f": None}])
def test_a_default_stands_for_an_absent_fixed_feature(
    spec: FixedLenFeature, expected: Any, features: dict[str, Any]
) -> None:
    assert parse_one(features, spec) == [expected]


def test_a_default_does_not_replace_what_is_there() -> None:
    assert parse_one({"f": 3}, FixedLenFeature((1,), "int64", 7)) == [[3]]


@pytest.mark.parametrize("features", [{}, {"f": None}])
def test_an_absent_fixed_feature_without_default_is_refused(features: dict[str, Any]) -> None:
    records = [example({"f": 1}), example(features)]
    with pytest.raises(errors.InvalidArgumentError, match="'f' is missing in example 1; write it, or declare"):
        parse_examples(records, {"f": FixedLenFeature((1,), "int64")})


@pytest.mark.parametrize(("shape", "value"), [((1,), [1, 2]), ((2,), [1]), ((), [1, 2]), ((2, 2), [1, 2, 3])])
@pytest.mark.parametrize("default", [None, 0])
def test_another_number_of_values_than_the_shape_holds_is_refused(
    shape: tuple[int, ...], value: list[int], default: int | None
) -> None:
    with pytest.raises(errors.InvalidArgumentError, match=f"'f' has {len(value)} values in example 0; shape"):
        parse_one({"f": value}, FixedLenFeature(shape, "int64", default))


@pytest.mark.parametrize(
    ("value", "dtype", "found", "wanted"),
    [
        (1, "float32", "int64_list", "float_list"),
        (1.0, "int64", "float_list", "int64_list"),
        ("a", "int64", "bytes_list", "int64_list"),
        (1, "string", "int64_list", "bytes_list"),
    ],
)
@pytest.mark.parametrize("is_fixed", [True, False])
def test_a_feature_of_another_kind_is_refused(value: Any, dtype: str, found: str, wanted: str, is_fixed: bool) -> None:
    spec = FixedLenFeature((1,), dtype) if is_fixed else VarLenFeature(dtype)
    with pytest.raises(errors.InvalidArgumentError, match=f"'f' of example 0 is a {found}.*{dtype}, a {wanted}"):
        parse_one({"f": value}, spec)


@pytest.mark.parametrize("dtype", ["float64", "int32", "bool"])
def test_a_dtype_that_no_example_can_hold_is_refused(dtype: str) -> None:
    with pytest.raises(ValueError, match=f"'f' is declared with dtype {dtype}; a tf.Example holds string, float32"):
        parse_examples([], {"f": VarLenFeature(dtype)})


@pytest.mark.parametrize("record", [b"\xff\xff\xff", b"no example", example({"f": 1})[:-2]])
def test_a_record_that_is_no_example_is_refused(record: bytes) -> None:
    with pytest.raises(errors.DataLossError, match="record 1 is not a tf.Example"):
        parse_examples([example({"f": 1}), record], {"f": VarLenFeature("int64")})


def test_an_empty_record_is_an_example_without_features() -> None:
    assert parse_examples([b""], {"f": VarLenFeature("int64")}).to_pydict() == {"f": [[]]}


@pytest.mark.parametrize(
    "spec", [VarLenFeature("string"), FixedLenFeature((2,), "float32"), FixedLenFeature((), "int64")]
)
def test_no_records_give_no_rows_in_the_layout_of_the_spec(spec: FeatureSpec) -> None:
    empty = parse_examples([], {"f": spec})
    one = parse_examples(
        [example({"f": {"string": ["a"], "float32": [1.0, 2.0], "int64": 1}[spec.dtype]})], {"f": spec}
    )
    assert empty.num_rows == 0
    assert empty.schema == one.schema


def test_features_outside_the_spec_are_not_read() -> None:
    assert parse_examples([example({"f": 1, "g": "x"})], {"f": VarLenFeature("int64")}).schema.names == ["f"]


def test_packed_and_unpacked_numbers_are_read_alike() -> None:
    # Field 1 of the list twice as a varint of its own, as old writers do it.
    unpacked = b"\x1a\x04" + b"\x08\x05" + b"\x08\x06"
    entry = b"\x0a\x01f" + b"\x12" + bytes([len(unpacked)]) + unpacked
    features = b"\x0a" + bytes([len(entry)]) + entry
    record = b"\x0a" + bytes([len(features)]) + features
    assert parse_examples([record], {"f": VarLenFeature("int64")}).to_pydict() == {"f": [[5, 6]]}


def test_empty_words_and_minus_one_are_values_because_the_feature_is_sparse() -> None:
    word = categorical_column_with_hash_bucket("f", 5)
    number = categorical_column_with_hash_bucket("n", 5, dtype="int64")
    spec = make_parse_example_spec([word, number])
    raw = RawFeatures(parse_examples([example({"f": ["", "a"], "n": [-1]})], spec))
    assert (raw.ids(word).values >= 0).all()
    assert len(raw.ids(word).values) == 2
    assert (raw.ids(number).values >= 0).all()


def test_a_varlen_feature_cannot_feed_a_numeric_column() -> None:
    batch = parse_examples([example({"x": 1.0})], {"x": VarLenFeature("float32")})
    encoder = Encoder(input_layer_columns([numeric_column("x")]))
    with pytest.raises(ValueError, match="'x' is numeric and cannot read a SparseTensor"):
        encoder.encode(batch)


def test_parsed_rows_encode_as_the_same_rows_in_arrow() -> None:
    columns = [
        numeric_column("x", 2),
        numeric_column("z", default_value=3.0),
        indicator_column(categorical_column_with_hash_bucket("f", 5)),
    ]
    rows = [{"x": [1.0, 2.0], "f": ["a", "b"]}, {"x": [3.0, 4.0], "z": 5.0}]
    encoder = Encoder(input_layer_columns(columns))
    parsed = encoder.encode(parse_examples(map(example, rows), make_parse_example_spec(columns)))
    given = pa.RecordBatch.from_pydict(
        {
            "x": pa.array([row["x"] for row in rows], pa.list_(pa.float32(), 2)),
            "z": pa.array([None, 5.0], pa.float32()),
            "f": [["a", "b"], []],
        }
    )
    assert parsed.to_pydict() == encoder.encode(given).to_pydict()
