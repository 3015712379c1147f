"""Dropout whose masks depend on the global row, so that any number of workers drops the same values."""

from dataclasses import dataclass

import torch
from torch import Tensor

_MASK_32 = 2**32 - 1
# Odd numbers with well mixed bits, as in the finalisers of MurmurHash3 (Appleby, 2008).
_ROW, _COLUMN = 0x9E3779B1, 0x85EBCA77
_FIRST, _SECOND = 0x85EBCA6B, 0xC2B2AE35


@dataclass(frozen=True)
class Dropout:
    """Inverted dropout in one step: values are dropped with a probability, the others divided by 1 - it.

    Whether a value is dropped is a hash of seed, layer, row and column: nothing is drawn, so nothing has to be kept in
    step between workers or restored after a restart.

    Attributes:
        seed: of the run and the step.
        first_row: place of the first row within the global batch.
    """

    seed: int
    first_row: int = 0

    def __call__(self, x: Tensor, rate: float, layer: int = 0) -> Tensor:
        """Drop values.

        Args:
            x: float32 [rows, ...].
            rate: probability of dropping, in [0, 1).
            layer: tells apart the layers of one step.
        """
        values = x.flatten(1) if x.dim() > 1 else x.unsqueeze(1)
        rows = torch.arange(self.first_row, self.first_row + values.shape[0], device=x.device)
        columns = torch.arange(values.shape[1], device=x.device)
        rows = _mixed(rows * _ROW + (self.seed & _MASK_32))
        columns = _mixed(columns * _COLUMN + (self.seed >> 32 & _MASK_32) + layer * _FIRST)
        hashes = _as_int32(rows).unsqueeze(1).bitwise_xor(_as_int32(columns))
        # In place and in 32 bits: this is the only work of the size of the batch.
        hashes.mul_(_signed(_FIRST)).bitwise_xor_(hashes >> 15).mul_(_signed(_SECOND))
        kept = hashes >= round(rate * 2**32) - 2**31
        return x * kept.view(x.shape).to(x.dtype).mul_(1 / (1 - rate))


def _mixed(values: Tensor) -> Tensor:
    """A 32-bit finaliser in 64-bit arithmetic, for the few values that are not of the size of a batch."""
    values = values & _MASK_32
    for factor in (_FIRST, _SECOND):
        values = (values ^ (values >> 15)) * factor & _MASK_32
    return values ^ (values >> 16)


def _as_int32(values: Tensor) -> Tensor:
    return torch.where(values >= 2**31, values - 2**32, values).int()


def _signed(value: int) -> int:
    return value - 2**32 if value >= 2**31 else value
