"""How long a killed worker holds up training, beside a bare loop of Ray Train.

    python benchmarks/recovery.py

Two workers train; at a step one of them is killed (SIGKILL). Counted are the seconds from there to the first step that
is made afterwards, for a classifier of raydnn and for a loop that only sleeps.
"""

import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.train
from ray.train import FailureConfig, LoggingConfig, ScalingConfig
from ray.train.torch import TorchTrainer

import raydnn
from raydnn.train import SessionRunHook

KILLED_AT, STEPS, STEP_SECS = 20, 40, 0.02


class KillAndNote(SessionRunHook):
    """Kills the worker that first comes to a step, and notes when the first step after that was made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def after_run(self, run_context: Any, run_values: Any) -> None:
        time.sleep(STEP_SECS)
        step_made(self._folder, run_context.session.global_step)


def step_made(folder: Path, step: int) -> None:
    """Note a step; the first worker that comes to `KILLED_AT` dies of it."""
    killed, resumed = folder / "killed", folder / "resumed"
    if killed.exists() and os.getpid() != int(killed.read_text().split()[1]) and is_new(folder):
        if not resumed.exists():
            resumed.write_text(str(time.time()))
    elif step == KILLED_AT and not killed.exists():
        killed.write_text(f"{time.time()} {os.getpid()}")
        os.kill(os.getpid(), signal.SIGKILL)


def is_new(folder: Path) -> bool:
    """Whether this process was started after the kill."""
    started = Path(f"/proc/{os.getpid()}").stat().st_ctime
    return started > float((folder / "killed").read_text().split()[0])


def seconds(folder: Path) -> float:
    """From the kill to the first step after it."""
    return float((folder / "resumed").read_text()) - float((folder / "killed").read_text().split()[0])


def of_raydnn(folder: Path) -> float:
    """A small classifier with checkpoints every ten steps."""
    random = np.random.default_rng(0)
    x = random.normal(size=(STEPS * 32, 4)).astype(np.float32)
    config = raydnn.RunConfig(
        str(folder / "model"), tf_random_seed=1, num_workers=2, max_failures=1, save_checkpoints_steps=10
    )
    columns = [raydnn.feature_column.numeric_column("x", 4)]
    raydnn.DNNClassifier([8], columns, config=config).train(
        lambda: raydnn.inputs.from_numpy({"x": x}, (x.sum(1) > 0).astype(np.int64), batch_size=32),
        hooks=[KillAndNote(folder)],
    )
    return seconds(folder)


def of_ray_train(folder: Path) -> float:
    """The least that Ray Train needs."""

    def loop() -> None:
        for step in range(1, STEPS + 1):
            time.sleep(STEP_SECS)
            step_made(folder, step)

    TorchTrainer(
        loop,
        scaling_config=ScalingConfig(num_workers=2),
        run_config=ray.train.RunConfig(  # type: ignore[call-arg]
            storage_path=str(folder / "ray"),
            failure_config=FailureConfig(max_failures=1),
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    ).fit()
    return seconds(folder)


def main() -> None:
    """Measure both."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    for name, measure in {"bare Ray Train": of_ray_train, "raydnn": of_raydnn}.items():
        with tempfile.TemporaryDirectory() as folder:
            print(f"{name}: {measure(Path(folder)):.1f} s from SIGKILL to the next step")


if __name__ == "__main__":
    main()
