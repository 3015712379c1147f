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

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module such that a backward pass leaves in each parameter the sum of all replicas' gradients."""


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

    def wrap(self, module: nn.Module) -> nn.Module:
        return module
