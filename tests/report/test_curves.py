"""Curves, areas, calibration and decisions, against hand-made cases and scikit-learn."""

from math import isnan

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from raydnn.report.curves import Curve, Ranking, calibration, calibration_error, confusion

# Scores 0.9 (hit), 0.8 (other), 0.8 (hit), 0.2 (other).
SCORES, LABELS = np.array([0.2, 0.8, 0.9, 0.8]), np.array([0.0, 1.0, 1.0, 0.0])
ONES = np.ones(4)


@st.composite
def ranked(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = draw(st.integers(2, 60))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    labels = (random.random(rows) < 0.4).astype(float)
    labels[:2] = 0.0, 1.0
    return random.integers(0, draw(st.integers(1, 40)), rows) / 40, labels, random.uniform(0.1, 3, rows)


def test_a_curve_made_by_hand() -> None:
    ranking = Ranking.of(SCORES, LABELS, ONES)
    assert ranking.roc.x.tolist() == [0, 0, 0.5, 1]
    assert ranking.roc.y.tolist() == [0, 0.5, 1, 1]
    assert ranking.area == 0.875
    assert ranking.average_precision == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert (ranking.positives, ranking.negatives, ranking.share) == (2, 2, 0.5)


@given(ranked())
def test_areas_are_those_of_scikit_learn(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    scores, labels, weights = rows
    ranking = Ranking.of(scores, labels, weights)
    assert ranking.area == pytest.approx(sklearn.metrics.roc_auc_score(labels, scores, sample_weight=weights))
    expected = sklearn.metrics.average_precision_score(labels, scores, sample_weight=weights)
    assert ranking.average_precision == pytest.approx(expected)


@given(ranked(), st.floats(0, 1))
def test_decisions_are_those_of_scikit_learn(rows: tuple[np.ndarray, np.ndarray, np.ndarray], threshold: float) -> None:
    scores, labels, weights = rows
    found = Ranking.of(scores, labels, weights).decide(threshold)
    taken = scores >= threshold
    ((passed, alarms), (misses, hits)) = sklearn.metrics.confusion_matrix(
        labels, taken, sample_weight=weights, labels=[0, 1]
    )
    assert (found.hits, found.false_alarms) == pytest.approx((hits, alarms), abs=1e-9)
    assert (found.misses, found.passed) == pytest.approx((misses, passed), abs=1e-9)
    if hits:
        expected = sklearn.metrics.f1_score(labels, taken, sample_weight=weights)
        assert found.f1 == pytest.approx(expected)


@given(ranked())
def test_no_threshold_has_a_larger_f1_than_the_best(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    ranking = Ranking.of(*rows)
    assert ranking.best_f1.f1 >= max(ranking.decide(each).f1 for each in ranking.thresholds.tolist()) - 1e-12


def test_labels_between_the_classes_count_in_part() -> None:
    whole = Ranking.of(np.array([0.9, 0.9, 0.1]), np.array([1.0, 0.0, 0.0]), np.array([0.3, 0.7, 1.0]))
    soft = Ranking.of(np.array([0.9, 0.1]), np.array([0.3, 0.0]), np.ones(2))
    assert soft.area == pytest.approx(whole.area)


def test_one_class_alone_has_no_area() -> None:
    ranking = Ranking.of(SCORES, np.ones(4), ONES)
    assert not ranking.has_both
    assert isnan(ranking.area)
    assert isnan(ranking.average_precision)
    assert not Ranking.of(SCORES, LABELS, np.zeros(4)).has_both


def test_nothing_taken_has_no_precision_and_no_recall_to_speak_of() -> None:
    found = Ranking.of(SCORES, LABELS, ONES).decide(0.95)
    assert isnan(found.precision)
    assert (found.recall, found.flagged) == (0, 0)


@given(st.integers(2, 3000), st.integers(2, 50))
def test_a_thin_curve_keeps_its_ends_and_few_points(points: int, most: int) -> None:
    x = np.linspace(0, 1, points)
    thin = Curve(x, x**2).thin(most)
    assert len(thin.x) <= max(most, 2)
    assert (thin.x[0], thin.x[-1], thin.y[-1]) == (0, 1, 1)
    assert (np.diff(thin.x) > 0).all()


def test_calibration_bins_hold_equally_many_rows() -> None:
    random = np.random.default_rng(0)
    scores = random.random(10_000)
    members = (random.random(10_000) < scores).astype(float)
    bins = calibration(scores, members, np.ones(10_000))
    assert [each.rows for each in bins] == [1000] * 10
    assert sum(each.weight for each in bins) == pytest.approx(1)
    assert sum(each.low <= each.score <= each.high for each in bins) >= 8
    assert calibration_error(bins) < 0.02


def test_scores_that_say_too_much_have_an_error() -> None:
    bins = calibration(np.full(8, 0.9), np.array([1.0, 0.0] * 4), np.ones(8))
    assert len(bins) == 1
    assert calibration_error(bins) == pytest.approx(0.4)


def test_confusion_counts_weights_by_label_and_prediction() -> None:
    members = np.eye(3)[[0, 1, 2, 2]]
    found = confusion(np.array([0, 2, 2, 1]), members, np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.tolist() == [[1, 0, 0], [0, 0, 2], [0, 4, 3]]
