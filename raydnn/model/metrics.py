"""Streaming metrics of classification: sums that grow batch by batch and merge across workers.

Definitions are those of TensorFlow's canned heads. Sums are float64, results float32.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from raydnn import errors

NUM_THRESHOLDS = 200
_AUC_EPSILON = 1e-6

MetricValues = dict[str, np.float32]


class Metrics(ABC):
    """Sums over the rows of all batches seen, and the metrics they give.

    Attributes:
        sums: name -> float64 tensor; adding the sums of two parts of the data gives those of the whole.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Add to a sum."""
        value = value.detach().to("cpu", torch.float64)
        self.sums[name] = self.sums[name] + value if name in self.sums else value

    def merge(self, other: "Metrics") -> None:
        """Add the sums of another part of the data."""
        for name, value in other.sums.items():
            self.add(name, value)

    def update(
        self, logits: Tensor, labels: Tensor, weights: Tensor | None, losses: Tensor, batch_loss: Tensor
    ) -> None:
        """Take in one batch.

        Args:
            logits: float32 [rows, logits dimension].
            labels: [rows].
            weights: float32 [rows] or None.
            losses: per row, float32 [rows].
            batch_loss: the training loss of the batch, scalar.
        """
        weight = torch.ones_like(losses) if weights is None else weights
        self.add("batches", torch.ones(()))
        self.add("batch_loss", batch_loss)
        self.add("weight", weight.double().sum())
        self.add("loss", (weight * losses).double().sum())
        self._update(logits, labels, weight)

    @abstractmethod
    def _update(self, logits: Tensor, labels: Tensor, weight: Tensor) -> None: ...

    @abstractmethod
    def result(self) -> MetricValues:
        """The metrics of all that was seen; an empty evaluation gives zeros."""

    def _mean(self, name: str) -> float:
        """A weighted sum divided by the sum of weights, 0 where that is not positive."""
        return _divide(self._sum(name), self._sum("weight"))

    def _sum(self, name: str) -> float:
        return float(self.sums.get(name, 0.0))

    def _common(self) -> dict[str, float]:
        return {
            "accuracy": self._mean("correct"),
            "average_loss": self._mean("loss"),
            "loss": _divide(self._sum("batch_loss"), self._sum("batches")),
        }


class MulticlassMetrics(Metrics):
    """accuracy, average_loss, loss."""

    def _update(self, logits: Tensor, labels: Tensor, weight: Tensor) -> None:
        correct = logits.argmax(1) == labels
        self.add("correct", (weight * correct).double().sum())

    def result(self) -> MetricValues:
        return _as_float32(self._common())


class BinaryMetrics(Metrics):
    """The metrics of the binary head: those of a threshold at 0.5, means, and the areas under two curves."""

    def _update(self, logits: Tensor, labels: Tensor, weight: Tensor) -> None:
        logit = logits[:, 0]
        probability = torch.sigmoid(logit)
        if not bool(((probability >= 0) & (probability <= 1)).all()):
            raise errors.InvalidArgumentError("predictions must be in [0, 1]; found NaN. The model has diverged")
        weight = weight.double()
        predicted = logit > 0
        positive = labels != 0
        self.add("correct", (weight * (predicted.to(labels.dtype) == labels)).sum())
        self.add("label", (weight * labels).sum())
        self.add("prediction", (weight * probability).sum())
        self.add("true_positives", (weight * (predicted & positive)).sum())
        self.add("false_positives", (weight * (predicted & ~positive)).sum())
        self.add("positives", (weight * positive).sum())
        # A prediction counts as positive at the thresholds strictly below it: its bin is how many those are.
        bins = torch.searchsorted(_thresholds(probability.device), probability)
        for name, members in (("positive_bins", positive), ("negative_bins", ~positive)):
            counts = torch.bincount(bins, weights=weight * members, minlength=NUM_THRESHOLDS + 1)
            self.add(name, counts)

    def result(self) -> MetricValues:
        label_mean = self._mean("label")
        auc, auc_precision_recall = self._areas()
        true_positives = self._sum("true_positives")
        return _as_float32(
            self._common()
            | {
                "accuracy_baseline": max(label_mean, 1 - label_mean),
                "auc": auc,
                "auc_precision_recall": auc_precision_recall,
                "label/mean": label_mean,
                "precision": _divide(true_positives, true_positives + self._sum("false_positives")),
                "prediction/mean": self._mean("prediction"),
                "recall": _divide(true_positives, self._sum("positives")),
            }
        )

    def _areas(self) -> tuple[float, float]:
        """Areas under the ROC and the precision-recall curve, by trapezoids over 200 thresholds."""
        if "positive_bins" not in self.sums:
            return 0.0, 0.0
        true_positives = _above(self.sums["positive_bins"])
        false_positives = _above(self.sums["negative_bins"])
        positives, negatives = self.sums["positive_bins"].sum(), self.sums["negative_bins"].sum()
        recall = (true_positives + _AUC_EPSILON) / (positives + _AUC_EPSILON)
        fall_out = false_positives / (negatives + _AUC_EPSILON)
        precision = (true_positives + _AUC_EPSILON) / (true_positives + false_positives + _AUC_EPSILON)
        return _trapezoids(fall_out, recall), _trapezoids(recall, precision)


def _thresholds(device: torch.device) -> Tensor:
    """-1e-7, 1/199, ..., 198/199, 1 + 1e-7, float32 [200]."""
    inner = [place / (NUM_THRESHOLDS - 1) for place in range(1, NUM_THRESHOLDS - 1)]
    return torch.tensor([-1e-7, *inner, 1 + 1e-7], dtype=torch.float32, device=device)


def _above(bins: Tensor) -> Tensor:
    """For each threshold, what lies in the bins above it, [200]."""
    return bins.flip(0).cumsum(0).flip(0)[1:]


def _trapezoids(x: Tensor, y: Tensor) -> float:
    return float(((x[:-1] - x[1:]) * (y[:-1] + y[1:]) / 2).sum())


def _divide(total: float, count: float) -> float:
    return total / count if count > 0 else 0.0


def _as_float32(values: dict[str, float]) -> MetricValues:
    return {name: np.float32(values[name]) for name in sorted(values)}
