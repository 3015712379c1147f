"""The searched keys of a sweep as axes: numbers, numbers by their logarithms, and categories.

A key whose values are mappings, such as an optimizer with its arguments, is an axis for each of its parts.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from raydnn.report.ranked_charts import ParallelAxis
from raydnn.tune.space import Choice, Node, RandInt, Record, Uniform
from raydnn.tune.text import value_told

MOST_LISTS = 8
"""Different lists, such as those of hidden units, that are categories; of more their lengths and sums are axes."""

NAME = "name"
"""The part of a mapping that is all of it where it is given by a word, as in `optimizer: Adagrad`."""


def key_axes(space: Record, configurations: Sequence[Mapping[str, Any]]) -> list[ParallelAxis]:
    """The axes of configurations; those on which all values are alike are left out.

    Args:
        space: that they were drawn from.
        configurations: key of the run -> value [n].

    Returns:
        Axes with a value for each configuration [n], in the order of the space.
    """
    parts = [dict(_parts(configuration)) for configuration in configurations]
    keys = list(space.members)
    names = sorted(dict.fromkeys(name for each in parts for name in each), key=lambda name: _key_of(name, keys))
    # What is a word in one configuration is a mapping in others.
    renamed = {name: f"{name}.{NAME}" for name in names if f"{name}.{NAME}" in names}
    parts = [{renamed.get(name, name): value for name, value in each.items()} for each in parts]
    orders = dict(_orders(space))
    logs = set(_logs(space))
    axes: list[ParallelAxis] = []
    for name in dict.fromkeys(renamed.get(name, name) for name in names):
        values = [each.get(name) for each in parts]
        axes += _axes(name, values, orders.get(name, []), name in logs)
    return [axis for axis in axes if len({*axis.values}) > 1]


def effective(configuration: Mapping[str, Any], space: Record, base: Any) -> dict[str, Any]:
    """A configuration with the base run's values of the keys that it leaves as they are.

    Args:
        configuration: of a trial.
        space: all keys that are searched.
        base: the plain values of the base run; keys that it leaves to their defaults are left out.
    """
    found = {key: value for key in space.members if (value := _value_at(base, key)) is not None}
    return {**found, **configuration}


def _key_of(name: str, keys: Sequence[str]) -> int:
    """The place of the key that a part belongs to."""
    return next(place for place, key in enumerate(keys) if f"{name}.".startswith(f"{key}."))


def _value_at(values: Any, key: str) -> Any:
    for part in key.split("."):
        if isinstance(values, Sequence) and not isinstance(values, str) and part.isdigit() and int(part) < len(values):
            values = values[int(part)]
        else:
            values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _parts(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{above}.{key}" if above else key
        if isinstance(value, Mapping):
            yield from _parts(value, name)
        else:
            yield name, value


def _axes(name: str, values: Sequence[Any], order: Sequence[Any], is_log: bool) -> Iterator[ParallelAxis]:
    present = [value for value in values if value is not None]
    lists = [value for value in present if isinstance(value, list)]
    different = {value_told(value) for value in lists}
    if len(different) > MOST_LISTS and all(map(_is_number, (item for each in lists for item in each))):
        yield ParallelAxis(f"{name}: how many", [len(each) if isinstance(each, list) else None for each in values])
        sums = [float(sum(each)) if isinstance(each, list) else None for each in values]
        yield ParallelAxis(f"{name}: sum", sums, is_log=all(each is None or each > 0 for each in sums))
    elif order or not all(map(_is_number, present)):
        words = [None if value is None else value_told(value) for value in values]
        known = [value_told(value) for value in order]
        others = {word for word in words if word is not None}.difference(known)
        categories = tuple(dict.fromkeys([*known, *sorted(others)]))
        places = [None if word is None else float(categories.index(word)) for word in words]
        yield ParallelAxis(name, places, categories)
    else:
        yield ParallelAxis(name, values, is_log=is_log and all(value > 0 for value in present))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _logs(node: Node, name: str = "") -> Iterator[str]:
    """Parts of the space that are drawn by their logarithms."""
    if isinstance(node, Uniform | RandInt) and node.log:
        yield name
    for below, part in _below(node, name):
        yield from _logs(part, below)


def _orders(node: Node, name: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Parts of the space that are plain choices, and their values in order."""
    if isinstance(node, Choice) and node.is_plain:
        values = list(node.grid())
        if not any(isinstance(value, Mapping) for value in values):
            yield name, sorted(values) if all(map(_is_number, values)) else values
    for below, part in _below(node, name):
        yield from _orders(part, below)


def _below(node: Node, name: str) -> Iterator[tuple[str, Node]]:
    if isinstance(node, Record):
        for key, part in node.members.items():
            yield f"{name}.{key}" if name else key, part
    elif isinstance(node, Choice):
        yield from ((name, part) for part in node.parts)
