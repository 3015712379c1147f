"""Activation functions by the names of `tf.nn`, with TensorFlow's meaning."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Activation = Callable[[Tensor], Tensor]

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _selu(x: Tensor) -> Tensor:
    # At exactly 0, where rows without ids and fresh biases lie, torch's gradient is that from below, TensorFlow's that
    # from above. The clamp keeps expm1 from overflowing where it is not chosen.
    return _SELU_SCALE * torch.where(x < 0, _SELU_ALPHA * torch.expm1(x.clamp(max=0)), x)


_BY_NAME: dict[str, Activation] = {
    "relu": torch.relu,
    "relu6": F.relu6,
    "leaky_relu": partial(F.leaky_relu, negative_slope=0.2),
    "elu": F.elu,
    "selu": _selu,
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "log_softmax": partial(F.log_softmax, dim=-1),
    "softmax": partial(F.softmax, dim=-1),
    "swish": F.silu,
    "silu": F.silu,
    "mish": F.mish,
    "exponential": torch.exp,
    "hard_sigmoid": lambda x: torch.clamp(0.2 * x + 0.5, 0.0, 1.0),
    "linear": lambda x: x,
}
ACTIVATION_NAMES = tuple(sorted(_BY_NAME))
"""The names that `activation` knows."""


def activation(function: Any) -> Activation:
    """The activation that a caller meant.

    Args:
        function: a callable from tensor to tensor, a name in `tf.nn` or Keras, or None for linear.

    Raises:
        ValueError: an unknown name.
        TypeError: neither callable nor a name.
    """
    if function is None:
        return _BY_NAME["linear"]
    if isinstance(function, str):
        if function not in _BY_NAME:
            raise ValueError(f"unknown activation_fn {function!r}; known are {', '.join(sorted(_BY_NAME))}")
        return _BY_NAME[function]
    if callable(function):
        return function
    raise TypeError(f"activation_fn must be callable, a name or None; got {function!r}")


def activation_name(function: Any) -> str | None:
    """The name under which an activation can be written, or None if it has none."""
    if function is None:
        return "linear"
    if isinstance(function, str):
        return function if function in _BY_NAME else None
    same = {F.relu: "relu", F.selu: "selu", torch.sigmoid: "sigmoid", torch.tanh: "tanh"}
    for name, known in _BY_NAME.items():
        if known is function:
            return name
    return same.get(function)
