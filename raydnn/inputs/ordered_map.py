"""Doing work ahead of its use, in order: the engines behind a stream. The choice never changes a batch."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, TypeVar

T = TypeVar("T")
R = TypeVar("R")

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
