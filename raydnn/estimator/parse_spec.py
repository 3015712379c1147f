"""How the examples of a classifier are laid out, its label and weight included."""

from collections.abc import Iterable, Mapping
from typing import Any

from raydnn.feature_column.columns import FeatureColumn
from raydnn.feature_column.numeric import NumericColumn
from raydnn.feature_column.parse_spec import FeatureSpec, FixedLenFeature, make_parse_example_spec, merge_specs


def classifier_parse_example_spec(
    feature_columns: Iterable[FeatureColumn],
    label_key: str,
    label_dtype: Any = "int64",
    label_default: Any = None,
    weight_column: Any = None,
) -> dict[str, FeatureSpec]:
    """The features of a classifier's examples: those of its columns, the label and the weight.

    Args:
        feature_columns: of the classifier.
        label_key: name of the label, one value a row.
        label_dtype: its dtype; 'string' for one with a label_vocabulary.
        label_default: used where the label is absent; None makes absence an error.
        weight_column: as the classifier takes it, or None.

    Returns:
        Name -> FixedLenFeature or VarLenFeature.

    Raises:
        ValueError: the label or the weight is also a feature; a weight_column that is neither a name nor a numeric
            column.
    """
    specs = make_parse_example_spec(feature_columns)
    label = {label_key: FixedLenFeature((1,), label_dtype, label_default)}
    _add(specs, label, "label")
    if weight_column is None:
        return specs
    if isinstance(weight_column, str):
        _add(specs, {weight_column: FixedLenFeature((1,), "float32")}, "weight")
    elif isinstance(weight_column, NumericColumn):
        _add(specs, weight_column.parse_example_spec, "weight")
    else:
        raise ValueError(f"weight_column must be a feature name or a numeric_column; got {weight_column!r}")
    return specs


def _add(specs: dict[str, FeatureSpec], more: Mapping[str, FeatureSpec], what: str) -> None:
    for key in more:
        if key in specs:
            raise ValueError(f"the {what} '{key}' is also used as a feature or label: {specs[key]}")
    merge_specs(specs, more)
