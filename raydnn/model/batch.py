"""An encoded batch as tensors: what the network, the heads and the metrics read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from raydnn.feature_column.dtypes import is_list
from raydnn.feature_column.encoder import DENSE, LABEL, WEIGHT

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class RowIds:
    """Ids of one categorical column.

    Attributes:
        values: integer [num_ids]; negative ids take no part.
        offsets: int64 [rows + 1]; None means exactly one id in each row.
        weights: float32 [num_ids] or None.
    """

    values: Tensor
    offsets: Tensor | None = None
    weights: Tensor | None = None

    def split(self, sizes: Sequence[int]) -> "list[RowIds]":
        """The ids of so many rows each, one after the other."""
        counts, offsets = sizes, split(None, sizes)
        if self.offsets is not None:
            rows = pairwise(accumulate(sizes, initial=0))
            offsets = [self.offsets[start : stop + 1] - self.offsets[start] for start, stop in rows]
            counts = [int(offset[-1]) for offset in offsets]
        return list(map(RowIds, split(self.values, counts), offsets, split(self.weights, counts)))


Work = Callable[["EncodedBatch", Sequence[int]], list[T]]
"""From batches that lie one after the other in one, and the rows of each, to what is made of each."""


@dataclass(frozen=True, eq=False)
class EncodedBatch:
    """The tensors of an encoded Arrow batch (see `raydnn.feature_column.encoder`).

    Attributes:
        num_rows: rows in the batch, which may be 0.
        dense: float32 [rows, dense width], or None without value columns.
        ids: one entry per categorical column of the encoder.
        labels: float32 or int64 [rows], or None.
        weights: float32 [rows], or None.
        ahead: work that is done with a batch where it is made.
    """

    num_rows: int
    dense: Tensor | None
    ids: tuple[RowIds, ...]
    labels: Tensor | None
    weights: Tensor | None
    ahead: "AheadWork" = field(default_factory=lambda: AheadWork())
    _done: dict[int, Any] = field(default_factory=dict, init=False)

    def once(self, owner: object, work: Work[T]) -> T:
        """What some work makes of this batch: done here for the first batch, and then where batches are made ahead.

        Args:
            owner: whose work it is; one each.
            work: depends on nothing that training changes.
        """
        if id(owner) not in self._done:
            self.ahead.learn(owner, work)
            (self._done[id(owner)],) = work(self, [self.num_rows])
        return self._done[id(owner)]

    @classmethod
    def from_arrow(
        cls, rows: pa.RecordBatch, device: torch.device | str = "cpu", ahead: "AheadWork | None" = None
    ) -> "EncodedBatch":
        """The tensors of an encoded batch, copied once.

        Args:
            rows: of the encoder.
            device: where the tensors go.
            ahead: work to be done with it at once.
        """
        (batch,) = cls.of_each(rows, [rows.num_rows], device, ahead)
        return batch

    @classmethod
    def of_each(
        cls,
        rows: pa.RecordBatch,
        sizes: Sequence[int],
        device: torch.device | str = "cpu",
        ahead: "AheadWork | None" = None,
    ) -> "list[EncodedBatch]":
        """The tensors of batches that lie one after the other, made together: for small ones that is much faster.

        Args:
            rows: of the encoder.
            sizes: rows of each batch.
            device: where the tensors go.
            ahead: work to be done with them at once.
        """
        columns = dict(zip(rows.schema.names, rows.columns, strict=True))
        dense = None
        if DENSE in columns:
            width = columns[DENSE].type.list_size
            dense = _tensor(columns[DENSE].flatten(), device).view(rows.num_rows, width)
        ids: list[RowIds] = []
        while (array := columns.get(f"ids/{len(ids)}")) is not None:
            ids.append(_row_ids(array, columns.get(f"weights/{len(ids)}"), device))
        whole = cls(
            rows.num_rows,
            dense,
            tuple(ids),
            _tensor(columns[LABEL], device) if LABEL in columns else None,
            _tensor(columns[WEIGHT], device) if WEIGHT in columns else None,
            ahead or AheadWork(),
        )
        batches = [whole] if len(sizes) == 1 else whole._split(sizes)
        for owner, made in whole.ahead.do(whole, sizes).items():
            for batch, of_batch in zip(batches, made, strict=True):
                batch._done[owner] = of_batch
        return batches

    def _split(self, sizes: Sequence[int]) -> "list[EncodedBatch]":
        dense, labels, weights = (split(tensor, sizes) for tensor in (self.dense, self.labels, self.weights))
        of_columns = [column.split(sizes) for column in self.ids]
        return [
            EncodedBatch(
                size,
                dense[place],
                tuple(of_column[place] for of_column in of_columns),
                labels[place],
                weights[place],
                self.ahead,
            )
            for place, size in enumerate(sizes)
        ]


class AheadWork:
    """Work that a model has with the ids of each batch; learned from the first batch, done ahead for the next ones."""

    def __init__(self) -> None:
        self._work: dict[int, tuple[object, Work[Any]]] = {}

    def learn(self, owner: object, work: Work[Any]) -> None:
        """Do this with all batches that are made from now on."""
        # The owner is kept, so that no other object gets its id.
        self._work[id(owner)] = owner, work

    def do(self, whole: EncodedBatch, sizes: Sequence[int]) -> dict[int, list[Any]]:
        """Do all that was learned: id of an owner -> what its work makes of each batch."""
        return {owner: work(whole, sizes) for owner, (_, work) in list(self._work.items())}


def split(tensor: Tensor | None, sizes: Sequence[int]) -> Sequence[Any]:
    """Views of so many rows each, one after the other; as many times None if there is no tensor."""
    return [None] * len(sizes) if tensor is None else tensor.split(list(sizes))


def _row_ids(ids: pa.Array, weights: pa.Array | None, device: torch.device | str) -> RowIds:
    if not is_list(ids.type):
        return RowIds(_tensor(ids, device), None, None if weights is None else _tensor(weights, device))
    offsets = ids.offsets.to_numpy()
    return RowIds(
        _tensor(ids.flatten(), device),
        torch.from_numpy(offsets - offsets[0]).to(device),
        None if weights is None else _tensor(weights.flatten(), device),
    )


def _tensor(array: pa.Array, device: torch.device | str) -> Tensor:
    # Arrow memory is read-only, which torch cannot express: hence the copy.
    values: np.ndarray[Any, Any] = np.array(array.to_numpy(zero_copy_only=False))
    return torch.from_numpy(values).to(device)
