"""What no schema says of manifests: the checks that KubeRay's operator makes, and whether all names lead somewhere."""

import os
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import typer.main
import yaml

from raydnn import config, tune
from raydnn.cli.main import app
from raydnn.k8s.kustomization import Manifest, containers, image_name, pod_templates
from raydnn.tune.sweep import reads_by_ray

ROOT = Path(__file__).parents[1]
README = (ROOT / "k8s" / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(re.findall("(?m)^([^=#\n]+)==(.+)$", (ROOT / "constraints.txt").read_text()))

Manifests = list[Manifest]
Rule = Callable[[Manifests], Iterator[str]]
RULES: dict[str, Rule] = {}
"""Name of a rule -> what tells, of the manifests that are applied together, where it is broken."""

_LONGEST = {"RayJob": 47, "RayCluster": 53, "RayService": 47}
_MODES = ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
_METADATA = {"name", "namespace", "labels", "annotations", "finalizers"}
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_UNITS = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}


def faults(manifests: Manifests) -> list[str]:
    """All that is wrong, with the names of the rules."""
    return [f"{name}: {text}" for name, rule in RULES.items() for text in rule(manifests)]


def a_rule(function: Rule) -> Rule:
    """Make a function one of RULES."""
    RULES[function.__name__] = function
    return function


def of_kind(manifests: Manifests, kind: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] == kind]


def name_of(manifest: Manifest) -> str:
    name: str = manifest["metadata"]["name"]
    return name


def named(manifests: Manifests, kind: str) -> dict[str, Manifest]:
    return {name_of(each): each for each in of_kind(manifests, kind)}


def jobs(manifests: Manifests) -> Iterator[tuple[str, Manifest, Manifest]]:
    """Name, spec and cluster of each job."""
    for job in of_kind(manifests, "RayJob"):
        yield name_of(job), job["spec"], job["spec"]["rayClusterSpec"]


def pods(manifests: Manifests) -> Iterator[tuple[str, Manifest]]:
    for manifest in manifests:
        for name, template in pod_templates(manifest):
            yield f"{name_of(manifest)}/{name}", template


def ray_groups(cluster: Manifest) -> list[Manifest]:
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def bytes_of(quantity: str) -> int:
    found = re.fullmatch(r"(\d+)([KMGT]i)?", quantity)
    assert found, f"{quantity} is no quantity of bytes"
    return int(found[1]) * _UNITS[found[2] or ""]


def variables(container: Manifest) -> dict[str, str]:
    """The environment variables that a container sets itself, with those that they are made of put in."""
    found: dict[str, str] = {}
    for each in container.get("env", []):
        found[each["name"]] = _expanded(each.get("value", ""), found)
    return found


def _expanded(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\((\w+)\)", lambda match: values.get(match[1], match[0]), text)


# What the operator checks.


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
        if not all(map(_requests, containers(job))):
            yield f"a container of {name_of(job)} requests nothing"


def _requests(container: Manifest) -> dict[str, Any]:
    requests: dict[str, Any] = container.get("resources", {}).get("requests", {})
    return requests


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


# What every pod must be like.


@a_rule
def variables_are_set_once(manifests: Manifests) -> Iterator[str]:
    for name, template in pods(manifests):
        for container in template["spec"]["containers"]:
            found = [each["name"] for each in container.get("env", [])]
            yield from (f"{name} sets {each} twice" for each in set(found) if found.count(each) > 1)


@a_rule
def variables_are_known_where_they_are_used(manifests: Manifests) -> Iterator[str]:
    for name, template in pods(manifests):
        for container in template["spec"]["containers"]:
            texts = [*variables(container).values(), *container.get("command", []), *container.get("args", [])]
            used = {match for text in texts for match in re.findall(r"\$\((\w+)\)", text)}
            yield from (f"{name} uses {each}" for each in used - {each["name"] for each in container.get("env", [])})


@a_rule
def pods_have_few_rights(manifests: Manifests) -> Iterator[str]:
    for name, template in pods(manifests):
        security = template["spec"].get("securityContext", {})
        if not security.get("runAsNonRoot") or not security.get("runAsUser"):
            yield f"{name} may run as root"
        if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name} has no seccompProfile"
        if "automountServiceAccountToken" not in template["spec"]:
            yield f"{name} mounts a token without being told to"
        for container in template["spec"]["containers"]:
            own = container.get("securityContext", {})
            if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{name} may gain rights"


