"""The surroundings of a model function, without an estimator around them."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from raydnn.model.variable_store import VariableStore
from raydnn.train.replicas import SingleReplica
from raydnn.train.run_context import Call, ModelContext, surroundings

T = TypeVar("T")


def fake_context(is_train_mode: bool = True, seed: int = 0) -> ModelContext:
    return ModelContext(VariableStore(), is_train_mode, SingleReplica(), seed, torch.device("cpu"))


def called(body: Callable[[], T], context: ModelContext | None = None, is_building: bool = False, **call: Any) -> T:
    """What a part of a model function returns, called in a context of its own or in a given one."""
    context = fake_context() if context is None else context
    context.is_building = is_building
    with surroundings(context, Call(**call)):
        return body()


def variables(context: ModelContext) -> dict[str, torch.Tensor]:
    return {variable.name: variable.tensor for variable in context.store.variables()}
