"""Feeding placeholders from a function."""

from collections.abc import Callable, Mapping
from typing import Any

from raydnn.train.hooks.session_run_hook import SessionRunArgs, SessionRunContext, SessionRunHook


class FeedFnHook(SessionRunHook):
    """Feeds in each step what a function gives.

    Args:
        feed_fn: without arguments; returns name of a `placeholder_with_default` -> value.
    """

    def __init__(self, feed_fn: Callable[[], Mapping[str, Any]]) -> None:
        self.feed_fn = feed_fn

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs(fetches=None, feed_dict=self.feed_fn())
