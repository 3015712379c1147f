"""An iterator run ahead in a thread."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from raydnn.inputs.prefetch import Prefetch

WAIT_S = 10


def numbers(count: int, error: BaseException | None = None) -> Iterator[int]:
    yield from range(count)
    if error is not None:
        raise error


def test_prefetched_items_come_in_order_and_then_it_stays_ended() -> None:
    ahead = Prefetch(numbers(20), depth=3)
    assert list(ahead) == list(range(20))
    assert next(ahead, "ended") == "ended"


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_comes_unchanged_after_the_items_before_it(error: BaseException) -> None:
    ahead = Prefetch(numbers(3, error), depth=10)
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(type(error)) as caught:
        next(ahead)
    assert caught.value is error
    assert next(ahead, "ended") == "ended"


@pytest.mark.parametrize("num_taken", [0, 1, 5])
def test_close_does_not_hang_and_closes_the_source_even_when_the_queue_is_full(num_taken: int) -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    ahead = Prefetch(endless(), depth=2)
    for _ in range(num_taken):
        next(ahead)
    ahead.close()
    ahead.close()
    assert closed.wait(WAIT_S)
    assert next(ahead, "ended") == "ended"


def test_the_source_is_closed_when_it_ends_by_itself() -> None:
    class Source(Iterator[int]):
        is_closed = False

        def __next__(self) -> int:
            raise StopIteration

        def close(self) -> None:
            self.is_closed = True

    source: Any = Source()
    assert list(Prefetch(source, depth=1)) == []
    assert source.is_closed


def test_no_more_than_depth_items_wait() -> None:
    taken: list[int] = []
    full = threading.Event()

    def watched() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            if item == 2:
                full.set()
            yield item

    ahead = Prefetch(watched(), depth=2)
    assert full.wait(WAIT_S)
    time.sleep(0.2)
    # Two wait in the queue, and the thread holds the third.
    assert taken == [0, 1, 2]
    ahead.close()


def test_torch_uses_one_thread_there_and_as_many_as_before_here() -> None:
    def counts() -> Iterator[int]:
        yield torch.get_num_threads()

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert list(Prefetch(counts(), depth=1)) == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_nothing_is_computed_after_it_was_closed() -> None:
    is_working = threading.Event()

    def slow() -> Iterator[int]:
        is_working.set()
        while True:
            threading.Event().wait(0.3)
            is_working.clear()
            yield 1
            is_working.set()

    ahead = Prefetch(slow(), depth=1)
    assert is_working.wait(WAIT_S)
    ahead.close()
    assert not is_working.is_set()
