"""The hook that tracks a training run with MLflow."""

from collections.abc import Mapping
from typing import Any

from raydnn.tracking.mlflow_run import MlflowRun
from raydnn.train.hooks.session_run_hook import (
    GLOBAL_STEP,
    LOSS,
    Session,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)

FLUSH_STEPS = 500


class MLflowHook(SessionRunHook):
    """Logs the parameters once and the loss of every step.

    Args:
        run: the MLflow run.
        params: name -> value.
    """

    def __init__(self, run: MlflowRun, params: Mapping[str, Any]) -> None:
        self._run = run
        self._params = dict(params)

    def begin(self) -> None:
        self._run.log_params(self._params)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs([LOSS, GLOBAL_STEP])

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        loss, step = run_values.results
        self._run.log_metric("loss", float(loss), int(step))
        if step % FLUSH_STEPS == 0:
            self._run.flush()

    def end(self, session: Session) -> None:
        self._run.finish()
