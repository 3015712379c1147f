"""Streaming metrics: sums that grow batch by batch and merge across workers.

Definitions are those of TensorFlow's canned heads. Sums are float64, results float32.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raydnn import errors
from raydnn.model.curves import area_under_precision_recall, area_under_roc, curve_sums

MetricValues = dict[str, Any]


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
        self.add_sums(other.sums)

    def add_sums(self, sums: Mapping[str, Tensor]) -> None:
        """Add the sums of another part of the data, by name."""
        for name, value in sums.items():
            self.add(name, value)

    @abstractmethod
    def result(self) -> MetricValues:
        """The metrics of all that was seen, by name; an empty evaluation gives zeros."""


@dataclass(frozen=True, eq=False)
class Metric:
    """One metric of one batch, which merges with those of the other batches.

    Attributes:
        sums: name -> tensor; what the rows of the batch add up to.
        compute: the metric from the sums over all batches, float64; a number or an array.
    """

    sums: Mapping[str, Tensor]
    compute: Callable[[Mapping[str, Tensor]], Any]


class NamedMetrics(Metrics):
    """Metrics that a model function returned, each under the name it gave.

    Args:
        metrics: of one batch.
    """

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        super().__init__()
        self._metrics = dict(metrics)
        for name, metric in self._metrics.items():
            for part, value in metric.sums.items():
                self.add(f"{name}\n{part}", value)

    def result(self) -> MetricValues:
        values: MetricValues = {}
        for name, metric in self._metrics.items():
            sums = {
                part: self.sums.get(f"{name}\n{part}", torch.zeros_like(value, dtype=torch.float64, device="cpu"))
                for part, value in metric.sums.items()
            }
            value = np.asarray(metric.compute(sums), np.float32)
            values[name] = value if value.ndim else np.float32(value)
        return values


class HeadMetrics(Metrics):
    """The metrics of a classification head."""

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

    def num_rows(self) -> int:
        """How many rows were seen."""
        return int(self.sums["classes"][0]) if "classes" in self.sums else 0

    def only_class(self) -> int | None:
        """The class that was predicted for all rows seen; None if there were several, or no rows."""
        if not self.num_rows():
            return None
        rows, ids, squares = map(int, self.sums["classes"].tolist())
        # The variance of the ids is 0.
        return ids // rows if rows * squares == ids * ids else None

    def _add_classes(self, predicted: Tensor) -> None:
        """Take in the predicted class of each row."""
        ids = predicted.double()
        rows = ids.new_tensor(float(len(ids)))
        self.add("classes", torch.stack([rows, ids.sum(), (ids * ids).sum()]))

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


class MulticlassMetrics(HeadMetrics):
    """accuracy, average_loss, loss."""

    def _update(self, logits: Tensor, labels: Tensor, weight: Tensor) -> None:
        predicted = logits.argmax(1)
        self.add("correct", (weight * (predicted == labels)).double().sum())
        self._add_classes(predicted)

    def result(self) -> MetricValues:
        return _as_float32(self._common())


class BinaryMetrics(HeadMetrics):
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
        for name, counts in curve_sums(probability, positive, weight).items():
            self.add(name, counts)
        self._add_classes(predicted)

    def result(self) -> MetricValues:
        label_mean = self._mean("label")
        true_positives = self._sum("true_positives")
        return _as_float32(
            self._common()
            | {
                "accuracy_baseline": max(label_mean, 1 - label_mean),
                "auc": area_under_roc(self.sums),
                "auc_precision_recall": area_under_precision_recall(self.sums),
                "label/mean": label_mean,
                "precision": _divide(true_positives, true_positives + self._sum("false_positives")),
                "prediction/mean": self._mean("prediction"),
                "recall": _divide(true_positives, self._sum("positives")),
            }
        )


def _divide(total: float, count: float) -> float:
    return total / count if count > 0 else 0.0


def _as_float32(values: dict[str, float]) -> MetricValues:
    return {name: np.float32(values[name]) for name in sorted(values)}
