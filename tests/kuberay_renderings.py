"""The manifests that are checked: what kubectl makes of the folder k8s/, and what the command makes of runs."""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from raydnn import config
from raydnn.k8s import manifests
from raydnn.k8s.job import job_name
from raydnn.k8s.kustomization import Manifest
from raydnn.k8s.manifests import Place
from raydnn.k8s.run_in_cluster import job_of_run

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "k8s"
JOBS = ("train", "tune")
COMPONENTS = sorted(each.name for each in (FOLDER / "components").iterdir())
OVERLAYS = sorted(each.name for each in (FOLDER / "overlays").iterdir())
FOLDERS = [*JOBS, *(f"overlays/{overlay}/{job}" for overlay in OVERLAYS for job in JOBS)]

FLIGHTS = ROOT / "examples" / "flights.yaml"
IN_A_BUCKET: dict[str, Any] = {
    "data.train": "s3://bucket/train.parquet",
    "data.eval": ["s3://bucket/a.parquet", "gs://bucket/b.parquet"],
    "run.model_dir": "s3://bucket/model",
}
RUNS: dict[str, tuple[dict[str, Any], Place]] = {
    "plain": ({}, Place()),
    "dev": ({"run.num_workers": None}, Place(overlay="dev")),
    "prod with a GPU": ({"run.use_gpu": True}, Place(overlay="prod", image="registry:5000/team/raydnn:2")),
    "in a bucket, untracked": (IN_A_BUCKET | {"run.tracking": None}, Place(overlay="prod", namespace="team")),
    "tracked elsewhere": ({"run.tracking": {"tracking_uri": "http://mlflow.example.com"}}, Place(overlay="prod")),
    "elastic on spot nodes": (
        {"run.num_workers": [2, 6], "run.max_failures": 5},
        Place(overlay="prod", components=["kueue", "spot"]),
    ),
    "with all": ({"run.resources_per_worker": {"CPU": 3, "GPU": 2}}, Place(components=COMPONENTS)),
}
"""Name -> what overrides keys of the example, and where it is put."""


def rendered(name: str) -> list[Manifest]:
    """The manifests of one of RUNS, through YAML as kubectl gets them."""
    overrides, place = RUNS[name]
    run = config.load(FLIGHTS, overrides)
    text = manifests.to_yaml(manifests.render(job_of_run(run, job_name(str(FLIGHTS), None)), place))
    return list(yaml.safe_load_all(text))


@cache
def _kubectl() -> str:
    """The path of a kubectl that knows components."""
    path = shutil.which("kubectl")
    if path is None:
        pytest.skip("there is no kubectl")
    told = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True)
    version = json.loads(told.stdout).get("kustomizeVersion", "none")
    if not version.startswith("v5"):
        pytest.skip(f"kubectl has kustomize {version}, which does not know all that is used")
    return path


def kustomized(folder: Path) -> list[Manifest]:
    """What `kubectl kustomize` makes of a folder."""
    result = subprocess.run([_kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return list(yaml.load_all(result.stdout, Loader=yaml.CSafeLoader))


def with_components(folder: Path, job: str, *components: str, **keys: Any) -> list[Manifest]:
    """What kubectl makes of a job with components, as an overlay in another folder would name them."""

    def way_to(name: str) -> str:
        return os.path.relpath(FOLDER / name, folder)

    declared = {"resources": [way_to(job)], "components": [way_to(f"components/{each}") for each in components], **keys}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(declared))
    return kustomized(folder)


def by_name(found: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    return {(each["kind"], each["metadata"]["name"]): each for each in found}
