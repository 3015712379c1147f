"""Areas under the ROC and the precision-recall curve, from weights counted between thresholds, as in TensorFlow.

The thresholds are spread evenly over [0, 1], the first a little below 0 and the last a little above 1.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

NUM_THRESHOLDS = 200
_THRESHOLD_EPSILON = 1e-7
_AUC_EPSILON = 1e-6
_POSITIVE_BINS, _NEGATIVE_BINS = "positive_bins", "negative_bins"


def curve_sums(
    probabilities: Tensor, positive: Tensor, weights: Tensor, num_thresholds: int = NUM_THRESHOLDS
) -> dict[str, Tensor]:
    """The weight of the positive and of the negative rows between any two thresholds.

    Args:
        probabilities: float32 [rows], in [0, 1].
        positive: bool [rows].
        weights: float64 [rows].
        num_thresholds: 2 or more.

    Returns:
        positive_bins and negative_bins, float64 [num_thresholds + 1].
    """
    # A prediction counts as positive at the thresholds strictly below it: its bin is how many those are.
    bins = torch.searchsorted(_thresholds(num_thresholds, probabilities.device), probabilities)
    return {
        name: torch.bincount(bins, weights=weights * members, minlength=num_thresholds + 1)
        for name, members in ((_POSITIVE_BINS, positive), (_NEGATIVE_BINS, ~positive))
    }


def area_under_roc(sums: Mapping[str, Tensor]) -> float:
    """True against false positive rate, by trapezoids; 0 without sums."""
    if _POSITIVE_BINS not in sums:
        return 0.0
    negatives = sums[_NEGATIVE_BINS]
    return _trapezoids(_above(negatives) / (negatives.sum() + _AUC_EPSILON), _recall(sums))


def area_under_precision_recall(sums: Mapping[str, Tensor]) -> float:
    """Precision against recall, by trapezoids; 0 without sums."""
    if _POSITIVE_BINS not in sums:
        return 0.0
    true, false = _above(sums[_POSITIVE_BINS]), _above(sums[_NEGATIVE_BINS])
    return _trapezoids(_recall(sums), (true + _AUC_EPSILON) / (true + false + _AUC_EPSILON))


def _recall(sums: Mapping[str, Tensor]) -> Tensor:
    positives = sums[_POSITIVE_BINS]
    return (_above(positives) + _AUC_EPSILON) / (positives.sum() + _AUC_EPSILON)


def _thresholds(number: int, device: torch.device) -> Tensor:
    """-1e-7, 1/(n-1), ..., (n-2)/(n-1), 1 + 1e-7, float32 [n]."""
    inner = [place / (number - 1) for place in range(1, number - 1)]
    return torch.tensor([-_THRESHOLD_EPSILON, *inner, 1 + _THRESHOLD_EPSILON], dtype=torch.float32, device=device)


def _above(bins: Tensor) -> Tensor:
    """For each threshold, what lies in the bins above it, [num_thresholds]."""
    return bins.flip(0).cumsum(0).flip(0)[1:]


def _trapezoids(x: Tensor, y: Tensor) -> float:
    return float(((x[:-1] - x[1:]) * (y[:-1] + y[1:]) / 2).sum())
