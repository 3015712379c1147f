"""Following the checkpoints that another process or thread saves."""

import logging
import time
from collections.abc import Callable, Iterator
from os import PathLike, fspath

from raydnn.train.checkpoint.state import latest_checkpoint

LOOK_SECS = 1.0

logger = logging.getLogger(__name__)


def checkpoints_iterator(
    checkpoint_dir: str | PathLike[str],
    min_interval_secs: float = 0,
    timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
) -> Iterator[str]:
    """Yield each new latest checkpoint of a folder, waiting for the next one.

    Those that were saved and followed by others while the caller was busy are passed over.

    Args:
        checkpoint_dir: a model_dir, local or any fsspec URL; it need not be there yet.
        min_interval_secs: seconds between two yields, at least.
        timeout: seconds to wait for a new checkpoint; None waits for ever.
        timeout_fn: called after each timeout: True ends, False waits once more. None ends at the first timeout.

    Yields:
        Paths of checkpoints.
    """
    folder = fspath(checkpoint_dir)
    path: str | None = None
    while True:
        newer = _wait_for_another(folder, path, timeout)
        if newer is not None:
            path = newer
            start = time.monotonic()
            yield path
            time.sleep(max(0.0, start + min_interval_secs - time.monotonic()))
        elif timeout_fn is None:
            logger.info("No new checkpoint in %s for %g seconds: waiting no longer", folder, timeout)
            return
        elif timeout_fn():
            return


def _wait_for_another(folder: str, known: str | None, timeout: float | None) -> str | None:
    """The latest checkpoint once it is another than the known one; None after the timeout."""
    stop = float("inf") if timeout is None else time.monotonic() + timeout
    while (path := latest_checkpoint(folder)) in (None, known):
        remaining = stop - time.monotonic()
        if remaining <= 0:
            return None
        time.sleep(min(LOOK_SECS, remaining))
    return path
