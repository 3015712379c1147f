"""With what, and how often, the input and model functions are called."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_model_fn import LINE_X, line_fn, line_input_fn

import raydnn
from raydnn import EstimatorSpec, ModeKeys, RunConfig

ACTIONS = {"train": ModeKeys.TRAIN, "evaluate": ModeKeys.EVAL, "predict": ModeKeys.PREDICT}
EVERY_ACTION = pytest.mark.parametrize("action", list(ACTIONS))


def run(estimator: raydnn.Estimator, action: str, input_fn: Any) -> None:
    returned = getattr(estimator, action)(input_fn)
    if isinstance(returned, Iterator):
        list(returned)


class Calls:
    """Counts what is called, and keeps the arguments."""

    def __init__(self) -> None:
        self.of_input_fn: list[dict[str, Any]] = []
        self.of_model_fn: list[dict[str, Any]] = []

    def input_fn(self, mode: str, params: Any, config: Any) -> Iterator[Any]:
        self.of_input_fn.append({"mode": mode, "params": params, "config": config})
        return line_input_fn(2)()

    def model_fn(self, features: Any, labels: Any, mode: str, params: Any, config: Any) -> EstimatorSpec:
        self.of_model_fn.append({"labels": labels, "mode": mode, "params": params, "config": config})
        return line_fn()(features, labels, mode)


@EVERY_ACTION
def test_both_functions_get_mode_params_and_config(tmp_path: Path, action: str) -> None:
    calls = Calls()
    estimator = raydnn.Estimator(calls.model_fn, tmp_path, RunConfig(tf_random_seed=3), {"a": [1]})
    run(estimator, action, calls.input_fn)
    for call in (*calls.of_input_fn, *calls.of_model_fn):
        assert (call["mode"], call["params"]) == (ACTIONS[action], {"a": [1]})
        assert call["config"].tf_random_seed == 3
        assert call["config"].model_dir == str(tmp_path)


@EVERY_ACTION
def test_each_call_calls_the_input_fn_anew_and_once(tmp_path: Path, action: str) -> None:
    calls = Calls()
    estimator = raydnn.Estimator(calls.model_fn, tmp_path, params={})
    for times in (1, 2, 3):
        run(estimator, action, calls.input_fn)
        assert len(calls.of_input_fn) == times


@pytest.mark.parametrize(("action", "has_labels"), [("train", True), ("evaluate", True), ("predict", False)])
def test_labels_are_none_only_in_prediction(tmp_path: Path, action: str, has_labels: bool) -> None:
    calls = Calls()
    run(raydnn.Estimator(calls.model_fn, tmp_path, params={}), action, calls.input_fn)
    assert {call["labels"] is not None for call in calls.of_model_fn} == {has_labels}


def test_labels_need_not_be_declared_for_prediction(tmp_path: Path) -> None:
    estimator = raydnn.Estimator(lambda features, mode: EstimatorSpec(mode, features["x"]), tmp_path)
    assert list(estimator.predict(line_input_fn(1))) == LINE_X.tolist()


def test_a_model_fn_without_labels_trains_where_the_input_has_none(tmp_path: Path) -> None:
    def model_fn(features: Any, mode: str) -> EstimatorSpec:
        return line_fn()(features, features["x"], mode)

    estimator = raydnn.Estimator(model_fn, tmp_path).train(lambda: {"x": LINE_X}, steps=2)
    assert estimator.get_variable_value("global_step") == 2


@EVERY_ACTION
@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("kind", [tuple, list])
def test_a_tuple_or_list_that_is_no_pair_is_refused(tmp_path: Path, action: str, length: int, kind: type) -> None:
    estimator = raydnn.Estimator(line_fn(), tmp_path)
    with pytest.raises(ValueError, match=f"of length {length}"):
        run(estimator, action, lambda: kind([{"x": LINE_X}] * length))


@EVERY_ACTION
def test_what_is_no_spec_is_refused(tmp_path: Path, action: str) -> None:
    with pytest.raises(ValueError, match="must return an EstimatorSpec"):
        run(raydnn.Estimator(lambda features, labels, mode: {}, tmp_path), action, line_input_fn(1))


def test_every_call_begins_with_the_values_that_the_seed_gives(tmp_path: Path) -> None:
    config = RunConfig(tf_random_seed=1, save_checkpoints_steps=None)
    estimator = raydnn.Estimator(line_fn(), tmp_path, config)
    first = [row["y"] for row in estimator.predict(line_input_fn(1))]
    estimator.train(line_input_fn(3))
    # No checkpoint was saved, so nothing of the training has remained.
    np.testing.assert_array_equal([row["y"] for row in estimator.predict(line_input_fn(1))], first)
    assert estimator.evaluate(line_input_fn(1))["global_step"] == 0


def test_a_model_function_cannot_change_the_params_of_later_calls(tmp_path: Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str, params: dict[str, Any]) -> EstimatorSpec:
        params["a"] += 1
        assert params["a"] == 6
        return line_fn()(features, labels, mode)

    estimator = raydnn.Estimator(model_fn, tmp_path, params={"a": 5}).train(line_input_fn(3))
    assert estimator.params == {"a": 5}
