"""The ids of a batch as bags, and the weighted sums of rows over them, as TensorFlow's combiners define them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from raydnn.model.batch import RowIds

_COMBINER_POWER = {"sum": 0, "mean": 1, "sqrtn": 2}


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
class Bags:
    """The ids of several columns as one list of bags, column after column; a bag is one row of one column.

    Attributes:
        ids: keys of rows, int64 [num_ids].
        bag: which bag each is in, int64 [num_ids], ascending.
        offsets: where each bag begins, int64 [num_bags].
        coefficients: what each id is multiplied by, float32 [num_ids]; None is 1.
    """

    ids: Tensor
    bag: Tensor
    offsets: Tensor
    coefficients: Tensor | None

    @classmethod
    def gather(
        cls,
        uses: Sequence[TableUse],
        batch_ids: Sequence[RowIds],
        num_rows: int,
        keys: Callable[[int, Tensor], Tensor],
        device: torch.device,
    ) -> "Bags":
        """The bags of some columns.

        Args:
            uses: how the columns read their tables.
            batch_ids: `EncodedBatch.ids`.
            num_rows: rows of the batch.
            keys: (table, its rows) -> keys that tell the rows of all tables apart; negative stays negative.
            device: of the tables.
        """
        columns = [batch_ids[use.ids] for use in uses]
        ids = torch.cat([keys(use.table, column.values) for use, column in zip(uses, columns, strict=True)])
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
        row_0 = torch.stack([keys(use.table, zero) if use.is_safe else zero - 1 for use in uses]).to(device)
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


def sorted_unique(ids: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
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


def clip_norm(rows: Tensor, max_norm: float) -> Tensor:
    """Rows scaled to at most max_norm; the gradient flows through the scaling."""
    squares = (rows * rows).sum(1, keepdim=True)
    norms = torch.where(squares > 0, squares, torch.ones_like(squares)).sqrt()
    return torch.where(norms > max_norm, rows * (max_norm / norms), rows)


class Pool(torch.autograd.Function):
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