@a_rule
def users_are_those_of_the_image(manifests: Manifests) -> Iterator[str]:
    for name, template in pods(manifests):
        spec = template["spec"]
        if image_name(spec["containers"][0]["image"]).endswith("raydnn"):
            found = [spec.get("securityContext", {}).get(key) for key in ("runAsUser", "runAsGroup", "fsGroup")]
            if found != [1000, 100, 100]:
                yield f"{name} runs as {found}"


@a_rule
def memory_is_requested_as_it_is_limited(manifests: Manifests) -> Iterator[str]:
    for name, template in pods(manifests):
        for container in template["spec"]["containers"]:
            limits = container.get("resources", {}).get("limits", {})
            if "memory" not in limits or _requests(container).get("memory") != limits["memory"]:
                yield f"{name} has {container.get('resources')}"


@a_rule
def cpus_of_ray_are_whole(manifests: Manifests) -> Iterator[str]:
    for name, _, cluster in jobs(manifests):
        for group in ray_groups(cluster):
            resources = group["template"]["spec"]["containers"][0]["resources"]
            cpus = resources["requests"].get("cpu", "")
            if not str(cpus).isdigit() or resources["limits"].get("cpu", cpus) != cpus:
                yield f"{name} has {resources}"


@a_rule
def gpus_stand_in_limits(manifests: Manifests) -> Iterator[str]:
    for manifest in manifests:
        for container in containers(manifest):
            if "nvidia.com/gpu" in set(_requests(container)) - set(container["resources"]["limits"]):
                yield f"{name_of(manifest)} requests GPUs"


@a_rule
def the_head_has_no_cpus_for_workers(manifests: Manifests) -> Iterator[str]:
    for name, _, cluster in jobs(manifests):
        if cluster["headGroupSpec"]["rayStartParams"].get("num-cpus") != "0":
            yield name


@a_rule
def ray_containers_come_first_and_are_started_by_the_operator(manifests: Manifests) -> Iterator[str]:
    for name, spec, cluster in jobs(manifests):
        templates = [("ray-head", cluster["headGroupSpec"]["template"])]
        templates += [("ray-job-submitter", spec["submitterPodTemplate"])]
        templates += [("ray-worker", group["template"]) for group in cluster["workerGroupSpecs"]]
        for expected, template in templates:
            first = template["spec"]["containers"][0]
            if first["name"] != expected:
                yield f"{name}: {first['name']} is not {expected}"
            for key in {"command", "args", "livenessProbe", "readinessProbe"} & set(first):
                yield f"{name}: {expected} has {key}, which the operator gives it"


@a_rule
def submitters_are_not_restarted(manifests: Manifests) -> Iterator[str]:
    for name, spec, _ in jobs(manifests):
        if spec["submitterPodTemplate"]["spec"]["restartPolicy"] != "Never":
            yield name


@a_rule
def images_have_tags(manifests: Manifests) -> Iterator[str]:
    for manifest in manifests:
        for container in containers(manifest):
            image = container["image"]
            if image == image_name(image) or image.endswith(":latest"):
                yield f"{name_of(manifest)} takes whatever {image} is"


@a_rule
def pods_have_time_for_their_hooks(manifests: Manifests) -> Iterator[str]:
    for name, _, cluster in jobs(manifests):
        for group in ray_groups(cluster):
            spec = group["template"]["spec"]
            command = spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
            if spec.get("terminationGracePeriodSeconds", 30) <= int(command[-1]):
                yield f"{name} is killed while a checkpoint is saved"


@a_rule
def hooks_run_a_module_that_is_there(manifests: Manifests) -> Iterator[str]:
    for name, _, cluster in jobs(manifests):
        for group in ray_groups(cluster):
            command = group["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
            if command[:2] != ["python", "-m"] or find_spec(command[2]) is None:
                yield f"{name} has a hook that cannot run: {' '.join(command)}"


@a_rule
def jobs_that_are_stopped_have_the_time_of_the_hook(manifests: Manifests) -> Iterator[str]:
    for name, _, cluster in jobs(manifests):
        head = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]
        given = {each["name"]: each.get("value") for each in head["env"]}.get("RAY_JOB_STOP_WAIT_TIME_S")
        if given is None or int(given) < int(head["lifecycle"]["preStop"]["exec"]["command"][-1]):
            yield f"{name}: Ray kills the job before the hook has waited for it"


# Where names lead to.


@a_rule
def images_are_equal(manifests: Manifests) -> Iterator[str]:
    images = {container["image"] for manifest in manifests for container in containers(manifest)}
    own = {image for image in images if image_name(image).rsplit("/", 1)[-1] == "raydnn"}
    if len(own) > 1:
        yield ", ".join(sorted(own))


