"""The checks that KubeRay's operator makes of jobs and their clusters."""

import re
from collections.abc import Iterator

from kuberay_rules.base import Manifests, a_rule, jobs, name_of, of_kind, pods, ray_groups, requests, variables
from raydnn.k8s.kustomization import Manifest, containers

_LONGEST = {"RayJob": 47, "RayCluster": 53, "RayService": 47}
_MODES = ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
_METADATA = {"name", "namespace", "labels", "annotations", "finalizers"}
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


@a_rule
def names_are_labels(manifests: Manifests) -> Iterator[str]:
    for manifest in manifests:
        name, longest = name_of(manifest), _LONGEST.get(manifest["kind"], 63)
        if not re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", name) or len(name) > longest:
            yield f"{name} is no name of a {manifest['kind']}"


@a_rule
def manifests_have_names_of_their_own(manifests: Manifests) -> Iterator[str]:
    found = [(each["kind"], name_of(each)) for each in manifests]
    yield from (f"{each} comes twice" for each in set(found) if found.count(each) > 1)


@a_rule
def metadata_has_known_keys(manifests: Manifests) -> Iterator[str]:
    for name, metadata in _all_metadata(manifests):
        yield from (f"{name} has {key}" for key in set(metadata) - _METADATA)


@a_rule
def labels_are_well_formed(manifests: Manifests) -> Iterator[str]:
    for name, metadata in _all_metadata(manifests):
        for key, value in metadata.get("labels", {}).items():
            if not (_LABEL_KEY.fullmatch(key) and isinstance(value, str) and _LABEL.fullmatch(value)):
                yield f"{name} has {key}={value!r}"


def _all_metadata(manifests: Manifests) -> Iterator[tuple[str, Manifest]]:
    yield from ((name_of(each), each["metadata"]) for each in manifests)
    yield from ((name, template["metadata"]) for name, template in pods(manifests))


@a_rule
def submission_modes_are_known(manifests: Manifests) -> Iterator[str]:
    for name, spec, _ in jobs(manifests):
        mode = spec["submissionMode"]
        if mode not in _MODES:
            yield f"{name} has {mode}"
        if mode == "InteractiveMode" and spec["backoffLimit"]:
            yield f"{name} cannot be tried again in {mode}"
        if mode == "SidecarMode" and {"submitterPodTemplate", "submitterConfig"} & set(spec):
            yield f"{name} has no submitter in {mode}"


@a_rule
def clusters_go_when_jobs_are_done(manifests: Manifests) -> Iterator[str]:
    for name, spec, _ in jobs(manifests):
        if spec.get("ttlSecondsAfterFinished", 0) and not spec.get("shutdownAfterJobFinishes"):
            yield f"{name}: ttlSecondsAfterFinished needs shutdownAfterJobFinishes"
        if "deletionRules" in spec.get("deletionStrategy", {}) and spec.get("shutdownAfterJobFinishes"):
            yield f"{name}: deletionRules exclude shutdownAfterJobFinishes"


@a_rule
def limits_of_jobs_are_positive(manifests: Manifests) -> Iterator[str]:
    keys = ("activeDeadlineSeconds", "preRunningDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
    for name, spec, _ in jobs(manifests):
        yield from (f"{name} has {key}: {spec.get(key)}" for key in keys if not spec.get(key, 0) > 0)


@a_rule
def suspending_is_left_to_queues(manifests: Manifests) -> Iterator[str]:
    for name, spec, cluster in jobs(manifests):
        if any("suspend" in each for each in (spec, cluster, *cluster["workerGroupSpecs"])):
            yield f"{name} writes suspend"


@a_rule
def queued_jobs_can_be_suspended(manifests: Manifests) -> Iterator[str]:
    for job in of_kind(manifests, "RayJob"):
        if "kueue.x-k8s.io/queue-name" not in job["metadata"]["labels"]:
            continue
        if not job["spec"].get("shutdownAfterJobFinishes") or "clusterSelector" in job["spec"]:
            yield f"{name_of(job)} cannot be suspended"
        if not all(map(requests, containers(job))):
            yield f"a container of {name_of(job)} requests nothing"


@a_rule
def start_parameters_are_text(manifests: Manifests) -> Iterator[str]:
    for name, _, cluster in jobs(manifests):
        for group in ray_groups(cluster):
            parameters = group.get("rayStartParams", {})
            yield from (f"{name}: {key}" for key, value in parameters.items() if not isinstance(value, str))
            if "labels" in parameters:
                yield f"{name}: labels belong beside rayStartParams"
            if "resources" in group and {"num-cpus", "num-gpus", "memory", "resources"} & set(parameters):
                yield f"{name}: resources stand in two places"


@a_rule
def numbers_of_workers_are_in_order(manifests: Manifests) -> Iterator[str]:
    for name, _, cluster in jobs(manifests):
        for group in cluster["workerGroupSpecs"]:
            least, now, most = (group.get(key, -1) for key in ("minReplicas", "replicas", "maxReplicas"))
            if not 0 <= least <= now <= most:
                yield f"{name}: {least} to {most} workers, at first {now}"


@a_rule
def autoscaled_pods_are_not_restarted(manifests: Manifests) -> Iterator[str]:
    for name, _, cluster in jobs(manifests):
        if not cluster.get("enableInTreeAutoscaling"):
            continue
        if cluster.get("autoscalerOptions", {}).get("version") != "v2":
            yield f"{name} has not the autoscaler v2"
        for group in ray_groups(cluster):
            spec = group["template"]["spec"]
            if spec.get("restartPolicy", "Never") != "Never":
                yield f"{name} restarts pods"
            if "RAY_enable_autoscaler_v2" in variables(spec["containers"][0]):
                yield f"{name} asks for the autoscaler twice"
        if not cluster["headGroupSpec"]["template"]["spec"].get("automountServiceAccountToken", True):
            yield f"the autoscaler of {name} has no token"


@a_rule
def redis_is_declared_in_one_place(manifests: Manifests) -> Iterator[str]:
    for name, _, cluster in jobs(manifests):
        head = cluster["headGroupSpec"]
        own = {"RAY_REDIS_ADDRESS", "REDIS_PASSWORD", "REDIS_USERNAME"}
        found = own & set(variables(head["template"]["spec"]["containers"][0]))
        found |= {"redis-password", "redis-username"} & set(head["rayStartParams"])
        yield from (f"{name} has {each}" for each in found)


@a_rule
def tokens_are_asked_for(manifests: Manifests) -> Iterator[str]:
    for name, _, cluster in jobs(manifests):
        if cluster.get("authOptions", {}).get("mode") != "token":
            yield f"{name} runs the code of anybody"
        if tuple(map(int, cluster["rayVersion"].split("."))) < (2, 52, 0):
            yield f"{name}: Ray {cluster['rayVersion']} knows no tokens"


@a_rule
def code_comes_with_the_image(manifests: Manifests) -> Iterator[str]:
    yield from (f"{name} has runtimeEnvYAML" for name, spec, _ in jobs(manifests) if "runtimeEnvYAML" in spec)
