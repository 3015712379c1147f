"""Search spaces: trees of distributions over the keys of a run, and what is drawn from them.

What stands in a choice is drawn only where that choice is taken.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np

from raydnn.config.document import Place

TAIL = 0.001
"""The share of a normal distribution that is never drawn, at either end."""

Configuration = dict[str, Any]
"""Key of the run -> value."""


class Suggest(Protocol):
    """Draws the leaves of a space, each under its name."""

    def index(self, name: str, count: int) -> int:
        """A place in a list of so many."""

    def number(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        """A number from low to high; with log by its logarithm, with a step only low + a multiple of it."""

    def integer(self, name: str, low: int, high: int, log: bool) -> int:
        """A whole number from low to high, both included; with log by its logarithm."""


class RandomSuggest(Suggest):
    """Draws by a generator of random numbers.

    Args:
        seed: one number or several; equal ones draw equally.
    """

    def __init__(self, seed: int | Sequence[int]) -> None:
        self._random = np.random.default_rng(seed)

    def index(self, name: str, count: int) -> int:
        return int(self._random.integers(count))

    def number(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        if step is not None:
            return min(high, low + step * int(self._random.integers(round((high - low) / step) + 1)))
        if log:
            return _within(low, math.exp(self._random.uniform(math.log(low), math.log(high))), high)
        return float(self._random.uniform(low, high))

    def integer(self, name: str, low: int, high: int, log: bool) -> int:
        if not log:
            return int(self._random.integers(low, high + 1))
        drawn = math.exp(self._random.uniform(math.log(low - 0.5), math.log(high + 0.5)))
        return int(_within(low, round(drawn), high))


class EndSuggest(Suggest):
    """Takes the lower or the upper end of each range, and a place in each list.

    Args:
        place: what is taken; even numbers take lower ends.
    """

    def __init__(self, place: int) -> None:
        self._place = place

    def index(self, name: str, count: int) -> int:
        return self._place // 2 % count

    def number(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        return high if self._place % 2 else low

    def integer(self, name: str, low: int, high: int, log: bool) -> int:
        return high if self._place % 2 else low


class SpaceError(ValueError):
    """A part of a space cannot be.

    Args:
        place: of the part below what was parsed.
        message: why.
    """

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


class Node(ABC):
    """A part of a space."""

    @abstractmethod
    def draw(self, name: str, suggest: Suggest) -> Any:
        """A value; `name` tells this part from all others."""

    @abstractmethod
    def grid(self) -> Iterator[Any]:
        """All values.

        Raises:
            SpaceError: there is no end of them; the place is relative to this part.
        """

    @property
    def parts(self) -> tuple["Node", ...]:
        """What it is made of."""
        return ()

    def all(self) -> Iterator["Node"]:
        """This part and all below it."""
        yield self
        for part in self.parts:
            yield from part.all()

    def moved(self, value: Any, factor: float, step: int, suggest: Suggest | None) -> Any:
        """A value beside another one.

        Args:
            value: of this part.
            factor: what a number is multiplied with; the result stays within the bounds.
            step: how many places to go on in a list, or back.
            suggest: draws a value anew instead, if it is given.
        """
        return value if suggest is None else self.draw("", suggest)


@dataclass(frozen=True)
class Constant(Node):
    """A value as it is."""

    value: Any

    def draw(self, name: str, suggest: Suggest) -> Any:
        return self.value

    def grid(self) -> Iterator[Any]:
        yield self.value


@dataclass(frozen=True)
class Record(Node):
    """A mapping, of whose values some are drawn."""

    members: Mapping[str, Node]

    @property
    def parts(self) -> tuple[Node, ...]:
        return tuple(self.members.values())

    def draw(self, name: str, suggest: Suggest) -> dict[str, Any]:
        return {key: part.draw(f"{name}.{key}" if name else key, suggest) for key, part in self.members.items()}

    def grid(self) -> Iterator[dict[str, Any]]:
        for values in product(*(_values(part, key) for key, part in self.members.items())):
            yield dict(zip(self.members, values, strict=True))

    def moved(self, value: Any, factor: float, step: int, suggest: Suggest | None) -> Any:
        return {key: part.moved(value[key], factor, step, suggest) for key, part in self.members.items()}


@dataclass(frozen=True)
class Items(Node):
    """A list, of whose items some are drawn."""

    items: tuple[Node, ...]

    @property
    def parts(self) -> tuple[Node, ...]:
        return self.items

    def draw(self, name: str, suggest: Suggest) -> list[Any]:
        return [part.draw(f"{name}[{place}]", suggest) for place, part in enumerate(self.items)]

    def grid(self) -> Iterator[list[Any]]:
        yield from map(list, product(*(_values(part, place) for place, part in enumerate(self.items))))


@dataclass(frozen=True)
class Choice(Node):
    """One of several; what the others are made of is not drawn."""

    options: tuple[Node, ...]

    @property
    def parts(self) -> tuple[Node, ...]:
        return self.options

    @property
    def is_plain(self) -> bool:
        """Whether all options are values as they are."""
        return all(isinstance(option, Constant) for option in self.options)

    def draw(self, name: str, suggest: Suggest) -> Any:
        place = suggest.index(name, len(self.options))
        return self.options[place].draw(f"{name}[{place}]", suggest)

    def grid(self) -> Iterator[Any]:
        for place, option in enumerate(self.options):
            yield from _values(option, "choice", place)

    def moved(self, value: Any, factor: float, step: int, suggest: Suggest | None) -> Any:
        values = [option.value for option in self.options if isinstance(option, Constant)]
        if suggest is not None or value not in values:
            return super().moved(value, factor, step, suggest)
        return values[_within(0, values.index(value) + step, len(values) - 1)]


@dataclass(frozen=True)
class Uniform(Node):
    """A number between two."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def draw(self, name: str, suggest: Suggest) -> float:
        return suggest.number(name, self.low, self.high, self.log, self.step)

    def grid(self) -> Iterator[float]:
        if self.step is None:
            message = "a grid cannot go through all numbers of a range; give a choice, or quniform with a step"
            raise SpaceError((), message)
        for count in range(round((self.high - self.low) / self.step) + 1):
            yield min(self.high, self.low + count * self.step)

    def moved(self, value: Any, factor: float, step: int, suggest: Suggest | None) -> Any:
        if suggest is not None:
            return self.draw("", suggest)
        if self.step is not None:
            return _within(self.low, value + step * self.step, self.high)
        return _within(self.low, value * factor, self.high)


