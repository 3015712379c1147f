"""The ids of a batch as bags, and the weighted sums of rows over them, as TensorFlow's combiners define them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, repeat
from typing import Any

import torch
from torch import Tensor

from raydnn.model.batch import RowIds, split

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
    """The ids of several columns as one list of bags: row after row, and in each row column after column.

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
        keys: Callable[[Tensor, Tensor], Tensor],
        device: torch.device,
    ) -> "Bags":
        """The bags of some columns.

        Args:
            uses: how the columns read their tables.
            batch_ids: `EncodedBatch.ids`.
            num_rows: rows of the batch.
            keys: (tables, their rows) -> keys that tell the rows of all tables apart; negative stays negative.
            device: of the tables.
        """
        columns = [batch_ids[use.ids] for use in uses]
        tables = torch.tensor([use.table for use in uses], device=device)
        is_single = all(column.offsets is None for column in columns)
        num_bags = len(uses) * num_rows
        places = None
        if is_single:
            bag = torch.arange(num_bags, device=device)
        else:
            counts = torch.stack([_counts(column, num_rows) for column in columns], dim=1)
            places = _places(columns, counts)
            bag = torch.repeat_interleave(torch.arange(num_bags, device=device), counts.flatten())
        ids = _interleave([column.values.long() for column in columns], places)
        ids = keys(tables[bag % len(uses)], ids)
        weights = None
        if any(column.weights is not None for column in columns):
            weights = _interleave([_weights(column) for column in columns], places)
        combiners = torch.tensor([_COMBINER_POWER[use.combiner] for use in uses], device=device)
        keep = ids >= 0
        if weights is not None:
            keeps_all = torch.tensor([use.combiner == "sum" or not use.is_safe for use in uses], device=device)
            keep &= (weights > 0) | keeps_all[bag % len(uses)]
        if not bool(keep.all()):
            is_single = False
            ids, bag = ids[keep], bag[keep]
            weights = weights if weights is None else weights[keep]
        coefficients = weights
        if weights is not None or not is_single:
            coefficients = _coefficients(bag, weights, combiners, num_rows)
        if is_single:
            return cls(ids, bag, bag, coefficients)
        row_0 = keys(tables, torch.zeros_like(tables))
        is_safe = torch.tensor([use.is_safe for use in uses], device=device)
        fillers = torch.where(is_safe, row_0, -1).repeat(num_rows)
        ids, bag, coefficients = _fill_empty(ids, bag, coefficients, fillers)
        return cls(ids, bag, torch.searchsorted(bag, torch.arange(num_bags, device=device)), coefficients)


@dataclass(frozen=True, eq=False)
class Lookup:
    """The bags of a batch, ready to be looked up: all that can be known without the rows themselves.

    Attributes:
        keys: of the rows that are read, int64 [num_keys], different ones in ascending order.
        inverse: which of them each id is, int64 [num_ids].
        offsets: where each bag begins, int64 [num_bags].
        coefficients: what each id is multiplied by, float32 [num_ids]; None is 1.
        starts: where the ids of each key begin if ids are ordered by key, int64 [num_keys].
        bags: which bag each id is in, in that order, int64 [num_ids].
        ordered_coefficients: the coefficients in that order, or None.
        is_single: whether each bag has one id.
    """

    keys: Tensor
    inverse: Tensor
    offsets: Tensor
    coefficients: Tensor | None
    starts: Tensor
    bags: Tensor
    ordered_coefficients: Tensor | None
    is_single: bool

    @classmethod
    def of_each(cls, bags: Bags, num_keys: int, num_bags: Sequence[int]) -> "list[Lookup]":
        """The lookups of batches that lie one after the other in some bags.

        Args:
            bags: of all batches.
            num_keys: above all keys.
            num_bags: of each batch.
        """
        coefficients, is_single = bags.coefficients, bags.bag is bags.offsets
        num_ids = list(num_bags) if is_single else _counts_below(bags.bag, list(accumulate(num_bags)))
        # What two batches look up are two keys, so that one sort does for all.
        first_keys = [place * num_keys for place in range(len(num_bags))]
        keys, inverse, order, starts = sorted_unique(_shifted(bags.ids, first_keys, num_ids), num_keys * len(num_bags))
        # Where each id is a bag of its own, its bag is its place.
        of_id = order if is_single else bags.bag.index_select(0, order)
        ordered = None if coefficients is None else coefficients.index_select(0, order)
        whole = cls(keys, inverse, bags.offsets, coefficients, starts, of_id, ordered, is_single)
        return [whole] if len(num_bags) == 1 else whole._cut(first_keys, num_ids, num_bags)

    def _cut(self, first_keys: Sequence[int], num_ids: Sequence[int], num_bags: Sequence[int]) -> "list[Lookup]":
        num_keys = _counts_below(self.keys, [*first_keys[1:], int(self.keys[-1]) + 1 if len(self.keys) else 0])
        ids_before, keys_before, bags_before = (
            [-count for count in accumulate(counts, initial=0)][:-1] for counts in (num_ids, num_keys, num_bags)
        )
        return list(
            map(
                Lookup,
                split(_shifted(self.keys, [-first for first in first_keys], num_keys), num_keys),
                split(_shifted(self.inverse, keys_before, num_ids), num_ids),
                split(_shifted(self.offsets, ids_before, num_bags), num_bags),
                split(self.coefficients, num_ids),
                split(_shifted(self.starts, ids_before, num_keys), num_keys),
                split(_shifted(self.bags, bags_before, num_ids), num_ids),
                split(self.ordered_coefficients, num_ids),
                repeat(self.is_single),
            )
        )


