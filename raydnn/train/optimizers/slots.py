"""The slots of an optimizer beside the variables they belong to, and the update of both."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from raydnn.model.partitioners import slice_rows
from raydnn.model.tables import TableGroup
from raydnn.model.variable import Variable
from raydnn.train.checkpoint.reader import VariableReader, restore_variables
from raydnn.train.learning_rate import made_schedule
from raydnn.train.optimizers.optimizer import Optimizer, Step
from raydnn.train.replicas import Replicas

_SLICE_0 = "/t_0/"


class Slots:
    """The optimizer state of a model.

    Args:
        optimizer: decides which slots there are and how they begin.
        variables: of the model.
        scope: prefix of the names of the optimizer's scalars.

    Raises:
        ValueError: no variable is trainable.
    """

    def __init__(self, optimizer: Optimizer, variables: Iterable[Variable], scope: str = "") -> None:
        self._optimizer = optimizer
        self._learning_rate = made_schedule(optimizer.learning_rate)
        self._names = optimizer.slot_names
        self._variables = [variable for variable in variables if variable.trainable]
        if not self._variables:
            raise ValueError("no variable is trainable, so there is nothing for the optimizer to do")
        self._dense = [variable.tensor for variable in self._variables if variable.group is None]
        groups = (variable.group for variable in self._variables if variable.group is not None)
        self._groups: list[TableGroup] = list(dict.fromkeys(groups))
        self._used: set[int] = set()
        self._of_dense = [_like(self._dense, value) for value in optimizer.slot_values]
        self._of_groups = [_like([group.weight for group in self._groups], value) for value in optimizer.slot_values]
        self._scope = scope
        self._scalars = {name: torch.tensor(value) for name, value in optimizer.scalar_values.items()}

    def variables(self) -> Iterator[Variable]:
        """The slots as variables, named VARIABLE/t_K/SLOT for slice K, and the scalars."""
        for whole in self._whole():
            if whole.num_slices == 1:
                yield whole
                continue
            for place, (start, stop) in enumerate(slice_rows(whole.shape[0], whole.num_slices)):
                yield whole.slice(_slice_name(whole.name, place), start, stop)

    def _whole(self) -> Iterator[Variable]:
        """The slots with all their rows, and the scalars."""
        for name, scalar in self._scalars.items():
            yield Variable(f"{self._scope}/{name}" if self._scope else name, scalar, trainable=False)
        dense_place = 0
        for variable in self._variables:
            for name, dense, fused in zip(self._names, self._of_dense, self._of_groups, strict=True):
                if variable.group is None:
                    tensor = dense[dense_place]
                else:
                    matrix = fused[self._groups.index(variable.group)]
                    tensor = matrix.narrow(0, variable.first_row, len(variable.tensor))
                slot_name = f"{variable.name}{_SLICE_0}{name}"
                yield Variable(slot_name, tensor, trainable=False, num_slices=variable.num_slices, rows=variable.rows)
            dense_place += variable.group is None

    def restore(self, reader: VariableReader) -> None:
        """Take the slots from a checkpoint; those that it does not have stay as they are.

        Slots may be stored in another number of slices.

        Raises:
            InvalidArgumentError: a slot has another shape there.
        """
        shapes = reader.get_variable_to_shape_map()
        stored: dict[str, Variable] = {}
        for whole in self._whole():
            names = list(_stored_slices(reader, whole.name))
            if len(names) == 1:
                stored[names[0]] = whole
            bounds = slice_rows(whole.shape[0], len(names)) if len(names) > 1 else []
            for name, (start, stop) in zip(names, bounds, strict=False):
                part = whole.slice(name, start, stop)
                if shapes[name][0] == whole.shape[0]:
                    # TensorFlow names the shape of the whole for each slice, which may be given so too.
                    part.assign(reader.get_tensor(name)[start:stop], reader.path)
                else:
                    stored[name] = part
        restore_variables(stored, reader)

    def apply(self, optimizer: Optimizer, global_step: int, replicas: Replicas) -> None:
        """Update all trainable variables from the gradients of the last backward pass, and forget those."""
        scalars = {name: float(scalar) for name, scalar in self._scalars.items()}
        if optimizer is not self._optimizer:
            # A model function may make its optimizer anew at each call, with another learning rate.
            self._optimizer, self._learning_rate = optimizer, made_schedule(optimizer.learning_rate)
        step = Step(float(self._learning_rate.at(global_step)), scalars)
        with torch.no_grad():
            self._apply_dense(optimizer, step)
            for place, group in enumerate(self._groups):
                slots = [matrices[place] for matrices in self._of_groups]
                _apply_rows(optimizer, step, group, slots, replicas)
            optimizer.advance(self._scalars)

    def _apply_dense(self, optimizer: Optimizer, step: Step) -> None:
        self._used |= {place for place, weight in enumerate(self._dense) if weight.grad is not None}
        if not self._used:
            return
        places = sorted(self._used)
        weights = [self._dense[place] for place in places]
        # One that this step did not use, but an earlier one did, has a gradient of 0.
        gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        slots = [[slot[place] for place in places] for slot in self._of_dense]
        optimizer.update(step, weights, gradients, *slots)
        for weight in weights:
            # Cheaper than zeros, which the next backward pass would add to.
            weight.grad = None


def _apply_rows(
    optimizer: Optimizer, step: Step, group: TableGroup, slots: Sequence[Tensor], replicas: Replicas
) -> None:
    gradient = group.take_gradient()
    if group.exchange is None:
        gradient = replicas.gather_rows(gradient, group.dimension)
    if not optimizer.rows_only:
        dense = torch.zeros_like(group.weight)
        if gradient is not None:
            dense.index_copy_(0, gradient.rows, gradient.values)
        optimizer.update(step, [group.weight], [dense], *([slot] for slot in slots))
        return
    if gradient is None or not len(gradient.rows):
        return
    matrices = [group.weight, *slots]
    touched = [matrix.index_select(0, gradient.rows) for matrix in matrices]
    optimizer.update(step, touched[:1], [gradient.values], *([slot] for slot in touched[1:]))
    for matrix, rows in zip(matrices, touched, strict=True):
        matrix.index_copy_(0, gradient.rows, rows)


def _slice_name(name: str, place: int) -> str:
    """The name of another slice of a slot."""
    variable, slot = name.rsplit(_SLICE_0, 1)
    return f"{variable}/t_{place}/{slot}"


def _stored_slices(reader: VariableReader, name: str) -> Iterator[str]:
    """The names of a slot's slices in a checkpoint."""
    place = 0
    while reader.has_tensor(part := _slice_name(name, place) if place else name):
        yield part
        if _SLICE_0 not in name:
            return
        place += 1


def _like(tensors: Iterable[Tensor], value: float) -> list[Tensor]:
    return [torch.full_like(tensor.detach(), value) for tensor in tensors]
