"""Sweeps as YAML declares them: what they mean, and what is said where they are wrong."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import optuna
import pytest
import yaml
from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule, PopulationBasedTraining
from small_sweep import sweep_text, write_run

from raydnn import tune
from raydnn.errors import ConfigError
from raydnn.tune import settings
from raydnn.tune.space import random_configuration

ROOT = Path(__file__).parent.parent.parent
CONFIGS = sorted((ROOT / "tune_configs").glob("*.yaml"))
BASE = """\
run: run.yaml
space:
  model.dropout: {uniform: [0.0, 0.4]}
search: random
scheduler: none
metric: auc
mode: max
budget: {trials: 2, steps: 40}
trials: {evaluate_every: 20}
"""
BROKEN = yaml.safe_load((Path(__file__).parent / "broken_sweeps.yaml").read_text())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a small run in it."""
    write_run(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", BROKEN, ids=[case["by"].strip()[:40] for case in BROKEN])
def test_a_broken_sweep_is_told_with_line_key_and_way_out(case: dict[str, str]) -> None:
    assert case["replace"] in BASE
    with pytest.raises(ConfigError) as refused:
        tune.loads(BASE.replace(case["replace"], case["by"], 1), name="sweep.yaml")
    assert str(refused.value) == "\n".join(f"sweep.yaml:{line}" for line in case["says"].split("\n"))


def test_a_broken_base_run_is_told_with_its_own_lines(folder: Path) -> None:
    (folder / "run.yaml").write_text((folder / "run.yaml").read_text().replace("hidden_units", "hiden_units"))
    with pytest.raises(ConfigError, match=r"run.yaml:5: model.hiden_units: there is no such key"):
        tune.loads(BASE)


def test_overrides_take_the_place_of_keys_and_of_keys_of_the_run() -> None:
    overrides = {
        "budget.trials": 5,
        "set.data.epochs": 1,
        "space.model.dropout": {"choice": [0.1]},
        "search.sampler": "gp",
        "search.kind": "optuna",
    }
    sweep = tune.loads(BASE, overrides)
    assert sweep.settings.budget.trials == 5
    assert sweep.base.data.epochs == 1
    assert random_configuration(sweep.space, 0, 1) == {"model.dropout": 0.1}
    assert type(sweep.settings.searcher.sampler_settings) is settings.GpSampler  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="override: space.model.dropout: must be below 1; got 3"):
        tune.loads(BASE, {"space.model.dropout": {"choice": [0.1, 3]}})


def test_numbers_that_yaml_reads_as_text_are_numbers() -> None:
    sweep = tune.loads(BASE.replace("uniform: [0.0, 0.4]", "loguniform: [1e-3, 4e-1]"))
    assert 0.001 <= random_configuration(sweep.space, 0, 1)["model.dropout"] <= 0.4


def test_a_trial_is_the_base_run_with_what_the_sweep_decides() -> None:
    sweep = tune.loads(BASE, {"trials.workers": 2, "budget.rows": 500, "trials.cpus": 0.5})
    run = sweep.trial_template().run({"model.dropout": 0.3, "data.batch_size": 30})
    config = run.run_config()
    assert run.model.dropout == 0.3
    assert (config.num_workers, config.save_checkpoints_steps, config.tracking) == (2, 20, None)
    assert config.resources_per_worker == {"CPU": 0.5}
    assert config.tf_random_seed == 7
    assert run.exporters == []
    assert run.eval.throttle_secs == 0
    assert sweep.steps_of(run) == 17
    assert sweep.steps_of(sweep.base) == 25


def test_runs_without_a_seed_take_that_of_the_sweep(folder: Path) -> None:
    (folder / "run.yaml").write_text((folder / "run.yaml").read_text().replace("tf_random_seed: 7, ", ""))
    assert tune.loads(BASE, {"seed": 5}).trial_template().run({}).run_config().tf_random_seed == 5


def test_the_folder_has_the_name_of_the_file_where_no_other_is_given(folder: Path) -> None:
    (folder / "mine.yaml").write_text(BASE)
    assert tune.load("mine.yaml").folder == str(folder / "runs" / "sweeps" / "mine")
    assert tune.loads(sweep_text()).folder == str(folder / "sweeps" / "small")


@pytest.mark.parametrize("path", CONFIGS, ids=[path.name for path in CONFIGS])
def test_the_committed_sweeps_are_good(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    sweep = tune.load(path)
    assert sweep.name == path.stem
    schema = jsonschema.Draft202012Validator(tune.SweepSettings.model_json_schema())
    schema.check_schema(schema.schema)
    assert list(schema.iter_errors(yaml.safe_load(path.read_text()))) == []


def test_the_documented_sweep_is_good_and_has_all_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "sweeps.md").read_text(), re.DOTALL)
    sweep = tune.loads(text)
    assert sweep.settings.model_fields_set == set(tune.SweepSettings.model_fields)
    assert sweep.settings.budget.model_fields_set == set(settings.Budget.model_fields)
    assert sweep.settings.trials == settings.Trials()
    assert sweep.settings.trials.model_fields_set == set(settings.Trials.model_fields)


def test_the_committed_schema_is_that_of_the_sweep() -> None:
    committed = json.loads((ROOT / "docs" / "sweep.schema.json").read_text())
    assert committed == tune.SweepSettings.model_json_schema(), "write it anew as raydnn.tune.sweep says"


def test_every_key_of_the_schema_is_described() -> None:
    schema = tune.SweepSettings.model_json_schema()
    for name, definition in {"SweepSettings": schema, **schema["$defs"]}.items():
        assert definition.get("description"), name
        missing = [key for key, value in definition["properties"].items() if not value.get("description")]
        assert set(missing) <= {"budget", "trials"}, name


DECIDED = {"time_attr", "metric", "mode", "hyperparam_mutations", "custom_explore_fn", "log_config", "require_attrs"}


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
