"""Logging values while training."""

import logging
import re
from typing import Any

import pytest
from fake_training import CountingModel, run_loop

from raydnn.train import LoggingTensorHook


def logged(caplog: pytest.LogCaptureFixture, hook: LoggingTensorHook, steps: int = 5) -> list[str]:
    """The lines of a run, without their times."""
    with caplog.at_level(logging.INFO):
        run_loop(CountingModel(), [hook], steps)
    return [re.sub(r" \([\d.]+ sec\)", " (time)", record.getMessage()) for record in caplog.records]


def test_the_first_iteration_and_then_every_nth_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    hook = LoggingTensorHook({"step": "global_step", "loss": "loss"}, every_n_iter=2)
    assert logged(caplog, hook) == [
        "loss = 1.0, step = 1",
        "loss = 3.0, step = 3 (time)",
        "loss = 5.0, step = 5 (time)",
    ]


def test_names_in_a_list_are_their_own_tags_in_their_order(caplog: pytest.LogCaptureFixture) -> None:
    assert logged(caplog, LoggingTensorHook(["loss", "global_step"], every_n_iter=9)) == ["loss = 1.0, global_step = 1"]


def test_iterations_count_from_the_start_of_the_call(caplog: pytest.LogCaptureFixture) -> None:
    hook = LoggingTensorHook(["global_step"], every_n_iter=3)
    with caplog.at_level(logging.INFO):
        run_loop(CountingModel(global_step=7), [hook], steps=4)
        run_loop(CountingModel(global_step=20), [hook], steps=1)
    steps = [record.getMessage().split()[2] for record in caplog.records]
    assert steps == ["8", "11", "21"]


def test_seconds_decide_too(caplog: pytest.LogCaptureFixture) -> None:
    assert len(logged(caplog, LoggingTensorHook(["loss"], every_n_secs=3600))) == 1


@pytest.mark.parametrize(("every", "expected"), [(None, ["w = [5.]"]), (9, ["w = [1.]", "w = [5.]"])])
def test_the_end_can_be_logged(caplog: pytest.LogCaptureFixture, every: int | None, expected: list[str]) -> None:
    assert logged(caplog, LoggingTensorHook(["w"], every_n_iter=every, at_end=True)) == expected


def test_a_formatter_makes_the_line(caplog: pytest.LogCaptureFixture) -> None:
    def line(values: dict[str, Any]) -> str:
        return f"100% of {values['loss']:.2f}"

    hook = LoggingTensorHook({"loss": "loss"}, every_n_iter=9, formatter=line)
    assert logged(caplog, hook) == ["100% of 1.00"]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"every_n_iter": 1, "every_n_secs": 1.0},
        {"every_n_iter": 1, "every_n_secs": 1.0, "at_end": True},
        {"every_n_iter": 0},
        {"every_n_iter": -1},
    ],
)
def test_bad_periods_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="every_n_iter"):
        LoggingTensorHook(["loss"], **arguments)
