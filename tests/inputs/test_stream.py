"""Streams of batches: who gets which rows, in which order, and where a run goes on."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_data import LABEL, fake_columns, fake_features, fake_labels, fake_table
from made_batches import given_batches, planned_batches

from raydnn import SparseTensor
from raydnn.feature_column.encoder import Encoder, input_layer_columns
from raydnn.feature_column.label import LabelEncoder
from raydnn.inputs import Dataset, from_arrow, from_numpy, from_parquet
from raydnn.inputs.batch import Batch
from raydnn.inputs.input_fn import as_input
from raydnn.inputs.ordered_map import map_in_thread, map_inline
from raydnn.inputs.prepare import EncodingPreparer, RawPreparer
from raydnn.inputs.stream import (
    MOST_TOGETHER,
    Part,
    Reader,
    UnitMap,
    empty_batch,
    made_together,
    open_stream,
    planned_parts,
)
from raydnn.model.batch import EncodedBatch
from raydnn.train.feature_batch import FeatureBatchMaker

NUM_ROWS = 103
RANKS = (1, 2, 3, 4)


def raw_reader(rank: int = 0, num_ranks: int = 1) -> Reader:
    return Reader(RawPreparer(), FeatureBatchMaker(), rank, num_ranks)


def encoding_reader() -> Reader:
    encoder = Encoder(input_layer_columns(fake_columns()), LabelEncoder("binary", 2))
    return Reader(
        EncodingPreparer(encoder), lambda rows, sizes: [(batch, None) for batch in EncodedBatch.of_each(rows, sizes)]
    )


@pytest.fixture
def parquet(tmp_path: Path) -> str:
    """Numbered rows in three files with row groups of 10."""
    for name, start, stop in [("a", 0, 40), ("b", 40, 45), ("c", 45, NUM_ROWS)]:
        rows = list(range(start, stop))
        pq.write_table(pa.table({"row": rows, "label": rows}), tmp_path / f"{name}.parquet", row_group_size=10)
    return str(tmp_path)


def dataset_of(path: str, **settings: Any) -> Dataset:
    return from_parquet(path, label="label", **{"batch_size": 8, "seed": 3, **settings})


def rows_of(batch: Batch) -> list[int]:
    return batch.features["row"].tolist()


def planned(dataset: Dataset, rank: int = 0, num_ranks: int = 1, **options: Any) -> list[list[int]]:
    """The numbers of the rows in each batch."""
    return [rows_of(batch) for batch in planned_batches(dataset, raw_reader(rank, num_ranks), **options)]


def joined(of_ranks: list[list[list[int]]]) -> list[list[int]]:
    """The global batches, from the parts of all ranks."""
    return [list(chain(*parts)) for parts in zip(*of_ranks, strict=True)]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("num_ranks", RANKS)
def test_every_row_comes_once_in_every_epoch_over_all_ranks(parquet: str, num_ranks: int, shuffle: bool) -> None:
    dataset = dataset_of(parquet, num_epochs=2, shuffle=shuffle)
    of_ranks = [planned(dataset, rank, num_ranks) for rank in range(num_ranks)]
    batches = joined(of_ranks)
    assert len(batches) == dataset.num_batches == 26
    for epoch in (batches[:13], batches[13:]):
        assert sorted(row for batch in epoch for row in batch) == list(range(NUM_ROWS))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("num_ranks", RANKS[1:])
def test_ranks_together_get_the_batches_that_one_would_get(parquet: str, num_ranks: int, shuffle: bool) -> None:
    dataset = dataset_of(parquet, shuffle=shuffle)
    of_ranks = [planned(dataset, rank, num_ranks) for rank in range(num_ranks)]
    assert joined(of_ranks) == planned(dataset)


def test_a_rank_may_get_an_empty_part_and_still_knows_the_global_batch(parquet: str) -> None:
    dataset = dataset_of(parquet, batch_size=51)
    reader = raw_reader(rank=0, num_ranks=4)
    batches = list(planned_batches(dataset, reader))
    assert [batch.num_rows for batch in batches] == [12, 12, 0]
    assert [batch.global_rows for batch in batches] == [51, 51, 1]
    assert batches[-1].features["row"].shape == (0,)


def test_without_shuffling_rows_come_in_file_order(parquet: str) -> None:
    assert list(chain(*planned(dataset_of(parquet)))) == list(range(NUM_ROWS))


def test_the_seed_decides_the_order_and_each_epoch_has_its_own(parquet: str) -> None:
    batches = planned(dataset_of(parquet, shuffle=True, num_epochs=2))
    assert batches == planned(dataset_of(parquet, shuffle=True, num_epochs=2))
    assert batches != planned(dataset_of(parquet, shuffle=True, num_epochs=2, seed=4))
    assert batches[:13] != batches[13:]


def test_drop_remainder_leaves_out_the_short_batch_of_each_epoch(parquet: str) -> None:
    batches = planned(dataset_of(parquet, drop_remainder=True, num_epochs=2))
    assert [len(batch) for batch in batches] == [8] * 24


def test_without_an_end_epoch_follows_epoch(parquet: str) -> None:
    batches = planned_batches(dataset_of(parquet, num_epochs=None), raw_reader())
    assert [rows_of(batch) for batch in islice(batches, 13, 14)] == [list(range(8))]


@pytest.mark.parametrize("engine", [map_inline, map_in_thread])
def test_the_engine_never_changes_a_batch(parquet: str, engine: UnitMap) -> None:
    dataset = dataset_of(parquet, shuffle=True, num_epochs=2)
    assert planned(dataset, map_units=engine) == planned(dataset)


@pytest.mark.parametrize("num_ranks", [1, 3])
@pytest.mark.parametrize("num_done", [1, 7, 13, 14, 25, 26])
def test_a_cursor_goes_on_with_the_next_batch_for_any_number_of_ranks(
    parquet: str, num_done: int, num_ranks: int
) -> None:
    dataset = dataset_of(parquet, shuffle=True, num_epochs=2)
    done = list(islice(planned_batches(dataset, raw_reader(rank=1, num_ranks=2)), num_done))
    of_ranks = [planned(dataset, rank, num_ranks, cursor=done[-1].cursor) for rank in range(num_ranks)]
    assert joined(of_ranks) == planned(dataset)[num_done:]


@pytest.mark.parametrize("change", [{"batch_size": 9}, {"seed": 4}, {"shuffle": False}])
def test_a_cursor_of_another_order_is_refused(parquet: str, change: dict[str, Any]) -> None:
    cursor = next(planned_batches(dataset_of(parquet, shuffle=True), raw_reader())).cursor
    changed = dataset_of(parquet, **{"shuffle": True, **change})
    with pytest.raises(ValueError, match=rf"input changed since the checkpoint.*{next(iter(change))}"):
        next(planned_batches(changed, raw_reader(), cursor=cursor))


def test_labels_stay_with_their_rows_and_are_no_feature(parquet: str) -> None:
    for batch in planned_batches(dataset_of(parquet, shuffle=True), raw_reader()):
        assert list(batch.features) == ["row"]
        assert batch.labels.tolist() == rows_of(batch)


def test_labels_apart_from_the_features_come_apart() -> None:
    dataset = from_numpy({"row": np.arange(5)}, np.arange(5), batch_size=2)
    batches = list(planned_batches(dataset, raw_reader()))
    assert [list(batch.features) for batch in batches] == [["row"]] * 3
    assert [batch.labels.tolist() for batch in batches] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("columns", [["row"], ["row", "label"]])
def test_a_label_column_that_a_file_lacks_is_named(tmp_path: Path, columns: list[str]) -> None:
    pq.write_table(pa.table({name: [1] for name in columns}), tmp_path / "data.parquet")
    stream = planned_batches(from_parquet(str(tmp_path), label="clicked"), raw_reader())
    with pytest.raises(ValueError, match=f"no label column 'clicked'; the data has {', '.join(columns)}"):
        next(stream)


def test_a_feature_column_that_a_file_lacks_is_named(tmp_path: Path) -> None:
    pq.write_table(fake_table(4).drop_columns(["city"]), tmp_path / "data.parquet")
    stream = planned_batches(from_parquet(str(tmp_path), label=LABEL), encoding_reader())
    with pytest.raises(ValueError, match="Feature 'city' is not in features dictionary"):
        next(stream)


def test_files_tables_and_dicts_are_encoded_alike(tmp_path: Path) -> None:
    table = fake_table(20)
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=6)
    datasets = [
        from_parquet(str(tmp_path), label=LABEL, batch_size=8),
        from_arrow(table, label=LABEL, batch_size=8),
        from_numpy(fake_features(20), fake_labels(20), batch_size=8),
    ]
    read = [[batch.rows.to_pydict() for batch in planned_batches(data, encoding_reader())] for data in datasets]
    assert read[0] == read[1] == read[2]


def numbered_batches(*sizes: int) -> Iterator[tuple[Any, Any]]:
    start = 0
    for size in sizes:
        rows = np.arange(start, start + size)
        yield {"row": rows}, rows
        start += size


@pytest.mark.parametrize("num_ranks", RANKS)
def test_given_batches_are_cut_into_one_part_for_each_rank(num_ranks: int) -> None:
    of_ranks = [
        list(given_batches(numbered_batches(8, 5, 1), raw_reader(rank, num_ranks))) for rank in range(num_ranks)
    ]
    for parts, expected in zip(zip(*of_ranks, strict=True), ([0, 8], [8, 13], [13, 14]), strict=True):
        assert list(chain(*map(rows_of, parts))) == list(range(*expected))
        assert {part.global_rows for part in parts} == {expected[1] - expected[0]}
        for part in parts:
            assert part.labels.tolist() == rows_of(part)
        assert max(part.num_rows for part in parts) - min(part.num_rows for part in parts) <= 1


def test_an_own_shard_is_left_whole() -> None:
    batches = list(given_batches(numbered_batches(8, 5), raw_reader(rank=1, num_ranks=2).of_own_shard()))
    assert [rows_of(batch) for batch in batches] == [list(range(8)), list(range(8, 13))]


def test_given_batches_have_no_cursor() -> None:
    (batch,) = given_batches(numbered_batches(3), raw_reader())
    assert batch.cursor is None


@pytest.mark.parametrize("labels", [[0, 1], [[0], [1]], np.array([[0], [1]]), pa.array([0, 1])])
def test_labels_may_be_one_or_two_dimensional(labels: Any) -> None:
    (batch,) = given_batches([({"row": [0, 1]}, labels)], raw_reader())
    assert batch.labels.flatten().tolist() == [0, 1]


def test_sparse_labels_are_refused() -> None:
    labels = SparseTensor([[0, 0]], [1], (2, 1))
    with pytest.raises(ValueError, match="labels must be dense"):
        next(given_batches([({"row": [0, 1]}, labels)], raw_reader()))


def test_an_open_stream_gives_its_batches_and_an_empty_one(parquet: str) -> None:
    for dataset in [dataset_of(parquet), dataset_of(parquet, num_epochs=None)]:
        stream = open_stream(dataset, raw_reader())
        assert stream.data_fingerprint == dataset.fragments.fingerprint
        assert (stream.empty.num_rows, stream.empty.features["row"].shape) == (0, (0,))
        assert rows_of(next(stream.batches)) == list(range(8))
        stream.close()


@pytest.mark.parametrize("reader", [raw_reader(), encoding_reader()], ids=["raw", "encoding"])
def test_a_batch_without_rows_has_the_columns_of_those_with_rows(reader: Reader) -> None:
    dataset = from_arrow(fake_table(20), label=LABEL, batch_size=8)
    empty, full = empty_batch(dataset, reader), next(planned_batches(dataset, reader))
    assert (empty.num_rows, full.num_rows) == (0, 8)
    assert empty.rows.schema.names == full.rows.schema.names


def test_the_batch_that_tells_a_raw_models_layout_is_not_lost() -> None:
    stream = open_stream(as_input(numbered_batches(2, 3)), raw_reader())
    assert stream.data_fingerprint is None
    assert [rows_of(batch) for batch in stream.batches] == [[0, 1], [2, 3, 4]]


def test_a_raw_model_without_any_batch_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="the input has no batch"):
        open_stream(as_input(iter([])), raw_reader())


def test_a_model_with_columns_needs_no_batch() -> None:
    stream = open_stream(as_input(iter([])), encoding_reader())
    assert stream.empty.features.dense.shape == (0, 3)
    assert list(stream.batches) == []


def test_small_batches_are_made_together_but_for_the_first(parquet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raydnn.inputs.stream.ROWS_TOGETHER", 20)
    parts = planned_parts(dataset_of(parquet), raw_reader())
    together = [[batch.num_rows for batch in batches] for batches in made_together(parts, raw_reader())]
    assert together == [[8], *[[8, 8]] * 5, [8, 7]]


def test_parts_without_rows_are_not_gathered_for_ever(parquet: str) -> None:
    dataset = dataset_of(parquet, batch_size=1, num_epochs=None)
    reader = raw_reader(rank=0, num_ranks=3)
    assert sum(map(len, islice(made_together(planned_parts(dataset, reader), reader), 3))) == 1 + 2 * MOST_TOGETHER


def test_rows_read_before_an_error_are_not_lost() -> None:
    rows = pa.RecordBatch.from_pydict({"row": [1, 2]})

    def parts() -> Iterator[Part]:
        yield from [Part([rows], 2)] * 4
        raise ValueError("no more can be read")

    seen: list[list[Batch]] = []
    with pytest.raises(ValueError, match="no more can be read"):
        seen.extend(made_together(parts(), raw_reader()))
    assert list(map(len, seen)) == [1, 3]
