"""Where a model's variables live."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from torch import nn

from raydnn.model.variable import Variable

T = TypeVar("T")
M = TypeVar("M", bound=nn.Module)


class VariableStore(nn.Module):
    """The modules of one model: a model function makes them at its first call and finds them again later."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, nn.Module] = {}
        self._remembered: dict[str, Any] = {}

    def get_module(self, name: str, factory: Callable[[], M]) -> M:
        """The module of this name, made by the factory at the first call."""
        if name not in self._made:
            module = factory()
            self._made[name] = module
            self.add_module(str(len(self._made)), module)
        return self._made[name]  # type: ignore[return-value]

    def has_module(self, name: str) -> bool:
        """Whether a module of this name was made."""
        return name in self._made

    def remember(self, name: str, factory: Callable[[], T]) -> T:
        """Any other object of this name, made by the factory at the first call."""
        if name not in self._remembered:
            self._remembered[name] = factory()
        return self._remembered[name]

    def variables(self) -> Iterator[Variable]:
        """All variables.

        A module with a method `variables` names its own; the parameters and buffers of any other torch module are
        named by the module's name and their path within it.
        """
        for name, module in self._made.items():
            own = getattr(module, "variables", None)
            if callable(own):
                yield from own()
                continue
            for path, parameter in module.named_parameters():
                yield Variable(f"{name}/{path.replace('.', '/')}", parameter, parameter.requires_grad)
            for path, buffer in module.named_buffers():
                yield Variable(f"{name}/{path.replace('.', '/')}", buffer, trainable=False)
