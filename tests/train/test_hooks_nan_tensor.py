"""Stopping at a NaN loss."""

import logging
from math import inf, nan

import pytest
from fake_training import CountingModel, RecordingHook, run_loop

from raydnn.errors import NanLossDuringTrainingError
from raydnn.train import NanTensorHook


def test_a_nan_loss_raises_with_its_step_and_without_end() -> None:
    model, after = CountingModel([1.0, nan, 1.0]), RecordingHook()
    with pytest.raises(NanLossDuringTrainingError, match=r"loss is NaN at step 2.*learning rate"):
        run_loop(model, [NanTensorHook(), after], steps=3)
    assert model.global_step == 2
    assert "hook.end" not in after.log


def test_a_nan_loss_may_only_warn_and_stop(caplog: pytest.LogCaptureFixture) -> None:
    model, after = CountingModel([1.0, nan, 1.0]), RecordingHook()
    with caplog.at_level(logging.WARNING):
        run_loop(model, [NanTensorHook(fail_on_nan_loss=False), after], steps=3)
    assert model.global_step == 2
    assert after.log[-2:] == ["hook.after_run", "hook.end"]
    assert "loss is NaN at step 2" in caplog.text


def test_infinity_is_not_nan() -> None:
    model = CountingModel([inf, -inf, 1.0])
    run_loop(model, [NanTensorHook()], steps=3)
    assert model.global_step == 3
