"""Options of the hooks that the tests of each hook leave out."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_training import CountingModel, RecordingHook, RecordingListener, run_loop

from raydnn.tracking.event_file import read_scalars
from raydnn.train import (
    CheckpointSaverHook,
    FinalOpsHook,
    LoggingTensorHook,
    NanTensorHook,
    ProfilerHook,
    SessionRunHook,
    StepCounterHook,
    StopAtStepHook,
    SummarySaverHook,
)

PERIOD = 0.3
"""Seconds of a clock that goes on only where a test says so."""


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What the timers of hooks look at."""
    found = Clock()
    monkeypatch.setattr("raydnn.train.hooks.timer.time", found)
    return found


class Waiting(SessionRunHook):
    """Lets more than the period pass after a step."""

    def __init__(self, clock: Clock, step: int) -> None:
        self.clock = clock
        self.step = step

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if run_context.session.global_step == self.step:
            self.clock.now += 1.2 * PERIOD


def test_a_saver_refuses_a_saver_and_a_scaffold_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="saver"):
        CheckpointSaverHook(str(tmp_path), save_steps=1, saver=object(), scaffold=object())  # type: ignore[arg-type]


def test_a_saver_names_its_files_by_the_step(tmp_path: Path) -> None:
    run_loop(CountingModel(), [CheckpointSaverHook(str(tmp_path), save_steps=2)], steps=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint", "model.ckpt-0", "model.ckpt-2", "model.ckpt-3",
    ]  # fmt: skip


def test_a_saver_counts_seconds_from_its_last_save(tmp_path: Path, clock: Clock) -> None:
    listener = RecordingListener()
    hook = CheckpointSaverHook(str(tmp_path), save_secs=PERIOD, listeners=[listener])
    run_loop(CountingModel(), [hook, Waiting(clock, 2)], steps=5)
    saved = [entry for entry in listener.log if "after_save" in entry]
    assert saved == [f"listener.after_save {step}" for step in (0, 3, 5)]


def test_any_listener_alone_can_stop_training(tmp_path: Path) -> None:
    model = CountingModel()
    listeners = [RecordingListener(stop_at=2), RecordingListener()]
    run_loop(model, [CheckpointSaverHook(str(tmp_path), save_steps=1, listeners=listeners)])
    assert model.global_step == 2
    assert listeners[1].log[-3:] == ["listener.before_save 2", "listener.after_save 2", "listener.end 2"]


def test_a_step_rate_can_be_measured_every_so_many_seconds(tmp_path: Path, clock: Clock) -> None:
    hook = StepCounterHook(every_n_steps=None, every_n_secs=PERIOD, output_dir=str(tmp_path))
    run_loop(CountingModel(), [hook, Waiting(clock, 3)], steps=5)
    assert list(read_scalars(tmp_path)) == [4]
    assert 0 < read_scalars(tmp_path)[4]["global_step/sec"] < 3 / PERIOD


def test_a_step_rate_is_measured_every_hundred_steps_unless_told_otherwise(tmp_path: Path) -> None:
    run_loop(CountingModel(), [StepCounterHook(output_dir=str(tmp_path))], steps=201)
    assert list(read_scalars(tmp_path)) == [101, 201]


def test_summaries_can_be_written_every_so_many_seconds(tmp_path: Path, clock: Clock) -> None:
    hook = SummarySaverHook(save_secs=PERIOD, output_dir=str(tmp_path))
    run_loop(CountingModel(), [hook, Waiting(clock, 3)], steps=5)
    assert list(read_scalars(tmp_path)) == [1, 4]


def test_a_line_can_be_logged_every_so_many_seconds(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    with caplog.at_level("INFO"):
        run_loop(CountingModel(), [LoggingTensorHook(["global_step"], every_n_secs=PERIOD), Waiting(clock, 3)], steps=5)
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == ["global_step = 1", "global_step = 4"]


def test_a_line_has_the_tags_of_a_dict_in_sorted_order(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        hook = LoggingTensorHook({"c": "loss", "a": "global_step", "b": "w"}, every_n_iter=1)
        run_loop(CountingModel(), [hook], steps=1)
    assert caplog.messages == ["a = 1, b = [1.], c = 1.0"]


def test_stopping_compares_the_step_after_the_run_and_lets_the_other_hooks_finish() -> None:
    log: list[str] = []
    run_loop(CountingModel(global_step=4), [StopAtStepHook(last_step=5), RecordingHook(log, "last")], steps=9)
    assert log == ["last.begin", "last.after_create_session", "last.before_run", "last.after_run", "last.end"]


def test_steps_to_stop_after_count_from_the_start_of_the_session() -> None:
    model = CountingModel(global_step=4)
    run_loop(model, [StopAtStepHook(num_steps=2)], steps=9)
    assert model.global_step == 6


def test_a_nan_is_found_before_the_hooks_behind_are_told() -> None:
    log: list[str] = []
    hooks = [RecordingHook(log, "first"), NanTensorHook("loss"), RecordingHook(log, "last")]
    with pytest.raises(RuntimeError, match="NaN"):
        run_loop(CountingModel([float("nan")]), hooks, steps=1)
    assert log[-3:] == ["first.before_run", "last.before_run", "first.after_run"]


def test_final_values_are_none_before_the_end_and_after_an_exception() -> None:
    hook = FinalOpsHook(["w", "global_step"])
    assert hook.final_ops_values is None
    with pytest.raises(RuntimeError, match="NaN"):
        run_loop(CountingModel([1.0, float("nan")]), [hook, NanTensorHook()], steps=2)
    assert hook.final_ops_values is None
    run_loop(CountingModel(), [hook], steps=3)
    assert hook.final_ops_values == [[3.0], 3]


@pytest.mark.parametrize("arguments", [{}, {"save_steps": 1, "save_secs": 1.0}])
def test_a_profiler_needs_exactly_one_period(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        ProfilerHook(**arguments)  # type: ignore[arg-type]


def test_a_profiler_counts_seconds_from_the_start_and_then_from_its_last_trace(tmp_path: Path, clock: Clock) -> None:
    hook = ProfilerHook(save_secs=PERIOD, output_dir=str(tmp_path), show_memory=True)
    run_loop(CountingModel(global_step=5), [hook, Waiting(clock, 7)], steps=4)
    assert [path.name for path in tmp_path.iterdir()] == ["timeline-8.json"]
    assert "traceEvents" in json.loads((tmp_path / "timeline-8.json").read_text())
