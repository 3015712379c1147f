"""What this machine has."""

import os

from raydnn.config.machine import memory_bytes


def test_memory_is_at_most_that_of_the_hardware() -> None:
    assert 64 << 20 < memory_bytes() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
