"""Columns that read embedding tables, of all kinds, for property tests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from raydnn.model.bags import TableUse
from raydnn.model.batch import RowIds
from raydnn.model.tables import TableGroup

COMBINERS = ["sum", "mean", "sqrtn"]


def row_ids(rows: Sequence[Sequence[int]], weights: Sequence[Sequence[float]] | None = None) -> RowIds:
    """Ids of ragged rows."""
    offsets = torch.tensor([0, *np.cumsum([len(row) for row in rows])], dtype=torch.int64)
    values = torch.tensor([value for row in rows for value in row], dtype=torch.int32)
    if weights is None:
        return RowIds(values, offsets)
    return RowIds(values, offsets, torch.tensor([weight for row in weights for weight in row]))


def look_up(
    group: TableGroup, uses: Sequence[TableUse], batch_ids: Sequence[RowIds], num_rows: int
) -> tuple[Tensor, ...]:
    """The vectors of each use, [num_rows, dimension]."""
    (lookup,) = group.prepare(uses, batch_ids, [num_rows])
    vectors = group.read(lookup)
    return vectors.view(num_rows, len(uses), group.dimension).unbind(1)


@dataclass(frozen=True)
class Case:
    """Columns that read tables of one group.

    Attributes:
        table_rows: how many rows each table has.
        uses: of the tables.
        ids: for each use, for each row of the batch, its ids.
        weights: for each use, None or the weights of those ids.
        num_rows: of the batch.
        max_norm: of the group.
        is_single: whether the ids of a use go without offsets.
    """

    table_rows: list[int]
    uses: list[TableUse]
    ids: list[list[list[int]]]
    weights: list[list[list[float]] | None]
    num_rows: int
    max_norm: float | None
    is_single: list[bool]

    def batch_ids(self) -> list[RowIds]:
        ragged = [row_ids(ids, weights) for ids, weights in zip(self.ids, self.weights, strict=True)]
        return [
            RowIds(each.values, None, each.weights) if is_single else each
            for each, is_single in zip(ragged, self.is_single, strict=True)
        ]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    table_rows = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    num_rows = draw(st.integers(0, 5))
    uses, ids, weights, is_single = [], [], [], []
    for place in range(draw(st.integers(1, 4))):
        table = draw(st.integers(0, len(table_rows) - 1))
        uses.append(TableUse(f"column_{place}", table, place, draw(st.sampled_from(COMBINERS))))
        is_single.append(draw(st.booleans()))
        an_id = st.integers(-1, table_rows[table] - 1)
        sizes = {"min_size": 1, "max_size": 1} if is_single[-1] else {"max_size": 5}
        ids.append([draw(st.lists(an_id, **sizes)) for _ in range(num_rows)])
        factors = st.sampled_from([-1.5, 0.0, 0.25, 0.5, 1.0, 3.0])
        weights.append([[draw(factors) for _ in row] for row in ids[-1]] if draw(st.booleans()) else None)
    return Case(table_rows, uses, ids, weights, num_rows, draw(st.sampled_from([None, 0.7, 1.5])), is_single)
