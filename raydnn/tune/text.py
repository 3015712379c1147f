"""Configurations and metrics in words."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from raydnn.tune.result import SweepResult, TrialResult


def told(configuration: Mapping[str, Any]) -> str:
    """A configuration in one line."""
    return ", ".join(f"{key}={value_told(value)}" for key, value in configuration.items())


def value_told(value: Any) -> str:
    """A value of a configuration in one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {value_told(item)}' for key, item in value.items())}}}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def metric_told(value: Any) -> str:
    """A metric; a dash where there is none."""
    return "-" if value is None else f"{value:.6g}"


def metrics_told(trial: TrialResult, names: Sequence[str]) -> str:
    """Some metrics of a trial, such as 'auc 0.71, loss 0.43'."""
    return ", ".join(f"{name} {metric_told(trial.metrics.get(name))}" for name in names)


def status_told(trial: TrialResult) -> str:
    """How a trial stands, and what brought it there."""
    why = trial.error if trial.status == "failed" else trial.reason
    return f"{trial.status}: {why}" if why else trial.status


def end_told(trial: TrialResult, result: SweepResult) -> str:
    """That a trial has ended, and how it compares, in one line."""
    names = [name for name, _ in result.objectives]
    what = {"done": "is done", "stopped": f"was stopped by {trial.reason}"}.get(
        trial.status, f"has failed: {trial.error}"
    )
    text = f"Trial {trial.number} {what}"
    if trial.reports:
        step = "" if trial.reason else f" at step {trial.global_step:,}"
        text += f": {metrics_told(trial, names)}{step}"
    best = result.best
    if best is not None and best is not trial:
        text += f"; the best is trial {best.number}: {metrics_told(best, names)}"
    elif best is not None:
        text += "; the best so far"
    return text
