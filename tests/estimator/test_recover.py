"""RunConfig(recover=True): going on from an older checkpoint when the newest is damaged."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_data import fake_batches, fake_classifier, fake_columns

import raydnn
from raydnn import errors, feature_column, storage
from raydnn.estimator.export import build_raw_serving_input_receiver_fn
from raydnn.train.checkpoint import reader
from raydnn.train.checkpoint.state import read_state


def batch_fn() -> Any:
    return fake_batches(1)[0]


def classifier(model_dir: Path, recover: bool = True, **settings: Any) -> raydnn.DNNClassifier:
    config = raydnn.RunConfig(tf_random_seed=1, save_checkpoints_steps=3, recover=recover, **settings)
    return fake_classifier(model_dir, config)


def change_a_byte(model_dir: Path, step: int, file: str = "variables.safetensors") -> Path:
    path = model_dir / f"model.ckpt-{step}" / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(bytes(content))
    return path


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said of damaged checkpoints."""
    of_recovery = [record for record in caplog.records if record.name == "raydnn.train.checkpoint.recovery"]
    assert all(record.levelno == logging.WARNING for record in of_recovery)
    return [record.getMessage() for record in of_recovery]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with checkpoints at 0, 3, 6, 9 and 10."""
    path = tmp_path_factory.mktemp("trained")
    classifier(path).train(batch_fn, max_steps=10)
    return path


@pytest.fixture
def whole(trained: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(trained, tmp_path / "model"))


@pytest.fixture
def model_dir(whole: Path) -> Path:
    """A copy of it with the newest checkpoint damaged."""
    change_a_byte(whole, 10)
    return whole


def export(estimator: raydnn.DNNClassifier) -> None:
    receiver = build_raw_serving_input_receiver_fn(feature_column.make_parse_example_spec(fake_columns()))
    estimator.export_saved_model(f"{estimator.model_dir}/export", receiver)


ACTIONS: dict[str, Callable[[raydnn.DNNClassifier], Any]] = {
    "train": lambda estimator: estimator.train(batch_fn, steps=1),
    "evaluate": lambda estimator: estimator.evaluate(batch_fn, steps=1),
    "predict": lambda estimator: next(estimator.predict(batch_fn)),
    "get_variable_value": lambda estimator: estimator.get_variable_value("dnn/logits/bias"),
    "get_variable_names": lambda estimator: estimator.get_variable_names(),
    "export": export,
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("file", ["variables.safetensors", "manifest.json"])
def test_every_action_falls_back_with_one_warning(
    whole: Path, caplog: pytest.LogCaptureFixture, action: str, file: str
) -> None:
    change_a_byte(whole, 10, file)
    change_a_byte(whole, 9)
    ACTIONS[action](classifier(whole))
    (warning,) = warnings(caplog)
    assert f"{whole}/model.ckpt-10/{file} is damaged" in warning
    assert f"{whole}/model.ckpt-9/variables.safetensors is damaged" in warning
    assert f"Using {whole}/model.ckpt-6 instead; steps lost: 4" in warning
    # Only training writes.
    assert ("model.ckpt-9" in read_state(str(whole))) is (action != "train")


@pytest.mark.parametrize("action", [action for action in ACTIONS if action != "get_variable_names"])
def test_without_recover_the_file_is_named_and_the_way_out(model_dir: Path, action: str) -> None:
    with pytest.raises(errors.DataLossError, match=r"model\.ckpt-10/variables.*RunConfig\(recover=True\)"):
        ACTIONS[action](classifier(model_dir, recover=False))


@pytest.mark.parametrize("action", ACTIONS)
def test_if_none_is_whole_no_action_starts_from_scratch(model_dir: Path, action: str) -> None:
    for step in (0, 3, 6, 9):
        change_a_byte(model_dir, step)
    before = storage.list_folder(str(model_dir)), read_state(str(model_dir))
    with pytest.raises(errors.DataLossError, match=r"no checkpoint in .* is whole: .*-10.*-9.*-6.*-3.*-0"):
        ACTIONS[action](classifier(model_dir))
    assert (storage.list_folder(str(model_dir)), read_state(str(model_dir))) == before


def test_the_values_are_those_of_the_older_checkpoint(model_dir: Path) -> None:
    estimator = classifier(model_dir)
    older = str(model_dir / "model.ckpt-9")
    assert estimator.get_variable_value("global_step") == 9
    assert estimator.evaluate(batch_fn, steps=1) == estimator.evaluate(batch_fn, steps=1, checkpoint_path=older)
    np.testing.assert_array_equal(
        next(estimator.predict(batch_fn))["logits"],
        next(estimator.predict(batch_fn, checkpoint_path=older))["logits"],
    )


def test_a_checkpoint_that_is_named_is_not_replaced(model_dir: Path) -> None:
    with pytest.raises(errors.DataLossError, match=r"model\.ckpt-10/variables"):
        classifier(model_dir).evaluate(batch_fn, steps=1, checkpoint_path=str(model_dir / "model.ckpt-10"))


def test_training_that_recovered_ends_where_undisturbed_training_does(trained: Path, model_dir: Path) -> None:
    change_a_byte(model_dir, 9)
    recovered = classifier(model_dir).train(batch_fn, max_steps=10)
    whole = classifier(trained)
    assert read_state(str(model_dir)) == read_state(str(trained))
    for name in whole.get_variable_names():
        np.testing.assert_array_equal(recovered.get_variable_value(name), whole.get_variable_value(name), err_msg=name)


def test_damaged_checkpoints_are_forgotten_and_their_folders_stay_until_saved_again(model_dir: Path) -> None:
    change_a_byte(model_dir, 9)
    classifier(model_dir, keep_checkpoint_max=2).train(batch_fn, max_steps=7)
    assert read_state(str(model_dir)) == ["model.ckpt-6", "model.ckpt-7"]
    assert (model_dir / "model.ckpt-9").exists()
    # The saves go on from step 7: step 9 is passed by, step 10 is saved again.
    estimator = classifier(model_dir, recover=False).train(batch_fn, max_steps=10)
    assert read_state(str(model_dir)) == ["model.ckpt-6", "model.ckpt-7", "model.ckpt-10"]
    assert estimator.get_variable_value("global_step") == 10
    assert (model_dir / "model.ckpt-9").exists()


@pytest.mark.parametrize(("max_steps", "is_skipped"), [(9, True), (10, False)])
def test_max_steps_counts_from_the_checkpoint_that_is_used(model_dir: Path, max_steps: int, is_skipped: bool) -> None:
    before = (model_dir / "checkpoint").stat().st_mtime_ns
    estimator = classifier(model_dir).train(batch_fn, max_steps=max_steps)
    assert estimator.get_variable_value("global_step") == max_steps
    assert ((model_dir / "checkpoint").stat().st_mtime_ns == before) is is_skipped


def test_a_newest_checkpoint_that_is_gone_is_not_a_start_from_scratch(model_dir: Path) -> None:
    shutil.rmtree(model_dir / "model.ckpt-10")
    estimator = classifier(model_dir).train(batch_fn, steps=2)
    assert estimator.get_variable_value("global_step") == 11


def test_a_first_training_needs_no_checkpoint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert classifier(tmp_path).train(batch_fn, max_steps=1).get_variable_value("global_step") == 1
    assert warnings(caplog) == []


def test_training_checks_each_file_once(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    monkeypatch.setattr(reader, "sha256", lambda path, real=reader.sha256: checked.append(path) or real(path))
    classifier(whole).train(batch_fn, steps=1)
    assert checked == [whole / "model.ckpt-10" / "variables.safetensors"]
