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

from raydnn.model.batch import RowIds
from raydnn.model.rows import Rows

_COMBINER_POWER = {"sum": 0, "mean": 1, "sqrtn": 2}


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


@dataclass(frozen=True)
class TableUse:
    """How one column reads a table.

    Attributes:
        column_name: for messages.
        table: which table of the group.
        ids: which entry of `EncodedBatch.ids`.
        combiner: 'sum', 'mean' or 'sqrtn'.
        is_safe: whether ids whose weight is not positive are left out (never by 'sum').
    """

    column_name: str
    table: int
    ids: int
    combiner: str
    is_safe: bool = True


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
        self._looked_up: list[tuple[Tensor, Tensor, _Route | None]] = []

    def rows(self, table: int) -> Rows:
        """Which rows of a table are held here."""
        return Rows((self._rank - table) % self._size, self._size, self.tables[table].num_rows)

    def view(self, table: int) -> Tensor:
        """The held rows of a table."""
        return self.weight.narrow(0, self.first_rows[table], len(self.rows(table)))

    def keys(self, table: int, ids: Tensor) -> Tensor:
        """Where rows lie: replica * rows held by each + place there; negative ids stay negative.

        Args:
            table: which table.
            ids: its rows, integers of any shape.
        """
        ids, first_row = ids.long(), self.first_rows[table]
        if self._size > 1:
            owner = (ids + table) % self._size
            return torch.where(ids < 0, ids, owner * self.first_rows[-1] + first_row + ids // self._size)
        return ids if first_row == 0 else torch.where(ids < 0, ids, ids + first_row)

    def lookup(self, uses: Sequence[TableUse], batch_ids: Sequence[RowIds], num_rows: int) -> list[Tensor]:
        """The combined vectors of each use.

        Args:
            uses: columns that read tables of this group.
            batch_ids: `EncodedBatch.ids`.
            num_rows: rows of the batch.

        Returns:
            For each use float32 [num_rows, dimension]; a row without ids is zero.
        """
        bags = _Bags.gather(self, uses, batch_ids, num_rows)
        unique, inverse, order, starts = _unique(bags.ids)
        rows, route = self._fetch(unique)
        if self.trainable and torch.is_grad_enabled():
            rows.requires_grad_()
            self._looked_up.append((unique, rows, route))
        read = rows if self.max_norm is None else _clip_norm(rows, self.max_norm)
        pooled = _Pool.apply(  # type: ignore[no-untyped-call]
            read, inverse, order, starts, bags.bag, bags.offsets, bags.coefficients
        )
        return list(pooled.view(len(uses), num_rows, self.dimension))

    def take_gradient(self) -> RowGradient | None:
        """The gradient of the held rows in the last backward pass, once; None if no row was touched.

        Where rows are spread over replicas, it is the sum over all of them; else it is this replica's own.
        """
        touched = []
        for keys, leaf, route in self._looked_up:
            if leaf.grad is None:
                continue
            if route is None or self.exchange is None:
                touched.append((keys, leaf.grad))
            else:
                received = self.exchange.all_to_all(leaf.grad, route.send, route.receive)
                touched.append((route.asked, received))
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
        asked = self.exchange.all_to_all((keys % held).int(), send, receive).long()
        rows = self.exchange.all_to_all(self.weight.index_select(0, asked), receive, send)
        return rows, _Route(send, receive, asked)


def sum_rows(rows: Tensor, values: Tensor) -> RowGradient:
    """Sum gradients that concern the same rows.

    Args:
        rows: int64 [n], in any order, with repetitions.
        values: float32 [n, dimension].
    """
    unique, _, order, starts = _unique(rows)
    summed = F.embedding_bag(order, values, starts, mode="sum")
    return RowGradient(unique, summed)


@dataclass(frozen=True, eq=False)
class _Bags:
    """The ids of several columns as one list of bags, column after column."""

    ids: Tensor
    bag: Tensor
    offsets: Tensor
    coefficients: Tensor | None

    @classmethod
    def gather(cls, group: TableGroup, uses: Sequence[TableUse], batch_ids: Sequence[RowIds], num_rows: int) -> "_Bags":
        device = group.weight.device
        columns = [batch_ids[use.ids] for use in uses]
        ids = torch.cat([group.keys(use.table, column.values) for use, column in zip(uses, columns, strict=True)])
        is_single = all(column.offsets is None for column in columns)
        num_bags = len(uses) * num_rows
        if is_single:
            bag = torch.arange(num_bags, device=device)
        else:
            counts = torch.cat([_counts(column, num_rows) for column in columns])
            bag = torch.repeat_interleave(torch.arange(num_bags, device=device), counts)
        weights = None
        if any(column.weights is not None for column in columns):
            weights = torch.cat([_weights(column) for column in columns])
        combiners = torch.tensor([_COMBINER_POWER[use.combiner] for use in uses], device=device)
        keep = ids >= 0
        if weights is not None:
            keeps_all = torch.tensor([use.combiner == "sum" or not use.is_safe for use in uses], device=device)
            keep &= (weights > 0) | keeps_all[bag // max(num_rows, 1)]
        if not bool(keep.all()):
            is_single = False
            ids, bag = ids[keep], bag[keep]
            weights = weights if weights is None else weights[keep]
        coefficients = weights
        if weights is not None or not is_single:
            coefficients = _coefficients(bag, weights, combiners, num_bags, num_rows)
        if is_single:
            return cls(ids, bag, bag, coefficients)
        zero = torch.zeros((), dtype=torch.int64)
        row_0 = torch.stack([group.keys(use.table, zero) if use.is_safe else zero - 1 for use in uses]).to(device)
        ids, bag, coefficients = _fill_empty(ids, bag, coefficients, row_0.repeat_interleave(num_rows))
        return cls(ids, bag, torch.searchsorted(bag, torch.arange(num_bags, device=device)), coefficients)


def _fill_empty(
    ids: Tensor, bag: Tensor, coefficients: Tensor | None, fillers: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Give empty bags an id that counts 0.

    TensorFlow's safe lookup reads row 0 for an empty row of a batch and then discards it. So the row counts as
    touched, with a gradient of 0, and optimizers such as Ftrl and RMSProp change it.

    Args:
        ids, bag: int64 [num_ids], ordered by bag.
        coefficients: float32 [num_ids], or None for 1.
        fillers: the id for each bag if that is empty, int64 [num_bags]; negative leaves it empty.

    Returns:
        ids, bag and coefficients with the fillers in their places.
    """
    is_empty = torch.bincount(bag, minlength=len(fillers)) == 0
    filled = (is_empty & (fillers >= 0)).nonzero().squeeze(1)
    if not len(filled):
        return ids, bag, coefficients
    weight = torch.ones(len(ids), device=ids.device) if coefficients is None else coefficients
    bags, order = torch.cat([bag, filled]).sort(stable=True)
    ids = torch.cat([ids, fillers[filled]])[order]
    return ids, bags, torch.cat([weight, weight.new_zeros(len(filled))])[order]


def _counts(column: RowIds, num_rows: int) -> Tensor:
    if column.offsets is None:
        return torch.ones(num_rows, dtype=torch.int64, device=column.values.device)
    return column.offsets.diff()


def _weights(column: RowIds) -> Tensor:
    return torch.ones(len(column.values), device=column.values.device) if column.weights is None else column.weights


def _coefficients(
    bag: Tensor, weights: Tensor | None, combiners: Tensor, num_bags: int, num_rows: int
) -> Tensor | None:
    """What each id is multiplied by before the sum over its bag, [num_ids]; None means 1 for all."""
    if weights is None and bool((combiners == 0).all()):
        return None
    weight = torch.ones(len(bag), device=bag.device) if weights is None else weights
    power = combiners.repeat_interleave(num_rows)
    totals = torch.zeros(num_bags, device=bag.device).index_add_(0, bag, weight)
    squares = torch.zeros(num_bags, device=bag.device).index_add_(0, bag, weight * weight)
    divisors = torch.where(power == 1, totals, squares.sqrt())
    divisors = torch.where(power == 0, torch.ones_like(divisors), divisors)
    return torch.where(divisors[bag] == 0, torch.zeros_like(weight), weight / divisors[bag])


def _unique(ids: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One sort that gives the unique ids and all that the backward pass needs.

    Returns:
        unique: ids in ascending order, [u].
        inverse: place of each id in `unique`, [n].
        order: the permutation that sorts the ids, [n].
        starts: where each unique id begins in that order, [u].
    """
    narrow = ids.int() if ids.numel() and int(ids.max()) < 2**31 else ids
    ordered, order = torch.sort(narrow, stable=True)
    is_first = torch.ones_like(ordered, dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=is_first[1:])
    starts = is_first.nonzero().squeeze(1)
    inverse = torch.empty_like(order)
    inverse[order] = is_first.cumsum(0) - 1
    return ordered[starts].long(), inverse, order, starts


def _clip_norm(rows: Tensor, max_norm: float) -> Tensor:
    """Rows scaled to at most max_norm; the gradient flows through the scaling."""
    squares = (rows * rows).sum(1, keepdim=True)
    norms = torch.where(squares > 0, squares, torch.ones_like(squares)).sqrt()
    return torch.where(norms > max_norm, rows * (max_norm / norms), rows)


class _Pool(torch.autograd.Function):
    """Weighted sums of rows by bag; the backward pass reduces by row without one gradient per id.

    forward:  out[b] = sum over ids j of bag b of c_j * rows[inverse_j]
    backward: grad[u] = sum over ids j with inverse_j = u of c_j * out_grad[bag_j]
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        inverse: Tensor,
        order: Tensor,
        starts: Tensor,
        bag: Tensor,
        offsets: Tensor,
        coefficients: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(order, starts, bag, coefficients)
        if len(inverse) == 0:
            return rows.new_zeros(len(offsets), rows.shape[1])
        if coefficients is not None:
            coefficients = coefficients.to(rows.dtype)
        return F.embedding_bag(inverse, rows, offsets, mode="sum", per_sample_weights=coefficients)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        order, starts, bag, coefficients = ctx.saved_tensors
        (grad,) = grads
        if len(order) == 0:
            return grad.new_zeros(0, grad.shape[1]), *[None] * 6
        ordered = None if coefficients is None else coefficients[order].to(grad.dtype)
        by_row = F.embedding_bag(bag[order], grad.contiguous(), starts, mode="sum", per_sample_weights=ordered)
        return by_row, *[None] * 6
