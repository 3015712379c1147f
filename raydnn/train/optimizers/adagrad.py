"""Adagrad."""

import torch

from raydnn.train.optimizers.optimizer import LearningRate, Optimizer, Tensors


class AdagradOptimizer(Optimizer):
    """a += g^2; v -= lr * g / sqrt(a). There is no epsilon: a starts above 0. Duchi et al., 2011.

    Args:
        learning_rate: lr.
        initial_accumulator_value: a at the start, above 0.
        name: of the slot.

    Raises:
        ValueError: initial_accumulator_value is not positive.
    """

    def __init__(
        self,
        learning_rate: LearningRate,
        initial_accumulator_value: float = 0.1,
        use_locking: bool = False,
        name: str = "Adagrad",
    ) -> None:
        if initial_accumulator_value <= 0:
            raise ValueError(f"initial_accumulator_value must be positive; got {initial_accumulator_value}")
        super().__init__(learning_rate, name)
        self.initial_accumulator_value = initial_accumulator_value

    @property
    def slot_values(self) -> tuple[float, ...]:
        return (self.initial_accumulator_value,)

    def update(self, learning_rate: float, weights: Tensors, gradients: Tensors, *slots: Tensors) -> None:
        (accumulators,) = slots
        torch._foreach_addcmul_(list(accumulators), list(gradients), list(gradients))
        roots = torch._foreach_sqrt(list(accumulators))
        torch._foreach_addcdiv_(list(weights), list(gradients), roots, value=-learning_rate)
