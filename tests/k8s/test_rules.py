"""The checks of the manifests find faults: one is planted for each rule, and for the schemas."""

import copy
from typing import Any

import pytest
from kuberay_renderings import FOLDER, kustomized, rendered
from kuberay_rules import RULES, faults
from kuberay_schemas import cel_faults, core_faults, needs_crds, pod_faults, schema_faults

from raydnn.k8s.kustomization import Manifest

GONE = object()

Fault = tuple[str, str, Any]
"""Kind and name of a manifest, place in it, and what is put there."""

JOB = "RayJob flights"
SPEC = "/spec"
SUBMITTER = f"{SPEC}/submitterPodTemplate"
CLUSTER = f"{SPEC}/rayClusterSpec"
HEAD = f"{CLUSTER}/headGroupSpec"
HEAD_POD = f"{HEAD}/template/spec"
HEAD_CONTAINER = f"{HEAD_POD}/containers/0"
WORKERS = f"{CLUSTER}/workerGroupSpecs/0"
WORKER_POD = f"{WORKERS}/template/spec"
WORKER_CONTAINER = f"{WORKER_POD}/containers/0"
MLFLOW = "Deployment mlflow"
MLFLOW_POD = "/spec/template/spec"
MLFLOW_CONTAINER = f"{MLFLOW_POD}/containers/0"

