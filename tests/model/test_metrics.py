"""Streaming metrics against a direct computation over all rows."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from raydnn import errors
from raydnn.model.metrics import BinaryMetrics, Metrics, MulticlassMetrics

CLOSE = {"rtol": 2e-5, "atol": 1e-6}
BINARY_KEYS = [
    "accuracy",
    "accuracy_baseline",
    "auc",
    "auc_precision_recall",
    "average_loss",
    "label/mean",
    "loss",
    "precision",
    "prediction/mean",
    "recall",
]
MULTICLASS_KEYS = ["accuracy", "average_loss", "loss"]
THRESHOLDS = np.array([-1e-7, *(place / 199 for place in range(1, 199)), 1 + 1e-7], np.float32)


@dataclass(frozen=True)
class Rows:
    """Rows of an evaluation, and where they are cut into batches."""

    logits: Tensor
    labels: Tensor
    weights: Tensor | None
    losses: Tensor
    cuts: list[int]

    def batches(self) -> list[tuple[Any, ...]]:
        parts = [slice(start, end) for start, end in pairwise([0, *self.cuts, len(self.losses)])]
        return [
            (
                self.logits[part],
                self.labels[part],
                None if self.weights is None else self.weights[part],
                self.losses[part],
                self.losses[part].sum(),
            )
            for part in parts
        ]

    def all_weights(self) -> np.ndarray:
        return np.ones(len(self.losses)) if self.weights is None else self.weights.double().numpy()


@st.composite
def rows_of(draw: st.DrawFn, classes: int, least_weight: float = 0.0) -> Rows:
    size = draw(st.integers(0, 30))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.0, 0.01, 1.0, 30.0]))
    width = 1 if classes == 2 else classes
    logits = torch.tensor(scale * random.normal(size=(size, width)), dtype=torch.float32)
    labels = random.integers(0, classes, size)
    weights = None
    if draw(st.booleans()):
        # Multiples of one half add up without rounding, so that zero divisors are hit exactly.
        weights = torch.tensor(random.integers(2 * least_weight, 6, size) / 2, dtype=torch.float32)
    losses = torch.tensor(random.exponential(size=size), dtype=torch.float32)
    cuts = sorted(draw(st.lists(st.integers(0, size), max_size=4)))
    return Rows(
        logits, torch.tensor(labels, dtype=torch.float32 if classes == 2 else torch.int64), weights, losses, cuts
    )


def ratio(total: float, count: float) -> float:
    return total / count if count > 0 else 0.0


def reference(rows: Rows) -> dict[str, float]:
    """accuracy, average_loss and loss by their definitions."""
    weights = rows.all_weights()
    logits = rows.logits.numpy()
    class_ids = (logits[:, 0] > 0) if logits.shape[1] == 1 else logits.argmax(1)
    return {
        "accuracy": ratio((weights * (class_ids == rows.labels.numpy())).sum(), weights.sum()),
        "average_loss": ratio((weights * rows.losses.double().numpy()).sum(), weights.sum()),
        "loss": float(np.mean([float(batch[4]) for batch in rows.batches()])),
    }


def binary_reference(rows: Rows) -> dict[str, float]:
    weights, labels = rows.all_weights(), rows.labels.double().numpy()
    predicted = rows.logits[:, 0].numpy() > 0
    probabilities = torch.sigmoid(rows.logits[:, 0]).numpy()
    positive = labels != 0
    label_mean = ratio((weights * labels).sum(), weights.sum())
    true_positives = weights[predicted & positive].sum()
    auc, auc_precision_recall = areas(probabilities, positive, weights)
    return reference(rows) | {
        "accuracy_baseline": max(label_mean, 1 - label_mean),
        "auc": auc,
        "auc_precision_recall": auc_precision_recall,
        "label/mean": label_mean,
        "precision": ratio(true_positives, weights[predicted].sum()),
        "prediction/mean": ratio((weights * probabilities).sum(), weights.sum()),
        "recall": ratio(true_positives, weights[positive].sum()),
    }


def areas(probabilities: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Both areas by the formulas over 200 thresholds, one threshold after the other."""
    epsilon = 1e-6
    recall, fall_out, precision = [], [], []
    for threshold in THRESHOLDS:
        above = probabilities > threshold
        tp, fn = weights[above & positive].sum(), weights[~above & positive].sum()
        fp, tn = weights[above & ~positive].sum(), weights[~above & ~positive].sum()
        recall.append((tp + epsilon) / (tp + fn + epsilon))
        fall_out.append(fp / (fp + tn + epsilon))
        precision.append((tp + epsilon) / (tp + fp + epsilon))
    return trapezoids(fall_out, recall), trapezoids(recall, precision)


def trapezoids(x: list[float], y: list[float]) -> float:
    return sum((x0 - x1) * (y0 + y1) / 2 for (x0, x1), (y0, y1) in zip(pairwise(x), pairwise(y), strict=True))


def assert_result(metrics: Metrics, expected: dict[str, float]) -> None:
    result = metrics.result()
    assert list(result) == sorted(expected)
    for key, value in expected.items():
        assert result[key].dtype == np.float32
        np.testing.assert_allclose(result[key], value, err_msg=key, **CLOSE)


