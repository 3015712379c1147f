"""Heads: what turns logits into losses, predictions and metrics."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from raydnn.feature_column.label import LabelEncoder
from raydnn.model.losses import Reduction
from raydnn.model.metrics import BinaryMetrics, HeadMetrics, MulticlassMetrics

Predictions = dict[str, Tensor | NDArray[Any]]
UNKNOWN_CLASS = b"UNK"


class Head(ABC):
    """The part of a classifier behind its logits.

    Args:
        n_classes: number of classes.
        label_vocabulary: class names; None names the classes '0', '1', ...
        loss_reduction: a value of `Reduction`, not NONE.

    Raises:
        ValueError: a bad reduction.
    """

    logits_dimension: int
    is_binary: bool

    def __init__(self, n_classes: int, label_vocabulary: Sequence[str] | None, loss_reduction: str) -> None:
        Reduction.validate(loss_reduction)
        if loss_reduction == Reduction.NONE:
            raise ValueError(f"loss_reduction must not be {Reduction.NONE!r}: training needs one number")
        self.n_classes = n_classes
        self.loss_reduction = loss_reduction
        self.label_vocabulary = None if label_vocabulary is None else tuple(map(_class_name, label_vocabulary))
        names = self.label_vocabulary or tuple(str(place) for place in range(n_classes))
        self._class_names = np.array([name.encode() for name in names], dtype=object)

    @property
    def label_encoder(self) -> LabelEncoder:
        """How labels become the targets of `losses`."""
        return LabelEncoder("binary" if self.is_binary else "multiclass", self.n_classes, self.label_vocabulary)

    def to_json(self) -> dict[str, Any]:
        """The arguments of `classification_head` as plain values."""
        return {
            "n_classes": self.n_classes,
            "label_vocabulary": self.label_vocabulary,
            "loss_reduction": self.loss_reduction,
        }

    @abstractmethod
    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each row, float32 [rows]."""

    @abstractmethod
    def metrics(self) -> HeadMetrics:
        """Fresh metrics."""

    @abstractmethod
    def _scores(self, logits: Tensor) -> tuple[Predictions, Tensor]:
        """Predictions that only this head has, and the logits of all classes."""

    def predictions(self, logits: Tensor) -> Predictions:
        """The predictions of a batch.

        Args:
            logits: float32 [rows, logits dimension].

        Returns:
            logits, logistic [rows, 1] (binary head only), probabilities [rows, classes], class_ids int64 [rows, 1],
            classes bytes [rows, 1], all_class_ids int32 [rows, classes], all_classes bytes [rows, classes].
        """
        own, all_logits = self._scores(logits)
        class_ids = all_logits.argmax(1, keepdim=True)
        rows, names = len(logits), self._class_names
        all_ids = torch.arange(self.n_classes, dtype=torch.int32)
        chosen = class_ids.cpu().numpy()
        known = np.append(names, UNKNOWN_CLASS)[np.minimum(chosen, len(names))]
        return {
            "logits": logits,
            **own,
            "probabilities": torch.softmax(all_logits, dim=1),
            "class_ids": class_ids,
            "classes": known,
            "all_class_ids": all_ids.expand(rows, -1),
            "all_classes": np.broadcast_to(names, (rows, len(names))),
        }


def _class_name(name: Any) -> str:
    if not isinstance(name, str | bytes):
        raise ValueError(f"label_vocabulary must hold strings; got {name!r}")
    return name.decode() if isinstance(name, bytes) else name


class BinaryHead(Head):
    """Two classes, one logit; sigmoid cross entropy max(z, 0) - z*y + log(1 + exp(-|z|))."""

    logits_dimension = 1
    is_binary = True

    def __init__(self, label_vocabulary: Sequence[str] | None, loss_reduction: str) -> None:
        if label_vocabulary is not None and not isinstance(label_vocabulary, list | tuple):
            raise TypeError(f"label_vocabulary must be a list or tuple; got {type(label_vocabulary).__name__}")
        super().__init__(2, label_vocabulary, loss_reduction)

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits[:, 0], labels, reduction="none")

    def metrics(self) -> HeadMetrics:
        return BinaryMetrics()

    def _scores(self, logits: Tensor) -> tuple[Predictions, Tensor]:
        return {"logistic": torch.sigmoid(logits)}, torch.cat([torch.zeros_like(logits), logits], dim=1)


class MulticlassHead(Head):
    """Three classes or more; softmax cross entropy logsumexp(logits) - logits[label]."""

    is_binary = False

    def __init__(self, n_classes: int, label_vocabulary: Sequence[str] | None, loss_reduction: str) -> None:
        if n_classes is None or isinstance(n_classes, bool) or n_classes <= 2:
            raise ValueError(f"n_classes must be 2 or more; got {n_classes}")
        if label_vocabulary is not None and not isinstance(label_vocabulary, list | tuple):
            raise ValueError(f"label_vocabulary must be a list or tuple; got {type(label_vocabulary).__name__}")
        super().__init__(int(n_classes), label_vocabulary, loss_reduction)
        self.logits_dimension = self.n_classes

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, reduction="none")

    def metrics(self) -> HeadMetrics:
        return MulticlassMetrics()

    def _scores(self, logits: Tensor) -> tuple[Predictions, Tensor]:
        return {}, logits


def classification_head(n_classes: int, label_vocabulary: Sequence[str] | None, loss_reduction: str) -> Head:
    """The binary head for two classes, else the multiclass head.

    Raises:
        ValueError, TypeError: bad arguments; see the heads.
    """
    if n_classes == 2:
        return BinaryHead(label_vocabulary, loss_reduction)
    return MulticlassHead(n_classes, label_vocabulary, loss_reduction)
