"""Variables by name, scopes and placeholders, without an estimator around them."""

from typing import Any

import numpy as np
import pytest
import torch
from fake_context import called, fake_context, variables
from torch import Tensor

from raydnn.initializers import Constant, Ones, TruncatedNormal
from raydnn.train import get_variable, placeholder_with_default, variable_scope
from raydnn.train.run_context import ModelContext, current_call


def built(*arguments: Any, context: ModelContext | None = None, **options: Any) -> Tensor:
    """A new variable."""
    return called(lambda: get_variable(*arguments, **options), context, is_building=True)


# --- Variables


@pytest.mark.parametrize(
    ("shape", "expected"), [((), ()), ([], ()), (3, (3,)), ([2, 3], (2, 3)), ((0, 3), (0, 3)), (np.int64(2), (2,))]
)
def test_a_shape_is_a_number_or_a_sequence(shape: Any, expected: tuple[int, ...]) -> None:
    if isinstance(shape, np.integer):
        shape = [shape]
    assert built("w", shape).shape == expected


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float32", torch.float32),
        (np.float32, torch.float32),
        (torch.float64, torch.float64),
        ("float16", torch.float16),
        ("int64", torch.int64),
        (np.dtype("int8"), torch.int8),
        (torch.int32, torch.int32),
        ("bool", torch.bool),
        (bool, torch.bool),
    ],
)
def test_a_dtype_may_be_given_in_any_form(dtype: Any, expected: torch.dtype) -> None:
    context = fake_context()
    assert built("w", (2,), dtype, context=context).dtype == expected
    (variable,) = context.store.variables()
    assert variable.trainable == expected.is_floating_point


def test_without_an_initializer_floats_are_glorot_uniform_and_other_types_zero() -> None:
    weight = built("w", (40, 60))
    assert 0.9 * 0.06**0.5 < weight.abs().max() <= 0.06**0.5
    assert not built("n", (3,), "int32").any()
    assert not built("b", (3,), "bool").any()


def test_an_initializer_gives_the_first_value() -> None:
    assert built("w", (2, 1), initializer=Constant(1.5)).tolist() == [[1.5], [1.5]]
    assert built("n", 2, "int64", Ones()).tolist() == [1, 1]
    own = built("w", (2, 3), initializer=lambda shape, dtype=None: np.arange(6.0).reshape(shape))
    assert own.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    with pytest.raises(ValueError, match=r"'w' gave shape \(3, 2\); \(2, 3\) is needed"):
        built("w", (2, 3), initializer=lambda shape, dtype=None: np.zeros((3, 2)))


def test_initial_values_depend_on_seed_and_full_name() -> None:
    def scoped(scope: str, seed: int = 0) -> Tensor:
        def make() -> Tensor:
            with variable_scope(scope):
                return get_variable("w", (3, 4), initializer=TruncatedNormal())

        return called(make, fake_context(seed=seed), is_building=True)

    assert torch.equal(scoped("a"), scoped("a"))
    assert not torch.equal(scoped("a"), scoped("b"))
    assert not torch.equal(scoped("a"), scoped("a", seed=1))


def test_later_calls_find_the_same_variable() -> None:
    context = fake_context()
    first = built("w", (2,), context=context, trainable=False)
    with torch.no_grad():
        first += 1
    again = called(lambda: get_variable("w", [2], initializer=Constant(9.0)), context)
    assert again is first
    assert list(variables(context)) == ["w"]


def test_a_variable_that_is_not_trained_has_no_gradient() -> None:
    assert built("w", (2,)).requires_grad
    assert not built("w", (2,), trainable=False).requires_grad
    assert not built("n", (2,), "int64").requires_grad


@pytest.mark.parametrize("dtype", ["no such", None, object()])
def test_an_unknown_dtype_is_refused(dtype: Any) -> None:
    with pytest.raises(ValueError, match="dtype"):
        built("w", (2,), dtype)


# --- Scopes


def test_a_scope_ends_with_its_block_also_after_an_error() -> None:
    context = fake_context()

    def body() -> None:
        with pytest.raises(KeyError), variable_scope("a", reuse=True):
            raise KeyError("x")
        assert (current_call().scope, current_call().reuse) == ("", False)
        get_variable("w", ())
        with variable_scope("a/b"), variable_scope("c") as inner:
            assert inner == "a/b/c"
            get_variable("w", ())

    called(body, context, is_building=True)
    assert list(variables(context)) == ["w", "a/b/c/w"]


def test_a_scope_needs_a_name() -> None:
    with pytest.raises(ValueError, match="needs a name"), variable_scope(""):
        pass


def test_a_scope_is_entered_inside_a_model_function_alone() -> None:
    with pytest.raises(RuntimeError, match="only inside a model_fn"), variable_scope("a"):
        pass


def test_reuse_shares_a_variable_and_holds_for_the_scopes_inside() -> None:
    def body() -> None:
        with variable_scope("a"), variable_scope("b"):
            first = get_variable("w", (2,))
            with pytest.raises(ValueError, match="'a/b/w' is used twice"):
                get_variable("w", (2,))
        with variable_scope("a", reuse=True), variable_scope("b"):
            assert get_variable("w", (2,)) is first
            with pytest.raises(ValueError, match=r"'a/b/w' has shape \(2,\).*now shape \(3,\)"):
                get_variable("w", (3,))

    called(body, is_building=True)


# --- Placeholders


def test_a_placeholder_is_its_default_until_it_is_fed() -> None:
    context = fake_context()
    default = torch.tensor([1.0, 2.0])

    def body() -> Any:
        value = placeholder_with_default(default, "x")
        assert current_call().placeholders == {"x"}
        return value

    assert called(body, context) is default
    assert called(lambda: placeholder_with_default(default, "x"), context, feeds={"x": None, "y": 1}) is None
    assert called(lambda: placeholder_with_default(default, "z"), context, feeds={"x": 1}) is default
