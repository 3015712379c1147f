"""Reductions of the losses of a batch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import raydnn
from raydnn.model.losses import Reduction, reduce_loss

LOSSES = torch.tensor([1.0, 2.0, 4.0])
REDUCTIONS = [reduction for reduction in Reduction.all() if reduction != Reduction.NONE]


def alone(tensor: Tensor) -> Tensor:
    """The sum over the replicas of a model that has one."""
    return tensor


def test_the_names_are_those_of_tensorflow() -> None:
    assert Reduction.all() == (
        "none",
        "weighted_sum",
        "weighted_mean",
        "weighted_sum_over_batch_size",
        "weighted_sum_by_nonzero_weights",
    )
    assert Reduction.SUM_OVER_NONZERO_WEIGHTS == Reduction.SUM_BY_NONZERO_WEIGHTS
    assert raydnn.losses.Reduction is Reduction


@pytest.mark.parametrize("reduction", Reduction.all())
def test_every_name_is_valid(reduction: str) -> None:
    Reduction.validate(reduction)


@pytest.mark.parametrize("key", [None, "sum", "SUM", 3])
def test_another_name_is_refused_with_the_known_ones(key: Any) -> None:
    with pytest.raises(ValueError, match=rf"loss_reduction {key!r} is not one of none, weighted_sum, "):
        Reduction.validate(key)


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        (Reduction.SUM, 7.0),
        (Reduction.MEAN, 7.0 / 3),
        (Reduction.SUM_OVER_BATCH_SIZE, 7.0 / 3),
        (Reduction.SUM_BY_NONZERO_WEIGHTS, 7.0 / 3),
    ],
)
def test_without_weights_every_row_counts_one(reduction: str, expected: float) -> None:
    assert reduce_loss(LOSSES, None, reduction, alone).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("reduction", "divisor"),
    [
        (Reduction.SUM, lambda weights: 1.0),
        (Reduction.MEAN, sum),
        (Reduction.SUM_OVER_BATCH_SIZE, len),
        (Reduction.SUM_BY_NONZERO_WEIGHTS, lambda weights: sum(weight != 0 for weight in weights)),
    ],
)
@pytest.mark.parametrize(
    "weights", [[1.0, 2.0, 0.5], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0], [-1.0, 2.0, 3.0], [-1.0, 0.0, 1.0]]
)
def test_the_weighted_sum_is_divided_as_the_reduction_says_and_by_zero_it_gives_zero(
    reduction: str, divisor: Callable[[list[float]], float], weights: list[float]
) -> None:
    total = sum(weight * loss for weight, loss in zip(weights, LOSSES.tolist(), strict=True))
    count = divisor(weights)
    found = reduce_loss(LOSSES, torch.tensor(weights), reduction, alone)
    assert found.shape == ()
    assert found.item() == pytest.approx(total / count if count else 0.0)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weights", [None, torch.zeros(0)])
def test_a_batch_without_rows_has_the_loss_zero(reduction: str, weights: Tensor | None) -> None:
    assert reduce_loss(torch.zeros(0), weights, reduction, alone).item() == 0


@pytest.mark.parametrize("reduction", REDUCTIONS)
@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 9), st.integers(-2, 5)), min_size=1, max_size=8), cut=st.integers(0, 8))
def test_the_shares_of_the_replicas_add_up_to_the_loss_of_the_whole_batch(
    reduction: str, rows: list[tuple[int, int]], cut: int
) -> None:
    losses = torch.tensor([float(loss) for loss, _ in rows])
    weights = torch.tensor([float(weight) for _, weight in rows])
    divisors: list[Tensor] = []

    def remember(tensor: Tensor) -> Tensor:
        divisors.append(tensor)
        return tensor

    whole = reduce_loss(losses, weights, reduction, remember)
    shares = [
        reduce_loss(losses[part], weights[part], reduction, lambda tensor: divisors[0])
        for part in (slice(cut), slice(cut, None))
    ]
    torch.testing.assert_close(sum(shares), whole)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weights", [[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
def test_gradients_stay_finite_also_where_the_divisor_is_zero(reduction: str, weights: list[float]) -> None:
    losses = LOSSES.clone().requires_grad_()
    reduce_loss(losses, torch.tensor(weights), reduction, alone).backward()
    assert losses.grad is not None
    assert torch.isfinite(losses.grad).all()
    assert losses.grad[1] == 0
