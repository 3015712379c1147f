"""Adam."""

from collections.abc import Mapping
from math import sqrt

import torch
from torch import Tensor

from raydnn.train.learning_rate import LearningRate
from raydnn.train.optimizers.optimizer import Optimizer, Step, Tensors, check_numbers

_POWERS = ("beta1_power", "beta2_power")


class AdamOptimizer(Optimizer):
    """lr_t = lr * sqrt(1 - b2^t) / (1 - b1^t); m += (1 - b1)(g - m); s += (1 - b2)(g^2 - s);
    v -= lr_t * m / (sqrt(s) + epsilon). Kingma and Ba, 2015, the formula before section 2.1.

    Not lazy: rows of an embedding that a step did not touch move on with a gradient of 0.

    Args:
        learning_rate: lr.
        beta1: b1.
        beta2: b2.
        epsilon: added to the root of s before it is corrected (torch adds it after).
        name: of the slots.

    Raises:
        ValueError: beta1 is 1.
    """

    slot_values = (0.0, 0.0)
    rows_only = False

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        use_locking: bool = False,
        name: str = "Adam",
    ) -> None:
        super().__init__(learning_rate, name)
        check_numbers(beta1=beta1, beta2=beta2, epsilon=epsilon)
        if beta1 == 1:
            raise ValueError("beta1 must not be 1: the rule divides by 1 - beta1")
        self._betas = (beta1, beta2)
        self._epsilon = epsilon

    @property
    def scalar_values(self) -> dict[str, float]:
        return dict(zip(_POWERS, self._betas, strict=True))

    def advance(self, scalars: Mapping[str, Tensor]) -> None:
        for name, beta in zip(_POWERS, self._betas, strict=True):
            scalars[name].mul_(beta)

    def update(self, step: Step, weights: Tensors, gradients: Tensors, *slots: Tensors) -> None:
        means, squares = (list(slot) for slot in slots)
        power1, power2 = (step.scalars[name] for name in _POWERS)
        rate = step.learning_rate * sqrt(1 - power2) / (1 - power1)
        beta1, beta2 = self._betas
        torch._foreach_lerp_(means, list(gradients), 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, list(gradients), list(gradients), value=1 - beta2)
        divisors = torch._foreach_sqrt(squares)
        torch._foreach_add_(divisors, self._epsilon)
        torch._foreach_addcdiv_(list(weights), means, divisors, value=-rate)
