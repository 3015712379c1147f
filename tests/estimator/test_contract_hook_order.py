"""The order in which all hooks, those of the estimator included, are called in each phase."""

from pathlib import Path
from typing import Any

import pytest
from fake_model_fn import line_fn, line_input_fn
from fake_training import RecordingHook, RecordingListener

import raydnn
from raydnn import RunConfig
from raydnn.train import (
    CheckpointSaverHook,
    LoggingTensorHook,
    NanTensorHook,
    SessionRunHook,
    StepCounterHook,
    StopAtStepHook,
    SummarySaverHook,
)

PHASES = ("begin", "after_create_session", "before_run", "after_run", "end")
OF_THE_ESTIMATOR = (
    CheckpointSaverHook,
    StepCounterHook,
    SummarySaverHook,
    StopAtStepHook,
    NanTensorHook,
    LoggingTensorHook,
)
EVERY_NAME = {kind.__name__ for kind in OF_THE_ESTIMATOR}


def recorded(kind: type[SessionRunHook], phase: str, log: list[str]) -> Any:
    """The method of a hook, which also writes its name into the log."""
    method = getattr(kind, phase)

    def recording(self: SessionRunHook, *arguments: Any) -> Any:
        log.append(f"{kind.__name__}.{phase}")
        return method(self, *arguments)

    return recording


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every call of the estimator's own hooks, which do their work all the same."""
    log: list[str] = []
    for kind in OF_THE_ESTIMATOR:
        for phase in PHASES:
            monkeypatch.setattr(kind, phase, recorded(kind, phase, log))
    return log


def test_training_calls_every_hook_in_tensorflows_order_in_every_phase(tmp_path: Path, log: list[str]) -> None:
    model_fn = line_fn(
        training_chief_hooks=[RecordingHook(log, "chief 1"), RecordingHook(log, "chief 2")],
        training_hooks=[RecordingHook(log, "last 1"), RecordingHook(log, "last 2")],
        evaluation_hooks=[RecordingHook(log, "never")],
        prediction_hooks=[RecordingHook(log, "never")],
    )
    raydnn.Estimator(model_fn, tmp_path, RunConfig(save_checkpoints_steps=2)).train(
        line_input_fn(9),
        hooks=[RecordingHook(log, "user 1"), RecordingHook(log, "user 2")],
        steps=3,
        saving_listeners=[RecordingListener(log, "listener 1"), RecordingListener(log, "listener 2")],
    )

    listeners = ("listener 1", "listener 2")

    def phase(name: str, *of_listeners: str) -> list[str]:
        others = [
            "chief 1", "chief 2", "StepCounterHook", "SummarySaverHook", "user 1", "user 2", "StopAtStepHook",
            "NanTensorHook", "LoggingTensorHook", "last 1", "last 2",
        ]  # fmt: skip
        heard = [f"{listener}.{call}" for call in of_listeners for listener in listeners]
        return [f"CheckpointSaverHook.{name}", *heard, *(f"{other}.{name}" for other in others)]

    assert log == [
        *phase("begin", "begin"),
        *phase("after_create_session", "before_save 0", "after_save 0"),
        *phase("before_run"),
        *phase("after_run"),
        *phase("before_run"),
        *phase("after_run", "before_save 2", "after_save 2"),
        *phase("before_run"),
        *phase("after_run"),
        *phase("end", "before_save 3", "after_save 3", "end 3"),
    ]


@pytest.mark.parametrize(
    ("config", "arguments", "missing"),
    [
        ({}, {"steps": 1}, set()),
        ({}, {"max_steps": 1}, set()),
        ({}, {}, {"StopAtStepHook"}),
        ({"save_checkpoints_steps": None}, {"steps": 1}, {"CheckpointSaverHook"}),
        ({"save_checkpoints_secs": 0}, {"steps": 1}, {"CheckpointSaverHook"}),
        ({"log_step_count_steps": None}, {"steps": 1}, {"StepCounterHook", "LoggingTensorHook"}),
        ({"save_summary_steps": 0}, {"steps": 1}, {"SummarySaverHook"}),
        ({"save_summary_steps": None}, {"steps": 1}, {"SummarySaverHook"}),
    ],
)
def test_the_settings_decide_which_hooks_there_are(
    tmp_path: Path, log: list[str], config: dict[str, Any], arguments: dict[str, int], missing: set[str]
) -> None:
    raydnn.Estimator(line_fn(), tmp_path, RunConfig(**config)).train(line_input_fn(1), **arguments)
    begun = [entry.removesuffix(".begin") for entry in log if entry.endswith(".begin")]
    assert sorted(begun) == sorted(EVERY_NAME - missing)


def test_a_saver_of_the_users_stands_among_the_users_hooks(tmp_path: Path, log: list[str]) -> None:
    hooks = [
        RecordingHook(log, "user 1"),
        CheckpointSaverHook(str(tmp_path), save_steps=9),
        RecordingHook(log, "user 2"),
    ]
    raydnn.Estimator(line_fn(), tmp_path).train(line_input_fn(1), hooks=hooks)
    for phase in PHASES:
        assert [entry for entry in log if entry.endswith(f".{phase}")] == [
            f"{name}.{phase}"
            for name in (
                "StepCounterHook", "SummarySaverHook", "user 1", "CheckpointSaverHook", "user 2", "NanTensorHook",
                "LoggingTensorHook",
            )
        ]  # fmt: skip


@pytest.mark.parametrize(("action", "part"), [("evaluate", "evaluation_hooks"), ("predict", "prediction_hooks")])
def test_evaluation_and_prediction_call_the_users_hooks_before_the_models(
    tmp_path: Path, log: list[str], action: str, part: str
) -> None:
    parts = {name: [RecordingHook(log, "never")] for name in ("training_chief_hooks", "training_hooks")}
    parts |= {name: [RecordingHook(log, "never")] for name in ("evaluation_hooks", "prediction_hooks")}
    parts[part] = [RecordingHook(log, "last 1"), RecordingHook(log, "last 2")]
    estimator = raydnn.Estimator(line_fn(**parts), tmp_path)
    users = [RecordingHook(log, "user 1"), RecordingHook(log, "user 2")]
    returned = getattr(estimator, action)(line_input_fn(2), hooks=users)
    if action == "predict":
        list(returned)
    phases = ["begin", "after_create_session", "before_run", "after_run", "before_run", "after_run", "end"]
    assert log == [f"{name}.{phase}" for phase in phases for name in ("user 1", "user 2", "last 1", "last 2")]


def test_a_hook_that_raises_keeps_later_hooks_and_every_end_from_being_called(tmp_path: Path, log: list[str]) -> None:
    class Failing(RecordingHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            super().after_run(run_context, run_values)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        raydnn.Estimator(line_fn(), tmp_path).train(line_input_fn(2), hooks=[Failing(log, "failing")], steps=2)
    assert log[-4:] == [
        "CheckpointSaverHook.after_run", "StepCounterHook.after_run", "SummarySaverHook.after_run", "failing.after_run",
    ]  # fmt: skip
    assert not [entry for entry in log if entry.endswith(".end")]
