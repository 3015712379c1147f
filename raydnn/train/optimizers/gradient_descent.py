"""Gradient descent, plain and with proximal regularisation."""

import torch

from raydnn.train.learning_rate import LearningRate
from raydnn.train.optimizers.optimizer import Optimizer, Step, Tensors, check_not_negative
from raydnn.train.optimizers.proximal import shrink_


class GradientDescentOptimizer(Optimizer):
    """v -= lr * g.

    Args:
        learning_rate: lr.
        name: of the optimizer; it keeps no slots.
    """

    slot_values = ()

    def __init__(self, learning_rate: LearningRate, use_locking: bool = False, name: str = "GradientDescent") -> None:
        super().__init__(learning_rate, name)

    def update(self, step: Step, weights: Tensors, gradients: Tensors, *slots: Tensors) -> None:
        torch._foreach_add_(list(weights), list(gradients), alpha=-step.learning_rate)


class ProximalGradientDescentOptimizer(Optimizer):
    """p = v - lr * g; v = sign(p) * max(|p| - lr * l1, 0) / (1 + lr * l2). Duchi and Singer, 2009.

    Args:
        learning_rate: lr.
        l1_regularization_strength: l1.
        l2_regularization_strength: l2.
        name: of the optimizer; it keeps no slots.

    Raises:
        ValueError: a negative strength.
    """

    slot_values = ()

    def __init__(
        self,
        learning_rate: LearningRate,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "ProximalGradientDescent",
    ) -> None:
        check_not_negative(
            l1_regularization_strength=l1_regularization_strength,
            l2_regularization_strength=l2_regularization_strength,
        )
        super().__init__(learning_rate, name)
        self._l1 = l1_regularization_strength
        self._l2 = l2_regularization_strength

    def update(self, step: Step, weights: Tensors, gradients: Tensors, *slots: Tensors) -> None:
        torch._foreach_add_(list(weights), list(gradients), alpha=-step.learning_rate)
        rates = [torch.full_like(weight, step.learning_rate) for weight in weights]
        shrink_(weights, rates, self._l1, self._l2)
