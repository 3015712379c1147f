"""Initial values: distributions, and what they depend on."""

from math import sqrt
from typing import Any

import numpy as np
import pytest
import torch

from raydnn.initializers import Constant, GlorotUniform, Ones, RandomNormal, RandomUniform, TruncatedNormal, Zeros
from raydnn.model.initializers import initial_rows, initial_value, values_follow
from raydnn.model.rows import Rows

SHAPE = (400, 500)
RANDOM = [RandomUniform(), RandomNormal(), TruncatedNormal(), GlorotUniform()]
# The deviation of a normal that is cut at two of its own.
TRUNCATED = 0.87962566


def drawn(initializer: Any, shape: tuple[int, ...] = SHAPE, seed: int = 1, name: str = "v") -> np.ndarray:
    value = initial_value(initializer, shape, seed=seed, name=name)
    assert value.dtype == torch.float32
    assert tuple(value.shape) == shape
    return value.double().numpy()


# --- Distributions


@pytest.mark.parametrize(
    ("initializer", "value"), [(Zeros(), 0.0), (Ones(), 1.0), (Constant(), 0.0), (Constant(2.5), 2.5)]
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_constants_are_the_same_everywhere(initializer: Any, value: float, shape: tuple[int, ...]) -> None:
    assert (drawn(initializer, shape) == value).all()
    assert (initializer(shape).numpy() == value).all()


@pytest.mark.parametrize(
    ("initializer", "mean", "std", "low", "high"),
    [
        (RandomUniform(), 0.0, 0.1 / sqrt(12), -0.05, 0.05),
        (RandomUniform(1.0, 4.0), 2.5, 3.0 / sqrt(12), 1.0, 4.0),
        (RandomNormal(), 0.0, 1.0, -np.inf, np.inf),
        (RandomNormal(3.0, 0.1), 3.0, 0.1, -np.inf, np.inf),
        (TruncatedNormal(), 0.0, TRUNCATED, -2.0, 2.0),
        (TruncatedNormal(1.0, 0.25), 1.0, 0.25 * TRUNCATED, 0.5, 1.5),
        (GlorotUniform(), 0.0, sqrt(6 / 900) / sqrt(3), -sqrt(6 / 900), sqrt(6 / 900)),
    ],
)
def test_random_values_have_the_limits_and_moments_of_their_distribution(
    initializer: Any, mean: float, std: float, low: float, high: float
) -> None:
    values = drawn(initializer)
    # Eight deviations of the estimates over 200000 draws.
    assert values.mean() == pytest.approx(mean, abs=8 * std / sqrt(values.size))
    assert values.std() == pytest.approx(std, rel=8 / sqrt(values.size))
    slack = 1e-6 * max(1.0, abs(mean))
    assert values.min() >= low - slack
    assert values.max() <= high + slack
    if np.isfinite(low):
        assert values.min() < low + 0.01 * (high - low)
        assert values.max() > high - 0.01 * (high - low)


def test_a_truncated_normal_keeps_the_shape_of_the_normal_within_its_limits() -> None:
    values = drawn(TruncatedNormal())
    # P(|x| < 1) / P(|x| < 2) of the normal.
    assert (np.abs(values) < 1).mean() == pytest.approx(0.682689 / 0.954500, abs=0.01)


@pytest.mark.parametrize(("shape", "fans"), [((20, 30), 50), ((1, 5), 6), ((40,), 80), ((3, 4, 20, 30), 12 * 50)])
def test_the_glorot_limit_follows_from_the_fans(shape: tuple[int, ...], fans: int) -> None:
    limit = sqrt(6 / fans)
    values = np.concatenate([drawn(GlorotUniform(), shape, seed=seed).ravel() for seed in range(50)])
    assert np.abs(values).max() <= limit + 1e-6
    assert np.abs(values).max() > 0.95 * limit


# --- What a draw depends on


@pytest.mark.parametrize("initializer", RANDOM)
def test_the_same_seed_and_name_give_the_same_values(initializer: Any) -> None:
    np.testing.assert_array_equal(drawn(initializer), drawn(initializer))


@pytest.mark.parametrize("initializer", RANDOM)
def test_other_names_and_seeds_give_other_values(initializer: Any) -> None:
    draws = [
        drawn(initializer, seed=seed, name=name).ravel()
        for seed, name in [(1, "v"), (1, "w"), (2, "v"), (12, "v"), (1, "2v")]
    ]
    for place, first in enumerate(draws):
        for second in draws[:place]:
            assert (first == second).mean() < 0.01
            assert abs(np.corrcoef(first, second)[0, 1]) < 0.02


@pytest.mark.parametrize("initializer", RANDOM)
def test_a_draw_neither_reads_nor_moves_the_global_generator(initializer: Any) -> None:
    state = torch.get_rng_state()
    first = drawn(initializer)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    np.testing.assert_array_equal(drawn(initializer), first)


@pytest.mark.parametrize("kind", [RandomUniform, RandomNormal, TruncatedNormal, GlorotUniform])
def test_a_seed_of_its_own_decides_alone(kind: Any) -> None:
    initializer = kind(seed=5)
    np.testing.assert_array_equal(drawn(initializer), drawn(initializer, seed=9, name="other"))
    np.testing.assert_array_equal(drawn(initializer), initializer(SHAPE).double().numpy())
    assert (drawn(initializer) != drawn(kind(seed=6))).any()


# --- Called as users call them


@pytest.mark.parametrize("initializer", [Zeros(), *RANDOM])
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float32", torch.float32),
        ("float64", torch.float64),
        (np.float16, torch.float16),
        (torch.float64, torch.float64),
    ],
)
def test_an_initializer_called_directly_gives_the_dtype_asked_for(
    initializer: Any, dtype: Any, expected: torch.dtype
) -> None:
    value = initializer((2, 3), dtype=dtype)
    assert value.shape == (2, 3)
    assert value.dtype == expected


@pytest.mark.parametrize(
    "function",
    [
        lambda shape, dtype: np.full(shape, 2.0),
        lambda shape, dtype: np.full(shape, 2, np.int64).tolist(),
        lambda shape, dtype: torch.full(shape, 2.0),
        lambda shape, dtype: np.broadcast_to(np.float64(2.0), shape),
    ],
)
def test_a_function_of_the_users_own_gives_the_values(function: Any) -> None:
    value = initial_value(function, (2, 3), seed=1, name="v")
    assert value.dtype == torch.float32
    assert (value == 2).all()


def test_the_users_array_is_not_shared() -> None:
    mine = np.zeros((2, 2), np.float32)
    initial_value(lambda shape, dtype: mine, (2, 2), seed=1, name="v").fill_(3)
    assert (mine == 0).all()


def test_another_shape_than_asked_for_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"the initializer of 'my/table' gave shape \(2,\); \(2, 3\) is needed"):
        initial_value(lambda shape, dtype: np.zeros(2), (2, 3), seed=1, name="my/table")


def test_nothing_is_drawn_where_values_follow() -> None:
    def never(shape: tuple[int, ...], dtype: str) -> np.ndarray:
        raise AssertionError("drawn")

    table = torch.full((3, 2), 7.0)
    with values_follow():
        assert initial_value(never, (2, 3), seed=1, name="v").tolist() == [[0.0] * 3] * 2
        initial_rows(table, never, Rows(0, 1, 3), seed=1, name="t")
    assert table.tolist() == [[7.0, 7.0]] * 3
    with pytest.raises(AssertionError, match="drawn"):
        initial_value(never, (2, 3), seed=1, name="v")
