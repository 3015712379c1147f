"""Optimizers, learning rates and initial values: by name, with their own arguments."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from pydantic import Field

from raydnn import initializers, train
from raydnn.config.arguments import Arguments, arguments_model, one_of
from raydnn.config.section import NotNegative
from raydnn.train.learning_rate import made_schedule
from raydnn.train.optimizers.resolve import NAMED_LEARNING_RATE

_SCHEDULES = (
    train.cosine_decay,
    train.cosine_decay_restarts,
    train.exponential_decay,
    train.inverse_time_decay,
    train.linear_cosine_decay,
    train.natural_exp_decay,
    train.noisy_linear_cosine_decay,
    train.piecewise_constant,
    train.polynomial_decay,
)
_OPTIMIZERS: Mapping[str, type[train.Optimizer]] = {
    "Adadelta": train.AdadeltaOptimizer,
    "Adagrad": train.AdagradOptimizer,
    "Adam": train.AdamOptimizer,
    "Ftrl": train.FtrlOptimizer,
    "Momentum": train.MomentumOptimizer,
    "ProximalAdagrad": train.ProximalAdagradOptimizer,
    "ProximalGradientDescent": train.ProximalGradientDescentOptimizer,
    "RMSProp": train.RMSPropOptimizer,
    "SGD": train.GradientDescentOptimizer,
}
_NAMED = Literal["Adagrad", "Adam", "Ftrl", "RMSProp", "SGD"]


def _scheduled(function: Callable[..., Any], **arguments: Any) -> Callable[[], Any]:
    """A schedule over the global step, made when the model is built: it can be sent to workers."""
    step = "x" if "x" in inspect.signature(function).parameters else "global_step"
    return partial(function, **{step: train.get_global_step()}, **arguments)


def _check_schedule(schedule: Callable[[], Any]) -> None:
    try:
        made_schedule(schedule).at(0)
    except ArithmeticError as error:
        raise ValueError(f"has no value at step 0: {error}; mend its numbers of steps") from error


def _schedule_model(function: Callable[..., Any]) -> type[Arguments]:
    name = function.__name__
    return arguments_model(
        name,
        function,
        target=partial(_scheduled, function),
        leave_out=("global_step", "x", "name"),
        own_keys={"schedule": (Literal[name], Field(description="which schedule"))},
        check=_check_schedule,
    )


LearningRate: Any = one_of(
    "schedule", {function.__name__: _schedule_model(function) for function in _SCHEDULES}, NotNegative
)


def _optimizer_model(name: str, kind: type[train.Optimizer]) -> type[Arguments]:
    return arguments_model(
        kind.__name__,
        kind,
        # As for the optimizers that are given by name alone.
        target=partial(kind, learning_rate=NAMED_LEARNING_RATE),
        leave_out=("name", "use_locking", "accum_name", "linear_name"),
        types={"learning_rate": (LearningRate, NAMED_LEARNING_RATE)},
        own_keys={"name": (Literal[name], Field(description="which optimizer"))},
    )


Optimizer: Any = one_of("name", {name: _optimizer_model(name, kind) for name, kind in _OPTIMIZERS.items()}, _NAMED)


def _initializer_model(name: str) -> type[Arguments]:
    return arguments_model(
        name,
        getattr(initializers, name),
        own_keys={"name": (Literal[name], Field(description="which distribution"))},
    )


Initializer: Any = one_of("name", {name: _initializer_model(name) for name in initializers.__all__})
