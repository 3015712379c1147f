"""The signatures of an exported model: which inputs and outputs go by which names."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from raydnn.export.outputs import PREDICT, ExportOutput
from raydnn.export.receivers import (
    ServingInputReceiver,
    SupervisedInputReceiver,
    feature_of_inputs,
    spec_from_json,
    spec_to_json,
)
from raydnn.feature_column.parse_spec import FeatureSpec, FixedLenFeature

logger = logging.getLogger(__name__)

TRAIN, EVAL = "train", "eval"
"""Signatures of a model that is exported for training or evaluation, and their kinds."""


@dataclass(frozen=True)
class Signature:
    """One way to call a model.

    Attributes:
        kind: 'classify', 'regress', 'predict', 'eval' or 'train'.
        output: key of the model function's `export_outputs` that is called.
        features: what the model reads, as `spec_to_json` writes it, the label included.
        label: which of them is the label, or None.
        takes_tensor: whether the model function gets its one feature as such and not in a dict.
        inputs: input name -> feature; None for serialized tf.Examples that hold all features.
        outputs: each as name, dtype, shape of one row, and whether rows vary in length.
    """

    kind: str
    output: str
    features: list[dict[str, Any]]
    label: str | None
    takes_tensor: bool
    inputs: dict[str, str | None]
    outputs: list[dict[str, Any]]

    @property
    def mode(self) -> str:
        """The mode in which the model runs."""
        return self.kind if self.kind in (TRAIN, EVAL) else "infer"

    def layouts(self) -> dict[str, FeatureSpec]:
        """The features by name."""
        return {described["name"]: spec_from_json(described) for described in self.features}

    def describe_inputs(self) -> list[dict[str, Any]]:
        """The inputs as plain values, as `spec_to_json` writes them."""
        layouts = self.layouts()
        return [
            spec_to_json(name, FixedLenFeature((), "string") if feature is None else layouts[feature])
            for name, feature in self.inputs.items()
        ]


def serving_signatures(receiver: ServingInputReceiver, outputs: Mapping[str, ExportOutput]) -> dict[str, Signature]:
    """The signatures that TensorFlow gives a model.

    Classifying and regressing ones take one input of strings, which they call 'inputs'; where there is another input,
    they are left out. Those of an alternative NAME are called NAME:SIGNATURE.

    Args:
        receiver: what requests carry.
        outputs: of the model, for any batch.

    Raises:
        ValueError: no signature is left.
    """
    signatures: dict[str, Signature] = {}
    left_out = []
    features = [spec_to_json(name, layout) for name, layout in receiver.features.items()]
    for prefix, tensors in (("", receiver.receiver_tensors), *(receiver.receiver_tensors_alternatives or {}).items()):
        inputs = feature_of_inputs(receiver.features, tensors)
        for key, output in outputs.items():
            name = f"{prefix}:{key}" if prefix else key
            described = [_described(each, value) for each, value in output.values.items()]
            if output.kind == PREDICT:
                named = inputs
            elif _is_one_text(tensors):
                named = {"inputs": next(iter(inputs.values()))}
            else:
                left_out.append(name)
                continue
            signatures[name] = Signature(output.kind, key, features, None, receiver.takes_tensor, named, described)
    if not signatures:
        raise ValueError(f"{', '.join(left_out)} take one input of strings, which the receiver does not have")
    if left_out:
        logger.warning(
            "The export has only the signatures %s: %s take one input of strings",
            ", ".join(map(repr, signatures)),
            ", ".join(left_out),
        )
    return signatures


def supervised_signature(mode: str, receiver: SupervisedInputReceiver, outputs: Mapping[str, Any]) -> Signature:
    """The signature of a model that is exported for training or evaluation.

    Args:
        mode: 'train' or 'eval'.
        receiver: what requests carry.
        outputs: name -> value, for any batch.
    """
    layouts = {**receiver.features, **receiver.labels}
    features = [spec_to_json(name, layout) for name, layout in layouts.items()]
    inputs = feature_of_inputs(layouts, receiver.receiver_tensors)
    described = [_described(name, value) for name, value in outputs.items()]
    return Signature(mode, mode, features, receiver.label, False, inputs, described)


def _is_one_text(tensors: Mapping[str, FeatureSpec]) -> bool:
    (first, *others) = tensors.values()
    return not others and isinstance(first, FixedLenFeature) and first.dtype == "string"


def _described(name: str, value: Any) -> dict[str, Any]:
    """An output as plain values, as `spec_to_json` writes inputs."""
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    dtype = "string" if array.dtype.kind in "OSU" else str(array.dtype)
    return {"name": name, "dtype": dtype, "shape": list(array.shape[1:]), "ragged": False}
