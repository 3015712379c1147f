"""Servers that all tests of this folder share, and one training against them that is killed and goes on."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before anything imports mlflow, which reads it once.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import pytest
import servers
from commands import COMMAND, outcome, run, write_run

from raydnn import storage
from raydnn.train import latest_checkpoint

DATA, MODEL_DIR = "s3://bucket/data", "s3://bucket/runs/clicks"
STEPS = 500
EVERY = 47  # never the end of an epoch


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of the environment that lead to an object store with the bucket `bucket`; they are set."""
    with servers.object_store(tmp_path_factory.mktemp("s3")) as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables


@pytest.fixture(scope="session")
def mlflow_uri(s3: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of MLflow's server, which keeps runs in PostgreSQL and artifacts in the object store."""
    if servers.postgres_programs() is None:
        pytest.skip("PostgreSQL is not installed")
    with (
        servers.postgres() as database,
        servers.mlflow_server(database, s3, tmp_path_factory.mktemp("mlflow")) as address,
    ):
        yield address


@pytest.fixture(scope="session")
def run_file(s3: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose data and model_dir lie on the object store; its data lie beside it too."""
    folder = tmp_path_factory.mktemp("clicks")
    path = write_run(folder)
    text = path.read_text()
    for name in ("train", "eval", "new"):
        storage.write_bytes(f"{DATA}/{name}.parquet", (folder / f"{name}.parquet").read_bytes())
        text = text.replace(f" {name}.parquet", f" {DATA}/{name}.parquet")
    text = text.replace("epochs: 2", f"epochs: {STEPS // 20}")
    settings = f"tf_random_seed: 7, save_checkpoints_steps: {EVERY}"
    path.write_text(text.replace("model_dir: model, tf_random_seed: 7", f"model_dir: {MODEL_DIR}, {settings}"))
    return path


@dataclass(frozen=True)
class KilledRun:
    """A training that was killed, and made again with the same command until its end.

    Attributes:
        run_file: that declares it.
        killed_at: step of the last checkpoint when it was killed.
        log: what the second process said.
        outcome: of the second process.
    """

    run_file: Path
    killed_at: int
    log: str
    outcome: dict[str, Any]


@pytest.fixture(scope="session")
def killed_run(run_file: Path, mlflow_uri: str) -> KilledRun:
    """One process, which MLflow's server tracks."""
    command = ["train", str(run_file), "--json", "--set", f"run.tracking.tracking_uri={mlflow_uri}"]
    with subprocess.Popen(
        [*COMMAND, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        servers.wait_until(
            lambda: newest_step(MODEL_DIR) >= 3 * EVERY or process.poll() is not None, "the third checkpoint"
        )
        process.send_signal(signal.SIGKILL)
        log = process.communicate()[1]
    assert process.returncode == -signal.SIGKILL, log
    killed_at = newest_step(MODEL_DIR)
    result = run(*command)
    assert result.returncode == 0, result.stderr
    return KilledRun(run_file, killed_at, result.stderr, outcome(result))


def newest_step(model_dir: str) -> int:
    """Of the newest checkpoint; 0 without one."""
    newest = latest_checkpoint(model_dir)
    return 0 if newest is None else int(newest.rpartition("-")[2])
