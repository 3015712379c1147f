"""The proximal step that regularised rules share."""

import torch

from raydnn.train.optimizers.optimizer import Tensors


def shrink_(weights: Tensors, rates: Tensors, l1: float, l2: float) -> None:
    """v = sign(v) * max(|v| - e * l1, 0) / (1 + e * l2), in place.

    Args:
        weights: v.
        rates: e, of the same shapes.
        l1, l2: strengths of the regularisation.
    """
    values = list(weights)
    if l1:
        signs = torch._foreach_sign(values)
        torch._foreach_abs_(values)
        torch._foreach_add_(values, list(rates), alpha=-l1)
        torch._foreach_clamp_min_(values, 0.0)
        torch._foreach_mul_(values, signs)
    if l2:
        divisors = torch._foreach_mul(list(rates), l2)
        torch._foreach_add_(divisors, 1.0)
        torch._foreach_div_(values, divisors)
