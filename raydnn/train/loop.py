"""The training loop: batches through a model, with hooks around every step, on one replica or many alike."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol

from numpy.typing import NDArray

from raydnn import errors, storage
from raydnn.inputs.batch import Batch
from raydnn.model.variable import Variable
from raydnn.train.checkpoint.store import CheckpointStore
from raydnn.train.checkpoint.writer import write_part
from raydnn.train.hooks.progress import ROWS
from raydnn.train.hooks.session_run_hook import (
    LOSS,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
    fetched_names,
    fill,
)
from raydnn.train.replicas import Replicas, SingleReplica
from raydnn.train.row_counter import STEP_ROWS, RowCounter
from raydnn.train.step_times import INPUT, StepTimes

logger = logging.getLogger(__name__)

_ENDS = (errors.OutOfRangeError, StopIteration)

StepFn = Callable[[Batch, set[str], Mapping[str, Any]], dict[str, Any]]
"""Runs one batch: (batch, names to fetch, placeholder -> value) -> name -> value."""


class HasValues(Protocol):
    """A model whose values can be fetched."""

    @property
    def global_step(self) -> int:
        """The number of updates so far."""

    def fetch(self, names: set[str]) -> dict[str, Any]:
        """Current values of variables and of 'global_step'."""

    def checkpoint_values(self) -> dict[str, NDArray[Any]]:
        """All variables and slots by name, without global_step."""

    def spread_variables(self) -> list[Variable]:
        """The variables and slots of which this replica holds some rows."""

    def load(self, name: str, value: Any) -> None:
        """Set a variable."""


class TrainableModel(HasValues, Protocol):
    """What the training loop drives."""

    def train(self, batch: Batch, fetches: set[str], feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Make one update with what placeholders are fed, and return what was fetched, by name.

        Where rows are counted, `STEP_ROWS` is in it, asked for or not.
        """


