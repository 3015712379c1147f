"""Search spaces: trees of distributions over the keys of a run, and what is drawn from them.

    model.hidden_units: {layers: {depth: {randint: [1, 3]}, width: {choice: [32, 64]}}}
    model.dropout: {uniform: [0.0, 0.4]}
    model.optimizer:
      choice:
        - {name: Adagrad, learning_rate: {loguniform: [0.001, 0.3]}}
        - {name: Adam, learning_rate: {loguniform: [0.0001, 0.01]}}

A mapping of one key that names a distribution is that distribution, wherever it stands; all other values are
themselves. What stands in a choice is drawn only where that choice is taken.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np

from raydnn.config.document import Place
from raydnn.config.messages import nearest, shown
from raydnn.config.section import as_integer, as_number

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


class RandomSuggest:
    """Draws by a generator of random numbers.

    Args:
        seed: one number or several; equal ones draw equally.
    """

    def __init__(self, seed: int | Sequence[int]) -> None:
        self._random = np.random.default_rng(seed)

    def index(self, name: str, count: int) -> int:
        """See `Suggest`."""
        return int(self._random.integers(count))

    def number(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        """See `Suggest`."""
        if step is not None:
            return min(high, low + step * int(self._random.integers(round((high - low) / step) + 1)))
        if log:
            return _within(low, math.exp(self._random.uniform(math.log(low), math.log(high))), high)
        return float(self._random.uniform(low, high))

    def integer(self, name: str, low: int, high: int, log: bool) -> int:
        """See `Suggest`."""
        if not log:
            return int(self._random.integers(low, high + 1))
        drawn = math.exp(self._random.uniform(math.log(low - 0.5), math.log(high + 0.5)))
        return int(_within(low, round(drawn), high))


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


def parse(value: Any) -> Node:
    """The part of a space that plain values, as a YAML file holds them, stand for.

    Raises:
        SpaceError: a distribution that cannot be.
    """
    if isinstance(value, Mapping):
        return _parsed_mapping(value)
    if isinstance(value, list | tuple):
        items = tuple(_below(place, parse, item) for place, item in enumerate(value))
        return Constant(list(value)) if all(isinstance(item, Constant) for item in items) else Items(items)
    return Constant(value)


def parse_drawn(value: Any) -> Node:
    """As `parse`, where something must be drawn.

    Raises:
        SpaceError: also for a value as it is.
    """
    if isinstance(value, Mapping) and len(value) == 1 and isinstance(next(iter(value.values())), list):
        (name,) = value
        if name not in DISTRIBUTIONS:
            raise SpaceError((str(name),), f"there is no such distribution; {nearest(str(name), DISTRIBUTIONS)}")
    node = parse(value)
    if isinstance(node, Constant):
        message = f"is always {shown(value)}: give a distribution ({', '.join(DISTRIBUTIONS)}), or put it under set"
        raise SpaceError((), message)
    return node


def random_configuration(space: Record, seed: int, number: int) -> Configuration:
    """The configuration of a number in a random search; it depends on the seed and the number alone."""
    return space.draw("", RandomSuggest([seed, number]))


def _parsed_mapping(value: Mapping[str, Any]) -> Node:
    named = [key for key in value if key in DISTRIBUTIONS]
    if len(value) == 1 and named:
        return _below(named[0], DISTRIBUTIONS[named[0]], value[named[0]])
    if named:
        beside = ", ".join(sorted(map(str, set(value) - {named[0]})))
        raise SpaceError((named[0],), f"a distribution stands alone in its mapping; beside it is {beside}")
    members = {str(key): _below(str(key), parse, item) for key, item in value.items()}
    return Constant(dict(value)) if all(isinstance(part, Constant) for part in members.values()) else Record(members)


def _choice(arguments: Any) -> Node:
    if not isinstance(arguments, list | tuple) or not arguments:
        raise SpaceError((), f"must be a list of one or more; got {shown(arguments)}")
    return Choice(tuple(_below(place, parse, option) for place, option in enumerate(arguments)))


def _layers(arguments: Any) -> Node:
    if not isinstance(arguments, Mapping) or set(arguments) != {"depth", "width"}:
        raise SpaceError((), f"must be a mapping of depth and width; got {shown(arguments)}")
    parts = {}
    for key, least in (("depth", 0), ("width", 1)):
        part = _below(key, parse, arguments[key])
        if not _is_whole(part, least):
            message = f"must be a whole number of {least} or more, randint, or a choice of such; got "
            raise SpaceError((key,), message + shown(arguments[key]))
        parts[key] = part
    return Layers(parts["depth"], parts["width"])


def _is_whole(part: Node, least: int) -> bool:
    if isinstance(part, Choice):
        return all(_is_whole(option, least) for option in part.options)
    if isinstance(part, RandInt):
        return part.low >= least
    return isinstance(part, Constant) and type(part.value) is int and part.value >= least


def _range(kind: str, log: bool = False, has_step: bool = False) -> Callable[[Any], Node]:
    """What parses the bounds of a range of numbers, or of whole ones."""
    names = "low, high, step" if has_step else "low, high"

    def parsed(arguments: Any) -> Node:
        numbers = _numbers(arguments, names, as_integer if kind == "int" else as_number, kind)
        low, high = numbers[:2]
        if not low < high:
            raise SpaceError((), f"the low end {low:g} must be below the high end {high:g}")
        if log and low <= 0:
            raise SpaceError((0,), f"a range of logarithms must be above 0; it begins at {low:g}")
        if kind == "int":
            return RandInt(int(low), int(high), log)
        if not has_step:
            return Uniform(low, high, log)
        step = numbers[2]
        count = (high - low) / step if step > 0 else 0.0
        if round(count) < 1 or abs(count - round(count)) > 1e-6:
            raise SpaceError((2,), f"steps of {step:g} must lead from {low:g} to {high:g}")
        return Uniform(low, high, log, step)

    return parsed


def _normal(arguments: Any) -> Node:
    mean, std = _numbers(arguments, "mean, std", as_number, "float")
    if std <= 0:
        raise SpaceError((1,), f"the standard deviation must be above 0; got {std:g}")
    return Normal(mean, std)


def _numbers(arguments: Any, names: str, read: Callable[[Any], Any], kind: str) -> list[float]:
    count = names.count(",") + 1
    if not isinstance(arguments, list | tuple) or len(arguments) != count:
        raise SpaceError((), f"must be a list of {count} numbers: [{names}]; got {shown(arguments)}")
    numbers = []
    for place, argument in enumerate(arguments):
        number = read(argument)
        is_number = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
        if not is_number or (kind == "int" and not isinstance(number, int)):
            wanted = "a whole number" if kind == "int" else "a number"
            raise SpaceError((place,), f"must be {wanted}; got {shown(argument)}")
        numbers.append(number if kind == "int" else float(number))
    return numbers


DISTRIBUTIONS: Mapping[str, Callable[[Any], Node]] = {
    "choice": _choice,
    "uniform": _range("float"),
    "loguniform": _range("float", log=True),
    "quniform": _range("float", has_step=True),
    "normal": _normal,
    "randint": _range("int"),
    "lograndint": _range("int", log=True),
    "layers": _layers,
}
"""Name in YAML -> what parses its arguments."""


def _below(place: int | str, action: Callable[..., Any], *arguments: Any) -> Any:
    """What an action gives; the places of its errors are below the given one."""
    try:
        return action(*arguments)
    except SpaceError as error:
        raise SpaceError((place, *error.place), str(error)) from error


def _values(part: Node, *place: int | str) -> list[Any]:
    """All values of a part; the places of its errors are below the given one."""
    try:
        return list(part.grid())
    except SpaceError as error:
        raise SpaceError((*place, *error.place), str(error)) from error


def _within(low: Any, value: Any, high: Any) -> Any:
    return min(max(value, low), high)
