"""What a model function may ask of the start of a session."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Scaffold:
    """Work to do before the first step, as in `tf.compat.v1.train.Scaffold`.

    Attributes:
        init_fn: `init_fn(scaffold, session)`, called after the variables have got their initial values (warm start
            included) and before any hook; not where a checkpoint is restored. `session.load(name, value)` sets a
            variable. With several workers each calls it and must set the same values.

    Raises:
        TypeError: init_fn is not callable.
    """

    init_fn: Callable[["Scaffold", Any], None] | None = None

    def __post_init__(self) -> None:
        if self.init_fn is not None and not callable(self.init_fn):
            raise TypeError(f"init_fn must be callable; got {self.init_fn!r}")
