"""Losses for model functions of one's own, and how losses become one number, as in `tf.compat.v1.losses`.

Every loss here is this replica's share of the loss of the global batch: with several workers the shares add up, so that
one worker and four learn the same. An average taken by hand, such as `tensor.mean()`, is one of the worker's own rows.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from raydnn.model.losses import Reduction, reduce_loss
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
        losses: float32 [rows] or [rows, ...].
        weights: a number, or a tensor that broadcasts to the losses, such as [rows, 1].
        reduction: a value of `Reduction`; NONE returns the weighted losses as they are.

    Returns:
        Scalar, or the shape of the losses with NONE.

    Raises:
        ValueError: an unknown reduction, or weights that do not broadcast.
        RuntimeError: called outside a model function.
    """
    Reduction.validate(reduction)
    weight = torch.as_tensor(weights, dtype=losses.dtype, device=losses.device)
    try:
        weight = weight.broadcast_to(losses.shape)
    except RuntimeError as error:
        raise ValueError(
            f"weights of shape {tuple(weight.shape)} do not fit losses of shape {tuple(losses.shape)}"
        ) from error
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
        labels: integers [rows] or [rows, 1], in [0, classes).
        logits: float32 [rows, classes].
        weights: a number, [rows] or [rows, 1]; see `compute_weighted_loss`.
        reduction: see `compute_weighted_loss`.

    Raises:
        ValueError: the labels are neither [rows] nor [rows, 1].
    """
    ids = torch.as_tensor(labels, device=logits.device).long()
    if ids.dim() == logits.dim() and ids.shape[-1] == 1:
        ids = ids.squeeze(-1)
    if ids.shape != logits.shape[:-1]:
        raise ValueError(f"labels of shape {tuple(ids.shape)} do not fit logits of shape {tuple(logits.shape)}")
    losses = F.cross_entropy(logits, ids, reduction="none")
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
    targets = torch.as_tensor(labels, device=predictions.device).to(predictions.dtype)
    _check_shapes(targets, predictions)
    return compute_weighted_loss((predictions - targets) ** 2, weights, reduction)


def _check_shapes(labels: Tensor, predictions: Tensor) -> None:
    if labels.shape != predictions.shape:
        raise ValueError(
            f"labels of shape {tuple(labels.shape)} do not fit predictions of shape {tuple(predictions.shape)}"
        )


def _without_last_axis(weights: Weights, losses: Tensor) -> Weights:
    """Weights [rows, 1] for losses [rows]."""
    if isinstance(weights, Tensor) and weights.dim() == losses.dim() + 1 and weights.shape[-1] == 1:
        return weights.squeeze(-1)
    return weights
