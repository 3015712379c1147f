"""Only one driver at a time trains a model_dir."""

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_data import fake_classifier, fake_input_fn

from raydnn import errors, storage
from raydnn.train import SessionRunHook, stop_on_signals
from raydnn.train.checkpoint import lock, training_lock
from raydnn.train.checkpoint.lock import Holder

HOLD = "import sys, time; from raydnn.train.checkpoint import training_lock\n"
HOLD += "with training_lock(sys.argv[1]): print('held', flush=True); time.sleep(600)"


@pytest.fixture(params=["local", "memory"])
def model_dir(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}"


@pytest.fixture(autouse=True)
def _settles_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "SETTLE_SECS", 0.01)


def lock_file(model_dir: str | Path) -> str:
    return storage.join(str(model_dir), "train.lock")


def holder(model_dir: str | Path) -> Holder:
    return Holder.from_json(storage.read_bytes(lock_file(model_dir)))


def someone(host: str = "elsewhere", pid: int = 1, start: str | None = "1", silence: float = 0.0) -> Holder:
    """Who took the lock two minutes ago, and was silent for so many seconds."""
    now = time.time()
    return Holder("of someone", host, pid, start, now - 120, now - silence)


def assert_refused(model_dir: str, message: str) -> None:
    with pytest.raises(errors.FailedPreconditionError, match=message), training_lock(model_dir):
        pass


def wait_until(condition: Callable[[], bool]) -> None:
    stop = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < stop
        time.sleep(0.005)


def test_the_file_names_the_holder_and_goes_with_it(model_dir: str) -> None:
    with training_lock(model_dir):
        found = holder(model_dir)
        assert (found.host, found.pid) == (socket.gethostname(), os.getpid())
        assert time.time() - 10 < found.started <= found.heartbeat <= time.time()
    with pytest.raises(ZeroDivisionError), training_lock(model_dir):
        raise ZeroDivisionError
    assert not storage.exists(lock_file(model_dir))


def test_a_second_holder_in_the_same_process_is_refused_at_once(model_dir: str, tmp_path: Path) -> None:
    with training_lock(model_dir):
        assert_refused(model_dir, f"held by process {os.getpid()} on host")
        with training_lock(str(tmp_path / "another")):
            pass
        assert holder(model_dir).pid == os.getpid()


def test_training_within_training_is_refused_on_the_same_model_only(tmp_path: Path) -> None:
    class TrainsAnother(SessionRunHook):
        def end(self, session: Any) -> None:
            fake_classifier(tmp_path / "other").train(fake_input_fn(1))
            with pytest.raises(errors.FailedPreconditionError, match=r"model/train\.lock is held by process"):
                fake_classifier(tmp_path / "model").train(fake_input_fn(1))
            assert fake_classifier(tmp_path / "model").evaluate(fake_input_fn(1))["global_step"] == 1

    estimator = fake_classifier(tmp_path / "model").train(fake_input_fn(1), hooks=[TrainsAnother()])
    assert not storage.exists(lock_file(estimator.model_dir))


def test_another_process_keeps_the_lock_until_it_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    estimator = fake_classifier(tmp_path)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            with pytest.raises(errors.FailedPreconditionError) as refusal:
                estimator.train(fake_input_fn(1))
            assert f"held by process {process.pid} on host {socket.gethostname()} since 2" in str(refusal.value)
            assert str(refusal.value).startswith(f"{tmp_path}/train.lock is")
            assert str(refusal.value).endswith("remove the file")
            assert storage.list_folder(str(tmp_path)) == ["train.lock"]
        finally:
            process.send_signal(signal.SIGKILL)
        # Nobody has waited for the dead process yet: its id is not free.
        wait_until(lambda: holder(tmp_path).why_gone() is not None)
        assert process.returncode is None
        estimator.train(fake_input_fn(1))
    assert f"Taking over {tmp_path}/train.lock from process {process.pid}" in caplog.text
    assert not storage.exists(lock_file(tmp_path))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"silence": 61}, r"its last sign of life is 6\d seconds old"),
        ({"host": socket.gethostname(), "pid": os.getppid()}, "the process does not run any more"),
        ({"host": socket.gethostname(), "pid": os.getppid(), "start": None}, None),
        ({"host": socket.gethostname(), "pid": os.getpid()}, "it holds it no longer"),
    ],
    ids=["silent", "its id was given away", "start unknown", "left by this process"],
)
def test_a_lock_is_taken_over_if_its_holder_is_gone(
    model_dir: str, caplog: pytest.LogCaptureFixture, given: dict[str, Any], reason: str | None
) -> None:
    found = someone(**given)
    storage.write_bytes(lock_file(model_dir), found.to_json())
    if reason is None:
        assert_refused(model_dir, f"process {found.pid} on host {found.host}")
        assert holder(model_dir) == found
        return
    with training_lock(model_dir):
        assert holder(model_dir).token != found.token
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert re.search(f"from {found}: {reason}", caplog.text)
    assert not storage.exists(lock_file(model_dir))


