"""A disk that takes nothing more ends training with an error that says why, and costs nothing that was saved."""

import errno
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import failing_disk
import pytest
from failing_disk import CASES, FULL_STEPS, SEED, SPARE_BYTES
from resumed_calls import (
    BATCHES,
    EPOCHS,
    assert_each_epoch_uses_each_row_once,
    assert_same_bits,
    assert_the_ledger_has_each_row_once,
    estimator,
    ledger,
    two_epochs,
)

from raydnn.tracking.event_file import read_scalars

pytestmark = pytest.mark.slow

STEPS = EPOCHS * BATCHES
TOGETHER = [name for name, case in CASES.items() if case.num_workers is not None]
FULL_TEXT = "No space left on device, {free} bytes are free: make room, then run the same program again"
READ_ONLY_TEXT = "the file system is read-only: make it writable, then run the same program again"
PART = "model.ckpt-6.tmp-x/partition-"


def own_mounts(folder: Path) -> list[str]:
    """How a program is started that may mount disks of its own."""
    for options in (["--mount"], ["--mount", "--map-root-user"]):
        command = ["unshare", *options]
        try:
            tried = subprocess.run([*command, "mount", "-t", "tmpfs", "none", str(folder)], capture_output=True)
        except FileNotFoundError:
            break
        if tried.returncode == 0:
            return command
    pytest.skip("this system lets no program mount a disk of its own")


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the program has left."""
    folder = tmp_path_factory.mktemp("disks")
    command = [*own_mounts(folder), sys.executable, failing_disk.__file__, str(folder)]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=400)
    assert ended.returncode == 0, ended.stderr
    (folder / "stderr").write_text(ended.stderr)
    return folder


def reports(left: Path, name: str) -> list[dict[str, Any]]:
    """What the processes of a case saw; random marks become 'x'."""
    text = (left / f"{name}.json").read_text()
    return [json.loads(line) for line in re.sub(r"\.tmp-[0-9a-f]{8}", ".tmp-x", text).splitlines()]


@pytest.mark.parametrize("name", CASES)
def test_what_was_saved_stays_and_nothing_half_written_has_a_name(left: Path, name: str) -> None:
    *failed, ended = reports(left, name)
    assert failed
    for report in failed:
        assert report["state"] == ["model.ckpt-0", "model.ckpt-3"]
        assert report["latest"] == 3
        # A read-only disk keeps the lock of a process that is gone.
        passing = {"filler", "train.lock"} if name == "read_only" else {"filler"}
        assert set(report["names"]) - passing == {
            "checkpoint",
            "ledger.json",
            "model.ckpt-0",
            "model.ckpt-3",
            "train_call.json",
        }
    assert ended["error"] is None
    names = [f"model.ckpt-{step}" for step in (42, 45, 48, 51, STEPS)]
    assert ended["state"] == names
    assert ended["names"] == ["checkpoint", "ledger.json", *names]


@pytest.mark.parametrize("name", CASES)
def test_once_repaired_training_goes_on_with_each_row_once(left: Path, tmp_path: Path, name: str) -> None:
    steps = [step for step, _ in ledger(left / name)]
    assert len(steps) > len(set(steps))
    assert_each_epoch_uses_each_row_once(left / name)
    assert_the_ledger_has_each_row_once(left / name)
    undisturbed = estimator(left / "together") if name in TOGETHER else two_epochs(tmp_path / name, SEED)
    assert_same_bits(estimator(left / name), undisturbed)


def test_a_full_disk_is_named_with_its_free_bytes_and_the_way_out(left: Path) -> None:
    first, again, _ = reports(left, "full")
    assert first["error"][:2] == ["ResourceExhaustedError", errno.ENOSPC]
    assert f"{FULL_TEXT.format(free=SPARE_BYTES)}: '{left}/full/model.ckpt-6'" in first["error"][2]
    # There is no room for the lock either, and none is left.
    assert again["error"][:2] == ["ResourceExhaustedError", errno.ENOSPC]
    assert f"{FULL_TEXT.format(free=0)}: '{left}/full/train.lock'" in again["error"][2]
    assert "train.lock" not in again["names"]


def test_a_disk_that_became_read_only_is_named_with_the_way_out(left: Path) -> None:
    first, again, _ = reports(left, "read_only")
    assert first["error"][:2] == ["PermissionDeniedError", errno.EROFS]
    assert f"{READ_ONLY_TEXT}: '{left}/read_only/model.ckpt-6'" in first["error"][2]
    assert again["error"][:2] == ["PermissionDeniedError", errno.EROFS]
    assert f"model_dir cannot be written (Read-only file system); choose another folder: '{left}" in again["error"][2]


def test_workers_that_cannot_write_their_parts_say_so(left: Path) -> None:
    kind, number, text = reports(left, "full_for_workers")[0]["error"]
    assert (kind, number) == ("ResourceExhaustedError", errno.ENOSPC)
    assert f"'{left}/full_for_workers/{PART}00000-of-00002" in text


def test_one_worker_that_cannot_write_its_part_ends_training_for_all(left: Path) -> None:
    kind, _, text = reports(left, "read_only_for_one_worker")[0]["error"]
    assert kind == "AbortedError"
    folder = f"{left}/read_only_for_one_worker/model.ckpt-6.tmp-x"
    assert text == f"another worker could not write its part of a checkpoint into {folder}"
    # Where the workers' log goes, the reason is said.
    said = re.sub(r"\.tmp-[0-9a-f]{8}", ".tmp-x", (left / "stderr").read_text())
    reason = f"[Errno {errno.EROFS}] {READ_ONLY_TEXT}: '{folder}/partition-00001-of-00002.safetensors'"
    assert f"Worker 1 could not write its part of a checkpoint: {reason}" in said


def test_summaries_that_find_no_room_are_warned_of_and_training_goes_on(left: Path) -> None:
    (report,) = reports(left, "summaries")
    assert report["error"] is None
    assert report["latest"] == STEPS
    assert report["warnings"] == [
        f"No more summaries are written into {left}/summaries: [Errno {errno.ENOSPC}] No space left on device"
    ]
    assert_each_epoch_uses_each_row_once(left / "summaries")
    # What came before can be read.
    assert max(read_scalars(left / "summaries")) in range(1, FULL_STEPS[1])
