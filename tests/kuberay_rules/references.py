"""Whether all names lead somewhere: images, accounts, volumes, secrets, ports and addresses."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from kuberay_rules.base import (
    PROJECT,
    ROOT,
    Manifests,
    a_rule,
    expanded,
    jobs,
    name_of,
    named,
    of_kind,
    pods,
    variables,
)
from raydnn.k8s.kustomization import Manifest, containers, image_name

README = (ROOT / "k8s" / "README.md").read_text()
PINS = dict(re.findall("(?m)^([^=#\n]+)==(.+)$", (ROOT / "constraints.txt").read_text()))


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
        texts = [expanded(each, variables(container)) for each in container["args"]]
        (allowed,) = (each.partition("=")[2].split(",") for each in texts if each.startswith("--allowed-hosts="))
        host = name.partition("/")[0]
        wanted = {f"{service}:{port}" for service, port in _addresses(manifests) if service == host}
        if not wanted or not wanted <= set(allowed):
            yield f"{name} refuses {wanted}"
