"""Stopping after a number of steps."""

from typing import Any

from raydnn.train.hooks.session_run_hook import (
    GLOBAL_STEP,
    Session,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)


class StopAtStepHook(SessionRunHook):
    """Requests a stop when a step is reached.

    Args:
        num_steps: counted from the step at which the session starts.
        last_step: absolute.

    Raises:
        ValueError: both or neither are given.
    """

    def __init__(self, num_steps: int | None = None, last_step: int | None = None) -> None:
        if (num_steps is None) == (last_step is None):
            raise ValueError(f"give exactly one of num_steps ({num_steps}) and last_step ({last_step})")
        self._num_steps = num_steps
        self._last_step = last_step

    def after_create_session(self, session: Session, coord: Any) -> None:
        if self._num_steps is not None and self._last_step is None:
            self._last_step = session.global_step + self._num_steps

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs(GLOBAL_STEP)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        assert self._last_step is not None
        if run_values.results >= self._last_step:
            run_context.request_stop()
