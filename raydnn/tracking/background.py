"""A daemon thread that works through a queue and never troubles the thread that feeds it."""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["BackgroundWorker"]

_logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class BackgroundWorker:
    """Runs jobs one after the other on a daemon thread, which starts with the first job.

    The first job of `submit` that fails is logged as a warning, and all later ones are dropped. To be
    fed from one thread.

    Args:
        purpose: what the jobs do; names the thread and the warning.
    """

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._failed = False

    def submit(self, job: Callable[[], object]) -> None:
        """Queues a job and returns at once."""
        self._put(lambda: self._run_guarded(job))

    def call(self, job: Callable[[], _Result]) -> _Result:
        """Queues a job, waits for it and everything before it, and returns its result.

        Raises:
            Exception: what the job raised. It does not stop later jobs.
        """
        future: Future[_Result] = Future()

        def run() -> None:
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)

        self._put(run)
        return future.result()

    def wait(self) -> None:
        """Waits until every queued job is done."""
        if self._thread is not None:
            self.call(lambda: None)

    def close(self) -> None:
        """Waits for every queued job and ends the thread; a later job starts a new one."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _put(self, job: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"raydnn {self._purpose}", daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _run_guarded(self, job: Callable[[], object]) -> None:
        if self._failed:
            return
        try:
            job()
        except Exception as error:
            self._failed = True
            _logger.warning("%s is turned off for this run: %s: %s", self._purpose, type(error).__name__, error)
            _logger.debug("the failure of %s", self._purpose, exc_info=True)
