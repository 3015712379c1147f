"""How many different values there are and which are frequent, within the errors that are stated."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from raydnn.config.sketch import FREQUENT, SAMPLE, Sketch


def sketch(values: pa.Array) -> Sketch:
    counted = pc.value_counts(values)
    return Sketch.of(counted.field(0), counted.field(1).to_numpy())


def words(numbers: np.ndarray) -> pa.Array:
    return pa.array(numbers).cast(pa.string())


def test_few_values_are_counted_exactly() -> None:
    found = sketch(pa.array(["b", "a", "b", "c", "a", "b"]))
    assert (found.distinct, found.is_cut, found.error, found.total) == (3, False, 0, 6)
    assert found.top(2) == [("b", 3), ("a", 2)]


@pytest.mark.parametrize("as_text", [True, False])
def test_the_number_of_many_values_is_within_three_standard_errors(as_text: bool) -> None:
    distinct = 100_000
    numbers = np.arange(distinct)
    parts = [sketch(words(part) if as_text else pa.array(part)) for part in np.split(numbers, 10)]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.merged(part)
    assert whole.is_cut
    assert len(whole.sample) == SAMPLE
    assert whole.distinct == pytest.approx(distinct, rel=3 / np.sqrt(SAMPLE - 2))


def test_merging_in_any_order_gives_the_same_number_of_values() -> None:
    random = np.random.default_rng(1)
    one, two, three = (sketch(words(random.integers(0, 20_000, 10_000))) for _ in range(3))
    left, right = one.merged(two).merged(three), three.merged(one.merged(two))
    assert left.distinct == right.distinct
    np.testing.assert_array_equal(left.sample.hashes, right.sample.hashes)
    np.testing.assert_array_equal(left.sample.counts, right.sample.counts)


def test_the_sample_of_a_merged_sketch_has_exact_counts() -> None:
    random = np.random.default_rng(2)
    values = random.integers(0, 20_000, 100_000)
    whole = sketch(pa.array(values[:50_000])).merged(sketch(pa.array(values[50_000:])))
    counts = np.bincount(values)
    np.testing.assert_array_equal(whole.sample.counts, counts[whole.sample.values.to_numpy()])


def test_frequent_values_are_found_among_many_with_the_stated_error() -> None:
    random = np.random.default_rng(3)
    frequent = np.repeat(np.arange(5), [3000, 2500, 2000, 1500, 1000])
    rare = random.integers(100, 1_000_000, 50_000)
    values = random.permutation(np.concatenate([frequent, rare]))
    parts = [sketch(words(part)) for part in np.array_split(values, 7)]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.merged(part)
    assert len(whole.frequent) <= FREQUENT
    assert whole.error <= len(values) / (FREQUENT + 1)
    assert [word for word, _ in whole.top(5)] == ["0", "1", "2", "3", "4"]
    for (_, found), true in zip(whole.top(5), [3000, 2500, 2000, 1500, 1000], strict=True):
        assert true - whole.error <= found <= true


def test_a_whole_number_is_one_value_whatever_its_type() -> None:
    merged = sketch(pa.array([1, 2])).merged(sketch(pa.array([2.0, 2.5])))
    assert merged.top(9) == [(2.0, 2), (1.0, 1), (2.5, 1)]


def test_unseen_shares_of_few_values_are_exact() -> None:
    known, other = sketch(pa.array(["a", "b"])), sketch(pa.array(["a", "a", "c", "d"]))
    assert other.unseen(known) == (2 / 3, 0.5)
    assert known.unseen(known) == (0.0, 0.0)


def test_unseen_shares_of_many_values_are_estimated() -> None:
    known, other = sketch(words(np.arange(50_000))), sketch(words(np.arange(40_000, 60_000)))
    assert other.unseen(known) == pytest.approx((0.5, 0.5), abs=0.06)


def test_too_few_common_samples_tell_nothing() -> None:
    known, other = sketch(words(np.arange(1_000_000))), sketch(words(np.arange(1000)))
    assert other.unseen(known) is None
