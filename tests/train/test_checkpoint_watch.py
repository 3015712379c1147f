"""Following checkpoints while another thread saves them."""

import threading
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from raydnn.train import checkpoints_iterator, save_checkpoint
from raydnn.train.checkpoint import watch


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_SECS", 0.01)


def save(model_dir: Path, step: int) -> str:
    return save_checkpoint(str(model_dir), {"w": np.zeros(1)}, step)


def test_each_checkpoint_that_a_thread_saves_is_yielded_once(tmp_path: Path) -> None:
    model_dir = tmp_path / "made by the writer"
    seen = threading.Semaphore(0)
    written = []

    def write() -> None:
        for step in (1, 2, 3):
            time.sleep(0.05)
            written.append(save(model_dir, step))
            seen.acquire(timeout=10)

    writer = threading.Thread(target=write)
    writer.start()
    found = []
    for path in checkpoints_iterator(model_dir, timeout=0.1, timeout_fn=lambda: not writer.is_alive()):
        found.append(path)
        seen.release()
    writer.join()
    assert found == written == [f"{model_dir}/model.ckpt-{step}" for step in (1, 2, 3)]


def test_what_was_overtaken_is_passed_over(tmp_path: Path) -> None:
    save(tmp_path, 1)
    paths = checkpoints_iterator(tmp_path, timeout=0)
    assert next(paths).endswith("model.ckpt-1")
    save(tmp_path, 2)
    save(tmp_path, 3)
    assert next(paths).endswith("model.ckpt-3")
    assert list(paths) == []


def test_two_yields_are_so_far_apart(tmp_path: Path) -> None:
    save(tmp_path, 1)
    paths = checkpoints_iterator(tmp_path, min_interval_secs=0.2, timeout=0)
    next(paths)
    start = time.monotonic()
    save(tmp_path, 2)
    next(paths)
    assert time.monotonic() - start >= 0.2


def test_without_a_timeout_it_waits(tmp_path: Path) -> None:
    writer = threading.Timer(0.1, save, (tmp_path, 1))
    writer.start()
    assert list(islice(checkpoints_iterator(tmp_path), 1)) == [f"{tmp_path}/model.ckpt-1"]
    writer.join()


def test_a_timeout_ends_it(tmp_path: Path) -> None:
    start = time.monotonic()
    assert list(checkpoints_iterator(tmp_path, timeout=0.1)) == []
    assert 0.1 <= time.monotonic() - start < 5


def test_timeout_fn_decides_whether_a_timeout_ends_it(tmp_path: Path) -> None:
    calls = []

    def timeout_fn() -> bool:
        calls.append(len(calls))
        if len(calls) == 2:
            save(tmp_path, 1)
        return len(calls) == 3

    paths = checkpoints_iterator(tmp_path, timeout=0.02, timeout_fn=timeout_fn)
    assert list(paths) == [f"{tmp_path}/model.ckpt-1"]
    assert calls == [0, 1, 2]
