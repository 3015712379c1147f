"""Stopping early by what evaluations have shown, and evaluating live weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raydnn
from raydnn.estimator import experimental
from raydnn.feature_column import numeric_column
from raydnn.tracking.event_file import EventFileWriter, read_scalars
from raydnn.train import FinalOpsHook, ProfilerHook


def input_fn(rows: int = 40) -> Any:
    x = np.linspace(-1, 1, rows, dtype=np.float32)
    return raydnn.inputs.from_numpy({"x": x}, (x > 0).astype(np.int64), batch_size=4)


def classifier(model_dir: Path, **config: Any) -> raydnn.DNNClassifier:
    return raydnn.DNNClassifier(
        [2], [numeric_column("x")], model_dir=model_dir, config=raydnn.RunConfig(tf_random_seed=1, **config)
    )


def write_evaluations(folder: Path, values: dict[int, float]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with EventFileWriter(folder) as writer:
        for step, value in values.items():
            writer.add_scalar("auc", value, step)


def steps_trained(estimator: raydnn.DNNClassifier, hook: raydnn.train.SessionRunHook) -> int:
    estimator.train(input_fn, hooks=[hook])
    return int(estimator.get_variable_value("global_step"))


EVERY_STEP = {"run_every_secs": None, "run_every_steps": 1}


@pytest.mark.parametrize(
    ("make", "values", "stops"),
    [
        (lambda e: experimental.stop_if_higher_hook(e, "auc", 0.8, **EVERY_STEP), {1: 0.7, 2: 0.81}, True),
        (lambda e: experimental.stop_if_higher_hook(e, "auc", 0.8, **EVERY_STEP), {1: 0.7, 2: 0.75}, False),
        (lambda e: experimental.stop_if_higher_hook(e, "auc", 0.8, min_steps=3, **EVERY_STEP), {2: 0.9}, False),
        (lambda e: experimental.stop_if_lower_hook(e, "auc", 0.3, **EVERY_STEP), {1: 0.7, 2: 0.2}, True),
        (lambda e: experimental.stop_if_lower_hook(e, "auc", 0.3, **EVERY_STEP), {1: 0.7}, False),
        (
            lambda e: experimental.stop_if_no_increase_hook(e, "auc", 10, **EVERY_STEP),
            {0: 0.5, 10: 0.6, 15: 0.6, 20: 0.55},
            True,
        ),
        (
            lambda e: experimental.stop_if_no_increase_hook(e, "auc", 10, **EVERY_STEP),
            {0: 0.5, 10: 0.6, 15: 0.6, 20: 0.61},
            False,
        ),
        (
            lambda e: experimental.stop_if_no_decrease_hook(e, "auc", 10, **EVERY_STEP),
            {0: 0.5, 10: 0.5},
            True,
        ),
        (
            lambda e: experimental.stop_if_no_decrease_hook(e, "auc", 10, **EVERY_STEP),
            {0: 0.5, 9: 0.5, 10: 0.4},
            False,
        ),
        (lambda e: experimental.stop_if_no_decrease_hook(e, "auc", 10, **EVERY_STEP), {}, False),
    ],
)
def test_training_stops_when_the_evaluations_say_so(tmp_path: Path, make: Any, values: dict[int, float], stops: bool):
    estimator = classifier(tmp_path)
    write_evaluations(tmp_path / "eval", values)
    assert steps_trained(estimator, make(estimator)) == (1 if stops else 10)


def test_the_folder_of_the_evaluations_can_be_given(tmp_path: Path):
    estimator = classifier(tmp_path / "model")
    write_evaluations(tmp_path / "other", {1: 0.9})
    hook = experimental.stop_if_higher_hook(estimator, "auc", 0.8, eval_dir=str(tmp_path / "other"), **EVERY_STEP)
    assert steps_trained(estimator, hook) == 1


def test_a_metric_that_no_evaluation_has_is_a_key_error(tmp_path: Path):
    estimator = classifier(tmp_path)
    write_evaluations(tmp_path / "eval", {1: 0.9})
    with pytest.raises(KeyError, match="recall"):
        estimator.train(input_fn, hooks=[experimental.stop_if_higher_hook(estimator, "recall", 0.8, **EVERY_STEP)])


def test_a_function_is_asked_at_the_first_step_and_every_n_steps(tmp_path: Path):
    asked = []
    hook = experimental.make_early_stopping_hook(
        classifier(tmp_path), lambda: bool(asked.append(1)), run_every_secs=None, run_every_steps=3
    )
    assert steps_trained(classifier(tmp_path), hook) == 10
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((3, lambda: True), TypeError),
        ((None, 3), TypeError),
        ((None, lambda: True, 60, 10), ValueError),
        ((None, lambda: True, None, None), ValueError),
    ],
)
def test_what_an_early_stopping_hook_refuses(tmp_path: Path, arguments: tuple[Any, ...], error: type[Exception]):
    first = classifier(tmp_path) if arguments[0] is None else arguments[0]
    with pytest.raises(error):
        experimental.make_early_stopping_hook(first, *arguments[1:])


def test_training_stops_at_the_step_of_a_checkpoint(tmp_path: Path):
    estimator = classifier(tmp_path)
    assert steps_trained(estimator, experimental.make_stop_at_checkpoint_step_hook(estimator, 4)) == 4


def test_live_weights_are_evaluated_at_the_start_every_n_iterations_and_at_the_end(tmp_path: Path):
    estimator = classifier(tmp_path)
    hook = experimental.InMemoryEvaluatorHook(estimator, input_fn, name="live", every_n_iter=4)
    estimator.train(input_fn, hooks=[hook])
    scalars = read_scalars(tmp_path / "eval_live")
    assert sorted(scalars) == [0, 4, 8, 10]
    assert scalars[10]["auc"] == pytest.approx(float(estimator.evaluate(input_fn)["auc"]))


@pytest.mark.parametrize(
    ("arguments", "config", "error"),
    [
        ({"every_n_iter": 0}, {}, ValueError),
        ({"every_n_iter": None}, {}, ValueError),
        ({}, {"num_workers": 2}, ValueError),
        ({}, {"num_workers": (1, 2), "max_failures": 1}, ValueError),
    ],
)
def test_what_the_live_evaluation_refuses(tmp_path: Path, arguments: Any, config: Any, error: type[Exception]):
    with pytest.raises(error):
        experimental.InMemoryEvaluatorHook(classifier(tmp_path, **config), input_fn, **arguments)


def test_final_values_are_fetched_at_the_end(tmp_path: Path):
    hook = FinalOpsHook({"step": "global_step", "bias": ["dnn/logits/bias"]})
    estimator = classifier(tmp_path)
    estimator.train(input_fn, hooks=[hook])
    assert hook.final_ops_values["step"] == 10
    np.testing.assert_array_equal(hook.final_ops_values["bias"][0], estimator.get_variable_value("dnn/logits/bias"))


def test_traces_are_written_every_n_steps_but_never_of_the_first(tmp_path: Path):
    hook = ProfilerHook(save_steps=4, output_dir=str(tmp_path / "traces"))
    classifier(tmp_path / "model").train(input_fn, hooks=[hook])
    files = sorted(path.name for path in (tmp_path / "traces").iterdir())
    assert files == ["timeline-5.json", "timeline-9.json"]
    assert json.loads((tmp_path / "traces" / "timeline-5.json").read_text())["traceEvents"]
