"""Activation functions by name."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from raydnn.model.activations import _BY_NAME, activation, activation_name

VALUES = [-7.0, -3.0, -1.0, -0.25, 0.0, 0.25, 1.0, 3.0, 7.0]
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


FORMULAS: dict[str, Callable[[float], float]] = {
    "relu": lambda x: max(x, 0),
    "relu6": lambda x: min(max(x, 0), 6),
    "leaky_relu": lambda x: x if x > 0 else 0.2 * x,
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "selu": lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * math.expm1(x)),
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "sigmoid": sigmoid,
    "tanh": math.tanh,
    "softplus": softplus,
    "softsign": lambda x: x / (1 + abs(x)),
    "swish": lambda x: x * sigmoid(x),
    "silu": lambda x: x * sigmoid(x),
    "mish": lambda x: x * math.tanh(softplus(x)),
    "exponential": math.exp,
    "hard_sigmoid": lambda x: min(max(0.2 * x + 0.5, 0), 1),
    "linear": lambda x: x,
}


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_a_name_means_its_formula(name: str) -> None:
    expected = torch.tensor([FORMULAS[name](x) for x in VALUES])
    torch.testing.assert_close(activation(name)(torch.tensor(VALUES)), expected)


# d activation / dx at 0, from tf.GradientTape over tf.nn's functions (TensorFlow 2.15.1).
SLOPES_AT_ZERO = {"relu": 0.0, "relu6": 0.0, "leaky_relu": 0.2, "elu": 1.0, "selu": 1.0507010221481323}


@pytest.mark.parametrize(("name", "slope"), SLOPES_AT_ZERO.items())
def test_the_gradient_at_a_kink_is_tensorflows(name: str, slope: float) -> None:
    x = torch.zeros(1, requires_grad=True)
    activation(name)(x).sum().backward()
    assert x.grad is not None
    assert float(x.grad) == pytest.approx(slope)


def test_the_gradient_of_selu_is_finite_for_large_values() -> None:
    x = torch.tensor([-1000.0, 1000.0], requires_grad=True)
    activation("selu")(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([0.0, SELU_SCALE])


def test_softmax_is_over_the_units_of_a_row() -> None:
    found = activation("softmax")(torch.tensor([[1.0, 2.0], [3.0, 3.0]]))
    odds = math.exp(1.0)
    torch.testing.assert_close(found, torch.tensor([[1 / (1 + odds), odds / (1 + odds)], [0.5, 0.5]]))


def test_no_activation_is_linear() -> None:
    assert activation(None)(torch.tensor(VALUES)).tolist() == VALUES


@pytest.mark.parametrize("function", [torch.tanh, torch.nn.functional.relu, lambda x: x * 2])
def test_a_callable_is_taken_as_it_is(function: Any) -> None:
    assert activation(function) is function


@pytest.mark.parametrize("name", ["Relu", "rectify", ""])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown activation_fn {name!r}; known are .*leaky_relu, .*relu"):
        activation(name)


@pytest.mark.parametrize("function", [3, ["relu"], torch.tensor(1.0).shape])
def test_what_is_neither_callable_nor_a_name_is_a_type_error(function: Any) -> None:
    with pytest.raises(TypeError, match="activation_fn must be callable, a name or None"):
        activation(function)


@pytest.mark.parametrize("name", sorted(_BY_NAME))
def test_a_known_function_can_be_written_by_a_name_that_means_the_same(name: str) -> None:
    assert activation_name(name) == name
    written = activation_name(activation(name))
    assert written is not None
    assert activation(written) is activation(name)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (None, "linear"),
        (torch.nn.functional.relu, "relu"),
        (torch.relu, "relu"),
        (torch.nn.functional.selu, "selu"),
        (torch.sigmoid, "sigmoid"),
    ],
)
def test_torchs_own_functions_have_names(function: Any, name: str) -> None:
    assert activation_name(function) == name


@pytest.mark.parametrize("function", [lambda x: x, "rectify", torch.nn.functional.hardtanh])
def test_a_function_of_the_users_own_has_no_name(function: Any) -> None:
    assert activation_name(function) is None
