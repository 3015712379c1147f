"""The manifests of a job: those of the folder k8s/, with the job's own name, files, sizes and storage."""

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from raydnn.errors import ConfigError
from raydnn.k8s.job import Job
from raydnn.k8s.kustomization import Manifest, apply_component, build, containers, image_name, pod_templates
from raydnn.k8s.sizing import ClusterSize, PodSize

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parent / "manifests"
"""The folder k8s/, which is part of the package."""
IMAGE = "raydnn"
"""Name of the image in it."""
ENVIRONMENT = "raydnn-environment"
"""The secret whose keys are environment variables of all pods."""

_PART_OF_MLFLOW = {"app.kubernetes.io/name": "mlflow"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where and how a run is put into a cluster.

    Attributes:
        overlay: 'dev' or 'prod'; None takes neither.
        components: names of folders in k8s/components.
        image: with its tag; None takes that of the manifests.
        namespace: None takes that of the overlay, or leaves it to kubectl.
    """

    overlay: str | None = None
    components: Sequence[str] = ()
    image: str | None = None
    namespace: str | None = None


def render(job: Job, place: Place) -> list[Manifest]:
    """The complete manifests of a job.

    Args:
        job: what is trained or tuned.
        place: where and how.

    Raises:
        ConfigError: there is no such overlay or component.
    """
    manifests = _placed(job.kind, place, ["gpu"] if job.size.worker.gpus else [])
    ray_job, files = _of_kind(manifests, "RayJob"), _of_kind(manifests, "ConfigMap")
    _name(ray_job, files, job.name)
    files["data"] = dict(job.files)
    _resize(ray_job["spec"]["rayClusterSpec"], job.size)
    if not job.is_stored:
        _leave_storage_out(manifests, ray_job)
    if not job.is_tracked_in_the_cluster:
        manifests = _without_mlflow(manifests)
    if job.variables:
        _tell_of_variables(job.variables)
    return _finished(manifests, place)


def to_yaml(manifests: Sequence[Manifest]) -> str:
    """Manifests as a text of several YAML documents."""
    return str(yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000))


def names_of(folder: str) -> list[str]:
    """The names of the overlays or components that there are."""
    return sorted(each.name for each in (FOLDER / folder).iterdir())


def _placed(job: str, place: Place, wanted: Sequence[str]) -> list[Manifest]:
    """The manifests of a job as an overlay and components make them."""
    given = (("overlays", [place.overlay] if place.overlay else []), ("components", place.components))
    for folder, names in given:
        for name in names:
            if name not in names_of(folder):
                raise ConfigError(f"there is no {name!r} in {folder}; there are {', '.join(names_of(folder))}")
    manifests = build(FOLDER / "overlays" / place.overlay / job if place.overlay else FOLDER / job)
    for name in dict.fromkeys([*wanted, *place.components]):
        manifests = apply_component(manifests, FOLDER / "components" / name)
    return manifests


def _of_kind(manifests: Sequence[Manifest], kind: str) -> Manifest:
    (found,) = (each for each in manifests if each["kind"] == kind)
    return found


def _name(job: Manifest, files: Manifest, name: str) -> None:
    job["metadata"]["name"] = name
    job["metadata"]["labels"]["app.kubernetes.io/name"] = name
    files["metadata"]["name"] = f"{name}-run"
    for _, template in pod_templates(job):
        for volume in template["spec"].get("volumes", []):
            if "configMap" in volume:
                volume["configMap"]["name"] = f"{name}-run"


def _resize(cluster: Manifest, size: ClusterSize) -> None:
    _give(cluster["headGroupSpec"]["template"], size.head)
    (workers,) = cluster["workerGroupSpecs"]
    _give(workers["template"], size.worker)
    # An autoscaler starts from as few as its component says.
    least = min(workers["minReplicas"], size.least) if cluster.get("enableInTreeAutoscaling") else size.least
    workers |= {"replicas": size.most, "minReplicas": least, "maxReplicas": size.most}


def _give(template: Manifest, size: PodSize) -> None:
    resources = template["spec"]["containers"][0]["resources"]
    resources["requests"] = {"cpu": str(size.cpus), "memory": size.memory_quantity}
    resources["limits"] = {"memory": size.memory_quantity}
    if size.gpus:
        resources["limits"]["nvidia.com/gpu"] = size.gpus


def _leave_storage_out(manifests: list[Manifest], job: Manifest) -> None:
    """Take the claim of the shared storage out of the job, and out of the manifests."""
    claims = set()
    for _, template in pod_templates(job):
        spec = template["spec"]
        found = {
            volume["name"]: volume["persistentVolumeClaim"]["claimName"]
            for volume in spec.get("volumes", [])
            if "persistentVolumeClaim" in volume
        }
        claims |= set(found.values())
        if found:
            spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] not in found]
            for container in spec["containers"]:
                container["volumeMounts"] = [each for each in container["volumeMounts"] if each["name"] not in found]
    manifests[:] = [
        each for each in manifests if each["kind"] != "PersistentVolumeClaim" or each["metadata"]["name"] not in claims
    ]


def _without_mlflow(manifests: Sequence[Manifest]) -> list[Manifest]:
    """The manifests without MLflow's server and its address."""
    kept = [each for each in manifests if not _PART_OF_MLFLOW.items() <= each["metadata"].get("labels", {}).items()]
    for container in (each for manifest in kept for each in containers(manifest)):
        if "env" in container:
            container["env"] = [each for each in container["env"] if not each["name"].startswith("MLFLOW_")]
    return kept


def _tell_of_variables(variables: Sequence[str]) -> None:
    literals = " ".join(f"--from-literal={name}=..." for name in variables)
    logger.warning(
        "the run reads the environment variables %s; put them into a secret: kubectl create secret generic %s %s",
        ", ".join(variables), ENVIRONMENT, literals,
    )  # fmt: skip


def _finished(manifests: Sequence[Manifest], place: Place) -> list[Manifest]:
    for manifest in manifests:
        if place.namespace is not None:
            manifest["metadata"]["namespace"] = place.namespace
        if place.image is not None:
            for container in containers(manifest):
                if image_name(container["image"]) == IMAGE:
                    container["image"] = place.image
    # Each a value of its own, as YAML would write what two places share as an anchor.
    return [copy.deepcopy(each) for each in manifests]


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes text of several lines as such."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Dumper.add_representer(str, _Dumper.represent_str)
