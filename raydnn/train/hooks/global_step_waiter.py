"""Waiting for other workers to get on."""

import logging
from typing import Any

from raydnn.train.hooks.session_run_hook import Session, SessionRunContext, SessionRunHook

logger = logging.getLogger(__name__)


class GlobalStepWaiterHook(SessionRunHook):
    """Stands for TensorFlow's hook that let asynchronous workers start one after the other; it never blocks.

    The replicas of raydnn make each step together, so nobody could raise the step while one waits. The hook says so and
    goes on.

    Args:
        wait_until_step: global step that TensorFlow's worker would wait for.
    """

    def __init__(self, wait_until_step: int) -> None:
        self._wait_until_step = wait_until_step

    def after_create_session(self, session: Session, coord: Any) -> None:
        self._is_first = True

    def before_run(self, run_context: SessionRunContext) -> None:
        if not self._is_first:
            return
        self._is_first = False
        if run_context.session.global_step < self._wait_until_step:
            logger.warning(
                "GlobalStepWaiterHook: global step %d is before %d, but all replicas step together: there is nobody to "
                "wait for, and training begins",
                run_context.session.global_step,
                self._wait_until_step,
            )
