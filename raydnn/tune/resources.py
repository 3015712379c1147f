"""What a sweep takes of the cluster: CPUs, and how many trials run at once."""

from dataclasses import dataclass

import ray

from raydnn.distributed.cluster import ensure_ray
from raydnn.errors import ConfigError
from raydnn.tune.settings import Pbt
from raydnn.tune.sweep import Sweep, reads_by_ray


@dataclass(frozen=True)
class Plan:
    """Resources of a sweep.

    Attributes:
        cpus: of the cluster.
        memory: of the cluster, in bytes, for the processes of trials.
        cpus_per_trial: with its workers, and what evaluates beside them.
        data_cpus: that are left free for reading by Ray Data.
        concurrent: trials at once.
        trials: of the budget with the default; None where time or the grid ends the sweep.
        is_limited: whether Ray Tune must be told how many run at once, as the CPUs do not say so.
    """

    cpus: float
    memory: int
    cpus_per_trial: float
    data_cpus: float
    concurrent: int
    trials: int | None
    is_limited: bool


def plan(sweep: Sweep) -> Plan:
    """What a sweep takes of the cluster that RAY_ADDRESS names, or of one that is started on this machine.

    Raises:
        ConfigError: not one trial finds its CPUs.
    """
    ensure_ray()
    resources = ray.cluster_resources()
    cpus, settings = float(resources.get("CPU", 0.0)), sweep.settings
    trials, budget = settings.trials, settings.budget
    data_cpus = 1.0 if reads_by_ray(sweep.base) else 0.0
    needed = trials.cpus * (trials.workers or 1)
    if needed + data_cpus > cpus:
        for_data = f" and {data_cpus:g} for Ray Data" if data_cpus else ""
        raise ConfigError(
            f"the cluster has {cpus:g} CPUs, but a trial needs {needed:g}{for_data}; lower trials.cpus or "
            f"trials.workers{', or put data.engine: auto under set' if data_cpus else ''}"
        )
    # Beside workers another process evaluates; where one trial alone runs, it can do without a CPU of its own.
    whole = needed + (0.0 if trials.workers is None else 1.0)
    room = max(1, int((cpus - data_cpus + 1e-6) // whole))
    total = None if budget.trials is None else budget.trials + budget.with_default
    concurrent = min(each for each in (room, trials.max_concurrent, total) if each is not None)
    return Plan(
        cpus=cpus,
        memory=int(resources.get("memory", 0)),
        cpus_per_trial=whole,
        data_cpus=data_cpus,
        concurrent=concurrent,
        trials=total,
        # Trials of a population take turns: all of them must have begun.
        is_limited=not isinstance(settings.scheduler_settings, Pbt),
    )
