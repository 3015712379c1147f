"""The MLflow run of one trial: what it lacks is made of the sweep's record and of the trial's event files."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from raydnn.estimator.records import scalars_of
from raydnn.tracking.event_file import read_scalars
from raydnn.tracking.metric_point import MetricPoint, metric_points
from raydnn.tracking.run_record import RunStatus
from raydnn.tune.result import TrialResult
from raydnn.tune.sweep import Sweep

if TYPE_CHECKING:
    from raydnn.tracking.mlflow_store import MlflowStore

STOPPED_EARLY = "raydnn.stopped_early"
"""Tag of a trial that has ended before its last step: what ended it."""
_LOSS = "loss"
_LONGEST_TAG = 5000
_STATUSES: Mapping[str, RunStatus] = {"done": "FINISHED", "stopped": "FINISHED", "failed": "FAILED"}


class TrialRun:
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
        self._store.log_params(dict(flat(trial.configuration)))
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
                yield from metric_points({_LOSS: scalars[_LOSS]}, step)

    def _evaluation_points(self, trial: TrialResult) -> Iterator[MetricPoint]:
        for report in trial.reports:
            step = int(report["global_step"])
            if step not in self._evaluated:
                self._evaluated.add(step)
                metrics = {name: report[name] for name in trial.metrics}
                yield from metric_points({**scalars_of(metrics, self._evaluation), "rows": report["rows"]}, step)
        if trial.has_ended:
            yield from metric_points({"seconds": trial.seconds}, trial.global_step)


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


def flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The parts of nested mappings, by their keys with points between them."""
    for key, value in values.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping) and value:
            yield from flat(value, name)
        else:
            yield name, value
