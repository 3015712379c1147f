"""What `raydnn doctor` looks at, one check a function."""

import os
import platform
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import raydnn
from raydnn import storage
from raydnn.tracking.server import check_reached, server_address

if TYPE_CHECKING:
    from raydnn.config import Run
    from raydnn.distributed.diagnosis import ClusterState

PACKAGES = ("torch", "ray", "pyarrow", "mlflow")
MLFLOW_UI_PORT = 5000
CONNECT_SECS = 5.0


@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes:
        name: of what was looked at.
        status: ok, warning for what may hinder, failed for what does.
        detail: what was found, with its numbers.
        way_out: what to do about it; empty where all is well.
    """

    name: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    way_out: str = ""


def all_checks(run: "Run | None") -> Iterator[Check]:
    """Look at everything, one after the other.

    Args:
        run: what to look at beside the machine and the cluster, or None.
    """
    yield from check_versions()
    address_check = check_ray_address(os.environ.get("RAY_ADDRESS", ""))
    if address_check is not None:
        yield address_check
        cluster = None
    else:
        cluster, found = check_ray()
        yield found
    yield check_gpu(run, cluster)
    if run is None:
        return
    if cluster is not None:
        yield check_cpus(run, cluster)
    yield check_model_dir(run, cluster)
    yield from check_tracking(run)


def check_versions() -> Iterator[Check]:
    """Python and the packages that matter most."""
    yield Check("python", "ok", platform.python_version())
    yield Check("raydnn", "ok", raydnn.__version__)
    for name in PACKAGES:
        try:
            yield Check(name, "ok", version(name))
        except PackageNotFoundError:
            yield Check(name, "failed", "is not installed", "pip install raydnn again, in this environment")


def check_ray_address(address: str) -> Check | None:
    """Whether anybody listens at an address; None where all is well, or that cannot be told.

    Ray itself tries for a long time.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return None
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECS).close()
    except OSError as error:
        return Check(
            "ray cluster",
            "failed",
            f"nobody answers at RAY_ADDRESS={address}: {error}",
            "start the cluster (ray start --head), or unset RAY_ADDRESS to use one on this machine",
        )
    return None


def check_ray() -> tuple["ClusterState | None", Check]:
    """Whether Ray can be used, and what the cluster has."""
    diagnosis = import_module("raydnn.distributed.diagnosis")
    try:
        state: ClusterState = diagnosis.cluster_state()
    except Exception as error:
        where = os.environ.get("RAY_ADDRESS") or "this machine"
        text = " ".join(str(error).split())
        return None, Check("ray cluster", "failed", f"{where}: {text}", "check RAY_ADDRESS and the logs of Ray")
    detail = (
        f"{state.address}: {state.nodes} nodes, {state.cpus:g} CPUs of which {state.free_cpus:g} are free, "
        f"{state.gpus:g} GPUs"
    )
    return state, Check("ray cluster", "ok", detail)


def check_cpus(run: "Run", cluster: "ClusterState") -> Check:
    """Whether the workers of a run find their CPUs."""
    config = run.run_config()
    if config.worker_range is None:
        return Check("CPUs", "ok", "the run trains in this process")
    least, most = config.worker_range
    _, each, reading = import_module("raydnn.distributed.cluster").cpus_wanted(config)
    wanted, for_all = least * each + reading, most * each + reading
    detail = f"{least} workers with {each:g} each{' and 1 for reading' if reading else ''} need {wanted:g}"
    detail += f" (up to {most} need {for_all:g})" if most > least else ""
    detail += f"; the cluster has {cluster.cpus:g}, of which {cluster.free_cpus:g} are free"
    if wanted > cluster.cpus:
        way_out = "lower run.num_workers, set run.resources_per_worker to less, or add nodes"
        return Check("CPUs", "failed", detail, way_out)
    if wanted > cluster.free_cpus:
        return Check("CPUs", "warning", detail, "the run waits until others have ended")
    if for_all > cluster.cpus:
        return Check("CPUs", "warning", detail, "the run starts with fewer workers; add nodes for all of them")
    if wanted + 1 > cluster.cpus and run.data.eval is not None:
        way_out = "evaluation shares the CPUs of the workers; one more would be its own"
        return Check("CPUs", "warning", detail, way_out)
    return Check("CPUs", "ok", detail)


