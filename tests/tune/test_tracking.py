"""A sweep in MLflow: what its run and those of its trials hold, whichever driver wrote them."""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from servers import free_port
from small_sweep import sweep_text

from raydnn import tune
from raydnn.errors import TrainingStoppedError
from raydnn.tracking.event_file import EventFileWriter
from raydnn.tracking.run_record import read_record
from raydnn.tune import tracking
from raydnn.tune.record import SweepRecord
from raydnn.tune.tracking import PARENT, TRIAL, tracked
from raydnn.tune.trial_tracking import STOPPED_EARLY

pytestmark = [
    pytest.mark.usefixtures("small_run"),
    # MLflow's own, while it is imported and while it makes its database.
    pytest.mark.filterwarnings(
        "ignore:.*Any type hint is inferred as AnyType", "ignore:The ``noload`` loader strategy is deprecated"
    ),
]


@pytest.fixture
def sweep(small_run: Path, make_store: Callable[[Path], str]) -> tune.Sweep:
    """A sweep whose trials are made up."""
    space = {
        "model.dropout": {"uniform": [0.0, 0.4]},
        "model.optimizer": {"choice": [{"name": "Adam", "learning_rate": {"loguniform": [0.001, 0.1]}}]},
    }
    # The experiment has no place for artifacts yet: it is that of the working directory.
    sweep = tune.loads(
        sweep_text(space=space, tracking={"tracking_uri": make_store(small_run), "experiment": "flights"})
    )
    Path(sweep.folder).mkdir(parents=True)
    return sweep


def begun(sweep: tune.Sweep, resume: bool = False) -> SweepRecord:
    record = SweepRecord(sweep)
    record.begin(resume)
    return record


def client_of(sweep: tune.Sweep) -> MlflowClient:
    settings = sweep.settings.tracking_settings
    assert settings is not None
    return MlflowClient(tracking_uri=settings.tracking_uri)


def parent_of(sweep: tune.Sweep) -> Run:
    record = read_record(sweep.folder)
    assert record is not None
    return client_of(sweep).get_run(record.run_id)


def children_of(sweep: tune.Sweep) -> dict[str, Run]:
    """The runs of trials by their numbers, each of which there must be once."""
    parent = parent_of(sweep)
    found = client_of(sweep).search_runs([parent.info.experiment_id], f"tags.`{PARENT}` = '{parent.info.run_id}'")
    children = {run.data.tags[TRIAL]: run for run in found}
    assert len(children) == len(found)
    return children


def history(sweep: tune.Sweep, run: Run, key: str) -> list[tuple[int, float]]:
    points = client_of(sweep).get_metric_history(run.info.run_id, key)
    return sorted((point.step, point.value) for point in points)


def report(step: int, auc: float, is_last: bool = False) -> dict[str, Any]:
    return {"auc": auc, "loss": 1.0, "global_step": step, "rows": 20 * step, "seconds": 1.0, "is_last": is_last}


OPTIMIZER = {"name": "Adam", "learning_rate": 0.01}


def test_a_sweep_is_a_run_with_one_below_it_for_each_trial(sweep: tune.Sweep) -> None:
    record = begun(sweep)
    with tracked(sweep) as tracker:
        assert tracker is not None
        record.start(0, {}, {}, is_default=True)
        record.start(1, {"model.dropout": 0.1, "model.optimizer": OPTIMIZER}, {}, is_default=False)
        tracker.show(record.result)
        with EventFileWriter(sweep.model_dir(1)) as writer:
            writer.add_scalar("loss", 0.75, 10)
            writer.add_scalar("global_step/sec", 9.0, 10)
        for number in (0, 1):
            record.report(number, report(20, 0.5))
        tracker.show(record.result)
        tracker.wait()
        assert {run.info.status for run in children_of(sweep).values()} == {"RUNNING"}
        record.report(1, report(40, 0.75, is_last=True))
        record.end(1, "done")
        record.end(0, "stopped", reason="asha at step 20")
        record.start(2, {}, {}, is_default=False)
        record.end(2, "failed", "ValueError: no")
        tracker.show(record.result)
    parent, children = parent_of(sweep), children_of(sweep)
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", "small")
    assert parent.data.params["budget.trials"] == "2"
    assert parent.data.params["space.model.dropout.uniform"] == "[0.0, 0.4]"
    artifacts = client_of(sweep).list_artifacts(parent.info.run_id)
    assert sorted(each.path for each in artifacts) == ["run.yaml", "sweep.yaml"]
    assert {number: run.info.status for number, run in children.items()} == {
        "0": "FINISHED",
        "1": "FINISHED",
        "2": "FAILED",
    }
    assert children["0"].data.tags[STOPPED_EARLY] == "asha at step 20"
    assert STOPPED_EARLY not in children["1"].data.tags
    assert children["2"].data.tags["raydnn.error"] == "ValueError: no"
    assert {number: run.data.tags["raydnn.default"] for number, run in children.items()} == {
        "0": "true",
        "1": "false",
        "2": "false",
    }
    assert children["1"].data.params == {
        "model.dropout": "0.1",
        "model.optimizer.name": "Adam",
        "model.optimizer.learning_rate": "0.01",
    }
    assert history(sweep, children["1"], "eval/auc") == [(20, 0.5), (40, 0.75)]
    assert history(sweep, children["1"], "rows") == [(20, 400), (40, 800)]
    assert history(sweep, children["1"], "loss") == [(10, 0.75)]
    assert "global_step" not in " ".join(children["1"].data.metrics)
    assert all(run.info.end_time >= run.info.start_time for run in children.values())
    for number, run in children.items():
        own = read_record(sweep.model_dir(int(number)))
        assert own is not None
        assert own.run_id == run.info.run_id


