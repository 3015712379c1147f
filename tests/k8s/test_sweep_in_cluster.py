"""What a cluster changes in a sweep, and the pods of its trials."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import RUN
from kuberay_renderings import FOLDER, by_name, kustomized
from kuberay_rules import faults
from kuberay_schemas import cel_faults, needs_crds, schema_faults

from raydnn import tune
from raydnn.errors import ConfigError
from raydnn.k8s.job import Job
from raydnn.k8s.kustomization import Manifest
from raydnn.k8s.manifests import Place, render, to_yaml
from raydnn.k8s.sweep_in_cluster import AT_ONCE, is_sweep, job_of_sweep

SWEEP: dict[str, Any] = {
    "space": {"model.dropout": {"uniform": [0.0, 0.4]}},
    "budget": {"trials": 20, "steps": 100},
}


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(RUN)
    return path


def job(run_file: Path, **keys: Any) -> Job:
    return job_of_sweep(tune.loads(yaml.safe_dump(SWEEP | {"run": str(run_file)} | keys)), "search")


def test_sweeps_are_told_from_runs(run_file: Path) -> None:
    sweep = run_file.with_name("sweep.yaml")
    sweep.write_text("run: run.yaml")
    assert [is_sweep(str(path)) for path in (run_file, sweep)] == [False, True]
    with pytest.raises(FileNotFoundError, match=r"there is no file missing\.yaml"):
        is_sweep("missing.yaml")


def test_the_sweep_and_its_run_are_mounted(run_file: Path) -> None:
    found = job(run_file, set={"data.epochs": 5}, storage="sweeps", trials={"cpus": 2})
    sweep, run = (yaml.safe_load(found.files[name]) for name in ("sweep.yaml", "run.yaml"))
    assert (sweep["run"], sweep["name"], sweep["storage"]) == ("/etc/raydnn/run.yaml", "search", "/mnt/raydnn/sweeps")
    assert sweep["space"] == SWEEP["space"]
    assert "set" not in sweep
    assert (run["data"]["epochs"], run["data"]["train"]) == (5, "/mnt/raydnn/train.parquet")
    assert (found.name, found.kind, found.is_stored) == ("search", "tune", True)


def test_mlflow_is_that_of_the_cluster_where_the_sweep_names_no_other(run_file: Path) -> None:
    for given, expected in (
        ("mlflow", {"tracking_uri": "${MLFLOW_TRACKING_URI}"}),
        ({"experiment": "mine"}, {"experiment": "mine", "tracking_uri": "${MLFLOW_TRACKING_URI}"}),
        ({"tracking_uri": "http://other:5000"}, {"tracking_uri": "http://other:5000"}),
    ):
        found = job(run_file, tracking=given)
        assert yaml.safe_load(found.files["sweep.yaml"])["tracking"] == expected
        assert found.is_tracked_in_the_cluster == ("${MLFLOW_TRACKING_URI}" in expected.values())


def test_paths_of_one_machine_are_refused(run_file: Path) -> None:
    with pytest.raises(ConfigError, match="storage: the pods of a cluster do not have /home/me; give a URL"):
        job(run_file, storage="/home/me")


@pytest.mark.parametrize(
    ("trials", "cpus", "pods"),
    [
        ({}, 1, AT_ONCE),
        ({"max_concurrent": 7}, 1, 7),
        ({"max_concurrent": 2, "cpus": 2.5}, 3, 2),
        # Three evaluate beside the workers, two of them in one pod.
        ({"max_concurrent": 3, "workers": 4, "cpus": 2}, 2, 14),
    ],
)
def test_pods_hold_a_process_each(run_file: Path, trials: dict[str, Any], cpus: int, pods: int) -> None:
    size = job(run_file, trials=trials).size
    assert (size.worker.cpus, size.least, size.most) == (cpus, pods, pods)


def test_few_trials_and_ray_data_are_counted(run_file: Path) -> None:
    assert job(run_file, budget={"trials": 1, "steps": 9}).size.most == 2
    assert job(run_file, set={"data.engine": "ray"}).size.most == AT_ONCE + 1


def test_pods_are_as_large_as_the_largest_model_of_the_space_needs(run_file: Path) -> None:
    space = {"features.city.hash": {"choice": [32, 50_000_000]}}
    small, large = job(run_file).size, job(run_file, space=space).size
    assert large.worker.memory > small.worker.memory + (1 << 30)
    assert large.head.memory > small.head.memory


def rendered(run_file: Path, place: Place) -> list[Manifest]:
    return list(yaml.safe_load_all(to_yaml(render(job(run_file, trials={"max_concurrent": 3}), place))))


@pytest.mark.parametrize("components", [[], ["autoscale", "kueue", "spot"]])
def test_its_manifests_break_no_rule(run_file: Path, components: list[str]) -> None:
    assert faults(rendered(run_file, Place(overlay="prod", components=components))) == []


@needs_crds
def test_its_job_fits_the_schema_of_kuberay(run_file: Path) -> None:
    found = by_name(rendered(run_file, Place(overlay="dev", components=["autoscale"])))["RayJob", "search"]
    assert [*schema_faults(found), *cel_faults(found)] == []
    (group,) = found["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert (group["minReplicas"], group["maxReplicas"]) == (1, 3)


def test_the_folder_tune_has_pods_of_the_sizes_that_are_found() -> None:
    text = (FOLDER / "tune" / "sweep.yaml").read_text()
    sweep = tune.loads(text, {"run": str(FOLDER.parent / "examples" / "flights.yaml")})
    found = by_name(render(job_of_sweep(sweep, "flights-sweep"), Place()))["RayJob", "flights-sweep"]
    shipped = by_name(kustomized(FOLDER / "tune"))["RayJob", "flights-sweep"]
    for each in (found, shipped):
        (volume, _) = each["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["volumes"]
        volume["configMap"]["name"] = "either"
    assert found == shipped
