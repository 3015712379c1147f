"""Sweeps that really run: the committed ones with tiny budgets, faults, and going on after the driver's death."""

import json
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ray.tune import Callback
from small_sweep import sweep_text

from raydnn import config, tune
from raydnn.errors import ConfigError, FailedPreconditionError, TrainingStoppedError
from raydnn.train import load_checkpoint, stop_on_signals
from raydnn.train.checkpoint import training_lock
from raydnn.tune import runner

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("ray_four_cpus")]

ROOT = Path(__file__).parent.parent.parent
ONE_PROCESS = {"evaluate_every": 20, "max_concurrent": 1}
"""Trials one after the other need one process, whose start takes most of the time of these tests."""


def write_flights(folder: Path) -> None:
    """Rows that examples/flights.yaml reads, made up."""
    run = config.load(ROOT / "examples" / "flights.yaml")
    for name, size in (("train", 600), ("test", 100)):
        random = np.random.default_rng(size)
        columns: dict[str, Any] = {key: random.normal(size=size).astype(np.float32) for key in run.features}
        columns |= {key: random.choice(["A", "B", "C"], size) for key in ("carrier", "dest", "tailnum")}
        columns |= {"origin": random.choice(["EWR", "JFK"], size), "flight": random.integers(0, 99, size)}
        columns["late"] = (columns["distance"] > 0).astype(np.int64)
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flights")
    write_flights(folder)
    return folder


def committed(name: str, flights: Path, tmp_path: Path, **changes: Any) -> tune.Sweep:
    """A sweep of tune_configs over the made-up flights, with a tiny budget."""
    tiny = {
        "storage": str(tmp_path),
        "set.data.train": str(flights / "train.parquet"),
        "set.data.eval": str(flights / "test.parquet"),
        "set.data.batch_size": 20,
        "budget.steps": 20,
        "budget.seconds": None,
        "trials.evaluate_every": 5,
        "trials.max_concurrent": 1,
        "tracking": None,
    }
    return tune.load(ROOT / "tune_configs" / name, tiny | changes)


def events(sweep: tune.Sweep) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(sweep.folder, "trials.jsonl").read_text().splitlines()]


@pytest.fixture
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("at_root")
def test_quick_compares_trials_with_the_base_run(flights: Path, tmp_path: Path) -> None:
    sweep = committed("quick.yaml", flights, tmp_path, **{"budget.trials": 3})
    result = tune.run(sweep)
    assert [(trial.number, trial.status, trial.global_step) for trial in result.trials] == [
        (number, "done", 20) for number in range(4)
    ]
    assert result.default is result.trials[0]
    assert [trial.configuration for trial in result.trials[1:]] == tune.first_configurations(sweep, 3)
    best = result.best
    assert best is not None
    assert best.metrics["auc"] == max(trial.metrics["auc"] for trial in result.trials)
    for trial in result.trials:
        assert [report["global_step"] for report in trial.reports] == [5, 10, 15, 20]
        assert trial.reports[-1]["rows"] == 400
        reader = load_checkpoint(trial.model_dir)
        assert reader.global_step == 20  # type: ignore[union-attr]
        units = trial.configuration.get("model.hidden_units", [64, 32])
        assert reader.get_variable_to_shape_map()["dnn/hiddenlayer_0/bias"] == [units[0]]
    assert sorted(os.listdir(sweep.folder)) == ["report.html", "sweep.json", "trials", "trials.jsonl", "winner"]
    assert result.winner is not None
    assert result.winner.exports[0] in Path(result.report).read_text()


@pytest.mark.usefixtures("at_root")
def test_asha_ends_bad_trials_early(flights: Path, tmp_path: Path) -> None:
    changes = {"budget.trials": 6, "scheduler.grace_period": 5, "budget.steps": 20, "scheduler.reduction_factor": 2}
    result = tune.run(committed("asha.yaml", flights, tmp_path, **changes))
    assert result.trials[0].status == "done"
    stopped = [trial for trial in result.trials if trial.status == "stopped"]
    assert stopped
    assert all(trial.global_step < 20 for trial in stopped)
    assert all(trial.reason == f"asha at step {trial.global_step}" for trial in stopped)
    assert {trial.status for trial in result.trials} == {"done", "stopped"}


