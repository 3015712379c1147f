"""What an exported model receives, under the names of `tf.estimator.export`.

Where TensorFlow has placeholder tensors, there are layouts here: `FixedLenFeature` and `VarLenFeature` of
`raydnn.feature_column`, by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from raydnn.feature_column.dtypes import dtype_name
from raydnn.feature_column.parse_spec import FeatureSpec, FixedLenFeature, VarLenFeature

EXAMPLES = "examples"
_SERIALIZED = FixedLenFeature((), "string")


@dataclass(frozen=True)
class ServingInputReceiver:
    """The input of an exported model.

    What a request carries is either the features themselves, or one input of serialized tf.Example messages, from which
    the features are parsed.

    Attributes:
        features: name -> layout of each feature that the model reads; a single layout is called 'feature'.
        receiver_tensors: name -> layout of each input that a request carries; a single layout is called 'input'.
        receiver_tensors_alternatives: name -> other such dicts; each gives signatures of its own, called
            ALTERNATIVE:SIGNATURE. None is none.

    Raises:
        ValueError: names of a wrong type, values that are no layouts, or inputs that give neither the features nor
            serialized examples.
    """

    features: Mapping[Any, FeatureSpec]
    receiver_tensors: Mapping[str, FeatureSpec]
    receiver_tensors_alternatives: Mapping[str, Mapping[str, FeatureSpec]] | None = None
    takes_tensor: ClassVar[bool] = False

    def __post_init__(self) -> None:
        features = _named(self.features, "features", "feature", (str, int))
        object.__setattr__(self, "features", {str(name): layout for name, layout in features.items()})
        object.__setattr__(self, "receiver_tensors", _named(self.receiver_tensors, "receiver_tensors", "input"))
        alternatives = self.receiver_tensors_alternatives or {}
        if not isinstance(alternatives, Mapping):
            raise ValueError(f"receiver_tensors_alternatives must be a dict of dicts; got {alternatives!r}")
        named = {
            name: _named(inputs, f"receiver_tensors_alternatives['{name}']", "input")
            for name, inputs in alternatives.items()
        }
        object.__setattr__(self, "receiver_tensors_alternatives", named)
        for inputs in (self.receiver_tensors, *named.values()):
            feature_of_inputs(self.features, inputs)


@dataclass(frozen=True)
class TensorServingInputReceiver(ServingInputReceiver):
    """The input of a model function whose features are one tensor instead of a dict; see `ServingInputReceiver`.

    Attributes:
        features: the layout of the tensor.

    Raises:
        ValueError: also features that are a dict.
    """

    takes_tensor = True

    def __post_init__(self) -> None:
        if isinstance(self.features, Mapping):
            raise ValueError("features of a TensorServingInputReceiver must be one layout; it got a dict")
        super().__post_init__()


@dataclass(frozen=True)
class SupervisedInputReceiver:
    """The input of a model that is exported for training or evaluation.

    Attributes:
        features: name -> layout; a single layout is called 'feature'.
        labels: the layout of the labels, or a dict with one entry; a layout is called 'label'.
        receiver_tensors: name -> layout of each input that a request carries, features and label.

    Raises:
        ValueError: names of a wrong type, values that are no layouts, several labels, or inputs that lack a feature or
            the label.
    """

    features: Mapping[Any, FeatureSpec]
    labels: Mapping[str, FeatureSpec]
    receiver_tensors: Mapping[str, FeatureSpec]

    def __post_init__(self) -> None:
        features = _named(self.features, "features", "feature", (str, int))
        object.__setattr__(self, "features", {str(name): layout for name, layout in features.items()})
        object.__setattr__(self, "labels", _named(self.labels, "labels", "label"))
        object.__setattr__(self, "receiver_tensors", _named(self.receiver_tensors, "receiver_tensors", "input"))
        if len(self.labels) != 1:
            raise ValueError(f"labels must be one layout; got {', '.join(self.labels)}")
        if self.label in self.features:
            raise ValueError(f"features and labels must have different names; both have {self.label}")
        feature_of_inputs({**self.features, **self.labels}, self.receiver_tensors)

    @property
    def label(self) -> str:
        """The name of the label."""
        return next(iter(self.labels))


def feature_of_inputs(features: Mapping[str, FeatureSpec], inputs: Mapping[str, FeatureSpec]) -> dict[str, str | None]:
    """Which feature each input of a request is; None for serialized examples that hold them all.

    Raises:
        ValueError: the inputs give neither the features nor serialized examples.
    """
    lacking = [name for name in features if name not in inputs]
    if not lacking:
        return {name: name for name in inputs if name in features}
    if len(inputs) == 1:
        ((name, layout),) = inputs.items()
        if len(features) == 1 and layout == next(iter(features.values())):
            return {name: lacking[0]}
        if layout == _SERIALIZED:
            return {name: None}
    raise ValueError(
        f"the inputs {', '.join(inputs)} lack {', '.join(lacking)}; a request must carry the features by their names, "
        "or one string input of serialized tf.Examples"
    )


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


def build_parsing_serving_input_receiver_fn(
    feature_spec: Mapping[str, FeatureSpec], default_batch_size: int | None = None
) -> Callable[[], ServingInputReceiver]:
    """A receiver of serialized tf.Example messages, in one input called 'examples'.

    Args:
        feature_spec: name -> layout, as `make_parse_example_spec` gives it; dtypes string, float32 and int64.
        default_batch_size: accepted for likeness; any number of rows is served.

    Returns:
        A function without arguments for `export_saved_model`.

    Raises:
        ValueError: (the function) a value that is no layout.
    """
    specs = dict(feature_spec)
    return lambda: ServingInputReceiver(specs, {EXAMPLES: _SERIALIZED})


def build_raw_supervised_input_receiver_fn(
    features: Any, labels: Any, default_batch_size: int | None = None
) -> Callable[[], SupervisedInputReceiver]:
    """A receiver of features and label themselves, one input for each.

    Args:
        features: name -> layout, example array or dtype; see `build_raw_serving_input_receiver_fn`.
        labels: the same for the label, or a dict with one entry.
        default_batch_size: accepted for likeness; any number of rows is served.

    Returns:
        A function without arguments for `experimental_export_all_saved_models`.

    Raises:
        ValueError: a feature and the label have one name, or a value that is no layout.
    """
    feature_specs = {name: _layout(value) for name, value in _as_dict(features, "feature").items()}
    label_specs = {name: _layout(value) for name, value in _as_dict(labels, "label").items()}
    both = sorted(set(feature_specs) & set(label_specs))
    if both:
        raise ValueError(f"features and labels must have different names; both have {', '.join(both)}")
    return lambda: SupervisedInputReceiver(feature_specs, label_specs, {**feature_specs, **label_specs})


def spec_to_json(name: str, spec: FeatureSpec) -> dict[str, Any]:
    """An input as plain values: name, dtype, shape of one row, whether rows vary in length, and the default if any."""
    if isinstance(spec, VarLenFeature):
        return {"name": name, "dtype": spec.dtype, "shape": [], "ragged": True}
    described = {"name": name, "dtype": spec.dtype, "shape": list(spec.shape), "ragged": False}
    if spec.default_value is not None:
        default = np.asarray(spec.default_value).tolist()
        described["default"] = default.decode() if isinstance(default, bytes) else default
    return described


def spec_from_json(described: Mapping[str, Any]) -> FeatureSpec:
    """The layout that `spec_to_json` wrote."""
    if described["ragged"]:
        return VarLenFeature(described["dtype"])
    return FixedLenFeature(tuple(described["shape"]), described["dtype"], described.get("default"))


def _layout(value: Any) -> FeatureSpec:
    if isinstance(value, FixedLenFeature | VarLenFeature):
        return value
    shape = getattr(value, "shape", None)
    if shape is not None and not isinstance(value, type | np.dtype):
        return FixedLenFeature(tuple(shape[1:]), dtype_name(value.dtype))
    return FixedLenFeature((), dtype_name(value))


def _as_dict(value: Any, default_name: str) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {default_name: value}


def _named(values: Any, field: str, default_name: str, name_types: tuple[type, ...] = (str,)) -> dict[Any, FeatureSpec]:
    """Layouts by name.

    Raises:
        ValueError: none at all, or names or values of a wrong type.
    """
    named = {default_name: values} if isinstance(values, FixedLenFeature | VarLenFeature) else values
    if not isinstance(named, Mapping) or not named:
        raise ValueError(f"{field} must be a layout or a dict of name -> layout; got {values!r}")
    for name, layout in named.items():
        if not isinstance(name, name_types) or not isinstance(layout, FixedLenFeature | VarLenFeature):
            kinds = " or ".join(kind.__name__ for kind in name_types)
            raise ValueError(f"{field}: {name!r} must be a {kinds} and {layout!r} a layout of raydnn.feature_column")
    return dict(named)
