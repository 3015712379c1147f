"""Gradient descent."""

import torch

from raydnn.train.optimizers.optimizer import LearningRate, Optimizer, Tensors


class GradientDescentOptimizer(Optimizer):
    """v -= lr * g.

    Args:
        learning_rate: lr.
        name: of the optimizer; it keeps no slots.
    """

    slot_values = ()

    def __init__(self, learning_rate: LearningRate, use_locking: bool = False, name: str = "GradientDescent") -> None:
        super().__init__(learning_rate, name)

    def update(self, learning_rate: float, weights: Tensors, gradients: Tensors, *slots: Tensors) -> None:
        torch._foreach_add_(list(weights), list(gradients), alpha=-learning_rate)
