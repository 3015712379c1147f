"""Variables of a model function of one's own, by name, as in `tf.compat.v1`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from raydnn.feature_column.dtypes import dtype_name
from raydnn.model.initializers import GlorotUniform, Zeros, initial_value
from raydnn.model.variable import Variable
from raydnn.train.run_context import current_call, current_context


@contextmanager
def variable_scope(name: str, reuse: bool = False) -> Iterator[str]:
    """A prefix for the names of the variables that are made inside.

    Args:
        name: the prefix; scopes nest.
        reuse: whether names that were used before may be used again inside, which shares their variables.

    Yields:
        The whole prefix, such as 'tower/cross'.

    Raises:
        ValueError: an empty name.
        RuntimeError: used outside a model function.
    """
    if not name:
        raise ValueError("variable_scope needs a name")
    call = current_call()
    before = call.scope, call.reuse, call.names_in_scope
    call.scope, call.reuse, call.names_in_scope = f"{call.scope}{name}/", call.reuse or reuse, set()
    try:
        yield call.scope.removesuffix("/")
    finally:
        call.scope, call.reuse, call.names_in_scope = before


def get_variable(
    name: str,
    shape: Sequence[int] | int,
    dtype: Any = "float32",
    initializer: Callable[..., Any] | None = None,
    trainable: bool | None = None,
) -> Tensor:
    """A variable of the model, made at the first call of the model function and found again later.

    Args:
        name: below the current `variable_scope`.
        shape: of the variable; () is a scalar.
        dtype: float32, or an integer or bool type for what is not trained.
        initializer: callable (shape, dtype=...) -> array, as in `raydnn.initializers`; None is Glorot uniform for
            floats, zeros for other types.
        trainable: whether the optimizer changes it; None is whether it is float.

    Returns:
        The variable itself. One that is not trained may be changed in place under `torch.no_grad()`; with several
        workers by the same amount on each, see `all_sum`, as the chief's is the one that is stored.

    Raises:
        ValueError: the name is used twice in one call, shape or dtype are others than before, a size is negative, the
            dtype is no number, or integers are to be trained.
        RuntimeError: called outside a model function.
    """
    context = current_context()
    full = context.use_name(name, name)
    size = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(each < 0 for each in size):
        raise ValueError(f"variable '{full}': sizes must not be negative; got shape {size}")
    kind: torch.dtype | None = getattr(torch, dtype_name(dtype), None)
    if kind is None:
        raise ValueError(f"variable '{full}': dtype must be a number or bool; got {dtype!r}")
    trained = kind.is_floating_point if trainable is None else trainable
    if trained and not kind.is_floating_point:
        raise ValueError(f"variable '{full}': {kind} cannot be trained; give trainable=False")

    def make() -> _Single:
        chosen = initializer or (GlorotUniform() if kind.is_floating_point else Zeros())
        return _Single(full, initial_value(chosen, size, seed=context.seed, name=full).to(kind), trained)

    tensor = context.module(full, "variable", make).tensor
    if (tuple(tensor.shape), tensor.dtype) != (size, kind):
        raise ValueError(
            f"variable '{full}' has shape {tuple(tensor.shape)} and is {tensor.dtype}; now shape {size} and {kind} are "
            "asked for"
        )
    return tensor


def all_sum(tensor: Tensor) -> Tensor:
    """The sum over the workers that train together, such as of a count of rows; gradients flow through it.

    Raises:
        RuntimeError: called outside a model function.
    """
    return current_context().all_sum(tensor)


def placeholder_with_default(input: Any, name: str) -> Any:
    """A value that hooks may feed: `SessionRunArgs(feed_dict={name: value})`.

    Args:
        input: the value where nothing is fed.
        name: for the feed_dict.

    Raises:
        RuntimeError: called outside a model function.
    """
    call = current_call()
    call.placeholders.add(name)
    return call.feeds.get(name, input)


class _Single(nn.Module):
    """One variable as a module, so that it is moved, wrapped and stored like all others."""

    tensor: Tensor

    def __init__(self, name: str, value: Tensor, trainable: bool) -> None:
        super().__init__()
        self._name = name
        self._trainable = trainable
        if trainable:
            self.tensor = nn.Parameter(value)
        else:
            self.register_buffer("tensor", value)

    def variables(self) -> Iterator[Variable]:
        yield Variable(self._name, self.tensor, self._trainable)
