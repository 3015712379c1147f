"""`raydnn train`: from a file to a model, and what signals do to it."""

import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from commands import COMMAND, outcome, run, run_in_a_fork, write_run

from raydnn.train import CheckpointReader, latest_checkpoint, load_checkpoint

ENDLESS = ["--set", "data.epochs=null", "--set", "data.eval=null", "--set", "exporters=[]"]


def stopped(folder: Path, number: signal.Signals, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Train, and send a signal as soon as there is a checkpoint."""
    with subprocess.Popen(
        [*COMMAND, "train", "run.yaml", "--json", *arguments],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        while latest_checkpoint(str(folder / "model")) is None and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def position(folder: Path) -> tuple[int, int, int]:
    """Step, epoch and batch of the newest checkpoint."""
    checkpoint = load_checkpoint(str(folder / "model"))
    assert isinstance(checkpoint, CheckpointReader)
    found = checkpoint.manifest.input_position
    assert found is not None
    return checkpoint.global_step, found["epoch"], found["batch"]


def test_a_run_is_trained_evaluated_and_exported(tmp_path: Path) -> None:
    write_run(tmp_path)
    result = run("train", "run.yaml", "--json", "--set", "model.dropout=0.1", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    found = outcome(result)
    assert (found["command"], found["status"], found["global_step"]) == ("train", "done", 40)
    assert found["metrics"]["global_step"] == 40
    assert found["checkpoints"][-1] == "model/model.ckpt-40"
    (export,) = found["exports"]
    assert (tmp_path / export).is_dir()


def test_people_see_the_metrics_and_where_everything_is(tmp_path: Path) -> None:
    write_run(tmp_path)
    result = run_in_a_fork("train", "run.yaml", folder=tmp_path)
    assert result.returncode == 0
    for text in ("accuracy", "checkpoint   model/model.ckpt-40", "export       model/export/newest/", "--logdir model"):
        assert text in result.stdout


def test_after_ctrl_c_the_same_command_goes_on_with_the_next_row(tmp_path: Path) -> None:
    write_run(tmp_path)
    arguments = [*ENDLESS, "--set", "eval.max_steps=2000"]
    result = stopped(tmp_path, signal.SIGINT, *arguments)
    assert result.returncode == 130, result.stderr
    found = outcome(result)
    assert (found["status"], found["signal"]) == ("stopped", "SIGINT")
    assert "Run the same program again to go on" in result.stderr
    step, epoch, batch = position(tmp_path)
    assert found["global_step"] == step == 20 * epoch + batch
    assert 0 < step < 2000
    again = run_in_a_fork("train", "run.yaml", *arguments, folder=tmp_path)
    assert again.returncode == 0
    assert f"cut short at step {step}: epoch {epoch + 1}, batch {batch + 1}." in again.stderr
    assert position(tmp_path) == (2000, 99, 20)


@pytest.mark.slow
def test_sigterm_stops_ray_workers_with_a_checkpoint(tmp_path: Path) -> None:
    write_run(tmp_path)
    result = stopped(tmp_path, signal.SIGTERM, *ENDLESS, "--set", "run.num_workers=2")
    assert result.returncode == 143, result.stderr
    found = outcome(result)
    step, epoch, batch = position(tmp_path)
    assert (found["status"], found["signal"], found["global_step"]) == ("stopped", "SIGTERM", step)
    assert step == 20 * epoch + batch > 0


def test_columns_that_do_not_fit_are_told(tmp_path: Path) -> None:
    write_run(tmp_path)
    pq.write_table(pq.read_table(tmp_path / "train.parquet").drop_columns(["city"]), tmp_path / "train.parquet")
    result = run_in_a_fork("train", "run.yaml", folder=tmp_path)
    assert result.returncode == 1
    assert "city" in result.stderr
    assert "Traceback" not in result.stderr
