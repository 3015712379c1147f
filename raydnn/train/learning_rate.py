"""Learning rates that change with the step: TensorFlow's nine schedules.

In these formulas g is the global step before the update (0 for the first one) and n is decay_steps. Every `name`
is accepted for likeness. All raise ValueError where the step is None; for a number in its place they give the rate
itself.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class GlobalStep:
    """Stands for the number of updates so far; `get_global_step` gives it, schedules take it."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """A number that depends on the step.

    Attributes:
        at: its value at a step.
    """

    at: Callable[[int], float]


LearningRate = float | Schedule | Callable[[], Any]


def made_schedule(learning_rate: LearningRate) -> Schedule:
    """A learning rate of any kind as a schedule; a callable is called now, once."""
    made = learning_rate() if callable(learning_rate) else learning_rate
    return made if isinstance(made, Schedule) else Schedule(lambda _: float(made))


def exponential_decay(
    learning_rate: float,
    global_step: Any,
    decay_steps: float,
    decay_rate: float,
    staircase: bool = False,
    name: str | None = None,
) -> LearningRate:
    """lr * decay_rate ^ (g / n); staircase rounds g / n down."""
    return _schedule(global_step, lambda g: learning_rate * decay_rate ** _periods(g, decay_steps, staircase))


def natural_exp_decay(
    learning_rate: float,
    global_step: Any,
    decay_steps: float,
    decay_rate: float,
    staircase: bool = False,
    name: str | None = None,
) -> LearningRate:
    """lr * exp(-decay_rate * g / n); staircase rounds g / n down."""
    return _schedule(global_step, lambda g: learning_rate * math.exp(-decay_rate * _periods(g, decay_steps, staircase)))


def inverse_time_decay(
    learning_rate: float,
    global_step: Any,
    decay_steps: float,
    decay_rate: float,
    staircase: bool = False,
    name: str | None = None,
) -> LearningRate:
    """lr / (1 + decay_rate * g / n); staircase rounds g / n down."""
    return _schedule(global_step, lambda g: learning_rate / (1 + decay_rate * _periods(g, decay_steps, staircase)))


def polynomial_decay(
    learning_rate: float,
    global_step: Any,
    decay_steps: float,
    end_learning_rate: float = 0.0001,
    power: float = 1.0,
    cycle: bool = False,
    name: str | None = None,
) -> LearningRate:
    """(lr - end) * (1 - min(g, n) / n) ^ power + end; with cycle, n is stretched to n * ceil(g / n)."""

    def at(g: int) -> float:
        if cycle:
            part = g / (decay_steps * (math.ceil(g / decay_steps) if g else 1))
        else:
            part = min(g, decay_steps) / decay_steps
        return (learning_rate - end_learning_rate) * (1 - part) ** power + end_learning_rate

    return _schedule(global_step, at)


def piecewise_constant(
    x: Any, boundaries: Sequence[int], values: Sequence[float], name: str | None = None
) -> LearningRate:
    """values[i] for boundaries[i - 1] < g <= boundaries[i]: a boundary belongs to the piece on its left.

    Args:
        x: the global step.
        boundaries: integers, increasing.
        values: one more than there are boundaries.

    Raises:
        ValueError: the lengths do not fit, or a boundary is no integer.
    """
    if len(boundaries) != len(values) - 1:
        raise ValueError(f"values must be one more than boundaries; got {len(values)} and {len(boundaries)}")
    for boundary in boundaries:
        if not isinstance(boundary, int | np.integer) or isinstance(boundary, bool):
            raise ValueError(f"boundaries must be integers, as the step is; got {boundary!r}")
    return _schedule(x, lambda g: values[int(np.searchsorted(boundaries, g, side="left"))])


def cosine_decay(
    learning_rate: float, global_step: Any, decay_steps: float, alpha: float = 0.0, name: str | None = None
) -> LearningRate:
    """lr * ((1 - alpha) * 0.5 * (1 + cos(pi * min(g, n) / n)) + alpha)."""

    def at(g: int) -> float:
        cosine = 0.5 * (1 + math.cos(math.pi * min(g, decay_steps) / decay_steps))
        return learning_rate * ((1 - alpha) * cosine + alpha)

    return _schedule(global_step, at)


def cosine_decay_restarts(
    learning_rate: float,
    global_step: Any,
    first_decay_steps: float,
    t_mul: float = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
    name: str | None = None,
) -> LearningRate:
    """Cosine decay that begins again, each period t_mul times longer and its start m_mul times lower.

    With f the fraction of the current period and i its number:
    lr * ((1 - alpha) * 0.5 * m_mul^i * (1 + cos(pi * f)) + alpha).
    """

    def at(g: int) -> float:
        fraction = g / first_decay_steps
        if t_mul == 1.0:
            period = math.floor(fraction)
            fraction -= period
        else:
            period = math.floor(math.log(1 - fraction * (1 - t_mul)) / math.log(t_mul))
            fraction = (fraction - (1 - t_mul**period) / (1 - t_mul)) / t_mul**period
        return learning_rate * ((1 - alpha) * 0.5 * m_mul**period * (1 + math.cos(math.pi * fraction)) + alpha)

    return _schedule(global_step, at)


def linear_cosine_decay(
    learning_rate: float,
    global_step: Any,
    decay_steps: float,
    num_periods: float = 0.5,
    alpha: float = 0.0,
    beta: float = 0.001,
    name: str | None = None,
) -> LearningRate:
    """lr * ((alpha + 1 - u) * 0.5 * (1 + cos(2 pi num_periods u)) + beta), u = min(g, n) / n."""

    def at(g: int) -> float:
        part = min(g, decay_steps) / decay_steps
        return learning_rate * ((alpha + 1 - part) * _cosine(num_periods, part) + beta)

    return _schedule(global_step, at)


def noisy_linear_cosine_decay(
    learning_rate: float,
    global_step: Any,
    decay_steps: float,
    initial_variance: float = 1.0,
    variance_decay: float = 0.55,
    num_periods: float = 0.5,
    alpha: float = 0.0,
    beta: float = 0.001,
    name: str | None = None,
) -> LearningRate:
    """Linear cosine decay with noise of variance initial_variance / (1 + g)^variance_decay added to 1 - u.

    The noise of a step is always the same, so that a resumed run and all workers agree.
    """

    def at(g: int) -> float:
        part = min(g, decay_steps) / decay_steps
        deviation = math.sqrt(initial_variance / (1 + g) ** variance_decay)
        noise = np.random.Generator(np.random.Philox(key=g)).normal(0.0, deviation)
        return learning_rate * ((alpha + 1 - part + noise) * _cosine(num_periods, part) + beta)

    return _schedule(global_step, at)


def _periods(g: int, decay_steps: float, staircase: bool) -> float:
    return math.floor(g / decay_steps) if staircase else g / decay_steps


def _cosine(num_periods: float, part: float) -> float:
    return 0.5 * (1 + math.cos(2 * math.pi * num_periods * part))


def _schedule(global_step: Any, at: Callable[[int], float]) -> LearningRate:
    """A schedule over the global step, or its value for a number that is given in its place."""
    if global_step is None:
        raise ValueError("global_step must be given: raydnn.train.get_global_step()")
    if isinstance(global_step, GlobalStep):
        return Schedule(at)
    return float(at(int(global_step)))
