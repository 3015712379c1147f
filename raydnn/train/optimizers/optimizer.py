"""What all optimizers share: hyperparameters, the slots they keep, and a rule over lists of tensors."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

LearningRate = float | Callable[[], float]
Tensors = Sequence[Tensor]


@dataclass(frozen=True, eq=False)
class TrainOp:
    """What a training step does with its loss: `optimizer.minimize(loss)` returns it.

    Attributes:
        optimizer: applied to the gradients.
        loss: scalar; its backward pass gives the gradients.
    """

    optimizer: "Optimizer"
    loss: Tensor


class Optimizer(ABC):
    """An update rule with TensorFlow's arithmetic.

    Args:
        learning_rate: a number, or a callable without arguments that is evaluated when the model is built.
        name: prefix of the slots' names.

    Attributes:
        slot_values: initial value of each slot, in order.
        rows_only: whether a gradient of some rows changes those rows alone; False means that the other rows move
            too, as with a gradient of 0.
    """

    rows_only: ClassVar[bool] = True

    def __init__(self, learning_rate: LearningRate, name: str) -> None:
        self.learning_rate = learning_rate
        self.name = name

    @property
    @abstractmethod
    def slot_values(self) -> tuple[float, ...]:
        """The initial value of each slot."""

    @property
    def slot_names(self) -> tuple[str, ...]:
        """NAME, NAME_1, NAME_2, ..."""
        return tuple(self.name if place == 0 else f"{self.name}_{place}" for place in range(len(self.slot_values)))

    @abstractmethod
    def update(self, learning_rate: float, weights: Tensors, gradients: Tensors, *slots: Tensors) -> None:
        """Change weights and slots in place.

        Args:
            learning_rate: of this step.
            weights: whole variables or some of their rows.
            gradients: of the same shapes.
            slots: one list for each slot, each of the same shapes.
        """

    def learning_rate_at(self, global_step: int) -> float:
        """The learning rate of the update that follows `global_step`."""
        return float(self.learning_rate() if callable(self.learning_rate) else self.learning_rate)

    def minimize(self, loss: Tensor, global_step: object = None) -> TrainOp:
        """The step that reduces a loss.

        Args:
            loss: scalar.
            global_step: accepted for likeness with TensorFlow; each update counts one step.
        """
        return TrainOp(self, loss)
