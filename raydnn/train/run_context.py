"""The surroundings in which a model function is called, and what it may ask of them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar
from zlib import crc32

import torch
from torch import Tensor, nn

from raydnn.model.dropout import Dropout
from raydnn.model.tables import RowExchange
from raydnn.model.variable_store import VariableStore
from raydnn.train.learning_rate import GlobalStep
from raydnn.train.replicas import Replicas

M = TypeVar("M", bound=nn.Module)


@dataclass(eq=False)
class Call:
    """What one call of a model function has brought about so far.

    Attributes:
        feeds: values for placeholders.
        first_row: place of the first row of the replica's batch within the global batch.
        scope: prefix of the names of variables that are made now, '' or 'a/b/'.
        reuse: whether a name may be used again.
        names: full names used so far.
        names_in_scope: those used since the scope was entered: default names begin anew with each entry.
        placeholders: names of the placeholders met so far.
        scalars, histograms: for TensorBoard, by tag; None if this step writes none.
    """

    feeds: Mapping[str, Any] = field(default_factory=dict)
    first_row: int = 0
    scope: str = ""
    reuse: bool = False
    names: set[str] = field(default_factory=set)
    names_in_scope: set[str] = field(default_factory=set)
    placeholders: set[str] = field(default_factory=set)
    scalars: dict[str, float] | None = None
    histograms: dict[str, Tensor] | None = None


@dataclass
class ModelContext:
    """What surrounds the calls of a model function.

    Attributes:
        store: keeps the model's modules.
        is_train_mode: whether the model is made for training.
        replicas: the replicas that train together.
        seed: of the initial values and of dropout.
        device: where the variables live.
        global_step: the number of updates so far.
        is_building: whether the call only makes the variables: nothing may be learned from its batch.
    """

    store: VariableStore
    is_train_mode: bool
    replicas: Replicas
    seed: int
    device: torch.device
    global_step: int = 0
    is_building: bool = False
    _initial: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    @property
    def is_training(self) -> bool:
        """Whether dropout and batch statistics are on."""
        return self.is_train_mode and not self.is_building

    def step_seed(self, rank: int = 0) -> int:
        """A seed for what happens by chance in this step, the same however often the step is repeated."""
        return hash((self.seed, self.global_step, rank)) & (2**63 - 1)

    def dropout(self) -> Dropout:
        """The dropout of this step."""
        return Dropout(self.step_seed(), current_call().first_row)

    @property
    def exchange(self) -> RowExchange | None:
        """The replicas that large tables are spread over; None if this one is alone."""
        return self.replicas if self.replicas.size > 1 else None

    def all_sum(self, tensor: Tensor) -> Tensor:
        """The sum over the replicas."""
        return tensor if self.is_building else self.replicas.all_sum(tensor)

    def use_name(self, name: str | None, default: str) -> str:
        """The full name of something that is made in the current scope.

        Args:
            name: as the user gave it, or None.
            default: of which DEFAULT, DEFAULT_1, DEFAULT_2 ... the first free one is taken.

        Raises:
            ValueError: the name is taken already in this call, or empty.
        """
        call = current_call()
        if name == "":
            raise ValueError("a name must not be empty")
        full, place = f"{call.scope}{name or default}", 0
        while name is None and full in call.names_in_scope:
            place += 1
            full = f"{call.scope}{default}_{place}"
        if full in call.names and not call.reuse:
            raise ValueError(
                f"the name '{full}' is used twice in one call of the model function: give another one, or share the "
                "variables on purpose inside `variable_scope(..., reuse=True)`"
            )
        call.names.add(full)
        call.names_in_scope.add(full)
        return full

    def module(self, name: str, kind: str, factory: Callable[[], M]) -> M:
        """The module of this full name, made at the first call of the model function.

        Args:
            name: full name.
            kind: of what is made: a name stands for one kind.
            factory: makes it.

        Raises:
            ValueError: it is new, but the first call is over; or it is of another kind.
        """
        if not self.is_building and not self.store.has_module(name):
            raise ValueError(
                f"'{name}' was not there when the model was built: a model function must make the same variables at "
                "every call, with an empty batch too"
            )

        def make() -> M:
            module = factory().to(self.device)
            self._initial += [(buffer, buffer.clone()) for buffer in module.buffers()]
            return module

        found = self.store.remember(f"kind of {name}", lambda: kind)
        if found != kind:
            raise ValueError(f"'{name}' is the name of a {found} already; give the {kind} another one")
        return self.store.get_module(name, make)

    def forget_building(self) -> None:
        """Undo what the first call, whose batch has no rows, did to variables that are not trained."""
        for tensor, initial in self._initial:
            tensor.copy_(initial)
        self._initial.clear()


_current: ContextVar[tuple[ModelContext, Call]] = ContextVar("raydnn model context")


@contextmanager
def surroundings(context: ModelContext, call: Call) -> Iterator[None]:
    """Make a context the current one, for one call of the model function."""
    token = _current.set((context, call))
    try:
        yield
    finally:
        _current.reset(token)


def current_context() -> ModelContext:
    """The surroundings of the model function that is running.

    Raises:
        RuntimeError: none is running.
    """
    return _surroundings()[0]


def current_call() -> Call:
    """The call of the model function that is running.

    Raises:
        RuntimeError: none is running.
    """
    return _surroundings()[1]


def _surroundings() -> tuple[ModelContext, Call]:
    try:
        return _current.get()
    except LookupError:
        raise RuntimeError("this function works only inside a model_fn that an Estimator has called") from None


def get_module(name: str, factory: Callable[[], M]) -> M:
    """A torch module of the model, made at the first call of the model function and found again later.

    Args:
        name: prefix of its variables' names, below the current `variable_scope`.
        factory: makes the module; what it draws from torch's generator is decided by `tf_random_seed` and the name.

    Returns:
        The module, in training mode if the model is being trained.

    Raises:
        RuntimeError: called outside a model function.
        ValueError: the name was not used when the model was built, or stands for something else.
    """
    context, call = current_context(), current_call()
    full = f"{call.scope}{name}"
    call.names.add(full)
    call.names_in_scope.add(full)

    def make() -> M:
        # Torch modules draw their initial values from the global generator, which is left as it was.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(crc32(f"{context.seed}/{full}".encode()))
            return factory()

    module = context.module(full, "module", make)
    if module.training is not context.is_training:
        # It goes through all parts of the module, which takes as long as a small layer's work.
        module.train(context.is_training)
    return module


def get_global_step() -> GlobalStep:
    """Stands for the number of updates so far, in learning-rate schedules."""
    return GlobalStep()
