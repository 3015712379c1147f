"""Follow the regularised leader."""

import torch

from raydnn.train.learning_rate import LearningRate
from raydnn.train.optimizers.optimizer import Optimizer, Step, Tensors, check_not_negative, check_numbers


class FtrlOptimizer(Optimizer):
    """FTRL-Proximal, McMahan et al., 2013. With P = -learning_rate_power and L2 = l2 + beta / (2 lr):

        n' = n + g^2;  q = n'^P / lr + 2 L2
        z += g + 2 shrinkage v - (n'^P - n^P) / lr * v
        v = (sign(z) l1 - z) / q if |z| > l1 else 0;  n = n'

    z starts at 0, so that the first step forgets the initial weights almost entirely.

    Args:
        learning_rate: lr.
        learning_rate_power: 0 or less; -0.5 divides by the root of n.
        initial_accumulator_value: n at the start, 0 or more.
        l1_regularization_strength: l1.
        l2_regularization_strength: l2.
        name: of the slots, n and z.
        accum_name, linear_name: accepted for likeness.
        l2_shrinkage_regularization_strength: shrinkage.
        beta: added to l2 as above; None is 0.

    Raises:
        ValueError: a value out of its range.
    """

    def __init__(
        self,
        learning_rate: LearningRate,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "Ftrl",
        accum_name: str | None = None,
        linear_name: str | None = None,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float | None = None,
    ) -> None:
        check_numbers(learning_rate_power=learning_rate_power)
        if learning_rate_power > 0:
            raise ValueError(f"learning_rate_power must be 0 or less; got {learning_rate_power}")
        check_not_negative(
            initial_accumulator_value=initial_accumulator_value,
            l1_regularization_strength=l1_regularization_strength,
            l2_regularization_strength=l2_regularization_strength,
            l2_shrinkage_regularization_strength=l2_shrinkage_regularization_strength,
        )
        super().__init__(learning_rate, name)
        self._power = -learning_rate_power
        self._initial_accumulator_value = initial_accumulator_value
        self._l1 = l1_regularization_strength
        self._l2 = l2_regularization_strength
        self._shrinkage = l2_shrinkage_regularization_strength
        self._beta = beta or 0.0

    @property
    def slot_values(self) -> tuple[float, ...]:
        return (self._initial_accumulator_value, 0.0)

    def update(self, step: Step, weights: Tensors, gradients: Tensors, *slots: Tensors) -> None:
        accumulators, linears = (list(slot) for slot in slots)
        values, grads, rate = list(weights), list(gradients), step.learning_rate
        if rate == 0:
            raise ValueError("learning_rate is 0, by which Ftrl divides; let its schedule end above 0")
        before = torch._foreach_pow(accumulators, self._power)
        torch._foreach_addcmul_(accumulators, grads, grads)
        after = torch._foreach_pow(accumulators, self._power)
        torch._foreach_add_(linears, grads)
        if self._shrinkage:
            torch._foreach_add_(linears, values, alpha=2 * self._shrinkage)
        torch._foreach_addcmul_(linears, torch._foreach_sub(after, before), values, value=-1 / rate)
        # v = -sign(z) * max(|z| - l1, 0) / q
        updated = torch._foreach_abs(linears)
        torch._foreach_sub_(updated, self._l1)
        torch._foreach_clamp_min_(updated, 0.0)
        torch._foreach_mul_(updated, torch._foreach_sign(linears))
        divisors = torch._foreach_div(after, rate)
        torch._foreach_add_(divisors, 2 * (self._l2 + self._beta / (2 * rate)))
        # Where n is still 0, z is too: 0 / 0 must be 0.
        torch._foreach_clamp_min_(divisors, torch.finfo(torch.float32).tiny)
        torch._foreach_div_(updated, divisors)
        torch._foreach_neg_(updated)
        torch._foreach_copy_(values, updated)
