"""Calling the user's input_fn, and telling what it returned."""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from raydnn.inputs.dataset import Dataset, from_ray

InputFn = Callable[..., Any]


@dataclass(frozen=True)
class InputContext:
    """Which part of the input a worker is asked for, as in `tf.distribute.InputContext`.

    Attributes:
        num_input_pipelines: number of workers.
        input_pipeline_id: this worker, from 0.
        num_replicas_in_sync: replicas that take part in each step.
    """

    num_input_pipelines: int = 1
    input_pipeline_id: int = 0
    num_replicas_in_sync: int = 1

    def get_per_replica_batch_size(self, global_batch_size: int) -> int:
        """The rows of a global batch that fall to one replica.

        Raises:
            ValueError: they cannot be dealt evenly.
        """
        if global_batch_size % self.num_replicas_in_sync:
            raise ValueError(
                f"global_batch_size {global_batch_size} cannot be divided by {self.num_replicas_in_sync} replicas"
            )
        return global_batch_size // self.num_replicas_in_sync


@dataclass(frozen=True, eq=False)
class GivenBatches:
    """Batches that the user made.

    Attributes:
        items: (features, labels or None).
        is_endless: whether it is one batch again and again.
    """

    items: Iterable[tuple[Any, Any]]
    is_endless: bool = False


Input = Dataset | GivenBatches


def wants_input_context(input_fn: InputFn) -> bool:
    """Whether an input_fn makes the part of one worker itself."""
    return "input_context" in _parameters(input_fn)


def call_input_fn(input_fn: InputFn, mode: str, params: Mapping[str, Any], config: Any, context: InputContext) -> Input:
    """Call an input_fn with those of mode, params, config and input_context that it declares.

    Returns:
        What it returned, in one of two forms.

    Raises:
        ValueError: a tuple or list that is not (features, labels), or nothing usable.
    """
    available = {"mode": mode, "params": dict(params), "config": config, "input_context": context}
    declared = _parameters(input_fn)
    return as_input(input_fn(**{name: value for name, value in available.items() if name in declared}))


def as_input(returned: Any) -> Input:
    """What an input_fn returned, in one of two forms; see `call_input_fn`."""
    if isinstance(returned, Dataset):
        return returned
    if _is_ray_dataset(returned):
        return from_ray(returned)
    if isinstance(returned, tuple | list):
        if len(returned) != 2:
            raise ValueError(
                "input_fn should return (features, labels), features alone, or a dataset; got a "
                f"{type(returned).__name__} of length {len(returned)}"
            )
        features, labels = returned
        if _is_ray_dataset(features):
            return from_ray(features, label=labels)
        return GivenBatches(_forever((features, labels)), is_endless=True)
    if isinstance(returned, Mapping):
        return GivenBatches(_forever((returned, None)), is_endless=True)
    if isinstance(returned, Iterable):
        return GivenBatches(_split(returned))
    raise ValueError(
        f"input_fn should return (features, labels), an iterable of such batches, or a dataset of raydnn.inputs; got "
        f"{returned!r}"
    )


def _parameters(function: InputFn) -> set[str]:
    """The arguments that a function still takes: those that a `functools.partial` has given are the user's."""
    bound = set(function.keywords) if isinstance(function, partial) else set()
    return set(inspect.signature(function).parameters) - bound


def _forever(item: tuple[Any, Any]) -> Iterator[tuple[Any, Any]]:
    while True:
        yield item


def _split(items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Batches as (features, labels), whether or not they came with labels."""
    for item in items:
        if isinstance(item, tuple | list):
            if len(item) != 2:
                raise ValueError(f"a batch should be (features, labels) or features alone; got length {len(item)}")
            yield item[0], item[1]
        else:
            yield item, None


def _is_ray_dataset(value: Any) -> bool:
    """Whether a value is a Ray Dataset, told without importing Ray."""
    ray_data = sys.modules.get("ray.data")
    return ray_data is not None and isinstance(value, ray_data.Dataset)
