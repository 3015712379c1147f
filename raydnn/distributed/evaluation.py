"""Evaluating the parts of a data set in actors."""

import logging
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray._private.state import available_resources_per_node
from ray.exceptions import RayError, RayTaskError

from raydnn import errors
from raydnn.distributed.cluster import ensure_ray, own_errors
from raydnn.distributed.reports import DriverReports, reports_from_workers
from raydnn.estimator.evaluation import EvaluatedBatches
from raydnn.estimator.evaluation_parts import CannotBeDealtError, evaluate_part, spans
from raydnn.estimator.inference import InferenceJob
from raydnn.estimator.run_config import RunConfig

logger = logging.getLogger(__name__)

# CPUs of an evaluation that has just ended count as reserved for a moment.
SETTLE_SECS = 2.0
# The CPUs that were free may be others' by now.
START_SECS = 60.0
REPLACEMENTS = 3


def evaluate_parts(job: InferenceJob, num_batches: int, wanted: int) -> list[EvaluatedBatches]:
    """Evaluate the batches of a job in actors with a CPU each, and a GPU each with use_gpu.

    If one dies, a warning says so, and one that has ended its own part or is started in its place takes its part; that
    happens three times at most.

    Args:
        job: in EVAL mode, whose input is a data set.
        num_batches: how many of its batches to evaluate.
        wanted: how many actors; fewer where fewer CPUs are free. At most num_batches.

    Returns:
        What consecutive parts of the batches gave, in their order.

    Raises:
        CannotBeDealtError: there is no free CPU, or none is left and no actor has started in a minute.
        AbortedError: actors died again and again.
        Exception: whatever an actor raised.
    """
    ensure_ray()
    places = _free_places(job.config, wanted)
    if not places:
        raise CannotBeDealtError(_described(job.config))
    if places < wanted:
        logger.info("Evaluating with %d of %d processes: %s", places, wanted, _described(job.config))
    with reports_from_workers(None) as reports, own_errors():
        return _Evaluators(job, spans(num_batches, places), reports).run()


class _Evaluators:
    """The driver's end: hands out parts to actors that have started, until all are evaluated."""

    def __init__(self, job: InferenceJob, parts: Sequence[tuple[int, int]], reports: DriverReports) -> None:
        # What cannot be sent is refused before anything starts.
        self._job = ray.put(job)
        self._parts = parts
        self._reports = reports
        self._use_gpu = job.config.use_gpu
        self._actors: list[Any] = []
        # What is under way: an actor and its part, or None while it starts.
        self._running: dict[Any, tuple[Any, int | None]] = {}
        self._deaths = 0

    def run(self) -> list[EvaluatedBatches]:
        try:
            for _ in self._parts:
                self._add_actor()
            return self._run()
        finally:
            for actor in self._actors:
                ray.kill(actor)

    def _run(self) -> list[EvaluatedBatches]:
        waiting = deque(range(len(self._parts)))
        done: dict[int, EvaluatedBatches] = {}
        idle: list[Any] = []
        while len(done) < len(self._parts):
            ended, _ = ray.wait(list(self._running), timeout=START_SECS)
            if not ended and all(part is None for _, part in self._running.values()):
                raise CannotBeDealtError(f"no other process has started in {START_SECS:g} seconds")
            for ref in ended:
                actor, part = self._running.pop(ref)
                try:
                    result = ray.get(ref)
                except RayTaskError:
                    raise
                except RayError as error:
                    self._count_death(error)
                    self._add_actor()
                    waiting.extend([] if part is None else [part])
                    continue
                if part is not None:
                    done[part] = result
                idle.append(actor)
            while idle and waiting:
                self._start(idle.pop(), waiting.popleft())
        return [done[part] for part in range(len(self._parts))]

    def _add_actor(self) -> None:
        # Outside of the placement group of a trial or worker that this may be.
        kind = _Evaluator.options(  # type: ignore[attr-defined]
            num_cpus=1, num_gpus=int(self._use_gpu), scheduling_strategy="DEFAULT"
        )
        actor = kind.remote()
        self._actors.append(actor)
        self._running[actor.__ray_ready__.remote()] = actor, None

    def _start(self, actor: Any, part: int) -> None:
        # What all would say alike is said by the first.
        level = logging.getLogger("raydnn").getEffectiveLevel() if part == 0 else logging.WARNING
        device = "cuda" if self._use_gpu else "cpu"
        ref = actor.evaluate.remote(self._job, *self._parts[part], device, os.getcwd(), self._reports, level)
        self._running[ref] = actor, part

    def _count_death(self, error: RayError) -> None:
        """Say that an actor died.

        Raises:
            AbortedError: it was one too many.
        """
        self._deaths += 1
        cause = " ".join(str(error).split())
        if self._deaths > REPLACEMENTS:
            raise errors.AbortedError(
                f"processes that evaluate died {self._deaths} times; if they lack memory, lower "
                f"RunConfig(num_evaluators=...) or evaluate smaller batches: {cause}"
            ) from error
        logger.warning(
            "A process that evaluates died and is replaced (%d of %d times): %s", self._deaths, REPLACEMENTS, cause
        )


@ray.remote
class _Evaluator:
    """One process that evaluates."""

    def evaluate(
        self,
        job: InferenceJob,
        first: int,
        stop: int,
        device: str,
        folder: str,
        reports: DriverReports,
        log_level: int,
    ) -> EvaluatedBatches:
        # Relative paths, of model_dir or of data, are the driver's; another machine may lack the folder.
        with suppress(OSError):
            os.chdir(folder)
        with reports.logs_sent(log_level):
            return evaluate_part(job, first, stop, device)


def _free_places(config: RunConfig, wanted: int) -> int:
    """For how many actors the cluster has room now, up to the number wanted."""
    for_reading = _cpus_for_reading(config)
    most = min(wanted, _places(config, ray.cluster_resources()) - for_reading)
    end = time.monotonic() + SETTLE_SECS
    while True:
        # A CPU of two halves on two nodes is none.
        free = sum(_places(config, node) for node in available_resources_per_node().values())
        places = min(free - for_reading, most)
        if places >= most or time.monotonic() >= end:
            return max(0, places)
        time.sleep(0.1)


def _places(config: RunConfig, resources: Mapping[str, float]) -> int:
    cpus = resources.get("CPU", 0.0)
    return int(min(cpus, resources.get("GPU", 0.0)) if config.use_gpu else cpus)


def _described(config: RunConfig) -> str:
    """How much of the cluster is free."""
    total, free = ray.cluster_resources(), ray.available_resources()
    kinds = ["CPU", "GPU"] if config.use_gpu else ["CPU"]
    known = " and ".join(f"{free.get(kind, 0.0):g} of {total.get(kind, 0.0):g} {kind}s" for kind in kinds)
    for_data = " and input_engine='ray_data' another" if _cpus_for_reading(config) else ""
    return f"{known} of the cluster are free; each process needs one{for_data}"


def _cpus_for_reading(config: RunConfig) -> int:
    return 1 if config.input_engine == "ray_data" else 0
