"""Running a sweep with Ray Tune."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, Stopper, TuneConfig, Tuner
from ray.tune.callback import CallbackList

from raydnn import storage
from raydnn.distributed.cluster import ensure_ray
from raydnn.distributed.environment import environment
from raydnn.distributed.shared_storage import check_shared
from raydnn.errors import TrainingStoppedError
from raydnn.train.checkpoint import training_lock
from raydnn.train.stopping import is_stop_requested, listen_again, requesting_signal
from raydnn.tune.record import SweepRecord
from raydnn.tune.resources import Plan, plan
from raydnn.tune.result import Status, SweepResult, Watch
from raydnn.tune.schedulers import make_scheduler, replay
from raydnn.tune.search import Search, TrialSearcher, first_configurations, make_search, planned
from raydnn.tune.settings import Pbt
from raydnn.tune.shared_rows import share_rows
from raydnn.tune.sweep import Sweep
from raydnn.tune.text import end_told
from raydnn.tune.tracking import SweepTracker, tracked
from raydnn.tune.trial import ERROR_FILE, IS_LAST, REPORT, TrialTask
from raydnn.tune.winner import crown

__all__ = ["first_configurations", "plan", "run"]

TUNE_FOLDER = "ray_tune"
KEPT_CHECKPOINTS = 4
"""Checkpoints of each trial that others may go on with: fewer could be gone when they are asked for."""

# The record and our own output are enough; signals stop a sweep as they stop a training.
_TUNE_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}

logger = logging.getLogger(__name__)


def run(
    sweep: Sweep, *, resume: bool = False, callbacks: Sequence[Callback] = (), watch: Watch | None = None
) -> SweepResult:
    """Run the trials of a sweep.

    A trial that raises an error, or whose process dies, goes on from its last checkpoint as often as `max_failures`
    says, and has failed then; the others go on. When all have ended, the model of the best one is exported to the
    sweep's folder. Within `raydnn.train.stop_on_signals` a signal stops the sweep.

    Args:
        sweep: what to run.
        resume: go on with a sweep whose driver has died or was stopped: trials that have ended are not run again, those
            that had begun go on from their last checkpoints. `budget`, `trials`, `tracking`, `registered_model` and
            `then_train` of the sweep may have changed since.
        callbacks: of Ray Tune, told of all that happens to the trials after it is on record.
        watch: called with all trials as they stand, from the same thread, whenever anything has happened to one.

    Returns:
        All trials, with those of earlier drivers, and the winner.

    Raises:
        ConfigError: the sweep has begun already, or was another one when it began, or the cluster has too few CPUs.
        FailedPreconditionError: another driver runs the sweep.
        ImportError: Optuna is needed and not installed.
        TrainingStoppedError: a signal stopped it.
    """
    ensure_ray()
    resources = plan(sweep)
    storage.check_writable(sweep.folder)
    check_shared(sweep.folder)
    with training_lock(sweep.folder):
        record = SweepRecord(sweep)
        record.begin(resume)
        with tracked(sweep) as tracker:
            return _run(sweep, resources, record, callbacks, watch, tracker)


def _run(
    sweep: Sweep,
    resources: Plan,
    record: SweepRecord,
    callbacks: Sequence[Callback],
    watch: Watch | None,
    tracker: SweepTracker | None,
) -> SweepResult:
    watches = [*([] if tracker is None else [tracker.show]), *([] if watch is None else [watch])]
    search = make_search(sweep, len(record.trials))
    recorder = _Recorder(sweep, record, search, watches)
    recorder.tell()
    if recorder.is_open:
        _fit(sweep, resources, search, recorder, callbacks)
    if is_stop_requested():
        number = requesting_signal()
        ended = sum(trial.has_ended for trial in record.result.trials)
        by = "a request" if number is None else number.name
        raise TrainingStoppedError(
            f"the sweep was stopped by {by}: {ended} trials have ended. Go on with it by --resume", number
        )
    recorder.end_the_rest()
    if tracker is not None:
        tracker.wait()
    if sweep.settings.then_train:
        # That takes long: until it has ended the report is without it.
        _write_report(sweep.folder)
    try:
        winner = crown(sweep, record.result, tracker)
    finally:
        _write_report(sweep.folder)
    return replace(record.result, winner=winner)


def _write_report(folder: str) -> None:
    """Write the report of a sweep; without it the sweep has ended all the same."""
    try:
        # By name: what draws charts takes a second to load, and trials do not need it.
        import_module("raydnn.tune.report").write_sweep_report(folder)
    except Exception as error:
        logger.warning("The report of %s is not written: %s: %s", folder, type(error).__name__, error)


def _fit(sweep: Sweep, resources: Plan, search: Search, recorder: "_Recorder", callbacks: Sequence[Callback]) -> None:
    settings = sweep.settings
    is_population = isinstance(settings.scheduler_settings, Pbt)
    task = TrialTask(sweep, os.getcwd(), logging.getLogger("raydnn").getEffectiveLevel(), share_rows(sweep))

    def trial(config: dict[str, Any]) -> None:
        task(config)

    scheduler = make_scheduler(sweep)
    for each in recorder.record.trials.values():
        if each.has_ended:
            replay(scheduler, each)
    reserved = {"cpu": settings.trials.cpus}
    if settings.trials.workers is not None:
        # The workers reserve their CPUs themselves; any CPU of the trial's own would be missing there.
        reserved = {"cpu": 0, "memory": 1 << 20}
    tuner = Tuner(
        tune.with_resources(trial, reserved),
        # A population is known beforehand; Ray Tune takes it in no other way.
        param_space=_population(sweep, search, recorder) if is_population else None,
        tune_config=TuneConfig(
            num_samples=1 if is_population else -1,
            search_alg=None if is_population else TrialSearcher(sweep, search, recorder.record),
            scheduler=scheduler,
            max_concurrent_trials=resources.concurrent if resources.is_limited else None,
            reuse_actors=settings.trials.workers is None,
            trial_name_creator=lambda each: f"{each.config['trial']['number']:05d}",
            trial_dirname_creator=lambda each: f"{each.config['trial']['number']:05d}",
        ),
        run_config=tune.RunConfig(
            name=f"{TUNE_FOLDER}-{time.time_ns()}",
            storage_path=sweep.folder,
            failure_config=FailureConfig(max_failures=settings.trials.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=KEPT_CHECKPOINTS if is_population else None),
            callbacks=[_Callbacks([recorder, *callbacks])],
            stop=recorder.stopper,
            verbose=0,
        ),
    )
    with environment(_TUNE_SETTINGS, given_stay=False), _quiet():
        listen_again()
        tuner.fit()
    # Checkpoints and the record are our own: what Ray Tune kept serves nobody.
    for name in storage.list_folder(sweep.folder):
        if name.startswith(f"{TUNE_FOLDER}-"):
            storage.remove_folder(storage.join(sweep.folder, name))


def _population(sweep: Sweep, search: Search, recorder: "_Recorder") -> dict[str, Any]:
    """All trials as a grid of one key."""
    trials = [passed_on["trial"] for passed_on in planned(sweep, search, recorder.record)]
    return {"trial": tune.grid_search(trials)}


class _Stopper(Stopper):
    """Ends all trials when a signal asks for it, or the budget's time is over."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end: float | None = None

    def begin(self) -> None:
        """A trial has started: from the first one on the time counts, so that what Ray takes to start does not."""
        if self._seconds is not None and self._end is None:
            self._end = time.monotonic() + self._seconds

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return is_stop_requested() or (self._end is not None and time.monotonic() >= self._end)


