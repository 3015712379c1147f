"""What a job is called, and what it reads."""

import pytest

from raydnn.errors import ConfigError
from raydnn.k8s.job import Job, job_name
from raydnn.k8s.sizing import ClusterSize, PodSize


@pytest.mark.parametrize(
    ("file", "name", "job"),
    [
        ("runs/flights.yaml", None, "flights"),
        ("s3://bucket/Click Model_2.yml", None, "click-model-2"),
        ("2024/run.v1.yaml", None, "run-v1"),
        ("run.yaml", "clicks", "clicks"),
        (f"{'a' * 47}.yaml", None, "a" * 47),
    ],
)
def test_a_job_is_named_like_its_file(file: str, name: str | None, job: str) -> None:
    assert job_name(file, name) == job


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("2024.yaml", None),
        (f"{'a' * 48}.yaml", None),
        ("run.yaml", "Clicks"),
        ("run.yaml", "clicks-"),
        ("Ж.yaml", None),
    ],
)
def test_names_that_kubernetes_does_not_take_are_refused(file: str, name: str | None) -> None:
    with pytest.raises(ConfigError, match="gives no name of a RayJob.*give one with --name"):
        job_name(file, name)


def test_variables_are_told_once_and_without_that_of_mlflow() -> None:
    texts = {"run.yaml": "a: ${A}/${B}\nb: ${MLFLOW_TRACKING_URI}\nc: $C ${}", "sweep.yaml": "a: ${A}"}
    size = ClusterSize(PodSize(1, 1), PodSize(1, 1), 1, 1)
    job = Job(name="clicks", kind="train", files=texts, size=size, is_stored=True)
    assert job.variables == ["A", "B"]
    assert job.is_tracked_in_the_cluster
