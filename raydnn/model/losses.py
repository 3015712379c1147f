"""Loss reductions, over the global batch of all replicas."""

from collections.abc import Callable

import torch
from torch import Tensor


class Reduction:
    """Names of the loss reductions, as in `tf.compat.v1.losses.Reduction`.

    With s the sum over the batch of weight * loss: SUM is s; MEAN is s / sum of weights; SUM_OVER_BATCH_SIZE is
    s / batch size; SUM_BY_NONZERO_WEIGHTS is s / number of weights that are not 0. A zero divisor gives 0.
    """

    NONE = "none"
    SUM = "weighted_sum"
    MEAN = "weighted_mean"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    SUM_OVER_NONZERO_WEIGHTS = SUM_BY_NONZERO_WEIGHTS

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """All values."""
        return (cls.NONE, cls.SUM, cls.MEAN, cls.SUM_OVER_BATCH_SIZE, cls.SUM_BY_NONZERO_WEIGHTS)

    @classmethod
    def validate(cls, key: object) -> None:
        """Refuse what is not a reduction.

        Raises:
            ValueError: it is not.
        """
        if key not in cls.all():
            raise ValueError(f"loss_reduction {key!r} is not one of {', '.join(cls.all())}")


def reduce_loss(losses: Tensor, weights: Tensor | None, reduction: str, all_sum: Callable[[Tensor], Tensor]) -> Tensor:
    """This replica's share of the loss of the global batch: the shares of all replicas add up to it.

    Args:
        losses: float32 [rows], may be empty.
        weights: float32 [rows]; None counts every row 1.
        reduction: a value of `Reduction`, not NONE.
        all_sum: sums a tensor over the replicas.

    Returns:
        Scalar.
    """
    share = losses.sum() if weights is None else (weights * losses).sum()
    if reduction == Reduction.SUM:
        return share
    weight = torch.ones_like(losses) if weights is None else weights
    if reduction == Reduction.MEAN:
        divisor = weight.sum()
    elif reduction == Reduction.SUM_OVER_BATCH_SIZE:
        divisor = weight.new_tensor(float(len(weight)))
    else:
        divisor = (weight != 0).sum().to(weight.dtype)
    divisor = all_sum(divisor)
    return torch.where(divisor == 0, torch.zeros_like(share), share / torch.where(divisor == 0, 1.0, divisor))


def broadcast_weights(weights: Tensor, like: Tensor) -> Tensor:
    """Weights in the shape of what they weigh: a scalar, or as many axes, each of the same size or 1.

    Raises:
        ValueError: they do not fit. Plain broadcasting would take weights of rows for weights of columns.
    """
    fits = weights.dim() in (0, like.dim()) and all(
        size in (1, wanted) for size, wanted in zip(weights.shape, like.shape, strict=False)
    )
    if not fits:
        raise ValueError(f"weights of shape {tuple(weights.shape)} do not fit values of shape {tuple(like.shape)}")
    return weights.broadcast_to(like.shape)
