"""Reading values when training ends."""

from typing import Any

from raydnn.train.hooks.session_run_hook import Session, SessionRunHook


class FinalOpsHook(SessionRunHook):
    """Fetches values at the end.

    Args:
        final_ops: a fetch, or a list or dict of fetches; see `SessionRunArgs`.

    Attributes:
        final_ops_values: what was fetched, in the structure of final_ops; None before the end.
    """

    def __init__(self, final_ops: Any) -> None:
        self._final_ops = final_ops
        self.final_ops_values: Any = None

    def end(self, session: Session) -> None:
        self.final_ops_values = session.run(self._final_ops)