def test_a_driver_that_goes_on_adds_what_is_missing_and_nothing_twice(sweep: tune.Sweep) -> None:
    record = begun(sweep)
    with pytest.raises(TrainingStoppedError), tracked(sweep) as tracker:
        assert tracker is not None
        record.start(1, {"model.dropout": 0.1}, {}, is_default=False)
        record.start(2, {"model.dropout": 0.2}, {}, is_default=False)
        record.report(1, report(20, 0.5))
        record.end(1, "done")
        record.report(2, report(20, 0.5))
        tracker.show(record.result)
        raise TrainingStoppedError("Ctrl-C", None)
    parent, before = parent_of(sweep), children_of(sweep)
    assert parent.info.status == "KILLED"
    assert {number: run.info.status for number, run in before.items()} == {"1": "FINISHED", "2": "KILLED"}
    # A driver may die before it has noted the run that it has made, and before it has written what is on record.
    Path(sweep.model_dir(2), "mlflow_run.json").unlink()
    record.start(3, {"model.dropout": 0.3}, {}, is_default=False)
    record.report(3, report(20, 0.25))
    record.end(3, "done")
    record = begun(sweep, resume=True)
    with tracked(sweep) as tracker:
        assert tracker is not None
        tracker.show(record.result)
        record.start(2, {"model.dropout": 0.2}, {}, is_default=False)
        tracker.show(record.result)
        for step in (20, 40):
            record.report(2, report(step, 0.5))
        record.end(2, "done")
        tracker.show(record.result)
    children = children_of(sweep)
    assert parent_of(sweep).info.run_id == parent.info.run_id
    assert {number: run.info.run_id for number, run in children.items() if number != "3"} == {
        number: run.info.run_id for number, run in before.items()
    }
    assert {run.info.status for run in [parent_of(sweep), *children.values()]} == {"FINISHED"}
    assert history(sweep, children["1"], "eval/auc") == [(20, 0.5)]
    assert history(sweep, children["2"], "eval/auc") == [(20, 0.5), (40, 0.5)]
    assert history(sweep, children["3"], "eval/auc") == [(20, 0.25)]


def test_the_values_that_a_scheduler_has_moved_are_told_beside_the_first_ones(sweep: tune.Sweep) -> None:
    record = begun(sweep)
    with tracked(sweep) as tracker:
        assert tracker is not None
        for dropout in (0.1, 0.2):
            record.start(1, {"model.dropout": dropout}, {}, is_default=False)
            tracker.show(record.result)
    child = children_of(sweep)["1"]
    assert child.data.params == {"model.dropout": "0.1"}
    assert json.loads(child.data.tags["raydnn.configuration"]) == {"model.dropout": 0.2}


@pytest.mark.slow
def test_a_locked_database_loses_nothing(
    sweep: tune.Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tracking, "RETRY_SECS", 0.0)
    record = begun(sweep)
    with caplog.at_level(logging.WARNING), tracked(sweep) as tracker:
        assert tracker is not None
        tracker.wait()
        record.start(1, {"model.dropout": 0.1}, {}, is_default=False)
        tracker.show(record.result)
        tracker.wait()
        other = sqlite3.connect(tmp_path / "mlflow.db", check_same_thread=False, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        record.report(1, report(20, 0.5))
        start = time.monotonic()
        tracker.show(record.result)
        assert time.monotonic() - start < 0.1
        # MLflow itself waits for 20 seconds.
        tracker.wait()
        assert "MLflow tracking waits" in caplog.text
        assert "database is locked" in caplog.text
        other.execute("ROLLBACK")
        record.report(1, report(40, 0.75))
        record.end(1, "done")
        tracker.show(record.result)
    (child,) = children_of(sweep).values()
    assert child.info.status == "FINISHED"
    assert history(sweep, child, "eval/auc") == [(20, 0.5), (40, 0.75)]


def test_a_database_in_the_sweeps_folder_is_made_once_and_by_one_thread(
    make_store: Callable[[Path], str],
) -> None:
    sweep = tune.loads(sweep_text(tracking="mlflow"))
    folder = Path(sweep.folder)
    folder.mkdir(parents=True)
    # As it would be made there.
    make_store(folder)
    record = begun(sweep)
    threads = threading.active_count()
    with tracked(sweep) as tracker:
        assert tracker is not None
        record.start(1, {}, {}, is_default=False)
        record.end(1, "done")
        tracker.show(record.result)
        tracker.wait()
        assert threading.active_count() == threads + 1
    assert threading.active_count() == threads
    found = read_record(folder)
    assert found is not None
    # The folder can be moved.
    assert found.tracking_uri is None
    child = read_record(sweep.model_dir(1))
    assert child is not None
    assert child.tracking_uri == f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(tracking_uri=child.tracking_uri)
    assert client.get_run(child.run_id).info.artifact_uri.startswith(f"{folder.as_uri()}/mlartifacts")


def test_a_server_that_does_not_answer_stops_no_trial(caplog: pytest.LogCaptureFixture) -> None:
    sweep = tune.loads(sweep_text(tracking={"tracking_uri": f"http://127.0.0.1:{free_port()}"}))
    Path(sweep.folder).mkdir(parents=True)
    record = begun(sweep)
    start = time.monotonic()
    with caplog.at_level(logging.WARNING), tracked(sweep) as tracker:
        assert tracker is not None
        record.start(1, {}, {}, is_default=False)
        tracker.show(record.result)
        record.end(1, "done")
        tracker.show(record.result)
    assert time.monotonic() - start < 10
    assert caplog.text.count("nobody answers at 127.0.0.1") == 1
    assert "is not complete; --resume writes the rest" in caplog.text


def test_a_sweep_that_is_not_tracked_has_no_tracker() -> None:
    with tracked(tune.loads(sweep_text())) as tracker:
        assert tracker is None
