"""Losses for model functions of one's own, and how losses become one number, as in `tf.compat.v1.losses`.

Every loss here is this replica's share of the loss of the global batch: with several workers the shares add up, so that
one worker and four learn the same. What is computed by hand is added up too: an average such as `tensor.mean()` is that
of the worker's own rows, and a penalty on weights counts once for each worker, unless it is divided by
`config.num_worker_replicas`.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from raydnn import errors
from raydnn.model.losses import Reduction, broadcast_weights, reduce_loss
from raydnn.train.run_context import current_context

__all__ = [
    "Reduction",
    "compute_weighted_loss",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
]

Weights = Tensor | float


def compute_weighted_loss(
    losses: Tensor, weights: Weights = 1.0, reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS
) -> Tensor:
    """One number from many losses.

    Args:
        losses: [rows] or [rows, ...]; computed in float32.
        weights: a number, or a tensor with as many axes as the losses, each of their size or 1.
        reduction: a value of `Reduction`; NONE returns the weighted losses as they are.

    Returns:
        Scalar, or the shape of the losses with NONE.

    Raises:
        ValueError: an unknown reduction, or weights that do not fit.
        RuntimeError: called outside a model function.
    """
    Reduction.validate(reduction)
    losses = losses.float()
    weight = torch.as_tensor(weights, dtype=losses.dtype, device=losses.device)
    weight = broadcast_weights(weight, losses)
    if reduction == Reduction.NONE:
        return losses * weight
    return reduce_loss(losses.flatten(), weight.flatten(), reduction, current_context().all_sum)


def sigmoid_cross_entropy(
    multi_class_labels: Any,
    logits: Tensor,
    weights: Weights = 1.0,
    label_smoothing: float = 0.0,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """max(z, 0) - z * y + log(1 + exp(-|z|)), for independent classes.

    Args:
        multi_class_labels: [rows, ...] as the logits, numbers in [0, 1].
        logits: float32 [rows, ...].
        weights, reduction: see `compute_weighted_loss`.
        label_smoothing: s; labels become y * (1 - s) + s / 2.

    Raises:
        ValueError: labels and logits have different shapes.
    """
    labels = torch.as_tensor(multi_class_labels, device=logits.device).to(logits.dtype)
    _check_shapes(labels, logits)
    if label_smoothing:
        labels = labels * (1 - label_smoothing) + 0.5 * label_smoothing
    losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return compute_weighted_loss(losses, weights, reduction)


def softmax_cross_entropy(
    onehot_labels: Any,
    logits: Tensor,
    weights: Weights = 1.0,
    label_smoothing: float = 0.0,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """logsumexp(z) - sum(z * y), for classes of which one holds.

    Args:
        onehot_labels: [rows, classes], probabilities of the classes.
        logits: float32 [rows, classes].
        weights: a number or [rows]; see `compute_weighted_loss`.
        label_smoothing: s; labels become y * (1 - s) + s / classes.
        reduction: see `compute_weighted_loss`.

    Raises:
        ValueError: labels and logits have different shapes.
    """
    labels = torch.as_tensor(onehot_labels, device=logits.device).to(logits.dtype)
    _check_shapes(labels, logits)
    if label_smoothing:
        labels = labels * (1 - label_smoothing) + label_smoothing / logits.shape[-1]
    losses = -(labels * F.log_softmax(logits, dim=-1)).sum(-1)
    return compute_weighted_loss(losses, _without_last_axis(weights, losses), reduction)


def sparse_softmax_cross_entropy(
    labels: Any, logits: Tensor, weights: Weights = 1.0, reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS
) -> Tensor:
    """logsumexp(z) - z[label].

    Args:
        labels: integers [rows, ...] or [rows, ..., 1], in [0, classes).
        logits: float32 [rows, ..., classes].
        weights: a number, or as the labels; see `compute_weighted_loss`.
        reduction: see `compute_weighted_loss`.

    Raises:
        TypeError: the labels are no integers.
        ValueError: the labels do not fit the logits.
        InvalidArgumentError: a label is no class.
    """
    ids = torch.as_tensor(labels, device=logits.device)
    if ids.dim() == logits.dim() and ids.shape[-1] == 1:
        ids = ids.squeeze(-1)
    if ids.shape != logits.shape[:-1]:
        raise ValueError(f"labels of shape {tuple(ids.shape)} do not fit logits of shape {tuple(logits.shape)}")
    if ids.is_floating_point():
        raise TypeError(f"labels must be integers; got {ids.dtype}")
    ids = ids.long()
    num_classes = logits.shape[-1]
    unknown = ids[(ids < 0) | (ids >= num_classes)]
    if len(unknown):
        raise errors.InvalidArgumentError(f"label {int(unknown[0])} is not in [0, {num_classes})")
    losses = F.cross_entropy(logits.reshape(-1, num_classes), ids.flatten(), reduction="none").view(ids.shape)
    return compute_weighted_loss(losses, _without_last_axis(weights, losses), reduction)


def mean_squared_error(
    labels: Any, predictions: Tensor, weights: Weights = 1.0, reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS
) -> Tensor:
    """(prediction - label)^2.

    Args:
        labels: [rows, ...] as the predictions.
        predictions: float32 [rows, ...].
        weights, reduction: see `compute_weighted_loss`.

    Raises:
        ValueError: labels and predictions have different shapes.
    """
    values = torch.as_tensor(predictions).float()
    targets = torch.as_tensor(labels, device=values.device).float()
    _check_shapes(targets, values)
    return compute_weighted_loss((values - targets) ** 2, weights, reduction)


def _check_shapes(labels: Tensor, predictions: Tensor) -> None:
    if labels.shape != predictions.shape:
        raise ValueError(
            f"labels of shape {tuple(labels.shape)} do not fit predictions of shape {tuple(predictions.shape)}"
        )


def _without_last_axis(weights: Weights, losses: Tensor) -> Weights:
    """Weights [rows, 1] for losses [rows]."""
    weight = torch.as_tensor(weights)
    return weight.squeeze(-1) if weight.dim() == losses.dim() + 1 and weight.shape[-1] == 1 else weight
