"""The matrix products of layers, by the faster of the two libraries that torch has for them on x86 processors.

oneDNN multiplies large matrices by a layer's kernel, and gradients by its transpose, faster than MKL where that was
measured (docs/performance.md), but torch's `addmm` always takes MKL for float32. Gradients of kernels, and small
products, are left to it.
"""

import platform
from functools import cache
from typing import Any

import torch
from torch import Tensor

LARGE = 2**23
"""Multiplications from which on oneDNN is called; below, the call from Python costs more than it saves."""


def affine(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """x @ kernel + bias.

    Args:
        x: [rows, inputs].
        kernel: [inputs, units].
        bias: [units].
    """
    is_large = len(x) * kernel.numel() >= LARGE
    if not (is_large and _has_onednn() and x.is_cpu and x.dtype == torch.float32) or torch.is_autocast_enabled("cpu"):
        return torch.addmm(bias, x, kernel)
    if torch.is_grad_enabled():
        product: Tensor = _Affine.apply(x, kernel, bias)  # type: ignore[no-untyped-call]
        return product
    return _linear(x, kernel.t(), bias)


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, kernel)
        return _linear(x, kernel.t(), bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (x, kernel) = grads, ctx.saved_tensors
        needs_x, needs_kernel, needs_bias = ctx.needs_input_grad
        of_x = None
        if needs_x:
            # Who wants gradients of gradients needs an operator that has them.
            of_x = grad @ kernel.t() if torch.is_grad_enabled() else _linear(grad, kernel, None)
        return of_x, x.t() @ grad if needs_kernel else None, grad.sum(0) if needs_bias else None


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


@cache
def _has_onednn() -> bool:
    """Whether torch has the operator that its compiler makes linear layers of, and it is still as it was."""
    if platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available():
        return False
    x, weight = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
    try:
        return bool(_linear(x, weight, torch.tensor([5.0])).item() == 16.0)
    except (AttributeError, RuntimeError):
        return False
