"""Doing work ahead of its use, in order: the engines behind a stream. The choice never changes a batch."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, TypeVar

T = TypeVar("T")
R = TypeVar("R")

CLOSE_SECS = 5.0

Engine = Literal["inline", "thread", "ray_tasks", "ray_data"]


def map_inline(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Results in order, each computed when it is asked for."""
    return map(function, items)


def map_in_thread(function: Callable[[T], R], items: Iterable[T], look_ahead: int = 2) -> Iterator[R]:
    """Results in order, computed ahead by one thread.

    Args:
        function: raises in the caller what it raises in the thread.
        items: taken in the caller's thread.
        look_ahead: how many results may wait.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="raydnn-load")
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(executor.submit(function, item))
            if len(waiting) > look_ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


class Prefetch(Iterator[T]):
    """An iterator that a thread runs ahead of its user.

    Args:
        items: is iterated, and at the end closed, in the thread. What it raises is raised by `next`.
        depth: how many items may wait.
    """

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items = items
        self._queue: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
        self._closed = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="raydnn-prefetch", daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        if self._ended:
            raise StopIteration
        item, error = self._queue.get()
        if error is not None:
            self._ended = True
            raise error
        return item  # type: ignore[return-value]

    def close(self) -> None:
        """Stop the thread after the item it works on, and wait for that, though not for ever."""
        self._ended = True
        self._closed.set()
        # A thread that computes while the interpreter goes down would take the process with it.
        self._thread.join(CLOSE_SECS)

    def _run(self) -> None:
        error: BaseException = StopIteration()
        try:
            for item in self._items:
                if not self._put((item, None)):
                    break
        except BaseException as raised:
            error = raised
        finally:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()
        self._put((None, error))

    def _put(self, entry: tuple[T | None, BaseException | None]) -> bool:
        """Hand an entry over, unless the user has gone."""
        while not self._closed.is_set():
            try:
                self._queue.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
