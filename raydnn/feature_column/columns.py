"""What all feature columns have in common: a name, the raw features they read, how they enter the network.

A declaration knows how to turn raw Arrow columns into what the network eats; it holds no weights. Categorical
columns give `Ids`, dense columns are what a network's input layer is made of: numbers as they are, or a
categorical column wrapped by an indicator or an embedding.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from raydnn.feature_column.parse_spec import FeatureSpec
    from raydnn.feature_column.raw_features import RawFeatures


@dataclass(frozen=True, eq=False)
class Ids:
    """The ids of one categorical column for a batch of rows.

    Attributes:
        values: int64 [num_ids]; a negative id means missing and takes no part.
        offsets: int64 [rows + 1], where each row's ids begin; None means exactly one id in each row.
        weights: float32 [num_ids], or None where every id counts 1.
    """

    values: NDArray[np.int64]
    offsets: NDArray[np.int64] | None = None
    weights: NDArray[np.float32] | None = None


class FeatureColumn(ABC):
    """A declared feature: a frozen value that can be compared, hashed, and written as JSON."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The unique name, which decides the place in the input layer and the variable names."""

    @property
    @abstractmethod
    def feature_keys(self) -> tuple[str, ...]:
        """The raw features it reads."""

    @property
    @abstractmethod
    def parse_example_spec(self) -> "dict[str, FeatureSpec]":
        """How its raw features are found in a serialized tf.Example."""


class CategoricalColumn(FeatureColumn):
    """A column of integer ids in [0, num_buckets)."""

    @property
    @abstractmethod
    def num_buckets(self) -> int:
        """How many ids there are."""

    @property
    def may_exceed_buckets(self) -> bool:
        """Whether ids behind the last bucket are possible."""
        return False

    def load(self) -> None:
        """Read what the column needs beside its declaration, when a model is built; raises if it is not there."""

    @abstractmethod
    def encode(self, features: "RawFeatures") -> Ids:
        """The ids of each row; a missing value may stand as -1."""

    def present_ids(self, features: "RawFeatures") -> Ids:
        """The ids without those of missing values; the -1 of an unknown word stays."""
        return features.ids(self)

    def unknown(self, features: "RawFeatures") -> NDArray[np.bool_] | None:
        """Which ids stand for a word that a vocabulary has none for, bool [num_ids]; None is none of them."""
        return None


class DenseColumn(FeatureColumn):
    """A column that gives each row a fixed number of floats: what a network's input layer accepts."""

    @property
    @abstractmethod
    def variable_shape(self) -> tuple[int, ...]:
        """The shape of one row's values."""

    @property
    def width(self) -> int:
        """The number of floats in one row."""
        return prod(self.variable_shape)


class ValueColumn(DenseColumn):
    """A dense column whose floats come from the raw features alone, with no variable."""

    @abstractmethod
    def encode_dense(self, features: "RawFeatures") -> NDArray[np.float32]:
        """The values, float32 [rows, width]."""


class CategoricalWrapper(DenseColumn):
    """A dense column made of a categorical one."""

    categorical_column: CategoricalColumn

    @property
    def feature_keys(self) -> tuple[str, ...]:
        return self.categorical_column.feature_keys

    @property
    def parse_example_spec(self) -> "dict[str, FeatureSpec]":
        return self.categorical_column.parse_example_spec


def check_key(key: object) -> str:
    """The key of a raw feature, which must be a string.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(key, str):
        raise ValueError(f"key must be a str, the name of a feature; got {key!r}")
    return key


def check_whole(value: Any, what: str) -> int:
    """A count or an id, which must be a whole number: TensorFlow refuses 2.0 as well.

    Args:
        value: an integer of Python or NumPy.
        what: for the message, such as "column 'age': num_buckets".

    Raises:
        TypeError: it is not.
    """
    try:
        return index(value)
    except TypeError as error:
        raise TypeError(f"{what} must be a whole number; got {value!r}") from error


def check_categorical(column: object, wrapper: str) -> CategoricalColumn:
    """The argument of an indicator or embedding column, which must be categorical.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(column, CategoricalColumn):
        raise ValueError(
            f"{wrapper} needs a categorical column; got {column!r}. Declare it with one of the "
            "categorical_column_with_* functions"
        )
    return column
