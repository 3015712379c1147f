"""The hook interface of the training loop, as in `tf.compat.v1.train`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from raydnn.train.checkpoint.store import CheckpointStore

LOSS = "loss"
GLOBAL_STEP = "global_step"
SUMMARY = "summary"


@dataclass(frozen=True)
class SessionRunArgs:
    """What a hook wants from a step.

    Attributes:
        fetches: a name, or a list or dict of fetches. A name is 'loss', 'global_step', a key of the predictions, or a
            variable (a trailing ':0' and '/part_0' are ignored). Loss and predictions are those before the update,
            global_step and variables those after it.
        feed_dict: name of a `placeholder_with_default` -> value for this step, or None.
        options: of TensorFlow's runtime; must be None.
    """

    fetches: Any
    feed_dict: Any = None
    options: Any = None


@dataclass(frozen=True)
class SessionRunValues:
    """What a hook asked for.

    Attributes:
        results: in the structure of the fetches, NumPy arrays and scalars; None if nothing was fetched.
    """

    results: Any
    options: Any = None
    run_metadata: Any = None


class Session(Protocol):
    """A training session as hooks see it."""

    @property
    def global_step(self) -> int:
        """The number of updates so far."""

    @property
    def step_times(self) -> Mapping[str, float]:
        """Seconds since the first step began, by part of the work; see `raydnn.train.step_times.StepTimes`."""

    def run(self, fetches: Any) -> Any:
        """Current values of variables and of 'global_step', in the structure of the fetches."""

    def load(self, name: str, value: Any) -> None:
        """Set a variable or a slot; with several workers each must set the same value."""

    def request_stop(self) -> None:
        """End the loop after the current step."""

    def should_stop(self) -> bool:
        """Whether a stop was requested."""

    def checkpoint_values(self) -> dict[str, NDArray[Any]]:
        """All variables and slots that are whole here by name, without global_step."""

    def save(self, store: CheckpointStore) -> None:
        """Save a checkpoint, with the help of all replicas that hold a part of the model; the chief calls this."""


@dataclass
class SessionRunContext:
    """Passed to `before_run` and `after_run`.

    Attributes:
        original_args: what the loop itself runs.
        session: the session.
    """

    original_args: SessionRunArgs
    session: Session
    stop_requested: bool = field(default=False, init=False)

    def request_stop(self) -> None:
        """End the loop once the hooks of this step have run."""
        self.stop_requested = True


class SessionRunHook:
    """Base class of hooks: every method does nothing."""

    def begin(self) -> None:
        """Called once before the session is created."""

    def after_create_session(self, session: Session, coord: Any) -> None:
        """Called when the session is there; `coord` has request_stop and should_stop."""

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Called before each step; may return what to fetch."""

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Called after each step with the fetched values."""

    def end(self, session: Session) -> None:
        """Called at a normal end of the loop, not after an exception."""


def fetched_names(fetches: Any) -> list[str]:
    """The names in a structure of fetches.

    Raises:
        TypeError: something in it is neither a name nor a list or dict.
    """
    if fetches is None:
        return []
    if isinstance(fetches, str):
        return [fetches]
    if isinstance(fetches, dict):
        return [name for fetch in fetches.values() for name in fetched_names(fetch)]
    if isinstance(fetches, list | tuple):
        return [name for fetch in fetches for name in fetched_names(fetch)]
    raise TypeError(f"fetches must be names, or lists or dicts of names; got {fetches!r}")


def fill(fetches: Any, values: dict[str, Any]) -> Any:
    """Values in the structure of the fetches."""
    if fetches is None:
        return None
    if isinstance(fetches, str):
        return values[fetches]
    if isinstance(fetches, dict):
        return {key: fill(fetch, values) for key, fetch in fetches.items()}
    filled = [fill(fetch, values) for fetch in fetches]
    return tuple(filled) if isinstance(fetches, tuple) else filled


def variable_name(fetch: str) -> str:
    """The checkpoint name of a graph name: 'a/kernel/part_0:0' is 'a/kernel'."""
    return fetch.removesuffix(":0").removesuffix("/part_0")


@dataclass(frozen=True)
class Summary:
    """What a step tells TensorBoard.

    Attributes:
        scalars: tag -> value.
        histograms: tag -> values.
    """

    scalars: dict[str, float]
    histograms: dict[str, NDArray[np.float32]]
