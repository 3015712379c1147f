"""What the manifests of a job have to know of a run or sweep."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from raydnn.config.document import VARIABLE
from raydnn.errors import ConfigError
from raydnn.k8s.sizing import ClusterSize

MOUNT = "/mnt/raydnn"
"""Where all pods of Ray find the shared storage."""
MAX_NAME = 47
"""Characters in the name of a RayJob: the operator appends to it."""

_MLFLOW = "MLFLOW_TRACKING_URI"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run or a sweep, ready for a cluster.

    Attributes:
        name: of the RayJob.
        kind: the folder of k8s/ that its manifests are made of.
        files: name -> text of what the head finds in /etc/raydnn.
        size: of its pods.
        is_stored: whether anything lies on the shared storage.
    """

    name: str
    kind: Literal["train", "tune"]
    files: Mapping[str, str]
    size: ClusterSize
    is_stored: bool

    @property
    def variables(self) -> list[str]:
        """The environment variables that the files read, but for that of MLflow's address."""
        return [name for name in self._variables() if name != _MLFLOW]

    @property
    def is_tracked_in_the_cluster(self) -> bool:
        """Whether MLflow is that of the cluster."""
        return _MLFLOW in self._variables()

    def _variables(self) -> list[str]:
        return list(dict.fromkeys(name for text in self.files.values() for name in VARIABLE.findall(text)))


def job_name(file: str, name: str | None) -> str:
    """The name of the job of a file: always the same for the same file.

    Args:
        file: path or URL of the run or sweep.
        name: that is asked for; None takes that of the file.

    Raises:
        ConfigError: Kubernetes does not take it.
    """
    found = re.sub(r"\.ya?ml$", "", file.rsplit("/", 1)[-1]) if name is None else name
    label = re.sub("[^a-z0-9]+", "-", found.lower()).strip("-") if name is None else name
    if len(label) > MAX_NAME or not re.fullmatch("[a-z]([a-z0-9-]*[a-z0-9])?", label):
        raise ConfigError(
            f"{found!r} gives no name of a RayJob: that is a letter and then letters, digits and '-', {MAX_NAME} "
            f"characters at most, in lower case; give one with --name"
        )
    return label
