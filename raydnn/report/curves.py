"""What a score tells of the rows of a class: curves, areas, calibration and decisions, each row with its weight.

One sort gives all: rows in the order of their scores, and how much weight of the class and of the others lies above
each score. A row may also belong to the class in part, as labels between 0 and 1 have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan

import numpy as np
from numpy.typing import NDArray

from raydnn.report.intervals import effective_size, hanley_mcneil, wilson

MOST_POINTS = 400
"""Of a curve that is drawn."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """Points of a curve, in its direction: float64 [n] each."""

    x: Floats
    y: Floats

    def thin(self, most: int = MOST_POINTS) -> "Curve":
        """The curve by fewer points, which stand about equally far from each other; both ends stay."""
        if len(self.x) <= most:
            return self
        way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(self.x)) + np.abs(np.diff(self.y)))])
        places = np.searchsorted(way, np.linspace(0, way[-1], most - 1))
        kept = np.unique([*np.minimum(places, len(way) - 1), len(way) - 1])
        return Curve(self.x[kept], self.y[kept])


@dataclass(frozen=True)
class Decision:
    """What becomes of the rows if those with a score of at least `threshold` are taken for the class.

    Attributes:
        threshold: of the score.
        hits, false_alarms: weight of what is taken, and is of the class or not.
        misses, passed: weight of what is not taken, and is of the class or not.
    """

    threshold: float
    hits: float
    false_alarms: float
    misses: float
    passed: float

    @property
    def precision(self) -> float:
        """Of what is taken, the share of the class; NaN where nothing is taken."""
        return _share(self.hits, self.hits + self.false_alarms)

    @property
    def recall(self) -> float:
        """Of the class, the share that is taken; NaN where the class has no rows."""
        return _share(self.hits, self.hits + self.misses)

    @property
    def f1(self) -> float:
        """The harmonic mean of both: 2 hits / (2 hits + false alarms + misses)."""
        return _share(2 * self.hits, 2 * self.hits + self.false_alarms + self.misses)

    @property
    def flagged(self) -> float:
        """The share of all rows that is taken."""
        return _share(self.hits + self.false_alarms, self.hits + self.false_alarms + self.misses + self.passed)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Rows in the order of their scores.

    Attributes:
        thresholds: the different scores, descending [n].
        hits, false_alarms: weight of the class and of all others with that score or a higher one [n].
        positives, negatives: how many rows of equal weight tell as much about the class, and about the others.
    """

    thresholds: Floats
    hits: Floats
    false_alarms: Floats
    positives: float
    negatives: float

    @classmethod
    def of(cls, scores: NDArray[np.floating], members: Floats, weights: Floats) -> "Ranking":
        """Rank rows.

        Args:
            scores: of the rows [rows].
            members: how far each is of the class, 0 to 1 [rows].
            weights: of the rows, not negative [rows].
        """
        order = np.argsort(-scores, kind="stable")
        ordered = scores[order].astype(np.float64)
        of_class, of_others = members * weights, (1 - members) * weights
        last = np.flatnonzero(np.append(np.diff(ordered) != 0, True)) if len(ordered) else np.zeros(0, np.int64)
        hits, false_alarms = np.cumsum(of_class[order])[last], np.cumsum(of_others[order])[last]
        return cls(ordered[last], hits, false_alarms, effective_size(of_class), effective_size(of_others))

    @property
    def has_both(self) -> bool:
        """Whether there are rows of the class and others; without both there is nothing to tell apart."""
        return bool(len(self.hits) and self.hits[-1] > 0 and self.false_alarms[-1] > 0)

    @property
    def share(self) -> float:
        """Of all weight, that of the class."""
        return _share(self.hits[-1], self.hits[-1] + self.false_alarms[-1]) if len(self.hits) else nan

    @cached_property
    def roc(self) -> Curve:
        """Of the others (x) and of the class (y) the share above each score, from (0, 0) to (1, 1)."""
        x, y = self.false_alarms / self.false_alarms[-1], self.hits / self.hits[-1]
        return Curve(np.concatenate([[0.0], x]), np.concatenate([[0.0], y]))

    @cached_property
    def precision_recall(self) -> Curve:
        """Recall (x) and precision (y) above each score; it begins at recall 0 with the first score's precision."""
        taken = self.hits + self.false_alarms
        precision = np.divide(self.hits, taken, out=np.ones_like(taken), where=taken > 0)
        return Curve(np.concatenate([[0.0], self.hits / self.hits[-1]]), np.concatenate([precision[:1], precision]))

    @property
    def area(self) -> float:
        """Under the ROC curve, exact: the chance that a row of the class scores higher than another, ties by half."""
        return float(np.trapezoid(self.roc.y, self.roc.x)) if self.has_both else nan

    @property
    def area_interval(self) -> tuple[float, float]:
        """Of 95 %."""
        return hanley_mcneil(self.area, self.positives, self.negatives) if self.has_both else (nan, nan)

    @property
    def average_precision(self) -> float:
        """The mean of the precision over recall, without interpolation."""
        if not self.has_both:
            return nan
        curve = self.precision_recall
        return float((np.diff(curve.x) * curve.y[1:]).sum())

    def decide(self, threshold: float) -> Decision:
        """What becomes of the rows at a threshold."""
        above = int(np.searchsorted(-self.thresholds, -threshold, side="right"))
        hits, false_alarms = (float(self.hits[above - 1]), float(self.false_alarms[above - 1])) if above else (0.0, 0.0)
        return Decision(
            threshold, hits, false_alarms, float(self.hits[-1]) - hits, float(self.false_alarms[-1]) - false_alarms
        )

    @property
    def best_f1(self) -> Decision:
        """The decision with the largest F1, of several the one that takes the fewest."""
        f1 = 2 * self.hits / (self.hits[-1] + self.hits + self.false_alarms)
        return self.decide(float(self.thresholds[int(np.argmax(f1))]))


