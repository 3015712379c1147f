"""Rows with what a model makes of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from raydnn.estimator import DNNClassifier
from raydnn.feature_column.encoder import LABEL, WEIGHT, Encoder, example_weight_column
from raydnn.inputs.arrays import table_to_batch
from raydnn.inputs.dataset import check_label
from raydnn.model.heads import Head

BATCH_ROWS = 16_384
"""Rows that are scored at once."""

_PREFIX = "prediction of the model: "


@dataclass(frozen=True, eq=False)
class Scored:
    """Rows, their labels and the model's probabilities.

    Attributes:
        table: the rows with all their columns.
        labels: of two classes numbers from 0 to 1, else class ids; float64 [rows].
        probabilities: float32 [rows, classes].
        losses: of each row, not weighted; float64 [rows].
        weights: not negative; float64 [rows].
        is_weighted: whether they come from a column; else all are 1.
        negative_weights: rows whose weight is negative in the data; here it is 0.
        classes: their names, by id.
    """

    table: pa.Table
    labels: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    losses: NDArray[np.float64]
    weights: NDArray[np.float64]
    is_weighted: bool
    negative_weights: int
    classes: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.labels)

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes; their one score is the probability of the second."""
        return len(self.classes) == 2

    @property
    def scores(self) -> NDArray[np.float32]:
        """Of two classes the probability of the second, else that of the predicted class, [rows]."""
        return self.probabilities[:, 1] if self.is_binary else self.probabilities.max(1)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each row, [rows]."""
        return self.probabilities.argmax(1)

    @cached_property
    def members(self) -> NDArray[np.float64]:
        """How far each row is of each class: 0 or 1, or between where labels are, [rows, classes]."""
        if self.is_binary:
            return np.stack([1 - self.labels, self.labels], axis=1)
        return np.eye(len(self.classes))[self.labels.astype(np.int64)]

    @cached_property
    def right(self) -> NDArray[np.float64]:
        """How far each row is of its predicted class, [rows]."""
        return self.members[np.arange(self.rows), self.predicted]

    def mean(self, values: NDArray[Any], chosen: NDArray[np.bool_] | None = None) -> float:
        """The weighted mean of a value of each row, or of the rows that are chosen; NaN without weight."""
        weights = self.weights if chosen is None else self.weights[chosen]
        total = float(weights.sum())
        taken = values if chosen is None else values[chosen]
        return float((taken * weights).sum()) / total if total > 0 else float("nan")

    def label_of(self, row: int) -> str:
        """The label of a row, by the name of its class."""
        label = float(self.labels[row])
        return self.classes[int(label)] if label.is_integer() else f"{label:.4g}"


@dataclass(frozen=True)
class Scorer:
    """Scores rows with one checkpoint of a classifier.

    Attributes:
        estimator: the classifier.
        head: of it.
        label: the column with the labels.
        weight: the column with the example weights, or None.
        checkpoint: its path.
    """

    estimator: DNNClassifier
    head: Head
    label: str
    weight: str | None
    checkpoint: str

    def score(self, table: pa.Table) -> Scored:
        """Score rows.

        Args:
            table: with the features, the label and the weight.

        Raises:
            ValueError: the rows lack a column, or hold what the model cannot read; the model has diverged.
            InvalidArgumentError: a value that the model cannot take, such as a label out of range.
        """
        check_label(self.label, table.column_names)
        encoder = Encoder((), self.head.label_encoder, example_weight_column(self.weight))
        known = encoder.encode(table_to_batch(table), table_to_batch(table.select([self.label])).column(0))
        labels = known.column(LABEL).to_numpy()
        slices = [table.slice(start, BATCH_ROWS) for start in range(0, table.num_rows, BATCH_ROWS)]
        predicted = list(self._predict(slices, "logits", "probabilities"))
        logits, probabilities = (np.concatenate(parts) for parts in zip(*predicted, strict=True))
        if not np.isfinite(probabilities).all():
            raise ValueError(
                "probabilities are NaN: the model has diverged; train it anew with a smaller learning rate"
            )
        weights = np.ones(len(labels)) if self.weight is None else known.column(WEIGHT).to_numpy().astype(np.float64)
        return Scored(
            table,
            labels.astype(np.float64),
            probabilities,
            self._losses(logits, labels),
            np.maximum(weights, 0.0),
            self.weight is not None,
            int((weights < 0).sum()),
            self.head.label_vocabulary or tuple(map(str, range(self.head.n_classes))),
        )

    def mean_losses(self, tables: Iterable[pa.Table], scored: Scored) -> Iterator[float]:
        """The weighted mean loss of variants of the same rows, one after the other.

        Args:
            tables: the variants; each is scored at once.
            scored: the rows themselves, with labels and weights.
        """
        labels = scored.labels.astype(np.float32 if self.head.is_binary else np.int64)
        for (logits,) in self._predict(tables, "logits"):
            yield scored.mean(self._losses(logits, labels))

    def _predict(self, tables: Iterable[pa.Table], *keys: str) -> Iterator[list[NDArray[np.float32]]]:
        for table in self.estimator.predict_tables(tables, list(keys), self.checkpoint, _PREFIX):
            yield [_matrix(table.column(f"{_PREFIX}{key}").combine_chunks()) for key in keys]

    def _losses(self, logits: NDArray[np.float32], labels: NDArray[Any]) -> NDArray[np.float64]:
        losses = self.head.losses(torch.from_numpy(logits), torch.from_numpy(labels.copy()))
        return losses.numpy().astype(np.float64)


def _matrix(array: Any) -> NDArray[np.float32]:
    """A column of numbers, or of fixed-size lists of them, as [rows, n]."""
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    flat = array.flatten() if pa.types.is_fixed_size_list(array.type) else array
    return np.array(flat).reshape(len(array), -1)
