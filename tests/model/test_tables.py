"""Embedding tables against a plain loop over rows and ids in float64."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from table_cases import COMBINERS, Case, cases, look_up, row_ids
from torch import Tensor

from raydnn.model.bags import Bags, Lookup, Pool, TableUse
from raydnn.model.batch import RowIds
from raydnn.model.tables import RowGradient, Table, TableGroup, sum_rows

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def group_of(
    table_rows: Sequence[int], dimension: int = 3, trainable: bool = True, max_norm: float | None = None
) -> TableGroup:
    tables = [Table(f"table_{place}", rows, None) for place, rows in enumerate(table_rows)]
    group = TableGroup(dimension, tables, trainable, max_norm)
    group.weight.copy_(torch.randn(group.weight.shape, generator=torch.Generator().manual_seed(7)))
    return group


def vectors(group: TableGroup, *rows: int) -> Tensor:
    return group.weight[list(rows)]


# --- The reference


def reference(case: Case, weight: Tensor, first_rows: Sequence[int]) -> Tensor:
    """The combined vectors by the definition, [uses, rows, dimension]."""
    outputs = []
    for use in case.uses:
        ids, weights = case.ids[use.ids], case.weights[use.ids]
        for row in range(case.num_rows):
            given_weights = [1.0] * len(ids[row]) if weights is None else weights[row]
            pairs = [
                (weight[first_rows[use.table] + each], float(np.float32(factor)))
                for each, factor in zip(ids[row], given_weights, strict=True)
                if each >= 0 and (use.combiner == "sum" or factor > 0)
            ]
            outputs.append(combined(pairs, use.combiner, case.max_norm, weight.shape[1]))
    return torch.stack(outputs).view(len(case.uses), case.num_rows, -1) if outputs else weight.new_zeros(0)


def combined(pairs: list[tuple[Tensor, float]], combiner: str, max_norm: float | None, dimension: int) -> Tensor:
    total = torch.zeros(dimension, dtype=torch.float64)
    for vector, factor in pairs:
        norm = vector.norm()
        is_clipped = max_norm is not None and norm > max_norm
        total = total + factor * (vector * max_norm / norm if is_clipped else vector)
    divisor = {
        "sum": 1.0,
        "mean": sum(factor for _, factor in pairs),
        "sqrtn": sum(factor * factor for _, factor in pairs) ** 0.5,
    }[combiner]
    return total / divisor if pairs and divisor else total * 0


@settings(max_examples=150, deadline=None)
@given(cases())
def test_vectors_and_row_gradients_equal_those_of_a_plain_loop(case: Case) -> None:
    group = group_of(case.table_rows, max_norm=case.max_norm)
    dense = group.weight.double().requires_grad_()
    before = group.weight.clone()

    found = torch.stack(look_up(group, case.uses, case.batch_ids(), case.num_rows))
    expected = reference(case, dense, group.first_rows).view(found.shape)
    torch.testing.assert_close(found.double(), expected, **CLOSE)

    upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    found.backward(upstream)
    if expected.requires_grad:
        expected.backward(upstream.double())
    gradient = group.take_gradient()
    spread = torch.zeros_like(dense)
    if gradient is not None:
        assert gradient.rows.tolist() == sorted(set(gradient.rows.tolist()))
        spread[gradient.rows] = gradient.values.double()
    torch.testing.assert_close(spread, torch.zeros_like(dense) if dense.grad is None else dense.grad, **CLOSE)
    assert torch.equal(group.weight, before)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_the_gradient_holds_the_rows_that_are_read_and_no_others(case: Case) -> None:
    group = group_of(case.table_rows, max_norm=case.max_norm)
    torch.stack(look_up(group, case.uses, case.batch_ids(), case.num_rows)).sum().backward()
    gradient = group.take_gradient()
    expected = {
        group.first_rows[use.table] + each
        for use in case.uses
        for row in range(case.num_rows)
        # As in TensorFlow, an empty row of the batch reads row 0 of the table, and counts it 0.
        for each in counted_ids(case, use, row) or [0]
    }
    assert (set() if gradient is None else set(gradient.rows.tolist())) == expected


@settings(max_examples=100, deadline=None)
@given(cases(), st.data())
def test_lookups_prepared_together_give_the_bits_of_those_prepared_alone(case: Case, data: st.DataObject) -> None:
    group = group_of(case.table_rows, max_norm=case.max_norm)
    bounds = sorted(data.draw(st.lists(st.integers(0, case.num_rows), max_size=3)))
    sizes = [stop - start for start, stop in pairwise([0, *bounds, case.num_rows])]
    alone = zip(*(ids.split(sizes) for ids in case.batch_ids()), strict=True)
    together = group.prepare(case.uses, case.batch_ids(), sizes)
    for size, ids, lookup in zip(sizes, alone, together, strict=True):
        (expected,) = group.prepare(case.uses, ids, [size])
        vectors, gradient = read(group, lookup)
        expected_vectors, expected_gradient = read(group, expected)
        assert torch.equal(vectors, expected_vectors)
        assert torch.equal(gradient.rows, expected_gradient.rows)
        assert torch.equal(gradient.values, expected_gradient.values)


def read(group: TableGroup, lookup: Lookup) -> tuple[Tensor, RowGradient]:
    """The vectors of a lookup, and the gradient that some gradient of them gives."""
    vectors = group.read(lookup)
    vectors.backward(torch.arange(vectors.numel(), dtype=torch.float32).view(vectors.shape))
    gradient = group.take_gradient()
    assert gradient is not None
    return vectors, gradient


def counted_ids(case: Case, use: TableUse, row: int) -> list[int]:
    ids, weights = case.ids[use.ids][row], case.weights[use.ids]
    factors = [1.0] * len(ids) if weights is None else weights[row]
    return [
        each for each, factor in zip(ids, factors, strict=True) if each >= 0 and (use.combiner == "sum" or factor > 0)
    ]


# --- What each part of the definition means


@pytest.mark.parametrize(("combiner", "divisor"), [("sum", 1.0), ("mean", 3.0), ("sqrtn", 3.0**0.5)])
def test_an_id_present_twice_counts_twice(combiner: str, divisor: float) -> None:
    group = group_of([4])
    (found,) = look_up(group, [TableUse("c", 0, 0, combiner)], [row_ids([[1, 1, 2]])], 1)
    one, two = vectors(group, 1, 2)
    torch.testing.assert_close(found[0], (2 * one + two) / divisor)


@pytest.mark.parametrize("combiner", COMBINERS)
@pytest.mark.parametrize("ids", [[], [-1], [-1, -1]])
def test_a_row_without_ids_gives_zeros_and_touches_row_0_with_a_gradient_of_zero(combiner: str, ids: list[int]) -> None:
    group = group_of([2, 4])
    (found,) = look_up(group, [TableUse("c", 1, 0, combiner)], [row_ids([[2], ids, [2]])], 3)
    assert found[1].tolist() == [0.0, 0.0, 0.0]
    found.sum().backward()
    gradient = group.take_gradient()
    assert gradient is not None
    assert gradient.rows.tolist() == [2, 4]
    assert gradient.values[:, 0].tolist() == [0.0, 2.0]


@pytest.mark.parametrize("combiner", COMBINERS)
def test_missing_ids_do_not_count_in_the_divisor(combiner: str) -> None:
    group = group_of([4])
    uses = [TableUse("c", 0, 0, combiner)]
    (with_missing,) = look_up(group, uses, [row_ids([[1, -1, 3, -1]])], 1)
    (without,) = look_up(group, uses, [row_ids([[1, 3]])], 1)
    torch.testing.assert_close(with_missing, without)


@pytest.mark.parametrize(
    ("combiner", "factors"),
    [("sum", (2.0, 0.0, -1.0)), ("mean", (1.0, 0.0, 0.0)), ("sqrtn", (1.0, 0.0, 0.0))],
)
def test_weights_of_zero_and_below_count_in_a_sum_only(combiner: str, factors: tuple[float, ...]) -> None:
    group = group_of([3])
    ids = row_ids([[0, 1, 2]], [[2.0, 0.0, -1.0]])
    (found,) = look_up(group, [TableUse("c", 0, 0, combiner)], [ids], 1)
    expected = sum(factor * vector for factor, vector in zip(factors, group.weight, strict=True))
    torch.testing.assert_close(found[0], expected)
    found.sum().backward()
    gradient = group.take_gradient()
    assert gradient is not None
    assert gradient.rows.tolist() == ([0, 1, 2] if combiner == "sum" else [0])


@pytest.mark.parametrize(
    ("combiner", "divisor"), [("sum", 1.0), ("mean", 2.0 + 0.5), ("sqrtn", (2.0**2 + 0.5**2) ** 0.5)]
)
def test_weights_enter_the_sum_and_the_divisor(combiner: str, divisor: float) -> None:
    group = group_of([3])
    (found,) = look_up(group, [TableUse("c", 0, 0, combiner)], [row_ids([[0, 2]], [[2.0, 0.5]])], 1)
    first, second = vectors(group, 0, 2)
    torch.testing.assert_close(found[0], (2 * first + 0.5 * second) / divisor)


def test_a_norm_limit_scales_longer_vectors_before_they_are_combined_and_leaves_the_table() -> None:
    group = group_of([3], dimension=2, max_norm=1.0)
    group.weight.copy_(torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]]))
    (found,) = look_up(group, [TableUse("c", 0, 0, "sum")], [row_ids([[0], [1], [2], [0, 1]])], 4)
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0], [0.9, 1.2]]))
    assert group.weight[0].tolist() == [3.0, 4.0]


def test_the_gradient_through_a_norm_limit_has_no_part_along_the_vector() -> None:
    group = group_of([2], dimension=2, max_norm=1.0)
    group.weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    (found,) = look_up(group, [TableUse("c", 0, 0, "sum")], [row_ids([[0], [1]])], 2)
    found.backward(torch.tensor([[3.0, 4.0], [1.0, 1.0]]))
    gradient = group.take_gradient()
    assert gradient is not None
    torch.testing.assert_close(gradient.values, torch.tensor([[0.0, 0.0], [1.0, 1.0]]))


def test_tables_of_a_group_lie_below_each_other() -> None:
    group = group_of([2, 3])
    assert group.weight.shape == (5, 3)
    first, second = look_up(
        group,
        [TableUse("a", 0, 0, "mean"), TableUse("b", 1, 1, "mean")],
        [RowIds(torch.tensor([1])), RowIds(torch.tensor([1]))],
        1,
    )
    assert torch.equal(first[0], group.weight[1])
    assert torch.equal(second[0], group.weight[3])


def test_the_gradients_of_all_uses_of_a_shared_table_are_summed() -> None:
    group = group_of([3])
    uses = [TableUse("a", 0, 0, "sum"), TableUse("b", 0, 1, "sum")]
    first, second = look_up(group, uses, [row_ids([[1], [1]]), row_ids([[1], [2]])], 2)
    (first.sum() + 10 * second.sum()).backward()
    gradient = group.take_gradient()
    assert gradient is not None
    assert gradient.rows.tolist() == [1, 2]
    assert gradient.values.tolist() == [[12.0] * 3, [10.0] * 3]


def test_one_set_of_ids_can_feed_several_uses() -> None:
    group = group_of([3, 3])
    ids = row_ids([[0, 2]])
    uses = [TableUse("a", 0, 0, "sum"), TableUse("b", 1, 0, "mean")]
    first, second = look_up(group, uses, [ids], 1)
    torch.testing.assert_close(first[0], vectors(group, 0, 2).sum(0))
    torch.testing.assert_close(second[0], vectors(group, 3, 5).mean(0))


def test_the_gradients_of_several_lookups_are_summed() -> None:
    group = group_of([4])
    uses = [TableUse("a", 0, 0, "sum")]
    (first,) = look_up(group, uses, [row_ids([[3, 1]])], 1)
    (second,) = look_up(group, uses, [row_ids([[3], [0]])], 2)
    (first.sum() + second.sum()).backward()
    gradient = group.take_gradient()
    assert gradient is not None
    assert gradient.rows.tolist() == [0, 1, 3]
    assert gradient.values[:, 0].tolist() == [1.0, 1.0, 2.0]


def test_a_gradient_is_taken_once() -> None:
    group = group_of([4])
    (found,) = look_up(group, [TableUse("a", 0, 0, "sum")], [row_ids([[3]])], 1)
    found.sum().backward()
    assert group.take_gradient() is not None
    assert group.take_gradient() is None


def test_without_a_backward_pass_there_is_no_gradient() -> None:
    group = group_of([4])
    look_up(group, [TableUse("a", 0, 0, "sum")], [row_ids([[3]])], 1)
    assert group.take_gradient() is None


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_without_gradients_nothing_is_kept(context: Callable[[], Any]) -> None:
    group = group_of([4])
    with context():
        (found,) = look_up(group, [TableUse("a", 0, 0, "sum")], [row_ids([[3]])], 1)
    assert not found.requires_grad
    assert group.take_gradient() is None


def test_a_table_that_is_not_trainable_gets_no_gradient() -> None:
    group = group_of([4], trainable=False)
    (found,) = look_up(group, [TableUse("a", 0, 0, "sum")], [row_ids([[3]])], 1)
    assert not found.requires_grad
    torch.testing.assert_close(found[0], group.weight[3])


# --- Edges


@pytest.mark.parametrize("ids", [row_ids([]), RowIds(torch.zeros(0, dtype=torch.int32))])
@pytest.mark.parametrize("num_uses", [1, 2])
def test_no_rows_give_no_vectors_and_touch_no_rows(ids: RowIds, num_uses: int) -> None:
    group = group_of([4])
    found = look_up(group, [TableUse("a", 0, 0, "mean")] * num_uses, [ids], 0)
    assert [vector.shape for vector in found] == [(0, 3)] * num_uses
    torch.stack(found).sum().backward()
    gradient = group.take_gradient()
    assert gradient is None or len(gradient.rows) == 0


def test_a_batch_in_which_every_id_is_missing_gives_zeros() -> None:
    group = group_of([4])
    (found,) = look_up(group, [TableUse("a", 0, 0, "mean")], [RowIds(torch.tensor([-1, -1]))], 2)
    assert found.tolist() == [[0.0] * 3] * 2
    found.sum().backward()
    gradient = group.take_gradient()
    assert gradient is not None
    assert not gradient.values.any()


# --- Sums by row


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=30))
def test_duplicated_rows_are_summed_and_ordered(rows: list[int]) -> None:
    values = torch.randn(len(rows), 2, generator=torch.Generator().manual_seed(3))
    found = sum_rows(torch.tensor(rows, dtype=torch.int64), values)
    assert found.rows.tolist() == sorted(set(rows))
    expected = [sum(values[place] for place, row in enumerate(rows) if row == each) for each in sorted(set(rows))]
    assert found.values.shape == (len(expected), 2)
    if expected:
        torch.testing.assert_close(found.values, torch.stack(expected))


def test_rows_beyond_32_bits_keep_their_number() -> None:
    rows = torch.tensor([2**40, 5, 2**40])
    found = sum_rows(rows, torch.ones(3, 1))
    assert found.rows.tolist() == [5, 2**40]
    assert found.values.tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize("has_coefficients", [False, True])
@pytest.mark.parametrize("bag_sizes", [[2, 0, 3, 1], [0, 0, 4], [1, 1, 1], [3, 0]])
def test_the_pooling_gradient_is_that_of_its_forward_pass(has_coefficients: bool, bag_sizes: list[int]) -> None:
    generator = torch.Generator().manual_seed(5)
    bag = torch.repeat_interleave(torch.arange(len(bag_sizes)), torch.tensor(bag_sizes))
    ids = torch.randint(0, 3, (len(bag),), generator=generator)
    offsets = torch.searchsorted(bag, torch.arange(len(bag_sizes)))
    coefficients = torch.randn(len(bag), generator=generator, dtype=torch.float64) if has_coefficients else None
    (lookup,) = Lookup.of_each(Bags(ids, bag, offsets, coefficients), 3, [len(bag_sizes)])
    rows = torch.randn(len(lookup.keys), 2, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda rows: Pool.apply(rows, lookup), (rows,))
