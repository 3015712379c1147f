"""Labels: what they become and which are refused."""

import re
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest

from raydnn import errors
from raydnn.feature_column.label import LabelEncoder

Kind = Literal["binary", "multiclass"]
BINARY = LabelEncoder("binary", 2)
MULTI = LabelEncoder("multiclass", 3)
ANIMALS = ("cat", "dog", "öwl")


def encode(encoder: LabelEncoder, labels: pa.Array) -> np.ndarray:
    return encoder.encode(labels, len(labels))


@pytest.mark.parametrize(
    "arrow_type", [pa.bool_(), pa.int8(), pa.uint8(), pa.int64(), pa.float16(), pa.float32(), pa.float64()]
)
def test_binary_labels_of_any_number_type_become_float32(arrow_type: pa.DataType) -> None:
    encoded = encode(BINARY, pa.array(np.array([0, 1, 1], arrow_type.to_pandas_dtype()), arrow_type))
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [0.0, 1.0, 1.0]


def test_a_binary_label_between_0_and_1_is_a_soft_target() -> None:
    assert encode(BINARY, pa.array([0.5, 0.25])).tolist() == [0.5, 0.25]


@pytest.mark.parametrize("arrow_type", [pa.int8(), pa.uint8(), pa.int32(), pa.int64()])
def test_multiclass_labels_of_any_integer_type_become_int64(arrow_type: pa.DataType) -> None:
    encoded = encode(MULTI, pa.array([2, 0, 1], arrow_type))
    assert encoded.dtype == np.int64
    assert encoded.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    "labels",
    [
        pa.array([1, 0]),
        pa.array([[1], [0]], pa.list_(pa.int64(), 1)),
        pa.array([[[1]], [[0]]], pa.list_(pa.list_(pa.int64(), 1), 1)),
        pa.array([7, 1, 0]).slice(1),
        pa.array([[7], [1], [0]], pa.list_(pa.int64(), 1)).slice(1),
        pa.array([1, 0]).dictionary_encode(),
    ],
)
@pytest.mark.parametrize("encoder", [BINARY, MULTI])
def test_a_label_column_may_have_one_value_a_row_in_any_layout(encoder: LabelEncoder, labels: pa.Array) -> None:
    assert encode(encoder, labels).tolist() == [1, 0]


@pytest.mark.parametrize(("kind", "dtype"), [("binary", np.float32), ("multiclass", np.int64)])
@pytest.mark.parametrize(
    "arrow_type", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int8(), pa.string())]
)
def test_a_vocabulary_turns_class_names_into_their_places(kind: Kind, dtype: Any, arrow_type: pa.DataType) -> None:
    encoder = LabelEncoder(kind, 3, ANIMALS)
    encoded = encode(encoder, pa.array(["öwl", "cat", "dog"]).cast(arrow_type))
    assert encoded.dtype == dtype
    assert encoded.tolist() == [2, 0, 1]


@pytest.mark.parametrize(("encoder", "dtype"), [(BINARY, np.float32), (MULTI, np.int64)])
def test_no_rows_give_no_labels_of_the_right_dtype(encoder: LabelEncoder, dtype: Any) -> None:
    encoded = encode(encoder, pa.array([], pa.int64()))
    assert encoded.shape == (0,)
    assert encoded.dtype == dtype


# --- What is refused


@pytest.mark.parametrize("encoder", [BINARY, MULTI])
def test_absent_labels_are_refused_with_a_way_out(encoder: LabelEncoder) -> None:
    with pytest.raises(ValueError, match=r"labels are missing.*input_fn that returns \(features, labels\)"):
        encoder.encode(None, 3)


@pytest.mark.parametrize("encoder", [BINARY, MULTI])
@pytest.mark.parametrize("labels", [pa.array([[1], [0]]), pa.array([[1], [0]], pa.large_list(pa.int64()))])
def test_sparse_or_ragged_labels_are_refused(encoder: LabelEncoder, labels: pa.Array) -> None:
    with pytest.raises(ValueError, match="labels must be dense.*sparse or ragged"):
        encode(encoder, labels)


