"""The signatures of an exported classifier: which inputs and outputs go by which names."""

import logging
from dataclasses import asdict, dataclass
from typing import Any

from raydnn.export.receivers import ServingInputReceiver
from raydnn.feature_column.parse_spec import FixedLenFeature

logger = logging.getLogger(__name__)

CLASSIFY, REGRESS, PREDICT = "classify", "regress", "predict"
DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Signature:
    """One way to call a model.

    Attributes:
        kind: 'classify', 'regress' or 'predict'.
        inputs: input name -> feature.
        outputs: output name -> key of the predictions.
    """

    kind: str
    inputs: dict[str, str]
    outputs: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """The signature as plain values."""
        return asdict(self)


def classifier_signatures(
    receiver: ServingInputReceiver, prediction_keys: list[str], is_binary: bool
) -> dict[str, Signature]:
    """The signatures that TensorFlow gives a classifier.

    'classification' (also 'serving_default') and 'regression' take one input of strings, called 'inputs'. With any
    other receiver only 'predict' is left, whose inputs keep their names.
    """
    names = list(receiver.receiver_tensors)
    keys = {name: name for name in names}
    predict = Signature(PREDICT, keys, {key: key for key in prediction_keys})
    first = receiver.receiver_tensors[names[0]]
    if len(names) > 1 or first.dtype != "string" or not isinstance(first, FixedLenFeature):
        logger.warning(
            "The export has only the signature 'predict': the others need one input of strings, not %d inputs",
            len(names),
        )
        return {"predict": predict}
    inputs = {"inputs": names[0]}
    classify = Signature(CLASSIFY, inputs, {"classes": "all_classes", "scores": "probabilities"})
    signatures = {DEFAULT_SIGNATURE: classify, "classification": classify, "predict": predict}
    if is_binary:
        signatures["regression"] = Signature(REGRESS, inputs, {"outputs": "logistic"})
    return signatures
