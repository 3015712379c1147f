"""Ray Data in the input path: encoding a user's Ray Dataset, and loading units ahead."""

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import ray
import ray.cloudpickle
import ray.data
from ray.exceptions import UserCodeException
from ray.experimental import internal_kv

from raydnn.distributed.cluster import ensure_ray, own_errors
from raydnn.inputs.arrays import concat_batches, table_to_batch
from raydnn.inputs.dataset import Dataset, RayDatasetSource, check_label
from raydnn.inputs.fragments import digest
from raydnn.inputs.plan import Unit
from raydnn.inputs.prepare import Preparer

_FAILURES = "raydnn failures"

# What Ray Data tells of each run, and of errors that we raise ourselves.
_DISPLAY_LOGGERS = [
    logging.getLogger(f"ray.data.{name}")
    for name in ("_internal.execution.streaming_executor", "_internal.execution.streaming_executor_state")
] + [logging.getLogger("ray.data._internal.progress"), logging.getLogger("ray.data.exceptions")]


@dataclass(frozen=True, eq=False)
class RayBlocks:
    """Encoded blocks in the object store, as fragments."""

    refs: tuple[Any, ...]
    rows: tuple[int, ...]
    fingerprint: str
    is_prepared = True
    is_stored = False

    def read(self, fragment: int, start: int, stop: int, columns: Sequence[str] | None) -> pa.RecordBatch:
        block: pa.Table = ray.get(self.refs[fragment])
        return table_to_batch(block.slice(start, stop - start))


def encode_dataset(dataset: Dataset, preparer: Preparer) -> Dataset:
    """Encode the rows of a Ray Dataset with Ray Data, in their order.

    The encoded rows stay in the object store, which spills them to disk where they do not fit: an epoch costs no
    second reading or encoding, and their number is known beforehand.

    Args:
        dataset: whose source is a Ray Dataset.
        preparer: encodes blocks of rows.

    Returns:
        The data set with the encoded blocks as fragments.

    Raises:
        ValueError: the label column is missing, or rows do not fit the columns.
    """
    assert isinstance(dataset.source, RayDatasetSource)
    ensure_ray()
    source: ray.data.Dataset = dataset.source.dataset
    failure = uuid.uuid4().bytes
    with own_errors(), _failures_kept(failure), _quiet_and_ordered(source.context):
        schema = source.schema()
        names = [] if schema is None else list(schema.names)
        if schema is not None and dataset.reads_label:
            check_label(dataset.label, names)
        wanted = dataset.columns_to_read(preparer.feature_keys)
        if wanted is not None and names:
            source = source.select_columns([name for name in names if name in wanted])
        # A task needs to know of the label, not of the rows.
        encode = _Encode(preparer, replace(dataset, source=RayBlocks((), (), "")))
        encoded = source.map_batches(
            _KeepsFailure(encode, failure),
            batch_format="pyarrow",
            batch_size=None,
            zero_copy_batch=True,
        ).materialize()
        refs = encoded.to_arrow_refs()
        rows = ray.get([_num_rows.remote(ref) for ref in refs])
    blocks = RayBlocks(tuple(refs), tuple(rows), digest(["ray", *map(str, rows), *names]))
    return replace(dataset, source=blocks)


@dataclass(frozen=True)
class _Encode:
    """Encodes one block."""

    preparer: Preparer
    dataset: Dataset

    def __call__(self, block: pa.Table) -> pa.Table:
        features, labels = self.dataset.split(table_to_batch(block), self.preparer.feature_keys)
        return pa.Table.from_batches([self.preparer.prepare(features, labels)])


@dataclass(frozen=True)
class _KeepsFailure:
    """What a task does with a block; what it raises is kept under a key for the driver."""

    function: Callable[[Any], pa.Table]
    key: bytes

    def __call__(self, block: Any) -> pa.Table:
        try:
            return self.function(block)
        except Exception as error:
            internal_kv._internal_kv_put(self.key, ray.cloudpickle.dumps(error), namespace=_FAILURES)
            raise


@contextmanager
def _failures_kept(key: bytes) -> Iterator[None]:
    """Raise what a task raised as it was: Ray Data would pass on its text alone."""
    try:
        yield
    except UserCodeException as error:
        kept = internal_kv._internal_kv_get(key, namespace=_FAILURES)
        if kept is None:
            raise
        raise ray.cloudpickle.loads(kept) from error
    finally:
        internal_kv._internal_kv_del(key, namespace=_FAILURES)


def map_in_ray_data(load: Callable[[Unit], pa.RecordBatch], units: Iterable[Unit]) -> Iterator[pa.RecordBatch]:
    """Load units ahead with Ray Data, in their order.

    Args:
        load: can be sent to another process.
        units: of a plan.
    """
    planned = list(units)
    if not planned:
        return
    ensure_ray()
    failure = uuid.uuid4().bytes
    places = ray.data.from_items(list(range(len(planned))), override_num_blocks=len(planned))
    with own_errors(), _failures_kept(failure), _quiet_and_ordered(places.context):
        task = _KeepsFailure(_LoadUnits(load, planned), failure)
        loaded = places.map_batches(task, batch_format="numpy", batch_size=1)
        blocks = map(table_to_batch, loaded.iter_batches(batch_format="pyarrow", batch_size=None))
        yield from _cut_at(blocks, [unit.num_rows for unit in planned])


def _cut_at(blocks: Iterator[pa.RecordBatch], sizes: Iterable[int]) -> Iterator[pa.RecordBatch]:
    """Rows cut again at the units' known sizes: Ray Data may merge and split blocks."""
    rows: list[pa.RecordBatch] = []
    held = 0
    for size in sizes:
        while held < size:
            rows.append(next(blocks))
            held += rows[-1].num_rows
        whole = concat_batches(rows)
        yield whole.slice(0, size)
        rows, held = [whole.slice(size)], held - size


@dataclass(frozen=True)
class _LoadUnits:
    """Loads the units whose places a block holds."""

    load: Callable[[Unit], pa.RecordBatch]
    units: Sequence[Unit]

    def __call__(self, places: dict[str, Any]) -> pa.Table:
        return pa.Table.from_batches([self.load(self.units[int(place)]) for place in places["item"]])


@ray.remote(num_cpus=0)
def _num_rows(block: pa.Table) -> int:
    return block.num_rows


@contextmanager
def _quiet_and_ordered(context: ray.data.DataContext) -> Iterator[None]:
    """Run a data set's pipeline in input order and without Ray Data's own displays."""
    options = context.execution_options
    before = (options.preserve_order, context.enable_progress_bars, context.print_on_execution_start)
    options.preserve_order, context.enable_progress_bars, context.print_on_execution_start = True, False, False
    levels = [logger.level for logger in _DISPLAY_LOGGERS]
    for logger in _DISPLAY_LOGGERS:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(_DISPLAY_LOGGERS, levels, strict=True):
            logger.setLevel(level)
        options.preserve_order, context.enable_progress_bars, context.print_on_execution_start = before
