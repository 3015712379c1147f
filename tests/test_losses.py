"""Losses of model functions of one's own: shapes, types, what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fake_context import called, fake_context
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from raydnn import losses
from raydnn.losses import Reduction
from raydnn.train.replicas import SingleReplica
from raydnn.train.run_context import Call, surroundings

REDUCTIONS = [reduction for reduction in Reduction.all() if reduction != Reduction.NONE]


class OneOfTwo(SingleReplica):
    """A replica whose partner brings a given amount to every sum."""

    size = 2

    def __init__(self, partner: Tensor) -> None:
        self.partner = partner

    def all_sum(self, tensor: Tensor) -> Tensor:
        return tensor + self.partner


def weighted(values: Any, weights: Any = 1.0, reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS) -> Any:
    loss = called(lambda: losses.compute_weighted_loss(torch.tensor(values), weights, reduction))
    return loss.tolist()


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (2.0, [[2.0, 4.0], [6.0, 8.0]]),
        (2, [[2.0, 4.0], [6.0, 8.0]]),
        (torch.tensor(2.0), [[2.0, 4.0], [6.0, 8.0]]),
        (torch.tensor([[0], [3]]), [[0.0, 0.0], [9.0, 12.0]]),
        (torch.tensor([[1.0, 0.5]]), [[1.0, 1.0], [3.0, 2.0]]),
        (torch.tensor([[True], [False]]), [[1.0, 2.0], [0.0, 0.0]]),
        (np.array([[1.0], [2.0]]), [[1.0, 2.0], [6.0, 8.0]]),
        ([[1.0], [2.0]], [[1.0, 2.0], [6.0, 8.0]]),
    ],
)
def test_weights_of_every_kind_broadcast_to_the_losses(weights: Any, expected: list[list[float]]) -> None:
    assert weighted([[1.0, 2.0], [3.0, 4.0]], weights, Reduction.NONE) == expected


@pytest.mark.parametrize("weights", [[1.0, 2.0], [[1.0], [2.0], [3.0]], [[1.0, 2.0, 3.0]], [[[1.0]]]])
def test_weights_that_do_not_fit_are_refused(weights: Any) -> None:
    with pytest.raises(ValueError, match=r"weights of shape .* do not fit values of shape \(3,\)"):
        weighted([1.0, 2.0, 3.0], torch.tensor(weights))


@pytest.mark.parametrize("reduction", ["sum", "mean", "", None])
def test_an_unknown_reduction_is_refused(reduction: Any) -> None:
    with pytest.raises(ValueError, match="is not one of none, weighted_sum, weighted_mean"):
        weighted([1.0], 1.0, reduction)


def test_a_weight_of_a_row_counts_for_each_of_its_columns() -> None:
    weights = torch.tensor([[0.0], [2.0]])
    expected = {
        Reduction.SUM: 12.0,
        Reduction.MEAN: 2.0,
        Reduction.SUM_OVER_BATCH_SIZE: 2.0,
        Reduction.SUM_BY_NONZERO_WEIGHTS: 4.0,
    }
    assert {name: weighted([[1.0] * 3, [2.0] * 3], weights, name) for name in REDUCTIONS} == expected


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "loss",
    [
        lambda reduction: losses.compute_weighted_loss(torch.zeros(0), torch.zeros(0), reduction),
        lambda reduction: losses.sigmoid_cross_entropy(
            torch.zeros(0, 1), torch.zeros(0, 1), torch.zeros(0, 1), 0.1, reduction
        ),
        lambda reduction: losses.softmax_cross_entropy(
            torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0), 0.1, reduction
        ),
        lambda reduction: losses.sparse_softmax_cross_entropy(
            torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3), torch.zeros(0, 1), reduction
        ),
        lambda reduction: losses.mean_squared_error(torch.zeros(0), torch.zeros(0), 1.0, reduction),
    ],
)
def test_without_rows_the_loss_is_zero(loss: Callable[[str], Tensor], reduction: str) -> None:
    found = called(lambda: loss(reduction))
    assert found.shape == ()
    assert found.item() == 0


@pytest.mark.parametrize(
    "loss",
    [
        lambda: losses.sigmoid_cross_entropy(torch.zeros(3), torch.zeros(3, 1)),
        lambda: losses.sigmoid_cross_entropy(torch.zeros(4, 1), torch.zeros(3, 1)),
        lambda: losses.softmax_cross_entropy(torch.zeros(3, 2), torch.zeros(3, 4)),
        lambda: losses.softmax_cross_entropy(torch.zeros(3), torch.zeros(3, 4)),
        lambda: losses.sparse_softmax_cross_entropy(torch.zeros(2), torch.zeros(3, 4)),
        lambda: losses.sparse_softmax_cross_entropy(torch.zeros(3, 2), torch.zeros(3, 4)),
        lambda: losses.mean_squared_error(torch.zeros(3), torch.zeros(3, 1)),
        lambda: losses.mean_squared_error(0.0, torch.zeros(3)),
    ],
)
def test_labels_of_another_shape_are_refused(loss: Callable[[], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"labels of shape .* do not fit"):
        called(loss)


@pytest.mark.parametrize("kind", [bool, np.int32, np.int64, np.float64, list, torch.tensor])
def test_labels_may_be_of_any_kind(kind: Any) -> None:
    labels = [0, 1, 1]
    given_labels = np.array(labels, kind) if isinstance(kind, type) and kind is not list else kind(labels)
    logits = torch.tensor([0.5, -1.0, 2.0])
    expected = called(lambda: losses.sigmoid_cross_entropy(torch.tensor(labels).float(), logits))
    assert called(lambda: losses.sigmoid_cross_entropy(given_labels, logits)) == expected
    expected = called(lambda: losses.mean_squared_error(torch.tensor(labels).float(), logits))
    assert called(lambda: losses.mean_squared_error(given_labels, logits)) == expected


@pytest.mark.parametrize("logit", [-1000.0, -100.0, 100.0, 1000.0])
def test_cross_entropies_of_large_logits_are_finite(logit: float) -> None:
    sigmoid = called(lambda: losses.sigmoid_cross_entropy([1.0], torch.tensor([logit])))
    assert sigmoid.item() == pytest.approx(max(-logit, 0))
    logits = torch.tensor([[logit, 0.0]])
    softmax = called(lambda: losses.softmax_cross_entropy([[1.0, 0.0]], logits))
    assert softmax.item() == pytest.approx(max(-logit, 0))
    assert called(lambda: losses.sparse_softmax_cross_entropy([0], logits)) == softmax


def test_smoothed_labels_share_a_part_among_the_classes() -> None:
    logits = torch.tensor([[1.0, 2.0, 4.0]])
    smooth = called(lambda: losses.softmax_cross_entropy([[0.8, 0.1, 0.1]], logits))
    found = called(lambda: losses.softmax_cross_entropy([[1.0, 0.0, 0.0]], logits, label_smoothing=0.3))
    torch.testing.assert_close(found, torch.logsumexp(logits[0], 0) - (0.8 * 1 + 0.1 * 2 + 0.1 * 4))
    torch.testing.assert_close(found, smooth)
    smooth = called(lambda: losses.sigmoid_cross_entropy([0.8], logits[0, :1]))
    torch.testing.assert_close(
        called(lambda: losses.sigmoid_cross_entropy([1.0], logits[0, :1], label_smoothing=0.4)), smooth
    )


def test_gradients_reach_the_predictions() -> None:
    predictions = torch.tensor([1.0, 2.0, 4.0], requires_grad=True)
    loss = called(lambda: losses.mean_squared_error([0.0, 0.0, 5.0], predictions, torch.tensor([1.0, 0.0, 0.5])))
    loss.backward()
    torch.testing.assert_close(predictions.grad, torch.tensor([1.0, 0.0, -0.5]))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=1, max_size=6), cut=st.integers(0, 6))
def test_the_shares_of_two_replicas_add_up(reduction: str, rows: list[tuple[int, int]], cut: int) -> None:
    values = torch.tensor([float(value) for value, _ in rows])
    weights = torch.tensor([weight / 2 for _, weight in rows])
    whole = called(lambda: losses.compute_weighted_loss(values, weights, reduction))
    divisor = {
        Reduction.MEAN: torch.sum,
        Reduction.SUM_OVER_BATCH_SIZE: lambda part: torch.tensor(float(len(part))),
    }.get(reduction, lambda part: (part != 0).sum().float())
    total = torch.zeros(())
    for own, other in ((slice(cut), slice(cut, None)), (slice(cut, None), slice(cut))):
        context = fake_context()
        context.replicas = OneOfTwo(divisor(weights[other]))
        total = total + called(
            lambda own=own: losses.compute_weighted_loss(values[own], weights[own], reduction), context
        )
    torch.testing.assert_close(total, whole)


def test_while_the_model_is_built_no_other_replica_is_asked() -> None:
    context = fake_context()
    context.replicas = OneOfTwo(torch.tensor(100.0))
    context.is_building = True
    with surroundings(context, Call()):
        assert losses.compute_weighted_loss(torch.tensor([2.0, 4.0])).item() == 3
