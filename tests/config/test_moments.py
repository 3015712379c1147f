"""Moments of numbers, whole and in parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raydnn.config.moments import Moments

numbers = st.lists(st.floats(-1e6, 1e6), max_size=30)


def moments(values: list[float]) -> Moments:
    return Moments.of(np.array(values), np.ones(len(values), np.int64))


@given(numbers, numbers)
def test_parts_merge_to_the_whole(one: list[float], other: list[float]) -> None:
    merged, whole = moments(one).merged(moments(other)), moments(one + other)
    assert (merged.count, merged.min, merged.max) == (whole.count, whole.min, whole.max)
    assert merged.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)
    assert merged.m2 == pytest.approx(whole.m2, rel=1e-9, abs=1e-3)
    assert merged.m3 == pytest.approx(whole.m3, rel=1e-6, abs=1e6)


def test_they_are_those_of_numpy() -> None:
    values = np.array([1.0, 2.0, 10.0])
    found = Moments.of(values, np.array([3, 1, 2]))
    repeated = np.repeat(values, [3, 1, 2])
    assert (found.count, found.min, found.max) == (6, 1, 10)
    assert found.mean == pytest.approx(repeated.mean())
    assert found.std == pytest.approx(repeated.std())
    assert found.skewness == pytest.approx((((repeated - repeated.mean()) / repeated.std()) ** 3).mean())


def test_large_numbers_that_lie_close_together_keep_their_deviation() -> None:
    parts = [moments([1e9 + place, 1e9 + place + 1]) for place in range(0, 1000, 2)]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.merged(part)
    assert whole.std == pytest.approx(np.arange(1000).std(), rel=1e-9)


def test_no_numbers_have_no_deviation() -> None:
    assert np.isnan(Moments().std)
    assert Moments().skewness == 0
