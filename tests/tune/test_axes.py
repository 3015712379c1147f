"""Searched keys as axes: what is a number, what goes by its logarithm, and what is a category."""

from raydnn.tune.axes import effective, key_axes
from raydnn.tune.space import Record
from raydnn.tune.space_parser import parse

SPACE = Record(
    {
        key: parse(value)
        for key, value in {
            "model.hidden_units": {"choice": [[4], [8, 4]]},
            "model.dropout": {"uniform": [0.0, 0.4]},
            "model.optimizer": {
                "choice": [
                    {"name": "Adam", "learning_rate": {"loguniform": [0.001, 0.1]}},
                    {"name": "Ftrl", "l1": {"uniform": [0, 1]}},
                ]
            },
            "data.batch_size": {"choice": [100, 20]},
        }.items()
    }
)
CONFIGURATIONS = [
    {
        "model.hidden_units": [8, 4],
        "model.dropout": 0.1,
        "model.optimizer": {"name": "Adam", "learning_rate": 0.01},
        "data.batch_size": 100,
    },
    {
        "model.hidden_units": [4],
        "model.dropout": 0.3,
        "model.optimizer": {"name": "Ftrl", "l1": 0.5},
        "data.batch_size": 20,
    },
    {"model.optimizer": "Adagrad"},
]


def test_each_part_of_a_key_is_an_axis_in_the_order_of_the_space() -> None:
    axes = {axis.name: axis for axis in key_axes(SPACE, CONFIGURATIONS)}
    assert list(axes) == [
        "model.hidden_units",
        "model.dropout",
        "model.optimizer.name",
        "model.optimizer.learning_rate",
        "model.optimizer.l1",
        "data.batch_size",
    ]
    assert axes["model.dropout"].values == [0.1, 0.3, None]
    assert axes["model.hidden_units"].categories == ("[4]", "[8, 4]")
    assert axes["model.hidden_units"].values == [1, 0, None]
    # In one trial a word is all of the optimizer.
    assert axes["model.optimizer.name"].categories == ("Adagrad", "Adam", "Ftrl")
    assert axes["model.optimizer.name"].values == [1, 2, 0]
    assert axes["data.batch_size"].categories == ("20", "100")
    assert {name for name, axis in axes.items() if axis.is_log} == {"model.optimizer.learning_rate"}


def test_what_all_trials_have_alike_is_no_axis() -> None:
    same = [{"model.dropout": 0.1, "data.batch_size": size} for size in (20, 100)]
    assert [axis.name for axis in key_axes(SPACE, same)] == ["data.batch_size"]
    assert key_axes(SPACE, same[:1]) == []
    assert key_axes(SPACE, []) == []


def test_of_many_different_lists_the_length_and_the_sum_are_axes() -> None:
    space = Record(
        {"model.hidden_units": parse({"layers": {"depth": {"randint": [1, 2]}, "width": {"randint": [1, 99]}}})}
    )
    lists = [[units] for units in range(1, 9)] + [[5, 7]]
    depth, total = key_axes(space, [{"model.hidden_units": units} for units in lists])
    assert (depth.name, depth.values[-1]) == ("model.hidden_units: how many", 2)
    assert (total.name, total.values[-1], total.is_log) == ("model.hidden_units: sum", 12, True)


def test_a_trial_has_the_values_of_the_base_run_that_it_leaves_as_they_are() -> None:
    base = {"model": {"hidden_units": [8, 4], "dropout": 0.2}, "data": {"label": "late"}}
    found = effective({"model.dropout": 0.3}, SPACE, base)
    assert found == {"model.hidden_units": [8, 4], "model.dropout": 0.3}
    listed = Record({"exporters.0.name": parse({"choice": ["a", "b"]})})
    assert effective({}, listed, {"exporters": [{"name": "b"}]}) == {"exporters.0.name": "b"}
