"""What ends trials early or changes them: Ray Tune's schedulers, counting in global steps."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from ray.tune.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)

from raydnn.config.section import Section
from raydnn.tune.result import TrialResult
from raydnn.tune.settings import Asha, Median, Pbt
from raydnn.tune.space import RandomSuggest, Record
from raydnn.tune.sweep import Sweep

STEP = "global_step"


class _SparesDefault:
    """Lets the base run go to its end, so that all others can be compared with it."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if trial.config["trial"]["is_default"]:
            return str(TrialScheduler.CONTINUE)
        decision: str = super().on_trial_result(tune_controller, trial, result)  # type: ignore[misc]
        return decision


class _Asha(_SparesDefault, ASHAScheduler):
    pass


class _Median(_SparesDefault, MedianStoppingRule):
    pass


class _Pbt(_SparesDefault, PopulationBasedTraining):
    pass


def make_scheduler(sweep: Sweep) -> TrialScheduler:
    """The scheduler of a sweep."""
    settings = sweep.settings.scheduler_settings
    (metric, mode), every = sweep.objectives[0], sweep.settings.trials.evaluate_every
    common: dict[str, Any] = {"time_attr": STEP, "metric": metric, "mode": mode}
    if isinstance(settings, Asha):
        defaults = {"grace_period": every, "max_t": sweep.most_steps}
        return _Asha(**common, **_arguments(settings, defaults))
    if isinstance(settings, Median):
        return _Median(**common, **_arguments(settings, {"grace_period": every}))
    if isinstance(settings, Pbt):
        arguments = _arguments(settings, {"perturbation_interval": every})
        arguments["perturbation_factors"] = tuple(arguments["perturbation_factors"])
        return _Pbt(**common, **arguments, custom_explore_fn=Explore(sweep.space, settings, sweep.settings.seed))
    return FIFOScheduler()


def replay(scheduler: TrialScheduler, trial: TrialResult) -> None:
    """Tell a scheduler of a trial that an earlier driver has ended, so that others are compared with it.

    Args:
        scheduler: fresh.
        trial: which has ended.
    """
    if isinstance(scheduler, _Pbt) or trial.is_default:
        return
    # They ask nothing of a trial but its name and configuration, and nothing of a controller but for others.
    ended, controller = cast("Any", _Ended(trial)), cast("Any", _NoOthers())
    scheduler.on_trial_add(controller, ended)
    for report in trial.reports:
        scheduler.on_trial_result(controller, ended, dict(report))


class Explore:
    """Moves the values that a trial takes over from a better one, within their bounds.

    Args:
        space: key -> distribution.
        settings: how often values are drawn anew, and what numbers are multiplied with.
        seed: of what is drawn.
    """

    def __init__(self, space: Record, settings: Pbt, seed: int) -> None:
        self._space = space
        self._settings = settings
        self._random = np.random.default_rng(seed)

    def __call__(self, config: dict[str, Any]) -> dict[str, Any]:
        """The configuration that Ray Tune passes on, with other values."""
        trial: dict[str, Any] = config["trial"]
        moved = {}
        for key, node in self._space.members.items():
            is_new = self._random.random() < self._settings.resample_probability
            suggest = RandomSuggest(int(self._random.integers(2**31))) if is_new else None
            factor = float(self._random.choice(self._settings.perturbation_factors))
            moved[key] = node.moved(trial["values"][key], factor, int(self._random.choice([-1, 1])), suggest)
        return {"trial": {**trial, "values": moved}}


class _Ended:
    """What schedulers ask of a trial that has ended."""

    def __init__(self, trial: TrialResult) -> None:
        self.trial_id = f"ended-{trial.number}"
        self.config = {"trial": {"is_default": trial.is_default}}


class _NoOthers:
    """A controller without trials that wait."""

    def get_live_trials(self) -> list[Any]:
        return []


def _arguments(settings: Section, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a scheduler; those that are null take the defaults."""
    arguments = {name: getattr(settings, name) for name in type(settings).model_fields if name != "kind"}
    return {name: defaults[name] if value is None else value for name, value in arguments.items()}
