"""A sweep in MLflow: a run of its own, and one below it for each trial.

The driver alone writes, from a thread: trials report to it and need no MLflow, and a database in a file has one writer.
What cannot be written waits and is tried again, so a locked database or a server that is away for a while loses
nothing. All that is written is made of the sweep's record and of the event files of trials, so a driver that goes on
with a sweep adds exactly what is missing.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from raydnn import storage
from raydnn.errors import TrainingStoppedError
from raydnn.estimator.records import scalars_of
from raydnn.export.manifest import ExportManifest
from raydnn.tracking.background import BackgroundWorker
from raydnn.tracking.event_file import read_scalars
from raydnn.tracking.metric_point import MetricPoint
from raydnn.tracking.run_record import RunStatus
from raydnn.tracking.settings import MLflowSettings
from raydnn.tune.result import SweepResult, TrialResult
from raydnn.tune.sweep import Sweep

if TYPE_CHECKING:
    from raydnn.tracking.mlflow_store import MlflowStore

PARENT = "mlflow.parentRunId"
TRIAL = "raydnn.trial"
"""Tag of a run below that of the sweep: the number of the trial, or the name of another training."""
CHAMPION = "champion"
"""Alias of the registered version of the model that is the best."""
STOPPED_EARLY = "raydnn.stopped_early"
"""Tag of a trial that has ended before its last step: what ended it."""
RETRY_SECS = 30.0
_LOSS = "loss"
_LONGEST_TAG = 5000
_STATUSES: Mapping[str, RunStatus] = {"done": "FINISHED", "stopped": "FINISHED", "failed": "FAILED"}

_Result = TypeVar("_Result")

logger = logging.getLogger(__name__)


class SweepTracker:
    """Writes what happens to the trials of a sweep into MLflow.

    To be used from one thread.

    Args:
        sweep: which.
        settings: where, and under which names; the database is in the sweep's folder where they name no other place.
    """

    def __init__(self, sweep: Sweep, settings: MLflowSettings) -> None:
        self._sweep = sweep
        self._settings = settings
        self._worker = BackgroundWorker("MLflow tracking")
        self._handed_over: dict[int, object] = {}
        # What follows is touched by the worker's thread alone.
        self._parent: MlflowStore | None = None
        self._runs: dict[int, _TrialRun] = {}
        self._waiting: dict[int, TrialResult] = {}
        self._has_warned = False
        self._next_try = 0.0

    def begin(self) -> None:
        """Make the sweep's run, or go on with it; returns at once."""
        self._worker.submit(self._send)

    def show(self, result: SweepResult) -> None:
        """Write what has happened since the last call; returns at once."""
        for trial in result.trials:
            state = (trial.status, len(trial.reports), trial.global_step, str(trial.configuration))
            if trial.status != "waiting" and self._handed_over.get(trial.number) != state:
                self._handed_over[trial.number] = state
                # A copy, as the record goes on.
                self._worker.submit(partial(self._take, replace(trial)))

    def wait(self) -> None:
        """Return when all that was shown is written, or waits for MLflow."""
        self._worker.wait()

    def end(self, status: RunStatus) -> None:
        """Write what is left, and end the sweep's run and those of trials that still ran.

        Args:
            status: of the sweep.
        """
        self._worker.call(partial(self._end, status))
        self._worker.close()

    def log_winner(self, export: str, manifest: ExportManifest, metrics: Mapping[str, float]) -> str | None:
        """Log an export as a model of the sweep's run, and make it the champion among the registered ones.

        Args:
            export: path of the export.
            manifest: of the export.
            metrics: to log with the sweep's run at the export's step.

        Returns:
            The model's URI; None where that failed, of which a warning tells.
        """
        name = self._sweep.registered_model

        def log(parent: "MlflowStore") -> str:
            parent.log_points(_points(metrics, manifest.global_step))
            log_export = import_module("raydnn.tracking.mlflow_export").log_export
            with storage.local_folder(export) as folder:
                uri: str = log_export(
                    parent,
                    folder,
                    manifest.describe(),
                    input_example=None,
                    registered_model_name=name,
                    step=manifest.global_step,
                    alias=CHAMPION,
                )
            return uri

        return self._tried("The winner is not logged with MLflow", log)

    def settings_of_training(self, name: str, model_dir: str) -> MLflowSettings | None:
        """How a training that is no trial is tracked below the sweep's run.

        Args:
            name: of the training.
            model_dir: where it will find its run.

        Returns:
            None where MLflow could not be reached, of which a warning tells.
        """

        def make(parent: "MlflowStore") -> MLflowSettings:
            settings = self._settings_below(parent, name)
            self._store_below(parent, model_dir, settings, name).open()
            return replace(settings, registered_model_name=self._sweep.registered_model)

        return self._tried(f"The training '{name}' is not tracked with MLflow", make)

    def _tried(self, failure: str, work: "Callable[[MlflowStore], _Result]") -> _Result | None:
        """What some work on the sweep's run gives; where it fails, None and a warning."""
        try:
            return self._worker.call(lambda: work(self._open()))
        except Exception as error:
            logger.warning("%s: %s: %s", failure, type(error).__name__, " ".join(str(error).split()))
            return None

    def _take(self, trial: TrialResult) -> None:
        self._waiting[trial.number] = trial
        if time.monotonic() >= self._next_try:
            self._send()

    def _send(self) -> bool:
        """Write all that waits, and say whether that was done."""
        try:
            parent = self._open()
            for number, trial in list(self._waiting.items()):
                self._run_of(parent, number).send(trial)
                del self._waiting[number]
        except Exception as error:
            # Whatever it is, trials go on; what is missing is tried again.
            if not self._has_warned:
                logger.warning("MLflow tracking waits: %s: %s", type(error).__name__, " ".join(str(error).split()))
            self._has_warned = True
            self._next_try = time.monotonic() + RETRY_SECS
            return False
        return True

    def _end(self, status: RunStatus) -> None:
        if not self._send():
            logger.warning("The MLflow run of %s is not complete; --resume writes the rest", self._sweep.folder)
            return
        try:
            for run in self._runs.values():
                run.kill()
            self._open().finish(status)
        except Exception as error:
            logger.warning("The MLflow run of %s is not ended: %s", self._sweep.folder, " ".join(str(error).split()))

    def _open(self) -> "MlflowStore":
        """The sweep's run.

        Raises:
            OSError: MLflow's server does not answer; its client would try for minutes.
        """
        # By name, and here: MLflow takes seconds to load, and to make its database.
        check_reached = import_module("raydnn.tracking.mlflow_artifacts").check_reached
        if self._parent is not None:
            check_reached(self._parent.tracking_uri)
        else:
            store = import_module("raydnn.tracking.mlflow_store").MlflowStore(self._sweep.folder, self._settings)
            check_reached(store.tracking_uri)
            run_id = store.open().run_id
            store.log_params(dict(_flat(self._sweep.source["sweep"])))
            objectives = ", ".join(f"{metric} ({mode})" for metric, mode in self._sweep.objectives)
            store.set_tags({"raydnn.sweep": self._sweep.folder, "raydnn.objectives": objectives})
            for name, values in self._sweep.source.items():
                text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
                store.client.log_text(run_id, text, f"{name}.yaml")
            self._parent = store
        return self._parent

    def _run_of(self, parent: "MlflowStore", number: int) -> "_TrialRun":
        if number not in self._runs:
            settings = self._settings_below(parent, f"{number:05d}")
            store = self._store_below(parent, self._sweep.model_dir(number), settings, str(number))
            self._runs[number] = _TrialRun(self._sweep, number, store)
        return self._runs[number]

    def _settings_below(self, parent: "MlflowStore", name: str) -> MLflowSettings:
        return replace(self._settings, tracking_uri=parent.tracking_uri, run_name=f"{self._sweep.name} {name}")

    def _store_below(self, parent: "MlflowStore", model_dir: str, settings: MLflowSettings, mark: str) -> "MlflowStore":
        identity = {PARENT: parent.open().run_id, TRIAL: mark}
        store: MlflowStore = import_module("raydnn.tracking.mlflow_store").MlflowStore(model_dir, settings, identity)
        return store


