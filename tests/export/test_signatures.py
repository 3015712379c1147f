"""The signatures of an exported model."""

import logging

import numpy as np
import pytest
import torch

from raydnn.estimator.export import (
    ClassificationOutput,
    ExportOutput,
    PredictOutput,
    RegressionOutput,
    ServingInputReceiver,
    SupervisedInputReceiver,
)
from raydnn.export.signatures import Signature, serving_signatures, supervised_signature
from raydnn.feature_column import FixedLenFeature, VarLenFeature

TEXT = FixedLenFeature((), "string")
SCORES = torch.zeros(0, 2)
CLASSES = ClassificationOutput(SCORES, np.empty((0, 2), object))
OUTPUTS: dict[str, ExportOutput] = {
    "serving_default": CLASSES,
    "classification": CLASSES,
    "regression": RegressionOutput(torch.zeros(0, 1)),
    "predict": PredictOutput({"scores": SCORES}),
}


def receiver(**tensors: FixedLenFeature | VarLenFeature) -> ServingInputReceiver:
    return ServingInputReceiver(tensors, tensors)


def test_one_text_input_gives_all_signatures() -> None:
    signatures = serving_signatures(receiver(word=TEXT), OUTPUTS)
    assert {name: (each.kind, each.output, each.inputs) for name, each in signatures.items()} == {
        "serving_default": ("classify", "serving_default", {"inputs": "word"}),
        "classification": ("classify", "classification", {"inputs": "word"}),
        "regression": ("regress", "regression", {"inputs": "word"}),
        "predict": ("predict", "predict", {"word": "word"}),
    }
    described = {each["name"]: (each["dtype"], each["shape"]) for each in signatures["classification"].outputs}
    assert described == {"classes": ("string", [2]), "scores": ("float32", [2])}
    assert [each["name"] for each in signatures["regression"].outputs] == ["outputs"]


@pytest.mark.parametrize(
    "tensors",
    [
        {"word": TEXT, "age": FixedLenFeature((), "float32")},
        {"age": FixedLenFeature((1,), "float32")},
        {"words": VarLenFeature("string")},
    ],
    ids=["two inputs", "a number", "ragged text"],
)
def test_any_other_input_leaves_predict_alone_and_says_so(
    tensors: dict[str, FixedLenFeature | VarLenFeature], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        signatures = serving_signatures(receiver(**tensors), OUTPUTS)
    assert list(signatures) == ["predict"]
    assert signatures["predict"].inputs == {name: name for name in tensors}
    assert "only the signatures 'predict'" in caplog.text
    only_classes: dict[str, ExportOutput] = {"serving_default": CLASSES}
    with pytest.raises(ValueError, match="serving_default take one input of strings"):
        serving_signatures(receiver(**tensors), only_classes)


def test_alternatives_have_signatures_of_their_own() -> None:
    features = {"word": TEXT, "age": FixedLenFeature((1,), "float32")}
    both = ServingInputReceiver(features, {"examples": TEXT}, {"raw": features})
    signatures = serving_signatures(both, OUTPUTS)
    assert set(signatures) == {*OUTPUTS, "raw:predict"}
    assert signatures["predict"].inputs == {"examples": None}
    assert signatures["classification"].inputs == {"inputs": None}
    assert signatures["raw:predict"].inputs == {"word": "word", "age": "age"}
    assert signatures["predict"].layouts() == signatures["raw:predict"].layouts() == features
    assert signatures["predict"].describe_inputs() == [
        {"name": "examples", "dtype": "string", "shape": [], "ragged": False}
    ]


def test_a_supervised_signature_takes_the_label_too() -> None:
    features, label = {"age": FixedLenFeature((1,), "float32")}, {"label": FixedLenFeature((), "int64")}
    signature = supervised_signature(
        "eval", SupervisedInputReceiver(features, label, {**features, **label}), {"loss": torch.zeros(())}
    )
    assert (signature.kind, signature.mode, signature.label) == ("eval", "eval", "label")
    assert signature.inputs == {"age": "age", "label": "label"}
    assert signature.outputs == [{"name": "loss", "dtype": "float32", "shape": [], "ragged": False}]


def test_what_predicts_does_so_in_the_mode_of_prediction() -> None:
    assert Signature("regress", "x", [], None, False, {}, []).mode == "infer"
