"""Batches cut from rows that stream by: their order is known, their number only when they have ended.

Encoded rows come in *windows* of equally many rows; only the last of an epoch may be shorter. A window holds whole
global batches, and its rows are shuffled among themselves. Rank r of N takes slots [r*X//N, (r+1)*X//N) of a batch of X
rows. So, as with `raydnn.inputs.plan`, batches depend neither on the number of ranks nor on where a run was resumed.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raydnn.inputs.fragments import digest
from raydnn.inputs.plan import Cursor, shuffled

WINDOW_ROWS = 65_536

# A change of the algorithm that moves any row must raise this number: old cursors are then refused.
_ALGORITHM = 1


class Windows(ABC):
    """Encoded rows that stream by, the same in each epoch.

    Attributes:
        fingerprint: changes when the columns do; the rows are not known beforehand.
        is_stored: False, as for `raydnn.inputs.fragments.Fragments` that only one process can read.
    """

    fingerprint: str
    is_stored = False

    @abstractmethod
    def read(self, epoch: int, first: int, rows_each: int) -> Iterator[pa.RecordBatch]:
        """The windows of an epoch.

        Args:
            epoch: its number, from 0.
            first: the window to begin with.
            rows_each: rows in each window but the last.
        """


@dataclass(frozen=True)
class WindowPlan:
    """Everything that decides which row of a stream stands in which slot of which batch.

    Args:
        batch_size: rows of a global batch (over all ranks).
        shuffle: shuffle the rows of each window, anew in each epoch.
        seed: of the shuffle, in [0, 2**64).
        drop_remainder: leave out the last batch of an epoch when it would be short.
    """

    batch_size: int
    shuffle: bool
    seed: int
    drop_remainder: bool

    @property
    def batches_per_epoch(self) -> None:
        """Global batches of one epoch: not known."""
        return None

    @property
    def batches_per_window(self) -> int:
        """Global batches in each window but the last."""
        return max(1, WINDOW_ROWS // self.batch_size)

    @property
    def window_rows(self) -> int:
        """Rows in each window but the last."""
        return self.batches_per_window * self.batch_size

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides the order: equal for two plans exactly if one can resume the other."""
        return digest(["windows", str(_ALGORITHM), str(self.window_rows), repr(self)])

    def check(self, cursor: Cursor) -> None:
        """Make sure that training can go on from `cursor` with this plan.

        Raises:
            ValueError: the cursor belongs to another plan.
        """
        if cursor.fingerprint != self.fingerprint:
            raise ValueError(
                f"the input changed since the checkpoint and cannot be resumed at the same row; now {self!r}"
            )

    def batches(
        self, epoch: int, window: int, rows: pa.RecordBatch, rank: int, num_ranks: int
    ) -> Iterator[tuple[pa.RecordBatch, int, int]]:
        """The batches of one window, as one rank gets them.

        Args:
            epoch, window: which window it is; its rows depend on it where they are shuffled.
            rows: of the window.
            rank, num_ranks: whose part of each batch is wanted.

        Yields:
            The rank's rows of a batch, maybe none, the rows of the whole batch, and the slot of the rank's first row.
        """
        order = self._order(epoch, window, rows.num_rows)
        for start in range(0, rows.num_rows, self.batch_size):
            size = min(self.batch_size, rows.num_rows - start)
            if size < self.batch_size and self.drop_remainder:
                return
            low, high = rank * size // num_ranks, (rank + 1) * size // num_ranks
            if order is None:
                part = rows.slice(start + low, high - low)
            else:
                part = rows.take(pa.array(order[start + low : start + high]))
            yield part, size, low

    def _order(self, epoch: int, window: int, num_rows: int) -> npt.NDArray[np.int64] | None:
        if not self.shuffle:
            return None
        first = window * self.window_rows
        return shuffled(self.seed, epoch, np.arange(first, first + num_rows, dtype=np.int64))
