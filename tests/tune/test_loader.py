"""Sweeps from YAML: what takes the place of what, and that those of the project are good."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from small_sweep import sweep_text

from raydnn import tune
from raydnn.errors import ConfigError
from raydnn.tune import settings
from raydnn.tune.space import random_configuration

ROOT = Path(__file__).parent.parent.parent
CONFIGS = sorted((ROOT / "tune_configs").glob("*.yaml"))
pytestmark = pytest.mark.usefixtures("small_run")


def test_a_broken_base_run_is_told_with_its_own_lines(small_run: Path) -> None:
    (small_run / "run.yaml").write_text((small_run / "run.yaml").read_text().replace("hidden_units", "hiden_units"))
    with pytest.raises(ConfigError, match=r"run.yaml:5: model.hiden_units: there is no such key"):
        tune.loads(sweep_text())


def test_overrides_take_the_place_of_keys_and_of_keys_of_the_run() -> None:
    overrides = {
        "budget.trials": 5,
        "set.data.epochs": 1,
        "space.model.dropout": {"choice": [0.1]},
        "search.sampler": "gp",
        "search.kind": "optuna",
    }
    sweep = tune.loads(sweep_text(), overrides)
    assert sweep.settings.budget.trials == 5
    assert sweep.base.data.epochs == 1
    assert random_configuration(sweep.space, 0, 1) == {"model.dropout": 0.1}
    assert type(sweep.settings.searcher.sampler_settings) is settings.GpSampler  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="override: space.model.dropout: must be below 1; got 3"):
        tune.loads(sweep_text(), {"space.model.dropout": {"choice": [0.1, 3]}})


def test_numbers_that_yaml_reads_as_text_are_numbers() -> None:
    sweep = tune.loads(sweep_text(space={"model.dropout": {"loguniform": ["1e-3", "4e-1"]}}))
    assert 0.001 <= random_configuration(sweep.space, 0, 1)["model.dropout"] <= 0.4


def test_the_folder_has_the_name_of_the_file_where_no_other_is_given(small_run: Path) -> None:
    (small_run / "mine.yaml").write_text(sweep_text(name=None))
    assert tune.load("mine.yaml").folder == str(small_run / "sweeps" / "mine")
    assert tune.loads(sweep_text()).folder == str(small_run / "sweeps" / "small")


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
