"""How columns enter the network, by what is in them."""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raydnn.config.profile import profile_rows
from raydnn.config.suggest import embedding_dimension, suggest
from raydnn.feature_column.soundness import hash_buckets

RANDOM = np.random.default_rng(0)
ROWS = 1000


def suggested(values: Any, name: str = "x") -> tuple[Any, str]:
    found = suggest(name, profile_rows(pa.table({name: values})).columns[name])
    return found.feature, found.reason


def cycled(*values: Any) -> list[Any]:
    return [values[place % len(values)] for place in range(ROWS)]


def test_numbers_are_normalised_and_missing_ones_are_the_mean() -> None:
    feature, reason = suggested(cycled(1.0, 3.0, None))
    assert feature == {"normalize": {"mean": 1.9985, "std": 0.999999}, "default": 1.9985}
    assert reason == "1 to 3, 33.3 % missing"


def test_skewed_positive_numbers_are_taken_by_their_logarithm() -> None:
    values = np.exp(RANDOM.normal(size=ROWS) * 2)
    assert suggested(values)[0] == {"normalize": "log1p"}
    assert set(suggested(-values)[0]["normalize"]) == {"mean", "std"}
    assert set(suggested(values * 1e8)[0]["normalize"]) == {"mean", "std"}, "a logarithm of 18 is no small number"


def test_flags_stay_as_they_are() -> None:
    assert suggested(cycled(True, False, False, False)) == ("numeric", "25.0 % true")
    assert suggested(cycled(0, 1)) == ("numeric", "0 or 1, 50.0 % are 1")
    assert suggested(cycled(1, 1, None))[1] == "is constant: 1"
    assert suggested(cycled(True, True, False, None))[0] == {"default": 1}


def test_whole_numbers_are_amounts_unless_few_or_named_as_ids() -> None:
    many = [int(each) for each in RANDOM.integers(0, 500, ROWS)]
    assert set(suggested(many)[0]["normalize"]) == {"mean", "std"}
    assert suggested(many, "user_id")[0] == {"hash": 1024, "dtype": "int64", "embed": embedding_dimension(len({*many}))}
    assert suggested(cycled(0, 1, 2, 3))[0] == {"identity": 4}
    assert suggested(cycled(0, 1, 2, -1)) == ({"identity": 3}, "3 values, 25.0 % missing")
    assert suggested(cycled(*range(20)))[0] == {"vocabulary": [*range(20)], "embed": 9}
    assert suggested(cycled(90210, 10001, 60601), "zip")[0] == {"vocabulary": [10001, 60601, 90210]}


def test_words_are_listed_while_they_are_few() -> None:
    assert suggested(cycled("b", "a", "", None)) == ({"vocabulary": ["a", "b"]}, "2 words, 50.0 % missing")
    twenty = [f"w{number:02}" for number in range(20)]
    assert suggested(cycled(*twenty))[0] == {"vocabulary": twenty, "embed": embedding_dimension(20)}
    assert suggested(cycled(*(f"w{number}" for number in range(200)))) == ({"hash": 512, "embed": 31}, "200 words")


def test_words_that_yaml_would_not_keep_are_hashed() -> None:
    for word in ("${HOME}", "a\nb", "http://a:b@c"):
        assert suggested(cycled(word, "a"))[0]["hash"] == 4


@pytest.mark.parametrize(
    ("values", "name", "reason"),
    [
        ([*range(ROWS)], "n", "tells rows apart"),
        ([number * 7919 for number in range(ROWS)], "order_id", "tells rows apart"),
        ([f"{number}" for number in range(ROWS)], "x", "tells rows apart"),
        (cycled(5), "x", "is constant: 5"),
        (cycled(date(2020, 1, 1), date(2020, 1, 2)), "day", "make numbers of it"),
        (cycled(None), "x", "no value is there"),
        (cycled({"a": 1}), "x", "no feature reads"),
        (cycled(1.0, float("nan")), "x", "500 values are NaN or infinite"),
        (cycled([1.0], [1.0, 2.0]), "x", "1 to 2 numbers a row"),
        (cycled([True], [False]), "x", "lists of truth values"),
        (cycled([["a"]], [["b"]]), "x", "no feature reads"),
        (pa.array(cycled(["a", "b"], None), pa.list_(pa.string(), 2)), "x", "null rows among arrays"),
    ],
)
def test_what_cannot_help_is_left_out_with_a_reason(values: Any, name: str, reason: str) -> None:
    feature, found = suggested(values, name)
    assert feature is None
    assert reason in found


def test_amounts_that_differ_in_each_row_are_no_ids() -> None:
    assert "normalize" in suggested([int(each) for each in RANDOM.integers(0, 10**9, ROWS)], "price")[0]


def test_lists_of_words_are_multivalent_and_arrays_of_numbers_have_a_shape() -> None:
    assert suggested(cycled(["a", "b"], ["c"], None)) == (
        {"vocabulary": ["a", "b", "c"]},
        "3 words, 1 a row, 33.3 % missing",
    )
    feature, _ = suggested(cycled([1.0, 5.0], [3.0, 7.0]))
    assert (feature["shape"], feature["normalize"]["mean"]) == (2, 4.0)


@pytest.mark.parametrize(
    ("words", "dimension", "buckets"), [(2, 2, 4), (100, 21, 256), (128, 24, 256), (10**6, 64, 2**21)]
)
def test_sizes_follow_the_number_of_words(words: int, dimension: int, buckets: int) -> None:
    assert (embedding_dimension(words), hash_buckets(words)) == (dimension, buckets)
    assert 2 * words <= buckets < 4 * words
