"""Hooks that write TensorBoard summaries."""

import logging
from importlib import import_module
from typing import Any, Protocol, cast

from numpy.typing import NDArray

from raydnn.train.hooks.session_run_hook import (
    GLOBAL_STEP,
    SUMMARY,
    Session,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
    Summary,
)
from raydnn.train.hooks.timer import SecondOrStepTimer

logger = logging.getLogger(__name__)


class SummaryWriter(Protocol):
    """Writes an event file."""

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Write a number."""

    def add_histogram(self, tag: str, values: NDArray[Any], step: int) -> None:
        """Write a histogram."""

    def flush(self) -> None:
        """Make what was written visible to readers."""

    def close(self) -> None:
        """Flush and let go of the file."""


def open_summary_writer(output_dir: str) -> SummaryWriter:
    """An event file in a folder."""
    # By name, because tracking stands above this package.
    module = import_module("raydnn.tracking.event_file")
    return cast("SummaryWriter", module.EventFileWriter(output_dir))


class StepCounterHook(SessionRunHook):
    """Logs and writes global_step/sec.

    Args:
        every_n_steps: steps between measurements; give None to use every_n_secs.
        every_n_secs: seconds between measurements.
        output_dir: of an event file; used without a summary_writer.
        summary_writer: writes the rate; without one and without output_dir it is only logged.

    Raises:
        ValueError: both or neither of the every_* are given.
    """

    def __init__(
        self,
        every_n_steps: int | None = 100,
        every_n_secs: float | None = None,
        output_dir: str | None = None,
        summary_writer: SummaryWriter | None = None,
    ) -> None:
        self._timer = SecondOrStepTimer(every_n_secs, every_n_steps)
        self._output_dir = output_dir
        self._writer = summary_writer
        self._is_own_writer = summary_writer is None

    def begin(self) -> None:
        self._timer.reset()
        if self._writer is None and self._output_dir is not None:
            self._writer = open_summary_writer(self._output_dir)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs(GLOBAL_STEP)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        step = int(run_values.results)
        if not self._timer.should_trigger_for_step(step):
            return
        elapsed, steps = self._timer.update_last_triggered_step(step)
        if elapsed is None or steps is None:
            return
        rate = steps / elapsed
        logger.info("global_step/sec: %g", rate)
        if self._writer is not None:
            self._writer.add_scalar("global_step/sec", rate, step)

    def end(self, session: Session) -> None:
        if self._is_own_writer and self._writer is not None:
            self._writer.close()
            self._writer = None


class SummarySaverHook(SessionRunHook):
    """Writes the model's summaries at the first step and then every so many steps or seconds.

    Args:
        save_steps: steps between summaries.
        save_secs: seconds between summaries.
        output_dir: of an event file; used without a summary_writer.
        summary_writer: writes the summaries.
        summary_op: fetch that gives a `Summary`; the model's own.

    Raises:
        ValueError: both or neither of save_steps and save_secs are given, or neither a folder nor a writer.
    """

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: str | None = None,
        summary_writer: SummaryWriter | None = None,
        scaffold: Any = None,
        summary_op: str = SUMMARY,
    ) -> None:
        if output_dir is None and summary_writer is None:
            raise ValueError("give output_dir or summary_writer")
        self._timer = SecondOrStepTimer(save_secs, save_steps)
        self._output_dir = output_dir
        self._writer = summary_writer
        self._is_own_writer = summary_writer is None
        self._summary_op = summary_op

    def begin(self) -> None:
        self._timer.reset()
        if self._writer is None:
            assert self._output_dir is not None
            self._writer = open_summary_writer(self._output_dir)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        # The step that is about to run will have the number after the current one.
        self._is_due = self._timer.should_trigger_for_step(run_context.session.global_step + 1)
        return SessionRunArgs([GLOBAL_STEP, self._summary_op] if self._is_due else [GLOBAL_STEP])

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        if not self._is_due:
            return
        step = int(run_values.results[0])
        self._timer.update_last_triggered_step(step)
        self._write(run_values.results[1], step)

    def end(self, session: Session) -> None:
        assert self._writer is not None
        self._writer.flush()
        if self._is_own_writer:
            self._writer.close()
            self._writer = None

    def _write(self, summary: Summary, step: int) -> None:
        assert self._writer is not None
        for tag, value in summary.scalars.items():
            self._writer.add_scalar(tag, value, step)
        for tag, values in summary.histograms.items():
            self._writer.add_histogram(tag, values, step)