@a_rule
def images_are_of_this_version(manifests: Manifests) -> Iterator[str]:
    for image in (container["image"] for manifest in manifests for container in containers(manifest)):
        if image_name(image) == "raydnn" and image.partition(":")[2].partition("-")[0] != PROJECT["version"]:
            yield f"{image} is not of {PROJECT['version']}"


@a_rule
def ray_is_that_of_the_image(manifests: Manifests) -> Iterator[str]:
    for name, _, cluster in jobs(manifests):
        if cluster["rayVersion"] != PINS["ray"]:
            yield f"{name} has Ray {cluster['rayVersion']}, the image {PINS['ray']}"


@a_rule
def accounts_are_there(manifests: Manifests) -> Iterator[str]:
    for name, template in pods(manifests):
        account = template["spec"].get("serviceAccountName")
        if account not in named(manifests, "ServiceAccount"):
            yield f"{name} runs as {account}"


@a_rule
def config_maps_are_there(manifests: Manifests) -> Iterator[str]:
    for name, template in pods(manifests):
        used = {volume["configMap"]["name"] for volume in template["spec"].get("volumes", []) if "configMap" in volume}
        for container in template["spec"]["containers"]:
            used |= {each["configMapRef"]["name"] for each in container.get("envFrom", []) if "configMapRef" in each}
        yield from (f"{name} reads {each}" for each in used - set(named(manifests, "ConfigMap")))


@a_rule
def claims_are_there_and_used(manifests: Manifests) -> Iterator[str]:
    used = set()
    for name, template in pods(manifests):
        found = {
            volume["persistentVolumeClaim"]["claimName"]
            for volume in template["spec"].get("volumes", [])
            if "persistentVolumeClaim" in volume
        }
        used |= found
        yield from (f"{name} mounts {each}" for each in found - set(named(manifests, "PersistentVolumeClaim")))
    yield from (f"nobody mounts {each}" for each in set(named(manifests, "PersistentVolumeClaim")) - used)


@a_rule
def secrets_are_optional_or_told_of(manifests: Manifests) -> Iterator[str]:
    told = set(re.findall(r"kubectl create secret generic ([a-z-]+)", README))
    for name, used in _secrets(manifests):
        if not used.get("optional") and used["name"] not in told | set(named(manifests, "Secret")):
            yield f"{name} needs {used['name']}"


def _secrets(manifests: Manifests) -> Iterator[tuple[str, Manifest]]:
    def found(value: Any) -> Iterator[Manifest]:
        if isinstance(value, dict):
            yield from (item for key, item in value.items() if key in ("secretKeyRef", "secretRef"))
            for item in value.values():
                yield from found(item)
        elif isinstance(value, list):
            for item in value:
                yield from found(item)

    for manifest in manifests:
        yield from ((name_of(manifest), each) for each in found(manifest))


@a_rule
def mounts_have_volumes(manifests: Manifests) -> Iterator[str]:
    for name, template in pods(manifests):
        volumes = {volume["name"] for volume in template["spec"].get("volumes", [])}
        mounted = {each["name"] for one in template["spec"]["containers"] for each in one.get("volumeMounts", [])}
        yield from (f"{name}: {each} is not both mounted and a volume" for each in volumes ^ mounted)


@a_rule
def services_lead_to_ports(manifests: Manifests) -> Iterator[str]:
    for service in of_kind(manifests, "Service"):
        found = [template for _, template in pods(manifests) if _selects(service["spec"]["selector"], template)]
        open_ports = {
            port[key]
            for template in found
            for container in template["spec"]["containers"]
            for port in container.get("ports", [])
            for key in ("name", "containerPort")
        }
        wanted = {port["targetPort"] for port in service["spec"]["ports"]}
        yield from (f"{name_of(service)} leads to {each}" for each in wanted - open_ports)


@a_rule
def deployments_select_their_own_pods(manifests: Manifests) -> Iterator[str]:
    for deployment in of_kind(manifests, "Deployment"):
        found = [name for name, template in pods(manifests) if _selects(_selector(deployment), template)]
        if found != [f"{name_of(deployment)}/{name_of(deployment)}"]:
            yield f"{name_of(deployment)} selects {found}"


def _selector(manifest: Manifest) -> dict[str, str]:
    labels: dict[str, str] = manifest["spec"]["selector"]["matchLabels"]
    return labels


def _selects(labels: dict[str, str], template: Manifest) -> bool:
    return labels.items() <= template["metadata"]["labels"].items()


