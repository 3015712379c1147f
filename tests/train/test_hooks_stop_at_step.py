"""Stopping after a number of steps."""

import pytest
from fake_training import CountingModel, run_loop

from raydnn.train import StopAtStepHook


@pytest.mark.parametrize(
    ("arguments", "start", "expected"),
    [
        ({"num_steps": 3}, 0, 3),
        ({"num_steps": 3}, 7, 10),
        ({"last_step": 3}, 0, 3),
        ({"last_step": 9}, 7, 9),
        # TensorFlow compares after the step, so one step is made even if the last one is behind.
        ({"last_step": 3}, 7, 8),
    ],
)
def test_training_stops_at_the_step(arguments: dict[str, int], start: int, expected: int) -> None:
    model = CountingModel(global_step=start)
    run_loop(model, [StopAtStepHook(**arguments)], steps=20)
    assert model.global_step == expected


@pytest.mark.parametrize("arguments", [{}, {"num_steps": 1, "last_step": 1}])
def test_exactly_one_kind_of_step_is_needed(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        StopAtStepHook(**arguments)
