"""What a prediction reads and yields."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_model_fn import LINE_VARIABLES, LINE_X, line_fn, line_input_fn
from fake_training import RecordingHook

import raydnn
from raydnn import EstimatorSpec, errors
from raydnn.train import save_checkpoint

PREDICTED = (5 * LINE_X - 1).tolist()


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    save_checkpoint(str(tmp_path / "model"), LINE_VARIABLES, 7)
    return tmp_path / "model"


def predicted(estimator: raydnn.Estimator, **arguments: Any) -> list[float]:
    return [row["y"] for row in estimator.predict(line_input_fn(1), **arguments)]


def predicting(model_dir: Path, predictions: Any) -> raydnn.Estimator:
    return raydnn.Estimator(lambda features, mode: EstimatorSpec(mode, predictions), model_dir)


def test_it_is_a_generator_that_leaves_model_dir_alone(tmp_path: Path) -> None:
    predictions = raydnn.Estimator(line_fn(), tmp_path / "model").predict(line_input_fn(1))
    assert inspect.isgenerator(predictions)
    assert len(list(predictions)) == 4
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"checkpoint_path": "missing"}, ValueError, "checkpoint_path"),
        ({"hooks": [3]}, TypeError, "hooks"),
        ({"predict_keys": ["z"]}, ValueError, "'z'"),
    ],
)
def test_arguments_are_checked_at_the_first_next(
    model_dir: Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    predictions = raydnn.Estimator(line_fn(), model_dir).predict(line_input_fn(1), **arguments)
    with pytest.raises(error, match=message):
        next(predictions)


def test_the_latest_checkpoint_or_the_given_one_is_used(model_dir: Path) -> None:
    save_checkpoint(str(model_dir), {name: 0 * value for name, value in LINE_VARIABLES.items()}, 9)
    estimator = raydnn.Estimator(line_fn(), model_dir)
    assert predicted(estimator) == [0.0] * 4
    assert predicted(estimator, checkpoint_path=f"{model_dir}/model.ckpt-7") == PREDICTED


def test_without_a_checkpoint_a_warm_start_is_applied(model_dir: Path, tmp_path: Path) -> None:
    assert predicted(raydnn.Estimator(line_fn(), tmp_path / "new", warm_start_from=str(model_dir))) == PREDICTED


@pytest.mark.parametrize("is_given", [True, False])
def test_with_a_checkpoint_a_warm_start_is_not_applied(model_dir: Path, tmp_path: Path, is_given: bool) -> None:
    save_checkpoint(str(tmp_path / "earlier"), {name: 0 * value for name, value in LINE_VARIABLES.items()}, 99)
    place, path = (tmp_path / "new", f"{model_dir}/model.ckpt-7") if is_given else (model_dir, None)
    estimator = raydnn.Estimator(line_fn(), place, warm_start_from=str(tmp_path / "earlier"))
    assert predicted(estimator, checkpoint_path=path) == PREDICTED


def test_rows_must_agree_only_where_they_are_yielded_one_by_one(tmp_path: Path) -> None:
    estimator = predicting(tmp_path, {"a": torch.zeros(4), "b": torch.zeros(3, 2)})
    (batch,) = estimator.predict(line_input_fn(1), yield_single_examples=False)
    assert {key: value.shape for key, value in batch.items()} == {"a": (4,), "b": (3, 2)}
    with pytest.raises(ValueError, match="different numbers of rows"):
        next(estimator.predict(line_input_fn(1)))


def test_a_key_that_is_left_out_may_have_other_rows(tmp_path: Path) -> None:
    estimator = predicting(tmp_path, {"a": torch.arange(4), "b": torch.zeros(3)})
    assert [row["a"] for row in estimator.predict(line_input_fn(1), predict_keys=["a"])] == [0, 1, 2, 3]


@pytest.mark.parametrize(("yield_single_examples", "shapes"), [(True, [(2,)] * 4), (False, [(4, 2)])])
def test_predictions_that_are_no_dict_come_as_arrays(
    tmp_path: Path, yield_single_examples: bool, shapes: list[tuple[int, ...]]
) -> None:
    estimator = predicting(tmp_path, torch.zeros(4, 2))
    found = list(estimator.predict(line_input_fn(1), yield_single_examples=yield_single_examples))
    assert [value.shape for value in found] == shapes
    assert all(isinstance(value, np.ndarray) for value in found)


@pytest.mark.parametrize(
    ("predict_keys", "expected"),
    [
        (None, {"ab", "b", "c"}),
        ((), {"ab", "b", "c"}),
        ("", {"ab", "b", "c"}),
        (["b"], {"b"}),
        ({"b", "unknown"}, {"b"}),
        ({"c": 1}, {"c"}),
        ("ab", {"ab", "b"}),
    ],
)
def test_keys_are_kept_by_membership(tmp_path: Path, predict_keys: Any, expected: set[str]) -> None:
    estimator = predicting(tmp_path, {key: torch.zeros(4) for key in ("ab", "b", "c")})
    assert set(next(estimator.predict(line_input_fn(1), predict_keys=predict_keys))) == expected


@pytest.mark.parametrize("error", [errors.OutOfRangeError("end"), StopIteration()])
def test_an_end_that_a_hook_raises_is_a_normal_end(model_dir: Path, error: Exception) -> None:
    class Ending(RecordingHook):
        def before_run(self, run_context: Any) -> None:
            if self.results:
                raise error

    hook = Ending()
    rows = list(raydnn.Estimator(line_fn(), model_dir).predict(line_input_fn(3), hooks=[hook]))
    assert len(rows) == 4
    assert hook.log[-1] == "hook.end"


def test_hooks_see_the_predictions_of_each_batch(model_dir: Path) -> None:
    hook = RecordingHook(fetches=["y", "global_step"])
    list(raydnn.Estimator(line_fn(), model_dir).predict(line_input_fn(2), hooks=[hook]))
    assert [(y.tolist(), step) for y, step in hook.results] == [(PREDICTED, 7)] * 2


def test_the_input_is_read_no_further_than_asked_for(model_dir: Path) -> None:
    hook = RecordingHook()
    predictions = raydnn.Estimator(line_fn(), model_dir).predict(line_input_fn(3), hooks=[hook])
    for _ in range(5):
        next(predictions)
    assert hook.log.count("hook.after_run") == 2
    predictions.close()
    assert "hook.end" not in hook.log
