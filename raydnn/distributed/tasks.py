"""Loading units ahead with Ray tasks, on whatever CPUs of the cluster are free."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import ray

from raydnn.distributed.cluster import ensure_ray, own_errors
from raydnn.inputs.plan import Unit

logger = logging.getLogger(__name__)

LOOK_AHEAD = 4
STALL_SECS = 30.0


def free_cpus() -> float:
    """The CPUs of the cluster that nothing has reserved now."""
    return float(ray.available_resources().get("CPU", 0.0))


def map_in_ray_tasks(load: Callable[[Unit], pa.RecordBatch], units: Iterable[Unit]) -> Iterator[pa.RecordBatch]:
    """Load units ahead, each in a task of its own, and give them in their order.

    A stall is logged with its cause: Ray itself waits without a word for a CPU that never becomes free.

    Args:
        load: can be sent to another process.
        units: of a plan.
    """
    ensure_ray()
    free = free_cpus()
    # Without a free CPU tasks take a share of busy ones, one at a time: better slow than never.
    num_cpus, look_ahead = (min(1.0, free), LOOK_AHEAD) if free > 0 else (0.0, 1)
    # Outside of Ray Train's placement group, which holds nothing but the workers.
    task = _load.options(num_cpus=num_cpus, scheduling_strategy="DEFAULT")
    loader = ray.put(load)
    waiting: deque[Any] = deque()
    try:
        for unit in units:
            waiting.append(task.remote(loader, unit))
            if len(waiting) > look_ahead:
                yield _take(waiting.popleft(), num_cpus)
        while waiting:
            yield _take(waiting.popleft(), num_cpus)
    finally:
        for ref in waiting:
            ray.cancel(ref)


def _take(ref: Any, num_cpus: float) -> pa.RecordBatch:
    need = f"a task that loads rows asks for {num_cpus:g} CPUs"
    with own_errors(), stalls_logged(need, "take input_engine='thread'"):
        loaded: pa.RecordBatch = ray.get(ref)
    return loaded


@contextmanager
def stalls_logged(need: str, way_out: str) -> Iterator[None]:
    """While the block waits for input, say every 30 seconds what it waits for.

    Args:
        need: what asks for CPUs, and for how many.
        way_out: what to do if there will never be one, beside reserving less for the workers.
    """
    has_ended = threading.Event()

    def watch() -> None:
        waited = 0.0
        while not has_ended.wait(STALL_SECS):
            waited += STALL_SECS
            logger.warning(
                "No input for %.0f s: %s, and %g of the cluster are free. Reserve less for the workers "
                "(resources_per_worker), or %s",
                waited,
                need,
                free_cpus(),
                way_out,
            )

    watcher = threading.Thread(target=watch, name="raydnn-stalls", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        has_ended.set()
        watcher.join()


@ray.remote
def _load(load: Callable[[Unit], pa.RecordBatch], unit: Unit) -> pa.RecordBatch:
    return load(unit)
