"""Which checkpoints stay."""

import json
from pathlib import Path

import numpy as np
import pytest

from raydnn import storage
from raydnn.train import load_checkpoint
from raydnn.train.checkpoint import CheckpointStore
from raydnn.train.checkpoint.state import read_state


def save(store: CheckpointStore, *steps: int) -> None:
    for step in steps:
        store.save({"w": np.array([step], np.float32)}, step, input_position=None)


def kept_steps(model_dir: Path) -> list[int]:
    """Steps of the folders on disk."""
    names = [name for name in storage.list_folder(str(model_dir)) if name != "checkpoint"]
    return sorted(int(name.removeprefix("model.ckpt-")) for name in names)


def listed_steps(model_dir: Path) -> list[int]:
    """Steps in the state file."""
    return [int(name.removeprefix("model.ckpt-")) for name in read_state(str(model_dir))]


def move_in_time(model_dir: Path, step: int, hours: float) -> None:
    """Say that a checkpoint was saved later than it was."""
    path = model_dir / f"model.ckpt-{step}" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"saved_at": manifest["saved_at"] + 3600 * hours}))


def test_the_oldest_go_once_there_are_too_many(tmp_path: Path) -> None:
    save(CheckpointStore(str(tmp_path), keep_max=2), 0, 3, 6)
    assert kept_steps(tmp_path) == listed_steps(tmp_path) == [3, 6]


def test_the_list_survives_across_stores(tmp_path: Path) -> None:
    save(CheckpointStore(str(tmp_path), keep_max=3), 0, 3)
    save(CheckpointStore(str(tmp_path), keep_max=3), 6, 9)
    assert kept_steps(tmp_path) == listed_steps(tmp_path) == [3, 6, 9]


@pytest.mark.parametrize("keep_max", [0, None])
def test_without_a_limit_all_stay_and_only_the_newest_is_listed(tmp_path: Path, keep_max: int | None) -> None:
    save(CheckpointStore(str(tmp_path), keep_max=keep_max), 0, 3, 6)
    assert kept_steps(tmp_path) == [0, 3, 6]
    assert listed_steps(tmp_path) == [6]


def test_one_of_the_old_ones_stays_for_every_n_hours(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path), keep_max=1, keep_every_n_hours=1)
    for step, hours in [(1, 0.5), (2, 1.5), (3, 1.7), (4, 2.5), (5, 2.6)]:
        save(store, step)
        move_in_time(tmp_path, step, hours)
    save(store, 6)
    assert kept_steps(tmp_path) == [2, 4, 6]
    assert listed_steps(tmp_path) == [6]


def test_the_newest_step_is_not_written_again(tmp_path: Path) -> None:
    save(CheckpointStore(str(tmp_path)), 3)
    store = CheckpointStore(str(tmp_path))
    store.save({"w": np.array([-1.0], np.float32)}, 3, input_position=None)
    assert load_checkpoint(str(tmp_path)).get_tensor("w") == [3]
    assert listed_steps(tmp_path) == [3]


def test_an_incomplete_checkpoint_of_the_newest_step_is_written_again(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path))
    save(store, 3)
    (tmp_path / "model.ckpt-3" / "manifest.json").unlink()
    save(store, 3)
    assert load_checkpoint(str(tmp_path)).global_step == 3


def test_input_position_and_config_are_noted_in_the_manifest(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path), config={"keep_checkpoint_max": 5})
    store.save({}, 3, input_position={"epoch": 1})
    manifest = load_checkpoint(str(tmp_path)).manifest
    assert (manifest.input_position, manifest.config) == ({"epoch": 1}, {"keep_checkpoint_max": 5})


def test_a_damaged_checkpoint_is_removed_like_any_other(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path), keep_max=2)
    save(store, 0, 3)
    (tmp_path / "model.ckpt-0" / "manifest.json").write_text("{")
    save(store, 6)
    assert kept_steps(tmp_path) == listed_steps(tmp_path) == [3, 6]


def test_a_retained_checkpoint_that_someone_removed_does_not_stop_saving(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path), keep_max=2)
    save(store, 0, 3)
    storage.remove_folder(str(tmp_path / "model.ckpt-0"))
    save(store, 6)
    assert kept_steps(tmp_path) == listed_steps(tmp_path) == [3, 6]
