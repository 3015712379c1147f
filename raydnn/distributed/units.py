"""Loading units ahead with Ray Data."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray.cloudpickle
import ray.data
from ray.exceptions import UserCodeException
from ray.experimental import internal_kv

from raydnn.distributed.cluster import ensure_ray, own_errors
from raydnn.distributed.pipelines import quiet, quiet_copy
from raydnn.inputs.arrays import concat_batches, table_to_batch
from raydnn.inputs.plan import Unit

_FAILURES = "raydnn failures"


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
    places = quiet_copy(ray.data.from_items(list(range(len(planned))), override_num_blocks=len(planned)))
    places.context.execution_options.preserve_order = True
    with own_errors(), _failures_kept(failure), quiet():
        task = _KeepsFailure(_LoadUnits(load, planned), failure)
        loaded = places.map_batches(task, batch_format="numpy", batch_size=1)
        blocks = map(table_to_batch, loaded.iter_batches(batch_format="pyarrow", batch_size=None))
        yield from _cut_at(blocks, [unit.num_rows for unit in planned])


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
