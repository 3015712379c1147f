"""The keys of a sweep: their schema, and that arguments and defaults are those of Ray Tune and Optuna."""

import inspect
import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule, PopulationBasedTraining

from raydnn import tune
from raydnn.tune import settings

ROOT = Path(__file__).parent.parent.parent
DECIDED = {"time_attr", "metric", "mode", "hyperparam_mutations", "custom_explore_fn", "log_config", "require_attrs"}


def test_the_committed_schema_is_that_of_the_sweep() -> None:
    committed = json.loads((ROOT / "docs" / "sweep.schema.json").read_text())
    assert committed == tune.SweepSettings.model_json_schema(), "write it anew as raydnn.tune.settings says"


def test_every_key_of_the_schema_is_described() -> None:
    schema = tune.SweepSettings.model_json_schema()
    for name, definition in {"SweepSettings": schema, **schema["$defs"]}.items():
        assert definition.get("description"), name
        missing = [key for key, value in definition["properties"].items() if not value.get("description")]
        assert set(missing) <= {"budget", "trials"}, name


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        (settings.Asha, ASHAScheduler),
        (settings.Median, MedianStoppingRule),
        (settings.Pbt, PopulationBasedTraining),
    ],
)
def test_a_scheduler_has_all_arguments_of_ray_with_its_defaults(section: Any, kind: Any) -> None:
    arguments = inspect.signature(kind).parameters
    assert set(section.model_fields) - {"kind"} == set(arguments) - DECIDED
    for name, value in section().model_dump(exclude={"kind"}).items():
        given = arguments[name].default
        # What counts in steps takes its default from the sweep.
        assert value is None or value == (list(given) if isinstance(given, tuple) else given), name


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        (settings.TpeSampler, optuna.samplers.TPESampler),
        (settings.GpSampler, optuna.samplers.GPSampler),
        (settings.RandomSampler, optuna.samplers.RandomSampler),
        (settings.NsgaiiSampler, optuna.samplers.NSGAIISampler),
    ],
)
def test_a_sampler_has_arguments_of_optuna_with_its_defaults(section: Any, kind: Any) -> None:
    arguments = inspect.signature(kind).parameters
    for name, value in section().model_dump(exclude={"kind"}).items():
        assert value == arguments[name].default, name
