"""Which trials come, at first and when a sweep goes on."""

import sys
from pathlib import Path
from typing import Any

import pytest
from small_sweep import sweep_text

from raydnn import tune
from raydnn.tune import Sweep
from raydnn.tune.record import SweepRecord
from raydnn.tune.search import make_search, planned

BRANCHES = {
    "model.optimizer": {
        "choice": [
            {"name": "Adagrad", "learning_rate": {"loguniform": [0.001, 0.3]}},
            {"name": "Adam", "learning_rate": {"loguniform": [0.0001, 0.01]}},
        ]
    },
    "model.hidden_units": {"layers": {"depth": {"randint": [1, 3]}, "width": {"lograndint": [2, 64]}}},
    "model.dropout": {"quniform": [0.0, 0.5, 0.1]},
}
pytestmark = pytest.mark.usefixtures("small_run")


def trials(sweep: Sweep, record: SweepRecord | None = None) -> list[dict[str, Any]]:
    record = record or SweepRecord(sweep)
    return [each["trial"] for each in planned(sweep, make_search(sweep, len(record.trials)), record)]


def values(sweep: Sweep) -> list[Any]:
    return [trial["values"] for trial in trials(sweep)]


def test_the_base_run_comes_first_and_then_the_configurations_of_the_dry_run() -> None:
    sweep = tune.loads(sweep_text(space=BRANCHES, budget={"trials": 4, "steps": 40}))
    found = trials(sweep)
    assert [(trial["number"], trial["is_default"]) for trial in found] == [
        (0, True),
        (1, False),
        (2, False),
        (3, False),
        (4, False),
    ]
    assert values(sweep) == [{}, *tune.first_configurations(sweep, 5)]


def test_without_the_default_the_numbers_are_the_same() -> None:
    sweep = tune.loads(sweep_text(budget={"trials": 2, "steps": 40, "with_default": False}))
    assert [trial["number"] for trial in trials(sweep)] == [1, 2]
    assert values(sweep) == values(tune.loads(sweep_text()))[1:]


def test_a_grid_ends_by_itself_or_by_the_budget() -> None:
    space = {"model.dropout": {"choice": [0.0, 0.1, 0.2]}}
    drawn = [{}, *({"model.dropout": dropout} for dropout in (0.0, 0.1, 0.2))]
    assert values(tune.loads(sweep_text(space=space, search="grid", budget={"steps": 9}))) == drawn
    assert values(tune.loads(sweep_text(space=space, search="grid", budget={"trials": 2, "steps": 9}))) == drawn[:3]


@pytest.mark.parametrize("search", ["random", "optuna"])
def test_a_sweep_goes_on_with_what_had_not_ended_and_then_with_what_had_not_begun(search: str) -> None:
    sweep = tune.loads(sweep_text(space=BRANCHES, search=search, budget={"trials": 5, "steps": 40}))
    (Path("sweeps") / "small").mkdir(parents=True)
    record = SweepRecord(sweep)
    record.begin(resume=False)
    first = trials(sweep, SweepRecord(sweep))
    for trial in first[:4]:
        record.start(trial["number"], trial["values"], trial["draws"], trial["is_default"])
    for number in (0, 1, 3):
        record.report(number, {"auc": 0.5, "global_step": 40})
        record.end(number, "done")
    again = SweepRecord(sweep)
    again.begin(resume=True)
    left = trials(sweep, again)
    assert left[0] == first[2]
    assert [trial["number"] for trial in left] == [2, 4, 5]
    if search == "random":
        assert left[1:] == first[4:]
    else:
        # What was drawn before does not come again.
        assert left[1]["values"] not in [trial["values"] for trial in first]


@pytest.mark.parametrize("sampler", ["tpe", {"kind": "gp", "n_startup_trials": 2}, "random", "nsgaii"])
def test_optuna_draws_all_parts_of_a_space_and_learns(sampler: Any) -> None:
    search = {"kind": "optuna", "sampler": sampler}
    sweep = tune.loads(sweep_text(space=BRANCHES, search=search, metric=["auc", "loss"], mode=["max", "min"]))
    found, record = make_search(sweep), SweepRecord(sweep)
    (Path("sweeps") / "small").mkdir(parents=True)
    for number in range(1, 6):
        suggested = found.suggest(number)
        assert suggested is not None
        configuration, draws = suggested
        assert set(configuration) == set(BRANCHES)
        assert 1 <= len(configuration["model.hidden_units"]) <= 3
        tune_run = sweep.trial_template().run(configuration)
        assert tune_run.model.hidden_units == configuration["model.hidden_units"]
        record.start(number, configuration, draws, False)
        record.report(number, {"auc": 0.5 + number / 100, "loss": 1.0, "global_step": 40})
        record.end(number, "failed" if number == 4 else "done")
        found.learn(record.trials[number])


def test_optuna_finds_better_values_than_at_first() -> None:
    sweep = tune.loads(sweep_text(search={"kind": "optuna", "sampler": {"kind": "tpe", "n_startup_trials": 5}}))
    found, record = make_search(sweep), SweepRecord(sweep)
    (Path("sweeps") / "small").mkdir(parents=True)
    drawn = []
    for number in range(1, 31):
        suggested = found.suggest(number)
        assert suggested is not None
        drawn.append(suggested[0]["model.dropout"])
        record.start(number, *suggested, is_default=False)
        record.report(number, {"auc": -abs(drawn[-1] - 0.3), "global_step": 40})
        record.end(number, "stopped" if drawn[-1] < 0.05 else "done")
        found.learn(record.trials[number])
    distances = [abs(dropout - 0.3) for dropout in drawn]
    assert sum(distances[-10:]) < sum(distances[:10]) / 2


def test_without_optuna_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r'pip install "raydnn\[optuna\]"'):
        make_search(tune.loads(sweep_text(search="optuna")))