@pytest.mark.usefixtures("at_root")
def test_pbt_goes_on_with_the_weights_of_a_better_trial(flights: Path, tmp_path: Path) -> None:
    changes = {"budget.trials": 4, "budget.steps": 15, "budget.with_default": False, "trials.max_concurrent": None}
    # All CPUs for one trial after the other: they take turns, and look at each other once, at step 10.
    changes |= {"trials.cpus": 4, "scheduler.perturbation_interval": 10, "scheduler.resample_probability": 0}
    sweep = committed("pbt.yaml", flights, tmp_path, **changes)
    result = tune.run(sweep)
    assert [(trial.status, trial.global_step) for trial in result.trials] == [("done", 15)] * 4
    drawn = tune.first_configurations(sweep, 4)
    moved = {trial.number for trial in result.trials if trial.configuration != drawn[trial.number - 1]}
    assert moved

    def weights(number: int, step: int) -> dict[str, np.ndarray]:
        reader = load_checkpoint(f"{sweep.model_dir(number)}/model.ckpt-{step}")
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}

    for number in moved:
        # What it had before is gone.
        assert {path.name for path in Path(sweep.model_dir(number)).glob("model.ckpt-*")} == {
            "model.ckpt-10",
            "model.ckpt-15",
        }
        taken, trained = weights(number, 10), weights(number, 15)
        donors = [other for other in range(1, 5) if other not in moved]
        same = [
            other
            for other in donors
            if all(np.array_equal(value, weights(other, 10)[name]) for name, value in taken.items())
        ]
        assert len(same) == 1
        assert not np.array_equal(taken["dnn/hiddenlayer_0/kernel"], trained["dnn/hiddenlayer_0/kernel"])
        # With other values, it goes another way from there.
        other = weights(same[0], 15)
        assert not np.array_equal(other["dnn/hiddenlayer_0/kernel"], trained["dnn/hiddenlayer_0/kernel"])


@pytest.mark.usefixtures("at_root")
def test_optuna_learns_from_two_metrics(flights: Path, tmp_path: Path) -> None:
    changes = {"budget.trials": 3, "search.sampler.n_startup_trials": 1, "budget.with_default": False}
    result = tune.run(committed("optuna.yaml", flights, tmp_path, **changes))
    assert [(trial.number, trial.status) for trial in result.trials] == [(1, "done"), (2, "done"), (3, "done")]
    assert result.front
    assert result.objectives == (("auc", "max"), ("average_loss", "min"))


@pytest.mark.usefixtures("at_root")
def test_trials_of_a_cluster_have_workers_of_their_own(flights: Path, tmp_path: Path) -> None:
    changes = {"budget.trials": 1, "budget.with_default": False, "budget.rows": 300, "scheduler.grace_period": 5}
    sweep = committed("cluster.yaml", flights, tmp_path, **changes)
    plan = tune.plan(sweep)
    assert (plan.cpus_per_trial, plan.concurrent) == (3, 1)
    (trial,) = tune.run(sweep).trials
    assert (trial.status, trial.global_step) == ("done", 15)
    manifest = load_checkpoint(trial.model_dir).manifest  # type: ignore[union-attr]
    assert manifest.config["num_workers"] == 2


class _Kill(Callback):
    """Kills the process of a trial at a step, once."""

    def __init__(self, number: int, step: int) -> None:
        self._victim = (number, step)

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        if (int(str(trial)), result["global_step"]) == self._victim:
            self._victim = (-1, -1)
            os.kill(result["pid"], signal.SIGKILL)


