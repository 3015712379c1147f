"""Reporting how training gets on, to whoever draws it."""

import time
from dataclasses import dataclass
from typing import Any, Protocol

from raydnn.train.hooks.session_run_hook import (
    GLOBAL_STEP,
    LOSS,
    Session,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)

ROWS = "rows"
"""Fetch: how many rows the step's global batch had."""


@dataclass(frozen=True)
class ProgressReport:
    """Where training stands.

    Attributes:
        step: global step.
        first_step: at which this call of train began.
        last_step: at which it will stop, or None if that is not known.
        loss: of the last step.
        rows_per_s: over the time since the last report.
        is_final: whether training has ended.
    """

    step: int
    first_step: int
    last_step: int | None
    loss: float
    rows_per_s: float
    is_final: bool = False


class ProgressSink(Protocol):
    """Takes reports."""

    def report(self, report: ProgressReport) -> None:
        """Take one; must not block."""


class ProgressHook(SessionRunHook):
    """Sends a report now and then.

    Args:
        sink: takes the reports.
        last_step: at which training will stop, or None.
        every_secs: seconds between reports.
    """

    def __init__(self, sink: ProgressSink, last_step: int | None, every_secs: float = 0.5) -> None:
        self._sink = sink
        self._last_step = last_step
        self._every_secs = every_secs

    def after_create_session(self, session: Session, coord: Any) -> None:
        self._first_step = session.global_step
        self._rows, self._time = 0, time.monotonic()
        self._loss, self._rate = float("nan"), 0.0

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs([GLOBAL_STEP, LOSS, ROWS])

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        step, loss, rows = run_values.results
        self._loss = float(loss)
        self._rows += int(rows)
        elapsed = time.monotonic() - self._time
        if elapsed >= self._every_secs:
            self._rate = self._rows / elapsed
            self._rows, self._time = 0, time.monotonic()
            self._send(int(step), is_final=False)

    def end(self, session: Session) -> None:
        self._send(session.global_step, is_final=True)

    def _send(self, step: int, is_final: bool) -> None:
        self._sink.report(ProgressReport(step, self._first_step, self._last_step, self._loss, self._rate, is_final))
