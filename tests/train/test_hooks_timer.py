"""When a periodic hook is due."""

from types import SimpleNamespace

import pytest

from raydnn.train import SecondOrStepTimer


def triggered(timer: SecondOrStepTimer, steps: list[int]) -> list[int]:
    found = []
    for step in steps:
        if timer.should_trigger_for_step(step):
            timer.update_last_triggered_step(step)
            found.append(step)
    return found


@pytest.mark.parametrize(
    ("every", "steps", "expected"),
    [
        (1, [5, 6, 7], [5, 6, 7]),
        (3, [1, 2, 3, 4, 5, 6, 7], [1, 4, 7]),
        (3, [10, 10, 12, 20, 21, 23], [10, 20, 23]),
    ],
)
def test_the_first_step_triggers_and_then_every_nth(every: int, steps: list[int], expected: list[int]) -> None:
    assert triggered(SecondOrStepTimer(every_steps=every), steps) == expected


def test_seconds_trigger_when_they_have_passed_but_never_twice_at_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("raydnn.train.hooks.timer.time", SimpleNamespace(monotonic=lambda: clock.now))
    timer = SecondOrStepTimer(every_secs=2)
    assert triggered(timer, [1, 2]) == [1]
    clock.now += 3
    assert triggered(timer, [1, 2, 3]) == [2]


def test_a_trigger_tells_seconds_and_steps_since_the_one_before() -> None:
    timer = SecondOrStepTimer(every_steps=2)
    assert timer.update_last_triggered_step(4) == (None, None)
    assert timer.last_triggered_step() == 4
    elapsed, steps = timer.update_last_triggered_step(9)
    assert steps == 5
    assert elapsed is not None
    assert 0 <= elapsed < 10


def test_reset_forgets_the_last_trigger() -> None:
    timer = SecondOrStepTimer(every_steps=2)
    assert triggered(timer, [4]) == [4]
    timer.reset()
    assert timer.last_triggered_step() is None
    assert triggered(timer, [4]) == [4]


@pytest.mark.parametrize("arguments", [{}, {"every_secs": 1.0, "every_steps": 1}])
def test_exactly_one_of_seconds_and_steps_is_needed(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        SecondOrStepTimer(**arguments)
