"""Hooks that write down what they saw; importable by worker processes."""

import json
import os
import signal
import time
from pathlib import Path

import torch.distributed as dist

import raydnn


class FileLossRecorder(raydnn.train.SessionRunHook):
    """Writes the loss of every step into FOLDER/losses-PID.json when training ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self):
        self._losses = []

    def before_run(self, run_context):
        return raydnn.train.SessionRunArgs("loss")

    def after_run(self, run_context, run_values):
        self._losses.append(float(run_values.results))

    def end(self, session):
        (self._folder / f"losses-{os.getpid()}.json").write_text(json.dumps(self._losses))


def recorded_losses(folder: Path) -> list[list[float]]:
    """What the recorders of all processes wrote."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("losses-*.json"))]


class KillOnce(raydnn.train.SessionRunHook):
    """Kills the process at a step, the first time that any process gets there."""

    def __init__(self, marker: Path, step: int) -> None:
        self._marker = marker
        self._step = step

    def before_run(self, run_context):
        if run_context.session.global_step == self._step:
            try:
                self._marker.touch(exist_ok=False)
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)


class HangOnce(raydnn.train.SessionRunHook):
    """Makes worker 1 hang at a step, the first time that it gets there."""

    def __init__(self, marker: Path, step: int) -> None:
        self._marker = marker
        self._step = step

    def before_run(self, run_context):
        if dist.get_rank() == 1 and run_context.session.global_step == self._step and not self._marker.exists():
            self._marker.touch()
            time.sleep(3600)
