"""Working ahead: order, errors, and an end without hanging."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from raydnn.inputs.ordered_map import Prefetch, map_in_thread, map_inline

WAIT_S = 10


def numbers(count: int, error: BaseException | None = None) -> Iterator[int]:
    yield from range(count)
    if error is not None:
        raise error


@pytest.mark.parametrize("map_units", [map_inline, map_in_thread])
def test_results_come_in_order(map_units: Callable[..., Iterator[int]]) -> None:
    assert list(map_units(lambda item: item * item, range(20))) == [item * item for item in range(20)]
    assert list(map_units(lambda item: item, [])) == []


@pytest.mark.parametrize("map_units", [map_inline, map_in_thread])
def test_an_error_is_raised_in_its_place(map_units: Callable[..., Iterator[int]]) -> None:
    error = ZeroDivisionError("at 3")

    def fail_at_3(item: int) -> int:
        if item == 3:
            raise error
        return item

    results = map_units(fail_at_3, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError) as caught:
        next(results)
    assert caught.value is error


def test_the_thread_works_ahead_but_not_further_than_told() -> None:
    done: list[int] = []
    third_is_done = threading.Event()

    def work(item: int) -> int:
        done.append(item)
        if item == 2:
            third_is_done.set()
        return item

    results = map_in_thread(work, range(100), look_ahead=2)
    assert next(results) == 0
    assert third_is_done.wait(WAIT_S)
    assert max(done) <= 2
    results.close()


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
    # Two wait in the queue, and the thread holds the third.
    assert taken == [0, 1, 2]
    ahead.close()
