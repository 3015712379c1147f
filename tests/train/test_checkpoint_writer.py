"""Writing checkpoints: what is stored, and that nothing half written is ever seen."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_data import fake_batches, fake_classifier

import raydnn
from raydnn import storage
from raydnn.train import latest_checkpoint, load_checkpoint, save_checkpoint
from raydnn.train.checkpoint.state import read_state


def test_floats_are_stored_as_float32_and_integers_as_they_are(tmp_path: Path) -> None:
    reader = load_checkpoint(
        save_checkpoint(
            str(tmp_path), {"w": [[1.5, 2.5]], "n": np.int32([3]), "f": np.asfortranarray([[1, 2], [3, 4]])}, 5
        )
    )
    assert reader.get_variable_to_dtype_map() == {"f": "int64", "global_step": "int64", "n": "int32", "w": "float32"}
    assert reader.get_tensor("w").tolist() == [[1.5, 2.5]]
    assert reader.get_tensor("f").tolist() == [[1, 2], [3, 4]]
    assert reader.global_step == reader.get_tensor("global_step") == 5


def test_each_saved_checkpoint_becomes_the_newest(tmp_path: Path) -> None:
    for step in (3, 10, 3):
        path = save_checkpoint(str(tmp_path), {"w": np.full(1, step)}, step)
        assert path == f"{tmp_path}/model.ckpt-{step}" == latest_checkpoint(str(tmp_path))
    assert read_state(str(tmp_path)) == ["model.ckpt-10", "model.ckpt-3"]


@pytest.mark.parametrize(("variables", "global_step"), [({}, -1), ({"global_step": np.int64(4)}, 5)])
def test_a_step_that_cannot_be_is_refused(tmp_path: Path, variables: dict[str, np.ndarray], global_step: int) -> None:
    with pytest.raises(ValueError, match="global_step"):
        save_checkpoint(str(tmp_path), variables, global_step)
    assert storage.list_folder(str(tmp_path)) == []


# Between the writing of a checkpoint's files and its name, and between its name and the state file.
KILLED_IN_NEW_FOLDER = """
real = storage.new_folder

@contextmanager
def killed(url, last):
    with real(url, last) as folder:
        yield folder
        if url.endswith("model.ckpt-6"):
            os.kill(os.getpid(), signal.SIGKILL)

storage.new_folder = killed
"""
KILLED_BEFORE_WRITE_STATE = """
from raydnn.train.checkpoint import store
real = store.write_state

def killed(model_dir, names):
    if names[-1] == "model.ckpt-6":
        os.kill(os.getpid(), signal.SIGKILL)
    real(model_dir, names)

store.write_state = killed
"""


@pytest.mark.parametrize("kill", [KILLED_IN_NEW_FOLDER, KILLED_BEFORE_WRITE_STATE], ids=["new_folder", "write_state"])
def test_a_kill_while_saving_leaves_the_older_checkpoint_and_training_goes_on(tmp_path: Path, kill: str) -> None:
    code = f"""
import os, signal, sys
from contextlib import contextmanager
import raydnn
from raydnn import storage
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from fake_data import fake_batches, fake_classifier
{kill}
config = raydnn.RunConfig(tf_random_seed=1, save_checkpoints_steps=3)
fake_classifier({str(tmp_path / "killed")!r}, config).train(lambda: fake_batches(1)[0], max_steps=10)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    killed_dir = str(tmp_path / "killed")
    assert latest_checkpoint(killed_dir) == f"{killed_dir}/model.ckpt-3"

    config = raydnn.RunConfig(tf_random_seed=1, save_checkpoints_steps=3)
    resumed = fake_classifier(killed_dir, config).train(lambda: fake_batches(1)[0], max_steps=10)
    whole = fake_classifier(tmp_path / "whole", config).train(lambda: fake_batches(1)[0], max_steps=10)
    assert read_state(killed_dir) == [f"model.ckpt-{step}" for step in (0, 3, 6, 9, 10)]
    for name in whole.get_variable_names():
        np.testing.assert_array_equal(resumed.get_variable_value(name), whole.get_variable_value(name), err_msg=name)
