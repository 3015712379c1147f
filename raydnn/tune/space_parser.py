"""Search spaces as YAML declares them.

    model.hidden_units: {layers: {depth: {randint: [1, 3]}, width: {choice: [32, 64]}}}
    model.dropout: {uniform: [0.0, 0.4]}
    model.optimizer:
      choice:
        - {name: Adagrad, learning_rate: {loguniform: [0.001, 0.3]}}
        - {name: Adam, learning_rate: {loguniform: [0.0001, 0.01]}}

A mapping of one key that names a distribution is that distribution, wherever it stands; all other values are
themselves.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from raydnn.config.messages import nearest, shown
from raydnn.config.section import as_integer, as_number
from raydnn.tune.space import Choice, Constant, Items, Layers, Node, Normal, RandInt, Record, SpaceError, Uniform


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
