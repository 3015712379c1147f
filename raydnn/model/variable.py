"""A variable: a tensor under its TensorFlow name."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raydnn import errors

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
    """

    name: str
    tensor: Tensor
    trainable: bool = True
    group: "TableGroup | None" = None
    first_row: int = 0
    num_slices: int = 1


def assign(tensor: Tensor, value: NDArray[Any], name: str, path: str) -> None:
    """Copy a stored value into a variable.

    Raises:
        InvalidArgumentError: the shapes differ.
    """
    if tuple(value.shape) != tuple(tensor.shape):
        raise errors.InvalidArgumentError(
            f"variable '{name}' has shape {tuple(value.shape)} in {path}, the model needs {tuple(tensor.shape)}; "
            "the columns or hidden_units have changed since: use another model_dir, or restore them"
        )
    tensor.copy_(torch.from_numpy(np.asarray(value, order="C")))
