"""The worked example with TensorFlow's numbers, through the public class."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raydnn
from raydnn.losses import Reduction

CLOSE = {"rtol": 2e-5, "atol": 2e-6}

X = np.array([[1.0, 2.0], [-1.0, 0.5], [0.3, -2.0], [2.0, 1.0], [-0.5, -0.5]], np.float32)
WEIGHTS = np.array([1.0, 2.0, 0.5, 0.0, 3.0], np.float32)
LABELS = {2: np.array([1, 0, 1, 0, 1]), 3: np.array([2, 0, 1, 0, 1])}
HIDDEN = {
    "dnn/hiddenlayer_0/kernel": np.array([[0.4, -0.3, 0.2], [0.1, 0.5, -0.6]], np.float32),
    "dnn/hiddenlayer_0/bias": np.array([0.05, -0.1, 0.2], np.float32),
}
LOGITS = {
    2: {
        "dnn/logits/kernel": np.array([[0.7], [-0.2], [0.3]], np.float32),
        "dnn/logits/bias": np.array([0.15], np.float32),
    },
    3: {
        "dnn/logits/kernel": np.array([[0.7, -0.1, 0.2], [-0.2, 0.4, 0.1], [0.3, 0.2, -0.5]], np.float32),
        "dnn/logits/bias": np.array([0.1, -0.2, 0.3], np.float32),
    },
}
# Hidden kernel, logits kernel, logits bias and average loss, to the places that the reference prints.
AFTER_TWO_STEPS = {
    "SGD": (
        [[0.426064, -0.328967, 0.181324], [0.152129, 0.4955, -0.63129]],
        [0.725427, -0.225795, 0.378607],
        0.227683,
        0.5584536,
    ),
    "Adagrad": (
        [[0.45814, -0.363301, 0.151584], [0.174436, 0.486391, -0.664391]],
        [0.759038, -0.261538, 0.381499],
        0.227604,
        0.5432097,
    ),
    "Adam": (
        [[0.499861, -0.400024, 0.099933], [0.199861, 0.401121, -0.700062]],
        [0.800066, -0.299277, 0.400068],
        0.249484,
        0.5196582,
    ),
    "RMSProp": (
        [[0.428016, -0.331193, 0.179803], [0.155074, 0.495154, -0.633642]],
        [0.727428, -0.227926, 0.380979],
        0.229693,
        0.5568587,
    ),
    "Ftrl": (
        [[0.136053, -0.112655, 0.015371], [0.104602, 0.010975, -0.233611]],
        [0.198162, -0.073981, 0.254831],
        0.179813,
        0.6385963,
    ),
}


def classifier(model_dir: Path, n_classes: int = 2, **arguments: Any) -> raydnn.DNNClassifier:
    """A classifier that goes on from the variables of the example."""
    raydnn.train.save_checkpoint(str(model_dir), {**HIDDEN, **LOGITS[n_classes]}, 0)
    return raydnn.DNNClassifier(
        [3],
        [raydnn.feature_column.numeric_column("x", 2)],
        model_dir=model_dir,
        n_classes=n_classes,
        weight_column="w",
        config=raydnn.RunConfig(log_step_count_steps=None, save_summary_steps=0),
        **arguments,
    )


def batches(n_classes: int, size: int) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    for start in range(0, len(X), size):
        part = slice(start, start + size)
        yield {"x": X[part], "w": WEIGHTS[part]}, LABELS[n_classes][part]


def assert_metrics(found: Mapping[str, Any], expected: Mapping[str, float]) -> None:
    assert set(found) == {*expected, "global_step"}
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, err_msg=key, **CLOSE)


@pytest.mark.parametrize(
    ("n_classes", "logits"),
    [
        (2, [[0.485], [0.06], [0.588], [0.815], [0.27]]),
        (
            3,
            [
                [0.435, -0.025, 0.49],
                [0.01, -0.02, 0.345],
                [0.538, 0.092, -0.43],
                [0.765, -0.295, 0.49],
                [0.22, -0.12, 0.1],
            ],
        ),
    ],
)
def test_predicted_logits_are_those_of_tensorflow(n_classes: int, logits: list[list[float]], tmp_path: Path) -> None:
    rows = classifier(tmp_path, n_classes).predict(lambda: iter([{"x": X}]))
    np.testing.assert_allclose([row["logits"] for row in rows], logits, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("n_classes", "expected"),
    [
        (
            2,
            {
                "loss": 1.2831784,
                "average_loss": 0.5922362,
                "accuracy": 0.6923077,
                "accuracy_baseline": 0.6923077,
                "label/mean": 0.6923077,
                "prediction/mean": 0.5648693,
                "precision": 0.6923077,
                "recall": 1.0,
                "auc": 0.9999995,
                "auc_precision_recall": 0.9999998,
            },
        ),
        (3, {"loss": 2.6073925, "average_loss": 1.2034119, "accuracy": 0.1538462}),
    ],
)
def test_an_evaluation_in_batches_of_two_has_tensorflows_metrics(
    n_classes: int, expected: dict[str, float], tmp_path: Path
) -> None:
    found = classifier(tmp_path, n_classes).evaluate(lambda: batches(n_classes, size=2))
    assert_metrics(found, expected)
    assert found["global_step"] == 0


@pytest.mark.parametrize("optimizer", AFTER_TWO_STEPS)
def test_two_training_steps_end_where_tensorflows_do(optimizer: str, tmp_path: Path) -> None:
    kernel, logits_kernel, logits_bias, average_loss = AFTER_TWO_STEPS[optimizer]
    estimator = classifier(tmp_path, optimizer=optimizer)
    estimator.train(lambda: next(batches(2, size=5)), steps=2)
    np.testing.assert_allclose(estimator.get_variable_value("dnn/hiddenlayer_0/kernel"), kernel, **CLOSE)
    np.testing.assert_allclose(estimator.get_variable_value("dnn/logits/kernel")[:, 0], logits_kernel, **CLOSE)
    np.testing.assert_allclose(estimator.get_variable_value("dnn/logits/bias"), [logits_bias], **CLOSE)
    found = estimator.evaluate(lambda: batches(2, size=5))
    np.testing.assert_allclose(found["average_loss"], average_loss, **CLOSE)
    assert found["global_step"] == 2


@pytest.mark.parametrize(
    ("reduction", "kernel", "loss"),
    [
        (Reduction.SUM, [0.725427, -0.225795, 0.378607], None),
        (Reduction.MEAN, [0.703828, -0.203668, 0.312019], 0.5431662),
        (Reduction.SUM_OVER_BATCH_SIZE, [0.704983, -0.20479, 0.315631], 0.9119344),
        (Reduction.SUM_BY_NONZERO_WEIGHTS, [0.706238, -0.206016, 0.319547], 0.9437895),
    ],
)
def test_the_loss_reduction_decides_the_step_and_the_loss(
    reduction: str, kernel: list[float], loss: float | None, tmp_path: Path
) -> None:
    estimator = classifier(tmp_path, optimizer="SGD", loss_reduction=reduction)
    estimator.train(lambda: next(batches(2, size=5)), steps=2)
    np.testing.assert_allclose(estimator.get_variable_value("dnn/logits/kernel")[:, 0], kernel, **CLOSE)
    if loss is not None:
        found = estimator.evaluate(lambda: batches(2, size=2))
        np.testing.assert_allclose(found["loss"], loss, **CLOSE)


def test_an_evaluation_without_batches_gives_zeros_and_a_baseline_of_one(tmp_path: Path) -> None:
    found = classifier(tmp_path).evaluate(lambda: iter([]))
    assert found["accuracy_baseline"] == 1
    assert all(value == 0 for key, value in found.items() if key != "accuracy_baseline")
