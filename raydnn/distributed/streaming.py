"""Ray Datasets of any size: encoded anew in each epoch, and dealt to workers in windows of rows."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, cast

import pyarrow as pa
import ray
import ray.data
from ray.exceptions import ObjectLostError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raydnn.distributed.cluster import ensure_ray, own_errors
from raydnn.distributed.pipelines import quiet
from raydnn.distributed.tasks import stalls_logged
from raydnn.inputs.arrays import table_to_batch
from raydnn.inputs.dataset import Dataset
from raydnn.inputs.stream import PREFETCHED, ROWS_TOGETHER
from raydnn.inputs.windows import WindowPlan, Windows

# A window is asked for again if the process that dealt it died before it was taken.
TRIES = 4

_NEED = "the tasks of a streamed Ray Dataset ask for CPUs"
_WAY_OUT = "keep the encoded rows with from_ray(streaming=False)"


@dataclass(frozen=True, eq=False)
class RayWindows(Windows):
    """The rows of a pipeline of Ray Data, which runs in the process that reads them.

    Attributes:
        encoded: the pipeline.
        fingerprint: of its columns.
    """

    encoded: ray.data.Dataset
    fingerprint: str

    def read(self, epoch: int, first: int, rows_each: int) -> Iterator[pa.RecordBatch]:
        ensure_ray()
        with own_errors(), quiet():
            batches = self.encoded.iter_batches(batch_size=rows_each, batch_format="pyarrow", prefetch_batches=1)
            tables = cast("Generator[pa.Table, None, None]", iter(batches))
            try:
                for index in count():
                    with stalls_logged(_NEED, _WAY_OUT):
                        table = next(tables, None)
                    if table is None:
                        return
                    if index >= first:
                        yield table_to_batch(table)
            finally:
                # Ray Data's tasks end here, and not when the garbage is collected.
                tables.close()


@dataclass(frozen=True, eq=False)
class FedWindows(Windows):
    """The rows of a pipeline that runs in another process; can be sent to workers.

    Attributes:
        feeder: handle of the actor.
        source: a list with the reference to the pipeline, which whoever deals must know.
        fingerprint: of the columns.
    """

    feeder: Any
    source: list[Any]
    fingerprint: str

    def read(self, epoch: int, first: int, rows_each: int) -> Iterator[pa.RecordBatch]:
        asked = self._ask(epoch, first)
        for index in count(first):
            found = _take(asked)
            if found is None:
                return
            asked = self._ask(epoch, index + 1)
            yield self._rows(found, epoch, index)

    def _ask(self, epoch: int, index: int) -> Any:
        return self.feeder.window.remote(self.source, epoch, index)

    def _rows(self, found: list[Any], epoch: int, index: int) -> pa.RecordBatch:
        for _ in range(TRIES - 1):
            try:
                return table_to_batch(ray.get(found[0]))
            except ObjectLostError:
                # With the feeder went its windows; the one that is started in its place makes them again.
                found = _take(self._ask(epoch, index)) or found
        return table_to_batch(ray.get(found[0]))


@contextmanager
def fed(dataset: Dataset) -> Iterator[Dataset]:
    """While the block runs, a process of the cluster deals the rows of a streamed data set to all that ask.

    It takes no CPU, and outlives the workers. If it dies, another takes its place.

    Args:
        dataset: whose source is `RayWindows`.

    Yields:
        The data set with a source that can be sent to workers.
    """
    assert isinstance(dataset.source, RayWindows)
    # On the driver's node: a lost node must not take it from the workers that are left.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    plan = dataset.window_plan
    feeder = _Feeder.options(scheduling_strategy=here).remote(  # type: ignore[attr-defined]
        plan.window_rows, windows_kept(plan)
    )
    try:
        yield replace(dataset, source=FedWindows(feeder, [ray.put(dataset.source)], dataset.source.fingerprint))
    finally:
        # With it go its pipeline's tasks and objects.
        ray.kill(feeder)


def windows_kept(plan: WindowPlan) -> int:
    """How many windows may lie between what the fastest rank asks for and what the slowest does.

    A rank asks for one window ahead of the batches that it makes. Those, what waits, and what the slowest rank may be
    behind with, reach over so many windows.
    """
    rows = (PREFETCHED + 2) * max(plan.batch_size, ROWS_TOGETHER)
    return -(-rows // plan.window_rows) + 2


def _take(asked: Any) -> list[Any] | None:
    with own_errors(), stalls_logged(_NEED, _WAY_OUT):
        found: list[Any] | None = ray.get(asked)
    return found


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=TRIES - 1)
class _Feeder:
    """Runs a pipeline epoch after epoch and keeps its last windows; where it stands is all its state."""

    def __init__(self, rows_each: int, num_kept: int) -> None:
        self._windows: RayWindows | None = None
        self._rows_each = rows_each
        self._num_kept = num_kept
        # By epoch and number, in that order: a list with the reference to a window, or None for the end of an epoch.
        self._kept: dict[tuple[int, int], list[Any] | None] = {}
        self._next = (-1, 0)
        self._coming: Iterator[pa.RecordBatch] = iter(())

    def window(self, source: list[Any], epoch: int, index: int) -> list[Any] | None:
        """A window of an epoch; None after its last one."""
        # Not when this process is made: it could not be made again once Ray has let go of what it was made from.
        self._windows = self._windows or ray.get(source[0])
        if (epoch, index) not in self._kept:
            self._read_up_to(epoch, index)
        return self._kept[epoch, index]

    def _read_up_to(self, epoch: int, index: int) -> None:
        if self._next[0] != epoch or self._next[1] > index:
            self._begin(epoch, index)
        while self._next <= (epoch, index):
            try:
                rows = next(self._coming, None)
            except BaseException:
                # What has failed would seem to have ended.
                self._next = (-1, 0)
                raise
            # Of a table Ray sends the rows that it has, of a record batch all that its buffers hold.
            self._kept[self._next] = None if rows is None else [ray.put(pa.Table.from_batches([rows]))]
            self._next = (epoch, self._next[1] + 1)
            while len(self._kept) > self._num_kept:
                del self._kept[next(iter(self._kept))]

    def _begin(self, epoch: int, index: int) -> None:
        """Run the pipeline from its start again, and drop all but the last windows before the one that is asked for."""
        assert self._windows is not None
        if (epoch, index) < self._next:
            self._kept.clear()
        getattr(self._coming, "close", lambda: None)()
        # Ranks that are a little behind the one that asks first will ask for these.
        first = max(0, index - self._num_kept + 1)
        self._coming = self._windows.read(epoch, first, self._rows_each)
        self._next = (epoch, first)
