"""Training with evaluations in between, and exports after them."""

import logging
import time
from importlib import import_module
from typing import Any

from raydnn.estimator.continuous_eval import Evaluator, Result, evaluate_continuously
from raydnn.estimator.estimator import Estimator
from raydnn.estimator.specs import EvalSpec, TrainSpec
from raydnn.estimator.tf_config import EVALUATOR
from raydnn.train.hooks import CheckpointSaverListener
from raydnn.train.hooks.session_run_hook import Session
from raydnn.train.stopping import is_stop_requested

logger = logging.getLogger(__name__)


def train_and_evaluate(
    estimator: Estimator, train_spec: TrainSpec, eval_spec: EvalSpec
) -> tuple[dict[str, Any] | None, list[bytes | None] | None]:
    """Train, evaluate after checkpoints and at the end, and export.

    In this process evaluations stand between steps. The checkpoint of the start is not evaluated; the first one after
    it always is, later ones if throttle_secs have passed since the last evaluation began, and the last one if it was
    not yet.

    With `RunConfig(num_workers=...)` a process of the cluster evaluates the newest checkpoints while the workers go on,
    the one of the start included, as TensorFlow's evaluator does: the first after start_delay_secs, the next after
    throttle_secs, and the last one at once when training has ended, if it was not yet. It takes a CPU of its own if the
    cluster has one to spare, and evaluates by itself, without `num_evaluators`. If it dies, it is started again with a
    warning, three times at most. What an input_fn or an exporter raises there is logged at once and raised when
    training has ended, which is not disturbed.

    Where TF_CONFIG makes this process the evaluator of a cluster, it evaluates the checkpoints that the chief's process
    saves, until max_steps are reached. A chief whose cluster lists an evaluator leaves evaluating to it, and starts no
    process for that beside its workers. Workers and parameter servers have nothing to do: the chief's process starts
    what they stand for.

    Args:
        estimator: which saves checkpoints.
        train_spec: how to train.
        eval_spec: how to evaluate and export.

    Returns:
        The metrics of the last evaluation and what its exporters returned; (None, None) if the model had reached
        max_steps already, or another process evaluates, or there was nothing to do.

    Raises:
        TypeError: an argument of another type.
        ValueError: the estimator saves no checkpoints, or this process is a second evaluator.
        AbortedError: the process that evaluates beside the workers died again and again.
        TrainingStoppedError: a signal asked it to stop; see `raydnn.train.stop_on_signals`.
    """
    for value, kind in ((estimator, Estimator), (train_spec, TrainSpec), (eval_spec, EvalSpec)):
        if not isinstance(value, kind):
            raise TypeError(f"a {kind.__name__} is needed; got {value!r}")
    config = estimator.config
    if config.task_type == EVALUATOR:
        if config.task_id > 0:
            raise ValueError(f"TF_CONFIG makes this process evaluator {config.task_id}; there is one alone: give 0")
        return evaluate_continuously(estimator, eval_spec, train_spec.max_steps, is_stop_requested)
    if not config.is_chief:
        logger.info("Nothing to do for %s %d: the chief's process does all", config.task_type, config.task_id)
        return None, None
    max_steps = train_spec.max_steps
    if config.num_workers is None:
        listener = _EvaluationListener(Evaluator(estimator, eval_spec, max_steps), eval_spec.throttle_secs)
        _train(estimator, train_spec, listener)
        return listener.result
    if EVALUATOR in config.cluster_spec or estimator.has_reached(max_steps):
        _train(estimator, train_spec)
        return None, None
    # By name: this package knows no Ray, and a local run must not import it.
    side_car = import_module("raydnn.distributed.side_car")
    with side_car.evaluations(estimator, eval_spec, max_steps) as last_evaluation:
        # The listener does nothing but need checkpoints, without which training is refused.
        _train(estimator, train_spec, CheckpointSaverListener())
        result: Result | tuple[None, None] = last_evaluation()
    return result


def _train(estimator: Estimator, spec: TrainSpec, *listeners: CheckpointSaverListener) -> None:
    estimator.train(
        spec.input_fn,
        hooks=spec.hooks,
        max_steps=spec.max_steps,
        saving_listeners=[*spec.saving_listeners, *listeners],
    )


class _EvaluationListener(CheckpointSaverListener):
    """Evaluates after saves, as often as allowed."""

    def __init__(self, evaluator: Evaluator, throttle_secs: float) -> None:
        self._evaluator = evaluator
        self._throttle_secs = throttle_secs
        self._is_first_save = True
        self._last_start: float | None = None
        self._evaluated_step: int | None = None
        self.result: tuple[dict[str, Any] | None, list[bytes | None] | None] = (None, None)

    def begin(self) -> None:
        self._is_first_save = True

    def after_save(self, session: Session, global_step_value: int) -> None:
        if self._is_first_save:
            # The state before training has been evaluated before, or is no model yet.
            self._is_first_save = False
            return
        if is_stop_requested():
            return
        is_due = self._last_start is None or time.monotonic() - self._last_start >= self._throttle_secs
        if is_due:
            self._evaluate(global_step_value)
        else:
            logger.info("No evaluation at step %d: throttle_secs have not passed", global_step_value)

    def end(self, session: Session, global_step_value: int) -> None:
        if global_step_value != self._evaluated_step and not is_stop_requested():
            self._evaluate(global_step_value)

    def _evaluate(self, step: int) -> None:
        self._last_start = time.monotonic()
        self._evaluated_step = step
        checkpoint = self._evaluator.new_checkpoint()
        if checkpoint is None:
            raise RuntimeError(f"there is no new checkpoint to evaluate in {self._evaluator.estimator.model_dir}")
        self.result = self._evaluator.evaluate(checkpoint)
