"""Memory that one step frees and the next one needs: kept by the process, instead of returned to the system in between.

The system fills each page that it hands out with zeros, which at large batches takes a twentieth of a step's time.
"""

import ctypes
import logging
import os
import sys
from functools import cache

KEPT_BYTES = 512 * 2**20
"""How much freed memory may stay at the end of the heap."""
LARGEST_BYTES = 128 * 2**20
"""What is larger goes back to the system as soon as it is freed, such as the tables of a model that is gone."""

_SETTINGS_OF_USERS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h

logger = logging.getLogger(__name__)


@cache
def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the process, up to `KEPT_BYTES`.

    It concerns the main thread: others, such as those that Ray trains in, have heaps of their own. What a user has
    set in the environment (MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_, GLIBC_TUNABLES) stays; systems without
    glibc are left alone.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _SETTINGS_OF_USERS):
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return
    # Where the first is refused, the second alone would keep glibc from finding a threshold of its own.
    if library.mallopt(_M_MMAP_THRESHOLD, LARGEST_BYTES) and library.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES):
        logger.debug("Freed memory of up to %d MiB stays with this process", KEPT_BYTES >> 20)
