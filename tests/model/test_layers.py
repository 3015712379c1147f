"""Dense layers and batch normalisation."""

from math import sqrt

import numpy as np
import pytest
import torch
from torch import Tensor

from raydnn.initializers import Constant
from raydnn.model.layers import BatchNorm, Dense

# --- Dense


def random_tensor(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3), (2, 1, 4, 3), (0, 3), (2, 0, 3)])
@pytest.mark.parametrize("use_bias", [True, False])
def test_the_last_axis_is_multiplied_by_the_kernel_whatever_axes_stand_before(
    shape: tuple[int, ...], use_bias: bool
) -> None:
    dense = Dense("d", 3, 5, seed=1, use_bias=use_bias, bias_initializer=Constant(0.5))
    x = random_tensor(*shape)
    expected = x.double().numpy() @ dense.kernel.detach().double().numpy() + 0.5 * use_bias
    found = dense(x).detach()
    assert found.shape == (*shape[:-1], 5)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_dense_names_its_variables_and_has_no_bias_where_none_is_wanted() -> None:
    both = [(variable.name, tuple(variable.tensor.shape)) for variable in Dense("a/b", 3, 5, seed=1).variables()]
    assert both == [("a/b/kernel", (3, 5)), ("a/b/bias", (5,))]
    assert [variable.name for variable in Dense("d", 3, 5, seed=1, use_bias=False).variables()] == ["d/kernel"]


def test_initial_values_of_dense_come_from_its_initializers() -> None:
    plain = Dense("d", 30, 50, seed=1)
    assert 0.9 * sqrt(6 / 80) < plain.kernel.abs().max() <= sqrt(6 / 80)
    assert plain.bias is not None
    assert (plain.bias == 0).all()
    given = Dense("d", 2, 3, seed=1, kernel_initializer=Constant(2.0), bias_initializer=Constant(-1.0))
    assert given.bias is not None
    assert (given.kernel == 2).all()
    assert (given.bias == -1).all()


def test_initial_values_of_dense_depend_on_seed_and_name() -> None:
    kernels = [Dense(name, 3, 5, seed=seed).kernel for name, seed in [("a", 1), ("a", 1), ("a", 2), ("b", 1)]]
    assert torch.equal(kernels[0], kernels[1])
    assert not torch.equal(kernels[0], kernels[2])
    assert not torch.equal(kernels[0], kernels[3])


def test_layers_that_are_not_trained_have_no_gradient() -> None:
    dense, norm = Dense("d", 3, 5, seed=1, trainable=False), batch_norm_of(5, trainable=False)
    assert not norm(dense(random_tensor(4, 3))).requires_grad
    assert not any(variable.trainable for layer in (dense, norm) for variable in layer.variables())


# --- Batch normalisation


def batch_norm_of(units: int, momentum: float = 0.999, epsilon: float = 0.001, trainable: bool = True) -> BatchNorm:
    return BatchNorm("scope", units, lambda tensor: tensor, momentum, epsilon, trainable)


def test_training_normalizes_with_the_mean_and_the_biased_variance_of_the_batch() -> None:
    norm = batch_norm_of(2).train()
    with torch.no_grad():
        norm.gamma.copy_(torch.tensor([2.0, 3.0]))
        norm.beta.copy_(torch.tensor([0.5, -0.5]))
    x = np.random.default_rng(0).normal(5.0, 3.0, size=(7, 2))
    expected = (x - x.mean(0)) / np.sqrt(x.var(0) + 0.001) * [2.0, 3.0] + [0.5, -0.5]
    np.testing.assert_allclose(norm(torch.tensor(x, dtype=torch.float32)).detach(), expected, rtol=1e-4, atol=1e-5)


def test_moving_averages_take_a_thousandth_of_each_batch() -> None:
    norm = batch_norm_of(2).train()
    mean, variance = np.zeros(2), np.ones(2)
    random = np.random.default_rng(0)
    for _ in range(5):
        x = random.normal(5.0, 3.0, size=(6, 2)).astype(np.float32)
        norm(torch.tensor(x))
        mean = 0.999 * mean + 0.001 * x.mean(0)
        variance = 0.999 * variance + 0.001 * x.var(0)
    np.testing.assert_allclose(norm.moving_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, variance, rtol=1e-5)


