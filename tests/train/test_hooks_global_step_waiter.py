"""Waiting for a global step that nobody else could raise."""

import pytest
from fake_training import CountingModel, run_loop

from raydnn.train import GlobalStepWaiterHook


def test_training_begins_with_a_warning_where_the_step_is_not_reached(caplog: pytest.LogCaptureFixture) -> None:
    model = CountingModel(global_step=2)
    run_loop(model, [GlobalStepWaiterHook(10)], steps=3)
    assert model.global_step == 5
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "global step 2 is before 10" in record.getMessage()


@pytest.mark.parametrize("wait_until_step", [-1, 0, 3, 7])
def test_a_step_that_is_reached_is_not_mentioned(wait_until_step: int, caplog: pytest.LogCaptureFixture) -> None:
    model = CountingModel(global_step=7)
    run_loop(model, [GlobalStepWaiterHook(wait_until_step)], steps=2)
    assert model.global_step == 9
    assert caplog.messages == []


def test_each_session_looks_again(caplog: pytest.LogCaptureFixture) -> None:
    hook, model = GlobalStepWaiterHook(4), CountingModel()
    for _ in range(3):
        run_loop(model, [hook], steps=2)
    assert [message.split(",")[0] for message in caplog.messages] == [
        f"GlobalStepWaiterHook: global step {step} is before 4" for step in (0, 2)
    ]
