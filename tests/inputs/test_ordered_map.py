"""Working ahead: order, errors, and an end without hanging."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from raydnn.inputs.ordered_map import map_in_thread, map_inline

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
    time.sleep(0.2)
    assert max(done) <= 2
    results.close()
