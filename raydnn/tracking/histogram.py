"""TensorFlow's histogram summary: its fixed buckets, filled with NumPy."""

import math
import sys
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from raydnn.errors import InvalidArgumentError

__all__ = ["Histogram", "make_histogram"]


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """The numbers of one histogram summary.

    `bucket_limits[i]` is the upper, exclusive end of bucket i; the lower end is the limit before it.
    """

    minimum: float
    maximum: float
    num: int
    total: float
    total_of_squares: float
    bucket_limits: list[float]
    bucket_counts: list[float]


@cache
def _default_limits() -> NDArray[np.float64]:
    """Upper ends of TensorFlow's buckets: 1e-12 to 1e20 in steps of 10%, on both sides of zero."""
    positive = []
    # Repeated products, not powers: the limits then equal TensorFlow's to the last bit.
    limit = 1.0e-12
    while limit < 1.0e20:
        positive.append(limit)
        limit *= 1.1
    positive.append(sys.float_info.max)
    return np.array([-limit for limit in reversed(positive)] + [0.0] + positive)


def make_histogram(values: NDArray[np.generic]) -> Histogram | None:
    """Counts values into TensorFlow's buckets; runs of empty buckets are merged into one.

    Args:
        values: numbers of any shape.

    Returns:
        The histogram, or None if there are no values.

    Raises:
        InvalidArgumentError: a value is NaN or infinite.
    """
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    if flat.size == 0:
        return None
    total = float(flat.sum())
    if not math.isfinite(total) and not np.isfinite(flat).all():
        raise InvalidArgumentError("NaN or infinity in the values of a histogram summary")
    limits = _default_limits()
    buckets = np.minimum(np.searchsorted(limits, flat, side="right"), limits.size - 1)
    counts = np.bincount(buckets, minlength=limits.size)
    # A bucket is written if it holds something, or if it is the last of a run of empty ones.
    filled = counts > 0
    kept = filled | np.append(filled[1:], True)
    return Histogram(
        minimum=float(flat.min()),
        maximum=float(flat.max()),
        num=int(flat.size),
        total=total,
        total_of_squares=float(flat @ flat),
        bucket_limits=limits[kept].tolist(),
        bucket_counts=counts[kept].astype(np.float64).tolist(),
    )
