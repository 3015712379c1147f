"""Whether all nodes of the cluster see the same folder."""

import os
import uuid
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

PROBE_SECS = 30.0


def check_shared(model_dir: str, name: str = "model_dir") -> None:
    """Refuse a local folder that some node of the cluster does not see, before any work is done.

    A folder that is mounted on all nodes passes: it is tried, not guessed from its name.

    Args:
        model_dir: a path of this node's file system; made if it is not there.
        name: of the setting that gives it, for messages.

    Raises:
        ValueError: nodes do not see it; the message names them.
    """
    if len(_alive_nodes()) < 2:
        return
    os.makedirs(model_dir, exist_ok=True)
    probe = Path(model_dir, f".probe-{uuid.uuid4().hex[:8]}")
    probe.touch()
    try:
        blind = nodes_without(str(probe))
    finally:
        probe.unlink()
    if blind:
        raise ValueError(
            f"{name} {model_dir} is a folder of this node that other nodes of the cluster do not see "
            f"({', '.join(blind)}): give a shared folder or a URL such as s3://bucket/run"
        )


def nodes_without(path: str) -> list[str]:
    """The names of the nodes that do not see a file, in `PROBE_SECS` at most."""
    names = _alive_nodes()
    # Soft, so that a node that dies meanwhile delays nothing; without a CPU, so that busy nodes answer too.
    asked = {
        _sees.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=True)).remote(path): name
        for node, name in names.items()
    }
    done, _ = ray.wait(list(asked), num_returns=len(asked), timeout=PROBE_SECS)
    return sorted(asked[ref] for ref in done if not ray.get(ref))


def _alive_nodes() -> dict[str, str]:
    return {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}


@ray.remote(num_cpus=0)
def _sees(path: str) -> bool:
    return os.path.exists(path)
