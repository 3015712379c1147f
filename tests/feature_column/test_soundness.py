"""Judgements about columns."""

import numpy as np
import pytest

from raydnn.feature_column.soundness import (
    COLLIDING,
    colliding_share,
    collision,
    hash_buckets,
    is_far,
    lack,
    percent,
    scale,
    words_in,
)


@pytest.mark.parametrize(("words", "buckets"), [(100, 1000), (1000, 1000), (3000, 1000), (300, 160)])
def test_words_are_estimated_from_the_buckets_that_they_use(words: int, buckets: int) -> None:
    random = np.random.default_rng(3)
    found = [words_in(len(np.unique(random.integers(0, buckets, words))), buckets) for _ in range(200)]
    assert np.mean(found) == pytest.approx(words, rel=0.05)


@pytest.mark.parametrize(("used", "buckets", "words"), [(0, 7, 0), (1, 1, 1), (1, 100, 1), (10, 10, 30)])
def test_no_bucket_and_all_buckets_have_an_estimate(used: int, buckets: int, words: int) -> None:
    assert words_in(used, buckets) == words


def test_as_many_words_as_buckets_are_the_limit() -> None:
    assert colliding_share(4000, 4096) < COLLIDING < colliding_share(4200, 4096)
    # What is suggested lies far below.
    assert colliding_share(1000, hash_buckets(1000)) < 0.4


@pytest.mark.parametrize(
    ("mean", "std", "expected"), [(999, 999, False), (-1001, 1, True), (0, 1001, True), (0, 0, False)]
)
def test_thousands_are_off_by_orders_of_magnitude(mean: float, std: float, expected: bool) -> None:
    assert is_far(mean, std) is expected


def test_what_was_found_is_told_in_numbers() -> None:
    assert scale(12345.678, 0.5) == "has mean 1.235e+04 and standard deviation 0.5 where it enters the network"
    assert lack(0.123) == "the vocabulary lacks 12 % of the values"
    assert collision(200, 100) == "about 86 % of 200 values share one of 100 buckets with another"
    assert (percent(0.0512), percent(0.5)) == ("5.1 %", "50 %")
