"""The file `checkpoint`: TensorFlow's text, and what it says of the newest checkpoint."""

import uuid
from pathlib import Path

import numpy as np
import pytest

from raydnn import storage
from raydnn.train import latest_checkpoint, save_checkpoint
from raydnn.train.checkpoint.state import read_state, write_state


def test_the_text_is_tensorflows(tmp_path: Path) -> None:
    write_state(str(tmp_path), ["model.ckpt-0", "model.ckpt-3", "model.ckpt-10"])
    assert (tmp_path / "checkpoint").read_text() == (
        'model_checkpoint_path: "model.ckpt-10"\n'
        'all_model_checkpoint_paths: "model.ckpt-0"\n'
        'all_model_checkpoint_paths: "model.ckpt-3"\n'
        'all_model_checkpoint_paths: "model.ckpt-10"\n'
    )
    assert read_state(str(tmp_path)) == ["model.ckpt-0", "model.ckpt-3", "model.ckpt-10"]


@pytest.mark.parametrize(
    "text",
    [
        'model_checkpoint_path: "a"\nall_model_checkpoint_paths: "b"\n',
        'model_checkpoint_path: "a"\nall_model_checkpoint_paths: "a"\nall_model_checkpoint_paths: "b"\n',
        'all_model_checkpoint_paths: "b"\n\n  model_checkpoint_path:  "a"  \nall_model_checkpoint_timestamps: 1.5\n',
    ],
)
def test_the_newest_is_the_one_that_is_named_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "checkpoint").write_text(text)
    assert read_state(str(tmp_path)) == ["b", "a"]


def test_without_a_state_file_there_is_no_checkpoint(tmp_path: Path) -> None:
    assert read_state(str(tmp_path)) == []
    assert latest_checkpoint(str(tmp_path)) is None
    assert latest_checkpoint(str(tmp_path / "missing")) is None


def test_a_checkpoint_whose_files_are_gone_is_not_replaced_by_an_older_one(tmp_path: Path) -> None:
    older = save_checkpoint(str(tmp_path), {"w": np.zeros(1)}, 1)
    newest = save_checkpoint(str(tmp_path), {"w": np.zeros(1)}, 2)
    assert latest_checkpoint(str(tmp_path)) == newest
    storage.remove_folder(newest)
    assert storage.exists(older)
    assert latest_checkpoint(str(tmp_path)) is None


def test_a_folder_without_its_manifest_is_no_checkpoint(tmp_path: Path) -> None:
    path = save_checkpoint(str(tmp_path), {"w": np.zeros(1)}, 1)
    (Path(path) / "manifest.json").unlink()
    assert latest_checkpoint(str(tmp_path)) is None


def test_the_state_may_lie_on_an_object_store() -> None:
    model_dir = f"memory://{uuid.uuid4().hex}"
    path = save_checkpoint(model_dir, {"w": np.zeros(1)}, 7)
    assert latest_checkpoint(model_dir) == path == f"{model_dir}/model.ckpt-7"
