"""Initial values, with TensorFlow's distributions.

Every initializer is a frozen callable `(shape, dtype='float32', generator=None) -> Tensor`. The library passes a
generator of its own for each variable, so that initial values depend on the seed and the variable's name alone,
not on the order or the place in which variables are made.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import erf, prod, sqrt
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from raydnn.feature_column.dtypes import dtype_name
from raydnn.feature_column.fingerprint import fingerprint64
from raydnn.model.rows import Rows


@runtime_checkable
class SeededInitializer(Protocol):
    """An initializer that draws from a given generator."""

    def draw(self, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
        """Initial values, float32 of that shape."""


class _Initializer:
    """Makes a `draw` method callable as users call initializers."""

    seed: int | None = None

    def draw(self, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
        raise NotImplementedError

    def __call__(self, shape: Sequence[int], dtype: Any = "float32") -> Tensor:
        generator = None if self.seed is None else torch.Generator().manual_seed(self.seed)
        return self.draw(shape, generator).to(getattr(torch, dtype_name(dtype)))


@dataclass(frozen=True)
class Zeros(_Initializer):
    """All 0."""

    def draw(self, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
        return torch.zeros(tuple(shape))


@dataclass(frozen=True)
class Ones(_Initializer):
    """All 1."""

    def draw(self, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
        return torch.ones(tuple(shape))


@dataclass(frozen=True)
class Constant(_Initializer):
    """All the same value."""

    value: float = 0.0

    def draw(self, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
        return torch.full(tuple(shape), float(self.value))


@dataclass(frozen=True)
class RandomUniform(_Initializer):
    """Uniform in [minval, maxval)."""

    minval: float = -0.05
    maxval: float = 0.05
    seed: int | None = None

    def draw(self, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
        return torch.empty(tuple(shape)).uniform_(self.minval, self.maxval, generator=generator)


@dataclass(frozen=True)
class RandomNormal(_Initializer):
    """Normal."""

    mean: float = 0.0
    stddev: float = 1.0
    seed: int | None = None

    def draw(self, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
        return torch.empty(tuple(shape)).normal_(self.mean, self.stddev, generator=generator)


_WITHIN_TWO = erf(sqrt(2))
"""How much of a normal distribution lies within two standard deviations of its mean."""


@dataclass(frozen=True)
class TruncatedNormal(_Initializer):
    """Normal, with values further than two standard deviations from the mean drawn again.

    Nothing is rescaled: the deviation of the values is 0.88 x stddev.
    """

    mean: float = 0.0
    stddev: float = 1.0
    seed: int | None = None

    def draw(self, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
        # Through the inverse of the distribution function: several times faster than drawing again.
        values = torch.empty(tuple(shape)).uniform_(-_WITHIN_TWO, _WITHIN_TWO, generator=generator)
        return values.erfinv_().mul_(self.stddev * sqrt(2)).add_(self.mean)


@dataclass(frozen=True)
class GlorotUniform(_Initializer):
    """Uniform in [-a, a], a = sqrt(6 / (fan_in + fan_out)); Glorot and Bengio, 2010.

    The fans are the last two sizes of the shape, times the product of the others.
    """

    seed: int | None = None

    def draw(self, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
        receptive = prod(shape[:-2])
        fans = tuple(shape[-2:]) or (1,)
        limit = sqrt(6.0 / max(receptive * (fans[0] + fans[-1]), 1))
        return torch.empty(tuple(shape)).uniform_(-limit, limit, generator=generator)


_ROWS_OF_A_DRAW = 65_536
_ROW_BY_ROW = (Zeros, Ones, Constant, RandomUniform, RandomNormal, TruncatedNormal)
"""Initializers whose values do not depend on the shape."""


_VALUES_FOLLOW = ContextVar("values_follow", default=False)


@contextmanager
def values_follow() -> Iterator[None]:
    """In this block variables are made whose values come from elsewhere: drawing them can take longer than all else."""
    token = _VALUES_FOLLOW.set(True)
    try:
        yield
    finally:
        _VALUES_FOLLOW.reset(token)


def initial_rows(out: Tensor, initializer: Callable[..., Any], rows: Rows, *, seed: int, name: str) -> None:
    """The initial value of some rows of an embedding table, the same whichever replica holds them.

    Args:
        out: float32 [held rows, dimension]; filled, unless values follow.
        initializer: see `initial_value`.
        rows: which rows are held.
        seed: of the run.
        name: of the table.
    """
    if _VALUES_FOLLOW.get():
        return
    width = out.shape[1]
    if not isinstance(initializer, _ROW_BY_ROW) or getattr(initializer, "seed", None) is not None:
        out.copy_(initial_value(initializer, (rows.total, width), seed=seed, name=name)[rows.places])
        return
    # In pieces, so that a replica never needs room for the whole table.
    for place, start in enumerate(range(0, rows.total, _ROWS_OF_A_DRAW)):
        stop = min(start + _ROWS_OF_A_DRAW, rows.total)
        piece = initial_value(initializer, (stop - start, width), seed=seed, name=f"{name}/{place}" if place else name)
        part, held = rows.within(start, stop)
        out[held] = piece[part.places]


def initial_value(initializer: Callable[..., Any], shape: Sequence[int], *, seed: int, name: str) -> Tensor:
    """The initial value of a variable.

    Args:
        initializer: of this module, or any callable `(shape, dtype=...) -> array`.
        shape: of the variable.
        seed: of the run.
        name: of the variable; together with the seed it decides the draw.

    Returns:
        float32 tensor of that shape.

    Raises:
        ValueError: the initializer gave another shape.
    """
    if _VALUES_FOLLOW.get():
        return torch.zeros(tuple(shape))
    if isinstance(initializer, SeededInitializer) and getattr(initializer, "seed", None) is None:
        mixed = int(fingerprint64([f"{seed}/{name}"])[0]) >> 1
        return initializer.draw(shape, torch.Generator().manual_seed(mixed))
    value = torch.tensor(np.asarray(initializer(tuple(shape), dtype="float32")), dtype=torch.float32)
    if tuple(value.shape) != tuple(shape):
        raise ValueError(f"the initializer of '{name}' gave shape {tuple(value.shape)}; {tuple(shape)} is needed")
    return value