# --- Any rows, any batches


@settings(max_examples=200, deadline=None)
@given(rows_of(classes=2))
def test_binary_metrics_equal_their_definitions_however_rows_are_batched(rows: Rows) -> None:
    metrics = BinaryMetrics()
    for batch in rows.batches():
        metrics.update(*batch)
    assert_result(metrics, binary_reference(rows))


@settings(max_examples=100, deadline=None)
@given(rows_of(classes=2, least_weight=-1.0))
def test_means_and_rates_keep_their_definitions_with_negative_weights(rows: Rows) -> None:
    metrics = BinaryMetrics()
    for batch in rows.batches():
        metrics.update(*batch)
    result, expected = metrics.result(), binary_reference(rows)
    for key in (*MULTICLASS_KEYS, "label/mean", "accuracy_baseline", "prediction/mean", "precision", "recall"):
        np.testing.assert_allclose(result[key], expected[key], err_msg=key, rtol=1e-4, atol=1e-4)


@settings(max_examples=100, deadline=None)
@given(rows_of(classes=4, least_weight=-1.0))
def test_multiclass_metrics_equal_their_definitions_however_rows_are_batched(rows: Rows) -> None:
    metrics = MulticlassMetrics()
    for batch in rows.batches():
        metrics.update(*batch)
    expected = reference(rows)
    assert list(metrics.result()) == MULTICLASS_KEYS
    for key, value in expected.items():
        np.testing.assert_allclose(metrics.result()[key], value, err_msg=key, rtol=1e-4, atol=1e-4)


@settings(max_examples=100, deadline=None)
@given(rows_of(classes=2), st.data())
def test_parts_seen_by_different_workers_merge_to_the_whole(rows: Rows, data: st.DataObject) -> None:
    workers = [BinaryMetrics() for _ in range(3)]
    for batch in rows.batches():
        data.draw(st.sampled_from(workers)).update(*batch)
    merged = BinaryMetrics()
    for worker in workers:
        merged.merge(worker)
    assert_result(merged, binary_reference(rows))


# --- Single promises


@pytest.mark.parametrize("metrics", [BinaryMetrics(), MulticlassMetrics()])
def test_an_evaluation_of_nothing_gives_zeros_and_a_baseline_of_one(metrics: Metrics) -> None:
    keys = BINARY_KEYS if isinstance(metrics, BinaryMetrics) else MULTICLASS_KEYS
    assert metrics.result() == {key: float(key == "accuracy_baseline") for key in keys}


@pytest.mark.parametrize(
    ("kind", "width", "dtype"), [(BinaryMetrics, 1, torch.float32), (MulticlassMetrics, 3, torch.int64)]
)
def test_a_batch_without_rows_counts_in_the_mean_of_batch_losses_only(
    kind: type[Metrics], width: int, dtype: torch.dtype
) -> None:
    metrics = kind()
    metrics.update(torch.ones(2, width), torch.zeros(2, dtype=dtype), None, torch.ones(2), torch.tensor(4.0))
    before = metrics.result()
    metrics.update(torch.zeros(0, width), torch.zeros(0, dtype=dtype), None, torch.zeros(0), torch.tensor(0.0))
    assert metrics.result() == before | {"loss": 2.0}


def test_the_loss_counts_every_batch_once_even_a_short_one() -> None:
    metrics = MulticlassMetrics()
    for size, batch_loss in ((5, 10.0), (1, 1.0)):
        losses = torch.ones(size)
        metrics.update(
            torch.zeros(size, 3), torch.zeros(size, dtype=torch.int64), None, losses, torch.tensor(batch_loss)
        )
    assert metrics.result()["loss"] == 5.5
    assert metrics.result()["average_loss"] == 1.0


@pytest.mark.parametrize("weights", [[0.0, 0.0], [-1.0, -2.0], [1.0, -1.0]])
def test_weights_that_do_not_add_up_to_something_positive_give_zero_means(weights: list[float]) -> None:
    metrics = BinaryMetrics()
    metrics.update(
        torch.tensor([[1.0], [-1.0]]), torch.tensor([1.0, 0.0]), torch.tensor(weights), torch.ones(2), torch.tensor(3.0)
    )
    result = metrics.result()
    for key in ("accuracy", "average_loss", "label/mean", "prediction/mean"):
        assert result[key] == 0
    assert result["accuracy_baseline"] == 1
    assert result["loss"] == 3


def test_a_logit_of_zero_and_a_tie_predict_the_first_class() -> None:
    binary = BinaryMetrics()
    binary.update(torch.zeros(2, 1), torch.tensor([0.0, 1.0]), None, torch.ones(2), torch.tensor(1.0))
    assert binary.result()["accuracy"] == 0.5
    assert binary.result()["recall"] == 0
    multiclass = MulticlassMetrics()
    multiclass.update(torch.ones(2, 3), torch.tensor([0, 1]), None, torch.ones(2), torch.tensor(1.0))
    assert multiclass.result()["accuracy"] == 0.5


