"""The layers that networks are made of, with TensorFlow's variable names, layouts and arithmetic."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from raydnn.model.initializers import GlorotUniform, Ones, Zeros, initial_value
from raydnn.model.products import affine
from raydnn.model.variable import Variable

AllSum = Callable[[Tensor], Tensor]
"""Sums a tensor over the replicas of the model, differentiably; the identity where there is one."""


class Dense(nn.Module):
    """x @ kernel + bias, with the kernel laid out [inputs, units].

    Args:
        scope: prefix of the variable names.
        inputs, units: sizes of the last axis before and after.
        seed: of the initial values.
        use_bias: whether there is a bias.
        kernel_initializer: None is Glorot uniform.
        bias_initializer: None is zeros.
        trainable: whether the optimizer changes the variables.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        scope: str,
        inputs: int,
        units: int,
        seed: int,
        use_bias: bool = True,
        kernel_initializer: Any = None,
        bias_initializer: Any = None,
        trainable: bool = True,
    ) -> None:
        super().__init__()
        self.scope = scope
        kernel = initial_value(
            kernel_initializer or GlorotUniform(), (inputs, units), seed=seed, name=f"{scope}/kernel"
        )
        self.kernel = nn.Parameter(kernel, requires_grad=trainable)
        self.bias = None
        if use_bias:
            bias = initial_value(bias_initializer or Zeros(), (units,), seed=seed, name=f"{scope}/bias")
            self.bias = nn.Parameter(bias, requires_grad=trainable)

    def variables(self) -> Iterator[Variable]:
        """The kernel and the bias."""
        yield Variable(f"{self.scope}/kernel", self.kernel, self.kernel.requires_grad)
        if self.bias is not None:
            yield Variable(f"{self.scope}/bias", self.bias, self.bias.requires_grad)

    def forward(self, x: Tensor) -> Tensor:
        """From [..., inputs] to [..., units]."""
        if self.bias is None:
            return x @ self.kernel
        if x.dim() == 2:
            return affine(x, self.kernel, self.bias)
        return x @ self.kernel + self.bias


class BatchNorm(nn.Module):
    """Batch normalisation of the last axis with TensorFlow's moving averages, over the global batch.

    Normalises with the batch mean and the biased variance; moving = momentum * moving + (1 - momentum) * batch
    statistic, the biased variance too (torch takes the unbiased one).

    Args:
        scope: prefix of the variable names.
        units: size of the last axis.
        all_sum: sums over the replicas.
        momentum: of the moving averages.
        epsilon: added to the variance.
        trainable: whether the optimizer changes gamma and beta.
    """

    moving_mean: Tensor
    moving_variance: Tensor

    def __init__(
        self,
        scope: str,
        units: int,
        all_sum: AllSum,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        trainable: bool = True,
    ) -> None:
        super().__init__()
        self._scope = scope
        self._all_sum = all_sum
        self._momentum = momentum
        self._epsilon = epsilon
        self.gamma = nn.Parameter(Ones().draw((units,), None), requires_grad=trainable)
        self.beta = nn.Parameter(Zeros().draw((units,), None), requires_grad=trainable)
        self.register_buffer("moving_mean", Zeros().draw((units,), None))
        self.register_buffer("moving_variance", Ones().draw((units,), None))

    def variables(self) -> Iterator[Variable]:
        """gamma, beta and the moving averages."""
        yield Variable(f"{self._scope}/gamma", self.gamma, self.gamma.requires_grad)
        yield Variable(f"{self._scope}/beta", self.beta, self.beta.requires_grad)
        yield Variable(f"{self._scope}/moving_mean", self.moving_mean, trainable=False)
        yield Variable(f"{self._scope}/moving_variance", self.moving_variance, trainable=False)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape as x, [..., units]."""
        # What comes from matrices multiplied in bfloat16 has too few digits for statistics.
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        mean, variance = self.moving_mean, self.moving_variance
        if self.training:
            mean, variance = self._batch_statistics(x.flatten(0, -2))
        return (x - mean) * torch.rsqrt(variance + self._epsilon) * self.gamma + self.beta

    def _batch_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # The mean first and the squared distances from it second: one pass over sums of squares would cancel.
        totals = self._all_sum(torch.cat([x.sum(0), x.new_tensor([float(len(x))])]))
        rows = totals[-1].detach().clamp(min=1.0)
        mean = totals[:-1] / rows
        variance = self._all_sum(((x - mean) ** 2).sum(0)) / rows
        with torch.no_grad():
            # A batch without rows on any replica teaches nothing.
            share = (1 - self._momentum) * (totals[-1] > 0)
            self.moving_mean.lerp_(mean, share)
            self.moving_variance.lerp_(variance, share)
        return mean, variance
