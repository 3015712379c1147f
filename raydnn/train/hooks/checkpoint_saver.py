"""Saving checkpoints while training."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from raydnn import storage
from raydnn.train.checkpoint.store import CheckpointStore
from raydnn.train.hooks.session_run_hook import (
    GLOBAL_STEP,
    Session,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from raydnn.train.hooks.timer import SecondOrStepTimer

logger = logging.getLogger(__name__)


class CheckpointSaverListener:
    """Called around every save; base class whose methods do nothing."""

    def begin(self) -> None:
        """Called once, before the session is created."""

    def before_save(self, session: Session, global_step_value: int) -> None:
        """Called before the checkpoint is written."""

    def after_save(self, session: Session, global_step_value: int) -> bool | None:
        """Called after the checkpoint is written; True requests a stop."""

    def end(self, session: Session, global_step_value: int) -> None:
        """Called once, after the final save."""


class CheckpointSaverHook(SessionRunHook):
    """Saves a checkpoint at the start, every so many steps or seconds, and at the end.

    Args:
        checkpoint_dir: the model_dir.
        save_secs: seconds between checkpoints.
        save_steps: steps between checkpoints.
        saver, scaffold: of TensorFlow's runtime; must be None.
        checkpoint_basename: must be 'model.ckpt'.
        listeners: called around every save.
        save_graph_def: accepted for likeness.
        store: keeps the checkpoints; None makes one for checkpoint_dir with the default retention.

    Raises:
        ValueError: both or neither of save_secs and save_steps are given, or something of TensorFlow's runtime.
    """

    def __init__(
        self,
        checkpoint_dir: str,
        save_secs: float | None = None,
        save_steps: int | None = None,
        saver: None = None,
        checkpoint_basename: str = "model.ckpt",
        scaffold: None = None,
        listeners: Sequence[CheckpointSaverListener] | None = None,
        save_graph_def: bool = True,
        *,
        store: CheckpointStore | None = None,
    ) -> None:
        if saver is not None or scaffold is not None:
            raise ValueError("saver and scaffold must be None: give the model_dir's own store, or nothing")
        if checkpoint_basename != "model.ckpt":
            raise ValueError(f"checkpoint_basename must be 'model.ckpt'; got {checkpoint_basename!r}")
        self._timer = SecondOrStepTimer(save_secs, save_steps)
        # Workers run elsewhere: the folder must not depend on the working directory.
        self._store = store or CheckpointStore(storage.absolute(checkpoint_dir))
        self._listeners = list(listeners or ())
        self._saved_step: int | None = None
        self._is_due: Callable[[], bool] = lambda: False

    def save_when(self, is_due: Callable[[], bool]) -> None:
        """Save beside the usual times after each step for which a function says so."""
        self._is_due = is_due

    def add_listeners(self, listeners: Sequence[CheckpointSaverListener]) -> None:
        """Add listeners that are not registered yet."""
        for listener in listeners:
            if all(listener is not known for known in self._listeners):
                self._listeners.append(listener)

    def begin(self) -> None:
        self._timer.reset()
        self._saved_step = None
        for listener in self._listeners:
            listener.begin()

    def after_create_session(self, session: Session, coord: Any) -> None:
        self._save(session, session.global_step)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs(GLOBAL_STEP)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        step = int(run_values.results)
        # Asked first, and always: it tells each wish once.
        is_due = self._is_due() or self._timer.should_trigger_for_step(step)
        if is_due and self._save(run_context.session, step):
            run_context.request_stop()

    def end(self, session: Session) -> None:
        step = session.global_step
        if step != self._saved_step:
            self._save(session, step)
        for listener in self._listeners:
            listener.end(session, step)

    def _save(self, session: Session, step: int) -> bool:
        """Save, and tell whether a listener wants training to stop."""
        self._timer.update_last_triggered_step(step)
        for listener in self._listeners:
            listener.before_save(session, step)
        session.save(self._store)
        self._saved_step = step
        wants_stop = [bool(listener.after_save(session, step)) for listener in self._listeners]
        return any(wants_stop)
