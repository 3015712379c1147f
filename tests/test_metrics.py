"""Metrics of model functions of one's own: shapes, merging, what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raydnn import metrics
from raydnn.metrics import Metric
from raydnn.model.metrics import NamedMetrics

OF_PAIRS = [
    metrics.accuracy,
    metrics.auc,
    metrics.false_negatives,
    metrics.false_positives,
    metrics.mean_absolute_error,
    metrics.mean_squared_error,
    metrics.precision,
    metrics.recall,
    metrics.root_mean_squared_error,
    metrics.true_negatives,
    metrics.true_positives,
]
COUNTS = [metrics.true_positives, metrics.false_positives, metrics.false_negatives, metrics.true_negatives]
MetricFn = Callable[..., Metric]


def name_of(function: MetricFn) -> str:
    return function.__name__


def value(*batches: Metric) -> float:
    """The metric over batches."""
    total = NamedMetrics({"m": batches[0]})
    for batch in batches[1:]:
        total.merge(NamedMetrics({"m": batch}))
    result = total.result()["m"]
    assert result.dtype == np.float32
    return float(result)


# --- Definitions


def test_counts_of_a_small_table() -> None:
    labels, predictions = [1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0]
    assert [value(count(labels, predictions)) for count in COUNTS] == [2, 1, 1, 3]
    weights = [1.0, 0.5, 2.0, 4.0, 0.25, 0.0, 1.0]
    assert [value(count(labels, predictions, weights)) for count in COUNTS] == [1.5, 4, 2, 1.25]
    assert value(metrics.precision(labels, predictions)) == pytest.approx(2 / 3)
    assert value(metrics.recall(labels, predictions, weights)) == pytest.approx(1.5 / 3.5)


def test_anything_but_zero_is_true() -> None:
    labels, predictions = [2.0, -1.0, 0.0, 0.0], [0.1, 0.0, -3.0, 0.0]
    assert [value(count(labels, predictions)) for count in COUNTS] == [1, 1, 1, 1]


def test_errors_of_a_small_table() -> None:
    labels, predictions, weights = [1.0, 2.0, 3.0], [2.0, 0.0, 3.0], [3.0, 1.0, 0.0]
    assert value(metrics.mean_squared_error(labels, predictions)) == pytest.approx(5 / 3)
    assert value(metrics.mean_squared_error(labels, predictions, weights)) == pytest.approx(7 / 4)
    assert value(metrics.root_mean_squared_error(labels, predictions, weights)) == pytest.approx((7 / 4) ** 0.5)
    assert value(metrics.mean_absolute_error(labels, predictions, weights)) == pytest.approx(5 / 4)


def test_the_root_is_taken_of_the_mean_over_all_batches() -> None:
    batches = metrics.root_mean_squared_error([0.0], [3.0]), metrics.root_mean_squared_error([0.0] * 3, [1.0] * 3)
    assert value(*batches) == pytest.approx(3**0.5)


@pytest.mark.parametrize(
    "given_values",
    [
        [True, False, True],
        np.array([1, 0, 1], np.uint8),
        torch.tensor([1.0, 0.0, 1.0], requires_grad=True),
        torch.tensor([1, 0, 1], dtype=torch.bfloat16),
    ],
)
def test_values_may_be_of_any_kind(given_values: Any) -> None:
    assert value(metrics.mean(given_values)) == pytest.approx(2 / 3)
    assert value(metrics.accuracy([1, 0, 0], given_values)) == pytest.approx(2 / 3)
    assert value(metrics.auc(given_values, [0.9, 0.1, 0.8])) == pytest.approx(1, abs=1e-5)
    assert not any(part.requires_grad for part in metrics.mean(given_values).sums.values())


def test_small_weights_are_not_lost_beside_large_ones() -> None:
    batches = [metrics.mean([0.0], [2.0**24]), *[metrics.mean([1.0])] * 64]
    assert value(*batches) == np.float32(64 / (2.0**24 + 64))


# --- Shapes


@pytest.mark.parametrize("function", OF_PAIRS, ids=name_of)
def test_an_axis_of_size_one_at_the_end_does_not_count(function: MetricFn) -> None:
    labels, predictions, weights = np.array([1, 0, 1, 0]), np.array([0.0, 1.0, 1.0, 0.25]), np.array([1.0, 2.0, 0.5, 3])
    expected = value(function(labels, predictions, weights))
    column = np.s_[:, None]
    assert value(function(labels[column], predictions, weights)) == expected
    assert value(function(labels, predictions[column], weights)) == expected
    assert value(function(labels, predictions, weights[column])) == expected
    assert value(function(labels[column], predictions[column], weights[column])) == expected


@pytest.mark.parametrize("function", OF_PAIRS, ids=name_of)
def test_a_number_weighs_all_rows(function: MetricFn) -> None:
    labels, predictions = [1, 0, 1, 0], [0.0, 1.0, 1.0, 0.25]
    assert value(function(labels, predictions, 2.0)) == value(function(labels, predictions, [2.0] * 4))


def test_weights_stretch_over_the_columns() -> None:
    values = [[1.0, 2.0], [3.0, 5.0], [7.0, 9.0]]
    assert value(metrics.mean(values, [[1.0], [0.0], [0.0]])) == 1.5
    assert value(metrics.mean(values, [[0.0, 1.0]])) == pytest.approx(16 / 3)
    assert value(metrics.mean_squared_error(np.zeros((3, 2)), values, [[0.0], [1.0], [0.0]])) == 17


@pytest.mark.parametrize("function", OF_PAIRS, ids=name_of)
@pytest.mark.parametrize(("labels", "predictions"), [([0, 1], [0, 1, 1]), ([[0, 1]], [0, 1]), ([0], [[0, 1]])])
def test_labels_and_predictions_of_two_shapes_are_refused(function: MetricFn, labels: Any, predictions: Any) -> None:
    with pytest.raises(ValueError, match=r"labels of shape .* do not fit predictions of shape"):
        function(labels, predictions)


@pytest.mark.parametrize("function", [lambda values, weights: metrics.mean(values, weights)])
@pytest.mark.parametrize("weights", [[1.0, 2.0], [[1.0], [2.0]], [[1.0, 1.0, 1.0]]])
def test_weights_that_do_not_fit_are_refused(function: MetricFn, weights: Any) -> None:
    with pytest.raises(ValueError, match=r"weights of shape .* do not fit values of shape \(3,\)"):
        function([1.0, 2.0, 3.0], weights)
    with pytest.raises(ValueError, match=r"weights of shape .* do not fit values of shape \(3,\)"):
        metrics.auc([0, 1, 1], [0.0, 0.5, 1.0], weights)


# --- Areas


@pytest.mark.parametrize("curve", ["roc", "", None, "AUC"])
def test_an_unknown_curve_is_refused(curve: Any) -> None:
    with pytest.raises(ValueError, match="curve must be 'ROC' or 'PR'; got"):
        metrics.auc([0, 1], [0.0, 1.0], curve=curve)


@pytest.mark.parametrize("number", [-1, 0, 1])
def test_two_thresholds_are_the_least(number: int) -> None:
    with pytest.raises(ValueError, match=f"num_thresholds must be 2 or more; got {number}"):
        metrics.auc([0, 1], [0.0, 1.0], num_thresholds=number)


@pytest.mark.parametrize("bad", [-0.01, 1.01, float("nan"), float("inf")])
def test_predictions_that_are_no_probabilities_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"predictions for auc must be probabilities in \[0, 1\]"):
        metrics.auc([0, 1], [0.5, bad])


def test_areas_of_one_class_alone_are_zero() -> None:
    assert value(metrics.auc([1, 1], [0.3, 0.6])) == 0
    assert value(metrics.auc([0, 0], [0.3, 0.6], curve="PR")) == 0


# --- Batches


@pytest.mark.parametrize("function", OF_PAIRS, ids=name_of)
def test_without_rows_or_without_weight_a_metric_is_zero(function: MetricFn) -> None:
    assert value(function([], [])) == 0
    assert value(function(np.zeros((0, 1)), torch.zeros(0), np.zeros((0, 1)))) == 0
    assert value(function([1, 0], [0.0, 1.0], [0.0, 0.0])) == 0


def test_a_mean_without_rows_or_without_weight_is_zero() -> None:
    assert value(metrics.mean([])) == 0
    assert value(metrics.mean([3.0], [0.0])) == 0


@pytest.mark.parametrize("function", OF_PAIRS, ids=name_of)
@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(0, 4)), max_size=12),
    cut=st.integers(0, 12),
)
def test_two_parts_merge_to_the_whole(function: MetricFn, rows: list[tuple[bool, float, int]], cut: int) -> None:
    def measure(part: list[tuple[bool, float, int]]) -> Metric:
        return function(*(np.array([row[place] for row in part], np.float64) for place in range(3)))

    assert value(measure(rows[:cut]), measure(rows[cut:])) == value(measure(rows))
    assert value(measure([]), measure(rows)) == value(measure(rows))


def test_named_metrics_are_measured_apart() -> None:
    batch = {"a": metrics.mean([1.0, 2.0]), "b": metrics.mean([5.0]), "a\nb": metrics.true_positives([1], [1])}
    total = NamedMetrics(batch)
    total.merge(NamedMetrics(batch))
    assert total.result() == {"a": 1.5, "b": 5.0, "a\nb": 2.0}
