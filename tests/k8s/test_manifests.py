"""What the manifests of a run have of the run."""

import logging
from typing import Any

import pytest
import yaml
from kuberay_renderings import FLIGHTS, FOLDER, by_name, kustomized, rendered

from raydnn import config
from raydnn.errors import ConfigError
from raydnn.k8s.kustomization import Manifest, containers
from raydnn.k8s.manifests import Place, names_of, render, to_yaml
from raydnn.k8s.run_in_cluster import job_of_run


def made(place: Place | None = None, **overrides: Any) -> dict[tuple[str, str], Manifest]:
    keys = {key.replace("__", "."): value for key, value in overrides.items()}
    return by_name(render(job_of_run(config.load(FLIGHTS, keys), "flights"), place or Place()))


def workers_of(manifests: dict[tuple[str, str], Manifest]) -> Manifest:
    (group,) = manifests["RayJob", "flights"]["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    return group


def test_the_folder_train_is_what_the_example_gives() -> None:
    assert by_name(rendered("plain")) == by_name(kustomized(FOLDER / "train"))


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_an_overlay_means_the_same_for_kubectl(overlay: str) -> None:
    assert made(Place(overlay=overlay)) == by_name(kustomized(FOLDER / "overlays" / overlay / "train"))


def test_workers_are_as_many_and_as_large_as_the_run_says() -> None:
    found = made(run__num_workers=[2, 5], run__max_failures=1, run__resources_per_worker={"CPU": 3})
    group = workers_of(found)
    assert [group[key] for key in ("minReplicas", "replicas", "maxReplicas")] == [2, 5, 5]
    resources = group["template"]["spec"]["containers"][0]["resources"]
    assert resources["requests"]["cpu"] == "4"
    assert resources["requests"]["memory"] == resources["limits"]["memory"]
    large = workers_of(made(features__tailnum={"hash": 50_000_000, "embed": 16}))
    assert large["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "22016Mi"


def test_gpus_bring_their_component_along() -> None:
    group = workers_of(made(run__resources_per_worker={"CPU": 1, "GPU": 2}))
    (container,) = group["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert container["image"].endswith("-gpu")
    assert "nvidia.com/gpu" in {each["key"] for each in group["template"]["spec"]["tolerations"]}


def test_a_run_of_urls_needs_no_claim() -> None:
    paths = {"data__train": "s3://b/a.parquet", "data__eval": "s3://b/e.parquet", "run__model_dir": "s3://b/model"}
    found = made(**paths)
    assert ("PersistentVolumeClaim", "raydnn-storage") not in found
    assert ("PersistentVolumeClaim", "mlflow") in found
    assert "/mnt/raydnn" not in to_yaml([*found.values()])
    assert ("PersistentVolumeClaim", "raydnn-storage") in made(**paths | {"run__model_dir": "model"})


def test_an_untracked_run_has_no_mlflow() -> None:
    text = to_yaml([*made(run__tracking=None).values()])
    assert "mlflow" not in text.lower()


def test_image_and_namespace_are_everywhere() -> None:
    place = Place(overlay="prod", components=["redis"], image="host:5000/raydnn:7", namespace="team")
    found = made(place)
    assert {each["metadata"]["namespace"] for each in found.values()} == {"team"}
    images = {container["image"] for each in found.values() for container in containers(each)}
    assert {image for image in images if "redis" not in image} == {"host:5000/raydnn:7"}


def test_the_run_is_mounted_as_yaml_that_people_can_read() -> None:
    text = to_yaml([*made().values()])
    assert "  run.yaml: |\n    data:\n      train: /mnt/raydnn/runs/flights/data/train.parquet\n" in text
    assert "&id" not in text
    assert by_name([*yaml.safe_load_all(text)]) == made()


def test_variables_are_asked_for_as_a_secret(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("BUCKET", "s3://mine")
    with caplog.at_level(logging.WARNING):
        made(data__train="${BUCKET}/a.parquet")
    assert "BUCKET; put them into a secret: kubectl create secret generic raydnn-environment" in caplog.text
    assert "mine" not in caplog.text


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (Place(overlay="test"), "there is no 'test' in overlays; there are dev, prod"),
        (Place(components=["cpu"]), "there is no 'cpu' in components; there are autoscale, dev, gpu, kueue, prod"),
        (Place(components=["../base"]), "there is no '../base' in components"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(place: Place, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(place)
    assert names_of("overlays") == ["dev", "prod"]