def _counts_below(ascending: Tensor, bounds: Sequence[int]) -> list[int]:
    """How many values lie below each of some ascending bounds and not below the one before."""
    below = torch.searchsorted(ascending, torch.tensor(bounds, device=ascending.device)).tolist()
    return [end - start for start, end in pairwise([0, *below])]


def _shifted(values: Tensor, shifts: Sequence[int], counts: Sequence[int]) -> Tensor:
    """Values with one number added to the first few of them, another to the next, and so on."""
    if len(shifts) == 1 and not shifts[0]:
        return values
    shift, count = torch.tensor([shifts, counts], device=values.device)
    return values + torch.repeat_interleave(shift, count, output_size=len(values))


def _places(columns: Sequence[RowIds], counts: Tensor) -> list[Tensor]:
    """Where the ids of each column go in the list of all.

    Args:
        columns: ragged or single.
        counts: ids of each row in each column, int64 [rows, columns].

    Returns:
        For each column int64 [num_ids].
    """
    starts = (counts.flatten().cumsum(0) - counts.flatten()).view(counts.shape)
    places = []
    for column, start, count in zip(columns, starts.unbind(1), counts.unbind(1), strict=True):
        before = count.cumsum(0) - count
        shift = torch.repeat_interleave(start - before, count)
        places.append(shift + torch.arange(len(column.values), device=shift.device))
    return places


def _interleave(columns: Sequence[Tensor], places: Sequence[Tensor] | None) -> Tensor:
    """Values of columns row after row.

    Args:
        columns: [num_ids] each.
        places: where they go; None where each has one value a row.
    """
    if places is None:
        return torch.stack(list(columns), dim=1).flatten()
    values = torch.cat(list(columns))
    return torch.empty_like(values).index_copy_(0, torch.cat(list(places)), values)


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


def _coefficients(bag: Tensor, weights: Tensor | None, combiners: Tensor, num_rows: int) -> Tensor | None:
    """What each id is multiplied by before the sum over its bag, [num_ids]; None means 1 for all."""
    if weights is None and bool((combiners == 0).all()):
        return None
    weight = torch.ones(len(bag), device=bag.device) if weights is None else weights
    power = combiners.repeat(num_rows)
    totals = torch.zeros(len(power), device=bag.device).index_add_(0, bag, weight)
    squares = torch.zeros(len(power), device=bag.device).index_add_(0, bag, weight * weight)
    divisors = torch.where(power == 1, totals, squares.sqrt())
    divisors = torch.where(power == 0, torch.ones_like(divisors), divisors)
    return torch.where(divisors[bag] == 0, torch.zeros_like(weight), weight / divisors[bag])


def sorted_unique(ids: Tensor, bound: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One sort that gives the unique ids and all that the backward pass needs.

    Args:
        ids: int64 [n].
        bound: above all of them.

    Returns:
        unique: ids in ascending order, [u].
        inverse: place of each id in `unique`, [n].
        order: the permutation that sorts the ids, [n].
        starts: where each unique id begins in that order, [u].
    """
    # Half the bytes sort in half the time.
    ordered, order = torch.sort(ids.int() if bound <= 2**31 else ids, stable=True)
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
    def forward(ctx: Any, rows: Tensor, lookup: Lookup) -> Tensor:
        ctx.lookup = lookup
        if len(lookup.inverse) == 0:
            return rows.new_zeros(len(lookup.offsets), rows.shape[1])
        if lookup.is_single and lookup.coefficients is None:
            return rows.index_select(0, lookup.inverse)
        return _sum_by(lookup.inverse, rows, lookup.offsets, lookup.coefficients)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), lookup = grads, ctx.lookup
        if len(lookup.bags) == 0:
            return grad.new_zeros(0, grad.shape[1]), None
        return _sum_by(lookup.bags, grad.contiguous(), lookup.starts, lookup.ordered_coefficients), None


def _sum_by(places: Tensor, rows: Tensor, offsets: Tensor, coefficients: Tensor | None) -> Tensor:
    weights = None if coefficients is None else coefficients.to(rows.dtype)
    # What F.embedding_bag does once it has checked its arguments; mode 0 is the sum.
    return torch.embedding_bag(rows, places, offsets, False, 0, False, weights)[0]
