"""From the `optimizer` argument of an estimator to an optimizer."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from raydnn.train.optimizers.adagrad import AdagradOptimizer
from raydnn.train.optimizers.adam import AdamOptimizer
from raydnn.train.optimizers.ftrl import FtrlOptimizer
from raydnn.train.optimizers.gradient_descent import GradientDescentOptimizer
from raydnn.train.optimizers.optimizer import Optimizer
from raydnn.train.optimizers.rmsprop import RMSPropOptimizer
from raydnn.train.optimizers.torch_optimizer import TorchOptimizer

NAMED_LEARNING_RATE = 0.05

_BY_NAME: dict[str, Callable[[float], Optimizer]] = {
    "Adagrad": AdagradOptimizer,
    "Adam": AdamOptimizer,
    "Ftrl": FtrlOptimizer,
    "RMSProp": RMSPropOptimizer,
    "SGD": GradientDescentOptimizer,
}


def resolve_optimizer(optimizer: Any) -> Optimizer:
    """The optimizer that a caller meant.

    Args:
        optimizer: a name (learning rate 0.05), an optimizer, a torch optimizer class or a `functools.partial` of one,
            or a callable without arguments that makes one of these.

    Raises:
        ValueError: an unknown name, or something that is no optimizer.
    """
    if isinstance(optimizer, str):
        if optimizer not in _BY_NAME:
            raise ValueError(f"unsupported optimizer name {optimizer!r}; supported are {sorted(_BY_NAME)}")
        return _BY_NAME[optimizer](NAMED_LEARNING_RATE)
    if not isinstance(optimizer, Optimizer) and not _is_torch(optimizer) and callable(optimizer):
        optimizer = optimizer()
    if _is_torch(optimizer):
        return TorchOptimizer(optimizer)
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer must be a name or an optimizer of raydnn.train; got {optimizer!r}")
    return optimizer


def _is_torch(optimizer: Any) -> bool:
    """Whether this is a torch optimizer class, or a partial call of one."""
    made = optimizer.func if isinstance(optimizer, partial) else optimizer
    return isinstance(made, type) and issubclass(made, torch.optim.Optimizer)
