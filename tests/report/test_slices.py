"""Slices: which rows they hold, and what is said of them."""

import numpy as np
import pyarrow as pa
import pytest

from raydnn.report.importance import Importance
from raydnn.report.scored import Scored
from raydnn.report.slices import MISSING, default_columns, slice_rows


def scored(columns: dict[str, object], scores: object = None, labels: object = None, weights: object = None) -> Scored:
    """Rows of two classes."""
    table = pa.table(columns)
    rows = table.num_rows
    second = np.full(rows, 0.5) if scores is None else np.asarray(scores)
    return Scored(
        table,
        np.zeros(rows) if labels is None else np.asarray(labels, float),
        np.stack([1 - second, second], axis=1).astype(np.float32),
        np.ones(rows),
        np.ones(rows) if weights is None else np.asarray(weights, float),
        weights is not None,
        0,
        ("no", "yes"),
    )


def test_a_slice_tells_rows_shares_and_areas() -> None:
    rows = scored({"city": ["a", "b", "a", "a"]}, [0.9, 0.5, 0.2, 0.4], [1, 1, 0, 0], [1, 1, 2, 1])
    first, second = slice_rows(rows, "city")
    assert (first.name, first.rows, first.weight, first.share) == ("a", 3, 0.8, 0.25)
    assert first.predicted == pytest.approx((0.9 + 2 * 0.2 + 0.4) / 4)
    assert first.area == 1
    assert first.low < first.share < first.high
    assert (second.name, second.rows, second.share) == ("b", 1, 1)
    assert np.isnan(second.area)


def test_rare_values_are_one_slice_and_missing_ones_another() -> None:
    words = [f"w{place:02}" for place in range(20) for _ in range(20 - place)]
    found = slice_rows(scored({"w": [*words, None]}), "w")
    assert [each.name for each in found[:2]] == ["w00", "w01"]
    assert [each.name for each in found[-2:]] == ["all others (9 values)", MISSING]
    assert sum(each.rows for each in found) == len(words) + 1
    assert found[-2].rows == sum(range(1, 10))


def test_few_numbers_are_slices_in_their_order_and_many_are_ranges() -> None:
    few = slice_rows(scored({"x": [3, 1, 2, 3, 3, 1]}), "x")
    assert [(each.name, each.rows) for each in few] == [("1", 2), ("2", 1), ("3", 3)]
    many = slice_rows(scored({"x": pa.array([*np.arange(600.0), None, float("nan")])}), "x")
    assert [each.rows for each in many] == [100] * 6 + [2]
    assert (many[0].name, many[-1].name) == ("0 to 99", MISSING)
    assert many[1].name == "above 99 to 199"


def test_a_number_that_most_rows_have_makes_fewer_ranges() -> None:
    values = np.concatenate([np.zeros(900), np.arange(100)])
    found = slice_rows(scored({"x": values}), "x")
    assert sum(each.rows for each in found) == 1000
    assert len({each.name for each in found}) == len(found)


@pytest.mark.parametrize(
    ("column", "message"),
    [("town", "the data has no column 'town'; there are city, words"), ("words", "a row of 'words' holds many values")],
)
def test_columns_that_cannot_be_sliced_are_refused(column: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        slice_rows(scored({"city": ["a"], "words": [["a", "b"]]}), column)


def test_columns_with_few_values_are_chosen_the_important_ones_first() -> None:
    rows = 100
    columns = {
        "few": np.arange(rows) % 3,
        "also": [f"{place % 5}" for place in range(rows)],
        "constant": np.zeros(rows),
        "number": np.arange(rows, dtype=float),
        "name": [str(place) for place in range(rows)],
        "words": [["a"]] * rows,
    }
    order = ["number", "also", "constant", "name", "words", "few"]
    found = default_columns(scored(columns), [Importance((name,), 0.0, 0.0) for name in order])
    assert found == ["also", "few", "number"]