@a_rule
def probes_ask_open_ports(manifests: Manifests) -> Iterator[str]:
    for name, template in pods(manifests):
        for container in template["spec"]["containers"]:
            ports = {port["name"] for port in container.get("ports", [])}
            for key in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe = container.get(key, {})
                asked = {probe[way]["port"] for way in ("httpGet", "tcpSocket") if way in probe}
                yield from (f"{name}: {key} asks {each}" for each in asked - ports)


@a_rule
def strangers_reach_no_pod(manifests: Manifests) -> Iterator[str]:
    policies = of_kind(manifests, "NetworkPolicy")
    for name, template in pods(manifests):
        own = [each["spec"] for each in policies if _selects(each["spec"]["podSelector"]["matchLabels"], template)]
        if not own:
            yield f"{name} is reached by all"
        for source in (each for spec in own for rule in spec["ingress"] for each in rule.get("from", [{}])):
            if "podSelector" not in source:
                yield f"{name} is reached from {source}"


@a_rule
def addresses_are_those_of_services(manifests: Manifests) -> Iterator[str]:
    services = set(_addresses(manifests))
    for name, template in pods(manifests):
        for container in template["spec"]["containers"]:
            address = urlsplit(variables(container).get("MLFLOW_TRACKING_URI", ""))
            if address.netloc and (address.hostname, address.port) not in services:
                yield f"{name} tracks at {address.netloc}"
    for name, _, cluster in jobs(manifests):
        address = urlsplit("//" + cluster.get("gcsFaultToleranceOptions", {}).get("redisAddress", ""))
        if address.netloc and (address.hostname, address.port) not in services:
            yield f"{name} looks for Redis at {address.netloc}"


def _addresses(manifests: Manifests) -> Iterator[tuple[str, int]]:
    """Name and port of each service."""
    for service in of_kind(manifests, "Service"):
        yield from ((name_of(service), port["port"]) for port in service["spec"]["ports"])


@a_rule
def mlflow_answers_to_its_name(manifests: Manifests) -> Iterator[str]:
    for name, template in pods(manifests):
        container = template["spec"]["containers"][0]
        if container.get("command", [])[:1] != ["mlflow"]:
            continue
        texts = [_expanded(each, variables(container)) for each in container["args"]]
        (allowed,) = (each.partition("=")[2].split(",") for each in texts if each.startswith("--allowed-hosts="))
        host = name.partition("/")[0]
        wanted = {f"{service}:{port}" for service, port in _addresses(manifests) if service == host}
        if not wanted or not wanted <= set(allowed):
            yield f"{name} refuses {wanted}"


# What runs in the cluster.


@a_rule
def entrypoints_are_commands(manifests: Manifests) -> Iterator[str]:
    for name, spec, _ in jobs(manifests):
        program, *arguments = shlex.split(spec["entrypoint"])
        if program not in PROJECT["scripts"]:
            yield f"{name} runs {program}"
            continue
        try:
            command = typer.main.get_command(app).commands[arguments[0]]  # type: ignore[attr-defined]
            command.make_context(arguments[0], arguments[1:]).close()
        except Exception as error:
            yield f"{name}: {spec['entrypoint']}: {error}"


@a_rule
def files_of_entrypoints_are_mounted(manifests: Manifests) -> Iterator[str]:
    for name, spec, _ in jobs(manifests):
        for path in (each for each in shlex.split(spec["entrypoint"]) if each.startswith("/")):
            if path not in _mounted_files(manifests):
                yield f"{name} reads {path}"


def _mounted_files(manifests: Manifests) -> dict[str, str]:
    """Path -> text of each file that config maps put into the head."""
    files = {}
    for _, _, cluster in jobs(manifests):
        spec = cluster["headGroupSpec"]["template"]["spec"]
        folders = {each["name"]: each["mountPath"] for each in spec["containers"][0]["volumeMounts"]}
        for volume in spec["volumes"]:
            found = named(manifests, "ConfigMap").get(volume.get("configMap", {}).get("name", ""))
            data = {} if found is None else found["data"]
            files |= {f"{folders.get(volume['name'])}/{name}": text for name, text in data.items()}
    return files


def run_of(manifests: Manifests) -> config.Run:
    """The run that is mounted, with the environment of the head."""
    text = _mounted_files(manifests)["/etc/raydnn/run.yaml"]
    with _environment(manifests):
        return config.loads(text)


def sweep_of(manifests: Manifests) -> tune.Sweep:
    """The sweep that is mounted, with its mounted run."""
    files = _mounted_files(manifests)
    with _environment(manifests), TemporaryDirectory() as folder:
        run = Path(folder, "run.yaml")
        run.write_text(files["/etc/raydnn/run.yaml"])
        return tune.loads(files["/etc/raydnn/sweep.yaml"], {"run": str(run)})


