"""Metrics for `eval_metric_ops` of model functions of one's own, as in `tf.compat.v1.metrics`.

Each function measures one batch; evaluation adds the batches up. Labels and predictions are tensors or arrays of one
shape. Weights are a number, or have as many axes, each of the same size or 1; one axis less counts whole rows. Metrics
without any weight are 0.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from raydnn.model.curves import area_under_precision_recall, area_under_roc, curve_sums
from raydnn.model.losses import broadcast_weights
from raydnn.model.metrics import Metric

__all__ = [
    "Metric",
    "accuracy",
    "auc",
    "false_negatives",
    "false_positives",
    "mean",
    "mean_absolute_error",
    "mean_squared_error",
    "precision",
    "recall",
    "root_mean_squared_error",
    "true_negatives",
    "true_positives",
]


def mean(values: Any, weights: Any = None) -> Metric:
    """sum(weight * value) / sum(weight)."""
    value = _tensor(values).double()
    return _mean(value, _weights(weights, value))


def accuracy(labels: Any, predictions: Any, weights: Any = None) -> Metric:
    """The weighted share of predictions that, in the labels' dtype, equal the label.

    Raises:
        ValueError: labels and predictions have different shapes.
    """
    label, predicted = _same_shape(_tensor(labels), _tensor(predictions))
    return _mean((label == predicted.to(label)).double(), _weights(weights, label))


def mean_squared_error(labels: Any, predictions: Any, weights: Any = None) -> Metric:
    """The weighted mean of (prediction - label)^2."""
    label, predicted = _pair(labels, predictions)
    return _mean((predicted - label) ** 2, _weights(weights, label))


def root_mean_squared_error(labels: Any, predictions: Any, weights: Any = None) -> Metric:
    """The root of `mean_squared_error`."""
    squares = mean_squared_error(labels, predictions, weights)
    return Metric(squares.sums, lambda sums: squares.compute(sums) ** 0.5)


def mean_absolute_error(labels: Any, predictions: Any, weights: Any = None) -> Metric:
    """The weighted mean of |prediction - label|."""
    label, predicted = _pair(labels, predictions)
    return _mean((predicted - label).abs(), _weights(weights, label))


def true_positives(labels: Any, predictions: Any, weights: Any = None) -> Metric:
    """The weight of the rows whose label and prediction are both true (not 0)."""
    return _count(labels, predictions, weights, lambda label, predicted: label & predicted)


def true_negatives(labels: Any, predictions: Any, weights: Any = None) -> Metric:
    """The weight of the rows whose label and prediction are both false (0)."""
    return _count(labels, predictions, weights, lambda label, predicted: ~label & ~predicted)


def false_positives(labels: Any, predictions: Any, weights: Any = None) -> Metric:
    """The weight of the rows that are predicted true but labelled false."""
    return _count(labels, predictions, weights, lambda label, predicted: ~label & predicted)


def false_negatives(labels: Any, predictions: Any, weights: Any = None) -> Metric:
    """The weight of the rows that are predicted false but labelled true."""
    return _count(labels, predictions, weights, lambda label, predicted: label & ~predicted)


def precision(labels: Any, predictions: Any, weights: Any = None) -> Metric:
    """true positives / (true positives + false positives)."""
    hits = true_positives(labels, predictions, weights).sums["count"]
    others = false_positives(labels, predictions, weights).sums["count"]
    return _ratio(hits, hits + others)


def recall(labels: Any, predictions: Any, weights: Any = None) -> Metric:
    """true positives / (true positives + false negatives)."""
    hits = true_positives(labels, predictions, weights).sums["count"]
    others = false_negatives(labels, predictions, weights).sums["count"]
    return _ratio(hits, hits + others)


def auc(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    num_thresholds: int = 200,
    curve: Literal["ROC", "PR"] = "ROC",
) -> Metric:
    """The area under a curve, by trapezoids between thresholds spread evenly over [0, 1].

    Args:
        labels: true (not 0) or false.
        predictions: probabilities in [0, 1].
        weights: of the rows.
        num_thresholds: of which the first lies a little below 0 and the last a little above 1.
        curve: 'ROC', true against false positive rate, or 'PR', precision against recall.

    Raises:
        ValueError: an unknown curve, fewer than 2 thresholds, or predictions outside [0, 1].
    """
    if curve not in ("ROC", "PR"):
        raise ValueError(f"curve must be 'ROC' or 'PR'; got {curve!r}")
    if num_thresholds < 2:
        raise ValueError(f"num_thresholds must be 2 or more; got {num_thresholds}")
    label, predicted = _pair(labels, predictions)
    if not bool(((predicted >= 0) & (predicted <= 1)).all()):
        raise ValueError("predictions for auc must be probabilities in [0, 1]")
    sums = curve_sums(
        predicted.flatten().float(), (label != 0).flatten(), _weights(weights, label).flatten(), num_thresholds
    )
    return Metric(sums, area_under_roc if curve == "ROC" else area_under_precision_recall)


def _mean(values: Tensor, weights: Tensor) -> Metric:
    return _ratio((weights * values).sum(), weights.sum())


def _ratio(numerator: Tensor, denominator: Tensor) -> Metric:
    return Metric({"numerator": numerator, "denominator": denominator}, _divided)


def _divided(sums: Mapping[str, Tensor]) -> float:
    return float(sums["numerator"] / sums["denominator"]) if sums["denominator"] > 0 else 0.0


def _count(labels: Any, predictions: Any, weights: Any, counts: Callable[[Tensor, Tensor], Tensor]) -> Metric:
    label, predicted = _pair(labels, predictions)
    rows = counts(label != 0, predicted != 0)
    return Metric({"count": (_weights(weights, label) * rows).sum()}, lambda sums: sums["count"])


def _pair(labels: Any, predictions: Any) -> tuple[Tensor, Tensor]:
    """Labels and predictions, float64 of one shape; an axis of size 1 at the end of either does not count."""
    return _same_shape(_tensor(labels).double(), _tensor(predictions).double())


def _same_shape(label: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    if label.dim() == predicted.dim() + 1 and label.shape[-1] == 1:
        label = label.squeeze(-1)
    if predicted.dim() == label.dim() + 1 and predicted.shape[-1] == 1:
        predicted = predicted.squeeze(-1)
    if label.shape != predicted.shape:
        raise ValueError(
            f"labels of shape {tuple(label.shape)} do not fit predictions of shape {tuple(predicted.shape)}"
        )
    return label, predicted


def _weights(weights: Any, like: Tensor) -> Tensor:
    """Weights of the shape of the values, float64."""
    if weights is None:
        return torch.ones_like(like, dtype=torch.float64)
    weight = _tensor(weights).double().to(like.device)
    if weight.dim() == like.dim() + 1 and weight.shape[-1] == 1:
        weight = weight.squeeze(-1)
    elif weight.dim() == like.dim() - 1 and weight.dim():
        weight = weight.unsqueeze(-1)
    return broadcast_weights(weight, like)


def _tensor(values: Any) -> Tensor:
    return torch.as_tensor(values).detach()
