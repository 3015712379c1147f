"""The nine schedules against their formulas, written down a second time."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raydnn
from raydnn import train
from raydnn.feature_column import numeric_column
from raydnn.train import get_global_step
from raydnn.train.learning_rate import Schedule, made_schedule

STEPS = [0, 1, 2, 3, 9, 10, 11, 19, 20, 21, 29, 30, 31, 59, 60, 69, 70, 71, 99, 100, 101, 1000, 123_457]
BASE = 0.3


def exponential(g: int, n: float, r: float, staircase: bool = False) -> float:
    return BASE * math.pow(r, g // n if staircase else g / n)


def natural_exp(g: int, n: float, r: float, staircase: bool = False) -> float:
    return BASE * math.e ** (-r * (g // n if staircase else g / n))


def inverse_time(g: int, n: float, r: float, staircase: bool = False) -> float:
    return BASE / (1 + r * (g // n if staircase else g / n))


def polynomial(g: int, n: float, end: float = 1e-4, power: float = 1.0, cycle: bool = False) -> float:
    if cycle:
        while g > n:  # one period longer at a time
            n += 10
    return (BASE - end) * max(0.0, 1 - g / n) ** power + end


def cosine(g: int, n: float, alpha: float = 0.0) -> float:
    decayed = math.cos(math.pi / 2 * min(1.0, g / n)) ** 2  # (1 + cos 2x) / 2
    return BASE * (decayed * (1 - alpha) + alpha)


def cosine_restarts(g: int, first: float, t_mul: float = 2.0, m_mul: float = 1.0, alpha: float = 0.0) -> float:
    start, length, height = 0.0, first, 1.0
    while g >= start + length:
        start, length, height = start + length, length * t_mul, height * m_mul
    decayed = height * math.cos(math.pi / 2 * (g - start) / length) ** 2
    return BASE * (decayed * (1 - alpha) + alpha)


def linear_cosine(g: int, n: float, periods: float = 0.5, alpha: float = 0.0, beta: float = 0.001) -> float:
    left = 1 - min(1.0, g / n)
    return BASE * ((alpha + left) * math.cos(math.pi * periods * (1 - left)) ** 2 + beta)


CASES: list[tuple[Callable[..., Schedule], Callable[..., float], tuple[Any, ...]]] = [
    (train.exponential_decay, exponential, (10, 0.96)),
    (train.exponential_decay, exponential, (10, 0.5, True)),
    (train.exponential_decay, exponential, (7.5, 1.01, False)),
    (train.natural_exp_decay, natural_exp, (10, 0.5)),
    (train.natural_exp_decay, natural_exp, (10, 0.5, True)),
    (train.inverse_time_decay, inverse_time, (10, 0.5)),
    (train.inverse_time_decay, inverse_time, (10, 0.5, True)),
    (train.polynomial_decay, polynomial, (10,)),
    (train.polynomial_decay, polynomial, (10, 0.01, 2.0)),
    (train.polynomial_decay, polynomial, (10, 0.5, 0.5)),
    (train.polynomial_decay, polynomial, (10, 0.01, 1.0, True)),
    (train.polynomial_decay, polynomial, (10, 0.0, 3.0, True)),
    (train.cosine_decay, cosine, (30,)),
    (train.cosine_decay, cosine, (30, 0.1)),
    (train.cosine_decay_restarts, cosine_restarts, (10,)),
    (train.cosine_decay_restarts, cosine_restarts, (10, 2.0, 0.5, 0.1)),
    (train.cosine_decay_restarts, cosine_restarts, (10, 1.0, 0.9)),
    (train.cosine_decay_restarts, cosine_restarts, (10, 1.0)),
    (train.cosine_decay_restarts, cosine_restarts, (10, 3.0, 0.9, 0.2)),
    (train.linear_cosine_decay, linear_cosine, (30,)),
    (train.linear_cosine_decay, linear_cosine, (30, 2.0, 0.1, 0.01)),
]


@pytest.mark.parametrize(("schedule", "formula", "arguments"), CASES)
def test_a_schedule_equals_its_formula_at_every_step(
    schedule: Callable[..., Schedule], formula: Callable[..., float], arguments: tuple[Any, ...]
) -> None:
    made = schedule(BASE, get_global_step(), *arguments)
    for step in STEPS:
        found = made_schedule(made).at(step)
        # Where a period begins, rounding may put a restart one step's height apart; none of these steps does so.
        np.testing.assert_allclose(found, formula(step, *arguments), rtol=1e-9, atol=1e-15, err_msg=f"step {step}")


@pytest.mark.parametrize(("schedule", "formula", "arguments"), CASES)
def test_a_number_in_the_place_of_the_step_gives_its_value_for_good(
    schedule: Callable[..., Schedule], formula: Callable[..., float], arguments: tuple[Any, ...]
) -> None:
    made = schedule(BASE, 11, *arguments)
    assert made_schedule(made).at(0) == made_schedule(made).at(999)
    np.testing.assert_allclose(made_schedule(made).at(0), formula(11, *arguments), rtol=1e-9)


def test_arguments_have_tensorflows_names() -> None:
    step = get_global_step()
    made = [
        train.exponential_decay(learning_rate=1.0, global_step=step, decay_steps=2, decay_rate=0.5, staircase=True),
        train.natural_exp_decay(learning_rate=1.0, global_step=step, decay_steps=2, decay_rate=0.5, staircase=True),
        train.inverse_time_decay(learning_rate=1.0, global_step=step, decay_steps=2, decay_rate=0.5, staircase=True),
        train.polynomial_decay(
            learning_rate=1.0, global_step=step, decay_steps=2, end_learning_rate=0.1, power=2.0, cycle=True
        ),
        train.piecewise_constant(x=step, boundaries=[1], values=[1.0, 0.5]),
        train.cosine_decay(learning_rate=1.0, global_step=step, decay_steps=2, alpha=0.1),
        train.cosine_decay_restarts(
            learning_rate=1.0, global_step=step, first_decay_steps=2, t_mul=2.0, m_mul=0.5, alpha=0.1
        ),
        train.linear_cosine_decay(
            learning_rate=1.0, global_step=step, decay_steps=2, num_periods=0.5, alpha=0.0, beta=0.0
        ),
        train.noisy_linear_cosine_decay(
            learning_rate=1.0,
            global_step=step,
            decay_steps=2,
            initial_variance=0.0,
            variance_decay=0.5,
            num_periods=0.5,
            alpha=0.0,
            beta=0.0,
        ),
    ]
    assert [made_schedule(schedule).at(0) for schedule in made] == [1.0] * 9


@pytest.mark.parametrize(
    ("step", "value"), [(0, 1.0), (5, 1.0), (6, 0.5), (9, 0.5), (10, 0.5), (11, 0.1), (10**9, 0.1)]
)
def test_a_boundary_belongs_to_the_piece_on_its_left(step: int, value: float) -> None:
    made = train.piecewise_constant(get_global_step(), [5, 10], [1.0, 0.5, 0.1])
    assert made_schedule(made).at(step) == value


@pytest.mark.parametrize("boundaries", [[], (5,), [np.int32(5)], np.array([5, 6])])
def test_any_integers_may_be_boundaries(boundaries: Any) -> None:
    values = [1.0, 0.5, 0.1][: len(boundaries) + 1]
    made = train.piecewise_constant(get_global_step(), boundaries, values)
    assert made_schedule(made).at(5) == 1.0
    assert made_schedule(made).at(100) == values[-1]


@pytest.mark.parametrize(("boundaries", "values"), [([5], [1.0]), ([5, 6], [1.0, 0.5]), ([], []), ([5], [1, 2, 3])])
def test_there_must_be_one_value_more_than_boundaries(boundaries: list[int], values: list[float]) -> None:
    with pytest.raises(ValueError, match="values must be one more than boundaries"):
        train.piecewise_constant(get_global_step(), boundaries, values)


@pytest.mark.parametrize("boundary", [5.0, np.float32(5), True, "5"])
def test_a_boundary_that_is_no_integer_is_refused(boundary: Any) -> None:
    with pytest.raises(ValueError, match="boundaries must be integers"):
        train.piecewise_constant(get_global_step(), [boundary], [1.0, 0.5])


@pytest.mark.parametrize(
    "make",
    [
        lambda step: train.exponential_decay(1.0, step, 10, 0.5),
        lambda step: train.natural_exp_decay(1.0, step, 10, 0.5),
        lambda step: train.inverse_time_decay(1.0, step, 10, 0.5),
        lambda step: train.polynomial_decay(1.0, step, 10),
        lambda step: train.piecewise_constant(step, [1], [1.0, 0.5]),
        lambda step: train.cosine_decay(1.0, step, 10),
        lambda step: train.cosine_decay_restarts(1.0, step, 10),
        lambda step: train.linear_cosine_decay(1.0, step, 10),
        lambda step: train.noisy_linear_cosine_decay(1.0, step, 10),
    ],
)
def test_a_schedule_needs_the_step(make: Callable[[Any], Schedule]) -> None:
    with pytest.raises(ValueError, match="global_step must be given"):
        make(None)


def noisy(variance: float, decay: float = 0.55) -> Schedule:
    return train.noisy_linear_cosine_decay(BASE, get_global_step(), 1000, variance, decay, 2.0, 0.1, 0.01)


def test_without_variance_the_noisy_schedule_is_the_plain_one() -> None:
    for step in STEPS:
        expected = linear_cosine(step, 1000, 2.0, 0.1, 0.01)
        np.testing.assert_allclose(made_schedule(noisy(0.0)).at(step), expected, rtol=1e-9)


def test_the_noise_of_a_step_is_always_the_same_and_that_of_others_another() -> None:
    values = [made_schedule(noisy(1.0)).at(step) for step in range(1, 50)]
    assert values == [made_schedule(noisy(1.0)).at(step) for step in range(1, 50)]
    assert len(set(values)) == 49


@pytest.mark.parametrize(("variance", "decay"), [(1.0, 0.55), (4.0, 0.0), (0.25, 1.0)])
def test_the_noise_has_the_deviation_of_its_formula(variance: float, decay: float) -> None:
    draws = []
    for step in range(2000):
        plain = made_schedule(noisy(0.0)).at(step)
        half_cosine = 0.5 * (1 + math.cos(2 * math.pi * 2.0 * min(step, 1000) / 1000))
        if half_cosine > 1e-3:
            noise = (made_schedule(noisy(variance, decay)).at(step) - plain) / (BASE * half_cosine)
            draws.append(noise / math.sqrt(variance / (1 + step) ** decay))
    assert abs(np.mean(draws)) < 0.1
    assert 0.93 < np.std(draws) < 1.07


# --- In an optimizer


def biases_after(rate: Any, steps: int, model_dir: Path) -> np.ndarray:
    """The bias in each checkpoint, that of step 0 included, when gradient descent has nothing else to learn."""
    classifier = raydnn.DNNClassifier(
        [],
        [numeric_column("x")],
        model_dir=model_dir,
        optimizer=lambda: train.GradientDescentOptimizer(rate()),
        config=raydnn.RunConfig(save_checkpoints_steps=1, keep_checkpoint_max=0, save_summary_steps=0),
    )
    classifier.train(lambda: ({"x": np.zeros(1)}, np.array([1])), steps=steps)
    names = sorted(Path(model_dir).glob("model.ckpt-*"), key=lambda path: int(path.name.rsplit("-", 1)[1]))
    return np.array([raydnn.train.load_variable(str(name), "dnn/logits/bias")[0] for name in names])


@pytest.mark.parametrize(
    ("make", "formula"),
    [
        (lambda: train.exponential_decay(BASE, get_global_step(), 2, 0.5), lambda g: exponential(g, 2, 0.5)),
        (lambda: train.polynomial_decay(BASE, get_global_step(), 3), lambda g: polynomial(g, 3)),
        (lambda: train.cosine_decay(BASE, get_global_step(), 4), lambda g: cosine(g, 4)),
        (
            lambda: train.piecewise_constant(get_global_step(), [1, 2], [0.3, 0.2, 0.1]),
            lambda g: [3, 3, 2, 1, 1][g] / 10,
        ),
        (lambda: BASE, lambda g: BASE),
        (lambda: lambda: BASE / 2, lambda g: BASE / 2),
    ],
)
def test_the_first_update_uses_step_zero_and_the_rates_follow_the_schedule(
    make: Callable[[], Any], formula: Callable[[int], float], tmp_path: Path
) -> None:
    biases = biases_after(make, 5, tmp_path)
    gradients = 1 / (1 + np.exp(-biases)) - 1
    assert len(biases) == 6
    for step in range(5):
        np.testing.assert_allclose(
            biases[step + 1] - biases[step], -formula(step) * gradients[step], rtol=1e-4, atol=1e-6
        )


def test_a_resumed_training_goes_on_in_the_schedule(tmp_path: Path) -> None:
    def rate() -> Schedule:
        return train.exponential_decay(BASE, get_global_step(), 2, 0.5)

    whole = biases_after(rate, 4, tmp_path / "whole")[-1]
    biases_after(rate, 2, tmp_path / "parts")
    assert biases_after(rate, 2, tmp_path / "parts")[-1] == whole
