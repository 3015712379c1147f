"""Writing checkpoints: what is stored, and under which names."""

from pathlib import Path

import numpy as np
import pytest

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
