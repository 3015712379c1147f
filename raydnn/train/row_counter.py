"""Counting the rows of training, for its ledger.

Replicas tell each other what they put through a step with the sum of the loss that they make anyway. So each knows the
rows of all, and the chief writes the ledger alone, with no word to the others: right before each checkpoint, and at the
end. An entry ends at each step that training can go on from, and what comes after that step is forgotten when it does.
"""

import logging
import operator
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from raydnn import errors, storage
from raydnn.inputs.dataset import Dataset
from raydnn.inputs.input_fn import Input
from raydnn.inputs.plan import Cursor, Plan
from raydnn.train.checkpoint.state import PREFIX, read_state
from raydnn.train.ledger import (
    INCOMPLETE_BATCH,
    LEDGER_FILE,
    NOT_REACHED,
    LedgerEntry,
    read_ledger,
    sums_of_calls,
    write_ledger,
)
from raydnn.train.replicas import Replicas

logger = logging.getLogger(__name__)

STEP_ROWS = "step_rows"
"""Under this name a training step gives its `StepRows`."""
LINE_SECS = 1.0
"""Epochs that end sooner after the last line than this share the next one."""


class StepRows(NamedTuple):
    """The rows that went through one update.

    Attributes:
        workers: how many on each worker, by rank.
        weight: the sum of their example weights; None without a weight column.
        zero_weight_rows: how many have weight 0; None as above.
    """

    workers: tuple[int, ...]
    weight: float | None = None
    zero_weight_rows: int | None = None


@dataclass(frozen=True)
class EpochSize:
    """The epochs of an input whose rows are known beforehand.

    Attributes:
        rows: of the data set.
        batches: that an epoch has.
        batch_size: rows in each batch, but for the last one where it is short.
    """

    rows: int
    batches: int
    batch_size: int

    @classmethod
    def of(cls, source: Input) -> "EpochSize | None":
        """The size of an input's epochs, or None where it is not known."""
        if isinstance(source, Dataset) and isinstance(source.order, Plan):
            return cls(source.plan.num_rows, source.plan.batches_per_epoch, source.batch_size)
        return None

    @property
    def incomplete(self) -> int:
        """Rows behind the last batch, which are left out."""
        return self.left_at(self.batches)

    def left_at(self, batch: int) -> int:
        """Rows that are left after so many batches."""
        return max(self.rows - batch * self.batch_size, 0)


class RowCounter:
    """Counts the rows of one call of train on one replica; on the chief it writes the ledger.

    Args:
        model_dir: where the ledger is.
        replicas: those that train together.
        call_start_step: global step at which the call began.
        size: of the epochs of this replica's input, if it is known.
        is_own_shard: whether each replica has an input of its own, and so epochs of its own: then the call counts as
            one epoch, and what was dropped is known when it ends.
        step: global step that training goes on from; entries behind it are forgotten.
        cursor: where the input goes on, if the call was cut short.
        device: where tensors of the group live.
    """

    def __init__(
        self,
        model_dir: str,
        replicas: Replicas,
        call_start_step: int,
        size: EpochSize | None = None,
        is_own_shard: bool = False,
        step: int = 0,
        cursor: Cursor | None = None,
        device: str = "cpu",
    ) -> None:
        self._model_dir = model_dir
        self._replicas = replicas
        self._start = call_start_step
        self._size = size
        self._is_own_shard = is_own_shard
        self._cursor = cursor
        self._device = device
        self._open: _Steps | None = None
        self._entries: list[LedgerEntry] = []
        self._is_changed = False
        self._told_epochs = 0 if cursor is None else cursor.epoch
        self._told_at = float("-inf")
        if replicas.rank == 0:
            storage.remove_leftovers(model_dir, re.escape(LEDGER_FILE))
            self._take_up(step)

    def count(self, rows: StepRows, cursor: Cursor | None, step: int) -> None:
        """Count a step; each replica calls this right after it.

        Args:
            rows: that went through it.
            cursor: where this replica's input goes on after its batch, if that is known.
            step: global step after it.
        """
        epoch = 0 if cursor is None or self._is_own_shard else cursor.epoch
        if self._open is not None and self._open.epoch != epoch:
            self._end_epoch()
        if self._open is None:
            self._open = _Steps(epoch, step, len(rows.workers))
        self._open.add(rows, step)
        if cursor is not None:
            self._cursor = cursor
            if self._size is not None and cursor.batch == self._size.batches and not self._is_own_shard:
                self._end_epoch()

    def flush(self) -> None:
        """Write what was counted so far, on the chief: right before a checkpoint is saved, and at the end."""
        self._close()
        if self._replicas.rank != 0 or not self._is_changed:
            return
        names = [name.removeprefix(PREFIX) for name in read_state(self._model_dir)]
        self._entries = _joined(self._entries, {int(name) for name in names if name.isdecimal()})
        try:
            write_ledger(self._model_dir, self._entries)
            self._is_changed = False
        except OSError as error:
            # Where checkpoints find room, training is not to end for the ledger; where they do not, their error tells.
            logger.warning("The ledger of rows is not written until the next checkpoint: %s", error)

    def end(self, is_stopped: bool) -> None:
        """Note what the end of training leaves, and tell; each replica calls this after its last step.

        Args:
            is_stopped: whether training was stopped; else the inputs of all have ended.
        """
        self._close()
        if self._is_own_shard:
            self._drop(0, self._dropped_by_shards(is_stopped))
        elif self._size is not None and self._cursor is not None and self._cursor.batch < self._size.batches:
            self._drop(self._cursor.epoch, {NOT_REACHED: self._size.left_at(self._cursor.batch)})
        self._tell_epochs()
        call = self._of_call()
        if len({entry.epoch for entry in call}) > 1:
            logger.info("training: %s", described(sums_of_calls(call)[0]))

    def _take_up(self, step: int) -> None:
        """Begin with the entries that training at a step goes on with."""
        try:
            found = read_ledger(self._model_dir)
        except errors.OpError as error:
            logger.warning("The ledger of rows begins anew: %s", error)
            found = []
        # What a call has not reached when it was cut short it reaches now.
        self._entries = [
            entry.without_dropped(NOT_REACHED) if entry.call_start_step == self._start else entry
            for entry in found
            if entry.last_step <= step
        ]
        self._is_changed = self._entries != found

    def _close(self) -> None:
        """End the open entry: what comes next belongs to another one."""
        if self._open is None:
            return
        if self._replicas.rank == 0:
            self._entries.append(self._open.entry(self._start))
            self._is_changed = True
        self._open = None

    def _end_epoch(self) -> None:
        assert self._open is not None
        epoch = self._open.epoch
        self._close()
        if self._size is not None:
            self._drop(epoch, {INCOMPLETE_BATCH: self._size.incomplete})
        if time.monotonic() - self._told_at >= LINE_SECS:
            self._tell_epochs()

    def _drop(self, epoch: int, dropped: dict[str, int]) -> None:
        """Let the last entry, if it is of an epoch of this call, answer for rows that were not trained on."""
        for reason, rows in dropped.items():
            last = self._entries[-1] if self._entries else None
            if rows and last is not None and (last.call_start_step, last.epoch) == (self._start, epoch):
                self._entries[-1] = last.with_dropped(reason, rows)
                self._is_changed = True

    def _dropped_by_shards(self, is_stopped: bool) -> dict[str, int]:
        """What the replicas have dropped of inputs of their own; nothing where one of them does not know."""
        incomplete = not_reached = 0
        size, cursor = self._size, self._cursor
        if size is not None and not size.batches:
            incomplete = size.rows
        elif size is not None:
            done = 0 if cursor is None else cursor.epoch * size.batches + cursor.batch
            epochs, batch = divmod(done, size.batches)
            incomplete = epochs * size.incomplete
            # At the end of an epoch nobody can tell whether another one was to come.
            not_reached = size.left_at(batch) if is_stopped and (batch or not done) else 0
        own = torch.tensor([size is None, incomplete, not_reached], dtype=torch.float64, device=self._device)
        unknown, *dropped = self._replicas.all_sum(own).tolist()
        return {} if unknown else dict(zip((INCOMPLETE_BATCH, NOT_REACHED), map(int, dropped), strict=True))

    def _of_call(self) -> list[LedgerEntry]:
        return [entry for entry in self._entries if entry.call_start_step == self._start]

    def _tell_epochs(self) -> None:
        """Log a line about the epochs that nothing was said of yet."""
        new = [entry for entry in self._of_call() if entry.epoch >= self._told_epochs]
        if new:
            first, last = min(entry.epoch for entry in new), max(entry.epoch for entry in new)
            which = f"epoch {first + 1}" if first == last else f"epochs {first + 1} to {last + 1}"
            logger.info("%s: %s", which, described(sums_of_calls(new)[0]))
            self._told_epochs, self._told_at = last + 1, time.monotonic()


