"""What the pods of a run, or of the trials of a sweep, need of CPUs, GPUs and memory, told from the YAML alone.

    memory of a worker = MARGIN x (trainer + beside) / (1 - OBJECT_STORE) + WORKER_RAY
    memory of the head = MARGIN x (driver + beside) / (1 - OBJECT_STORE) + HEAD_RAY

    trainer   what `raydnn check` tells of a worker: the process, embedding tables with their slots (those that are
              spread: its part), dense weights, the activations of its part of a batch, windows of rows
    driver    a process, and windows of rows where a Ray Dataset streams through it
    beside    the process on the CPU that each pod has beside its worker, or on none: it loads rows, or evaluates, and
              then holds all embedding tables in whole, without slots

Pods of trials have no CPU beside the trial, but a trial evaluates in its own process: it counts all the same.

Rows are not looked at: there are as many as windows hold, and lists count as one value. The object store lies in the
memory of the pod; what does not fit there, Ray spills to disk.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from raydnn.config import Run
from raydnn.config.checks.memory import PROCESS_BYTES, needed_memory
from raydnn.config.profile import Profile
from raydnn.errors import ConfigError
from raydnn.inputs.windows import WINDOW_ROWS

MARGIN = 1.5
"""Of what libraries take for themselves, and of copies while a checkpoint is written."""
OBJECT_STORE = 0.3
"""The share of a pod's memory that Ray sets aside for objects."""
WORKER_RAY = 1 << 30
"""Bytes of Ray's own processes beside a worker."""
HEAD_RAY = 2 << 30
"""Bytes of Ray's own processes on the head, with the dashboard."""
HEAD_CPUS = 2
"""Of the driver and of Ray itself; none is given to workers."""
STEP = 256 << 20
"""Memory is asked for in multiples of so many bytes."""

_RESOURCES = ("CPU", "GPU", "memory")


@dataclass(frozen=True)
class PodSize:
    """What one pod asks for.

    Attributes:
        cpus: whole CPUs.
        memory: bytes, a multiple of STEP.
        gpus: how many.
    """

    cpus: int
    memory: int
    gpus: int = 0

    @property
    def memory_quantity(self) -> str:
        """The memory as Kubernetes writes it, such as 4Gi or 4352Mi."""
        mebibytes = self.memory >> 20
        return f"{mebibytes}Mi" if mebibytes % 1024 else f"{mebibytes >> 10}Gi"


@dataclass(frozen=True)
class ClusterSize:
    """The pods of a run; each pod of workers holds one worker.

    Attributes:
        head: the pod with the driver.
        worker: each pod of workers.
        least: pods of workers without which training does not start.
        most: pods of workers.
    """

    head: PodSize
    worker: PodSize
    least: int
    most: int


def size_cluster(run: Run) -> ClusterSize:
    """What the pods of a run need.

    Args:
        run: with num_workers.

    Raises:
        ConfigError: the run asks for a resource that pods do not have.
    """
    config = run.run_config()
    assert config.worker_range is not None
    resources = dict(config.resources_per_worker or {})
    unknown = sorted(set(resources) - set(_RESOURCES))
    if unknown:
        raise ConfigError(
            f"run.resources_per_worker: pods have {', '.join(_RESOURCES)}, not {', '.join(unknown)}; leave it out"
        )
    of_worker, of_head = _memory(run)
    memory = _pod_memory(max(of_worker, resources.get("memory", 0)), WORKER_RAY)
    gpus = math.ceil(resources.get("GPU", 1 if config.use_gpu else 0))
    least, most = config.worker_range
    return ClusterSize(
        head=PodSize(HEAD_CPUS, _pod_memory(of_head, HEAD_RAY)),
        worker=PodSize(math.ceil(resources.get("CPU", 1)) + 1, memory, gpus),
        least=least,
        most=most,
    )


def size_of_trials(runs: Sequence[Run], cpus: int, pods: int) -> ClusterSize:
    """What the pods of trials need.

    Args:
        runs: trials as there may be; the largest of them counts.
        cpus: of each pod, which holds one process of a trial.
        pods: how many.
    """
    of_workers, of_heads = zip(*map(_memory, runs), strict=True)
    return ClusterSize(
        head=PodSize(HEAD_CPUS, _pod_memory(max(of_heads), HEAD_RAY)),
        worker=PodSize(cpus, _pod_memory(max(of_workers), WORKER_RAY)),
        least=pods,
        most=pods,
    )


def _memory(run: Run) -> tuple[float, float]:
    """Bytes of all processes of a run in a pod of workers, and on the head."""
    need = needed_memory(run, Profile(WINDOW_ROWS))
    beside = PROCESS_BYTES + need.windows + (0 if run.data.eval is None else need.weights)
    return MARGIN * (need.of_worker + beside), MARGIN * (PROCESS_BYTES + need.windows + beside)


def _pod_memory(of_processes: float, of_ray: int) -> int:
    return math.ceil((of_processes / (1 - OBJECT_STORE) + of_ray) / STEP) * STEP
