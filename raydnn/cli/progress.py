"""The progress line of a training run."""

import math
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from raydnn.train.hooks.progress import ProgressReport


class ProgressDisplay:
    """Draws step, rows per second, loss and time left; a context manager that gives the sink for reports.

    Args:
        console: where to draw; None is the terminal's standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("[bold]train"),
            BarColumn(),
            TextColumn("step {task.fields[step]}"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("loss {task.fields[loss]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console or Console(stderr=True),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def report(self, report: ProgressReport) -> None:
        """Draw a report."""
        total = None if report.last_step is None else report.last_step - report.first_step
        done = report.step - report.first_step
        fields: dict[str, Any] = {
            "step": f"{report.step:,}" + ("" if report.last_step is None else f"/{report.last_step:,}"),
            "rate": f"{report.rows_per_s:,.0f} rows/s",
            "loss": "-" if math.isnan(report.loss) else f"{report.loss:.4g}",
        }
        if self._task is None:
            self._task = self._progress.add_task("train", total=total, **fields)
        self._progress.update(self._task, completed=done, total=done if report.is_final else total, **fields)
