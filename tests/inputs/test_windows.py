"""Batches from rows that stream by: who gets which rows, in which order, and where a run goes on."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import pyarrow as pa
import pytest
from made_batches import streamed_batches

from raydnn.inputs import Dataset
from raydnn.inputs.prepare import RawPreparer
from raydnn.inputs.stream import Reader, open_stream
from raydnn.inputs.windows import WindowPlan, Windows
from raydnn.train.feature_batch import FeatureBatchMaker

NUM_ROWS = 103
PER_EPOCH = 13
RANKS = (1, 2, 3, 4)


@dataclass(frozen=True)
class NumberedRows(Windows):
    """So many rows, each with its number."""

    num_rows: int = NUM_ROWS
    fingerprint = "numbered"

    def read(self, epoch: int, first: int, rows_each: int) -> Iterator[pa.RecordBatch]:
        for start in range(first * rows_each, self.num_rows, rows_each):
            yield pa.record_batch({"row": list(range(start, min(start + rows_each, self.num_rows)))})


@pytest.fixture(autouse=True)
def _short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of three batches of 8 rows."""
    monkeypatch.setattr("raydnn.inputs.windows.WINDOW_ROWS", 30)


def dataset_of(num_rows: int = NUM_ROWS, **settings: Any) -> Dataset:
    return Dataset(source=NumberedRows(num_rows), **{"batch_size": 8, "seed": 3, **settings})


def reader_of(rank: int = 0, num_ranks: int = 1) -> Reader:
    return Reader(RawPreparer(), FeatureBatchMaker(), rank, num_ranks)


def streamed(dataset: Dataset, rank: int = 0, num_ranks: int = 1, **options: Any) -> list[list[int]]:
    """The numbers of the rows in each batch."""
    batches = streamed_batches(dataset, reader_of(rank, num_ranks), **options)
    return [batch.features["row"].tolist() for batch in batches]


def of_all_ranks(dataset: Dataset, num_ranks: int, **options: Any) -> list[list[int]]:
    """The global batches, from the parts of all ranks."""
    of_ranks = [streamed(dataset, rank, num_ranks, **options) for rank in range(num_ranks)]
    return [list(chain(*parts)) for parts in zip(*of_ranks, strict=True)]


def test_a_window_holds_whole_batches_and_one_at_least() -> None:
    assert [WindowPlan(size, False, 0, False).window_rows for size in (1, 8, 30, 31)] == [30, 24, 30, 31]


@pytest.mark.parametrize("num_ranks", RANKS)
def test_without_shuffling_rows_come_in_their_order_for_any_number_of_ranks(num_ranks: int) -> None:
    batches = of_all_ranks(dataset_of(num_epochs=2), num_ranks)
    assert [len(batch) for batch in batches] == [*[8] * 12, 7] * 2
    assert list(chain(*batches)) == [*range(NUM_ROWS), *range(NUM_ROWS)]


@pytest.mark.parametrize("num_ranks", RANKS)
def test_shuffled_every_row_comes_once_in_every_epoch_in_the_same_batches_for_any_number_of_ranks(
    num_ranks: int,
) -> None:
    dataset = dataset_of(num_epochs=2, shuffle=True)
    batches = of_all_ranks(dataset, num_ranks)
    assert batches == streamed(dataset)
    first, second = batches[:PER_EPOCH], batches[PER_EPOCH:]
    assert first != second
    for epoch in (first, second):
        assert sorted(chain(*epoch)) == list(range(NUM_ROWS))
        # Rows are mixed within windows of three batches.
        assert sorted(chain(*epoch[:3])) == list(range(24))
        assert list(chain(*epoch[:3])) != list(range(24))


def test_the_seed_decides_the_order() -> None:
    batches = streamed(dataset_of(shuffle=True))
    assert batches == streamed(dataset_of(shuffle=True))
    assert batches != streamed(dataset_of(shuffle=True, seed=4))


def test_drop_remainder_leaves_out_the_short_batch_of_each_epoch() -> None:
    batches = streamed(dataset_of(num_epochs=2, drop_remainder=True))
    assert [len(batch) for batch in batches] == [8] * 24
    assert batches[12] == batches[0]


