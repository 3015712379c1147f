"""Indicator and embedding columns: names, shapes, and what they refuse."""

from typing import Any

import pytest

from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    categorical_column_with_vocabulary_list,
    embedding_column,
    indicator_column,
    numeric_column,
)
from raydnn.initializers import Zeros

WORD = categorical_column_with_hash_bucket("word", 8)


def test_an_indicator_has_one_value_for_each_id() -> None:
    column = indicator_column(WORD)
    assert column.name == "word_indicator"
    assert column.variable_shape == (1, 8)
    assert column.width == 8
    assert column.feature_keys == ("word",)


def test_an_embedding_has_one_value_for_each_dimension() -> None:
    column = embedding_column(WORD, 3)
    assert column.name == "word_embedding"
    assert column.variable_shape == (3,)
    assert column.width == 3
    assert column.feature_keys == ("word",)


def test_oov_buckets_count_among_the_ids_of_an_indicator() -> None:
    words = categorical_column_with_vocabulary_list("word", ["a", "b"], num_oov_buckets=3)
    assert indicator_column(words).width == 5


def test_an_embedding_is_by_default_a_trainable_mean_without_norm_limit() -> None:
    column = embedding_column(WORD, 4)
    assert column.combiner == "mean"
    assert column.trainable
    assert column.max_norm is None
    assert column.initializer is None
    assert column.default_stddev == 0.5


def test_equal_declarations_are_equal_and_hash_alike() -> None:
    again = categorical_column_with_hash_bucket("word", 8)
    assert len({embedding_column(WORD, 4), embedding_column(again, 4), embedding_column(WORD, 5)}) == 2
    assert len({indicator_column(WORD), indicator_column(again)}) == 1


@pytest.mark.parametrize("wrapped", [numeric_column("x"), indicator_column(WORD), "word", None])
def test_only_categorical_columns_can_be_wrapped(wrapped: Any) -> None:
    with pytest.raises(ValueError, match="indicator_column needs a categorical column.*categorical_column_with"):
        indicator_column(wrapped)
    with pytest.raises(ValueError, match="embedding_column needs a categorical column.*categorical_column_with"):
        embedding_column(wrapped, 2)


@pytest.mark.parametrize("dimension", [None, 0, -2])
def test_a_dimension_below_1_is_refused(dimension: Any) -> None:
    with pytest.raises(ValueError, match=f"dimension must be 1 or more; got {dimension}"):
        embedding_column(WORD, dimension)


def test_no_combiner_is_the_mean_as_in_tensorflow() -> None:
    assert embedding_column(WORD, 2, combiner=None).combiner == "mean"


@pytest.mark.parametrize("combiner", ["max", ""])
def test_an_unknown_combiner_is_refused_with_the_known_ones(combiner: Any) -> None:
    with pytest.raises(ValueError, match=r"combiner must be one of mean, sqrtn, sum; got"):
        embedding_column(WORD, 2, combiner=combiner)


@pytest.mark.parametrize("initializer", [0.5, "zeros", [1.0]])
def test_an_initializer_that_cannot_be_called_is_refused(initializer: Any) -> None:
    with pytest.raises(ValueError, match="initializer must be callable"):
        embedding_column(WORD, 2, initializer=initializer)


def test_an_initializer_is_kept() -> None:
    assert embedding_column(WORD, 2, initializer=Zeros()).initializer == Zeros()
