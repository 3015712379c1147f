"""The entrypoint of a RayJob by `ray job submit` with a token; data and model lie on an object store."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ray_head import RayHead, has_job_api, ray_head
from worker_processes import WorkerProcesses

import raydnn
from raydnn import config, storage
from raydnn.config import Run

from .conftest import DATA, newest_step

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not has_job_api(), reason='Ray\'s job API needs pip install "ray[default]"'),
]

EPOCHS = 60
STEPS = 20 * EPOCHS
EVERY = 47


def job_file(folder: Path, name: str, epochs: int | None, every: int) -> str:
    """Write a run of two workers.

    Args:
        folder: for the file.
        name: of the run.
        epochs: of the training; None is without end.
        every: steps between checkpoints.
    """
    path = folder / f"{name}.yaml"
    path.write_text(
        f"""
data: {{train: "{DATA}/train.parquet", label: clicked, batch_size: 10, epochs: {epochs or "null"}, shuffle: true}}
features:
  age: {{normalize: {{mean: 49, std: 18}}}}
  city: {{hash: 32, embed: 4}}
model: {{hidden_units: [4], dropout: 0.1}}
run:
  model_dir: s3://bucket/jobs/{name}
  tf_random_seed: 7
  num_workers: 2
  save_checkpoints_steps: {every}
  save_summary_steps: 500
"""
    )
    return str(path)


@pytest.fixture(scope="module")
def folder(run_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For runs and logs; the data of the runs are on the object store."""
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def killed_at(folder: Path, s3: dict[str, str]) -> int:
    """The newest checkpoint of a job that was killed together with its head and all its workers."""
    with ray_head(folder / "first.log", 2, s3) as head:
        refused = head.job("list", check=False, RAY_AUTH_MODE="disabled", RAY_AUTH_TOKEN="")
        assert "Missing authentication token" in refused.stderr + refused.stdout
        head.submit("clicks", f"raydnn train {job_file(folder, 'clicks', EPOCHS, EVERY)}")
        head.wait_for("clicks", lambda: newest_step("s3://bucket/jobs/clicks") > 2 * EVERY, "the third checkpoint")
    return newest_step("s3://bucket/jobs/clicks")


@pytest.fixture(scope="module")
def head(folder: Path, s3: dict[str, str], killed_at: int) -> Iterator[RayHead]:
    """The head of the cluster that comes after, with room for one worker on each of two nodes."""
    with ray_head(folder / "second.log", 1, s3) as second:
        second.add_node(num_cpus=1)
        yield second


@pytest.fixture(scope="module")
def two_processes(folder: Path) -> Iterator[WorkerProcesses]:
    """Two workers without a cluster."""
    workers = WorkerProcesses(2, folder)
    yield workers
    workers.close()


def test_the_same_submission_on_a_new_cluster_goes_on_and_ends_with_the_bits_of_an_undisturbed_run(
    head: RayHead, folder: Path, killed_at: int, two_processes: WorkerProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2 * EVERY < killed_at < STEPS
    path = folder / "clicks.yaml"
    result = head.submit("clicks", f"raydnn train {path}", wait=True)
    log = result.stdout + result.stderr
    assert "Job 'clicks' succeeded" in log
    assert f"cut short at step {killed_at}: epoch {killed_at // 20 + 1}, batch {killed_at % 20 + 1}." in log
    assert log.count(f"Saved checkpoint for step {STEPS} ") == 1

    two_processes.stand_in_for_ray(monkeypatch)
    alone: Run = config.load(str(path), {"run.model_dir": str(folder / "alone"), "run.input_engine": "thread"})
    expected = alone.estimator().train(alone.train_input())
    found = raydnn.train.load_checkpoint("s3://bucket/jobs/clicks")
    assert found.global_step == STEPS
    for name in expected.get_variable_names():
        np.testing.assert_array_equal(found.get_tensor(name), expected.get_variable_value(name), err_msg=name)
    assert not [name for name in storage.list_folder("s3://bucket/jobs/clicks") if name.startswith(("train", "ray"))]


def test_a_checkpoint_is_saved_when_a_node_drains_and_when_the_head_goes(head: RayHead, folder: Path) -> None:
    model_dir = "s3://bucket/jobs/endless"
    head.submit("endless", f"raydnn train {job_file(folder, 'endless', None, 10**9)}")
    head.wait_for("endless", lambda: "loss = " in head.log_of("endless"), "the first step")
    assert newest_step(model_dir) == 0

    other = head.nodes[0]
    head.run("-c", f"from raydnn.distributed.leaving import drain; drain({other!r}, 60)")
    head.wait_for("endless", lambda: newest_step(model_dir) > 0, "a checkpoint")
    assert f"A checkpoint is saved now: nodes are about to be taken away: {other}" in head.log_of("endless")
    saved = newest_step(model_dir)

    # As `ray job stop`, and what the pod of the head runs before it goes.
    head.run("-m", "raydnn.distributed.leaving", "60")
    assert head.status("endless") == "STOPPED"
    log, last = head.log_of("endless"), newest_step(model_dir)
    assert last > saved
    for text in ("training was stopped by SIGTERM", f"{last} steps took", "Run the same program again to go on"):
        assert text in log
