"""Raw rows as the features and labels of a model function."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from raydnn.feature_column import categorical_column_with_vocabulary_list, indicator_column, numeric_column
from raydnn.feature_column.encoder import Encoder, input_layer_columns
from raydnn.inputs.dataset import LABEL_COLUMN
from raydnn.model.batch import EncodedBatch
from raydnn.train.feature_batch import FeatureBatch, FeatureBatchMaker, encoded_features

WORD = categorical_column_with_vocabulary_list("word", ["a", "b"])
CPU = torch.device("cpu")


def rows(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def feature(array: pa.Array) -> Any:
    return made(rows(x=array))[0]["x"]


def made(batch: pa.RecordBatch, maker: FeatureBatchMaker | None = None) -> tuple[FeatureBatch, Any]:
    """Features and labels of one batch."""
    (of_batch,) = (maker or FeatureBatchMaker())(batch, [batch.num_rows])
    return of_batch


def encoder_of(*columns: Any) -> Encoder:
    return Encoder(input_layer_columns(columns)).load()


def dense(batch: EncodedBatch | None) -> list[list[float]]:
    assert batch is not None
    assert batch.dense is not None
    return batch.dense.tolist()


# --- Features


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        pytest.param(pa.array([1, 2]), torch.tensor([1, 2]), id="int64"),
        pytest.param(pa.array([1, 2], pa.uint8()), torch.tensor([1, 2], dtype=torch.uint8), id="uint8"),
        pytest.param(pa.array([1.5, 2.5]), torch.tensor([1.5, 2.5], dtype=torch.float64), id="float64"),
        pytest.param(pa.array([1.5], pa.float16()), torch.tensor([1.5], dtype=torch.float16), id="float16"),
        pytest.param(pa.array([True, False]), torch.tensor([True, False]), id="bool"),
        pytest.param(pa.array([5, 6, 5]).dictionary_encode(), torch.tensor([5, 6, 5]), id="dictionary"),
        pytest.param(pa.array([1, 2, 3, 4]).slice(1, 2), torch.tensor([2, 3]), id="slice"),
        pytest.param(pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)), torch.tensor([[1, 2], [3, 4]]), id="matrix"),
        pytest.param(
            pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.int64(), 2)).slice(1, 1),
            torch.tensor([[3, 4]]),
            id="slice of a matrix",
        ),
        pytest.param(
            pa.array([[[1, 2]], [[3, 4]]], pa.list_(pa.list_(pa.int64(), 2), 1)),
            torch.tensor([[[1, 2]], [[3, 4]]]),
            id="further axes",
        ),
        pytest.param(pa.array([], pa.float32()), torch.zeros(0), id="no rows"),
        pytest.param(pa.array([], pa.list_(pa.float32(), 3)), torch.zeros(0, 3), id="matrix without rows"),
    ],
)
def test_numbers_of_a_fixed_shape_become_tensors(array: pa.Array, expected: torch.Tensor) -> None:
    found = feature(array)
    assert isinstance(found, torch.Tensor)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["a", "b"]),
        pa.array(["a", "b"]).dictionary_encode(),
        pa.array([b"a"]),
        pa.array([["a", "b"]], pa.list_(pa.string(), 2)),
        pa.array([1, None]),
        pa.array([[1, 2], None], pa.list_(pa.int64(), 2)),
        pa.array([[1], [2, 3]]),
        pa.array([[1.0], []]),
        pa.nulls(2),
    ],
    ids=lambda array: str(array.type),
)
def test_text_and_ragged_and_missing_values_stay_in_arrow(array: pa.Array) -> None:
    assert feature(array).equals(array)


def test_a_tensor_may_be_changed_without_changing_the_rows() -> None:
    batch = rows(x=pa.array([1.0, 2.0]))
    features, _ = made(batch)
    features["x"] *= 0
    assert batch.column("x").to_pylist() == [1.0, 2.0]


def test_batches_that_are_made_together_are_those_made_alone() -> None:
    whole = rows(**{"x": list(range(6)), "word": list("abcdef"), LABEL_COLUMN: list(range(6))})
    together = FeatureBatchMaker()(whole, [1, 0, 3, 2])
    assert [features["x"].tolist() for features, _ in together] == [[0], [], [1, 2, 3], [4, 5]]
    assert [features["word"].to_pylist() for features, _ in together] == [["a"], [], ["b", "c", "d"], ["e", "f"]]
    assert [labels.tolist() for _, labels in together] == [[0], [], [1, 2, 3], [4, 5]]


def test_features_are_a_dict_in_the_order_of_the_columns() -> None:
    features, labels = made(rows(b=[1], a=[2], word=["a"]))
    assert isinstance(features, FeatureBatch)
    assert isinstance(features, dict)
    assert list(features) == ["b", "a", "word"]
    assert labels is None


# --- Labels


@pytest.mark.parametrize("values", [[0, 1], [0.5, 1.5], [[1.0, 0.0], [0.0, 1.0]]])
def test_labels_are_tensors_and_no_feature(values: list[Any]) -> None:
    kind = pa.list_(pa.float64(), 2) if isinstance(values[0], list) else None
    features, labels = made(rows(**{"x": [1, 2], LABEL_COLUMN: pa.array(values, kind)}))
    assert list(features) == ["x"]
    assert labels.tolist() == values


def test_text_labels_stay_in_arrow() -> None:
    _, labels = made(rows(**{"x": [1, 2], LABEL_COLUMN: ["yes", "no"]}))
    assert labels.to_pylist() == ["yes", "no"]


# --- Encoding


def test_an_encoder_that_was_used_once_is_used_ahead_for_the_next_batches() -> None:
    maker, encoder = FeatureBatchMaker(), encoder_of(numeric_column("x"), indicator_column(WORD))
    first, _ = made(rows(x=[1.0], word=["a"]), maker)
    assert maker.encoders == []
    encoded = first.encode(encoder)
    assert encoded is first.encode(encoder)
    assert maker.encoders == [encoder]
    second, _ = made(rows(x=[2.0], word=["b"]), maker)
    assert dense(second.encode(encoder)) == [[2.0]]
    assert maker.encoders == [encoder]
    assert dense(encoded) == [[1.0]]


def test_a_second_encoder_is_learned_too() -> None:
    maker, encoders = FeatureBatchMaker(), [encoder_of(numeric_column("x")), encoder_of(numeric_column("y"))]
    for _ in range(2):
        features, _ = made(rows(x=[1.0], y=[2.0]), maker)
        assert [dense(features.encode(encoder)) for encoder in encoders] == [[[1.0]], [[2.0]]]
    assert maker.encoders == encoders


def test_features_that_were_changed_are_not_encoded_from_the_rows() -> None:
    encoder = encoder_of(numeric_column("x"))
    features, _ = made(rows(x=[1.0, 2.0], other=[5.0, 6.0]))
    features["other"] = features["other"] * 2
    assert dense(features.encode(encoder)) == [[1.0], [2.0]]
    features["x"] = features["x"] * 10
    assert features.encode(encoder) is None
    assert dense(encoded_features(features, encoder, CPU)) == [[10.0], [20.0]]


def test_a_feature_that_was_taken_away_is_missing() -> None:
    encoder = encoder_of(numeric_column("x"))
    features, _ = made(rows(x=[1.0]))
    del features["x"]
    assert features.encode(encoder) is None
    with pytest.raises(ValueError, match="'x'"):
        encoded_features(features, encoder, CPU)


@pytest.mark.parametrize("given", [np.array([1.0, 2.0]), torch.tensor([1.0, 2.0]), [1.0, 2.0], pa.array([1.0, 2.0])])
def test_arrays_of_the_callers_own_are_encoded(given: Any) -> None:
    encoder = encoder_of(numeric_column("x"))
    assert dense(encoded_features({"x": given, "unused": object()}, encoder, CPU)) == [[1.0], [2.0]]


def test_text_of_a_batch_is_encoded_as_that_of_the_caller() -> None:
    encoder = encoder_of(indicator_column(WORD), numeric_column("x"))
    features, _ = made(rows(word=["b", "?", "a"], x=[1.0, 2.0, 3.0]))
    batches = features.encode(encoder), encoded_features({"word": ["b", "?", "a"], "x": [1.0, 2.0, 3.0]}, encoder, CPU)
    assert [[part.values.tolist() for part in batch.ids] for batch in batches if batch is not None] == [
        [[1, -2, 0]]
    ] * 2
