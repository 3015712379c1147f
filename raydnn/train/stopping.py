"""Asking the training of this process to stop at the end of a step, with a checkpoint to go on from."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from raydnn.train.hooks.session_run_hook import Session, SessionRunContext, SessionRunHook, SessionRunValues

logger = logging.getLogger(__name__)


class StopRequest:
    """Whether training is to stop, and why; `stop_on_signals` makes it.

    Attributes:
        signal: which asked for it, or None.
    """

    def __init__(self, signals: Sequence[signal.Signals]) -> None:
        self.signal: signal.Signals | None = None
        self._signals = signals
        self._is_made = threading.Event()

    @property
    def is_made(self) -> bool:
        """Whether training is to stop."""
        return self._is_made.is_set()

    def make(self) -> None:
        """Ask training to stop after its current step; any thread may."""
        self._is_made.set()

    def listen(self) -> None:
        """Let the signals make this request; outside the main thread, where Python takes no handlers, do nothing."""
        if threading.current_thread() is threading.main_thread():
            for each in self._signals:
                signal.signal(each, self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.signal is not None:
            raise KeyboardInterrupt(f"stopped at once by a second signal, {name}")
        self.signal = signal.Signals(number)
        self.make()
        logger.warning("%s: training stops after this step and saves a checkpoint. A second one ends it at once", name)


_current: StopRequest | None = None


@contextmanager
def stop_on_signals(
    signals: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
) -> Iterator[StopRequest]:
    """While the block runs, a signal stops training cleanly instead of interrupting it.

    `train` and `train_and_evaluate` then end the step that they are in, on all workers, save a checkpoint and raise
    TrainingStoppedError, which tells the signal. Nothing is evaluated or exported any more, but for an evaluation that
    has begun in this process, which is ended first. When the program is run again, it goes on with the very next row.
    A second signal raises KeyboardInterrupt at once.

    To be entered in the main thread; elsewhere signals keep their meaning, and only `StopRequest.make` stops training.

    Args:
        signals: Ctrl-C and the one that comes before a machine is taken away, unless told otherwise.

    Yields:
        The request, which `make` makes without a signal.

    Example:
        with raydnn.train.stop_on_signals():
            classifier.train(input_fn)
    """
    global _current
    outer, request = _current, StopRequest(signals)
    is_main = threading.current_thread() is threading.main_thread()
    handlers = {each: signal.getsignal(each) for each in signals} if is_main else {}
    _current = request
    request.listen()
    try:
        yield request
    finally:
        _current = outer
        for each, handler in handlers.items():
            signal.signal(each, handler)


def is_stop_requested() -> bool:
    """Whether the training of this process is asked to stop."""
    return _current is not None and _current.is_made


def requesting_signal() -> signal.Signals | None:
    """The signal that asked for it, if it was one."""
    return None if _current is None else _current.signal


def listen_again() -> bool:
    """Take signals back from a library that has installed handlers of its own.

    Returns:
        Whether signals stop training cleanly now.
    """
    if _current is not None:
        _current.listen()
    return _current is not None


class StopOnRequestHook(SessionRunHook):
    """Requests a stop when someone has asked for it; the replicas' vote takes it to all of them.

    Args:
        is_requested: asked after each step.
    """

    def __init__(self, is_requested: Callable[[], bool]) -> None:
        self._is_requested = is_requested

    def after_create_session(self, session: Session, coord: Any) -> None:
        if self._is_requested():
            coord.request_stop()

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        if self._is_requested():
            run_context.request_stop()
