"""Search spaces: what is drawn lies in them, depends on the seed alone, and a grid has all of it."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raydnn.tune.space import RandomSuggest, Record, SpaceError, random_configuration
from raydnn.tune.space_parser import parse

OPTIMIZERS = {
    "choice": [
        {"name": "Adagrad", "learning_rate": {"loguniform": [0.001, 0.3]}},
        {"name": "Adam", "learning_rate": {"loguniform": [0.0001, 0.01]}, "beta1": {"choice": [0.9, 0.95]}},
        "SGD",
    ]
}
LAYERS = {"layers": {"depth": {"randint": [0, 3]}, "width": {"choice": [8, 16]}}}
bounds = st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)).filter(lambda pair: pair[0] < pair[1])
positive = st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)).filter(lambda pair: pair[0] < pair[1])
whole = st.tuples(st.integers(1, 1000), st.integers(1, 1000)).filter(lambda pair: pair[0] < pair[1])
seeds = st.integers(0, 2**31 - 1)


def draw(value: Any, seed: int) -> Any:
    return parse(value).draw("key", RandomSuggest(seed))


@given(bounds, positive, whole, seeds)
def test_numbers_lie_within_their_bounds(
    ends: tuple[float, float], above: tuple[float, float], counts: tuple[int, int], seed: int
) -> None:
    assert ends[0] <= draw({"uniform": list(ends)}, seed) <= ends[1]
    assert above[0] <= draw({"loguniform": list(above)}, seed) <= above[1]
    for kind in ("randint", "lograndint"):
        drawn = draw({kind: list(counts)}, seed)
        assert type(drawn) is int
        assert counts[0] <= drawn <= counts[1]
    assert abs(draw({"normal": [3, 2]}, seed) - 3) < 2 * 3.1


@given(st.floats(-100, 100), st.floats(0.01, 10), st.integers(1, 50), seeds)
def test_steps_are_kept(low: float, step: float, count: int, seed: int) -> None:
    drawn = draw({"quniform": [low, low + count * step, step]}, seed)
    assert low <= drawn <= low + count * step
    assert math.isclose((drawn - low) / step, round((drawn - low) / step), abs_tol=1e-6)


@given(seeds, st.integers(1, 1000))
def test_configurations_depend_on_seed_and_number_alone(seed: int, number: int) -> None:
    space = Record({"a": parse(OPTIMIZERS), "b": parse(LAYERS), "c": parse({"uniform": [0, 1]})})
    one = random_configuration(space, seed, number)
    assert one == random_configuration(space, seed, number)
    assert one["c"] != random_configuration(space, seed, number + 1)["c"]
    assert one["c"] != random_configuration(space, seed + 1, number)["c"]


@given(seeds)
def test_only_what_belongs_to_the_choice_taken_is_drawn(seed: int) -> None:
    names = []

    class Noting(RandomSuggest):
        def number(self, name: str, *arguments: Any) -> float:
            names.append(name)
            return super().number(name, *arguments)

        def index(self, name: str, count: int) -> int:
            names.append(name)
            return super().index(name, count)

    drawn = Record({"model.optimizer": parse(OPTIMIZERS)}).draw("", Noting(seed))["model.optimizer"]
    place = ["Adagrad", "Adam", "SGD"].index(drawn if isinstance(drawn, str) else drawn["name"])
    below = [["learning_rate"], ["learning_rate", "beta1"], []][place]
    assert names == ["model.optimizer", *(f"model.optimizer[{place}].{key}" for key in below)]
    assert drawn == "SGD" or set(drawn) == {"name", *below}


@given(seeds)
def test_layers_have_a_width_each(seed: int) -> None:
    drawn = draw(LAYERS, seed)
    assert len(drawn) <= 3
    assert set(drawn) <= {8, 16}


def test_all_choices_and_both_ends_are_drawn() -> None:
    assert {draw({"choice": [1, 2, 3]}, seed) for seed in range(50)} == {1, 2, 3}
    assert {draw({"randint": [1, 3]}, seed) for seed in range(50)} == {1, 2, 3}
    assert {draw({"quniform": [0, 0.4, 0.2]}, seed) for seed in range(50)} == {0.0, 0.2, 0.4}


def test_a_logarithmic_range_has_as_much_of_each_magnitude() -> None:
    small = sum(draw({"loguniform": [1e-4, 1]}, seed) < 1e-2 for seed in range(400))
    assert 150 < small < 250


def test_a_grid_has_every_configuration_once() -> None:
    space = Record(
        {
            "a": parse({"choice": ["x", {"name": "y", "b": {"randint": [1, 3]}}]}),
            "c": parse({"quniform": [0, 1, 0.5]}),
            "d": parse({"layers": {"depth": {"choice": [1, 2]}, "width": {"choice": [8, 16]}}}),
            "e": parse([{"choice": [1, 2]}, 5]),
        }
    )
    grid = [repr(each) for each in space.grid()]
    assert len(grid) == len(set(grid)) == 4 * 3 * (2 + 4) * 2
    assert next(space.grid()) == {"a": "x", "c": 0.0, "d": [8], "e": [1, 5]}


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"uniform": [0, 1]}, ()),
        ({"normal": [0, 1]}, ()),
        ({"choice": [1, {"a": {"uniform": [0, 1]}}]}, ("choice", 1, "a")),
        ([1, {"loguniform": [1, 2]}], (1,)),
    ],
)
def test_a_grid_refuses_what_has_no_end(value: Any, place: tuple[Any, ...]) -> None:
    with pytest.raises(SpaceError, match="a grid cannot go through all numbers") as refused:
        list(parse(value).grid())
    assert refused.value.place == place


@given(seeds, st.sampled_from([1.2, 0.8]), st.sampled_from([-1, 1]))
def test_moved_values_stay_within_their_bounds(seed: int, factor: float, step: int) -> None:
    for value, low, high in (
        ({"uniform": [0.1, 0.5]}, 0.1, 0.5),
        ({"quniform": [0.0, 0.4, 0.1]}, 0.0, 0.4),
        ({"loguniform": [0.001, 0.1]}, 0.001, 0.1),
        ({"randint": [4, 64]}, 4, 64),
        ({"choice": [16, 32, 64]}, 16, 64),
    ):
        node = parse(value)
        moved = drawn = node.draw("", RandomSuggest(seed))
        for _ in range(20):
            moved = node.moved(moved, factor, step, None)
            assert low <= moved <= high
            assert type(moved) is type(drawn)
        assert low <= node.moved(drawn, factor, step, RandomSuggest(seed)) <= high


def test_a_number_is_multiplied_and_a_choice_goes_to_its_neighbour() -> None:
    assert parse({"uniform": [0, 1]}).moved(0.5, 0.8, 1, None) == 0.4
    assert parse({"choice": [16, 32, 64]}).moved(32, 0.8, -1, None) == 16
    record = parse({"name": "Adam", "learning_rate": {"loguniform": [0.001, 1]}})
    assert record.moved({"name": "Adam", "learning_rate": 0.1}, 1.2, 1, None) == {
        "name": "Adam",
        "learning_rate": pytest.approx(0.12),
    }
