"""Search spaces: from plain values, as a YAML file holds them, to Ray Tune's distributions.

    hidden_units: {choice: [[64, 32], [128]]}
    dropout: {uniform: [0.0, 0.5]}
    optimizer:
      name: Adagrad
      learning_rate: {loguniform: [1e-3, 0.3]}

A mapping of one key that names a distribution becomes that distribution; every other value stays as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ray import tune

Space = dict[str, Any]


def load_space(path: str | Path) -> Space:
    """The search space of a YAML file.

    Raises:
        ValueError: it is no mapping, or something in it is no valid distribution; the message names the key.
    """
    content = yaml.safe_load(Path(path).read_text())
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} must hold a mapping of name -> value or distribution")
    return parse_space(content)


def parse_space(space: Mapping[str, Any]) -> Space:
    """A search space with its distributions made.

    Args:
        space: name -> value, nested mapping, or {distribution: arguments}. Known are choice and grid_search (a list of
            values), uniform, loguniform and randint (low, high), quniform (low, high, step).

    Raises:
        ValueError: arguments that a distribution cannot have; the message names the key.
    """
    return {name: _parse(value, name) for name, value in space.items()}


def _parse(value: Any, key: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1:
        (name, arguments), *_ = value.items()
        if name in _DISTRIBUTIONS:
            return _DISTRIBUTIONS[name](arguments, f"{key}: {name}")
    misplaced = sorted(set(value) & set(_DISTRIBUTIONS))
    if misplaced:
        raise ValueError(f"{key}: {misplaced[0]} must stand alone; found beside {sorted(set(value) - {misplaced[0]})}")
    return {name: _parse(member, f"{key}.{name}") for name, member in value.items()}


def _choices(make: Callable[[list[Any]], Any]) -> Callable[[Any, str], Any]:
    def parse(arguments: Any, key: str) -> Any:
        if not isinstance(arguments, Sequence) or isinstance(arguments, str) or not arguments:
            raise ValueError(f"{key} needs a list of values; got {arguments!r}")
        return make(list(arguments))

    return parse


def _bounds(make: Callable[..., Any], kind: type, count: int = 2, positive: bool = False) -> Callable[[Any, str], Any]:
    def parse(arguments: Any, key: str) -> Any:
        if not isinstance(arguments, Sequence) or isinstance(arguments, str) or len(arguments) != count:
            raise ValueError(f"{key} needs {count} numbers; got {arguments!r}")
        numbers = [_number(argument, kind, key) for argument in arguments]
        if not numbers[0] < numbers[1]:
            raise ValueError(f"{key}: the low end {numbers[0]} must be below the high end {numbers[1]}")
        if positive and numbers[0] <= 0:
            raise ValueError(f"{key}: a logarithmic range must be positive; it begins at {numbers[0]}")
        return make(*numbers)

    return parse


def _number(value: Any, kind: type, key: str) -> Any:
    """A number, also where YAML read one such as 1e-3 as text."""
    try:
        number = kind(value)
    except (TypeError, ValueError):
        raise ValueError(f"{key}: {value!r} is not a number") from None
    if isinstance(value, bool) or float(value) != number:
        raise ValueError(f"{key}: {value!r} is not of the kind {kind.__name__}")
    return number


_DISTRIBUTIONS: dict[str, Callable[[Any, str], Any]] = {
    "choice": _choices(tune.choice),
    "grid_search": _choices(tune.grid_search),
    "uniform": _bounds(tune.uniform, float),
    "loguniform": _bounds(tune.loguniform, float, positive=True),
    "quniform": _bounds(tune.quniform, float, count=3),
    "randint": _bounds(tune.randint, int),
}
