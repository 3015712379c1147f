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


class ProcessRecorder(raydnn.train.SessionRunHook):
    """Leaves FOLDER/process-PID of each process that trains."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self):
        (self._folder / f"process-{os.getpid()}").touch()


def recorded_processes(folder: Path) -> set[int]:
    """The ids of the processes of all recorders."""
    return {int(path.name.split("-")[1]) for path in folder.glob("process-*")}


def assert_all_end(processes: set[int], expected: int) -> None:
    """So many processes are gone, within seconds."""
    assert len(processes) == expected
    deadline = time.monotonic() + 20
    while processes and time.monotonic() < deadline:
        processes = {process for process in processes if Path(f"/proc/{process}").exists()}
        time.sleep(0.1)
    assert not processes


class KillOnce(raydnn.train.SessionRunHook):
    """Kills the worker of a rank before the step after a given one, the first time that it gets there."""

    def __init__(self, marker: Path, step: int, rank: int = 1) -> None:
        self._marker = marker
        self._step = step
        self._rank = rank

    def before_run(self, run_context):
        is_the_moment = (run_context.session.global_step, dist.get_rank()) == (self._step, self._rank)
        if is_the_moment and not self._marker.exists():
            self._marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class HangOnce(raydnn.train.SessionRunHook):
    """Makes worker 1 hang at a step, the first time that it gets there; the marker holds the id of its process."""

    def __init__(self, marker: Path, step: int) -> None:
        self._marker = marker
        self._step = step

    def before_run(self, run_context):
        if dist.get_rank() == 1 and run_context.session.global_step == self._step and not self._marker.exists():
            self._marker.write_text(str(os.getpid()))
            time.sleep(3600)
