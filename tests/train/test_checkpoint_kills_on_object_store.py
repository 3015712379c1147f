"""A process that is killed while it saves to an object store leaves nothing that stays, nor anything that misleads."""

import math
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fake_data import fake_classifier, fake_input_fn
from fsspec.implementations.memory import MemoryFileSystem

from raydnn import errors, storage
from raydnn.model.rows import Rows
from raydnn.model.variable import Variable
from raydnn.train import latest_checkpoint
from raydnn.train.checkpoint import CheckpointReader, CheckpointStore, open_newest, tidy_up
from raydnn.train.checkpoint.lock import training_lock
from raydnn.train.checkpoint.state import read_state
from raydnn.train.checkpoint.writer import write_part

WORKERS = 2
STEPS = (3, 6, 9)


class KilledError(BaseException):
    """Nothing handles it: what was to follow does not happen."""


class Mortal:
    """Lets a process make so many changes to the object store; from then on it is dead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: float = math.inf
        for name in ("pipe_file", "put_file", "cp_file", "rm_file"):
            monkeypatch.setattr(MemoryFileSystem, name, self._counted(getattr(MemoryFileSystem, name)))

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*args: Any, **kwargs: Any) -> Any:
            if self.left <= 0:
                raise KilledError
            self.left -= 1
            return real(*args, **kwargs)

        return change


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> Mortal:
    return Mortal(monkeypatch)


def save(model_dir: str, step: int) -> None:
    """What a chief and another worker do to save a step, with a table that is spread over them."""
    store = CheckpointStore(model_dir, keep_max=2)
    parts = store.parts_folder(step)
    for rank in range(WORKERS):
        rows = Rows(rank, WORKERS, 5)
        table = torch.full((5, 2), float(step))
        write_part(parts, rank, WORKERS, [Variable("table", table[rows.places], rows=rows)])
    store.save({"bias": np.full(3, step, np.float32)}, step, None, parts, WORKERS)


def save_all(model_dir: str) -> None:
    """The third save removes the first, and the last one replaces the second."""
    for step in STEPS:
        save(model_dir, step)
    save(model_dir, STEPS[1])


def test_a_save_that_is_killed_at_any_change_leaves_the_last_one_whole_and_nothing_that_stays(mortal: Mortal) -> None:
    changes, survived, leftovers = 0, False, set()
    while not survived:
        model_dir = f"memory://{uuid.uuid4().hex}"
        mortal.left = changes
        try:
            save_all(model_dir)
            survived = True
        except KilledError:
            pass
        mortal.left = math.inf
        leftovers |= {name.partition(".tmp-")[0] for name in storage.list_folder(model_dir)} - set(
            read_state(model_dir)
        )
        newest = open_newest(model_dir)
        assert (newest is None) == (not read_state(model_dir))
        if newest is not None:
            newest.check()
            assert set(newest.get_tensor("table").flat) == {float(newest.global_step)}
        tidy_up(model_dir, newest)
        names = storage.list_folder(model_dir)
        assert not [name for name in names if ".tmp-" in name]
        for name in names:
            # What is not listed may be kept for good, and is whole.
            if name != "checkpoint":
                CheckpointReader(storage.join(model_dir, name)).check()
        assert set(read_state(model_dir)[-1:]) <= set(names)
        save(model_dir, 12)
        assert latest_checkpoint(model_dir) == storage.join(model_dir, "model.ckpt-12")
        changes += 1
    # The moments were such that there was something to remove, beside the state file of each.
    assert leftovers == {"checkpoint", *(f"model.ckpt-{step}" for step in STEPS)}
    assert changes > 40


def test_what_another_driver_saves_meanwhile_is_left_alone() -> None:
    model_dir = f"memory://{uuid.uuid4().hex}"
    fake_classifier(model_dir).train(fake_input_fn(1))
    parts = CheckpointStore(model_dir).parts_folder(5)
    write_part(parts, 1, WORKERS, [])
    with training_lock(model_dir), pytest.raises(errors.FailedPreconditionError, match="which trains this model"):
        fake_classifier(model_dir).train(fake_input_fn(1))
    assert len(storage.list_folder(parts)) == 2
    # Its holder is gone, and so is what it had begun.
    fake_classifier(model_dir).train(fake_input_fn(1))
    assert not storage.exists(parts)
    assert latest_checkpoint(model_dir) == storage.join(model_dir, "model.ckpt-2")
