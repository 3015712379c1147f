"""A run as it goes in a cluster: paths on the shared storage, workers, and an address of MLflow."""

from posixpath import normpath
from typing import Any

from raydnn import config
from raydnn.config import Run
from raydnn.config.paths import given_paths
from raydnn.errors import ConfigError
from raydnn.k8s.job import MOUNT, Job
from raydnn.k8s.sizing import size_cluster

MLFLOW_URI = "http://mlflow:5000"
"""MLflow's server in the same namespace."""
MAX_FAILURES = 3
"""How often lost workers are replaced within one cluster, unless the run says so itself."""


def job_of_run(run: Run, name: str) -> Job:
    """What the manifests of a run have to know.

    Args:
        run: as it was declared.
        name: of its job.

    Raises:
        ConfigError: a path of this machine that the cluster does not have, or a resource that pods do not have.
    """
    run, text = in_cluster(run, name)
    is_stored = any(_is_below_mount(path) for _, paths in given_paths(run) for path in _listed(paths))
    return Job(name=name, kind="train", files={"run.yaml": text}, size=size_cluster(run), is_stored=is_stored)


def in_cluster(run: Run, name: str) -> tuple[Run, str]:
    """A run with what a cluster changes.

    Relative paths become paths below MOUNT. A run without a model_dir gets one there, one without workers gets a
    worker, and lost workers are replaced, unless the run says how often. MLflow, where the run is tracked and names no
    address, is that of the cluster.

    Args:
        run: as it was declared.
        name: of its job.

    Returns:
        The run, and its YAML, in which what environment variables gave is written as `${NAME}`.

    Raises:
        ConfigError: a path of this machine that the cluster does not have.
    """
    paths = [(".".join(map(str, place)), given) for place, given in given_paths(run)]
    changes: dict[str, Any] = {key: path for key, given in paths if (path := shared(key, given)) != given}
    changes |= {} if run.run_config().model_dir else {"run.model_dir": f"{MOUNT}/runs/{name}/model"}
    settings = run.run_config()
    if settings.num_workers is None:
        changes["run.num_workers"] = 1
    if "max_failures" not in run.run.model_fields_set:
        changes["run.max_failures"] = MAX_FAILURES
    if settings.progress:
        changes["run.progress"] = False
    variables = {}
    if settings.tracking is not None and getattr(settings.tracking, "tracking_uri", None) is None:
        changes["run.tracking"] = {**_tracking(run), "tracking_uri": MLFLOW_URI}
        variables["run.tracking.tracking_uri"] = "MLFLOW_TRACKING_URI"
    changed = config.loads(run.to_yaml(), changes, name="the run")
    return changed, changed.to_yaml(variables)


def _tracking(run: Run) -> dict[str, str]:
    tracking = run.model_dump(mode="json", exclude_unset=True)["run"]["tracking"]
    return {} if isinstance(tracking, str) else tracking


def _listed(paths: str | list[str]) -> list[str]:
    return [paths] if isinstance(paths, str) else paths


def shared(key: str, paths: str | list[str]) -> str | list[str]:
    """Paths as the cluster finds them.

    Raises:
        ConfigError: one is of this machine alone.
    """
    if isinstance(paths, list):
        return [str(shared(key, path)) for path in paths]
    local = paths.removeprefix("file://")
    if "://" in local or _is_below_mount(local):
        return paths
    path = normpath(local)
    if path.startswith(("/", "..")):
        raise ConfigError(
            f"{key}: the pods of a cluster do not have {paths}; give a URL, or a path that is relative to the shared "
            f"storage, which they have at {MOUNT}"
        )
    return f"{MOUNT}/{path}"


def _is_below_mount(path: str) -> bool:
    return normpath(path.removeprefix("file://")).startswith(f"{MOUNT}/")
