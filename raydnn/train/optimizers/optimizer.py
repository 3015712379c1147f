"""What all optimizers share: hyperparameters, the slots they keep, and a rule over lists of tensors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from raydnn.train.learning_rate import LearningRate, Schedule

Tensors = Sequence[Tensor]


@dataclass(frozen=True, eq=False)
class TrainOp:
    """What a training step does with its loss: `optimizer.minimize(loss)` returns it.

    Attributes:
        optimizer: applied to the gradients.
        loss: scalar; its backward pass gives the gradients.
        scope: prefix of the names of the optimizer's scalars.
    """

    optimizer: "Optimizer"
    loss: Tensor
    scope: str = ""


@dataclass(frozen=True)
class Step:
    """What an update rule reads beside its tensors.

    Attributes:
        learning_rate: of this step.
        scalars: the optimizer's scalars before this step.
    """

    learning_rate: float
    scalars: Mapping[str, float]


class Optimizer(ABC):
    """An update rule with TensorFlow's arithmetic. Every `use_locking` is accepted for likeness.

    Args:
        learning_rate: a number, a schedule, or a callable without arguments that gives one when the model is built.
        name: prefix of the slots' names.

    Raises:
        ValueError: no name.
        TypeError: a hyperparameter that is no number.

    Attributes:
        rows_only: whether a gradient of some rows changes those rows alone; False means that the other rows
            move too, as with a gradient of 0.
    """

    rows_only: ClassVar[bool] = True

    def __init__(self, learning_rate: LearningRate, name: str) -> None:
        if not name:
            raise ValueError(f"name must not be empty, as slots are called by it; got {name!r}")
        if not callable(learning_rate) and not isinstance(learning_rate, Schedule):
            check_numbers(learning_rate=learning_rate)
        self.learning_rate = learning_rate
        self.name = name

    @property
    @abstractmethod
    def slot_values(self) -> tuple[float, ...]:
        """The initial value of each slot."""

    @property
    def slot_names(self) -> tuple[str, ...]:
        """NAME, NAME_1, NAME_2, ..."""
        return tuple(f"{self.name}_{place}" if place else self.name for place in range(len(self.slot_values)))

    @property
    def scalar_values(self) -> dict[str, float]:
        """The initial values of numbers that belong to no variable."""
        return {}

    def advance(self, scalars: Mapping[str, Tensor]) -> None:  # noqa: B027 - most optimizers have no scalars
        """Change the scalars in place, after an update of all variables."""

    @abstractmethod
    def update(self, step: Step, weights: Tensors, gradients: Tensors, *slots: Tensors) -> None:
        """Change weights and slots in place.

        Args:
            step: learning rate and scalars.
            weights: whole variables or some of their rows.
            gradients: of the same shapes.
            slots: one list for each slot, each of the same shapes.
        """

    def minimize(self, loss: Tensor, global_step: Any = None) -> TrainOp:
        """The step that reduces a loss.

        Args:
            loss: scalar.
            global_step: accepted for likeness with TensorFlow; each update counts one step.
        """
        return TrainOp(self, loss)


def check_numbers(**values: Any) -> None:
    """Refuse hyperparameters that are no numbers.

    Raises:
        TypeError: one is not; the message names it.
    """
    for name, value in values.items():
        if isinstance(value, bool | str) or not hasattr(value, "__float__"):
            raise TypeError(f"{name} must be a number; got {value!r}")


def check_not_negative(**values: float) -> None:
    """Refuse negative hyperparameters.

    Raises:
        ValueError: one is negative; the message names it.
        TypeError: one is no number.
    """
    check_numbers(**values)
    for name, value in values.items():
        if value < 0:
            raise ValueError(f"{name} must not be negative; got {value}")


def check_positive(**values: float) -> None:
    """Refuse hyperparameters that are not above 0.

    Raises:
        ValueError: one is not; the message names it.
        TypeError: one is no number.
    """
    check_numbers(**values)
    for name, value in values.items():
        if value <= 0:
            raise ValueError(f"{name} must be positive; got {value}")
