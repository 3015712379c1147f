"""What the cluster has, for those who ask before a run begins."""

from dataclasses import dataclass

import ray

from raydnn.distributed.cluster import ensure_ray


@dataclass(frozen=True)
class ClusterState:
    """A cluster that answers.

    Attributes:
        address: of its control service.
        nodes: how many are alive.
        cpus, gpus: of all nodes.
        free_cpus: that nothing has reserved now.
    """

    address: str
    nodes: int
    cpus: float
    gpus: float
    free_cpus: float


def cluster_state() -> ClusterState:
    """The cluster that RAY_ADDRESS names, or one that is started on this machine.

    Raises:
        Exception: whatever Ray raises where it cannot be reached.
    """
    ensure_ray()
    total, free = ray.cluster_resources(), ray.available_resources()
    return ClusterState(
        address=ray.get_runtime_context().gcs_address,
        nodes=sum(bool(node["Alive"]) for node in ray.nodes()),
        cpus=total.get("CPU", 0.0),
        gpus=total.get("GPU", 0.0),
        free_cpus=free.get("CPU", 0.0),
    )
