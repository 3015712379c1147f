"""What differs between training and evaluation, told from their profiles."""

from math import isnan

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raydnn.config.profile import profile_rows
from raydnn.report.differences import Difference, differences


def found(train: dict[str, object], evaluation: dict[str, object]) -> dict[str, Difference]:
    return {
        each.column: each for each in differences(profile_rows(pa.table(train)), profile_rows(pa.table(evaluation)))
    }


def test_distances_of_words_made_by_hand() -> None:
    one = found({"w": ["a", "a", "b", "b"]}, {"w": ["a", "a", "a", "c"]})["w"]
    # Shares 1/2, 1/2 and 3/4, 0, 1/4 for what training has not.
    assert one.distance == pytest.approx(0.5)
    assert one.unseen == pytest.approx(0.25)
    assert isnan(one.shift)


def test_missing_values_are_a_value() -> None:
    one = found({"w": ["a", "a", "a", "a"]}, {"w": ["a", None, None, "a"]})["w"]
    assert (one.distance, one.missing_train, one.missing_eval) == (0.5, 0, 0.5)
    number = found({"x": np.arange(100.0)}, {"x": pa.array([*np.arange(50.0) * 2, *[None] * 50])})["x"]
    assert number.distance == pytest.approx(0.5, abs=0.01)


def test_numbers_are_compared_in_ranges() -> None:
    random = np.random.default_rng(0)
    train = random.normal(size=20_000)
    shifted = found({"same": train, "far": train, "half": train},
                    {"same": random.normal(size=20_000), "far": train + 100, "half": train + 1})  # fmt: skip
    assert shifted["same"].distance < 0.03
    assert shifted["far"].distance == pytest.approx(0.9, abs=0.001)
    # Of two normal distributions one standard deviation apart it is 0.383; ranges show a little less.
    assert shifted["half"].distance == pytest.approx(0.37, abs=0.02)
    assert shifted["half"].shift == pytest.approx(1, abs=0.01)
    assert list(shifted) == ["far", "half", "same"]


def test_rare_words_make_no_distance_by_chance() -> None:
    random = np.random.default_rng(0)
    train, evaluation = ([f"w{word}" for word in random.integers(0, 5000, 20_000)] for _ in range(2))
    assert found({"w": train}, {"w": evaluation})["w"].distance < 0.02


def test_lists_other_types_and_lone_columns_are_left_out() -> None:
    train = {"list": [[1, 2]], "only": [1], "kind": [1], "x": [1]}
    assert list(found(train, {"list": [[1]], "kind": ["a"], "x": [2], "new": [1]})) == ["x"]


@given(st.lists(st.integers(-5, 5) | st.none(), min_size=1, max_size=60), st.lists(st.integers(-5, 5), min_size=1))
def test_distances_lie_between_0_and_1_and_to_itself_is_0(one: list[int | None], other: list[int]) -> None:
    train, evaluation = {"x": pa.array(one, pa.int64())}, {"x": pa.array(other, pa.int64())}
    assert found(train, train)["x"].distance == pytest.approx(0)
    assert 0 <= found(train, evaluation)["x"].distance <= 1
