"""What a sweep has found."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from raydnn import storage
from raydnn.tune.space import Configuration

Status = Literal["waiting", "running", "done", "stopped", "failed"]
"""Of a trial: done at its last step, stopped before it by a scheduler or the end of the budget, failed by an error."""

STATUSES: tuple[Status, ...] = ("done", "stopped", "failed", "running", "waiting")

_BESIDES = ("global_step", "rows", "seconds", "is_last")
"""What a report tells beside metrics."""


@dataclass
class TrialResult:
    """One trial.

    Attributes:
        number: from 0, in the order in which trials began.
        configuration: key of the run -> value; empty for the base run as it is.
        model_dir: where its checkpoints lie.
        status: how it stands.
        reports: of its evaluations, oldest first: metrics, global_step, rows and seconds of training.
        error: what ended it, where it failed.
        reason: what stopped it before its last step, such as 'asha at step 250'.
        seconds: that it ran, over all its lives.
        is_default: whether it is the base run as it is.
    """

    number: int
    configuration: Configuration
    model_dir: str
    status: Status = "waiting"
    reports: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    reason: str | None = None
    seconds: float = 0.0
    is_default: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether it will not go on."""
        return self.status in ("done", "stopped", "failed")

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Those of the last evaluation; none without one."""
        return {name: value for name, value in self._last.items() if name not in _BESIDES}

    @property
    def global_step(self) -> int:
        """Of the last evaluation."""
        return int(self._last.get("global_step", 0))

    @property
    def rows(self) -> int:
        """That were trained on up to the last evaluation."""
        return int(self._last.get("rows", 0))

    @property
    def _last(self) -> Mapping[str, Any]:
        return self.reports[-1] if self.reports else {}


@dataclass(frozen=True)
class Winner:
    """The best trial's model, exported, and what became of its configuration.

    Attributes:
        number: of the trial.
        configuration: key of the run -> value; empty for the base run as it is.
        checkpoint: path of the exported one.
        global_step: of the checkpoint.
        exports: paths of the exports.
        metrics: of the checkpoint's evaluation.
        default_metrics: of the last evaluation of the base run as it is; None where it was no trial.
        logged_model: URI of the model in MLflow; None where it was not logged.
        registered_model: name in MLflow's registry, where the model is the champion; None where it was not logged.
        registered_version: of that name; None where it was not logged.
        final_metrics: of the model that was trained at full length with this configuration; None where none was.
        final_model_dir: of that model.
    """

    number: int
    configuration: Configuration
    checkpoint: str
    global_step: int
    exports: tuple[str, ...]
    metrics: Mapping[str, Any]
    default_metrics: Mapping[str, Any] | None = None
    logged_model: str | None = None
    registered_model: str | None = None
    registered_version: str | None = None
    final_metrics: Mapping[str, Any] | None = None
    final_model_dir: str | None = None

    def is_of(self, best: TrialResult) -> bool:
        """Whether it is the model of a trial as it stands now."""
        return (self.number, self.global_step) == (best.number, best.global_step)


@dataclass(frozen=True)
class SweepResult:
    """All trials of a sweep.

    Attributes:
        trials: in their order.
        objectives: metric and mode ('max' or 'min') of each by which trials are compared.
        folder: of the sweep.
        winner: the best trial's model; None where no trial has an evaluation, or the sweep has not ended.
    """

    trials: Sequence[TrialResult]
    objectives: tuple[tuple[str, str], ...]
    folder: str
    winner: Winner | None = None

    @property
    def report(self) -> str:
        """Where the report of the sweep lies when it has ended."""
        return storage.join(self.folder, "report.html")

    @property
    def ranked(self) -> list[TrialResult]:
        """The trials with an evaluation, best first, by the first metric; those that failed are left out."""
        metric, mode = self.objectives[0]
        compared = [trial for trial in self.trials if trial.status != "failed" and self._is_number(trial, metric)]
        sign = -1.0 if mode == "max" else 1.0
        return sorted(compared, key=lambda trial: (sign * trial.metrics[metric], trial.number))

    @property
    def best(self) -> TrialResult | None:
        """The best trial, or None where none has an evaluation."""
        ranked = self.ranked
        return ranked[0] if ranked else None

    @property
    def default(self) -> TrialResult | None:
        """The trial of the base run as it is, if there is one."""
        return next((trial for trial in self.trials if trial.is_default), None)

    def count(self, *statuses: Status) -> int:
        """How many trials stand in one of these ways."""
        return sum(trial.status in statuses for trial in self.trials)

    @property
    def front(self) -> list[TrialResult]:
        """The trials that no other one beats in all metrics, best first by the first one."""
        scored = [(trial, self._scores(trial)) for trial in self.ranked]
        return [
            trial
            for trial, scores in scored
            if not any(_dominates(other, scores) for _, other in scored) and all(map(math.isfinite, scores))
        ]

    def _scores(self, trial: TrialResult) -> list[float]:
        """The metrics, small ones better."""
        return [
            (-1.0 if mode == "max" else 1.0) * float(trial.metrics.get(metric, math.nan))
            for metric, mode in self.objectives
        ]

    @staticmethod
    def _is_number(trial: TrialResult, metric: str) -> bool:
        value = trial.metrics.get(metric)
        return isinstance(value, int | float) and math.isfinite(value)


Watch = Callable[[SweepResult], None]
"""Is shown how a sweep stands."""


def _dominates(first: Sequence[float], second: Sequence[float]) -> bool:
    pairs = list(zip(first, second, strict=True))
    return all(one <= other for one, other in pairs) and any(one < other for one, other in pairs)
