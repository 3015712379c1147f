"""Optimizers of torch in the place of TensorFlow's: outside of parity, for those who want them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from raydnn.model.tables import TableGroup
from raydnn.model.variable import Variable
from raydnn.train.checkpoint.reader import VariableReader
from raydnn.train.optimizers.optimizer import Optimizer, Step, Tensors, TrainOp
from raydnn.train.optimizers.slots import Slots
from raydnn.train.replicas import Replicas


class TorchOptimizer(Optimizer):
    """A torch optimizer as an optimizer of raydnn.

    Args:
        factory: makes the optimizer from a list of parameters, such as `functools.partial(torch.optim.AdamW, lr=0.01)`.
    """

    slot_values = ()

    def __init__(self, factory: Callable[[list[Tensor]], torch.optim.Optimizer]) -> None:
        name = getattr(getattr(factory, "func", factory), "__name__", "torch")
        super().__init__(0.0, name)
        self.factory = factory

    def update(self, step: Step, weights: Tensors, gradients: Tensors, *slots: Tensors) -> None:
        raise TypeError("a torch optimizer updates its own parameters")


class TorchSlots:
    """The state of a torch optimizer, with the interface of `Slots`.

    Embedding tables get dense gradients: torch's rules are not made for single rows.

    Args:
        optimizer: whose factory makes the torch optimizer.
        variables: of the model.
    """

    def __init__(self, optimizer: TorchOptimizer, variables: Iterable[Variable]) -> None:
        trainable = [variable for variable in variables if variable.trainable]
        groups = (variable.group for variable in trainable if variable.group is not None)
        self._groups: list[TableGroup] = list(dict.fromkeys(groups))
        if any(group.exchange is not None for group in self._groups):
            raise ValueError(
                "a torch optimizer cannot update tables that are spread over workers; set num_ps_replicas=0, or take "
                "an optimizer of raydnn.train"
            )
        self._name = optimizer.name
        self._owners: list[tuple[str, Tensor]] = [
            (variable.name, variable.tensor) for variable in trainable if variable.group is None
        ]
        self._owners += [(group.tables[0].name, group.weight) for group in self._groups]
        if not self._owners:
            raise ValueError("no variable is trainable, so there is nothing for the optimizer to do")
        self._torch = optimizer.factory([tensor for _, tensor in self._owners])

    def variables(self) -> Iterator[Variable]:
        """The tensors of the optimizer's state, named VARIABLE/t_0/OPTIMIZER/KEY."""
        for name, tensor in self._owners:
            for key, value in self._torch.state.get(tensor, {}).items():
                if isinstance(value, Tensor):
                    yield Variable(f"{name}/t_0/{self._name}/{key}", value, trainable=False)

    def restore(self, reader: VariableReader) -> None:
        """Take the state from a checkpoint, as far as it is there."""
        stored = reader.get_variable_to_shape_map()
        for name, tensor in self._owners:
            prefix = f"{name}/t_0/{self._name}/"
            keys = [key for key in stored if key.startswith(prefix)]
            state: dict[str, Any] = {}
            for key, value in reader.get_tensors(keys).items():
                state[key.removeprefix(prefix)] = torch.from_numpy(value.copy()).to(tensor.device)
            if state:
                self._torch.state[tensor] = state

    def apply(self, optimizer: Optimizer, global_step: int, replicas: Replicas) -> None:
        """Update all trainable variables from the gradients of the last backward pass, and forget those."""
        for group in self._groups:
            gradient = replicas.gather_rows(group.take_gradient(), group.dimension)
            group.weight.grad = torch.zeros_like(group.weight)
            if gradient is not None:
                group.weight.grad.index_copy_(0, gradient.rows, gradient.values)
        self._torch.step()
        self._torch.zero_grad(set_to_none=False)


def make_slots(train_op: TrainOp, variables: Iterable[Variable]) -> Slots | TorchSlots:
    """The state of an optimizer of either kind."""
    optimizer = train_op.optimizer
    if isinstance(optimizer, TorchOptimizer):
        return TorchSlots(optimizer, variables)
    return Slots(optimizer, variables, train_op.scope)
