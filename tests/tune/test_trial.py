"""What a trial does in its own model_dir before it goes on."""

import json
from pathlib import Path

import numpy as np
import pytest

from raydnn import config
from raydnn.estimator.train_call import CALL_FILE, TrainCall, hand_over, noted, read_call
from raydnn.train import latest_checkpoint, load_checkpoint
from raydnn.train.checkpoint.state import read_state
from raydnn.tune.trial import adopt

pytestmark = pytest.mark.usefixtures("small_run")


def trained(name: str, steps: int, seed: int) -> Path:
    overrides = {"run.model_dir": name, "run.save_checkpoints_steps": 5, "run.tf_random_seed": seed}
    run = config.load("run.yaml", overrides)
    run.estimator().train(run.train_input(), steps=steps)
    return Path(name)


def values(path: str | Path) -> dict[str, np.ndarray]:
    reader = load_checkpoint(str(path))
    return {name: reader.get_tensor(name) for name in sorted(reader.get_variable_to_shape_map())}


def test_the_weights_of_another_model_take_the_place_of_all_checkpoints() -> None:
    own, other = trained("own", 10, seed=1), trained("other", 10, seed=2)
    adopt("own", other / "model.ckpt-10")
    assert read_state("own") == ["model.ckpt-10"]
    assert sorted(path.name for path in own.glob("model.ckpt-*")) == ["model.ckpt-10"]
    taken, given = values(own), values(other)
    assert taken.keys() == given.keys()
    for name in given:
        np.testing.assert_array_equal(taken[name], given[name])
    run = config.load("run.yaml", {"run.model_dir": "own"})
    run.estimator().train(run.train_input(), max_steps=12)
    assert load_checkpoint("own").global_step == 12  # type: ignore[union-attr]


def test_an_earlier_step_of_another_model_hides_later_ones_of_its_own() -> None:
    trained("own", 15, seed=1)
    adopt("own", trained("other", 10, seed=2) / "model.ckpt-5")
    assert latest_checkpoint("own") == "own/model.ckpt-5"


def test_a_checkpoint_of_its_own_is_left_alone() -> None:
    own = trained("own", 10, seed=1)
    adopt("own", own / "model.ckpt-5")
    assert latest_checkpoint("own") == "own/model.ckpt-10"


def test_a_call_that_was_cut_short_in_this_process_can_be_gone_on_with(tmp_path: Path) -> None:
    hand_over(str(tmp_path))
    assert not (tmp_path / CALL_FILE).exists()
    call = TrainCall(3, None, 9, 7, 7)
    with pytest.raises(RuntimeError), noted(str(tmp_path), call):
        raise RuntimeError
    assert read_call(str(tmp_path)) is None
    hand_over(str(tmp_path))
    assert read_call(str(tmp_path)) == call
    assert json.loads((tmp_path / CALL_FILE).read_text())["seed"] == 7