def test_evaluation_normalizes_with_the_moving_averages_and_leaves_them() -> None:
    norm = batch_norm_of(2).eval()
    norm.moving_mean.copy_(torch.tensor([1.0, -1.0]))
    norm.moving_variance.copy_(torch.tensor([4.0, 0.0]))
    x = torch.tensor([[3.0, -1.0], [1.0, 0.0]])
    expected = [[2 / sqrt(4.001), 0.0], [0.0, 1 / sqrt(0.001)]]
    torch.testing.assert_close(norm(x).detach(), torch.tensor(expected))
    assert norm.moving_mean.tolist() == [1.0, -1.0]
    assert norm.moving_variance.tolist() == [4.0, 0.0]


def test_the_gradient_flows_through_the_statistics_of_the_batch() -> None:
    norm = batch_norm_of(2).train().double()
    x = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(norm, (x,))


def test_a_batch_far_from_zero_keeps_its_variance() -> None:
    norm = batch_norm_of(1).train()
    x = torch.tensor([[10_000.0], [10_001.0], [10_002.0]])
    found = norm(x).detach().ravel().tolist()
    assert found == pytest.approx([-1 / sqrt(2 / 3 + 0.001), 0.0, 1 / sqrt(2 / 3 + 0.001)], rel=1e-3)


def test_batch_normalization_names_its_variables() -> None:
    variables = [(variable.name, variable.trainable) for variable in batch_norm_of(2).variables()]
    assert variables == [
        ("scope/gamma", True), ("scope/beta", True), ("scope/moving_mean", False), ("scope/moving_variance", False),
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 2, 3, 4)])
def test_all_axes_but_the_last_are_normalized_together(shape: tuple[int, ...]) -> None:
    flat, deep = batch_norm_of(4, momentum=0.9).train(), batch_norm_of(4, momentum=0.9).train()
    x = random_tensor(*shape)
    torch.testing.assert_close(deep(x).flatten(0, -2), flat(x.reshape(-1, 4)))
    torch.testing.assert_close(deep.moving_variance, flat.moving_variance)


@pytest.mark.parametrize(("momentum", "epsilon"), [(0.0, 0.5), (0.9, 0.0), (1.0, 0.001)])
def test_momentum_and_epsilon_are_those_given(momentum: float, epsilon: float) -> None:
    norm = batch_norm_of(1, momentum, epsilon).train()
    found = norm(torch.tensor([[1.0], [5.0]])).detach().ravel().tolist()
    assert found == pytest.approx([-2 / sqrt(4 + epsilon), 2 / sqrt(4 + epsilon)], rel=1e-5)
    assert norm.moving_mean.item() == pytest.approx(3 * (1 - momentum))
    assert norm.moving_variance.item() == pytest.approx(momentum + 4 * (1 - momentum))


def test_a_replica_normalizes_with_the_statistics_of_all_rows() -> None:
    x = random_tensor(7, 2)
    whole = batch_norm_of(2).train()
    sums = [torch.cat([x.sum(0), torch.tensor([7.0])]), ((x - x.mean(0)) ** 2).sum(0)]
    for part in (x[:3], x[3:], x[7:]):
        remaining = iter(sums)
        replica = BatchNorm("scope", 2, lambda _, rest=remaining: next(rest), momentum=0.999).train()
        start = 0 if len(part) == 3 else 7 - len(part)
        torch.testing.assert_close(replica(part), whole(x)[start : start + len(part)])
        assert list(remaining) == []
    with torch.no_grad():
        whole.moving_mean.zero_()
        whole(x)
    torch.testing.assert_close(replica.moving_mean, whole.moving_mean)


def test_evaluation_without_rows_gives_none() -> None:
    assert batch_norm_of(2).eval()(torch.zeros(0, 2)).shape == (0, 2)
