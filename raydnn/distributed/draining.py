"""Nodes of the cluster that are about to be taken away, as the driver sees them."""

import logging

from ray._private.state import state
from ray.exceptions import RayError

logger = logging.getLogger(__name__)


class DrainWatch:
    """Tells when a node begins to drain: Ray gives it no new work, and it will go; see `raydnn.distributed.leaving`.

    Training goes on meanwhile. When the node is lost, Ray Train restarts the workers without it, from the checkpoint
    that was saved when the node began to drain.
    """

    def __init__(self) -> None:
        self._known = set(state.get_draining_nodes())

    def is_checkpoint_due(self) -> bool:
        """Whether nodes have begun to drain since the last question."""
        try:
            draining = set(state.get_draining_nodes())
        except RayError as error:
            logger.debug("Ray does not tell which nodes drain: %s", error)
            return False
        new, self._known = draining - self._known, draining
        if new:
            logger.warning("A checkpoint is saved now: nodes are about to be taken away: %s", ", ".join(sorted(new)))
        return bool(new)
