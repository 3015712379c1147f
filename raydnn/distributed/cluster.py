"""The Ray cluster that this process uses."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray._private.state import available_resources_per_node
from ray.exceptions import RayError

from raydnn.errors import AbortedError, OpError
from raydnn.estimator.run_config import RunConfig
from raydnn.train.stopping import listen_again

logger = logging.getLogger(__name__)


def ensure_ray() -> None:
    """Connect to the cluster that RAY_ADDRESS names, or start one on this machine.

    The workers' own loggers report to the driver (`raydnn.distributed.reports`), so that Ray's forwarding of all that
    any process prints stays off: it would say all of it twice.
    """
    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level=logging.WARNING)
    else:
        ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    # Ray ends the process at once on SIGTERM.
    listen_again()


def check_cpus(num_workers: int, cpus_per_worker: float, data_cpus: float, is_streamed: bool = False) -> None:
    """Refuse a job that the cluster could never start: Ray would wait without a word.

    Args:
        num_workers: how many training workers are asked for.
        cpus_per_worker: what each reserves.
        data_cpus: what must remain for reading.
        is_streamed: whether it is for the tasks of a streamed Ray Dataset.

    Raises:
        ValueError: the cluster has too few CPUs.
    """
    available = float(ray.cluster_resources().get("CPU", 0.0))
    training = num_workers * cpus_per_worker
    if training + data_cpus <= available:
        return
    engine, way_out = "input_engine='ray_data'", "input_engine='thread'"
    if is_streamed:
        engine, way_out = "the tasks of the streamed Ray Dataset", "from_ray(streaming=False)"
    for_data = f" and {data_cpus:g} for {engine}" if data_cpus else ""
    raise ValueError(
        f"the cluster has {available:g} CPUs, but {num_workers} workers with {cpus_per_worker:g} each need {training:g}"
        f"{for_data}; lower num_workers, set RunConfig(resources_per_worker={{'CPU': ...}}) to less, or take {way_out}"
    )


def cpus_wanted(config: RunConfig, is_streamed: bool = False) -> tuple[int, float, float]:
    """What training needs of the cluster: the least number of workers, the CPUs of each, and those for reading.

    Args:
        config: of the training.
        is_streamed: whether its input is a streamed Ray Dataset.
    """
    assert config.worker_range is not None
    resources = config.resources_per_worker or {}
    needs_cpu = is_streamed or config.input_engine == "ray_data"
    return config.worker_range[0], resources.get("CPU", 1.0), 1.0 if needs_cpu else 0.0


def has_spare_cpu(num_workers: int, cpus_per_worker: float, data_cpus: float) -> bool:
    """Whether a process may take one CPU of any node, and all that training asks for is still to be had.

    What others hold now is not counted on: they may be waiting for the training.

    Args:
        num_workers, cpus_per_worker, data_cpus: see `cpus_wanted`.
    """
    free = [node.get("CPU", 0.0) for node in available_resources_per_node().values()]

    def is_enough(left: list[float]) -> bool:
        # Before the workers start, a Ray Dataset is encoded, which takes one CPU.
        places = sum(cpus // cpus_per_worker for cpus in left) if cpus_per_worker else num_workers
        return places >= num_workers and sum(left) >= max(num_workers * cpus_per_worker + data_cpus, 1.0)

    nodes = [node for node, cpus in enumerate(free) if cpus >= 1.0]
    return bool(nodes) and all(is_enough([cpus - (other == node) for other, cpus in enumerate(free)]) for node in nodes)


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise what a task or worker raised instead of Ray's wrapping of it."""
    try:
        yield
    except Exception as error:
        cause = root_cause(error)
        if cause is error:
            raise
        raise cause from error


def root_cause(error: BaseException) -> BaseException:
    """The exception of the user's or our own code inside Ray's wrapping of it.

    Of several workers it is one that says in our own words what went wrong, if there is one, else that of the first:
    others may only have noticed that their connections were closed, or been told of an error.
    """
    failures = getattr(error, "worker_failures", None)
    if failures:
        causes = [root_cause(failures[rank]) for rank in sorted(failures)]
        own = [cause for cause in causes if isinstance(cause, OpError)]
        return min(own, key=lambda cause: isinstance(cause, AbortedError)) if own else causes[0]
    inner = getattr(error, "cause", None) or (error.__cause__ if isinstance(error, RayError) else None)
    return root_cause(inner) if isinstance(inner, BaseException) and inner is not error else error
