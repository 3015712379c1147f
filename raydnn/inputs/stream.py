"""Streams of batches for one replica: cut from a data set by plan, or from batches that the user made."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, chain, count
from typing import Any

import pyarrow as pa

from raydnn.inputs.arrays import concat_batches, features_to_arrow, labels_to_arrow
from raydnn.inputs.batch import Batch, ToTensors
from raydnn.inputs.dataset import Dataset
from raydnn.inputs.input_fn import Input
from raydnn.inputs.ordered_map import map_in_thread, map_inline
from raydnn.inputs.plan import Cursor, EpochPlan, Unit
from raydnn.inputs.prefetch import Prefetch
from raydnn.inputs.prepare import Preparer

PREFETCHED = 2
"""How often batches that were made together wait to be trained on."""
ROWS_TOGETHER = 4096
"""Small global batches are made tensors together, up to so many rows."""
MOST_TOGETHER = 64
_FAR = 2**24

UnitMap = Callable[[Callable[[Unit], pa.RecordBatch], Iterable[Unit]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Part:
    """The replica's part of a global batch, before it becomes tensors.

    Attributes:
        rows: prepared, in one piece or more; maybe none.
        global_rows, first_row, cursor: see `Batch`.
    """

    rows: list[pa.RecordBatch]
    global_rows: int
    first_row: int = 0
    cursor: Cursor | None = None

    @cached_property
    def num_rows(self) -> int:
        return sum(rows.num_rows for rows in self.rows)


@dataclass(frozen=True)
class Reader:
    """How raw rows become a model's batches.

    Attributes:
        preparer: encodes rows where they are read.
        to_tensors: makes the model's arguments from prepared rows.
        rank, num_ranks: the replica whose part of each global batch is wanted.
        first_row: where in a global batch the rows begin that are read here.
    """

    preparer: Preparer
    to_tensors: ToTensors
    rank: int = 0
    num_ranks: int = 1
    first_row: int = 0

    def of_own_shard(self) -> "Reader":
        """The reader of an input that is meant for this replica alone."""
        # Where in the global batch its rows begin is not known; far from those of the others is enough.
        return replace(self, rank=0, num_ranks=1, first_row=self.rank * _FAR)

    def batch(self, rows: pa.RecordBatch, global_rows: int) -> Batch:
        """A batch from prepared rows."""
        (batch,) = self.batches([Part([rows], global_rows)])
        return batch

    def batches(self, parts: Sequence[Part]) -> list[Batch]:
        """Batches that become tensors together."""
        rows = concat_batches([rows for part in parts for rows in part.rows])
        sizes = [part.num_rows for part in parts]
        made = zip(parts, accumulate(sizes), self.to_tensors(rows, sizes), strict=True)
        return [
            Batch(
                features,
                labels,
                part.num_rows,
                part.global_rows,
                rows.slice(end - part.num_rows, part.num_rows),
                self.first_row + part.first_row,
                part.cursor,
            )
            for part, end, (features, labels) in made
        ]


@dataclass(frozen=True)
class UnitLoader:
    """Reads, encodes and shuffles one unit of a plan; can be sent to another process."""

    dataset: Dataset
    preparer: Preparer
    epoch: EpochPlan

    def __call__(self, unit: Unit) -> pa.RecordBatch:
        rows = concat_batches([self.read(piece.fragment, piece.start, piece.stop) for piece in unit.pieces])
        order = self.epoch.row_order(unit)
        return rows if order is None else rows.take(pa.array(order))

    def read(self, fragment: int, start: int, stop: int) -> pa.RecordBatch:
        """Prepared rows [start, stop) of a fragment, in their own order."""
        fragments, keys = self.dataset.fragments, self.preparer.feature_keys
        if fragments.is_prepared:
            return fragments.read(fragment, start, stop, None)
        raw = fragments.read(fragment, start, stop, self.dataset.columns_to_read(keys))
        return self.preparer.prepare(*self.dataset.split(raw, keys))


def planned_parts(
    dataset: Dataset, reader: Reader, map_units: UnitMap = map_in_thread, cursor: Cursor | None = None
) -> Iterator[Part]:
    """The rows of a data set for one replica, with the place to go on from.

    Args:
        dataset: whose source is fragments.
        reader: of the replica.
        map_units: engine that loads units ahead.
        cursor: where to begin; None is the start.

    Yields:
        One part for each global batch, also where it is empty.
    """
    plan = dataset.plan
    if not plan.batches_per_epoch:
        # An endless pass over no batch would never come back.
        return
    first = cursor or Cursor(0, 0, plan.fingerprint)
    plan.check(first)
    for number in _epochs(dataset, first):
        start = first.batch if number == first.epoch else 0
        epoch = plan.epoch(number, rank=reader.rank, num_ranks=reader.num_ranks, start_batch=start)
        loader = UnitLoader(dataset, reader.preparer, epoch)
        for place, slices in enumerate(_cut(epoch, map_units(loader, epoch.units)), start):
            first_row, _ = epoch.rank_rows(place)
            cursor = Cursor(number, place + 1, plan.fingerprint)
            yield Part(slices or [loader.read(0, 0, 0)], epoch.global_rows(place), first_row, cursor)


def streamed_parts(
    dataset: Dataset, reader: Reader, cursor: Cursor | None = None, must_have_batches: bool = False
) -> Iterator[Part]:
    """The rows of a data set for one replica, from rows that stream by.

    Args:
        dataset: whose source is windows.
        reader: of the replica.
        cursor: where to begin; None is the start.
        must_have_batches: whether to refuse a data set without a batch.

    Yields:
        One part for each global batch, also where it is empty.

    Raises:
        ValueError: there is no batch where there must be one.
    """
    assert dataset.windows is not None
    plan = dataset.window_plan
    first = cursor or Cursor(0, 0, plan.fingerprint)
    plan.check(first)
    for number in _epochs(dataset, first):
        start = first.batch if number == first.epoch else 0
        first_window = start // plan.batches_per_window
        num_rows = num_batches = 0
        for window, read in enumerate(dataset.windows.read(number, first_window, plan.window_rows), first_window):
            num_rows += read.num_rows
            parts = plan.batches(number, window, read, reader.rank, reader.num_ranks)
            for place, (rows, global_rows, first_row) in enumerate(parts, window * plan.batches_per_window):
                num_batches += 1
                if place >= start:
                    yield Part([rows], global_rows, first_row, Cursor(number, place + 1, plan.fingerprint))
        if not start and not num_batches:
            if must_have_batches:
                raise dataset.no_batch(num_rows)
            # An endless pass over no batch would never come back.
            return


def _epochs(dataset: Dataset, first: Cursor) -> Iterable[int]:
    return count(first.epoch) if dataset.num_epochs is None else range(first.epoch, dataset.num_epochs)


def _cut(epoch: EpochPlan, loaded: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """The slices of each batch; a unit is let go after its last one."""
    held: dict[int, pa.RecordBatch] = {}
    num_loaded = 0
    for place, takes in enumerate(epoch.batches(), epoch.start_batch):
        rows = []
        for take in takes:
            while take.unit >= num_loaded:
                held[num_loaded] = next(loaded)
                num_loaded += 1
            rows.append(held[take.unit].slice(take.start, take.stop - take.start))
        for unit in {take.unit for take in takes}:
            if epoch.last_batch[unit] == place:
                del held[unit]
        yield rows


def given_parts(items: Iterable[tuple[Any, Any]], reader: Reader) -> Iterator[Part]:
    """The replica's part of global batches that the user made.

    Args:
        items: (features, labels) of each batch.
        reader: of the replica.
    """
    for features, labels in items:
        raw = features_to_arrow(features, reader.preparer.feature_keys)
        columns = None if labels is None else labels_to_arrow(labels)
        global_rows, first_row = raw.num_rows, 0
        if reader.num_ranks > 1:
            first_row = reader.rank * global_rows // reader.num_ranks
            stop = (reader.rank + 1) * global_rows // reader.num_ranks
            raw = raw.slice(first_row, stop - first_row)
            columns = None if columns is None else columns.slice(first_row, stop - first_row)
        yield Part([reader.preparer.prepare(raw, columns)], global_rows, first_row)


def made_together(parts: Iterator[Part], reader: Reader) -> Iterator[list[Batch]]:
    """Batches from parts; small neighbours become tensors together, which takes much less time.

    Args:
        parts: of global batches, in order.
        reader: of the replica.
    """
    return map(reader.batches, _neighbours(parts))


def _neighbours(parts: Iterator[Part]) -> Iterator[list[Part]]:
    """Few enough parts each; the first one alone, as a model learns from it what to do ahead."""
    together: list[Part] = []
    num_rows, most_rows = 0, 0
    try:
        for part in parts:
            together.append(part)
            num_rows += part.global_rows
            if num_rows + part.global_rows > most_rows or len(together) >= MOST_TOGETHER:
                yield together
                together, num_rows, most_rows = [], 0, ROWS_TOGETHER
    except Exception:
        # What was read before it failed is trained on, as if it had been made alone.
        if together:
            yield together
        raise
    if together:
        yield together


@dataclass(frozen=True, eq=False)
class InputStream:
    """The input of one replica.

    Attributes:
        batches: made ahead by a thread, down to the tensors.
        empty: a batch without rows.
        data_fingerprint: of the data set, or None.
    """

    batches: Iterator[Batch]
    empty: Batch
    data_fingerprint: str | None
    _prefetch: Prefetch[list[Batch]]

    def close(self) -> None:
        """Stop reading ahead."""
        self._prefetch.close()


def open_stream(
    source: Input,
    reader: Reader,
    map_units: UnitMap = map_in_thread,
    is_own_shard: bool = False,
    cursor: Cursor | None = None,
    must_have_batches: bool = False,
    watch: Callable[[Iterator[list[Batch]]], Iterator[list[Batch]]] | None = None,
) -> InputStream:
    """Start reading.

    Args:
        source: what the input_fn returned.
        reader: of the replica.
        map_units: engine that loads units of a data set ahead.
        is_own_shard: whether the input is meant for this replica alone.
        cursor: where a data set goes on; None is the start.
        must_have_batches: whether to refuse a data set without a batch.
        watch: gives the batches on as they are, where they are made; those that were made together are one item.

    Raises:
        ValueError: the input is empty and only its data could have told the model's variables, or it must not be empty.
    """
    fingerprint = None
    if is_own_shard:
        reader = reader.of_own_shard()
    rows = reader.preparer.empty()
    empty = None if rows is None else reader.batch(rows, 0)
    if isinstance(source, Dataset):
        if must_have_batches:
            source.check_has_batches()
        if source.windows is None:
            parts = planned_parts(source, reader, map_units, cursor)
        else:
            parts = streamed_parts(source, reader, cursor, must_have_batches)
        made = made_together(parts, reader)
        fingerprint = source.rows.fingerprint
    else:
        # What the user makes is not asked for earlier than it must be.
        made = (reader.batches([part]) for part in given_parts(source.items, reader))
    ahead = Prefetch(made if watch is None else watch(made), PREFETCHED)
    batches = chain.from_iterable(ahead)
    if empty is not None:
        return InputStream(batches, empty, fingerprint, ahead)
    first = next(batches, None)
    if first is not None:
        empty = reader.batch(first.rows.slice(0, 0), 0)
        return InputStream(chain([first], batches), empty, fingerprint, ahead)
    if cursor is None or not isinstance(source, Dataset):
        raise ValueError("the input has no batch, and this model makes its variables from the first one")
    # It goes on at its very end: it has rows, which were all used before.
    return InputStream(batches, empty_batch(source, reader), fingerprint, ahead)


def empty_batch(source: Dataset, reader: Reader) -> Batch:
    """A batch without rows of a data set that has some; reads one fragment or window at most.

    Args:
        source: the data set.
        reader: of the replica.
    """
    rows = reader.preparer.empty()
    if rows is None and source.windows is None:
        rows = UnitLoader(source, reader.preparer, source.plan.epoch(0)).read(0, 0, 0)
    elif rows is None and source.windows is not None:
        rows = next(source.windows.read(0, 0, source.window_plan.window_rows)).slice(0, 0)
    return reader.batch(rows, 0)


def local_engine(engine: str) -> UnitMap:
    """The unit map of an engine that needs no Ray."""
    return map_inline if engine == "inline" else map_in_thread
