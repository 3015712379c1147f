"""A warning of an evaluation whose predictions are all of one class."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raydnn
from raydnn import feature_column
from raydnn.train import GradientDescentOptimizer, save_checkpoint

ROWS = 400


def rows(labels: Any, count: int = ROWS) -> Callable[[], raydnn.inputs.Dataset]:
    x = np.random.default_rng(2).normal(size=count).astype(np.float32)
    return lambda: raydnn.inputs.from_numpy({"x": x}, np.resize(labels, count), batch_size=64)


def classifier(model_dir: Path, bias: list[float], step: int = 3) -> raydnn.DNNClassifier:
    """Predicts the same logits for all rows."""
    classes = max(len(bias), 2)
    made = raydnn.DNNClassifier(
        [2],
        [feature_column.numeric_column("x")],
        model_dir=model_dir,
        n_classes=classes,
        optimizer=GradientDescentOptimizer(0.1),
    )
    zeros = {
        "dnn/hiddenlayer_0/kernel": np.zeros((1, 2)),
        "dnn/hiddenlayer_0/bias": np.zeros(2),
        "dnn/logits/kernel": np.zeros((2, len(bias))),
    }
    save_checkpoint(str(model_dir), {**zeros, "dnn/logits/bias": np.array(bias)}, step)
    return made


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("bias", "labels", "told"),
    [([-1.0], [0, 0, 0, 1], "class 0 for all 400 rows"), ([0.0, 1.0, 2.0], [0, 1, 1, 2], "class 2 for all 400 rows")],
)
def test_one_class_for_all_rows_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, bias: list[float], labels: list[int], told: str
) -> None:
    estimator = classifier(tmp_path, bias)
    for _ in range(2):
        estimator.evaluate(rows(labels))
    (text,) = warnings(caplog)
    others = np.mean(np.array(labels) != int(told[6]))
    assert text.startswith(f"The model predicts {told} of an evaluation at step 3, of which {100 * others:.0f} % are ")
    for way_out in ("more steps", "label is the right column", "learning rate", "weight_column"):
        assert way_out in text


@pytest.mark.parametrize(
    ("bias", "labels", "count", "step"),
    [
        ([-1.0], [0], ROWS, 3),  # all labels are of that class
        ([-1.0], [0, 1], 50, 3),  # few rows
        ([-1.0], [0, 1], ROWS, 0),  # not trained
    ],
)
def test_where_one_class_says_nothing_there_is_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, bias: list[float], labels: list[int], count: int, step: int
) -> None:
    classifier(tmp_path, bias, step).evaluate(rows(labels, count))
    assert warnings(caplog) == []


def test_a_model_that_tells_classes_apart_is_not_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    estimator = raydnn.DNNClassifier([4], [feature_column.numeric_column("x")], model_dir=tmp_path)
    x = np.random.default_rng(2).normal(size=ROWS).astype(np.float32)
    estimator.train(lambda: raydnn.inputs.from_numpy({"x": x}, (x > 0).astype(int), batch_size=64, num_epochs=20))
    assert estimator.evaluate(lambda: raydnn.inputs.from_numpy({"x": x}, (x > 0).astype(int)))["accuracy"] > 0.9
    assert warnings(caplog) == []