def _environment(manifests: Manifests) -> Any:
    """The environment of the head, and what a secret would give."""
    (_, _, cluster), *_ = jobs(manifests)
    head = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]
    texts = _mounted_files(manifests).values()
    others = {name: "given" for text in texts for name in re.findall(r"\$\{(\w+)\}", text)}
    return mock.patch.dict(os.environ, others | variables(head))


@a_rule
def mounted_runs_load(manifests: Manifests) -> Iterator[str]:
    for name, _, _ in jobs(manifests):
        try:
            run_of(manifests)
        except Exception as error:
            yield f"{name}: {error}"


@a_rule
def mounted_sweeps_load(manifests: Manifests) -> Iterator[str]:
    text = _mounted_files(manifests).get("/etc/raydnn/sweep.yaml")
    for name, spec, cluster in jobs(manifests):
        if not spec["entrypoint"].startswith("raydnn tune"):
            continue
        try:
            sweep = sweep_of(manifests)
        except Exception as error:
            yield f"{name}: {error}"
            continue
        if yaml.safe_load(text or "")["run"] not in _mounted_files(manifests):
            yield f"{name}: the base run is not mounted"
        (group,) = cluster["workerGroupSpecs"]
        cpus = group["maxReplicas"] * int(group["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"])
        trials = sweep.settings.trials
        reading = 1 if reads_by_ray(sweep.base) else 0
        if cpus < trials.cpus * (trials.workers or 1) * (trials.max_concurrent or 1) + reading:
            yield f"{name}: {cpus} CPUs are too few for {trials.max_concurrent} trials"


@a_rule
def paths_lie_on_storage_that_all_pods_have(manifests: Manifests) -> Iterator[str]:
    for name, _, cluster in jobs(manifests):
        for group in ray_groups(cluster):
            spec = group["template"]["spec"]
            claims = {each["name"] for each in spec.get("volumes", []) if "persistentVolumeClaim" in each}
            mounts = spec["containers"][0].get("volumeMounts", [])
            folders = [each["mountPath"] for each in mounts if each["name"] in claims and not each.get("readOnly")]
            for path in _paths(_mounted_files(manifests)):
                if "://" not in path and not any(path.startswith(f"{folder}/") for folder in folders):
                    yield f"{name}: {group.get('groupName', 'head')} has no {path}"


def _paths(files: dict[str, str]) -> Iterator[str]:
    sweep = yaml.safe_load(files.get("/etc/raydnn/sweep.yaml", "{}"))
    yield from [sweep["storage"]] if "storage" in sweep else []
    run = yaml.safe_load(files.get("/etc/raydnn/run.yaml", "{}")) or {}
    yield run.get("run", {}).get("model_dir", "nothing")
    for key in ("train", "eval", "predict"):
        source = run.get("data", {}).get(key)
        path = source.get("path") if isinstance(source, dict) else source
        yield from [path] if isinstance(path, str) else path or []


@a_rule
def workers_find_their_cpus_and_gpus(manifests: Manifests) -> Iterator[str]:
    for name, spec, cluster in jobs(manifests):
        if not spec["entrypoint"].startswith("raydnn train"):
            continue
        settings = run_of(manifests).run_config()
        wanted = settings.resources_per_worker or {}
        cpus, gpus = wanted.get("CPU", 1), wanted.get("GPU", 1 if settings.use_gpu else 0)
        (group,) = cluster["workerGroupSpecs"]
        resources = group["template"]["spec"]["containers"][0]["resources"]
        has_cpus, has_gpus = int(resources["requests"]["cpu"]), resources["limits"].get("nvidia.com/gpu", 0)
        places = min(has_cpus // cpus, has_gpus // gpus if gpus else has_cpus)
        least, most = settings.worker_range or (0, 0)
        # One more is of a reader, or of evaluation.
        if not least or group["replicas"] * places < most or group["replicas"] * has_cpus < most * cpus + 1:
            yield f"{name}: {most} workers of {cpus:g} CPUs, {gpus} GPUs; {group['replicas']} pods with {has_cpus} CPUs"


@a_rule
def a_new_cluster_goes_on_with_the_run(manifests: Manifests) -> Iterator[str]:
    for name, spec, _ in jobs(manifests):
        if spec["backoffLimit"] < 1:
            yield f"{name} is not tried again"
        if run_of(manifests).run_config().max_failures < 1:
            yield f"{name} does not replace a lost worker"
