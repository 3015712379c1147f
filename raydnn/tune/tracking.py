"""A sweep in MLflow: a run of its own, and one below it for each trial.

The driver alone writes, from a thread: trials report to it and need no MLflow, and a database in a file has one writer.
What cannot be written waits and is tried again, so a locked database or a server that is away for a while loses
nothing. All that is written is made of the sweep's record and of the event files of trials, so a driver that goes on
with a sweep adds exactly what is missing.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

import yaml

from raydnn import storage
from raydnn.errors import TrainingStoppedError
from raydnn.export.manifest import ExportManifest
from raydnn.tracking.background import BackgroundWorker
from raydnn.tracking.metric_point import metric_points
from raydnn.tracking.run_record import RunStatus
from raydnn.tracking.server import check_reached
from raydnn.tracking.settings import MLflowSettings
from raydnn.tune.result import SweepResult, TrialResult
from raydnn.tune.sweep import Sweep
from raydnn.tune.trial_tracking import TrialRun, flat

if TYPE_CHECKING:
    from raydnn.tracking.mlflow_store import MlflowStore

PARENT = "mlflow.parentRunId"
TRIAL = "raydnn.trial"
"""Tag of a run below that of the sweep: the number of the trial, or the name of another training."""
CHAMPION = "champion"
"""Alias of the registered version of the model that is the best."""
RETRY_SECS = 30.0

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
        self._runs: dict[int, TrialRun] = {}
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

    def log_winner(self, export: str, manifest: ExportManifest, metrics: Mapping[str, float]) -> tuple[str, str] | None:
        """Log an export as a model of the sweep's run, and make it the champion among the registered ones.

        Args:
            export: path of the export.
            manifest: of the export.
            metrics: to log with the sweep's run at the export's step.

        Returns:
            The model's URI, and its version in the registry; None where that failed, of which a warning tells.
        """
        name = self._sweep.registered_model

        def log(parent: "MlflowStore") -> tuple[str, str]:
            parent.log_points(metric_points(metrics, manifest.global_step))
            log_export = import_module("raydnn.tracking.mlflow_export").log_export
            with storage.local_folder(export) as folder:
                uri: str = log_export(
                    parent,
                    folder,
                    manifest.describe(),
                    registered_model_name=name,
                    step=manifest.global_step,
                    alias=CHAMPION,
                )
            return uri, str(parent.client.get_model_version_by_alias(name, CHAMPION).version)

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
        if self._parent is not None:
            check_reached(self._parent.tracking_uri)
        else:
            # By name, and here: MLflow takes seconds to load, and to make its database.
            store = import_module("raydnn.tracking.mlflow_store").MlflowStore(self._sweep.folder, self._settings)
            check_reached(store.tracking_uri)
            run_id = store.open().run_id
            store.log_params(dict(flat(self._sweep.source["sweep"])))
            objectives = ", ".join(f"{metric} ({mode})" for metric, mode in self._sweep.objectives)
            store.set_tags({"raydnn.sweep": self._sweep.folder, "raydnn.objectives": objectives})
            for name, values in self._sweep.source.items():
                text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
                store.client.log_text(run_id, text, f"{name}.yaml")
            self._parent = store
        return self._parent

    def _run_of(self, parent: "MlflowStore", number: int) -> "TrialRun":
        if number not in self._runs:
            settings = self._settings_below(parent, f"{number:05d}")
            store = self._store_below(parent, self._sweep.model_dir(number), settings, str(number))
            self._runs[number] = TrialRun(self._sweep, number, store)
        return self._runs[number]

    def _settings_below(self, parent: "MlflowStore", name: str) -> MLflowSettings:
        return replace(self._settings, tracking_uri=parent.tracking_uri, run_name=f"{self._sweep.name} {name}")

    def _store_below(self, parent: "MlflowStore", model_dir: str, settings: MLflowSettings, mark: str) -> "MlflowStore":
        identity = {PARENT: parent.open().run_id, TRIAL: mark}
        store: MlflowStore = import_module("raydnn.tracking.mlflow_store").MlflowStore(model_dir, settings, identity)
        return store


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
