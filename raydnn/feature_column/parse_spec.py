"""How raw features are laid out in a serialized example: fixed or variable length, by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from raydnn.feature_column.columns import FeatureColumn
from raydnn.feature_column.dtypes import dtype_name


@dataclass(frozen=True)
class FixedLenFeature:
    """A feature with the same shape in every row, hence dense.

    Attributes:
        shape: of one row; () for a scalar.
        dtype: a dtype name.
        default_value: used where the feature is absent; None makes absence an error.
    """

    shape: tuple[int, ...]
    dtype: str
    default_value: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        object.__setattr__(self, "dtype", dtype_name(self.dtype))


@dataclass(frozen=True)
class VarLenFeature:
    """A feature with any number of values in a row, hence sparse.

    Attributes:
        dtype: a dtype name.
    """

    dtype: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", dtype_name(self.dtype))


FeatureSpec = FixedLenFeature | VarLenFeature


def make_parse_example_spec(feature_columns: Iterable[FeatureColumn]) -> dict[str, FeatureSpec]:
    """The raw features that these columns read, each with its layout.

    Args:
        feature_columns: columns of any kind.

    Returns:
        Feature name -> FixedLenFeature or VarLenFeature.

    Raises:
        ValueError: an item is not a feature column, or two columns want one feature in different layouts.
    """
    specs: dict[str, FeatureSpec] = {}
    for column in feature_columns:
        if not isinstance(column, FeatureColumn):
            raise ValueError(f"feature_columns must hold feature columns; got {column!r}")
        merge_specs(specs, column.parse_example_spec)
    return specs


def merge_specs(into: dict[str, FeatureSpec], more: Mapping[str, FeatureSpec]) -> None:
    """Add specs to a dict of specs.

    Raises:
        ValueError: a key is there already with another spec.
    """
    for key, spec in more.items():
        if into.setdefault(key, spec) != spec:
            raise ValueError(f"feature '{key}' is declared in two ways: {into[key]} and {spec}")