class _Steps:
    """Rows of consecutive steps of one epoch."""

    def __init__(self, epoch: int, first_step: int, num_workers: int) -> None:
        self.epoch = epoch
        self._first_step = self._last_step = first_step
        self._workers = (0,) * num_workers
        self._weight: float | None = None
        self._zero_weight_rows = 0

    def add(self, rows: StepRows, step: int) -> None:
        self._last_step = step
        self._workers = tuple(map(operator.add, self._workers, rows.workers))
        if rows.weight is not None and rows.zero_weight_rows is not None:
            self._weight = (self._weight or 0.0) + rows.weight
            self._zero_weight_rows += rows.zero_weight_rows

    def entry(self, call_start_step: int) -> LedgerEntry:
        rows = sum(self._workers)
        return LedgerEntry(
            call_start_step=call_start_step,
            epoch=self.epoch,
            first_step=self._first_step,
            last_step=self._last_step,
            read=rows,
            rows=rows,
            weight=self._weight,
            zero_weight_rows=None if self._weight is None else self._zero_weight_rows,
            workers=self._workers,
        )


def described(entry: LedgerEntry) -> str:
    """What became of rows, in one line."""
    not_reached = entry.dropped.get(NOT_REACHED, 0)
    dropped = {reason: rows for reason, rows in entry.dropped.items() if reason != NOT_REACHED and rows}
    reasons = ", ".join(f"{reason}: {rows:,}" for reason, rows in dropped.items())
    text = f"{entry.read - not_reached:,} rows read, {sum(dropped.values()):,} dropped{reasons and f' ({reasons})'}"
    if not_reached:
        text += f", {not_reached:,} not reached because training stopped"
    if entry.weight is not None:
        text += f"; their weights sum up to {entry.weight:,.7g}, and {entry.zero_weight_rows:,} of them are 0"
    if len(entry.workers) > 1:
        *first, last = (f"{rows:,}" for rows in entry.workers)
        text += f"; workers saw {', '.join(first)} and {last}"
    return text


def _joined(entries: Sequence[LedgerEntry], ends: set[int]) -> list[LedgerEntry]:
    """Entries of the same epoch in one, but for those that end at a step that training may go on from."""
    joined: list[LedgerEntry] = []
    for entry in entries:
        last = joined[-1] if joined else None
        is_same = last is not None and (last.call_start_step, last.epoch) == (entry.call_start_step, entry.epoch)
        if last is not None and is_same and last.last_step not in ends:
            joined[-1] = last + entry
        else:
            joined.append(entry)
    return joined
