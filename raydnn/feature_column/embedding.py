"""Indicator and embedding columns: the ways a categorical column enters a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal, get_args

from raydnn.feature_column.columns import CategoricalColumn, CategoricalWrapper, check_categorical, check_whole
from raydnn.feature_column.weighted import WeightedCategoricalColumn

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
    ckpt_to_load_from: str | None
    tensor_name_in_ckpt: str | None
    max_norm: float | None
    trainable: bool
    use_safe_embedding_lookup: bool

    @property
    def name(self) -> str:
        return f"{self.categorical_column.name}_embedding"

    @property
    def variable_shape(self) -> tuple[int, ...]:
        return (self.dimension,)

    @property
    def table_path(self) -> tuple[str, ...]:
        """Where the table's variable stands below the input layer, or, if that is one name, beside it."""
        return (self.name, "embedding_weights")

    @property
    def default_stddev(self) -> float:
        """Standard deviation of the default initial values: 1 / sqrt(dimension)."""
        return 1.0 / sqrt(self.dimension)


@dataclass(frozen=True)
class SharedEmbeddingColumn(EmbeddingColumn):
    """An embedding column whose table others use too; made by `shared_embedding_columns` or `shared_embeddings`.

    Attributes:
        shared_embedding_collection_name: of the table.
        is_v2: whether its variable is named as `tf.feature_column.shared_embeddings` names it.
    """

    shared_embedding_collection_name: str
    is_v2: bool

    @property
    def name(self) -> str:
        return f"{self.categorical_column.name}_shared_embedding"

    @property
    def table_path(self) -> tuple[str, ...]:
        collection = self.shared_embedding_collection_name
        return (collection,) if self.is_v2 else (collection, "embedding_weights")


def indicator_column(categorical_column: CategoricalColumn) -> IndicatorColumn:
    """A multi-hot count vector [num_buckets] for each row: an id present twice counts 2.

    Args:
        categorical_column: what to count. Missing ids count nowhere; the weights of a weighted column are added up.

    Raises:
        ValueError: it is not a categorical column.
    """
    return IndicatorColumn(check_categorical(categorical_column, "indicator_column"))


def embedding_column(
    categorical_column: CategoricalColumn,
    dimension: int,
    combiner: str | None = "mean",
    initializer: Callable[..., Any] | None = None,
    ckpt_to_load_from: str | None = None,
    tensor_name_in_ckpt: str | None = None,
    max_norm: float | None = None,
    trainable: bool = True,
    use_safe_embedding_lookup: bool = True,
) -> EmbeddingColumn:
    """A learned vector [dimension] for each id, combined over the ids of a row; an empty row gives zeros.

    Args:
        categorical_column: gives the ids.
        dimension: of the vectors, 1 or more.
        combiner: with e_j the vectors and w_j the weights (1 where there are none): 'sum' = sum w_j e_j,
            'mean' = sum / sum w_j, 'sqrtn' = sum / sqrt(sum w_j^2).
        initializer: callable (shape, dtype=...) -> array; None is a normal of standard deviation
            1/sqrt(dimension) truncated at two of those.
        ckpt_to_load_from: a checkpoint or model_dir that gives the initial values instead.
        tensor_name_in_ckpt: the variable there; given together with ckpt_to_load_from.
        max_norm: looked-up vectors with a larger L2 norm are scaled to it before they are combined; the table
            itself stays.
        trainable: False keeps the table as it is.
        use_safe_embedding_lookup: True leaves out missing ids and weights that are not positive, and gives zeros to
            empty rows. False refuses negative ids and keeps all weights.

    Raises:
        ValueError: not a categorical column, or a bad dimension, combiner, initializer, or one of the ckpt arguments
            without the other.
    """
    check_categorical(categorical_column, "embedding_column")
    _check_arguments(dimension, combiner, initializer, ckpt_to_load_from, tensor_name_in_ckpt)
    return EmbeddingColumn(
        categorical_column,
        int(dimension),
        combiner or "mean",
        initializer,
        ckpt_to_load_from,
        tensor_name_in_ckpt,
        max_norm,
        bool(trainable),
        bool(use_safe_embedding_lookup),
    )