def test_a_rank_may_get_an_empty_part_and_still_knows_the_global_batch() -> None:
    batches = list(streamed_batches(dataset_of(batch_size=51), reader_of(rank=0, num_ranks=4)))
    assert [batch.num_rows for batch in batches] == [12, 12, 0]
    assert [batch.global_rows for batch in batches] == [51, 51, 1]
    assert batches[-1].features["row"].shape == (0,)


def test_each_part_knows_where_in_the_global_batch_it_begins() -> None:
    of_ranks = [list(streamed_batches(dataset_of(), reader_of(rank, 3))) for rank in range(3)]
    assert [batches[0].first_row for batches in of_ranks] == [0, 2, 5]


def test_without_an_end_epoch_follows_epoch() -> None:
    batches = streamed_batches(dataset_of(num_epochs=None), reader_of())
    assert [batch.features["row"].tolist() for batch in islice(batches, PER_EPOCH, PER_EPOCH + 1)] == [list(range(8))]


@pytest.mark.parametrize("num_ranks", [1, 3])
@pytest.mark.parametrize("num_done", [1, 3, 4, 7, 12, 13, 14, 25, 26])
@pytest.mark.parametrize("drop_remainder", [False, True])
def test_a_cursor_goes_on_with_the_next_batch_for_any_number_of_ranks(
    num_done: int, num_ranks: int, drop_remainder: bool
) -> None:
    dataset = dataset_of(shuffle=True, num_epochs=2, drop_remainder=drop_remainder)
    done = list(islice(streamed_batches(dataset, reader_of(rank=1, num_ranks=2)), num_done))
    assert of_all_ranks(dataset, num_ranks, cursor=done[-1].cursor) == streamed(dataset)[num_done:]


@pytest.mark.parametrize("change", [{"batch_size": 9}, {"seed": 4}, {"shuffle": False}, {"drop_remainder": True}])
def test_a_cursor_of_another_order_is_refused(change: dict[str, Any]) -> None:
    cursor = next(streamed_batches(dataset_of(shuffle=True), reader_of())).cursor
    changed = dataset_of(**{"shuffle": True, **change})
    assert changed.order.fingerprint != dataset_of(shuffle=True).order.fingerprint
    with pytest.raises(ValueError, match=rf"input changed since the checkpoint.*{next(iter(change))}"):
        next(streamed_batches(changed, reader_of(), cursor=cursor))


def test_windows_of_another_size_make_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dataset_of().order.fingerprint
    monkeypatch.setattr("raydnn.inputs.windows.WINDOW_ROWS", 20)
    assert dataset_of().order.fingerprint != before


@pytest.mark.parametrize("num_epochs", [1, None])
@pytest.mark.parametrize(("num_rows", "message"), [(0, "has no rows"), (7, "has 7 rows, fewer than its batch_size 8")])
def test_a_data_set_without_a_batch_ends_and_is_refused_where_it_must_have_one(
    num_rows: int, message: str, num_epochs: int | None
) -> None:
    dataset = dataset_of(num_rows, num_epochs=num_epochs, drop_remainder=True)
    assert streamed(dataset) == []
    with pytest.raises(ValueError, match=message):
        streamed(dataset, must_have_batches=True)


def test_the_number_of_batches_is_not_known_and_the_data_set_is_not_refused_beforehand() -> None:
    dataset = dataset_of(0)
    assert dataset.num_batches is None
    dataset.check_has_batches()


def test_an_open_stream_gives_its_batches_and_an_empty_one() -> None:
    stream = open_stream(dataset_of(), reader_of())
    assert stream.data_fingerprint == "numbered"
    assert (stream.empty.num_rows, stream.empty.features["row"].shape) == (0, (0,))
    assert len(list(stream.batches)) == PER_EPOCH


def test_a_stream_that_goes_on_at_its_very_end_still_knows_the_layout() -> None:
    *_, last = streamed_batches(dataset_of(), reader_of())
    stream = open_stream(dataset_of(), reader_of(), cursor=last.cursor, must_have_batches=True)
    assert list(stream.batches) == []
    assert stream.empty.features["row"].shape == (0,)
