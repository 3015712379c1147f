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

    def has_ended(self) -> bool:
        return self._has_ended


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
        return bool(ray.get(self._mailbox.has_ended.remote()))

    def stop_watch(self) -> Callable[[], bool]:
        """What tells whether the driver asks training to stop, as of about a second ago; asking it takes no time."""
        return _StopWatch(self._mailbox)


class _StopWatch:
    """Asks the mailbox now and then, and does not wait for the answer."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox
        self._next_look = 0.0
        self._answer: Any = None
        self._is_requested = False

    def __call__(self) -> bool:
        if self._answer is not None:
            if ray.wait([self._answer], timeout=0)[0]:
                self._is_requested = bool(ray.get(self._answer))
                self._answer = None
        elif time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + STOP_LOOK_SECS
            self._answer = self._mailbox.has_ended.remote()
        return self._is_requested


class _MailboxHandler(logging.Handler):
    def __init__(self, mailbox: Any) -> None:
        super().__init__()
        self._mailbox = mailbox

    def emit(self, record: logging.LogRecord) -> None:
        self._mailbox.log.remote((record.name, record.levelno, self.format(record)))


@contextmanager
def reports_from_workers(
    sink: ProgressSink | None, is_stop_requested: Callable[[], bool] = lambda: False
) -> Iterator[DriverReports]:
    """The driver's end: while the block runs, log lines are logged here and progress goes to the sink.

    Args:
        sink: takes progress, or None.
        is_stop_requested: asked often; once it says True, the workers are told to end.
    """
    # On the driver's node: a lost node must not take it from the workers that are left.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    mailbox = _Mailbox.options(scheduling_strategy=here).remote()  # type: ignore[attr-defined]
    ended = threading.Event()

    def forward() -> None:
        is_last = is_told = False
        while not is_last:
            is_last = ended.wait(POLL_SECS)
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
