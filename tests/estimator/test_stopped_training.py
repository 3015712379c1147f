"""Training that a signal stops: the step is ended and saved, and the same call goes on with the next row."""

import signal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import resumed_calls
from fake_data import fake_classifier, fake_input_fn
from resumed_calls import (
    assert_each_epoch_uses_each_row_once,
    assert_same_bits,
    assert_the_ledger_has_each_row_once,
)

import raydnn
from raydnn.errors import TrainingStoppedError
from raydnn.estimator import EvalSpec, TrainSpec, train_and_evaluate, train_call
from raydnn.tracking.event_file import read_scalars
from raydnn.train import SessionRunContext, SessionRunHook, load_checkpoint, stop_on_signals


@pytest.fixture(autouse=True)
def each_call_is_made_by_a_program_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = count()
    monkeypatch.setattr(train_call, "_this_program", lambda: str(next(numbers)))


class _SignalAt(SessionRunHook):
    def __init__(self, step: int, number: signal.Signals = signal.SIGINT) -> None:
        self.step, self.number = step, number

    def after_run(self, run_context: SessionRunContext, run_values: Any) -> None:
        if run_context.session.global_step == self.step:
            signal.raise_signal(self.number)


def test_a_stopped_run_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    with (
        stop_on_signals(),
        pytest.raises(TrainingStoppedError, match=r"by SIGTERM: .*model.ckpt-17 is saved") as raised,
    ):
        resumed_calls.two_epochs(tmp_path / "stopped", seed=5, hooks=[_SignalAt(17, signal.SIGTERM)])
    assert raised.value.signal == signal.SIGTERM
    with stop_on_signals(), pytest.raises(TrainingStoppedError, match="by SIGINT"):
        resumed_calls.two_epochs(tmp_path / "stopped", seed=5, hooks=[_SignalAt(40)])
    stopped = resumed_calls.two_epochs(tmp_path / "stopped", seed=5)
    assert_each_epoch_uses_each_row_once(tmp_path / "stopped")
    assert [step for step, _ in resumed_calls.ledger(tmp_path / "stopped")] == list(range(1, 53))
    assert_the_ledger_has_each_row_once(tmp_path / "stopped")
    assert_same_bits(stopped, resumed_calls.two_epochs(tmp_path / "whole", seed=5))


def test_without_checkpoints_the_error_says_so(tmp_path: Path) -> None:
    config = raydnn.RunConfig(save_checkpoints_secs=None, save_checkpoints_steps=None)
    with stop_on_signals() as request, pytest.raises(TrainingStoppedError, match="a request: no checkpoint was saved"):
        request.make()
        fake_classifier(tmp_path, config).train(fake_input_fn())


def test_nothing_is_evaluated_after_a_stop(tmp_path: Path) -> None:
    classifier = fake_classifier(tmp_path, raydnn.RunConfig(save_checkpoints_steps=2))
    train_spec = TrainSpec(fake_input_fn(8), hooks=[_SignalAt(5)])
    with stop_on_signals(), pytest.raises(TrainingStoppedError):
        train_and_evaluate(classifier, train_spec, EvalSpec(fake_input_fn(), throttle_secs=0))
    assert load_checkpoint(str(tmp_path)).global_step == 5
    assert sorted(read_scalars(str(tmp_path / "eval"))) == [2, 4]


def test_a_process_that_only_evaluates_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"chief": ["a:1"]}, "task": {"type": "evaluator", "index": 0}}')
    classifier = fake_classifier(tmp_path)
    with stop_on_signals() as request:
        request.make()
        assert train_and_evaluate(classifier, TrainSpec(fake_input_fn()), EvalSpec(fake_input_fn())) == (None, None)
