"""What a serving model receives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from raydnn.feature_column.dtypes import dtype_name
from raydnn.feature_column.parse_spec import FeatureSpec, FixedLenFeature, VarLenFeature


@dataclass(frozen=True)
class ServingInputReceiver:
    """The input of an exported model.

    Attributes:
        features: name -> layout of each feature that the model reads.
        receiver_tensors: name -> layout of each input that a request carries.
        receiver_tensors_alternatives: not supported yet; must be None.

    Raises:
        ValueError: names that are no strings, or values that are no layouts.
    """

    features: Mapping[str, FeatureSpec]
    receiver_tensors: Mapping[str, FeatureSpec]
    receiver_tensors_alternatives: None = None

    def __post_init__(self) -> None:
        if self.receiver_tensors_alternatives is not None:
            raise ValueError("receiver_tensors_alternatives is not supported yet")
        for field in ("features", "receiver_tensors"):
            values = getattr(self, field)
            if not isinstance(values, Mapping) or not values:
                raise ValueError(f"{field} must be a dict of name -> layout; got {values!r}")
            for name, spec in values.items():
                if not isinstance(name, str) or not isinstance(spec, FixedLenFeature | VarLenFeature):
                    raise ValueError(f"{field}: {name!r} must be a str and {spec!r} a layout of raydnn.feature_column")


def build_raw_serving_input_receiver_fn(
    features: Mapping[str, Any], default_batch_size: int | None = None
) -> Callable[[], ServingInputReceiver]:
    """A receiver of the features themselves, one input for each.

    Args:
        features: name -> layout as `make_parse_example_spec` gives it, an example array [rows, ...] whose dtype and
            shape are taken, or a dtype for one value a row.
        default_batch_size: accepted for likeness; any number of rows is served.

    Returns:
        A function without arguments for `export_saved_model`.

    Raises:
        ValueError: a value that is none of these.
    """
    specs = {name: _layout(value) for name, value in features.items()}
    return lambda: ServingInputReceiver(specs, specs)


def _layout(value: Any) -> FeatureSpec:
    if isinstance(value, FixedLenFeature | VarLenFeature):
        return value
    shape = getattr(value, "shape", None)
    if shape is not None and not isinstance(value, type | np.dtype):
        return FixedLenFeature(tuple(shape[1:]), dtype_name(value.dtype))
    return FixedLenFeature((), dtype_name(value))


def spec_to_json(name: str, spec: FeatureSpec) -> dict[str, Any]:
    """An input as plain values: name, dtype, shape of one row, and whether rows vary in length."""
    if isinstance(spec, VarLenFeature):
        return {"name": name, "dtype": spec.dtype, "shape": [], "ragged": True}
    return {"name": name, "dtype": spec.dtype, "shape": list(spec.shape), "ragged": False}
