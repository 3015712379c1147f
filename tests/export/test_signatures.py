"""The signatures of an exported classifier."""

import logging

import pytest

from raydnn.export.receivers import ServingInputReceiver
from raydnn.export.signatures import Signature, classifier_signatures
from raydnn.feature_column import FixedLenFeature, VarLenFeature

KEYS = ["logits", "probabilities", "all_classes"]
TEXT = FixedLenFeature((), "string")


def receiver(**tensors: FixedLenFeature | VarLenFeature) -> ServingInputReceiver:
    return ServingInputReceiver(tensors, tensors)


@pytest.mark.parametrize("is_binary", [True, False])
def test_one_text_input_gives_all_signatures(is_binary: bool) -> None:
    signatures = classifier_signatures(receiver(word=TEXT), KEYS, is_binary)
    classify = Signature("classify", {"inputs": "word"}, {"classes": "all_classes", "scores": "probabilities"})
    expected = {
        "serving_default": classify,
        "classification": classify,
        "regression": Signature("regress", {"inputs": "word"}, {"outputs": "logistic"}),
        "predict": Signature("predict", {"word": "word"}, {key: key for key in KEYS}),
    }
    if not is_binary:
        del expected["regression"]
    assert signatures == expected


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
        signatures = classifier_signatures(receiver(**tensors), KEYS, is_binary=True)
    names = {name: name for name in tensors}
    assert signatures == {"predict": Signature("predict", names, {key: key for key in KEYS})}
    assert "only the signature 'predict'" in caplog.text


def test_a_signature_is_written_as_plain_values() -> None:
    signature = Signature("predict", {"x": "x"}, {"logits": "logits"})
    assert Signature(**signature.to_json()) == signature
