"""The section `features`: raw columns, and how each enters the network."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, Tag

from raydnn.config.arguments import Arguments, arguments_model
from raydnn.config.messages import shown
from raydnn.config.optimizers import Initializer
from raydnn.config.section import (
    LIST,
    SHORT,
    Flag,
    Int,
    Number,
    PositiveInt,
    Section,
    Text,
    as_number,
    choice,
    refusal,
    refusals,
    short_or,
    short_or_list,
    tag_of,
)
from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    embedding_column,
    shared_embedding_columns,
)

KINDS = ("buckets", "cross", "hash", "identity", "vocabulary")
_OF_CATEGORICAL = ("embed", "indicator", "weights", "weights_dtype")
_ANY_COLUMN = categorical_column_with_hash_bucket("any", 1)

if TYPE_CHECKING:

    class Embedding(Arguments):
        """The arguments of embedding_column."""

    class SharedEmbedding(Arguments):
        """The arguments of shared_embedding_columns."""

        columns: list[str]
        function: str
else:
    Embedding = arguments_model(
        "Embedding",
        embedding_column,
        leave_out=("categorical_column",),
        types={"initializer": (Initializer | None, None), "dimension": (PositiveInt, ...)},
        example={"categorical_column": _ANY_COLUMN},
    )
    SharedEmbedding = arguments_model(
        "SharedEmbedding",
        shared_embedding_columns,
        leave_out=("categorical_columns",),
        types={"initializer": (Initializer | None, None), "dimension": (PositiveInt, ...)},
        own_keys={
            "columns": (
                Annotated[list[Text], Field(min_length=1)],
                Field(description="names of categorical features without embed and indicator"),
            ),
            "function": (
                Literal["shared_embedding_columns", "shared_embeddings"],
                Field("shared_embedding_columns", description="which makes them; they name the variable differently"),
            ),
        },
        example={"categorical_columns": [_ANY_COLUMN]},
    )


def _exact(value: Any) -> Any:
    """A number as it was written, whole or not; or lists of such."""
    if isinstance(value, list):
        return [_exact(item) for item in value]
    number = as_number(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise refusal(f"must be a number; got {shown(value)}")
    return number


Exact = Annotated[Any, PlainValidator(_exact, json_schema_input_type=float)]
ExactOrList = Annotated[Any, PlainValidator(_exact, json_schema_input_type=float | list[Any])]


class MeanAndStd(Section):
    """(x - mean) / std."""

    mean: Number
    """What becomes 0."""
    std: Annotated[float, Field(gt=0), BeforeValidator(as_number)]
    """What becomes 1, beside the mean."""


class MinAndMax(Section):
    """(x - min) / (max - min)."""

    min: Number
    """What becomes 0."""
    max: Number
    """What becomes 1."""


def _normalizer_form(value: Any) -> str:
    if not isinstance(value, Mapping):
        return SHORT
    return tag_of(MinAndMax if {"min", "max"} & set(value) else MeanAndStd)


Normalizer = Annotated[
    Annotated[Text, Tag(SHORT)]
    | Annotated[MeanAndStd, Tag(tag_of(MeanAndStd))]
    | Annotated[MinAndMax, Tag(tag_of(MinAndMax))],
    choice(_normalizer_form),
]


_Shape = Annotated[
    Annotated[PositiveInt, Tag(SHORT)] | Annotated[list[PositiveInt], Tag(LIST)],
    short_or_list(),
]


class _Column(Section):
    """What all features have."""

    column: Text | None = None
    """The column of the data; null is the name of the feature. So a column can be used in two ways."""


class Numeric(_Column):
    """A number, or an array of numbers, that enters the network as it is or normalised."""

    shape: _Shape | None = None
    """Sizes of the array in a row; null is a single number."""
    default: ExactOrList | None = None
    """What stands for a missing value; null makes one an error."""
    dtype: str = "float32"
    """Of the feature in a tf.Example; integer or floating."""
    normalize: Normalizer | None = None
    """{mean, std}, {min, max}, log1p, or the name of a function given to register_normalizer."""


class _Categorical(_Column):
    """What all categorical features have."""

    embed: (
        Annotated[
            Annotated[PositiveInt, Tag(SHORT)] | Annotated[Embedding, Tag(tag_of("Embedding"))], short_or("Embedding")
        ]
        | None
    ) = None
    """Dimension of learned vectors, or the arguments of embedding_column."""
    indicator: Flag | None = None
    """Whether it enters the network as counts. null does, unless it is embedded, alone or shared; false keeps a feature
    out that only a cross uses."""
    weights: Text | None = None
    """The column with the weights of the values."""
    weights_dtype: str = "float32"
    """Of the weights in a tf.Example."""


class Buckets(_Categorical):
    """The bucket that a number lies in: one-hot, or as a categorical feature."""

    buckets: Annotated[list[Exact], Field(min_length=1)]
    """Boundaries, increasing; n of them make n + 1 buckets."""
    shape: _Shape | None = None
    """As for a number."""
    default: ExactOrList | None = None
    """As for a number."""
    dtype: str = "float32"
    """As for a number."""
    normalize: Normalizer | None = None
    """As for a number; applied before the boundaries."""


class Hash(_Categorical):
    """Text or whole numbers, hashed."""

    hash: PositiveInt
    """How many ids there are."""
    dtype: str = "string"
    """'string' or an integer type, as the column holds."""


class Vocabulary(_Categorical):
    """Text or whole numbers, by their place in a list."""

    vocabulary: Annotated[
        Annotated[Text, Tag(SHORT)] | Annotated[list[Any], Field(min_length=1), Tag(LIST)], short_or_list()
    ]
    """The words, or the path of a file with one a line."""
    vocabulary_size: PositiveInt | None = None
    """How many first lines of the file count; null takes all, and then the file must be there."""
    dtype: str | None = None
    """'string' or an integer type; null takes that of the words."""
    default: Int | None = None
    """The id of an unknown value; null leaves it out."""
    num_oov_buckets: Annotated[int, Field(ge=0), BeforeValidator(as_number)] = 0
    """Further ids, to which unknown values are hashed."""


class Identity(_Categorical):
    """Whole numbers that are ids."""

    identity: PositiveInt
    """How many ids there are."""
    default: Int | None = None
    """What a number outside becomes; null leaves it out."""


class Cross(_Categorical):
    """Hashed combinations of columns."""

    cross: Annotated[list[Text], Field(min_length=2)]
    """Names of columns, or of features that are buckets or crosses themselves."""
    hash: PositiveInt
    """How many ids there are."""
    hash_key: Int | None = None
    """Start of the hash; null is TensorFlow's."""


