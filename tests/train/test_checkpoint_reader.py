"""Reading checkpoints: names, values, and no damaged byte that goes unseen."""

import json
import uuid
from pathlib import Path

import numpy as np
import pytest

from raydnn import errors
from raydnn.train import list_variables, load_checkpoint, load_variable, save_checkpoint

VARIABLES = {
    "dnn/logits/kernel": np.arange(6, dtype=np.float32).reshape(3, 2),
    "dnn/logits/bias": np.array([0.5, -0.5], np.float32),
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return Path(save_checkpoint(str(tmp_path), VARIABLES, 7))


def change_a_byte(path: Path, place: float) -> None:
    """Flip the bits of the byte at this part of the file."""
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 0xFF
    path.write_bytes(bytes(content))


def test_variables_come_back_under_their_names(checkpoint: Path) -> None:
    reader = load_checkpoint(str(checkpoint))
    assert reader.global_step == 7
    assert reader.get_variable_to_shape_map() == {
        "dnn/logits/bias": [2],
        "dnn/logits/kernel": [3, 2],
        "global_step": [],
    }
    assert reader.has_tensor("dnn/logits/bias")
    assert not reader.has_tensor("dnn/logits/bias:0")
    for name, value in VARIABLES.items():
        np.testing.assert_array_equal(reader.get_tensor(name), value)


@pytest.mark.parametrize("is_model_dir", [True, False])
def test_a_model_dir_stands_for_its_newest_checkpoint(checkpoint: Path, is_model_dir: bool) -> None:
    path = str(checkpoint.parent if is_model_dir else checkpoint)
    assert load_checkpoint(path).path == str(checkpoint)
    assert list_variables(path) == [("dnn/logits/bias", [2]), ("dnn/logits/kernel", [3, 2]), ("global_step", [])]
    assert load_variable(path, "dnn/logits/bias:0").tolist() == [0.5, -0.5]


def test_a_checkpoint_may_lie_on_an_object_store() -> None:
    model_dir = f"memory://{uuid.uuid4().hex}"
    save_checkpoint(model_dir, VARIABLES, 7)
    np.testing.assert_array_equal(load_variable(model_dir, "dnn/logits/kernel"), VARIABLES["dnn/logits/kernel"])


def test_an_unknown_variable_is_not_found_and_the_known_ones_are_named(checkpoint: Path) -> None:
    with pytest.raises(errors.NotFoundError, match=r"'dnn/logits/gamma'.*dnn/logits/bias"):
        load_checkpoint(str(checkpoint)).get_tensor("dnn/logits/gamma")


@pytest.mark.parametrize("name", ["", "missing"])
def test_a_folder_without_a_checkpoint_is_not_found(tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.NotFoundError, match=r"no manifest\.json"):
        load_checkpoint(str(tmp_path / name))


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_changed_byte_is_data_loss_that_names_the_file(checkpoint: Path, place: float) -> None:
    change_a_byte(checkpoint / "variables.safetensors", place)
    reader = load_checkpoint(str(checkpoint))
    with pytest.raises(
        errors.DataLossError, match=rf"{checkpoint}/variables\.safetensors is damaged.*recover=True.*'checkpoint'"
    ):
        reader.get_tensor("dnn/logits/kernel")


def test_a_missing_file_is_data_loss_that_names_it(checkpoint: Path) -> None:
    (checkpoint / "variables.safetensors").unlink()
    with pytest.raises(errors.DataLossError, match=rf"{checkpoint}/variables\.safetensors is missing.*recover=True"):
        load_checkpoint(str(checkpoint)).get_tensor("dnn/logits/kernel")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": "raydnn-checkpoint-2"}', "\x00"])
def test_a_damaged_manifest_is_data_loss_that_names_it(checkpoint: Path, content: str) -> None:
    (checkpoint / "manifest.json").write_text(content)
    with pytest.raises(errors.DataLossError, match=rf"{checkpoint}/manifest\.json is damaged.*recover=True"):
        load_checkpoint(str(checkpoint))


def test_a_checkpoint_of_another_format_is_refused_by_its_name(checkpoint: Path) -> None:
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    (checkpoint / "manifest.json").write_text(json.dumps(manifest | {"format": "raydnn-checkpoint-9"}))
    with pytest.raises(errors.FailedPreconditionError, match="raydnn-checkpoint-9"):
        load_checkpoint(str(checkpoint))