@dataclass(frozen=True)
class RandInt(Node):
    """A whole number from low to high, both included."""

    low: int
    high: int
    log: bool = False

    def draw(self, name: str, suggest: Suggest) -> int:
        return suggest.integer(name, self.low, self.high, self.log)

    def grid(self) -> Iterator[int]:
        yield from range(self.low, self.high + 1)

    def moved(self, value: Any, factor: float, step: int, suggest: Suggest | None) -> Any:
        return self.draw("", suggest) if suggest is not None else _within(self.low, round(value * factor), self.high)


@dataclass(frozen=True)
class Normal(Node):
    """A number around a mean, without the outermost thousandth at either end."""

    mean: float
    std: float

    def draw(self, name: str, suggest: Suggest) -> float:
        # A share of the distribution is a number with bounds, which all searchers know.
        share = suggest.number(name, TAIL, 1 - TAIL, False, None)
        return NormalDist(self.mean, self.std).inv_cdf(share)

    def grid(self) -> Iterator[float]:
        raise SpaceError((), "a grid cannot go through all numbers of a distribution; give a choice")

    def moved(self, value: Any, factor: float, step: int, suggest: Suggest | None) -> Any:
        low, high = (NormalDist(self.mean, self.std).inv_cdf(share) for share in (TAIL, 1 - TAIL))
        return self.draw("", suggest) if suggest is not None else _within(low, value * factor, high)


@dataclass(frozen=True)
class Layers(Node):
    """Hidden layers: how many, and the width of each."""

    depth: Node
    width: Node

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.depth, self.width)

    def draw(self, name: str, suggest: Suggest) -> list[int]:
        depth = self.depth.draw(f"{name}.depth", suggest)
        return [self.width.draw(f"{name}.width[{layer}]", suggest) for layer in range(depth)]

    def grid(self) -> Iterator[list[int]]:
        widths = _values(self.width, "layers", "width")
        for depth in _values(self.depth, "layers", "depth"):
            yield from map(list, product(widths, repeat=depth))


def random_configuration(space: Record, seed: int, number: int) -> Configuration:
    """The configuration of a number in a random search; it depends on the seed and the number alone."""
    return space.draw("", RandomSuggest([seed, number]))


def _values(part: Node, *place: int | str) -> list[Any]:
    """All values of a part; the places of its errors are below the given one."""
    try:
        return list(part.grid())
    except SpaceError as error:
        raise SpaceError((*place, *error.place), str(error)) from error


def _within(low: Any, value: Any, high: Any) -> Any:
    return min(max(value, low), high)