def shared_embedding_columns(
    categorical_columns: Sequence[CategoricalColumn],
    dimension: int,
    combiner: str | None = "mean",
    initializer: Callable[..., Any] | None = None,
    shared_embedding_collection_name: str | None = None,
    ckpt_to_load_from: str | None = None,
    tensor_name_in_ckpt: str | None = None,
    max_norm: float | None = None,
    trainable: bool = True,
    use_safe_embedding_lookup: bool = True,
) -> list[SharedEmbeddingColumn]:
    """Embedding columns that use one table together.

    Args:
        categorical_columns: of one kind (weights aside) and with the same number of ids.
        shared_embedding_collection_name: names the table; None joins the sorted column names by '_' and adds
            '_shared_embedding'.
        dimension, combiner, initializer, ckpt_to_load_from, tensor_name_in_ckpt, max_norm, trainable,
            use_safe_embedding_lookup: see `embedding_column`.

    Returns:
        One column for each categorical column, in the order given.

    Raises:
        ValueError: columns of different kinds or sizes, and what `embedding_column` refuses.
    """
    return _shared(
        categorical_columns,
        dimension,
        combiner,
        initializer,
        shared_embedding_collection_name,
        ckpt_to_load_from,
        tensor_name_in_ckpt,
        max_norm,
        trainable,
        use_safe_embedding_lookup,
        is_v2=False,
    )


def shared_embeddings(
    categorical_columns: Sequence[CategoricalColumn],
    dimension: int,
    combiner: str | None = "mean",
    initializer: Callable[..., Any] | None = None,
    shared_embedding_collection_name: str | None = None,
    ckpt_to_load_from: str | None = None,
    tensor_name_in_ckpt: str | None = None,
    max_norm: float | None = None,
    trainable: bool = True,
    use_safe_embedding_lookup: bool = True,
) -> list[SharedEmbeddingColumn]:
    """As `shared_embedding_columns`, but the variable bears the collection's name alone."""
    return _shared(
        categorical_columns,
        dimension,
        combiner,
        initializer,
        shared_embedding_collection_name,
        ckpt_to_load_from,
        tensor_name_in_ckpt,
        max_norm,
        trainable,
        use_safe_embedding_lookup,
        is_v2=True,
    )


def _shared(
    categorical_columns: Sequence[CategoricalColumn],
    dimension: int,
    combiner: str | None,
    initializer: Callable[..., Any] | None,
    collection_name: str | None,
    ckpt_to_load_from: str | None,
    tensor_name_in_ckpt: str | None,
    max_norm: float | None,
    trainable: bool,
    use_safe_embedding_lookup: bool,
    is_v2: bool,
) -> list[SharedEmbeddingColumn]:
    columns = [check_categorical(column, "shared_embedding_columns") for column in categorical_columns]
    if not columns:
        raise ValueError("categorical_columns must hold at least one column")
    _check_arguments(dimension, combiner, initializer, ckpt_to_load_from, tensor_name_in_ckpt)
    first = columns[0]
    for column in columns[1:]:
        if type(_unweighted(column)) is not type(_unweighted(first)):
            raise ValueError(
                f"columns that share an embedding must be of one kind; '{first.name}' is a {type(first).__name__}, "
                f"'{column.name}' a {type(column).__name__}"
            )
        if column.num_buckets != first.num_buckets:
            raise ValueError(
                f"columns that share an embedding must have the same number of ids; '{first.name}' has "
                f"{first.num_buckets}, '{column.name}' {column.num_buckets}"
            )
    name = collection_name or "_".join(sorted(column.name for column in columns)) + "_shared_embedding"
    return [
        SharedEmbeddingColumn(
            column,
            int(dimension),
            combiner or "mean",
            initializer,
            ckpt_to_load_from,
            tensor_name_in_ckpt,
            max_norm,
            bool(trainable),
            bool(use_safe_embedding_lookup),
            name,
            is_v2,
        )
        for column in columns
    ]


def _unweighted(column: CategoricalColumn) -> CategoricalColumn:
    return column.categorical_column if isinstance(column, WeightedCategoricalColumn) else column


def _check_arguments(
    dimension: int,
    combiner: str | None,
    initializer: Any,
    ckpt_to_load_from: str | None,
    tensor_name_in_ckpt: str | None,
) -> None:
    if dimension is None or dimension < 1:
        raise ValueError(f"dimension must be 1 or more; got {dimension}")
    check_whole(dimension, "dimension")
    if combiner is not None and combiner not in get_args(Combiner):
        raise ValueError(f"combiner must be one of {', '.join(get_args(Combiner))}; got {combiner!r}")
    if initializer is not None and not callable(initializer):
        raise ValueError(f"initializer must be callable (shape, dtype=...) -> array; got {initializer!r}")
    if (ckpt_to_load_from is None) != (tensor_name_in_ckpt is None):
        raise ValueError(
            f"give ckpt_to_load_from ({ckpt_to_load_from}) and tensor_name_in_ckpt ({tensor_name_in_ckpt}) together"
        )
