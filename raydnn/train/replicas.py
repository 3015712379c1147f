"""The replicas of a model that train together, as the loop sees them."""

from typing import Protocol

from torch import Tensor, nn

from raydnn.model.tables import RowGradient


class Replicas(Protocol):
    """One member of a group of replicas. Every call is made by all of them, in the same order.

    Attributes:
        rank: of this replica, from 0; rank 0 is the chief.
        size: number of replicas.
    """

    rank: int
    size: int

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether some replica set it."""

    def all_sum(self, tensor: Tensor) -> Tensor:
        """The sum over the replicas; gradients flow through it."""

    def gather_rows(self, gradient: RowGradient | None, dimension: int) -> RowGradient | None:
        """The row gradients of all replicas, summed by row."""

    def all_to_all(self, values: Tensor, send: list[int], receive: list[int]) -> Tensor:
        """Send rows of a tensor, in order, so many to each replica; returns those received, in the senders' order."""

    def share(self, text: str) -> str:
        """The chief's text."""

    def wrap(self, module: nn.Module, uses_all: bool) -> nn.Module:
        """The module such that a backward pass leaves in each parameter the sum of all replicas' gradients.

        Args:
            module: with all its parameters made.
            uses_all: whether each call uses every parameter that is trained.
        """

    def waited_for_gradients(self) -> float:
        """Seconds since the last part of the gradients of this backward pass was ready to be summed."""


class SingleReplica:
    """A model that trains alone."""

    rank = 0
    size = 1

    def any(self, *flags: bool) -> tuple[bool, ...]:
        return flags

    def all_sum(self, tensor: Tensor) -> Tensor:
        return tensor

    def gather_rows(self, gradient: RowGradient | None, dimension: int) -> RowGradient | None:
        return gradient

    def all_to_all(self, values: Tensor, send: list[int], receive: list[int]) -> Tensor:
        return values

    def share(self, text: str) -> str:
        return text

    def wrap(self, module: nn.Module, uses_all: bool) -> nn.Module:
        return module

    def waited_for_gradients(self) -> float:
        return 0.0
