import time

import pytest
import torch
from thread_replicas import ThreadExchange, run_replicas

from raydnn.train.step_times import ALL_REDUCE, EXCHANGE, FORWARD, HOOKS, VOTE, StepTimes, TimedReplicas, described


def test_each_moment_belongs_to_the_innermost_part() -> None:
    times = StepTimes()
    start = time.perf_counter()
    with times.part(FORWARD):
        time.sleep(0.02)
        with times.part(EXCHANGE):
            time.sleep(0.04)
        time.sleep(0.02)
    seconds = times.seconds
    whole = time.perf_counter() - start
    assert seconds[FORWARD] >= 0.04
    assert seconds[EXCHANGE] >= 0.04
    assert sum(seconds.values()) == pytest.approx(whole, abs=0.01)


def test_a_part_that_fails_ends_as_well() -> None:
    times = StepTimes()
    with pytest.raises(ValueError, match="no"), times.part(FORWARD):
        raise ValueError("no")
    time.sleep(0.02)
    assert times.seconds[HOOKS] >= 0.02


def test_time_can_be_counted_for_another_part_and_forgotten() -> None:
    times = StepTimes()
    with times.part(FORWARD):
        time.sleep(0.02)
    times.move(0.01, FORWARD, ALL_REDUCE)
    assert times.seconds[ALL_REDUCE] == 0.01
    times.restart()
    assert set(times.seconds) == {HOOKS}


def test_the_waiting_of_replicas_is_timed_by_its_kind() -> None:
    def replica(exchange: ThreadExchange) -> dict[str, float]:
        times = StepTimes()
        replicas = TimedReplicas(exchange, times)  # type: ignore[arg-type]
        assert (replicas.rank, replicas.size) == (exchange.rank, 2)
        if replicas.rank == 1:
            time.sleep(0.5)
        replicas.all_to_all(torch.zeros(2), [1, 1], [1, 1])
        replicas.all_to_all(torch.zeros(2), [1, 1], [1, 1])
        return dict(times.seconds)

    first, second = run_replicas(2, replica)
    assert first[EXCHANGE] >= 0.3
    assert second[EXCHANGE] < first[EXCHANGE] / 2
    assert VOTE not in first


def test_the_largest_part_is_told_first_and_a_small_one_not_at_all() -> None:
    assert described({"a": 1.0, "b": 2.99, "c": 0.01}, 7) == "7 steps took 4.0 s: b 75%, a 25%"
