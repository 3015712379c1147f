"""What workers and the driver tell each other: progress, log records, and that it is time to end."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raydnn.train.hooks.progress import ProgressReport, ProgressSink

POLL_SECS = 0.5
STOP_LOOK_SECS = 1.0

LogLine = tuple[str, int, str]
"""Logger, level and text of a log record."""


@ray.remote(num_cpus=0)
class _Mailbox:
    """Holds the newest progress and the log lines that the driver has not fetched yet."""

    def __init__(self) -> None:
        self._report: ProgressReport | None = None
        self._lines: list[LogLine] = []
        self._has_ended = False
        self._checkpoints_wanted = 0

    def report(self, report: ProgressReport) -> None:
        self._report = report

    def log(self, line: LogLine) -> None:
        self._lines.append(line)

    def fetch(self) -> tuple[ProgressReport | None, list[LogLine]]:
        lines, self._lines = self._lines, []
        report, self._report = self._report, None
        return report, lines

    def end(self) -> None:
        self._has_ended = True

    def want_checkpoint(self) -> None:
        self._checkpoints_wanted += 1

    def wishes(self) -> tuple[bool, int]:
        return self._has_ended, self._checkpoints_wanted


class DriverReports:
    """A worker's end: sends without waiting.

    Args:
        mailbox: handle of the actor.
    """

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox

    def report(self, report: ProgressReport) -> None:
        """Send progress; see `ProgressSink`."""
        self._mailbox.report.remote(report)

    @contextmanager
    def logs_sent(self, level: int) -> Iterator[None]:
        """While the block runs, raydnn's log records, from a level on, go to the driver's loggers of the same names."""
        logger = logging.getLogger("raydnn")
        logger.setLevel(level)
        handler = _MailboxHandler(self._mailbox)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            # Calls are answered in their order: once this one is, all that was sent has arrived.
            ray.get(self._mailbox.log.remote(("raydnn", logging.NOTSET, "")))

    def announce_end(self) -> None:
        """The driver says that training has ended."""
        ray.get(self._mailbox.end.remote())

    def is_end_announced(self) -> bool:
        """Whether the driver has said that training has ended."""
        return bool(ray.get(self._mailbox.wishes.remote())[0])

    def wishes(self) -> "DriverWishes":
        """What tells what the driver asks of training."""
        return DriverWishes(self._mailbox)


class DriverWishes:
    """What the driver asks of training, as of about a second ago; to look takes no time.

    Args:
        mailbox: handle of the actor.
    """

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox
        self._next_look = 0.0
        self._answer: Any = None
        self._is_stop_requested = False
        self._checkpoints_wanted = self._checkpoints_told = 0

    def is_stop_requested(self) -> bool:
        """Whether training is to stop."""
        self._look()
        return self._is_stop_requested

    def is_checkpoint_due(self) -> bool:
        """Whether a checkpoint is to be saved now; once for each wish."""
        self._look()
        told, self._checkpoints_told = self._checkpoints_told, self._checkpoints_wanted
        return self._checkpoints_wanted > told

    def _look(self) -> None:
        if self._answer is not None:
            if ray.wait([self._answer], timeout=0)[0]:
                self._is_stop_requested, self._checkpoints_wanted = ray.get(self._answer)
                self._answer = None
        elif time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + STOP_LOOK_SECS
            self._answer = self._mailbox.wishes.remote()


class _MailboxHandler(logging.Handler):
    def __init__(self, mailbox: Any) -> None:
        super().__init__()
        self._mailbox = mailbox

    def emit(self, record: logging.LogRecord) -> None:
        self._mailbox.log.remote((record.name, record.levelno, self.format(record)))


@contextmanager
def reports_from_workers(
    sink: ProgressSink | None,
    is_stop_requested: Callable[[], bool] = lambda: False,
    is_checkpoint_due: Callable[[], bool] = lambda: False,
) -> Iterator[DriverReports]:
    """The driver's end: while the block runs, log lines are logged here and progress goes to the sink.

    Args:
        sink: takes progress, or None.
        is_stop_requested: asked often; once it says True, the workers are told to end.
        is_checkpoint_due: asked often; each time that it says True, the chief is told to save a checkpoint.
    """
    # On the driver's node: a lost node must not take it from the workers that are left.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    mailbox = _Mailbox.options(scheduling_strategy=here).remote()  # type: ignore[attr-defined]
    ended = threading.Event()

    def forward() -> None:
        is_last = is_told = False
        while not is_last:
            is_last = ended.wait(POLL_SECS)
            if is_checkpoint_due():
                mailbox.want_checkpoint.remote()
            if not is_told and is_stop_requested():
                is_told = True
                mailbox.end.remote()
            try:
                report, lines = ray.get(mailbox.fetch.remote(), timeout=30)
            except GetTimeoutError:
                continue
            except RayError:
                return
            for name, level, text in lines:
                if level > logging.NOTSET:
                    logging.getLogger(name).log(level, "%s", text)
            if report is not None and sink is not None:
                sink.report(report)

    thread = threading.Thread(target=forward, name="raydnn-reports", daemon=True)
    thread.start()
    try:
        yield DriverReports(mailbox)
    finally:
        ended.set()
        thread.join()
        ray.kill(mailbox)
