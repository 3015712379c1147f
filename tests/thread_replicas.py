"""Replicas in threads of one process: the collectives of a group, without a network."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class ThreadExchange:
    """One member of a group of threads; see `raydnn.model.tables.RowExchange`."""

    def __init__(self, rank: int, size: int, desk: list[Any], barrier: Barrier) -> None:
        self.rank = rank
        self.size = size
        self._desk = desk
        self._barrier = barrier

    def all_to_all(self, values: Tensor, send: list[int], receive: list[int]) -> Tensor:
        self._desk[self.rank] = values.split(send)
        self._barrier.wait(10)
        received = torch.cat([self._desk[sender][self.rank] for sender in range(self.size)])
        self._barrier.wait(10)
        assert len(received) == sum(receive)
        return received


def run_replicas(size: int, function: Callable[[ThreadExchange], T]) -> list[T]:
    """What a function returns on each of so many replicas."""
    desk: list[Any] = [None] * size
    barrier = Barrier(size)
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(lambda rank: function(ThreadExchange(rank, size, desk, barrier)), range(size)))