class _Callbacks(CallbackList):
    """Several callbacks, which need not be such as can be sent elsewhere."""

    def __getstate__(self) -> dict[str, Any]:
        # Ray Tune writes a copy of everything it is given; ours is never read.
        return {}


class _Recorder(Callback):
    """Writes the record, and lets the search learn of trials that have ended."""

    def __init__(self, sweep: Sweep, record: SweepRecord, search: Search, watches: Sequence[Watch]) -> None:
        self.record = record
        self.stopper = _Stopper(sweep.settings.budget.seconds)
        self._sweep = sweep
        self._search = search
        self._watches = watches

    @property
    def is_open(self) -> bool:
        """Whether anything may be left to run."""
        budget, trials = self._sweep.settings.budget, self.record.trials
        wanted = None if budget.trials is None else budget.trials + budget.with_default
        return wanted is None or len(trials) < wanted or not all(trial.has_ended for trial in trials.values())

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.stopper.begin()
        config = trial.config["trial"]
        self.record.start(int(str(trial)), config["values"], config["draws"], config["is_default"])
        self.tell()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self.record.report(int(str(trial)), result[REPORT])
        self.tell()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        is_last = bool((trial.last_result or {}).get(IS_LAST))
        if is_last:
            self._end(trial, "done")
            return
        scheduler: Any = self._sweep.settings.scheduler_settings
        step = self.record.trials[int(str(trial))].global_step
        self._end(trial, "stopped", reason=f"{scheduler.kind} at step {step:,}")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._end(trial, "failed", _error_of(trial, self._sweep.model_dir(int(str(trial)))))

    def _end(self, trial: Any, status: Status, error: str | None = None, reason: str | None = None) -> None:
        number = int(str(trial))
        if number not in self.record.trials:
            # It failed before it began.
            config = trial.config["trial"]
            self.record.start(number, config["values"], config["draws"], config["is_default"])
        self.record.end(number, status, error, reason)
        ended = self.record.trials[number]
        logger.log(logging.INFO if error is None else logging.WARNING, end_told(ended, self.record.result))
        self._search.learn(ended)
        self.tell()

    def tell(self) -> None:
        """Show all trials as they stand."""
        for watch in self._watches:
            watch(self.record.result)

    def end_the_rest(self) -> None:
        """What still ran when the time was over has stopped."""
        for trial in self.record.trials.values():
            if not trial.has_ended:
                self.record.end(trial.number, "stopped", reason="the end of the budget")
        self.tell()


def _error_of(trial: Any, model_dir: str) -> str:
    """What ended a trial, in one line."""
    own = storage.join(model_dir, ERROR_FILE)
    if storage.exists(own):
        return storage.read_bytes(own).decode()
    # The process had no time to say so.
    told = Path(trial.error_file).read_text().split() if trial.error_file else []
    return f"the process of the trial died: {' '.join(told)}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray Tune's own account of failures and of its folder stays out of the output, as ours tells of both."""
    loggers = [logging.getLogger(name) for name in ("ray.tune", "ray.air")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