class LoopSession:
    """The session that hooks see; see `raydnn.train.hooks.session_run_hook.Session`.

    Args:
        model: whose values hooks may fetch.
        step: runs one batch and returns what was fetched, by name.
        replicas: those that train together.
        data_fingerprint: of the data set behind the batches, for the checkpoints.
        times: of the parts of the steps.
        counter: of the rows of the steps.
    """

    def __init__(
        self,
        model: HasValues,
        step: StepFn,
        replicas: Replicas | None = None,
        data_fingerprint: str | None = None,
        times: StepTimes | None = None,
        counter: RowCounter | None = None,
    ) -> None:
        self._times = times or StepTimes()
        self._counter = counter
        self._model = model
        self._step = step
        self._replicas = replicas or SingleReplica()
        self._stop_requested = False
        self._is_given_up = False
        self._data_fingerprint = data_fingerprint
        self._batch: Batch | None = None
        self._of_step: dict[str, Any] = {}

    @property
    def global_step(self) -> int:
        return self._model.global_step

    def run(self, fetches: Any) -> Any:
        names = set(fetched_names(fetches))
        of_step = {name: self._of_step[name] for name in names & set(self._of_step) & {LOSS, ROWS}}
        return fill(fetches, of_step | self._model.fetch(names - set(of_step)))

    @property
    def step_times(self) -> Mapping[str, float]:
        return self._times.seconds

    def load(self, name: str, value: Any) -> None:
        self._model.load(name, value)

    def request_stop(self) -> None:
        self._stop_requested = True

    def should_stop(self) -> bool:
        return self._stop_requested

    @property
    def is_given_up(self) -> bool:
        """Whether some replica could not write its part of a checkpoint: nobody votes on anything any more."""
        return self._is_given_up

    def checkpoint_values(self) -> dict[str, NDArray[Any]]:
        return self._model.checkpoint_values()

    def save(self, store: CheckpointStore) -> None:
        if self._counter is not None:
            # First: what is written of steps that turn out not to be saved is forgotten when training goes on.
            self._counter.flush()
        parts_folder = None
        if self._model.spread_variables() and not store.has_newest(self.global_step):
            parts_folder = store.parts_folder(self.global_step)
            self._replicas.any(False, False, True)
            try:
                self._write_part(parts_folder)
            except Exception:
                # It may be what fills the disk. Where it cannot be removed now, it goes when training starts again.
                with suppress(OSError):
                    storage.remove_folder(parts_folder)
                raise
        store.save(
            self.checkpoint_values(), self.global_step, self._input_position(), parts_folder, self._replicas.size
        )

    def agree(self, has_batch: bool, wants_stop: bool) -> tuple[bool, bool]:
        """Vote on the next step, and meanwhile write what the chief asks for.

        Returns:
            Whether some replica has a batch, and whether some wants to stop.
        """
        while True:
            some_has_batch, some_wants_stop, chief_saves = self._replicas.any(has_batch, wants_stop, False)
            if not chief_saves:
                return some_has_batch, some_wants_stop
            self._write_part("")

    def _write_part(self, parts_folder: str) -> None:
        """Write this replica's rows of what is spread over all; each calls this, and the chief knows where to.

        Raises:
            AbortedError: another replica could not write its own; it raises what hindered it.
        """
        replicas = self._replicas
        folder = replicas.share(parts_folder)
        failure = None
        try:
            write_part(folder, replicas.rank, replicas.size, self._model.spread_variables())
        except Exception as error:
            # Whichever error the caller sees first, this one must not pass unseen.
            logger.error("Worker %d could not write its part of a checkpoint: %s", replicas.rank, error)
            failure = error
        # The chief goes on when the parts of all are there, and nobody waits for one that could not write its own.
        (self._is_given_up,) = replicas.any(failure is not None)
        if failure is not None:
            raise failure
        if self._is_given_up:
            raise errors.AbortedError(f"another worker could not write its part of a checkpoint into {folder}")

    def _input_position(self) -> dict[str, Any] | None:
        if self._batch is None or self._batch.cursor is None:
            return None
        return {**self._batch.cursor.to_json(), "data": self._data_fingerprint}

    def run_step(self, batch: Batch, hooks: Sequence[SessionRunHook]) -> None:
        """Run one step and the hooks around it.

        Raises:
            RuntimeError: a stop was requested before, or two hooks feed the same placeholder.
        """
        if self._stop_requested:
            raise RuntimeError("a step was run after a stop had been requested")
        self._batch = batch
        context = SessionRunContext(SessionRunArgs("train_op"), self)
        try:
            wanted = [hook.before_run(context) for hook in hooks]
        except _ENDS:
            if self._replicas.size > 1:
                # The others are in the step already, which needs this replica too.
                self._make(batch, set(), {})
            raise
        fetches = [None if args is None else args.fetches for args in wanted]
        values = self._make(batch, set(fetched_names(fetches)), _feeds(wanted))
        self._of_step = values
        for hook, fetch in zip(hooks, fetches, strict=True):
            hook.after_run(context, SessionRunValues(fill(fetch, values)))
        if context.stop_requested:
            self.request_stop()

    def _make(self, batch: Batch, fetches: set[str], feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Make the step itself, and count its rows."""
        values = self._step(batch, fetches, feeds)
        if self._counter is not None:
            self._counter.count(values[STEP_ROWS], batch.cursor, self.global_step)
        return values


def _feeds(wanted: Sequence[SessionRunArgs | None]) -> dict[str, Any]:
    """What the hooks of a step feed, together."""
    feeds: dict[str, Any] = {}
    for args in wanted:
        if args is None:
            continue
        if args.options is not None:
            raise ValueError("options of SessionRunArgs must be None: there is no TensorFlow runtime to set")
        given = args.feed_dict or {}
        twice = sorted(set(given) & set(feeds))
        if twice:
            raise RuntimeError(f"two hooks feed {', '.join(twice)}")
        feeds |= given
    return feeds


def train_loop(
    model: TrainableModel,
    batches: Iterator[Batch],
    empty: Batch,
    hooks: Sequence[SessionRunHook],
    replicas: Replicas,
    data_fingerprint: str | None = None,
    times: StepTimes | None = None,
    counter: RowCounter | None = None,
) -> None:
    """Train until a hook requests a stop on some replica, or the input of all replicas has ended.

    Args:
        model: with its variables in place.
        batches: of this replica.
        empty: what a replica whose input has ended goes on with.
        hooks: called in this order in each phase.
        replicas: the group that this loop is a member of.
        data_fingerprint: of the data set behind the batches, for the checkpoints.
        times: takes the times of the parts of the steps, which the model and the replicas take as well.
        counter: counts the rows of the steps.
    """
    times = times or StepTimes()
    session = LoopSession(model, model.train, replicas, data_fingerprint, times, counter)
    first_step = session.global_step
    try:
        start(session, hooks)
    except _ENDS:
        session.request_stop()
    times.restart()
    _run_steps(session, batches, empty, hooks, times)
    if session.global_step == first_step and not session.should_stop():
        logger.warning("Training ended without a single step: the input gave no batch")
    if counter is not None:
        counter.end(session.should_stop())
    try:
        finish(session, hooks)
        if counter is not None:
            counter.flush()
    finally:
        # The chief may have saved at the end; the others help until it is done.
        while not (session.is_given_up or session.agree(False, replicas.rank == 0)[1]):
            pass


def start(session: LoopSession, hooks: Sequence[SessionRunHook]) -> None:
    """Call the hooks before the first step."""
    for hook in hooks:
        hook.begin()
    for hook in hooks:
        hook.after_create_session(session, session)


def finish(session: LoopSession, hooks: Sequence[SessionRunHook]) -> None:
    """Call the hooks after a normal end."""
    for hook in hooks:
        with normal_end():
            hook.end(session)


def normal_end() -> AbstractContextManager[None]:
    """As in TensorFlow, the end of some input, a hook's own included, is a normal end of the block."""
    return suppress(*_ENDS)


def _run_steps(
    session: LoopSession,
    batches: Iterator[Batch],
    empty: Batch,
    hooks: Sequence[SessionRunHook],
    times: StepTimes,
) -> None:
    while True:
        batch = None
        if not session.should_stop():
            with suppress(errors.OutOfRangeError), times.part(INPUT):
                batch = next(batches, None)
        has_batch, stop = session.agree(batch is not None, session.should_stop())
        if stop:
            session.request_stop()
        if stop or not has_batch:
            return
        try:
            session.run_step(empty if batch is None else batch, hooks)
        except _ENDS:
            # The others must hear of it, or they would wait for this replica.
            session.request_stop()
