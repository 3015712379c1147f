"""Confidence intervals of 95 %, by formulas."""

from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


def effective_size(weights: NDArray[np.float64]) -> float:
    """How many rows of equal weight tell as much: (sum w)^2 / sum w^2; Kish, "Survey Sampling", 1965."""
    total = float(weights.sum())
    return total**2 / float((weights**2).sum()) if total > 0 else 0.0


def wilson(share: float, size: float) -> tuple[float, float]:
    """The interval of a share.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the American Statistical
    Association 22, 1927.

    Args:
        share: that was found, in [0, 1].
        size: among how many rows; see `effective_size`.

    Returns:
        Its ends, in [0, 1]; NaN where there are no rows.
    """
    if not size > 0:
        return nan, nan
    scale = 1 + Z**2 / size
    middle = (share + Z**2 / (2 * size)) / scale
    half = Z / scale * sqrt(max(share * (1 - share), 0.0) / size + Z**2 / (4 * size**2))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def hanley_mcneil(area: float, positives: float, negatives: float) -> tuple[float, float]:
    """The interval of an area under a ROC curve.

    Hanley and McNeil, "The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC) Curve",
    Radiology 143, 1982.

    Args:
        area: that was found.
        positives, negatives: how many rows of each class; see `effective_size`.

    Returns:
        Its ends, in [0, 1]; NaN where a class has no rows.
    """
    if not (positives > 0 and negatives > 0):
        return nan, nan
    of_two_positives, of_two_negatives = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area)
    variance += (positives - 1) * (of_two_positives - area**2) + (negatives - 1) * (of_two_negatives - area**2)
    half = Z * sqrt(max(variance, 0.0) / (positives * negatives))
    return max(area - half, 0.0), min(area + half, 1.0)
