"""Embedding tables: fused by dimension, looked up together, with gradients of the touched rows only.

All tables of one dimension lie below each other in one matrix. A step looks up the unique rows of all columns at
once, and its backward pass leaves the summed gradient of those rows in the group, where the optimizer finds it:
no gradient has the size of a table.

A group may be spread over replicas: row i of table t then lies on replica (i + t) mod W. The step asks each replica for
the rows it holds and sends their gradients back to it, and each replica updates its own rows alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from raydnn.model.bags import Bags, Lookup, Pool, TableUse, clip_norm, sorted_unique
from raydnn.model.batch import RowIds
from raydnn.model.rows import Rows


class RowExchange(Protocol):
    """The replicas that a group is spread over. Every call is made by all of them, in the same order.

    Attributes:
        rank: of this replica, from 0.
        size: number of replicas.
    """

    rank: int
    size: int

    def all_to_all(self, values: Tensor, send: list[int], receive: list[int]) -> Tensor:
        """Send rows of a tensor, in order, so many to each replica; returns those received, in the senders' order."""


@dataclass(frozen=True, eq=False)
class RowGradient:
    """The gradient of some rows that the replica holds.

    Attributes:
        rows: places in the group's matrix, int64 [n], different ones in ascending order.
        values: float32 [n, dimension], summed over all uses of each row.
    """

    rows: Tensor
    values: Tensor


@dataclass(frozen=True)
class Table:
    """One embedding table.

    Attributes:
        name: of its variable.
        num_rows: number of ids.
        initializer: callable (shape, dtype=...) -> array.
        num_slices: into how many slices of rows a partitioner cuts it.
    """

    name: str
    num_rows: int
    initializer: Any = field(compare=False)
    num_slices: int = 1


@dataclass(frozen=True, eq=False)
class _Route:
    """How the rows of one lookup travel.

    Attributes:
        send: how many rows this replica asks of each.
        receive: how many each asks of this one.
        asked: places of the rows that the others ask for, int64 [sum of receive].
    """

    send: list[int]
    receive: list[int]
    asked: Tensor


class TableGroup:
    """Tables of one dimension in one fused matrix, or a replica's rows of them.

    Args:
        dimension: of the vectors.
        tables: in the order in which they lie below each other.
        trainable: whether their rows get gradients.
        max_norm: looked-up rows with a larger norm are scaled to it, or None.
        exchange: the replicas that the rows are spread over; None keeps all rows here.

    Attributes:
        weight: float32 [held rows, dimension].
        first_rows: where each table begins in it; the last entry is the end.
    """

    def __init__(
        self,
        dimension: int,
        tables: Sequence[Table],
        trainable: bool,
        max_norm: float | None,
        exchange: RowExchange | None = None,
    ) -> None:
        self.dimension = dimension
        self.tables = tuple(tables)
        self.trainable = trainable
        self.max_norm = max_norm
        self.exchange = exchange
        self._rank, self._size = (0, 1) if exchange is None else (exchange.rank, exchange.size)
        # The same on every replica, so that a row's place is known to those who ask for it: where a table's rows do not
        # divide evenly, some replicas leave the last place empty.
        self.first_rows = [0]
        for table in self.tables:
            self.first_rows.append(self.first_rows[-1] + -(-table.num_rows // self._size))
        self.weight = torch.empty(self.first_rows[-1], dimension)
        self._first_rows = torch.tensor(self.first_rows)
        self._looked_up: list[tuple[Tensor, Tensor, _Route | None]] = []

    def rows(self, table: int) -> Rows:
        """Which rows of a table are held here."""
        return Rows((self._rank - table) % self._size, self._size, self.tables[table].num_rows)

    def view(self, table: int) -> Tensor:
        """The held rows of a table."""
        return self.weight.narrow(0, self.first_rows[table], len(self.rows(table)))

    def keys(self, tables: Tensor, ids: Tensor) -> Tensor:
        """Where rows lie: replica * rows held by each + place there; negative ids stay negative.

        Args:
            tables: which tables, int64 [n].
            ids: their rows, int64 [n].
        """
        first_rows = self._first_rows.to(ids.device)[tables]
        if self._size == 1:
            return torch.where(ids < 0, ids, ids + first_rows)
        owner = (ids + tables) % self._size
        return torch.where(ids < 0, ids, owner * self.first_rows[-1] + first_rows + ids // self._size)

    def prepare(self, uses: Sequence[TableUse], batch_ids: Sequence[RowIds], sizes: Sequence[int]) -> list[Lookup]:
        """What lookups need to know of the ids of batches; depends on no value of a table.

        Args:
            uses: columns that read tables of this group.
            batch_ids: `EncodedBatch.ids` of all batches, one after the other.
            sizes: rows of each batch.
        """
        bags = Bags.gather(uses, batch_ids, sum(sizes), self.keys, self.weight.device)
        return Lookup.of_each(bags, self._size * self.first_rows[-1], [size * len(uses) for size in sizes])

    def read(self, lookup: Lookup) -> Tensor:
        """The combined vectors of all bags of a lookup.

        Returns:
            float32 [num_bags, dimension]; a bag without ids is zero.
        """
        rows, route = self._fetch(lookup.keys)
        if self.trainable and torch.is_grad_enabled():
            rows.requires_grad_()
            self._looked_up.append((lookup.keys, rows, route))
        read = rows if self.max_norm is None else clip_norm(rows, self.max_norm)
        vectors: Tensor = Pool.apply(read, lookup)  # type: ignore[no-untyped-call]
        return vectors

    def take_gradient(self) -> RowGradient | None:
        """The gradient of the held rows in the last backward pass, once; None if no row was touched.

        Where rows are spread over replicas, it is the sum over all of them; else it is this replica's own.
        """
        touched = []
        for keys, leaf, route in self._looked_up:
            if route is not None and self.exchange is not None:
                # Without a gradient here the others still wait for this replica's part.
                gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
                received = self.exchange.all_to_all(gradient, route.send, route.receive)
                touched.append((route.asked, received))
            elif leaf.grad is not None:
                touched.append((keys, leaf.grad))
        self._looked_up.clear()
        if not touched:
            return None
        if len(touched) == 1 and self.exchange is None:
            return RowGradient(*touched[0])
        return sum_rows(torch.cat([rows for rows, _ in touched]), torch.cat([grad for _, grad in touched]))

    def _fetch(self, keys: Tensor) -> tuple[Tensor, _Route | None]:
        """The rows of unique keys in ascending order, from wherever they lie."""
        if self.exchange is None:
            return self.weight.index_select(0, keys), None
        held = self.first_rows[-1]
        counts = torch.bincount(keys // held, minlength=self._size)
        ones = [1] * self._size
        send, receive = torch.stack([counts, self.exchange.all_to_all(counts, ones, ones)]).tolist()
        places = keys % held
        # Half the bytes, where a place fits.
        narrow = places.int() if held < 2**31 else places
        asked = self.exchange.all_to_all(narrow, send, receive).long()
        rows = self.exchange.all_to_all(self.weight.index_select(0, asked), receive, send)
        return rows, _Route(send, receive, asked)


def sum_rows(rows: Tensor, values: Tensor) -> RowGradient:
    """Sum gradients that concern the same rows.

    Args:
        rows: int64 [n], in any order, with repetitions.
        values: float32 [n, dimension].
    """
    unique, _, order, starts = sorted_unique(rows, int(rows.max()) + 1 if len(rows) else 0)
    summed = F.embedding_bag(order, values, starts, mode="sum")
    return RowGradient(unique, summed)
