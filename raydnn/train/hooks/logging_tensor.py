"""Logging values while training."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from raydnn.train.hooks.session_run_hook import (
    GLOBAL_STEP,
    Session,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from raydnn.train.hooks.timer import SecondOrStepTimer

logger = logging.getLogger(__name__)

Formatter = Callable[[dict[str, Any]], str]


class LoggingTensorHook(SessionRunHook):
    """Logs fetched values every so many iterations or seconds, the first time at the first iteration.

    Args:
        tensors: tag -> fetch, or a list of fetches that are their own tags.
        every_n_iter: iterations between lines.
        every_n_secs: seconds between lines.
        at_end: whether to log once more when the loop ends.
        formatter: makes the line from tag -> value; None writes 'tag = value' for each tag, sorted in a dict.

    Raises:
        ValueError: not exactly one of the every_* (both may be missing with at_end), or every_n_iter <= 0.
    """

    def __init__(
        self,
        tensors: dict[str, str] | Sequence[str],
        every_n_iter: int | None = None,
        every_n_secs: float | None = None,
        at_end: bool = False,
        formatter: Formatter | None = None,
    ) -> None:
        is_only_at_end = at_end and every_n_iter is None and every_n_secs is None
        if not is_only_at_end and (every_n_iter is None) == (every_n_secs is None):
            raise ValueError("give exactly one of every_n_iter and every_n_secs, or at_end alone")
        if every_n_iter is not None and every_n_iter <= 0:
            raise ValueError(f"every_n_iter must be positive; got {every_n_iter}")
        self._fetches = dict(tensors) if isinstance(tensors, dict) else {name: name for name in tensors}
        self._tags = sorted(self._fetches) if isinstance(tensors, dict) else list(self._fetches)
        self._timer = None if is_only_at_end else SecondOrStepTimer(every_n_secs, every_n_iter)
        self._at_end = at_end
        self._formatter = formatter

    def begin(self) -> None:
        self._iteration = 0
        if self._timer is not None:
            self._timer.reset()

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        self._is_due = self._timer is not None and self._timer.should_trigger_for_step(self._iteration)
        return SessionRunArgs(self._fetches) if self._is_due else None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        if self._is_due:
            assert self._timer is not None
            elapsed, _ = self._timer.update_last_triggered_step(self._iteration)
            self._log(run_values.results, elapsed)
        self._iteration += 1

    def end(self, session: Session) -> None:
        if self._at_end:
            self._log(session.run(self._fetches), None)

    def _log(self, values: dict[str, Any], elapsed: float | None) -> None:
        if self._formatter is not None:
            logger.info("%s", self._formatter(values))
            return
        text = ", ".join(f"{tag} = {values[tag]}" for tag in self._tags)
        logger.info("%s%s", text, "" if elapsed is None else f" ({elapsed:.3f} sec)")


def log_loss_and_step(every_n_iter: int) -> LoggingTensorHook:
    """The line that an estimator logs while it trains."""
    return LoggingTensorHook({"loss": "loss", "step": GLOBAL_STEP}, every_n_iter=every_n_iter)
