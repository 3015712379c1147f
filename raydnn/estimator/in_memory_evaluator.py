"""Evaluating live weights in the middle of a training."""

from collections.abc import Callable, Sequence
from typing import Any

from raydnn.estimator import evaluation
from raydnn.estimator.estimator import Estimator
from raydnn.estimator.estimator_spec import check_hooks
from raydnn.train.hooks.session_run_hook import (
    GLOBAL_STEP,
    Session,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from raydnn.train.hooks.timer import SecondOrStepTimer


class InMemoryEvaluatorHook(SessionRunHook):
    """Evaluates at the start, every so many iterations, and at the end, without a checkpoint.

    Args:
        estimator: that is trained, in this process alone.
        input_fn: as `Estimator.evaluate` takes it.
        steps: batches of an evaluation; None goes to the end of the input.
        hooks: of the evaluations.
        name: of the evaluation; decides the folder of its summary.
        every_n_iter: iterations between evaluations.

    Raises:
        TypeError: not an Estimator.
        ValueError: every_n_iter is None or not positive, or the estimator trains with several workers.
    """

    def __init__(
        self,
        estimator: Estimator,
        input_fn: Callable[..., Any],
        steps: int | None = None,
        hooks: Sequence[SessionRunHook] | None = None,
        name: str | None = None,
        every_n_iter: int = 100,
    ) -> None:
        if not isinstance(estimator, Estimator):
            raise TypeError(f"estimator must be an Estimator; got {estimator!r}")
        if every_n_iter is None or every_n_iter <= 0:
            raise ValueError(f"every_n_iter must be positive; got {every_n_iter}")
        if (estimator.config.worker_range or (1, 1))[1] > 1:
            raise ValueError("InMemoryEvaluatorHook evaluates in the training process: num_workers must be 1 or None")
        self._estimator = estimator
        self._input_fn = input_fn
        self._steps = steps
        self._hooks = check_hooks(hooks, "hooks")
        self._name = name
        self._timer = SecondOrStepTimer(every_steps=every_n_iter)

    def begin(self) -> None:
        self._timer.reset()
        self._iteration = 0

    def after_create_session(self, session: Session, coord: Any) -> None:
        self._timer.update_last_triggered_step(0)
        self._evaluate(session)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs(GLOBAL_STEP)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        self._iteration += 1
        if self._timer.should_trigger_for_step(self._iteration):
            self._timer.update_last_triggered_step(self._iteration)
            self._evaluate(run_context.session)

    def end(self, session: Session) -> None:
        if self._timer.last_triggered_step() != self._iteration:
            self._evaluate(session)

    def _evaluate(self, session: Session) -> None:
        model, stream = self._estimator.open_for_evaluation(
            self._input_fn, session.checkpoint_values(), session.global_step
        )
        metrics = evaluation.evaluate(model, stream, self._steps, self._hooks, self._estimator.model_dir)
        evaluation.write_eval_summary(self._estimator.eval_dir(self._name), metrics, None)