FAULTS: dict[str, list[Fault]] = {
    "names_are_labels": [(JOB, "/metadata/name", "1flights"), (JOB, "/metadata/name", "f" * 48)],
    "manifests_have_names_of_their_own": [("PersistentVolumeClaim mlflow", "/metadata/name", "raydnn-storage")],
    "metadata_has_known_keys": [
        (JOB, "/metadata/label", {}),
        (JOB, f"{WORKERS}/template/metadata/annotation", {"a": "b"}),
    ],
    "labels_are_well_formed": [(JOB, "/metadata/labels/team", "a b"), (JOB, "/metadata/labels/a~1b~1c", "d")],
    "submission_modes_are_known": [
        (JOB, f"{SPEC}/submissionMode", "K8SJobMode"),
        (JOB, f"{SPEC}/submissionMode", "InteractiveMode"),
        (JOB, f"{SPEC}/submissionMode", "SidecarMode"),
    ],
    "clusters_go_when_jobs_are_done": [
        (JOB, f"{SPEC}/shutdownAfterJobFinishes", False),
        (JOB, f"{SPEC}/deletionStrategy", {"deletionRules": []}),
    ],
    "limits_of_jobs_are_positive": [(JOB, f"{SPEC}/activeDeadlineSeconds", 0)],
    "suspending_is_left_to_queues": [(JOB, f"{SPEC}/suspend", True), (JOB, f"{WORKERS}/suspend", False)],
    "queued_jobs_can_be_suspended": [
        (JOB, f"{SPEC}/clusterSelector", {"ray.io/cluster": "mine"}),
        (JOB, f"{SUBMITTER}/spec/containers/0/resources/requests", GONE),
    ],
    "start_parameters_are_text": [
        (JOB, f"{HEAD}/rayStartParams/num-cpus", 0),
        (JOB, f"{WORKERS}/rayStartParams/labels", "a=b"),
        (JOB, f"{HEAD}/resources", {"CPU": "0"}),
    ],
    "numbers_of_workers_are_in_order": [(JOB, f"{WORKERS}/minReplicas", 9), (JOB, f"{WORKERS}/maxReplicas", GONE)],
    "autoscaled_pods_are_not_restarted": [
        (JOB, f"{WORKER_POD}/restartPolicy", "Always"),
        (JOB, f"{CLUSTER}/autoscalerOptions/version", "v1"),
        (JOB, f"{HEAD_CONTAINER}/env/-", {"name": "RAY_enable_autoscaler_v2", "value": "1"}),
        (JOB, f"{HEAD_POD}/automountServiceAccountToken", False),
    ],
    "redis_is_declared_in_one_place": [
        (JOB, f"{HEAD_CONTAINER}/env/-", {"name": "RAY_REDIS_ADDRESS", "value": "redis:6379"}),
        (JOB, f"{HEAD}/rayStartParams/redis-password", "secret"),
    ],
    "tokens_are_asked_for": [(JOB, f"{CLUSTER}/authOptions", GONE), (JOB, f"{CLUSTER}/rayVersion", "2.9.0")],
    "code_comes_with_the_image": [(JOB, f"{SPEC}/runtimeEnvYAML", "pip: [raydnn]")],
    "variables_are_set_once": [(MLFLOW, f"{MLFLOW_CONTAINER}/env/-", {"name": "MLFLOW_HOST", "value": "mlflow"})],
    "variables_are_known_where_they_are_used": [(JOB, f"{HEAD_CONTAINER}/env/0/name", "MLFLOW_SERVICE")],
    "pods_have_few_rights": [
        (JOB, f"{HEAD_POD}/securityContext/runAsNonRoot", False),
        (JOB, f"{HEAD_POD}/securityContext/seccompProfile", GONE),
        (JOB, f"{WORKER_POD}/automountServiceAccountToken", GONE),
        (JOB, f"{WORKER_CONTAINER}/securityContext/capabilities", GONE),
        (JOB, f"{SUBMITTER}/spec/containers/0/securityContext/allowPrivilegeEscalation", True),
    ],
    "users_are_those_of_the_image": [(JOB, f"{WORKER_POD}/securityContext/runAsUser", 1001)],
    "memory_is_requested_as_it_is_limited": [
        (JOB, f"{WORKER_CONTAINER}/resources/requests/memory", "1Gi"),
        (MLFLOW, f"{MLFLOW_CONTAINER}/resources/limits", GONE),
    ],
    "cpus_of_ray_are_whole": [
        (JOB, f"{WORKER_CONTAINER}/resources/requests/cpu", "1500m"),
        (JOB, f"{WORKER_CONTAINER}/resources/limits/cpu", "8"),
    ],
    "gpus_stand_in_limits": [(JOB, f"{HEAD_CONTAINER}/resources/requests/nvidia.com~1gpu", 1)],
    "the_head_has_no_cpus_for_workers": [(JOB, f"{HEAD}/rayStartParams/num-cpus", GONE)],
    "ray_containers_come_first_and_are_started_by_the_operator": [
        (JOB, f"{WORKER_CONTAINER}/name", "sidecar"),
        (JOB, f"{HEAD_CONTAINER}/command", ["ray", "start"]),
        (JOB, f"{SUBMITTER}/spec/containers/0/command", ["true"]),
        (JOB, f"{WORKER_CONTAINER}/readinessProbe", {"tcpSocket": {"port": 1}}),
    ],
    "submitters_are_not_restarted": [(JOB, f"{SUBMITTER}/spec/restartPolicy", "OnFailure")],
    "images_have_tags": [
        ("Deployment redis", f"{MLFLOW_CONTAINER}/image", "redis"),
        ("Deployment redis", f"{MLFLOW_CONTAINER}/image", "redis:latest"),
    ],
    "pods_have_time_for_their_hooks": [
        (JOB, f"{WORKER_POD}/terminationGracePeriodSeconds", 60),
        (JOB, f"{HEAD_POD}/terminationGracePeriodSeconds", GONE),
    ],
    "hooks_run_a_module_that_is_there": [
        (JOB, f"{HEAD_CONTAINER}/lifecycle/preStop/exec/command/2", "raydnn.distributed.going"),
        (JOB, f"{WORKER_CONTAINER}/lifecycle/preStop/exec/command/0", "sleep"),
    ],
    "jobs_that_are_stopped_have_the_time_of_the_hook": [
        (JOB, f"{HEAD_CONTAINER}/env/2/value", "3"),
        (JOB, f"{HEAD_CONTAINER}/env/2/name", "RAY_JOB_STOP_WAIT"),
    ],
    "images_are_equal": [(JOB, f"{WORKER_CONTAINER}/image", "elsewhere.example.com/raydnn:2")],
    "images_are_of_this_version": [(MLFLOW, f"{MLFLOW_CONTAINER}/image", "raydnn:0.0.9")],
    "ray_is_that_of_the_image": [(JOB, f"{CLUSTER}/rayVersion", "2.59.0")],
    "accounts_are_there": [(JOB, f"{SUBMITTER}/spec/serviceAccountName", "raydnn-submitter")],
    "config_maps_are_there": [("ConfigMap flights-run", "/metadata/name", "flights")],
    "claims_are_there_and_used": [
        (JOB, f"{WORKER_POD}/volumes/0/persistentVolumeClaim/claimName", "storage"),
        ("PersistentVolumeClaim mlflow", "/metadata/name", "mlflow-2"),
    ],
    "secrets_are_optional_or_told_of": [
        (JOB, f"{WORKER_CONTAINER}/envFrom/0/secretRef", {"name": "mine"}),
        (JOB, f"{CLUSTER}/gcsFaultToleranceOptions/redisPassword/valueFrom/secretKeyRef/name", "redis-2"),
    ],
    "mounts_have_volumes": [
        (JOB, f"{HEAD_CONTAINER}/volumeMounts/0/name", "runs"),
        (JOB, f"{WORKER_CONTAINER}/volumeMounts", []),
    ],
    "services_lead_to_ports": [
        ("Service mlflow", "/spec/ports/0/targetPort", "web"),
        ("Service redis", "/spec/selector/app.kubernetes.io~1name", "valkey"),
    ],
    "deployments_select_their_own_pods": [
        (MLFLOW, "/spec/selector/matchLabels", {"app.kubernetes.io/part-of": "raydnn"}),
        (MLFLOW, "/spec/selector/matchLabels/app.kubernetes.io~1name", "mlfow"),
    ],
    "probes_ask_open_ports": [(MLFLOW, f"{MLFLOW_CONTAINER}/readinessProbe/httpGet/port", "web")],
    "strangers_reach_no_pod": [
        (JOB, f"{SUBMITTER}/metadata/labels", {}),
        ("NetworkPolicy raydnn", "/spec/ingress/0/from/0", {"ipBlock": {"cidr": "0.0.0.0/0"}}),
        ("NetworkPolicy raydnn", "/spec/ingress/0", {"ports": [{"port": 8265}]}),
    ],
    "addresses_are_those_of_services": [
        (JOB, f"{WORKER_CONTAINER}/env/0/value", "tracking"),
        ("Service mlflow", "/spec/ports/0/port", 80),
        (JOB, f"{CLUSTER}/gcsFaultToleranceOptions/redisAddress", "redis:6380"),
    ],
    "mlflow_answers_to_its_name": [(MLFLOW, f"{MLFLOW_CONTAINER}/args/4", "--allowed-hosts=localhost:*")],
    "entrypoints_are_commands": [
        (JOB, f"{SPEC}/entrypoint", "python -c 'import raydnn'"),
        (JOB, f"{SPEC}/entrypoint", "raydnn trian /etc/raydnn/run.yaml"),
        (JOB, f"{SPEC}/entrypoint", "raydnn train /etc/raydnn/run.yaml --resume-from 3"),
        (JOB, f"{SPEC}/entrypoint", "raydnn train"),
    ],
    "files_of_entrypoints_are_mounted": [
        (JOB, f"{SPEC}/entrypoint", "raydnn train /etc/raydnn/other.yaml"),
        (JOB, f"{HEAD_CONTAINER}/volumeMounts/0/mountPath", "/etc/runs"),
    ],
    "mounted_runs_load": [("ConfigMap flights-run", "/data/run.yaml", "data: {}")],
    "mounted_sweeps_load": [(JOB, f"{SPEC}/entrypoint", "raydnn tune /etc/raydnn/sweep.yaml --resume")],
    "paths_lie_on_storage_that_all_pods_have": [
        (JOB, f"{WORKER_CONTAINER}/volumeMounts/0/mountPath", "/mnt/elsewhere"),
        (JOB, f"{HEAD_CONTAINER}/volumeMounts/1/readOnly", True),
    ],
    "workers_find_their_cpus_and_gpus": [
        (JOB, f"{WORKERS}/replicas", 1),
        (JOB, f"{WORKER_CONTAINER}/resources/requests/cpu", "3"),
        (JOB, f"{WORKER_CONTAINER}/resources/limits/nvidia.com~1gpu", 1),
    ],
    "a_new_cluster_goes_on_with_the_run": [(JOB, f"{SPEC}/backoffLimit", 0)],
}


