"""How many threads a computation is worth."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

OPERATIONS_PER_THREAD = 2e8
"""Two to three milliseconds of one core. With less, threads wait for each other longer than they compute."""


@contextmanager
def threads_for(operations: float) -> Iterator[None]:
    """In this block torch uses as many threads as a computation is worth, and no more than it had before.

    Args:
        operations: on floating-point numbers.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, int(operations / OPERATIONS_PER_THREAD))))
    try:
        yield
    finally:
        torch.set_num_threads(before)
