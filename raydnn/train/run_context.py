"""The surroundings in which a model function is called, and what it may ask of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar
from zlib import crc32

import torch
from torch import Tensor, nn

from raydnn.model.variable_store import VariableStore
from raydnn.train.learning_rate import GlobalStep
from raydnn.train.replicas import Replicas

M = TypeVar("M", bound=nn.Module)


@dataclass
class ModelContext:
    """What surrounds a call of a model function.

    Attributes:
        store: keeps the model's modules.
        is_train_mode: whether the model is made for training.
        replicas: the replicas that train together.
        seed: of the initial values and of dropout.
        device: where the variables live.
        global_step: the number of updates so far.
        is_building: whether the call only makes the variables: nothing may be learned from its batch.
        wants_activations: whether the outputs of layers should be returned.
    """

    store: VariableStore
    is_train_mode: bool
    replicas: Replicas
    seed: int
    device: torch.device
    global_step: int = 0
    is_building: bool = False
    wants_activations: bool = False
    _generator: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._generator = torch.Generator(self.device)

    @property
    def is_training(self) -> bool:
        """Whether dropout and batch statistics are on."""
        return self.is_train_mode and not self.is_building

    def dropout_generator(self) -> torch.Generator:
        """The generator of this step's dropout masks, the same however often the step is repeated."""
        step_seed = hash((self.seed, self.global_step, self.replicas.rank)) & (2**63 - 1)
        return self._generator.manual_seed(step_seed)

    def all_sum(self, tensor: Tensor) -> Tensor:
        """The sum over the replicas."""
        return tensor if self.is_building else self.replicas.all_sum(tensor)


_current: ContextVar[ModelContext] = ContextVar("raydnn model context")


@contextmanager
def surroundings(context: ModelContext) -> Iterator[None]:
    """Make a context the current one."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def current_context() -> ModelContext:
    """The surroundings of the model function that is running.

    Raises:
        RuntimeError: none is running.
    """
    try:
        return _current.get()
    except LookupError:
        raise RuntimeError("this function works only inside a model_fn that an Estimator has called") from None


def get_module(name: str, factory: Callable[[], M]) -> M:
    """A torch module of the model, made at the first call of the model function and found again later.

    Args:
        name: prefix of its variables' names.
        factory: makes the module; what it draws from torch's generator is decided by `tf_random_seed` and the name.

    Returns:
        The module, in training mode if the model is being trained.

    Raises:
        RuntimeError: called outside a model function.
    """
    context = current_context()

    def make() -> M:
        # Torch modules draw their initial values from the global generator, which is left as it was.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(crc32(f"{context.seed}/{name}".encode()))
            return factory().to(context.device)

    module = context.store.get_module(name, make)
    module.train(context.is_training)
    return module


def get_global_step() -> GlobalStep:
    """Stands for the number of updates so far, in learning-rate schedules."""
    return GlobalStep()
