"""A process that is killed while it trains, at any moment, leaves what the next one goes on from."""

import logging
import re
import subprocess
import sys
from pathlib import Path

import killed_training
import numpy as np
import pytest
from killed_training import KILLS, STEPS, train

import raydnn
from raydnn import storage
from raydnn.train.checkpoint.state import read_state
from raydnn.train.ledger import read_ledger, sums_of_calls

# Kill -> what lies beside the state file afterwards, and the last complete step.
LEFT = {
    "before_name": (["model.ckpt-0", "model.ckpt-3", "model.ckpt-6.tmp-x"], 3),
    "before_state": (["model.ckpt-0", "model.ckpt-3", "model.ckpt-6"], 3),
    "in_state": (["checkpoint.tmp-x", "model.ckpt-0", "model.ckpt-3", "model.ckpt-6"], 3),
    "before_removal": (["model.ckpt-0", "model.ckpt-3", "model.ckpt-6"], 6),
    "in_removal": (["model.ckpt-0.tmp-x", "model.ckpt-3", "model.ckpt-6"], 6),
    "in_replacement": (["model.ckpt-0", "model.ckpt-3", "model.ckpt-6.tmp-x", "model.ckpt-6.tmp-x-replaced"], 3),
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the killed processes left."""
    folder = tmp_path_factory.mktemp("killed")
    subprocess.run([sys.executable, killed_training.__file__, str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> raydnn.DNNClassifier:
    return train(tmp_path_factory.mktemp("undisturbed"))


def checkpoint_files(model_dir: Path) -> list[str]:
    """The names in the folder, without event files; random marks become 'x'."""
    names = [name for name in storage.list_folder(str(model_dir)) if not name.startswith("events.")]
    return [re.sub(r"\.tmp-[0-9a-f]{8}", ".tmp-x", name) for name in names]


def assert_same_variables(found: raydnn.DNNClassifier, expected: raydnn.DNNClassifier) -> None:
    for name in expected.get_variable_names():
        np.testing.assert_array_equal(found.get_variable_value(name), expected.get_variable_value(name), err_msg=name)


@pytest.mark.parametrize("kill", KILLS)
def test_training_goes_on_from_the_last_complete_checkpoint(
    killed: Path, undisturbed: raydnn.DNNClassifier, caplog: pytest.LogCaptureFixture, kill: str
) -> None:
    model_dir = killed / kill
    left, last_step = LEFT[kill]
    others = ["checkpoint", "ledger.json", "train.lock", "train_call.json"]
    assert checkpoint_files(model_dir) == sorted([*left, *others])
    with caplog.at_level(logging.INFO):
        resumed = train(model_dir)
    assert f"Restored {model_dir}/model.ckpt-{last_step}" in caplog.messages
    assert read_state(str(model_dir)) == ["model.ckpt-9", "model.ckpt-10"]
    # A whole checkpoint that is not listed might be one that is kept for good, so it stays.
    kept = ["model.ckpt-0"] if kill == "before_removal" else []
    assert checkpoint_files(model_dir) == ["checkpoint", "ledger.json", *kept, "model.ckpt-10", "model.ckpt-9"]
    assert [(entry.last_step, entry.rows) for entry in sums_of_calls(read_ledger(str(model_dir)))] == [(10, 80)]
    assert_same_variables(resumed, undisturbed)


def test_kills_at_random_moments_lose_nothing_that_was_complete(killed: Path, tmp_path: Path) -> None:
    model_dir = killed / "random"
    step = killed_training.newest_step(model_dir)
    resumed = train(model_dir, max_steps=step + STEPS)
    assert read_state(str(model_dir)) == [f"model.ckpt-{last}" for last in (step + STEPS - 1, step + STEPS)]
    assert not [name for name in checkpoint_files(model_dir) if ".tmp-" in name]
    assert sum(entry.rows for entry in read_ledger(str(model_dir))) == 8 * (step + STEPS)
    undisturbed = train(tmp_path, max_steps=step + STEPS, save_checkpoints_steps=10**6)
    assert_same_variables(resumed, undisturbed)
