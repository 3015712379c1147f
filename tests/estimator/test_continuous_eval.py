"""Evaluating what another process trains."""

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import raydnn
from raydnn.estimator import EvalSpec, Exporter, FinalExporter, LatestExporter, TrainSpec, train_and_evaluate
from raydnn.estimator import continuous_eval as module
from raydnn.estimator.continuous_eval import evaluate_continuously
from raydnn.estimator.export import build_raw_serving_input_receiver_fn
from raydnn.feature_column import numeric_column
from raydnn.tracking.event_file import read_scalars

RECEIVER = build_raw_serving_input_receiver_fn({"x": "float32"})


def input_fn() -> Any:
    x = np.linspace(-1, 1, 16, dtype=np.float32)
    return raydnn.inputs.from_numpy({"x": x}, (x > 0).astype(np.int64), batch_size=4, num_epochs=4)


def classifier(model_dir: Path) -> raydnn.DNNClassifier:
    settings = raydnn.RunConfig(tf_random_seed=1, save_checkpoints_steps=100)
    return raydnn.DNNClassifier([2], [numeric_column("x")], model_dir=model_dir, config=settings)


def spec(**arguments: Any) -> EvalSpec:
    return EvalSpec(input_fn, **{"steps": 1, "start_delay_secs": 0, "throttle_secs": 0, **arguments})


class Recorder(Exporter):
    """Writes down each call, and acts after it."""

    name = "recorder"

    def __init__(self, act: Callable[[int], None] = lambda step: None) -> None:
        self.calls: list[tuple[int, bool]] = []
        self.act = act

    def export(self, estimator, export_path, checkpoint_path, eval_result, is_the_final_export):
        self.calls.append((int(eval_result["global_step"]), is_the_final_export))
        self.act(int(eval_result["global_step"]))
        return b"path"


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECS", 0.02)


def test_it_follows_a_training_to_its_last_step(tmp_path: Path) -> None:
    recorder = Recorder()
    exporters = [recorder, LatestExporter("latest", RECEIVER), FinalExporter("final", RECEIVER)]

    def train() -> None:
        for step in (2, 4, 6):
            classifier(tmp_path).train(input_fn, max_steps=step)
            while recorder.calls[-1:] != [(step, step == 6)]:
                time.sleep(0.01)

    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    metrics, exports = evaluate_continuously(classifier(tmp_path), spec(exporters=exporters, name="later"), 6)
    thread.join()
    # The first checkpoint is that of step 0, which may be seen or not; so may one in the middle of a training be.
    steps = [step for step, _ in recorder.calls]
    assert steps == sorted(set(steps))
    assert {2, 4, 6} <= set(steps)
    assert recorder.calls[-1] == (6, True)
    assert not any(is_final for _, is_final in recorder.calls[:-1])
    assert metrics["global_step"] == 6
    assert sorted(read_scalars(tmp_path / "eval_later")) == steps
    assert exports[0] == b"path"
    assert raydnn.export.load(exports[1]).manifest.global_step == 6
    assert raydnn.export.load(exports[2]).manifest.global_step == 6


def test_older_checkpoints_are_passed_over(tmp_path: Path) -> None:
    estimator = classifier(tmp_path).train(input_fn, max_steps=2).train(input_fn, max_steps=4)
    recorder = Recorder(lambda step: step == 4 and estimator.train(input_fn, max_steps=6).train(input_fn, max_steps=8))
    evaluate_continuously(estimator, spec(exporters=recorder), 8)
    assert recorder.calls == [(4, False), (8, True)]


def test_a_checkpoint_beyond_max_steps_ends_it_at_once(tmp_path: Path) -> None:
    estimator = classifier(tmp_path).train(input_fn, max_steps=3)
    metrics, exports = evaluate_continuously(estimator, spec(), 2)
    assert (metrics["global_step"], exports) == (3, [])


def test_the_last_checkpoint_before_a_stop_is_evaluated(tmp_path: Path) -> None:
    estimator = classifier(tmp_path).train(input_fn, max_steps=2)
    stop = threading.Event()
    recorder = Recorder(lambda step: (estimator.train(input_fn, max_steps=4), stop.set()))
    metrics, _ = evaluate_continuously(estimator, spec(exporters=recorder, throttle_secs=600), None, stop.is_set)
    assert recorder.calls == [(2, False), (4, False)]
    assert metrics["global_step"] == 4


