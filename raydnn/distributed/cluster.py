"""The Ray cluster that this process uses."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

logger = logging.getLogger(__name__)


def ensure_ray() -> None:
    """Connect to the cluster that RAY_ADDRESS names, or start one on this machine.

    The workers' own loggers report to the driver (`raydnn.distributed.reports`), so that Ray's forwarding of all that
    any process prints stays off in a cluster of our own.
    """
    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init()
    else:
        ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)


def check_cpus(num_workers: int, cpus_per_worker: float, data_cpus: float) -> None:
    """Refuse a job that the cluster could never start: Ray would wait without a word.

    Args:
        num_workers: how many training workers are asked for.
        cpus_per_worker: what each reserves.
        data_cpus: what must remain for reading.

    Raises:
        ValueError: the cluster has too few CPUs.
    """
    available = float(ray.cluster_resources().get("CPU", 0.0))
    training = num_workers * cpus_per_worker
    if training + data_cpus <= available:
        return
    for_data = f" and {data_cpus:g} for input_engine='ray_data'" if data_cpus else ""
    raise ValueError(
        f"the cluster has {available:g} CPUs, but {num_workers} workers with {cpus_per_worker:g} each need {training:g}"
        f"{for_data}; lower num_workers, set RunConfig(resources_per_worker={{'CPU': ...}}) to less, or take "
        "input_engine='thread'"
    )


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
    """The exception of the user's or our own code inside Ray's wrapping of it."""
    failures = getattr(error, "worker_failures", None)
    if failures:
        return root_cause(failures[min(failures)])
    inner = getattr(error, "cause", None) or (error.__cause__ if isinstance(error, RayError) else None)
    return root_cause(inner) if isinstance(inner, BaseException) and inner is not error else error
