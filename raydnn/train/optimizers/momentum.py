"""Momentum."""

import torch

from raydnn.train.learning_rate import LearningRate
from raydnn.train.optimizers.optimizer import Optimizer, Step, Tensors, check_numbers


class MomentumOptimizer(Optimizer):
    """a = momentum * a + g; v -= lr * a; with Nesterov's, v -= lr * (g + momentum * a).

    Args:
        learning_rate: lr.
        momentum: how much of a remains.
        name: of the slot.
        use_nesterov: whether to look ahead; Sutskever et al., 2013.
    """

    slot_values = (0.0,)

    def __init__(
        self,
        learning_rate: LearningRate,
        momentum: float,
        use_locking: bool = False,
        name: str = "Momentum",
        use_nesterov: bool = False,
    ) -> None:
        super().__init__(learning_rate, name)
        check_numbers(momentum=momentum)
        self._momentum = momentum
        self._use_nesterov = use_nesterov

    def update(self, step: Step, weights: Tensors, gradients: Tensors, *slots: Tensors) -> None:
        accumulators = list(slots[0])
        torch._foreach_mul_(accumulators, self._momentum)
        torch._foreach_add_(accumulators, list(gradients))
        if self._use_nesterov:
            torch._foreach_add_(list(weights), list(gradients), alpha=-step.learning_rate)
            torch._foreach_add_(list(weights), accumulators, alpha=-step.learning_rate * self._momentum)
        else:
            torch._foreach_add_(list(weights), accumulators, alpha=-step.learning_rate)