@pytest.mark.parametrize("encoder", [BINARY, MULTI])
def test_more_than_one_label_a_row_is_refused(encoder: LabelEncoder) -> None:
    with pytest.raises(ValueError, match="the last dimension is 2"):
        encode(encoder, pa.array([[1, 0]], pa.list_(pa.int64(), 2)))


@pytest.mark.parametrize("encoder", [BINARY, MULTI])
def test_another_number_of_labels_than_rows_is_refused(encoder: LabelEncoder) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="labels have 2 rows, features have 3"):
        encoder.encode(pa.array([1, 0]), 3)


@pytest.mark.parametrize("encoder", [BINARY, MULTI, LabelEncoder("multiclass", 3, ANIMALS)])
def test_a_missing_label_is_refused_with_its_row(encoder: LabelEncoder) -> None:
    labels = pa.array(["cat", None, None]) if encoder.vocabulary else pa.array([1, None, None])
    with pytest.raises(errors.InvalidArgumentError, match="missing in 2 of 3 rows, the first in row 1; drop such rows"):
        encode(encoder, labels)


@pytest.mark.parametrize(
    ("encoder", "labels", "found"),
    [
        (BINARY, [0, 1, 2], "2 in row 2"),
        (BINARY, [1, -1], "-1 in row 1"),
        (BINARY, [1.5], "1.5 in row 0"),
        (BINARY, [1.0, float("nan")], "nan in row 1"),
        (MULTI, [0, 3], "3 in row 1"),
        (MULTI, [-1], "-1 in row 0"),
    ],
)
def test_a_label_out_of_range_is_refused_with_value_row_and_bounds(
    encoder: LabelEncoder, labels: list[Any], found: str
) -> None:
    bounds = f"labels must be >= 0 and <= n_classes - 1 = {encoder.n_classes - 1}"
    with pytest.raises(errors.InvalidArgumentError, match=re.escape(f"label {found} is out of range: {bounds}")):
        encode(encoder, pa.array(labels))


@pytest.mark.parametrize("labels", [[True, False], [1.0, 2.0]])
def test_multiclass_labels_that_are_no_integers_are_refused(labels: list[Any]) -> None:
    with pytest.raises(ValueError, match="labels must be integers for 3 classes.*label_vocabulary"):
        encode(MULTI, pa.array(labels))


@pytest.mark.parametrize(("encoder", "error"), [(BINARY, errors.UnimplementedError), (MULTI, ValueError)])
def test_strings_without_a_vocabulary_are_refused_with_a_way_out(encoder: LabelEncoder, error: type[Exception]) -> None:
    with pytest.raises(error, match="label_vocabulary"):
        encode(encoder, pa.array(["cat", "dog"]))


@pytest.mark.parametrize(("kind", "error"), [("binary", TypeError), ("multiclass", ValueError)])
def test_numbers_beside_a_vocabulary_are_refused_by_each_head_in_its_way(kind: Kind, error: type[Exception]) -> None:
    with pytest.raises(error, match="must be strings because label_vocabulary is given; got int64"):
        encode(LabelEncoder(kind, 3, ANIMALS), pa.array([1, 0]))


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_a_class_name_that_the_vocabulary_lacks_is_refused(kind: Kind) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="'cow' in row 1 is not in label_vocabulary.*add it there"):
        encode(LabelEncoder(kind, 3, ANIMALS), pa.array(["cat", "cow"]))


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_a_vocabulary_longer_than_the_classes_fails_only_for_labels_beyond_them(kind: Kind) -> None:
    encoder = LabelEncoder(kind, 2, ANIMALS)
    assert encode(encoder, pa.array(["dog", "cat"])).tolist() == [1, 0]
    with pytest.raises(errors.InvalidArgumentError, match="'öwl' in row 0 is out of range"):
        encode(encoder, pa.array(["öwl"]))


def test_duplicates_in_the_vocabulary_are_found_when_labels_are_looked_up() -> None:
    encoder = LabelEncoder("multiclass", 3, ("cat", "dog", "cat"))
    with pytest.raises(errors.FailedPreconditionError, match="label_vocabulary holds duplicates"):
        encode(encoder, pa.array(["cat"]))
