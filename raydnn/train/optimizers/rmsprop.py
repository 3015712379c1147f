"""RMSProp."""

import torch

from raydnn.train.learning_rate import LearningRate
from raydnn.train.optimizers.optimizer import Optimizer, Step, Tensors, check_numbers


class RMSPropOptimizer(Optimizer):
    """r += (1 - decay)(g^2 - r); u = momentum * u + lr * g / sqrt(r + epsilon); v -= u. Hinton, 2012.

    Centered: c += (1 - decay)(g - c), and the root is that of r - c^2 + epsilon. r starts at 1, the others at 0.

    Args:
        learning_rate: lr.
        decay: how much of the averages remains.
        momentum: how much of u remains.
        epsilon: added below the root.
        centered: whether the mean gradient is taken off.
        name: of the slots.
    """

    def __init__(
        self,
        learning_rate: LearningRate,
        decay: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-10,
        use_locking: bool = False,
        centered: bool = False,
        name: str = "RMSProp",
    ) -> None:
        super().__init__(learning_rate, name)
        check_numbers(decay=decay, momentum=momentum, epsilon=epsilon)
        self._decay = decay
        self._momentum = momentum
        self._epsilon = epsilon
        self._centered = centered

    @property
    def slot_values(self) -> tuple[float, ...]:
        return (1.0, 0.0, 0.0) if self._centered else (1.0, 0.0)

    def update(self, step: Step, weights: Tensors, gradients: Tensors, *slots: Tensors) -> None:
        squares, *means, momenta = (list(slot) for slot in slots)
        grads = list(gradients)
        torch._foreach_mul_(squares, self._decay)
        torch._foreach_addcmul_(squares, grads, grads, value=1 - self._decay)
        roots = torch._foreach_add(squares, self._epsilon)
        for mean in means:
            torch._foreach_lerp_(mean, grads, 1 - self._decay)
            torch._foreach_addcmul_(roots, mean, mean, value=-1.0)
        torch._foreach_sqrt_(roots)
        torch._foreach_mul_(momenta, self._momentum)
        torch._foreach_addcdiv_(momenta, grads, roots, value=step.learning_rate)
        torch._foreach_sub_(list(weights), momenta)