def test_a_soft_label_counts_as_positive_and_is_never_hit_exactly() -> None:
    metrics = BinaryMetrics()
    metrics.update(torch.tensor([[2.0], [2.0]]), torch.tensor([0.5, 1.0]), None, torch.ones(2), torch.tensor(1.0))
    result = metrics.result()
    assert result["accuracy"] == 0.5
    assert result["label/mean"] == 0.75
    assert result["precision"] == 1
    assert result["recall"] == 1


def test_perfect_and_inverted_rankings_have_the_extreme_areas() -> None:
    labels = torch.tensor([0.0, 1.0] * 50)
    for sign, area in ((1, 1.0), (-1, 0.0)):
        metrics = BinaryMetrics()
        metrics.update(sign * (labels[:, None] * 4 - 2), labels, None, torch.ones(100), torch.tensor(1.0))
        assert metrics.result()["auc"] == pytest.approx(area, abs=1e-5)


def test_a_probability_equal_to_a_threshold_is_not_above_it() -> None:
    inner = THRESHOLDS[1:-1].astype(np.float64)
    logits = np.log(inner / (1 - inner)).astype(np.float32)
    near = torch.tensor(np.concatenate([logits + step * np.spacing(logits) for step in range(-4, 5)]))
    # How a logit is rounded to a probability is the machine's affair; among so many some hit a threshold.
    is_hit = torch.isin(torch.sigmoid(near), torch.tensor(THRESHOLDS))
    assert is_hit.sum() > 20
    labels = (torch.arange(len(near)) % 3 == 0).float()
    rows = Rows(near[:, None], labels, None, torch.ones(len(near)), [])
    metrics = BinaryMetrics()
    metrics.update(*rows.batches()[0])
    result, expected = metrics.result(), binary_reference(rows)
    for key in ("auc", "auc_precision_recall"):
        np.testing.assert_allclose(result[key], expected[key], rtol=1e-6)


@pytest.mark.parametrize("logit", [float("inf"), -float("inf"), 100.0, -200.0])
def test_probabilities_of_exactly_0_and_1_have_their_place_in_the_areas(logit: float) -> None:
    metrics = BinaryMetrics()
    metrics.update(torch.tensor([[logit], [0.0]]), torch.tensor([1.0, 0.0]), None, torch.ones(2), torch.tensor(1.0))
    assert metrics.result()["auc"] == pytest.approx(float(logit > 0), abs=1e-5)


def test_a_diverged_model_is_refused() -> None:
    with pytest.raises(errors.InvalidArgumentError, match="predictions must be in \\[0, 1\\]; found NaN"):
        BinaryMetrics().update(torch.tensor([[float("nan")]]), torch.ones(1), None, torch.ones(1), torch.tensor(1.0))


def test_sums_over_many_batches_do_not_lose_small_ones() -> None:
    metrics = MulticlassMetrics()
    big = torch.tensor([2.0**24])
    metrics.update(torch.zeros(1, 3), torch.tensor([0]), None, big, big[0])
    for _ in range(64):
        metrics.update(torch.zeros(1, 3), torch.tensor([0]), None, torch.ones(1), torch.tensor(1.0))
    assert metrics.result()["average_loss"] == np.float32((2.0**24 + 64) / 65)


@pytest.mark.parametrize(
    ("metrics", "logits", "expected"),
    [
        (BinaryMetrics(), [[[1.0], [0.1]], [[2.0]]], 1),
        (BinaryMetrics(), [[[0.0]], [[-2.0], [-3.0]]], 0),
        (BinaryMetrics(), [[[1.0], [2.0]], [[-2.0]]], None),
        (MulticlassMetrics(), [[[0.0, 1, 2]], [[5.0, 1, 9], [0, 0, 1]]], 2),
        (MulticlassMetrics(), [[[0.0, 1, 2], [0.0, 3, 2]], [[5.0, 1, 9]]], None),
        # The mean of the ids is that of a third class.
        (MulticlassMetrics(), [[[0.0, 1, 2]], [[5.0, 1, 2]]], None),
        (MulticlassMetrics(), [], None),
    ],
)
def test_the_only_class_that_is_predicted_is_found_whatever_the_weights(
    metrics: Any, logits: list[Any], expected: int | None
) -> None:
    for batch in map(torch.tensor, logits):
        labels = torch.zeros(len(batch), dtype=torch.float32 if batch.shape[1] == 1 else torch.int64)
        part = type(metrics)()
        part.update(batch, labels, torch.zeros(len(batch)), torch.ones(len(batch)), torch.ones(()))
        metrics.merge(part)
    assert metrics.only_class() == expected
    assert metrics.num_rows() == sum(map(len, logits))


def test_many_rows_of_a_large_class_are_counted_exactly() -> None:
    metrics = MulticlassMetrics()
    metrics.add("classes", torch.tensor([9e6, 9e6 * 9999, 9e6 * 9999**2], dtype=torch.float64))
    assert metrics.only_class() == 9999
    metrics.add("classes", torch.tensor([1.0, 9998, 9998.0**2], dtype=torch.float64))
    assert metrics.only_class() is None
