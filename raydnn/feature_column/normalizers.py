"""Normalizers with a name: functions for numeric columns that can be written into an export.

A lambda works in training and prediction, but an export must be readable in another process. There a
`normalizer_fn` is one of these, or a function given a name by `register_normalizer` on both sides.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Function = Callable[[NDArray[Any]], Any]


@dataclass(frozen=True)
class Standardize:
    """(x - mean) / std."""

    mean: float
    std: float

    def __post_init__(self) -> None:
        if not self.std > 0:
            raise ValueError(f"std must be positive; got {self.std}")

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        return (values.astype(np.float64) - self.mean) / self.std


@dataclass(frozen=True)
class MinMax:
    """(x - low) / (high - low)."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low must be below high; got {self.low} and {self.high}")

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        return (values.astype(np.float64) - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Log1p:
    """log(1 + x), with negative values taken as 0."""

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.log1p(np.maximum(values.astype(np.float64), 0.0))


_CLASSES: dict[str, type[Any]] = {"standardize": Standardize, "min_max": MinMax, "log1p": Log1p}
_REGISTERED: dict[str, Function] = {}


def register_normalizer(name: str, function: Function) -> Function:
    """Give a function a name, under which exports refer to it.

    Args:
        name: the same wherever the export is loaded.
        function: from a NumPy array to an array of the same number of values.

    Returns:
        The function.

    Raises:
        ValueError: the name is taken by another function.
    """
    if name in _CLASSES or _REGISTERED.get(name, function) is not function:
        raise ValueError(f"the normalizer name '{name}' is taken; choose another")
    _REGISTERED[name] = function
    return function


def normalizer_to_json(function: Function) -> dict[str, Any]:
    """A normalizer as JSON.

    Raises:
        ValueError: the function has no name.
    """
    for name, kind in _CLASSES.items():
        if isinstance(function, kind):
            return {"name": name, **asdict(function)}
    for name, registered in _REGISTERED.items():
        if registered is function:
            return {"name": name}
    raise ValueError(
        f"the normalizer_fn {function!r} has no name and cannot be written; use one of "
        f"raydnn.feature_column.normalizers ({', '.join(kind.__name__ for kind in _CLASSES.values())}), or name "
        "it with raydnn.feature_column.register_normalizer"
    )


def normalizer_from_json(settings: dict[str, Any]) -> Function:
    """The normalizer that `normalizer_to_json` wrote.

    Raises:
        ValueError: the name is not known in this process.
    """
    arguments = dict(settings)
    name = arguments.pop("name")
    if name in _CLASSES:
        return _CLASSES[name](**arguments)
    if name in _REGISTERED:
        return _REGISTERED[name]
    raise ValueError(
        f"the normalizer '{name}' is not known here; call raydnn.feature_column.register_normalizer before loading"
    )
