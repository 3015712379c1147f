"""A variable: a tensor under its TensorFlow name."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raydnn import errors
from raydnn.model.rows import Rows

if TYPE_CHECKING:
    from raydnn.model.tables import TableGroup


@dataclass(frozen=True, eq=False)
class Variable:
    """One variable of a model.

    Attributes:
        name: as in a checkpoint, such as 'dnn/hiddenlayer_0/kernel'.
        tensor: its storage, in TensorFlow's layout; for an embedding table a view into the fused group.
        trainable: whether the optimizer changes it.
        group: the fused group that an embedding table lives in, else None.
        first_row: where the table begins in that group.
        num_slices: how many slices of rows its slots are stored in.
        rows: which of its rows the tensor holds, where it is spread over replicas; None for all.
    """

    name: str
    tensor: Tensor
    trainable: bool = True
    group: "TableGroup | None" = None
    first_row: int = 0
    num_slices: int = 1
    rows: Rows | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole variable."""
        if self.rows is None:
            return tuple(self.tensor.shape)
        return (self.rows.total, *self.tensor.shape[1:])

    def slice(self, name: str, start: int, stop: int) -> "Variable":
        """Rows [start, stop) of the variable under a name of their own; the tensor is a view."""
        if self.rows is None:
            return Variable(name, self.tensor[start:stop], self.trainable)
        rows, place = self.rows.within(start, stop)
        return Variable(name, self.tensor[place], self.trainable, rows=rows)

    def assign(self, value: NDArray[Any], path: str) -> None:
        """Copy a value of the whole variable into it.

        Args:
            value: as it is stored.
            path: where it comes from, for messages.

        Raises:
            InvalidArgumentError: the shapes differ.
        """
        self.check_shape(tuple(value.shape), path)
        self.fill(value if self.rows is None else value[self.rows.places])

    def check_shape(self, shape: tuple[int, ...], path: str) -> None:
        """Refuse a stored value of another shape.

        Raises:
            InvalidArgumentError: the shapes differ.
        """
        if shape != self.shape:
            raise errors.InvalidArgumentError(
                f"variable '{self.name}' has shape {shape} in {path}, the model needs {self.shape}; "
                "the columns or hidden_units have changed since: use another model_dir, or restore them"
            )

    def fill(self, held: NDArray[Any]) -> None:
        """Copy the rows that the tensor holds into it."""
        with torch.no_grad():
            self.tensor.copy_(torch.from_numpy(np.asarray(held, order="C")))
