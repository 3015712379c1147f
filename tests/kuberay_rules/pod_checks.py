"""What every pod must be like."""

import re
from collections.abc import Iterator
from importlib.util import find_spec

from kuberay_rules.base import Manifests, a_rule, jobs, name_of, pods, ray_groups, requests, variables
from raydnn.k8s.kustomization import containers, image_name


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
            if "memory" not in limits or requests(container).get("memory") != limits["memory"]:
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
            if "nvidia.com/gpu" in set(requests(container)) - set(container["resources"]["limits"]):
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
