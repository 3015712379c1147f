"""Whether what is mounted runs in the cluster: commands, runs, sweeps, their paths and their workers."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import typer.main
import yaml

from kuberay_rules.base import PROJECT, Manifests, a_rule, jobs, named, ray_groups, variables
from raydnn import config, tune
from raydnn.cli.main import app
from raydnn.tune.sweep import reads_by_ray


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