OF_SWEEPS: list[Fault] = [
    ("RayJob flights-sweep", f"{WORKERS}/maxReplicas", 4),
    ("ConfigMap flights-run", "/data/sweep.yaml", "run: run.yaml"),
    ("ConfigMap flights-run", "/data/run.yaml", "data: {}"),
]


def plant(manifests: list[Manifest], fault: Fault) -> list[Manifest]:
    """The manifests with a fault."""
    planted = copy.deepcopy(manifests)
    wanted, path, value = fault
    (holder,) = (each for each in planted if f"{each['kind']} {each['metadata']['name']}" == wanted)
    place: Any = holder
    *way, last = (part.replace("~1", "/") for part in path.split("/")[1:])
    for part in way:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if isinstance(place, list):
        if last == "-":
            place.append(value)
        else:
            place[int(last)] = value
    elif value is GONE:
        del place[last]
    else:
        assert last not in place or place[last] != value
        place[last] = value
    return planted


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    found = rendered("with all")
    assert faults(found) == []
    return found


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        pytest.param(rule, fault, id=f"{rule}-{number}")
        for rule, found in FAULTS.items()
        for number, fault in enumerate(found)
    ],
)
def test_a_fault_is_found(manifests: list[Manifest], rule: str, fault: Fault) -> None:
    planted = plant(manifests, fault)
    assert [*RULES[rule](planted)]


