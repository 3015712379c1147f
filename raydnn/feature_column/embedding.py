"""Indicator and embedding columns: the two ways a categorical column enters a network."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal, get_args

from raydnn.feature_column.columns import CategoricalColumn, CategoricalWrapper, check_categorical

Combiner = Literal["mean", "sqrtn", "sum"]


@dataclass(frozen=True)
class IndicatorColumn(CategoricalWrapper):
    """How often each id occurs in a row; made by `indicator_column`."""

    categorical_column: CategoricalColumn

    @property
    def name(self) -> str:
        return f"{self.categorical_column.name}_indicator"

    @property
    def variable_shape(self) -> tuple[int, ...]:
        return (1, self.categorical_column.num_buckets)


@dataclass(frozen=True)
class EmbeddingColumn(CategoricalWrapper):
    """Learned vectors of the ids, combined; made by `embedding_column`, which documents the attributes."""

    categorical_column: CategoricalColumn
    dimension: int
    combiner: str
    initializer: Callable[..., Any] | None
    max_norm: float | None
    trainable: bool

    @property
    def name(self) -> str:
        return f"{self.categorical_column.name}_embedding"

    @property
    def variable_shape(self) -> tuple[int, ...]:
        return (self.dimension,)

    @property
    def table_name(self) -> str:
        """The name under which the table's variable stands in the input layer."""
        return self.name

    @property
    def default_stddev(self) -> float:
        """Standard deviation of the default initial values: 1 / sqrt(dimension)."""
        return 1.0 / sqrt(self.dimension)


def indicator_column(categorical_column: CategoricalColumn) -> IndicatorColumn:
    """A multi-hot count vector [num_buckets] for each row: an id present twice counts 2.

    Args:
        categorical_column: what to count. Missing ids count nowhere.

    Raises:
        ValueError: it is not a categorical column.
    """
    return IndicatorColumn(check_categorical(categorical_column, "indicator_column"))


def embedding_column(
    categorical_column: CategoricalColumn,
    dimension: int,
    combiner: str = "mean",
    initializer: Callable[..., Any] | None = None,
    max_norm: float | None = None,
    trainable: bool = True,
) -> EmbeddingColumn:
    """A learned vector [dimension] for each id, combined over the ids of a row; an empty row gives zeros.

    Args:
        categorical_column: gives the ids.
        dimension: of the vectors, 1 or more.
        combiner: with e_j the vectors and w_j the weights (1 where there are none): 'sum' = sum w_j e_j,
            'mean' = sum / sum w_j, 'sqrtn' = sum / sqrt(sum w_j^2).
        initializer: callable (shape, dtype=...) -> array; None is a normal of standard deviation
            1/sqrt(dimension) truncated at two of those.
        max_norm: looked-up vectors with a larger L2 norm are scaled to it before they are combined; the table
            itself stays.
        trainable: False keeps the table as it is.

    Raises:
        ValueError: not a categorical column, or a bad dimension, combiner or initializer.
    """
    check_categorical(categorical_column, "embedding_column")
    if dimension is None or dimension < 1:
        raise ValueError(f"dimension must be 1 or more; got {dimension}")
    if combiner not in get_args(Combiner):
        raise ValueError(f"combiner must be one of {', '.join(get_args(Combiner))}; got {combiner!r}")
    if initializer is not None and not callable(initializer):
        raise ValueError(f"initializer must be callable (shape, dtype=...) -> array; got {initializer!r}")
    return EmbeddingColumn(categorical_column, int(dimension), combiner, initializer, max_norm, bool(trainable))