@pytest.mark.parametrize("waiting", [{"start_delay_secs": 600}, {"throttle_secs": 600}])
def test_a_stop_ends_the_waiting(waiting: dict[str, int], tmp_path: Path) -> None:
    asked = []

    def should_stop() -> bool:
        asked.append(True)
        return len(asked) > 3

    assert evaluate_continuously(classifier(tmp_path), spec(**waiting), 2, should_stop) == (None, None)


def test_the_first_look_is_after_the_start_delay_and_the_next_after_the_throttle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = classifier(tmp_path).train(input_fn, max_steps=1)
    clock = SimpleNamespace(now=0.0)

    def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep))
    times = [clock.now]

    def act(step: int) -> None:
        times.append(clock.now)
        # An evaluation's own time is part of the throttle.
        clock.now += 0.2
        estimator.train(input_fn, max_steps=step + 1)

    evaluate_continuously(estimator, spec(exporters=Recorder(act), start_delay_secs=0.3, throttle_secs=0.5), 3)
    np.testing.assert_allclose(np.diff(times), [0.3, 0.5, 0.5])


@pytest.mark.parametrize(
    ("trained", "throttle_secs", "word", "is_hinted"),
    [(False, 0, "no checkpoint yet", True), (True, 0, "no new checkpoint", True), (True, 0.01, "no new", False)],
)
def test_waiting_for_a_checkpoint_is_said_once_in_ten_minutes(
    trained: bool,
    throttle_secs: float,
    word: str,
    is_hinted: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    estimator = classifier(tmp_path)
    if trained:
        estimator.train(input_fn, max_steps=1)
    asked = []

    def should_stop() -> bool:
        asked.append(True)
        return len(asked) > 20

    def warnings() -> list[str]:
        asked.clear()
        caplog.clear()
        with caplog.at_level(logging.WARNING, "raydnn"):
            evaluate_continuously(estimator, spec(throttle_secs=throttle_secs), 9, should_stop)
        return [record.getMessage() for record in caplog.records]

    (message,) = warnings()
    assert word in message
    assert ("throttle_secs is 0" in message) is is_hinted
    monkeypatch.setattr(module, "WARNING_SECS", 0)
    assert len(warnings()) > 1


def test_a_checkpoint_that_training_removes_meanwhile_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    estimator = classifier(tmp_path).train(input_fn, max_steps=2)
    recorder = Recorder()

    def slow_input_fn() -> Any:
        folder = tmp_path / "model.ckpt-2"
        if folder.exists():
            estimator.train(input_fn, max_steps=4)
            shutil.rmtree(folder)
            raise FileNotFoundError("half of it was read")
        return input_fn()

    evaluation = EvalSpec(slow_input_fn, 1, exporters=recorder, start_delay_secs=0, throttle_secs=600)
    metrics, _ = evaluate_continuously(estimator, evaluation, 4)
    assert metrics["global_step"] == 4
    assert recorder.calls == [(4, True)]
    assert "model.ckpt-2 was removed while it was evaluated (half of it was read)" in caplog.text


def test_any_other_error_ends_it(tmp_path: Path) -> None:
    def broken_input_fn() -> Any:
        raise FileNotFoundError("no such data")

    estimator = classifier(tmp_path).train(input_fn, max_steps=1)
    with pytest.raises(FileNotFoundError, match="no such data"):
        evaluate_continuously(estimator, EvalSpec(broken_input_fn, start_delay_secs=0), 1)


def test_train_and_evaluate_evaluates_in_the_evaluators_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier(tmp_path).train(input_fn, max_steps=2)
    cluster = {"chief": ["chief:1"], "worker": ["worker:2"]}

    def run(index: int) -> Any:
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "evaluator", "index": index}}))
        return train_and_evaluate(classifier(tmp_path), TrainSpec(input_fn, max_steps=2), spec())

    metrics, _ = run(0)
    assert metrics["global_step"] == 2
    with pytest.raises(ValueError, match="TF_CONFIG makes this process evaluator 1; there is one alone"):
        run(1)
