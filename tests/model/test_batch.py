"""Encoded Arrow batches as tensors."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    categorical_column_with_vocabulary_list,
    indicator_column,
    numeric_column,
)
from raydnn.feature_column.encoder import Encoder, example_weight_column, input_layer_columns
from raydnn.feature_column.label import LabelEncoder
from raydnn.model.batch import AheadWork, EncodedBatch, RowIds

ENCODER = Encoder(
    input_layer_columns(
        [
            numeric_column("x", 2),
            indicator_column(categorical_column_with_vocabulary_list("one", ["a", "b"])),
            indicator_column(categorical_column_with_vocabulary_list("many", [1, 2, 3])),
        ]
    ),
    LabelEncoder("multiclass", 4),
    example_weight_column("w"),
)
RAW = pa.RecordBatch.from_pydict(
    {
        "x": pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], pa.list_(pa.float32(), 2)),
        "one": ["a", "?", "b", "a"],
        "many": [[1, 2], [], None, [3, 9, 3]],
        "w": [1.0, 0.5, 0.0, 2.0],
    }
)
ENCODED = ENCODER.encode(RAW, pa.array([3, 0, 1, 2]))


def ids_of_rows(ids: RowIds) -> list[list[int]]:
    if ids.offsets is None:
        return [[value] for value in ids.values.tolist()]
    ends = ids.offsets.tolist()
    return [ids.values.tolist()[start:end] for start, end in pairwise(ends)]


@pytest.mark.parametrize(("start", "stop"), [(0, 4), (0, 2), (1, 3), (2, 4), (3, 4), (2, 2)])
def test_a_slice_of_an_encoded_batch_has_the_tensors_of_its_rows(start: int, stop: int) -> None:
    batch = EncodedBatch.from_arrow(ENCODED.slice(start, stop - start))
    assert batch.num_rows == stop - start
    assert batch.dense is not None
    assert batch.dense.shape == (stop - start, 2)
    assert batch.dense.tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]][start:stop]
    many, one = batch.ids
    assert ids_of_rows(many) == [[0, 1], [], [], [2, -2, 2]][start:stop]
    assert ids_of_rows(one) == [[0], [-2], [1], [0]][start:stop]
    assert batch.labels is not None
    assert batch.labels.tolist() == [3, 0, 1, 2][start:stop]
    assert batch.weights is not None
    assert batch.weights.tolist() == [1.0, 0.5, 0.0, 2.0][start:stop]


def test_dtypes_are_those_that_the_network_computes_with() -> None:
    batch = EncodedBatch.from_arrow(ENCODED)
    assert batch.dense is not None
    assert batch.labels is not None
    assert batch.weights is not None
    assert (batch.dense.dtype, batch.labels.dtype, batch.weights.dtype) == (torch.float32, torch.int64, torch.float32)
    many, one = batch.ids
    assert many.offsets is not None
    assert many.offsets.dtype == torch.int64
    assert one.offsets is None


def test_what_the_encoder_left_out_is_none() -> None:
    word = indicator_column(categorical_column_with_hash_bucket("word", 2**40))
    batch = EncodedBatch.from_arrow(Encoder((word,)).encode(pa.RecordBatch.from_pydict({"word": ["a"]})))
    assert batch.dense is None
    assert batch.labels is None
    assert batch.weights is None
    (ids,) = batch.ids
    assert ids.weights is None
    assert ids.values.dtype == torch.int64


@pytest.mark.parametrize(
    ("ids", "weights", "offsets"),
    [
        (pa.array([5, 6]), pa.array([0.5, 1.5], pa.float32()), None),
        (
            pa.array([[5], [], [6]], pa.large_list(pa.int64())),
            pa.array([[0.5], [], [1.5]], pa.large_list(pa.float32())),
            [0, 1, 1, 2],
        ),
    ],
)
def test_weights_of_ids_lie_beside_them(ids: pa.Array, weights: pa.Array, offsets: Any) -> None:
    batch = EncodedBatch.from_arrow(pa.RecordBatch.from_pydict({"ids/0": ids, "weights/0": weights}))
    (found,) = batch.ids
    assert found.values.tolist() == [5, 6]
    assert found.weights is not None
    assert found.weights.tolist() == [0.5, 1.5]
    assert (None if found.offsets is None else found.offsets.tolist()) == offsets


def test_more_than_ten_categorical_columns_keep_their_order() -> None:
    columns = [
        indicator_column(categorical_column_with_vocabulary_list(f"c{place:02}", list(range(20))))
        for place in range(12)
    ]
    raw = pa.RecordBatch.from_pydict({f"c{place:02}": [place] for place in range(12)})
    batch = EncodedBatch.from_arrow(Encoder(input_layer_columns(columns)).encode(raw))
    assert [ids.values.tolist() for ids in batch.ids] == [[place] for place in range(12)]


def test_changing_the_tensors_leaves_the_arrow_batch_as_it_was() -> None:
    batch = EncodedBatch.from_arrow(ENCODED)
    assert batch.dense is not None
    batch.dense.zero_()
    batch.ids[0].values.zero_()
    np.testing.assert_array_equal(ENCODED.column("dense").flatten().to_numpy(), np.arange(1, 9))


@pytest.mark.parametrize("sizes", [[4], [1, 3], [2, 0, 2], [0, 4], [1, 1, 1, 1]])
def test_batches_that_are_made_together_are_those_of_their_slices(sizes: list[int]) -> None:
    together = EncodedBatch.of_each(ENCODED, sizes)
    for batch, size, stop in zip(together, sizes, accumulate(sizes), strict=True):
        alone = EncodedBatch.from_arrow(ENCODED.slice(stop - size, size))
        assert batch.num_rows == size
        for name in ("dense", "labels", "weights"):
            assert torch.equal(getattr(batch, name), getattr(alone, name))
        for ids, expected in zip(batch.ids, alone.ids, strict=True):
            assert ids_of_rows(ids) == ids_of_rows(expected)


def test_without_categorical_columns_batches_are_made_together_too() -> None:
    rows = Encoder(input_layer_columns([numeric_column("x")])).encode(pa.RecordBatch.from_pydict({"x": [1.0, 2.0]}))
    first, second = EncodedBatch.of_each(rows, [1, 1])
    assert (first.ids, first.labels, first.weights) == ((), None, None)
    assert second.dense is not None
    assert second.dense.tolist() == [[2.0]]


def test_what_was_learned_from_one_batch_is_done_for_the_next_ones_at_once() -> None:
    calls: list[list[int]] = []

    def work(batch: EncodedBatch, sizes: Sequence[int]) -> list[int]:
        calls.append(list(sizes))
        return [10 * size for size in sizes]

    ahead, owner = AheadWork(), object()
    (first,) = EncodedBatch.of_each(ENCODED, [4], ahead=ahead)
    assert (first.once(owner, work), first.once(owner, work)) == (40, 40)
    second, third = EncodedBatch.of_each(ENCODED, [1, 3], ahead=ahead)
    assert (second.once(owner, work), third.once(owner, work)) == (10, 30)
    assert calls == [[4], [1, 3]]
