"""Stopping a training early, by what evaluations have shown."""

import logging
from collections.abc import Callable
from typing import Any

from raydnn.estimator.estimator import Estimator
from raydnn.tracking.event_file import read_scalars
from raydnn.train.hooks.session_run_hook import (
    GLOBAL_STEP,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from raydnn.train.hooks.stop_at_step import StopAtStepHook
from raydnn.train.hooks.timer import SecondOrStepTimer

logger = logging.getLogger(__name__)


def read_eval_metrics(eval_dir: str) -> dict[int, dict[str, float]]:
    """The evaluations in a folder, by step in ascending order; none if it is not there."""
    return {step: values for step, values in sorted(read_scalars(eval_dir).items()) if values}


def make_early_stopping_hook(
    estimator: Estimator,
    should_stop_fn: Callable[[], bool],
    run_every_secs: float | None = 60,
    run_every_steps: int | None = None,
) -> SessionRunHook:
    """A hook that stops the training, of all workers, when a function says so.

    Args:
        estimator: that is trained.
        should_stop_fn: asked at the first step and then now and then, by each worker that has the hook.
        run_every_secs: seconds between questions; give None to use run_every_steps.
        run_every_steps: steps between questions.

    Raises:
        TypeError: not an Estimator, or a function that is not callable.
        ValueError: both run_every_* are given, or neither.
    """
    if not isinstance(estimator, Estimator):
        raise TypeError(f"estimator must be an Estimator; got {estimator!r}")
    if not callable(should_stop_fn):
        raise TypeError(f"should_stop_fn must be callable; got {should_stop_fn!r}")
    if run_every_secs is not None and run_every_steps is not None:
        raise ValueError(
            f"give run_every_secs ({run_every_secs}) or run_every_steps ({run_every_steps}), not both: set "
            "run_every_secs=None to count steps"
        )
    return _StopOnPredicateHook(should_stop_fn, run_every_secs, run_every_steps)


def stop_if_higher_hook(
    estimator: Estimator,
    metric_name: str,
    threshold: float,
    eval_dir: str | None = None,
    min_steps: int = 0,
    run_every_secs: float | None = 60,
    run_every_steps: int | None = None,
) -> SessionRunHook:
    """A hook that stops when a metric of some evaluation is above a threshold.

    Args:
        estimator: that is trained.
        metric_name: of the evaluation's metrics.
        threshold: to be passed.
        eval_dir: of the evaluations; None is `estimator.eval_dir()`.
        min_steps: evaluations before this step do not count.
        run_every_secs, run_every_steps: see `make_early_stopping_hook`.

    Raises:
        TypeError, ValueError: see `make_early_stopping_hook`.
        KeyError: (while training) an evaluation has no such metric.
    """
    return _threshold_hook(
        estimator, metric_name, lambda value: value > threshold, eval_dir, min_steps, run_every_secs, run_every_steps
    )


def stop_if_lower_hook(
    estimator: Estimator,
    metric_name: str,
    threshold: float,
    eval_dir: str | None = None,
    min_steps: int = 0,
    run_every_secs: float | None = 60,
    run_every_steps: int | None = None,
) -> SessionRunHook:
    """A hook that stops when a metric of some evaluation is below a threshold; see `stop_if_higher_hook`."""
    return _threshold_hook(
        estimator, metric_name, lambda value: value < threshold, eval_dir, min_steps, run_every_secs, run_every_steps
    )


def stop_if_no_increase_hook(
    estimator: Estimator,
    metric_name: str,
    max_steps_without_increase: int,
    eval_dir: str | None = None,
    min_steps: int = 0,
    run_every_secs: float | None = 60,
    run_every_steps: int | None = None,
) -> SessionRunHook:
    """A hook that stops when a metric has not risen above its best for a number of steps.

    Args:
        estimator: that is trained.
        metric_name: of the evaluation's metrics.
        max_steps_without_increase: steps since the best evaluation.
        eval_dir, min_steps, run_every_secs, run_every_steps: see `stop_if_higher_hook`.

    Raises:
        TypeError, ValueError: see `make_early_stopping_hook`.
        KeyError: (while training) an evaluation has no such metric.
    """
    return _no_progress_hook(
        estimator,
        metric_name,
        max_steps_without_increase,
        lambda value, best: value > best,
        eval_dir,
        min_steps,
        run_every_secs,
        run_every_steps,
    )


def stop_if_no_decrease_hook(
    estimator: Estimator,
    metric_name: str,
    max_steps_without_decrease: int,
    eval_dir: str | None = None,
    min_steps: int = 0,
    run_every_secs: float | None = 60,
    run_every_steps: int | None = None,
) -> SessionRunHook:
    """A hook that stops when a metric has not fallen below its best for a number of steps."""
    return _no_progress_hook(
        estimator,
        metric_name,
        max_steps_without_decrease,
        lambda value, best: value < best,
        eval_dir,
        min_steps,
        run_every_secs,
        run_every_steps,
    )


def make_stop_at_checkpoint_step_hook(
    estimator: Estimator, last_step: int, wait_after_file_check_secs: float = 30
) -> SessionRunHook:
    """A hook that stops at a step: with synchronous workers, which all reach it together, a `StopAtStepHook`.

    Args:
        estimator: that is trained.
        last_step: global step at which to stop.
        wait_after_file_check_secs: accepted for likeness; nobody waits for the chief.
    """
    return StopAtStepHook(last_step=last_step)


class _StopOnPredicateHook(SessionRunHook):
    """Asks a function now and then whether to stop."""

    def __init__(
        self, should_stop_fn: Callable[[], bool], run_every_secs: float | None, run_every_steps: int | None
    ) -> None:
        self._should_stop_fn = should_stop_fn
        self._timer = SecondOrStepTimer(run_every_secs, run_every_steps)

    def begin(self) -> None:
        self._timer.reset()

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs(GLOBAL_STEP)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        step = int(run_values.results)
        if not self._timer.should_trigger_for_step(step):
            return
        self._timer.update_last_triggered_step(step)
        if self._should_stop_fn():
            logger.info("Early stopping at step %d", step)
            run_context.request_stop()


def _threshold_hook(
    estimator: Estimator,
    metric_name: str,
    is_passed: Callable[[float], bool],
    eval_dir: str | None,
    min_steps: int,
    run_every_secs: float | None,
    run_every_steps: int | None,
) -> SessionRunHook:
    folder = _eval_dir(estimator, eval_dir)

    def should_stop() -> bool:
        values = [values[metric_name] for step, values in read_eval_metrics(folder).items() if step >= min_steps]
        return any(is_passed(value) for value in values)

    return make_early_stopping_hook(estimator, should_stop, run_every_secs, run_every_steps)


def _no_progress_hook(
    estimator: Estimator,
    metric_name: str,
    max_steps: int,
    is_better: Callable[[float, float], bool],
    eval_dir: str | None,
    min_steps: int,
    run_every_secs: float | None,
    run_every_steps: int | None,
) -> SessionRunHook:
    folder = _eval_dir(estimator, eval_dir)

    def should_stop() -> bool:
        best: tuple[int, float] | None = None
        for step, values in read_eval_metrics(folder).items():
            if step < min_steps:
                continue
            value = values[metric_name]
            if best is None or is_better(value, best[1]):
                best = step, value
            if step - best[0] >= max_steps:
                return True
        return False

    return make_early_stopping_hook(estimator, should_stop, run_every_secs, run_every_steps)


def _eval_dir(estimator: Any, eval_dir: str | None) -> str:
    if not isinstance(estimator, Estimator):
        raise TypeError(f"estimator must be an Estimator; got {estimator!r}")
    return estimator.eval_dir() if eval_dir is None else eval_dir
