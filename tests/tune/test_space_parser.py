"""Search spaces of YAML: what is a distribution, what a value, and what is refused."""

from typing import Any

import pytest

from raydnn.tune.space import Constant, SpaceError
from raydnn.tune.space_parser import parse, parse_drawn


def test_values_without_distributions_are_themselves() -> None:
    for value in (1, "uniform", [1, 2], {"a": {"b": [3]}}, None):
        assert parse(value) == Constant(value)
        with pytest.raises(SpaceError, match="is always"):
            parse_drawn(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"choice": "abc"}, "must be a list of one or more; got 'abc'"),
        ({"uniform": [1]}, "must be a list of 2 numbers: [low, high]; got [1]"),
        ({"quniform": [0, 1]}, "must be a list of 3 numbers: [low, high, step]; got [0, 1]"),
        ({"uniform": [True, 3]}, "must be a number; got true"),
        ({"uniform": [0, ".inf"]}, "must be a number; got '.inf'"),
        ({"randint": [0.5, 3]}, "must be a whole number; got 0.5"),
        ({"normal": [0, 0]}, "the standard deviation must be above 0; got 0"),
        ({"layers": [1, 2]}, "must be a mapping of depth and width; got [1, 2]"),
        ({"layers": {"depth": 1, "width": 0}}, "must be a whole number of 1 or more"),
        ({"quniform": [0, 1, 0]}, "steps of 0 must lead from 0 to 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(value: Any, message: str) -> None:
    with pytest.raises(SpaceError) as refused:
        parse(value)
    assert message in str(refused.value)
