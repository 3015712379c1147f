"""Ray Tune's schedulers as a sweep sets them up."""

from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler
from small_sweep import sweep_text

from raydnn import tune
from raydnn.tune import TrialResult
from raydnn.tune.schedulers import Explore, make_scheduler, replay
from raydnn.tune.settings import Pbt

RATES = {"model.optimizer": {"name": "Adagrad", "learning_rate": {"loguniform": [0.001, 0.3]}}}
pytestmark = pytest.mark.usefixtures("small_run")


class RunningTrial:
    """What a scheduler asks of a trial."""

    def __init__(self, number: int, is_default: bool = False) -> None:
        self.trial_id = str(number)
        self.config = {"trial": {"is_default": is_default}}


def ended(number: int, aucs: list[float]) -> TrialResult:
    reports = [{"auc": auc, "global_step": 20 * place} for place, auc in enumerate(aucs, start=1)]
    return TrialResult(number, {}, "", "done", reports)


def decision(scheduler: Any, auc: float, step: int, is_default: bool = False) -> str:
    trial = RunningTrial(9, is_default)
    scheduler.on_trial_add(None, trial)
    found: str = scheduler.on_trial_result(None, trial, {"auc": auc, "global_step": step})
    return found


@pytest.mark.parametrize("kind", ["asha", {"kind": "median", "min_samples_required": 2}])
def test_trials_are_compared_with_those_that_an_earlier_driver_ended(kind: Any) -> None:
    sweep = tune.loads(sweep_text(scheduler=kind))
    for auc, expected in ((0.9, TrialScheduler.CONTINUE), (0.6, TrialScheduler.STOP)):
        scheduler = make_scheduler(sweep)
        for number in (1, 2, 3):
            replay(scheduler, ended(number, [0.7 + number / 100, 0.8]))
        assert decision(scheduler, auc, 20) == expected


@pytest.mark.parametrize("kind", ["asha", "median"])
def test_the_base_run_is_never_stopped(kind: str) -> None:
    scheduler = make_scheduler(tune.loads(sweep_text(scheduler=kind)))
    for number in range(1, 6):
        replay(scheduler, ended(number, [0.9, 0.9]))
    assert decision(scheduler, 0.1, 20, is_default=True) == TrialScheduler.CONTINUE
    assert decision(scheduler, 0.1, 20) == TrialScheduler.STOP


def test_rungs_are_counted_in_steps() -> None:
    scheduler = make_scheduler(tune.loads(sweep_text(scheduler={"kind": "asha", "reduction_factor": 2})))
    assert scheduler.debug_string().count("Iter") == 2
    for step in (20, 40):
        assert f"Iter {step:.3f}" in scheduler.debug_string()


def test_the_last_rung_is_that_of_the_longest_trial() -> None:
    space = {"data.batch_size": {"choice": [20, 10]}}
    sweep = tune.loads(sweep_text(space=space, budget={"trials": 3, "rows": 800}, scheduler="asha"))
    assert (sweep.steps_of(sweep.base), sweep.most_steps) == (40, 80)
    assert "Iter 80.000" in make_scheduler(sweep).debug_string()


def test_values_that_are_taken_over_are_moved_within_their_bounds() -> None:
    sweep = tune.loads(sweep_text(scheduler="pbt", space=RATES | {"model.dropout": {"uniform": [0.0, 0.4]}}))
    values = {"model.optimizer": {"name": "Adagrad", "learning_rate": 0.1}, "model.dropout": 0.39}
    passed_on = {"trial": {"number": 3, "values": values, "draws": {}, "is_default": False}}
    settings = Pbt(resample_probability=0)
    seen = [Explore(sweep.space, settings, seed)(passed_on)["trial"] for seed in range(20)]
    rates = {round(trial["values"]["model.optimizer"]["learning_rate"], 6) for trial in seen}
    assert rates == {0.12, 0.08}
    assert {trial["values"]["model.dropout"] for trial in seen} == {0.4, 0.39 * 0.8}
    drawn = Explore(sweep.space, Pbt(resample_probability=1), 0)(passed_on)["trial"]["values"]
    assert drawn["model.dropout"] not in (0.4, 0.39 * 0.8)
    assert passed_on["trial"]["values"] == values
