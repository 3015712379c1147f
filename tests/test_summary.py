"""What a model function tells TensorBoard."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_context import called

import raydnn
from raydnn import EstimatorSpec, ModeKeys, summary
from raydnn.tracking.event_file import read_scalars
from raydnn.train import variable_scope
from raydnn.train.run_context import current_call


def numbers() -> Iterator[Any]:
    for start in range(5):
        x = np.arange(start, start + 4, dtype=np.float32)
        yield {"x": x[:, None]}, x


def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
    with variable_scope("tower"):
        logits = raydnn.layers.dense(features["x"], 1)[:, 0]
        summary.scalar("largest", features["x"].max() if len(logits) else -1)
        summary.histogram("logits", logits)
    if mode == ModeKeys.PREDICT:
        return EstimatorSpec(mode, predictions=logits)
    loss = raydnn.losses.mean_squared_error(labels, logits)
    summary.scalar("double", 2 * loss)
    train_op = raydnn.train.GradientDescentOptimizer(0.01).minimize(loss)
    return EstimatorSpec(mode, loss=loss, train_op=train_op)


@pytest.mark.parametrize(
    "value", [2, 2.0, True + 1, np.float32(2), np.array([2]), torch.tensor([[2.0]]), torch.tensor(2.0).requires_grad_()]
)
def test_a_scalar_is_any_single_number(value: Any) -> None:
    scalars: dict[str, float] = {}
    called(lambda: summary.scalar("x", value), scalars=scalars)
    assert scalars == {"x": 2.0}
    assert type(scalars["x"]) is float


@pytest.mark.parametrize("value", [[1.0, 2.0], torch.zeros(0), torch.zeros(2, 2)])
def test_several_numbers_are_no_scalar(value: Any) -> None:
    with pytest.raises((RuntimeError, ValueError), match="one number"):
        called(lambda: summary.scalar("x", value), scalars={})


@pytest.mark.parametrize("values", [[1, 2], np.ones((2, 3)), torch.ones(2, 3, requires_grad=True), 3.0])
def test_a_histogram_is_of_numbers_of_any_shape(values: Any) -> None:
    histograms: dict[str, torch.Tensor] = {}
    called(lambda: summary.histogram("x", values), histograms=histograms)
    assert histograms["x"].shape == np.shape(values)
    assert not histograms["x"].requires_grad


def test_tags_stand_below_the_scope() -> None:
    def body() -> None:
        with variable_scope("a"), variable_scope("b"):
            summary.scalar("x", 1)
            summary.histogram("x", [1])
        summary.scalar("x", 2)

    scalars: dict[str, float] = {}
    histograms: dict[str, torch.Tensor] = {}
    called(body, scalars=scalars, histograms=histograms)
    assert scalars == {"a/b/x": 1.0, "x": 2.0}
    assert list(histograms) == ["a/b/x"]


def test_a_step_that_writes_no_summary_keeps_nothing() -> None:
    def body() -> None:
        summary.scalar("x", 1)
        summary.histogram("x", [1])
        assert (current_call().scalars, current_call().histograms) == (None, None)

    called(body)


def test_a_histogram_is_told_inside_a_model_function_alone() -> None:
    with pytest.raises(RuntimeError, match="only inside a model_fn"):
        summary.histogram("x", [1])


def test_summaries_are_written_every_so_many_steps_of_training(tmp_path: Path) -> None:
    config = raydnn.RunConfig(tf_random_seed=1, save_summary_steps=2, log_step_count_steps=None)
    estimator = raydnn.Estimator(model_fn, tmp_path, config).train(numbers)
    scalars = read_scalars(tmp_path)
    assert {step: values["tower/largest"] for step, values in scalars.items()} == {1: 3.0, 3: 5.0, 5: 7.0}
    for values in scalars.values():
        assert values.keys() == {"loss", "double", "tower/largest"}
        assert values["double"] == pytest.approx(2 * values["loss"], rel=1e-6)
    (path,) = tmp_path.glob("events.*")
    assert path.read_bytes().count(b"tower/logits") == 3
    estimator.evaluate(numbers)
    (written,) = read_scalars(tmp_path / "eval").values()
    assert written.keys() == {"loss"}
