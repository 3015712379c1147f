"""Running an iterator ahead of its user."""

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

import torch

T = TypeVar("T")

CLOSE_SECS = 5.0


class Prefetch(Iterator[T]):
    """An iterator that a thread runs ahead of its user.

    What torch does in that thread it does in no others: they would take the processor from the training.

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
        # In torch the number of threads is that of the thread which sets it, but others take over the last one set.
        num_threads = torch.get_num_threads()
        self._is_set = threading.Event()
        self._thread.start()
        self._is_set.wait()
        torch.set_num_threads(num_threads)

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
        torch.set_num_threads(1)
        self._is_set.set()
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
