"""Areas under curves, from weights counted between thresholds."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from raydnn.model.curves import area_under_precision_recall, area_under_roc, curve_sums

AREAS = [area_under_roc, area_under_precision_recall]


def sums_of(probabilities: list[float], labels: list[int], num_thresholds: int = 200) -> dict[str, Tensor]:
    weights = torch.ones(len(labels), dtype=torch.float64)
    return curve_sums(torch.tensor(probabilities), torch.tensor(labels).bool(), weights, num_thresholds)


def test_rows_are_counted_between_the_thresholds_and_one_on_a_threshold_below_it() -> None:
    # The thresholds are -1e-7, 1/4, 1/2, 3/4 and 1 + 1e-7; nothing can lie outside them.
    sums = sums_of([0.0, 0.25, 0.26, 0.5, 0.75, 0.76, 1.0], [1, 1, 0, 1, 0, 1, 0], num_thresholds=5)
    assert sums["positive_bins"].tolist() == [0, 2, 1, 0, 1, 0]
    assert sums["negative_bins"].tolist() == [0, 0, 1, 1, 1, 0]
    assert {value.dtype for value in sums.values()} == {torch.float64}


@pytest.mark.parametrize("num_thresholds", [2, 3, 5, 200])
@settings(max_examples=50, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.integers(0, 4)), max_size=20))
def test_bins_hold_the_weight_above_every_threshold(num_thresholds: int, rows: list[tuple[int, bool, int]]) -> None:
    probabilities = np.array([place / 20 for place, _, _ in rows], np.float32)
    positive = np.array([is_positive for _, is_positive, _ in rows], bool)
    weights = np.array([weight / 2 for _, _, weight in rows], np.float64)
    sums = curve_sums(torch.tensor(probabilities), torch.tensor(positive), torch.tensor(weights), num_thresholds)
    inner = np.arange(1, num_thresholds - 1) / (num_thresholds - 1)
    thresholds = np.array([-1e-7, *inner, 1 + 1e-7], np.float32)
    for name, members in [("positive_bins", positive), ("negative_bins", ~positive)]:
        assert sums[name].shape == (num_thresholds + 1,)
        for place, threshold in enumerate(thresholds):
            assert sums[name][place + 1 :].sum() == weights[members & (probabilities > threshold)].sum()


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize(("sign", "expected"), [(1, 1.0), (-1, 0.0)])
def test_perfect_rankings_have_the_whole_area(area: Any, sign: int, expected: float) -> None:
    labels = [0, 1] * 50
    sums = sums_of([0.5 + sign * (label - 0.5) * 0.8 for label in labels], labels)
    if area is area_under_precision_recall and sign < 0:
        # Precision is 0 while nothing but negatives is found, and then jumps to one half with full recall.
        expected = 0.25
    assert area(sums) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("num_thresholds", [2, 5, 200])
def test_a_guess_that_knows_nothing_has_half_the_area(num_thresholds: int) -> None:
    sums = sums_of([0.3] * 10, [0, 1] * 5, num_thresholds)
    assert area_under_roc(sums) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("area", AREAS)
def test_without_sums_or_without_rows_the_area_is_zero(area: Any) -> None:
    assert area({}) == 0
    assert area(sums_of([], [])) == 0


@pytest.mark.parametrize("area", AREAS)
def test_sums_of_parts_add_up_to_those_of_the_whole(area: Any) -> None:
    random = np.random.default_rng(0)
    probabilities, labels = random.random(50).tolist(), random.integers(0, 2, 50).tolist()
    first, second = sums_of(probabilities[:20], labels[:20]), sums_of(probabilities[20:], labels[20:])
    whole = sums_of(probabilities, labels)
    assert area({name: first[name] + second[name] for name in first}) == area(whole)
