"""Count, extremes, mean, deviation and skewness of numbers, merged without loss of precision."""

from dataclasses import dataclass
from math import inf, nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Moments:
    """What is known of some numbers.

    Attributes:
        count: how many there are.
        mean: of them; 0 if there are none.
        m2, m3: sums of the second and third powers of their distances from the mean.
        min, max: infinite, the wrong way round, if there are none.
    """

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    m3: float = 0.0
    min: float = inf
    max: float = -inf

    @classmethod
    def of(cls, values: NDArray[Any], counts: NDArray[np.int64]) -> "Moments":
        """The moments of values that occur so many times each.

        Args:
            values: finite numbers [n].
            counts: int64 [n].
        """
        total = int(counts.sum())
        if not total:
            return cls()
        numbers = values.astype(np.float64)
        # Around the first number, so that large ones that lie close together keep their digits.
        first = numbers[0]
        mean = float(first + ((numbers - first) * counts).sum() / total)
        apart = numbers - mean
        squares = apart * apart * counts
        return cls(
            total,
            mean,
            float(squares.sum()),
            float((squares * apart).sum()),
            float(numbers.min()),
            float(numbers.max()),
        )

    def merged(self, other: "Moments") -> "Moments":
        """The moments of the numbers of both.

        As in Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances",
        1979, and Pébay, "Formulas for Robust, One-Pass Parallel Computation of Covariances and Arbitrary-Order
        Statistical Moments", 2008.
        """
        if not self.count or not other.count:
            return self if self.count else other
        total = self.count + other.count
        apart = other.mean - self.mean
        share, rest = other.count / total, self.count / total
        m2 = self.m2 + other.m2 + apart**2 * self.count * share
        m3 = self.m3 + other.m3 + apart**3 * self.count * share * (rest - share)
        m3 += 3 * apart * (rest * other.m2 - share * self.m2)
        return Moments(total, self.mean + apart * share, m2, m3, min(self.min, other.min), max(self.max, other.max))

    @property
    def std(self) -> float:
        """Standard deviation of the numbers as a whole population; NaN if there are none."""
        return sqrt(max(self.m2, 0.0) / self.count) if self.count else nan

    @property
    def skewness(self) -> float:
        """0 where they lie evenly around the mean, above 0 with a long tail of large ones."""
        return (self.m3 / self.count) / self.std**3 if self.count and self.std > 0 else 0.0
