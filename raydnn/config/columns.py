"""From the sections `features` and `shared_embeddings` to feature columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from raydnn import feature_column
from raydnn.config.arguments import REFUSALS
from raydnn.config.document import Place
from raydnn.config.features import (
    Buckets,
    Cross,
    Hash,
    Identity,
    MeanAndStd,
    MinAndMax,
    Numeric,
    SharedEmbedding,
    Vocabulary,
)
from raydnn.config.messages import nearest
from raydnn.config.section import place_in
from raydnn.feature_column import normalizers
from raydnn.feature_column.columns import CategoricalColumn, DenseColumn
from raydnn.feature_column.dtypes import is_floating

Features = Mapping[str, Any]
Problems = list[tuple[Place, str]]


class _FeatureError(ValueError):
    """A feature cannot be made.

    Args:
        message: why.
        key: of the feature that is wrong, or none.
    """

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


def build_columns(features: Features, shared: Sequence[SharedEmbedding]) -> tuple[list[DenseColumn], Problems]:
    """The columns of a network, those of shared embeddings last, and what is wrong with their declarations."""
    builder = _Builder(features)
    problems: Problems = []
    columns: dict[Place, list[DenseColumn]] = {}
    of_shared = {name for each in shared for name in each.columns}
    for name, feature in features.items():
        try:
            columns[("features", name)] = builder.dense(name, name in of_shared)
        except REFUSALS as error:
            problems.append((("features", name, *_key_of(error, feature)), str(error)))
    broken = {str(place[1]) for place, _ in problems}
    for number, each in enumerate(shared):
        place: Place = ("shared_embeddings", number)
        wrong = builder.unshareable(each.columns)
        problems += [((*place, "columns", *item), message) for item, message in wrong]
        if wrong or broken.intersection(each.columns):
            continue
        try:
            columns[place] = builder.shared(each)
        except REFUSALS as error:
            problems.append(((*place, *place_in(str(error), each.given())), str(error)))
    problems += _equal_names(columns)
    return [column for made in columns.values() for column in made], problems


def _key_of(error: Exception, feature: Any) -> Place:
    if isinstance(error, _FeatureError):
        return (error.key,) if error.key else ()
    if isinstance(feature, str):
        return ()
    # Messages begin with "column 'NAME'", and name the Python argument.
    return place_in(str(error).replace("boundaries", "buckets"), set(feature.given()) - {"column"})


def _equal_names(columns: Mapping[Place, list[DenseColumn]]) -> Problems:
    first: dict[str, Place] = {}
    problems: Problems = []
    for place, made in columns.items():
        for column in made:
            other = first.setdefault(column.name, place)
            if other != place:
                message = f"makes a column named '{column.name}', as {'.'.join(map(str, other))} does; leave one out"
                problems.append((place, message))
    return problems


class _Builder:
    """Makes the columns of features, which may refer to each other.

    Args:
        features: name -> feature.
    """

    def __init__(self, features: Features) -> None:
        self._features = features

    def dense(self, name: str, is_shared: bool) -> list[DenseColumn]:
        """What a feature adds to the network: a column, or nothing."""
        feature = self._features[name]
        if isinstance(feature, str):
            return [feature_column.numeric_column(name)]
        if isinstance(feature, Numeric):
            return [_numeric(feature, feature.column or name)]
        column = self.categorical(name)
        if isinstance(feature.embed, int):
            return [feature_column.embedding_column(column, feature.embed)]
        if feature.embed is not None:
            return [feature.embed.make(categorical_column=column)]
        if feature.indicator is False or (is_shared and not feature.indicator):
            return []
        if isinstance(column, DenseColumn) and feature.indicator is None:
            return [column]  # buckets are one-hot by themselves
        return [feature_column.indicator_column(column)]

    def categorical(self, name: str, around: tuple[str, ...] = ()) -> CategoricalColumn:
        """The categorical column of a feature, with its weights.

        Args:
            name: of the feature.
            around: crosses that it is part of.
        """
        feature = self._features[name]
        column = self._unweighted(feature, name, around)
        if feature.weights is None:
            return column
        return feature_column.weighted_categorical_column(column, feature.weights, feature.weights_dtype)

    def _unweighted(self, feature: Any, name: str, around: tuple[str, ...]) -> CategoricalColumn:
        key = feature.column or name
        if isinstance(feature, Buckets):
            return feature_column.bucketized_column(_numeric(feature, key), list(feature.buckets))
        if isinstance(feature, Hash):
            return feature_column.categorical_column_with_hash_bucket(key, feature.hash, feature.dtype)
        if isinstance(feature, Identity):
            return feature_column.categorical_column_with_identity(key, feature.identity, feature.default)
        if isinstance(feature, Vocabulary):
            return _vocabulary(feature, key)
        assert isinstance(feature, Cross)
        if feature.column is not None:
            raise _FeatureError("a cross names its columns under cross; leave column out", "column")
        parts = [self._part(part, (*around, name)) for part in feature.cross]
        return feature_column.crossed_column(parts, feature.hash, feature.hash_key)

    def _part(self, name: str, around: tuple[str, ...]) -> str | CategoricalColumn:
        """What a cross takes for a name: the feature if it is buckets or a cross, else the column of the data."""
        feature = self._features.get(name)
        if name in around:
            raise _FeatureError(f"the cross '{name}' is made of itself: {' -> '.join([*around, name])}", "cross")
        if isinstance(feature, Buckets | Cross):
            return self.categorical(name, around)
        if feature == "numeric" or (isinstance(feature, Numeric) and is_floating(feature.dtype)):
            raise _FeatureError(f"'{name}' is a number, which cannot be crossed; declare buckets of it", "cross")
        return name if feature is None or isinstance(feature, str) else feature.column or name

    def unshareable(self, names: Sequence[str]) -> Problems:
        """Place in the names, and why the feature there cannot share an embedding."""
        problems: Problems = []
        for place, name in enumerate(names):
            feature = self._features.get(name)
            if feature is None:
                problems.append(((place,), f"there is no feature '{name}'; {nearest(name, self._features)}"))
            elif isinstance(feature, str | Numeric):
                problems.append(((place,), f"'{name}' is a number; only categorical features share an embedding"))
            elif feature.embed is not None or feature.indicator:
                key = "embed" if feature.embed is not None else "indicator"
                problems.append(((place,), f"'{name}' has {key} of its own; leave that out to share an embedding"))
        return problems

    def shared(self, each: SharedEmbedding) -> list[DenseColumn]:
        """The columns of a shared embedding."""
        columns = [self.categorical(name) for name in each.columns]
        made = getattr(feature_column, each.function)(columns, **each.arguments())
        return list(made)


def _numeric(feature: Numeric | Buckets, key: str) -> Any:
    shape = (1,) if feature.shape is None else feature.shape
    return feature_column.numeric_column(key, shape, feature.default, feature.dtype, _normalizer(feature.normalize))


def _normalizer(normalize: Any) -> Any:
    if normalize is None:
        return None
    if isinstance(normalize, MeanAndStd):
        return normalizers.Standardize(normalize.mean, normalize.std)
    if isinstance(normalize, MinAndMax):
        if not normalize.min < normalize.max:
            raise _FeatureError(f"min must be below max; got {normalize.min:g} and {normalize.max:g}", "normalize")
        return normalizers.MinMax(normalize.min, normalize.max)
    try:
        return normalizers.normalizer_from_json({"name": normalize})
    except (ValueError, TypeError) as error:
        message = (
            f"there is no normalizer '{normalize}'; there are log1p, {{mean, std}}, {{min, max}} and what is registered"
        )
        raise _FeatureError(message, "normalize") from error


def _vocabulary(feature: Vocabulary, key: str) -> CategoricalColumn:
    size, oov = feature.vocabulary_size, feature.num_oov_buckets
    if isinstance(feature.vocabulary, str):
        dtype = "string" if feature.dtype is None else feature.dtype
        return feature_column.categorical_column_with_vocabulary_file(
            key, feature.vocabulary, size, oov, feature.default, dtype
        )
    if size is not None:
        raise _FeatureError("is of a vocabulary in a file; leave it out", "vocabulary_size")
    default = -1 if feature.default is None else feature.default
    return feature_column.categorical_column_with_vocabulary_list(key, feature.vocabulary, feature.dtype, default, oov)
