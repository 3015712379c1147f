"""Confidence intervals against published values."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raydnn.report.intervals import effective_size, hanley_mcneil, wilson


def test_wilson_gives_the_published_example() -> None:
    # Newcombe, "Two-Sided Confidence Intervals for the Single Proportion", 1998, table I: 81 of 263, and 0 of 20.
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


@given(st.floats(0, 1), st.floats(1, 1e9))
def test_a_wilson_interval_holds_the_share_and_stays_within_0_and_1(share: float, size: float) -> None:
    low, high = wilson(share, size)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1


def test_hanley_and_mcneil_give_the_spread_of_areas_of_exponential_scores() -> None:
    # For such scores their formula is exact: the area is ratio / (1 + ratio) of the two means.
    random = np.random.default_rng(0)
    of_class, of_others = 3 * random.exponential(size=(20_000, 25)), random.exponential(size=(20_000, 40))
    areas = [(one[:, None] > other[None]).mean() for one, other in zip(of_class, of_others, strict=True)]
    assert np.mean(areas) == pytest.approx(0.75, abs=0.002)
    low, high = hanley_mcneil(0.75, 25, 40)
    assert (high - low) / (2 * 1.96) == pytest.approx(np.std(areas), rel=0.02)


def test_without_rows_nothing_is_known() -> None:
    assert all(map(isnan, (*wilson(0.5, 0), *hanley_mcneil(0.5, 0, 10))))


def test_equal_weights_count_each_row_and_one_large_weight_counts_one() -> None:
    assert effective_size(np.full(7, 3.0)) == pytest.approx(7)
    assert effective_size(np.array([1.0, 0.0])) == 1
    assert effective_size(np.zeros(2)) == 0