_MODELS: dict[str, type[Section]] = {
    "buckets": Buckets,
    "cross": Cross,
    "hash": Hash,
    "identity": Identity,
    "vocabulary": Vocabulary,
}


def _feature_form(value: Any) -> str:
    if not isinstance(value, Mapping):
        return SHORT
    return tag_of(next((model for kind, model in _MODELS.items() if kind in value and kind != "hash"), _plain(value)))


def _plain(value: Mapping[str, Any]) -> type[Section]:
    return Hash if "hash" in value else Numeric


def _check_kinds(value: Any) -> Any:
    """Refuse a feature that is of two kinds, or of none but has what only categorical ones have."""
    if not isinstance(value, Mapping):
        return value
    kinds = [kind for kind in KINDS if kind in value]
    if kinds == ["cross", "hash"]:
        return value
    if len(kinds) > 1:
        raise refusals(
            [((kinds[1],), f"the feature has {kinds[0]} already and can be of one kind only; leave one out")]
        )
    misplaced = [key for key in _OF_CATEGORICAL if key in value]
    if not kinds and misplaced:
        message = (
            f"needs a categorical feature: give it {', '.join(kind for kind in KINDS if kind != 'cross')} or cross"
        )
        raise refusals([((misplaced[0],), message)])
    if value.get("embed") is not None and value.get("indicator") is True:
        raise refusals([(("indicator",), "the feature is embedded; give embed or indicator, not both")])
    return value


Feature = Annotated[
    Annotated[Literal["numeric"], Tag(SHORT)]
    | Annotated[Numeric, Tag(tag_of(Numeric))]
    | Annotated[Buckets, Tag(tag_of(Buckets))]
    | Annotated[Hash, Tag(tag_of(Hash))]
    | Annotated[Vocabulary, Tag(tag_of(Vocabulary))]
    | Annotated[Identity, Tag(tag_of(Identity))]
    | Annotated[Cross, Tag(tag_of(Cross))],
    choice(_feature_form),
    BeforeValidator(_check_kinds),
]
