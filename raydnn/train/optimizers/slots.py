"""The slots of an optimizer beside the variables they belong to, and the update of both."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from raydnn.model.tables import TableGroup
from raydnn.model.variable import Variable
from raydnn.train.optimizers.optimizer import Optimizer
from raydnn.train.replicas import Replicas


class Slots:
    """The optimizer state of a model.

    Args:
        optimizer: decides which slots there are and how they begin.
        variables: of the model.

    Raises:
        ValueError: no variable is trainable.
    """

    def __init__(self, optimizer: Optimizer, variables: Iterable[Variable]) -> None:
        self._names = optimizer.slot_names
        self._variables = [variable for variable in variables if variable.trainable]
        if not self._variables:
            raise ValueError("no variable is trainable, so there is nothing for the optimizer to do")
        self._dense = [variable.tensor for variable in self._variables if variable.group is None]
        groups = (variable.group for variable in self._variables if variable.group is not None)
        self._groups: list[TableGroup] = list(dict.fromkeys(groups))
        self._of_dense = [_like(self._dense, value) for value in optimizer.slot_values]
        self._of_groups = [_like([group.weight for group in self._groups], value) for value in optimizer.slot_values]

    def variables(self) -> Iterator[Variable]:
        """The slots as variables, named VARIABLE/t_0/SLOT."""
        dense_place = 0
        for variable in self._variables:
            for name, dense, fused in zip(self._names, self._of_dense, self._of_groups, strict=True):
                if variable.group is None:
                    tensor = dense[dense_place]
                else:
                    matrix = fused[self._groups.index(variable.group)]
                    tensor = matrix.narrow(0, variable.first_row, len(variable.tensor))
                yield Variable(f"{variable.name}/t_0/{name}", tensor, trainable=False)
            dense_place += variable.group is None

    def apply(self, optimizer: Optimizer, global_step: int, replicas: Replicas) -> None:
        """Update all trainable variables from the gradients of the last backward pass, and forget those."""
        learning_rate = optimizer.learning_rate_at(global_step)
        with torch.no_grad():
            self._apply_dense(optimizer, learning_rate)
            for place, group in enumerate(self._groups):
                slots = [matrices[place] for matrices in self._of_groups]
                self._apply_rows(optimizer, learning_rate, group, slots, replicas)

    def _apply_dense(self, optimizer: Optimizer, learning_rate: float) -> None:
        places = [place for place, tensor in enumerate(self._dense) if tensor.grad is not None]
        if not places:
            return
        weights = [self._dense[place] for place in places]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        slots = [[slot[place] for place in places] for slot in self._of_dense]
        optimizer.update(learning_rate, weights, gradients, *slots)
        torch._foreach_zero_(gradients)

    def _apply_rows(
        self,
        optimizer: Optimizer,
        learning_rate: float,
        group: TableGroup,
        slots: Sequence[Tensor],
        replicas: Replicas,
    ) -> None:
        gradient = replicas.gather_rows(group.take_gradient(), group.dimension)
        if gradient is None:
            return
        if not optimizer.rows_only:
            dense = torch.zeros_like(group.weight).index_copy_(0, gradient.rows, gradient.values)
            optimizer.update(learning_rate, [group.weight], [dense], *([slot] for slot in slots))
            return
        if not len(gradient.rows):
            return
        matrices = [group.weight, *slots]
        touched = [matrix.index_select(0, gradient.rows) for matrix in matrices]
        optimizer.update(learning_rate, touched[:1], [gradient.values], *([slot] for slot in touched[1:]))
        for matrix, rows in zip(matrices, touched, strict=True):
            matrix.index_copy_(0, gradient.rows, rows)


def _like(tensors: Iterable[Tensor], value: float) -> list[Tensor]:
    return [torch.full_like(tensor.detach(), value) for tensor in tensors]