class _TrialRun:
    """The MLflow run of a trial.

    Args:
        sweep: of the trial.
        number: of the trial.
        store: writes the run.
    """

    def __init__(self, sweep: Sweep, number: int, store: "MlflowStore") -> None:
        self._model_dir = sweep.model_dir(number)
        self._evaluation = sweep.base.eval.name
        self._mark = next(iter(scalars_of({sweep.objectives[0][0]: 0.0}, self._evaluation)))
        self._store = store
        self._trained: set[int] | None = None
        self._evaluated: set[int] = set()
        self._is_running = False

    def send(self, trial: TrialResult) -> None:
        """Write what the run lacks of a trial; what it has is not written again, whichever driver wrote it."""
        status = _STATUSES.get(trial.status)
        if self._trained is None:
            if status is not None and self._store.status() == status:
                # Its status is written last: nothing is missing.
                return
            self._trained, self._evaluated = self._store.steps_of(_LOSS), self._store.steps_of(self._mark)
        self._is_running = True
        try:
            self._store.log_points([*self._training_points(), *self._evaluation_points(trial)])
        except Exception:
            # Of several batches some may be stored: the next time the run is asked what it has.
            self._trained = None
            raise
        self._store.log_params(dict(_flat(trial.configuration)))
        self._store.set_tags(_tags(trial))
        if status is not None:
            self._store.finish(status)
            self._is_running = False

    def kill(self) -> None:
        """Say that the trial does not run any more, if it has not ended."""
        if self._is_running:
            self._store.finish("KILLED")
            self._is_running = False

    def _training_points(self) -> Iterator[MetricPoint]:
        """Losses of training that the run lacks, of the steps that the trial has written summaries of."""
        assert self._trained is not None
        for step, scalars in sorted(read_scalars(self._model_dir).items()):
            if _LOSS in scalars and step not in self._trained:
                self._trained.add(step)
                yield from _points({_LOSS: scalars[_LOSS]}, step)

    def _evaluation_points(self, trial: TrialResult) -> Iterator[MetricPoint]:
        for report in trial.reports:
            step = int(report["global_step"])
            if step not in self._evaluated:
                self._evaluated.add(step)
                metrics = {name: report[name] for name in trial.metrics}
                yield from _points({**scalars_of(metrics, self._evaluation), "rows": report["rows"]}, step)
        if trial.has_ended:
            yield from _points({"seconds": trial.seconds}, trial.global_step)


