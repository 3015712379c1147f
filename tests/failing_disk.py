"""A program whose model_dir is a small disk of its own, which takes nothing more in mid-training.

    unshare --mount --map-root-user python failing_disk.py FOLDER

trains each of `CASES` in processes one after the other: the disk fails in the first and is repaired for the last. It
leaves what the disk held at the end in FOLDER/NAME, the rows of each step in FOLDER/NAME.ledger, and what each process
saw in FOLDER/NAME.json; see `attempt`. FOLDER/together is what two workers make of undisturbed training, and
FOLDER/summaries what one process makes of a disk that is full for some steps without a checkpoint.
"""

import ctypes
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from killed_training import in_a_fork
from resumed_calls import two_epochs
from worker_processes import WorkerProcesses

import raydnn
from raydnn.train.checkpoint import CheckpointReader
from raydnn.train.checkpoint.state import read_state

SEED = 5
DISK_BYTES = 512 * 1024
FAILS_AT = 4
"""Step before which the disk fails; checkpoints are due at 3 and 6."""
SPARE_BYTES = 4096
"""What is left on a full disk: room for one small file."""
FULL_STEPS = (4, 40)
"""Steps before which the disk of the summaries is full, and free again."""
CLONE_NEWNS = 0x00020000


def mount_disk(path: Path) -> None:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(path)], check=True)


def remount(path: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,bind,{mode}", str(path)], check=True)


def fill(disk: Path, spare_bytes: int = SPARE_BYTES) -> None:
    with (disk / "filler").open("ab", buffering=0) as filler:
        filler.write(bytes(shutil.disk_usage(disk).free - spare_bytes))


def fill_wholly(disk: Path) -> None:
    fill(disk, 0)


def empty(disk: Path) -> None:
    (disk / "filler").unlink()


def make_read_only(disk: Path) -> None:
    remount(disk, "ro")


def make_writable(disk: Path) -> None:
    remount(disk, "rw")


def make_read_only_for_this_process(disk: Path) -> None:
    assert ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0
    make_read_only(disk)


@dataclass(frozen=True)
class Case:
    """A way in which a disk fails.

    Attributes:
        fail, repair: called with the disk.
        go_on_failing: called with the disk before the second process; None leaves that process out.
        rank: of the worker that makes the disk fail; one that fails for it alone it also repairs itself.
        num_workers: None trains in one process.
    """

    fail: Callable[[Path], None]
    repair: Callable[[Path], None]
    go_on_failing: Callable[[Path], None] | None = None
    rank: int = 0
    num_workers: int | None = None


CASES = {
    "full": Case(fill, empty, fill_wholly),
    "read_only": Case(make_read_only, make_writable, make_read_only),
    "full_for_workers": Case(fill, empty, num_workers=2),
    "read_only_for_one_worker": Case(make_read_only_for_this_process, make_writable, rank=1, num_workers=2),
}


class Strike(raydnn.train.SessionRunHook):
    """Calls an action before the step after a given one, on one worker."""

    def __init__(self, step: int, action: Callable[[Path], None], disk: Path, rank: int = 0) -> None:
        self._step, self._action, self._disk, self._rank = step, action, disk, rank

    def before_run(self, run_context: Any) -> None:
        rank = dist.get_rank() if dist.is_initialized() else 0
        if (run_context.session.global_step, rank) == (self._step, self._rank):
            self._action(self._disk)


class Notes(logging.Handler):
    """Keeps the text of warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def attempt(model_dir: Path, report: Path, hooks: list[Any], **settings: Any) -> None:
    """Train two epochs in a process of its own, and add a line to a report.

    It holds the error (type, errno, text; None without one), the names in the state file, the step of the latest
    checkpoint, which is read whole, all names in model_dir, and the warnings.
    """

    def action() -> None:
        notes = Notes()
        logging.getLogger("raydnn").addHandler(notes)
        error: Any = None
        try:
            two_epochs(model_dir, SEED, hooks, **settings)
        except Exception as raised:
            error = [type(raised).__name__, getattr(raised, "errno", None), str(raised)]
        latest = CheckpointReader(str(raydnn.train.latest_checkpoint(str(model_dir))))
        latest.check()
        line = {
            "error": error,
            "state": read_state(str(model_dir)),
            "latest": latest.global_step,
            "names": sorted(path.name for path in model_dir.iterdir()),
            "warnings": notes.texts,
        }
        with report.open("a") as file:
            print(json.dumps(line), file=file)
        os._exit(0)

    assert os.waitstatus_to_exitcode(os.waitpid(in_a_fork(action), 0)[1]) == 0, model_dir


def keep(disk: Path) -> None:
    """Turn a disk into a folder that outlives this program."""
    kept = disk.with_name(f"{disk.name}.kept")
    shutil.copytree(disk, kept)
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
    disk.rmdir()
    kept.rename(disk)


def main(folder: Path) -> None:
    workers = WorkerProcesses(2, folder)
    workers.stand_in_for_ray(pytest.MonkeyPatch())
    for name, case in CASES.items():
        disk, report = folder / name, folder / f"{name}.json"
        mount_disk(disk)
        strike = Strike(FAILS_AT, case.fail, disk, case.rank)
        attempt(disk, report, [strike], num_workers=case.num_workers)
        if case.go_on_failing is not None:
            case.go_on_failing(disk)
            attempt(disk, report, [])
        if case.rank:
            workers.run(lambda replicas, case=case, disk=disk: replicas.rank == case.rank and case.repair(disk))
        else:
            case.repair(disk)
        attempt(disk, report, [], num_workers=case.num_workers)
        keep(disk)
    attempt(folder / "together", folder / "together.json", [], num_workers=2)
    disk = folder / "summaries"
    mount_disk(disk)
    strikes = [Strike(step, action, disk) for step, action in zip(FULL_STEPS, (fill, empty), strict=True)]
    attempt(disk, folder / "summaries.json", strikes, save_checkpoints_steps=1000, save_summary_steps=1)
    keep(disk)
    workers.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
