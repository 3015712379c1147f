"""What a model function may return in each mode."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from raydnn import EstimatorSpec, ModeKeys
from raydnn.train import GradientDescentOptimizer, SessionRunHook

LOSS = torch.tensor(1.0)
TRAIN_OP = GradientDescentOptimizer(0.1).minimize(LOSS)
PREDICTIONS = {"y": torch.zeros(2)}
COMPLETE: dict[str, dict[str, Any]] = {
    ModeKeys.TRAIN: {"loss": LOSS, "train_op": TRAIN_OP},
    ModeKeys.EVAL: {"loss": LOSS},
    ModeKeys.PREDICT: {"predictions": PREDICTIONS},
}
EACH_MODE = pytest.mark.parametrize("mode", list(COMPLETE))


def test_the_modes_have_tensorflows_values() -> None:
    assert (ModeKeys.TRAIN, ModeKeys.EVAL, ModeKeys.PREDICT) == ("train", "eval", "infer")


@EACH_MODE
def test_the_required_parts_are_enough(mode: str) -> None:
    spec = EstimatorSpec(mode, **COMPLETE[mode])
    assert spec.mode == mode
    assert spec.training_hooks == ()


@EACH_MODE
def test_each_required_part_is_missed_by_name(mode: str) -> None:
    for name in COMPLETE[mode]:
        parts = {other: value for other, value in COMPLETE[mode].items() if other != name}
        with pytest.raises(ValueError, match=f"{name} (is|are) missing"):
            EstimatorSpec(mode, **parts)


@EACH_MODE
@pytest.mark.parametrize(
    ("name", "bad", "error"),
    [
        ("loss", 1.0, TypeError),
        ("loss", np.float32(1), TypeError),
        ("loss", torch.zeros(2), ValueError),
        ("loss", torch.zeros(0), ValueError),
        ("predictions", [1, 2], TypeError),
        ("predictions", {"y": [1, 2]}, TypeError),
        ("training_hooks", [object()], TypeError),
        ("training_chief_hooks", ["hook"], TypeError),
        ("evaluation_hooks", [SessionRunHook], TypeError),
        ("prediction_hooks", [None], TypeError),
    ],
)
def test_a_part_of_a_wrong_kind_is_refused_by_name(mode: str, name: str, bad: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=name):
        EstimatorSpec(mode, **{**COMPLETE[mode], name: bad})


@pytest.mark.parametrize("bad", [LOSS, "minimize", lambda: None])
def test_only_what_minimize_gave_is_a_train_op(bad: Any) -> None:
    with pytest.raises(TypeError, match="minimize"):
        EstimatorSpec(ModeKeys.TRAIN, loss=LOSS, train_op=bad)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_loss_of_one_element_becomes_a_scalar(shape: tuple[int, ...]) -> None:
    spec = EstimatorSpec(ModeKeys.EVAL, loss=torch.ones(shape))
    assert spec.loss is not None
    assert spec.loss.shape == ()


@pytest.mark.parametrize("predictions", [torch.zeros(2), {"a": torch.zeros(2), "b": np.array([b"x"], object)}])
def test_predictions_are_a_tensor_or_a_dict(predictions: Any) -> None:
    assert EstimatorSpec(ModeKeys.PREDICT, predictions=predictions).predictions is predictions


def test_hooks_become_tuples() -> None:
    hook = SessionRunHook()
    assert EstimatorSpec(ModeKeys.EVAL, loss=LOSS, evaluation_hooks=[hook]).evaluation_hooks == (hook,)


def test_a_spec_cannot_be_changed_but_copied_with_changes_save_for_its_mode() -> None:
    spec = EstimatorSpec(ModeKeys.EVAL, loss=LOSS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.loss = LOSS  # type: ignore[misc]
    changed = spec._replace(predictions=PREDICTIONS)
    assert (changed.predictions, spec.predictions) == (PREDICTIONS, None)
    assert spec._replace(mode=ModeKeys.EVAL).mode == ModeKeys.EVAL
    with pytest.raises(ValueError, match="mode"):
        spec._replace(mode=ModeKeys.PREDICT)
    assert spec._asdict()["loss"] is spec.loss