def check_gpu(run: "Run | None", cluster: "ClusterState | None") -> Check:
    """Whether there are the GPUs that a run asks for."""
    torch: Any = import_module("torch")
    here = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = ", ".join(torch.cuda.get_device_name(place) for place in range(here))
    detail = f"{here} here{f' ({names})' if names else ''}"
    config = None if run is None else run.run_config()
    if config is None or not config.use_gpu:
        return Check("GPUs", "ok", f"{detail}; none is asked for")
    wanted = 1 if config.worker_range is None else config.worker_range[0]
    found = here if config.worker_range is None or cluster is None else cluster.gpus
    detail += f"; the run asks for {wanted}, found are {found:g}"
    if found < wanted:
        way_out = "set run.use_gpu: false, install torch with CUDA, or add nodes with GPUs"
        return Check("GPUs", "failed", detail, way_out)
    return Check("GPUs", "ok", detail)


def check_model_dir(run: "Run", cluster: "ClusterState | None") -> Check:
    """Whether model_dir can be written here, and is the same folder on all nodes; nothing is left behind."""
    config = run.run_config()
    path = config.model_dir
    if path is None:
        return Check("model_dir", "warning", "is not given: each run has a temporary folder", "set run.model_dir")
    try:
        if not storage.is_local(path):
            probe = storage.temporary_name(storage.join(path, "probe"))
            storage.write_bytes(probe, b"")
            storage.remove_file(probe)
            return Check("model_dir", "ok", f"{path} can be written")
    except Exception as error:
        way_out = "check the address and the rights of this machine"
        return Check("model_dir", "failed", f"{path} cannot be written: {error}", way_out)
    # Where the folder is not there yet, the one in which it will be made.
    folder = Path(storage.absolute(path))
    folder = next(each for each in (folder, *folder.parents) if each.is_dir())
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        way_out = "set run.model_dir to another folder"
        return Check("model_dir", "failed", f"{folder} cannot be written: {error.strerror}", way_out)
    if cluster is None or config.num_workers is None:
        return Check("model_dir", "ok", f"{path} can be written")
    try:
        import_module("raydnn.distributed.shared_storage").check_shared(str(folder))
    except ValueError as error:
        return Check("model_dir", "failed", str(error), "set run.model_dir to a shared folder or a URL")
    return Check("model_dir", "ok", f"{path} can be written, and all {cluster.nodes} nodes see it")


def check_tracking(run: "Run") -> Iterator[Check]:
    """Whether MLflow's server answers, or, where its store is a file, the port of its pages is free."""
    tracking = run.run_config().tracking
    if tracking is None:
        return
    uri = getattr(tracking, "tracking_uri", None) or ""
    address = server_address(uri)
    if address is not None:
        host, port = address
        try:
            check_reached(uri)
        except OSError as error:
            way_out = f"start it there: mlflow server --port {port}"
            yield Check("MLflow", "failed", f"{error}; training would go on without it", way_out)
            return
        yield Check("MLflow", "ok", f"somebody listens at {host}:{port}")
        return
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind(("127.0.0.1", MLFLOW_UI_PORT))
        except OSError:
            detail = f"port {MLFLOW_UI_PORT}, at which mlflow ui shows the run, is taken"
            yield Check("MLflow", "warning", detail, f"mlflow ui --port {MLFLOW_UI_PORT + 1}")
            return
    yield Check("MLflow", "ok", f"the run is tracked in a database; port {MLFLOW_UI_PORT} is free for mlflow ui")
