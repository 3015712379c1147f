"""Columns as JSON and back: the function that makes a column, with its arguments."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from raydnn.feature_column.categorical import (
    HashedCategoricalColumn,
    VocabularyListCategoricalColumn,
    categorical_column_with_hash_bucket,
    categorical_column_with_vocabulary_list,
)
from raydnn.feature_column.columns import FeatureColumn
from raydnn.feature_column.embedding import (
    EmbeddingColumn,
    IndicatorColumn,
    embedding_column,
    indicator_column,
)
from raydnn.feature_column.normalizers import normalizer_from_json, normalizer_to_json
from raydnn.feature_column.numeric import NumericColumn, numeric_column

_MAKERS: dict[type[FeatureColumn], Callable[..., FeatureColumn]] = {
    NumericColumn: numeric_column,
    HashedCategoricalColumn: categorical_column_with_hash_bucket,
    VocabularyListCategoricalColumn: categorical_column_with_vocabulary_list,
    IndicatorColumn: indicator_column,
    EmbeddingColumn: embedding_column,
}
_BY_NAME = {maker.__name__: maker for maker in _MAKERS.values()}


def column_to_json(column: FeatureColumn) -> dict[str, Any]:
    """A column as plain values: `type` is the function that makes it, the rest are its arguments.

    The initializer of an embedding is left out: it has done its work when a column is written.

    Raises:
        ValueError: a normalizer_fn without a name.
    """
    settings: dict[str, Any] = {"type": _MAKERS[type(column)].__name__}
    for field in fields(column):  # type: ignore[arg-type]
        value = getattr(column, field.name)
        if isinstance(value, FeatureColumn):
            value = column_to_json(value)
        elif field.name == "normalizer_fn" and value is not None:
            value = normalizer_to_json(value)
        elif isinstance(value, tuple):
            value = list(value)
        if field.name != "initializer":
            settings[field.name] = value
    return settings


def column_from_json(settings: dict[str, Any]) -> FeatureColumn:
    """The column that `column_to_json` wrote.

    Raises:
        ValueError: an unknown type, or arguments that its function refuses.
    """
    arguments = dict(settings)
    kind = arguments.pop("type", None)
    if kind not in _BY_NAME:
        raise ValueError(f"unknown column type {kind!r}; known are {', '.join(sorted(_BY_NAME))}")
    for name, value in arguments.items():
        if isinstance(value, dict) and "type" in value:
            arguments[name] = column_from_json(value)
        elif name == "normalizer_fn" and value is not None:
            arguments[name] = normalizer_from_json(value)
    if kind == numeric_column.__name__ and arguments.get("default_value") is not None:
        arguments["default_value"] = _shaped(arguments["default_value"], arguments["shape"])
    return _BY_NAME[kind](**arguments)


def _shaped(values: Any, shape: list[int]) -> Any:
    """A flat default value in the shape of its column; one value as it is."""
    if not isinstance(values, list) or len(values) == 1:
        return values[0] if isinstance(values, list) else values
    for size in reversed(shape[1:]):
        values = [values[start : start + size] for start in range(0, len(values), size)]
    return values
