"""The live table of a sweep."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

import raydnn
from raydnn.cli.options import LogFormat

if TYPE_CHECKING:
    from raydnn.tune import Sweep, SweepResult, Watch

LINES_BESIDE = 12
"""Of the terminal that rows of trials must leave free."""
FEWEST_ROWS = 4
_STYLES = {"running": "cyan", "done": "green", "stopped": "yellow", "failed": "red"}


class SweepDisplay:
    """Draws the trials that run and the best that have ended, how many there are of each kind, and the time left.

    A context manager that gives what is to be called with the trials as they stand.

    Args:
        sweep: whose trials.
        console: where to draw; None is the terminal's standard error.
        clock: seconds that pass.
    """

    def __init__(
        self, sweep: "Sweep", console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._budget = sweep.settings.budget
        self._name = sweep.name
        self._metrics = [metric for metric, _ in sweep.objectives]
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._result: SweepResult | None = None
        self._has_begun = False
        self._start = clock()
        self._ended_before = 0
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=2, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, result: "SweepResult") -> None:
        """Draw the trials as they stand now."""
        if not self._has_begun:
            # The time of the budget counts from the first trial on.
            self._start, self._ended_before = self._clock(), result.count("done", "stopped", "failed")
            self._has_begun = result.count("running") > 0
        self._result = result

    def _draw(self) -> RenderableType:
        if self._result is None or not self._result.trials:
            return Text(f"sweep {self._name}: the first trials are starting", style="bold")
        return Group(self._table(self._result), *self._lines(self._result))

    def _table(self, result: "SweepResult") -> Table:
        table = Table("trial", *self._metrics, "step", "seconds", title=f"sweep {self._name}", expand=True)
        table.add_column("status", max_width=34, overflow="ellipsis", no_wrap=True)
        table.add_column("differs from the base run", ratio=1, overflow="ellipsis", no_wrap=True)
        words = raydnn.tune.text
        running = [trial for trial in result.trials if trial.status == "running"]
        ended = [trial for trial in result.ranked if trial.has_ended]
        failed = [trial for trial in reversed(result.trials) if trial.status == "failed"]
        rows = max(FEWEST_ROWS, self._console.height - LINES_BESIDE)
        shown = [*running, *ended, *failed]
        for trial in shown[:rows]:
            values = [words.metric_told(trial.metrics.get(metric)) for metric in self._metrics]
            what = "nothing: the run as it is" if trial.is_default else words.told(trial.configuration)
            cells = [str(trial.number), *values, f"{trial.global_step:,}", f"{trial.seconds:.1f}"]
            status = Text(words.status_told(trial), _STYLES.get(trial.status, ""))
            table.add_row(*map(Text, cells), status, Text(what), end_section=trial in running[-1:])
        if len(shown) > rows:
            table.caption = f"{len(shown) - rows} more"
        return table

    def _lines(self, result: "SweepResult") -> list[Text]:
        words, ended = raydnn.tune.text, result.count("done", "stopped", "failed")
        total = "" if self._total is None else f" of {self._total}"
        counts = (("running", "running"), ("done", "done"), ("stopped early", "stopped"), ("failed", "failed"))
        kinds = [f"{result.count(status)} {name}" for name, status in counts if result.count(status)]  # type: ignore[arg-type]
        lines = [f"{ended}{total} trials have ended: {', '.join(kinds)}"]
        best, default = result.best, result.default
        if best is not None:
            against = (
                ""
                if default is None or default is best
                else f"; base run: {words.metrics_told(default, self._metrics)}"
            )
            lines.append(f"best so far: trial {best.number}: {words.metrics_told(best, self._metrics)}{against}")
        used = self._clock() - self._start
        left = self._left(used, ended)
        lines.append(f"{_time(used)} used" + ("" if left is None else f", about {_time(left)} left"))
        return [Text(line, overflow="ellipsis", no_wrap=True) for line in lines]

    @property
    def _total(self) -> int | None:
        return None if self._budget.trials is None else self._budget.trials + self._budget.with_default

    def _left(self, used: float, ended: int) -> float | None:
        """Seconds that are left, as far as the budget and the trials that have ended tell."""
        known = []
        if ended == self._total:
            return None
        if self._budget.seconds is not None:
            known.append(self._budget.seconds - used)
        if self._total is not None and ended > self._ended_before:
            known.append(used * (self._total - ended) / (ended - self._ended_before))
        return max(0.0, min(known)) if known else None


@contextmanager
def watched(sweep: "Sweep", log_format: LogFormat) -> Iterator["Watch | None"]:
    """What draws the live table of a sweep, where a person sees it; None elsewhere, where log records tell the same."""
    if log_format is not LogFormat.TEXT or not sys.stderr.isatty():
        yield None
        return
    with SweepDisplay(sweep) as display:
        yield display.show


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
