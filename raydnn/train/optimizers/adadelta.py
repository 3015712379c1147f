"""Adadelta."""

import torch

from raydnn.train.learning_rate import LearningRate
from raydnn.train.optimizers.optimizer import Optimizer, Step, Tensors


class AdadeltaOptimizer(Optimizer):
    """a = rho * a + (1 - rho) g^2; u = sqrt(d + epsilon) / sqrt(a + epsilon) * g; d = rho * d + (1 - rho) u^2;
    v -= lr * u. Zeiler, 2012.

    Args:
        learning_rate: lr.
        rho: how much of the averages remains.
        epsilon: added below both roots.
        name: of the slots, a and d.
    """

    slot_values = (0.0, 0.0)

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-8,
        use_locking: bool = False,
        name: str = "Adadelta",
    ) -> None:
        super().__init__(learning_rate, name)
        self._rho = rho
        self._epsilon = epsilon

    def update(self, step: Step, weights: Tensors, gradients: Tensors, *slots: Tensors) -> None:
        squares, deltas = (list(slot) for slot in slots)
        grads = list(gradients)
        torch._foreach_mul_(squares, self._rho)
        torch._foreach_addcmul_(squares, grads, grads, value=1 - self._rho)
        updates = torch._foreach_add(deltas, self._epsilon)
        torch._foreach_div_(updates, torch._foreach_add(squares, self._epsilon))
        torch._foreach_sqrt_(updates)
        torch._foreach_mul_(updates, grads)
        torch._foreach_mul_(deltas, self._rho)
        torch._foreach_addcmul_(deltas, updates, updates, value=1 - self._rho)
        torch._foreach_add_(list(weights), updates, alpha=-step.learning_rate)
