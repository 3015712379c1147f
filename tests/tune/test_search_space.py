"""Search spaces as YAML holds them."""

from pathlib import Path
from typing import Any

import pytest
from ray.tune.search.sample import Categorical, Float, Integer

from raydnn.tune import load_space, parse_space

CONFIGS = Path(__file__).parent.parent.parent / "tune_configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_file_in_tune_configs_is_a_search_space(path: Path):
    assert load_space(path)


def test_distributions_values_and_nested_mappings_are_told_apart():
    space = parse_space(
        {
            "units": {"choice": [[64, 32], [8]]},
            "rate": {"loguniform": ["1e-3", 0.1]},
            "size": {"randint": [2, 9]},
            "deep": {"dropout": {"uniform": [0, 0.5]}, "norm": True},
            "fixed": {"a": 1},
            "grid": {"grid_search": [1, 2]},
        }
    )
    assert isinstance(space["units"], Categorical)
    assert isinstance(space["rate"], Float)
    assert (space["rate"].lower, space["rate"].upper) == (0.001, 0.1)
    assert isinstance(space["size"], Integer)
    assert (space["deep"]["dropout"].lower, space["deep"]["norm"]) == (0.0, True)
    assert space["fixed"] == {"a": 1}
    assert space["grid"] == {"grid_search": [1, 2]}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"a": {"choice": []}}, "a: choice needs a list of values"),
        ({"a": {"choice": "abc"}}, "a: choice needs a list of values"),
        ({"a": {"uniform": [1]}}, "a: uniform needs 2 numbers"),
        ({"a": {"uniform": [2, 1]}}, "a: uniform: the low end 2.0 must be below the high end 1.0"),
        ({"a": {"uniform": ["x", 1]}}, "a: uniform: 'x' is not a number"),
        ({"a": {"uniform": [True, 3]}}, "a: uniform: True is not of the kind float"),
        ({"a": {"loguniform": [0, 1]}}, "a: loguniform: a logarithmic range must be positive; it begins at 0.0"),
        ({"a": {"randint": [0.5, 3]}}, "a: randint: 0.5 is not of the kind int"),
        ({"a": {"quniform": [0, 1]}}, "a: quniform needs 3 numbers"),
        ({"a": {"b": {"choice": 3}}}, "a.b: choice needs a list of values"),
        ({"a": {"choice": [1], "uniform": [0, 1]}}, "a: choice must stand alone; found beside"),
    ],
)
def test_a_broken_space_is_refused_by_its_key(space: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        parse_space(space)


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path):
    path = tmp_path / "space.yaml"
    path.write_text("- 1\n")
    with pytest.raises(ValueError, match="must hold a mapping"):
        load_space(path)