@dataclass(frozen=True)
class CalibrationBin:
    """Rows of similar scores.

    Attributes:
        rows: how many.
        score: their mean score.
        share: of the class among them, weighted.
        low, high: ends of its interval of 95 %, after Wilson.
        weight: of all rows, the share of their weight.
    """

    rows: int
    score: float
    share: float
    low: float
    high: float
    weight: float


def calibration(scores: NDArray[np.floating], members: Floats, weights: Floats) -> list[CalibrationBin]:
    """Scores against what came true, in up to ten bins with equally many rows; equal scores stay together.

    Args:
        scores, members, weights: see `Ranking.of`.
    """
    edges = np.unique(np.quantile(scores, np.arange(1, 10) / 10)) if len(scores) else np.zeros(0)
    places = np.searchsorted(edges, scores, side="right")
    found, total = [], float(weights.sum())
    for place in range(len(edges) + 1):
        chosen = places == place
        weight = float(weights[chosen].sum())
        if not weight > 0:
            continue
        share = float((members[chosen] * weights[chosen]).sum()) / weight
        score = float((scores[chosen] * weights[chosen]).sum()) / weight
        low, high = wilson(share, effective_size(weights[chosen]))
        found.append(CalibrationBin(int(chosen.sum()), score, share, low, high, weight / total))
    return found


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """The mean distance of scores from what came true, weighted.

    Known as expected calibration error; Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using
    Bayesian Binning", AAAI 2015.
    """
    return float(sum(each.weight * abs(each.score - each.share) for each in bins))


def confusion(predicted: NDArray[np.int64], members: Floats, weights: Floats) -> Floats:
    """Weight of the rows by what they are and what they are taken for.

    Args:
        predicted: class ids [rows].
        members: how far a row is of each class [rows, classes].
        weights: of the rows [rows].

    Returns:
        float64 [class, predicted class].
    """
    classes = members.shape[1]
    found = np.zeros((classes, classes))
    np.add.at(found.T, predicted, members * weights[:, None])
    return found


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else nan
