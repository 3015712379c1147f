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
from raydnn.distributed.leaving import drain

from .conftest import DATA, newest_step

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not has_job_api(), reason='Ray\'s job API needs pip install "ray[default]"'),
]

MODEL_DIR = "s3://bucket/jobs/clicks"
EPOCHS = 240
STEPS = 20 * EPOCHS
EVERY = 389


def job_file(folder: Path) -> Path:
    """Write a run of two workers, whose weights depend on the order of the rows and on dropout."""
    path = folder / "clicks.yaml"
    path.write_text(
        f"""
data: {{train: "{DATA}/train.parquet", label: clicked, batch_size: 10, epochs: {EPOCHS}, shuffle: true}}
features:
  age: {{normalize: {{mean: 49, std: 18}}}}
  city: {{hash: 32, embed: 4}}
model: {{hidden_units: [4], dropout: 0.1}}
run:
  model_dir: {MODEL_DIR}
  tf_random_seed: 7
  num_workers: 2
  save_checkpoints_steps: {EVERY}
  save_summary_steps: 500
"""
    )
    return path


@pytest.fixture(scope="module")
def folder(run_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For runs and logs; the data of the runs are on the object store."""
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def killed_at(folder: Path, s3: dict[str, str]) -> int:
    """The newest checkpoint of a job that was killed together with its head, the other node and all its workers.

    Before that the other node, where one of its workers is, was drained.
    """
    with ray_head(folder / "first.log", 1, s3) as head:
        assert "Missing authentication token" in head.refusal()
        other = head.add_node(num_cpus=1)
        head.begin("clicks", f"raydnn train {job_file(folder)}")
        head.wait_for("clicks", lambda: newest_step(MODEL_DIR) >= EVERY, "a checkpoint")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in head.client_env.items():
                patch.setenv(name, value)
            drain(other, 60)
        reason = f"A checkpoint is saved now: nodes are about to be taken away: {other}"
        head.wait_for("clicks", lambda: reason in head.log_of("clicks"), "the word that a checkpoint is saved")
        head.wait_for("clicks", lambda: newest_step(MODEL_DIR) % EVERY, "a checkpoint beside the usual times")
        step = newest_step(MODEL_DIR)
    return max(step, newest_step(MODEL_DIR))


@pytest.fixture(scope="module")
def head(folder: Path, s3: dict[str, str], killed_at: int) -> Iterator[RayHead]:
    """The head of the cluster that comes after."""
    with ray_head(folder / "second.log", 2, s3) as second:
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
    assert EVERY < killed_at < STEPS
    path = folder / "clicks.yaml"
    log = head.submit("clicks", f"raydnn train {path}")
    assert "Job 'clicks' succeeded" in log
    assert f"cut short at step {killed_at}: epoch {killed_at // 20 + 1}, batch {killed_at % 20 + 1}." in log
    assert log.count(f"Saved checkpoint for step {STEPS} ") == 1

    two_processes.stand_in_for_ray(monkeypatch)
    alone: Run = config.load(str(path), {"run.model_dir": str(folder / "alone"), "run.input_engine": "thread"})
    expected = alone.estimator().train(alone.train_input())
    found = raydnn.train.load_checkpoint(MODEL_DIR)
    assert found.global_step == STEPS
    for name in expected.get_variable_names():
        np.testing.assert_array_equal(found.get_tensor(name), expected.get_variable_value(name), err_msg=name)
    assert not [name for name in storage.list_folder(MODEL_DIR) if name.startswith(("train", "ray"))]


def test_before_the_head_goes_its_jobs_are_told_by_sigterm_and_may_end(head: RayHead, folder: Path) -> None:
    program = folder / "goodbye.py"
    program.write_text(
        "import signal, time\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        "print('waiting', flush=True)\n"
        "signal.sigwait([signal.SIGTERM])\n"
        # Longer than Ray waits unless it is told otherwise.
        "time.sleep(4)\n"
        "print('saved', flush=True)\n"
    )
    head.begin("saves", f"python {program}")
    head.wait_for("saves", lambda: "waiting" in head.log_of("saves"), "its beginning")
    head.run("-m", "raydnn.distributed.leaving", "60")
    assert head.status("saves") == "STOPPED"
    assert "saved" in head.log_of("saves")