@contextmanager
def tracked(sweep: Sweep) -> Iterator[SweepTracker | None]:
    """Track what happens to a sweep within a block, if it is to be tracked; whatever ends the block ends its run."""
    settings = sweep.settings.tracking_settings
    if settings is None:
        yield None
        return
    tracker = SweepTracker(sweep, settings)
    tracker.begin()
    status: RunStatus = "FAILED"
    try:
        yield tracker
        status = "FINISHED"
    except (TrainingStoppedError, KeyboardInterrupt):
        status = "KILLED"
        raise
    finally:
        tracker.end(status)


def _tags(trial: TrialResult) -> dict[str, str]:
    tags = {
        "raydnn.model_dir": trial.model_dir,
        # A scheduler may change it, and params stay what they are.
        "raydnn.configuration": json.dumps(trial.configuration),
        "raydnn.default": str(trial.is_default).lower(),
    }
    if trial.status == "stopped":
        tags[STOPPED_EARLY] = trial.reason or "yes"
    if trial.error is not None:
        tags["raydnn.error"] = trial.error
    return {key: text[:_LONGEST_TAG] for key, text in tags.items()}


def _points(metrics: Mapping[str, Any], step: int) -> list[MetricPoint]:
    now_ms = time.time_ns() // 1_000_000
    return [MetricPoint(key, float(value), step, now_ms) for key, value in metrics.items()]


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The parts of nested mappings, by their keys with points between them."""
    for key, value in values.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping) and value:
            yield from _flat(value, name)
        else:
            yield name, value