@pytest.mark.usefixtures("small_run")
def test_a_trial_that_raises_is_reported_and_one_that_is_killed_goes_on_from_its_checkpoint() -> None:
    space = {"data.train": {"choice": ["train.parquet", "missing.parquet"]}}
    trials = ONE_PROCESS | {"max_failures": 1}
    sweep = tune.loads(
        sweep_text(space=space, search="grid", budget={"steps": 60, "with_default": False}, trials=trials)
    )
    result = tune.run(sweep, callbacks=[_Kill(1, 40)])
    killed, broken = result.trials
    assert broken.status == "failed"
    assert broken.error is not None
    assert broken.error.startswith("FileNotFoundError: there is no file ")
    assert killed.status == "done"
    assert result.best is killed
    # Of a grid that was gone through nothing is left.
    assert [trial.status for trial in tune.run(sweep, resume=True).trials] == ["done", "failed"]
    of_killed = [each for each in events(sweep) if each["number"] == 1]
    told = [(each["event"], each.get("report", {}).get("global_step")) for each in of_killed]
    assert told == [("start", None), ("report", 20), ("report", 40), ("start", None), ("report", 60), ("end", None)]
    # The input went on too: each row of the three epochs was used once.
    position = load_checkpoint(killed.model_dir).manifest.input_position  # type: ignore[union-attr]
    assert position is not None
    assert (position["epoch"], position["batch"]) in ((2, 20), (3, 0))


class _Stop(Callback):
    """Asks for a stop after a report."""

    def __init__(self, stop: Any, number: int) -> None:
        self._stop = stop
        self._number = number

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        if int(str(trial)) == self._number:
            self._stop.make()


@pytest.mark.usefixtures("small_run")
def test_a_sweep_that_was_stopped_goes_on_without_the_trials_that_have_ended() -> None:
    sweep = tune.loads(sweep_text(budget={"trials": 3, "steps": 40}, trials=ONE_PROCESS))
    with stop_on_signals() as stop, pytest.raises(TrainingStoppedError, match="2 trials have ended. Go on with it by"):
        tune.run(sweep, callbacks=[_Stop(stop, 2)])
    with pytest.raises(ConfigError, match="has begun already"):
        tune.run(sweep)
    before = len(events(sweep))
    result = tune.run(sweep, resume=True)
    assert [(trial.number, trial.status) for trial in result.trials] == [(number, "done") for number in range(4)]
    later = events(sweep)[before:]
    assert {event["number"] for event in later} == {2, 3}
    # Trial 2 went on behind step 20, which it had come to.
    assert [event["report"]["global_step"] for event in later if event["event"] == "report"] == [40, 20, 40]
    assert tune.run(sweep, resume=True).trials == result.trials


@pytest.mark.usefixtures("small_run")
def test_the_time_of_the_budget_stops_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=lambda: now[0], time_ns=time.time_ns))

    class Late(Callback):
        """The time is over as soon as a trial has reported."""

        def on_trial_result(self, *arguments: Any, **more: Any) -> None:
            now[0] = 1e6

    text = sweep_text(budget={"seconds": 600}, set={"data.epochs": 100000}, trials=ONE_PROCESS)
    result = tune.run(tune.loads(text), callbacks=[Late()])
    (trial,) = result.trials
    assert (trial.status, trial.global_step > 0, trial.reason) == ("stopped", True, "the end of the budget")


@pytest.mark.usefixtures("small_run")
def test_one_driver_at_a_time_runs_a_sweep() -> None:
    sweep = tune.loads(sweep_text())
    Path(sweep.folder).mkdir(parents=True)
    with training_lock(sweep.folder), pytest.raises(FailedPreconditionError):
        tune.run(sweep)


@pytest.mark.usefixtures("small_run")
def test_a_plan_counts_cpus_for_workers_evaluation_and_reading() -> None:
    def plan(**changes: Any) -> tuple[float, float, int]:
        found = tune.plan(tune.loads(sweep_text(**{"budget": {"trials": 9, "steps": 40}, **changes})))
        return found.cpus_per_trial, found.data_cpus, found.concurrent

    assert plan() == (1, 0, 4)
    assert plan(trials={"cpus": 0.5}) == (0.5, 0, 8)
    assert plan(set={"data.engine": "ray"}) == (1, 1, 3)
    assert plan(trials={"workers": 2}) == (3, 0, 1)
    assert plan(trials={"workers": 4}) == (5, 0, 1)
    assert plan(trials={"max_concurrent": 2}) == (1, 0, 2)
    with pytest.raises(
        ConfigError, match="the cluster has 4 CPUs, but a trial needs 5; lower trials.cpus or trials.wo"
    ):
        plan(trials={"workers": 5})