@pytest.mark.parametrize("fault", OF_SWEEPS)
def test_a_fault_of_a_sweep_is_found(fault: Fault) -> None:
    manifests = kustomized(FOLDER / "tune")
    assert [*RULES["mounted_sweeps_load"](manifests)] == []
    assert [*RULES["mounted_sweeps_load"](plant(manifests, fault))]


def test_each_rule_has_a_fault() -> None:
    assert FAULTS.keys() == RULES.keys()


@needs_crds
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (f"{SPEC}/backofLimit", 3, "'backofLimit' was unexpected"),
        (f"{SPEC}/backoffLimit", "3", "'3' is not of type 'integer'"),
        (f"{CLUSTER}/authOptions/mode", "tokens", "'tokens' is not one of"),
        (f"{CLUSTER}/headGroupSpec/template/spec/volumes/0/configMap/nam", "x", "'nam' was unexpected"),
        (f"{WORKER_CONTAINER}/resources/limits/memory", "four", "'four' does not match"),
        (f"{WORKERS}/groupName", GONE, "'groupName' is a required property"),
        (f"{WORKERS}/rayStartParams/num-cpus", 1, "1 is not of type 'string'"),
        ("/metadata/label", {}, "'label' was unexpected"),
    ],
)
def test_the_schema_of_kuberay_finds_what_it_does_not_know(
    manifests: list[Manifest], path: str, value: Any, message: str
) -> None:
    (job,) = (each for each in plant(manifests, (JOB, path, value)) if each["kind"] == "RayJob")
    (fault,) = schema_faults(job)
    assert message in fault


@needs_crds
def test_nulls_and_defaults_are_as_for_an_api_server(manifests: list[Manifest]) -> None:
    planted = plant(plant(manifests, (JOB, f"{WORKERS}/maxReplicas", GONE)), (JOB, f"{SPEC}/metadata", None))
    (job,) = (each for each in planted if each["kind"] == "RayJob")
    assert [*schema_faults(job)] == []


@needs_crds
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (f"{SPEC}/managedBy", "me", "must be either 'ray.io/kuberay-operator'"),
        (f"{CLUSTER}/managedBy", "me", "must be either 'ray.io/kuberay-operator'"),
        (f"{SPEC}/deletionStrategy", {}, "requires either BOTH onSuccess and onFailure"),
        (
            f"{SPEC}/deletionStrategy",
            {"deletionRules": [{"policy": "DeleteSelf", "condition": {"ttlSeconds": 1}}]},
            "requires either the JobStatus or the JobDeploymentStatus",
        ),
    ],
)
def test_the_rules_of_kuberay_are_evaluated(manifests: list[Manifest], path: str, value: Any, message: str) -> None:
    (job,) = (each for each in plant(manifests, (JOB, path, value)) if each["kind"] == "RayJob")
    (fault,) = cel_faults(job)
    assert message in fault


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ((MLFLOW, "/spec/replica", 1), "replica"),
        (("PersistentVolumeClaim mlflow", "/spec/accessModes", "ReadWriteOnce"), "ReadWriteOnce"),
        (("NetworkPolicy raydnn", "/spec/ingress/0/form", []), "form"),
    ],
)
def test_the_schemas_of_core_kinds_find_what_they_do_not_know(
    manifests: list[Manifest], fault: Fault, message: str
) -> None:
    kind = fault[0].split()[0]
    found = [told for each in plant(manifests, fault) if each["kind"] == kind for told in core_faults(each)]
    assert len(found) == 1
    assert message in found[0]


def test_pods_inside_of_jobs_are_held_against_the_schema_of_pods(manifests: list[Manifest]) -> None:
    (job,) = (each for each in plant(manifests, (JOB, f"{WORKER_POD}/toleration", [])) if each["kind"] == "RayJob")
    (fault,) = pod_faults(job)
    assert "toleration" in fault
