"""Which checkpoint is gone on from when the newest ones are damaged."""

import json
import logging
import uuid
from pathlib import Path

import numpy as np
import pytest

from raydnn import errors, storage
from raydnn.train import load_checkpoint, save_checkpoint
from raydnn.train.checkpoint import CheckpointStore, open_newest, reader, tidy_up
from raydnn.train.checkpoint.state import read_state

STEPS = (0, 3, 6, 10)
DAMAGES = ("changed", "missing", "manifest", "no manifest", "folder")


@pytest.fixture(params=["local", "memory"])
def model_dir(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}"
    for step in STEPS:
        save_checkpoint(path, {"w": np.full(3, step)}, step)
    return path


def damage(model_dir: str, step: int, how: str = "changed") -> None:
    folder = storage.join(model_dir, f"model.ckpt-{step}")
    variables, manifest = (storage.join(folder, name) for name in ("variables.safetensors", "manifest.json"))
    match how:
        case "changed":
            content = storage.read_bytes(variables)
            storage.write_bytes(variables, content[:-1] + bytes([content[-1] ^ 1]))
        case "missing":
            storage.remove_folder(variables) if not storage.is_local(folder) else Path(variables).unlink()
        case "manifest":
            storage.write_bytes(manifest, b"{")
        case "no manifest":
            storage.remove_folder(manifest) if not storage.is_local(folder) else Path(manifest).unlink()
        case "folder":
            storage.remove_folder(folder)


@pytest.mark.parametrize("how", DAMAGES)
def test_the_newest_whole_checkpoint_is_taken_and_one_warning_says_what_was_passed_over(
    model_dir: str, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    damage(model_dir, 10, how)
    damage(model_dir, 6)
    found = open_newest(model_dir, recover=True)
    assert found is not None
    assert found.path == f"{model_dir}/model.ckpt-3"
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    message = warning.getMessage()
    assert f"{model_dir}/model.ckpt-10" in message
    assert f"{model_dir}/model.ckpt-6/variables.safetensors is damaged: its bytes do not match" in message
    assert f"Using {model_dir}/model.ckpt-3 instead; steps lost: 7" in message
    assert "recover=True" not in message


def test_a_whole_newest_checkpoint_is_taken_in_silence(model_dir: str, caplog: pytest.LogCaptureFixture) -> None:
    damage(model_dir, 6)
    for recover in (True, False):
        found = open_newest(model_dir, recover)
        assert found is not None
        assert found.global_step == 10
    assert not caplog.records


def test_looking_changes_nothing(model_dir: str) -> None:
    damage(model_dir, 10)
    before = storage.list_folder(model_dir), read_state(model_dir)
    open_newest(model_dir, recover=True)
    assert (storage.list_folder(model_dir), read_state(model_dir)) == before


def test_without_recover_the_damage_is_an_error(model_dir: str) -> None:
    damage(model_dir, 10, "manifest")
    with pytest.raises(errors.DataLossError, match=r"model\.ckpt-10/manifest\.json is damaged.*recover=True"):
        open_newest(model_dir, recover=False)


@pytest.mark.parametrize("how", DAMAGES)
def test_if_none_is_whole_all_are_named(model_dir: str, how: str) -> None:
    for step in STEPS:
        damage(model_dir, step, how)
    with pytest.raises(errors.DataLossError, match=r"no checkpoint in .* is whole") as caught:
        open_newest(model_dir, recover=True)
    assert all(f"model.ckpt-{step}" in str(caught.value) for step in STEPS)


def test_a_state_file_that_names_none_is_damage_too(tmp_path: Path) -> None:
    assert open_newest(str(tmp_path), recover=True) is None
    (tmp_path / "checkpoint").write_text("")
    with pytest.raises(errors.DataLossError, match=f"{tmp_path}/checkpoint names none"):
        open_newest(str(tmp_path), recover=True)


def test_a_checkpoint_of_another_format_is_not_passed_over(tmp_path: Path) -> None:
    for step in (1, 2):
        path = Path(save_checkpoint(str(tmp_path), {"w": np.zeros(1)}, step)) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": "raydnn-checkpoint-9"}))
    with pytest.raises(errors.FailedPreconditionError, match="raydnn-checkpoint-9"):
        open_newest(str(tmp_path), recover=True)


def test_each_file_is_checked_once(model_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    monkeypatch.setattr(reader, "sha256", lambda path, real=reader.sha256: checked.append(path) or real(path))
    first = open_newest(model_dir, recover=True)
    again = open_newest(model_dir, recover=True, opened=first)
    assert again is first
    assert first.get_tensor("w").tolist() == [10, 10, 10]
    assert len(checked) == 1


def test_the_state_file_ends_with_the_checkpoint_that_is_gone_on_from(model_dir: str) -> None:
    damage(model_dir, 10)
    damage(model_dir, 6)
    restored = open_newest(model_dir, recover=True)
    tidy_up(model_dir, restored)
    assert read_state(model_dir) == ["model.ckpt-0", "model.ckpt-3"]
    assert storage.exists(f"{model_dir}/model.ckpt-10")
    # What training does next: it saves where it stands, and in time the damaged steps.
    store = CheckpointStore(model_dir, keep_max=3)
    for step in (3, 6, 9):
        store.save({"w": np.full(3, -step)}, step, input_position=None)
    assert read_state(model_dir) == ["model.ckpt-3", "model.ckpt-6", "model.ckpt-9"]
    assert [load_checkpoint(f"{model_dir}/model.ckpt-{step}").get_tensor("w")[0] for step in (3, 6)] == [3, -6]
    assert "model.ckpt-10" in storage.list_folder(model_dir)


def test_a_tidy_folder_is_left_as_it_is(tmp_path: Path) -> None:
    tidy_up(str(tmp_path), None)
    assert storage.list_folder(str(tmp_path)) == []
    save_checkpoint(str(tmp_path), {"w": np.zeros(1)}, 1)
    before = (tmp_path / "checkpoint").stat().st_mtime_ns
    tidy_up(str(tmp_path), open_newest(str(tmp_path)))
    assert (tmp_path / "checkpoint").stat().st_mtime_ns == before
