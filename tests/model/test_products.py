"""Products of layers, whichever library makes them."""

import platform

import pytest
import torch
from torch import Tensor

from raydnn.model import products
from raydnn.model.products import LARGE, affine


def parts(rows: int, inputs: int, units: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = (rows, inputs), (inputs, units), (units,)
    x, kernel, bias = (torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)
    return x, kernel, bias


SMALL, LARGER = (5, 4, 3), (512, 128, 129)


@pytest.mark.parametrize("shape", [SMALL, LARGER, (0, 4, 3)])
def test_values_and_gradients_are_those_of_the_formula(shape: tuple[int, int, int]) -> None:
    x, kernel, bias = parts(*shape)
    found = affine(x, kernel, bias)
    upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(2))
    gradients = torch.autograd.grad(found, (x, kernel, bias), upstream)
    torch.testing.assert_close(found, x @ kernel + bias, rtol=1e-5, atol=1e-4)
    for gradient, expected in zip(gradients, (upstream @ kernel.t(), x.t() @ upstream, upstream.sum(0)), strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-4)


def test_the_large_case_is_large() -> None:
    assert LARGER[0] * LARGER[1] * LARGER[2] >= LARGE


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_without_gradients_the_bits_are_the_same(context: type[torch.no_grad]) -> None:
    x, kernel, bias = parts(*LARGER)
    with context():
        assert torch.equal(affine(x, kernel, bias), affine(x.detach(), kernel, bias))
        alone = affine(x, kernel, bias)
    assert torch.equal(alone, affine(x, kernel, bias).detach())


def test_what_needs_no_gradient_gets_none() -> None:
    x, kernel, bias = parts(*LARGER)
    affine(x.detach(), kernel, bias.detach()).sum().backward()
    assert (x.grad, bias.grad) == (None, None)
    assert kernel.grad is not None


def test_gradients_of_gradients_are_those_of_the_formula() -> None:
    x, kernel, bias = parts(*LARGER)

    def penalty(product: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(product.square().sum(), x, create_graph=True)
        (of_kernel,) = torch.autograd.grad(gradient.square().sum(), kernel)
        return of_kernel

    expected = penalty(torch.addmm(bias, x, kernel))
    torch.testing.assert_close(
        penalty(affine(x, kernel, bias)), expected, rtol=1e-4, atol=float(expected.abs().max()) * 1e-5
    )


def test_autocast_decides_the_dtype() -> None:
    x, kernel, bias = parts(*LARGER)
    with torch.autocast("cpu", torch.bfloat16):
        assert affine(x, kernel, bias).dtype == torch.bfloat16


def test_where_there_is_no_onednn_torch_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    x, kernel, bias = parts(*LARGER)
    monkeypatch.setattr(products, "_has_onednn", lambda: False)
    assert torch.equal(affine(x, kernel, bias), torch.addmm(bias, x, kernel))


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_an_operator_that_is_not_as_it_was_is_left_alone(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    def changed(*arguments: object) -> Tensor:
        raise RuntimeError("expected other arguments")

    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(products, "_linear", changed)
    products._has_onednn.cache_clear()
    try:
        x, kernel, bias = parts(*LARGER)
        assert torch.equal(affine(x, kernel, bias), torch.addmm(bias, x, kernel))
    finally:
        products._has_onednn.cache_clear()