@pytest.mark.parametrize("silence", [30, -3600], ids=["not silent for long", "clock ahead"])
def test_a_holder_on_another_host_that_shows_that_it_lives_keeps_the_lock(
    model_dir: str, monkeypatch: pytest.MonkeyPatch, silence: float
) -> None:
    found = someone(silence=silence)
    storage.write_bytes(lock_file(model_dir), found.to_json())
    signs = [found, replace(found, heartbeat=found.heartbeat + 10)]

    class Clock:
        """While this process waits, the holder goes on."""

        time, monotonic = staticmethod(time.time), staticmethod(time.monotonic)

        @staticmethod
        def sleep(seconds: float) -> None:
            storage.write_bytes(lock_file(model_dir), signs.pop(0).to_json())

    monkeypatch.setattr(lock, "time", Clock)
    assert_refused(model_dir, "process 1 on host elsewhere")
    assert not signs


@pytest.mark.parametrize("silence", [30, -3600], ids=["not silent for long", "clock ahead"])
def test_a_holder_on_another_host_that_was_just_lost_is_followed_after_a_while(
    model_dir: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, silence: float
) -> None:
    monkeypatch.setattr(lock, "LOOK_SECS", 0.01)
    # A clock ahead says nothing of when the holder was last seen, so that the whole time passes.
    stale = 0.1 if silence < 0 else silence + 2
    monkeypatch.setattr(lock, "STALE_SECS", stale)
    other = someone(silence=silence)
    storage.write_bytes(lock_file(model_dir), other.to_json())
    start = time.monotonic()
    with training_lock(model_dir):
        assert time.monotonic() - start > 0.1 if silence < 0 else time.time() - other.heartbeat > stale
        assert holder(model_dir).pid == os.getpid()
    looking, taking_over = caplog.messages
    assert "whether it lives" in looking
    assert "Taking over" in taking_over


def test_who_looks_whether_another_lives_can_be_stopped(model_dir: str) -> None:
    storage.write_bytes(lock_file(model_dir), someone().to_json())
    with stop_on_signals() as stop:
        stop.make()
        assert_refused(model_dir, "process 1 on host elsewhere")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}"])
def test_a_file_that_makes_no_sense_holds_nothing(model_dir: str, content: bytes) -> None:
    storage.write_bytes(lock_file(model_dir), content)
    with training_lock(model_dir):
        assert holder(model_dir).pid == os.getpid()


def test_of_two_that_take_over_at_once_the_last_one_has_it(model_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write_bytes(lock_file(model_dir), someone(silence=100).to_json())
    other = someone()

    class Clock:
        time = staticmethod(time.time)

        @staticmethod
        def sleep(seconds: float) -> None:
            storage.write_bytes(lock_file(model_dir), other.to_json())

    monkeypatch.setattr(lock, "time", Clock)
    assert_refused(model_dir, "held by process 1 on host elsewhere")
    assert holder(model_dir) == other


def test_the_holder_gives_signs_of_life(model_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "RENEW_SECS", 0.01)
    with training_lock(model_dir):
        first = holder(model_dir)
        wait_until(lambda: holder(model_dir).heartbeat > first.heartbeat)
        assert holder(model_dir).token == first.token
    assert storage.list_folder(model_dir) == []


def test_a_holder_without_its_file_says_so_and_does_not_make_it_anew(
    model_dir: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lock, "RENEW_SECS", 0.01)
    with training_lock(model_dir):
        storage.remove_file(lock_file(model_dir))
        wait_until(lambda: "was lost to its removal" in caplog.text)
        storage.write_bytes(lock_file(model_dir), someone().to_json())
    assert holder(model_dir).host == "elsewhere"


def test_a_forked_child_does_not_let_go_of_its_parents_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with training_lock(str(tmp_path)):
        monkeypatch.setattr(lock.os, "getpid", lambda: -1)
    assert storage.exists(lock_file(tmp_path))
