"""Heads: losses, predictions, and what they refuse."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from raydnn.model.heads import BinaryHead, Head, MulticlassHead, classification_head
from raydnn.model.losses import Reduction
from raydnn.model.metrics import BinaryMetrics, MulticlassMetrics

SUM = Reduction.SUM
KEYS = ["logits", "probabilities", "class_ids", "classes", "all_class_ids", "all_classes"]


def head_of(n_classes: int, label_vocabulary: Any = None) -> Head:
    return classification_head(n_classes, label_vocabulary, SUM)


# --- Making one


@pytest.mark.parametrize("n_classes", [2, 2.0])
def test_two_classes_have_the_binary_head(n_classes: Any) -> None:
    head = head_of(n_classes)
    assert isinstance(head, BinaryHead)
    assert head.logits_dimension == 1
    assert isinstance(head.metrics(), BinaryMetrics)


@pytest.mark.parametrize("n_classes", [3, 10])
def test_more_classes_have_the_multiclass_head(n_classes: int) -> None:
    head = head_of(n_classes)
    assert isinstance(head, MulticlassHead)
    assert head.logits_dimension == n_classes
    assert isinstance(head.metrics(), MulticlassMetrics)


@pytest.mark.parametrize("n_classes", [None, 1, 0, -3, True])
def test_fewer_than_two_classes_are_refused(n_classes: Any) -> None:
    with pytest.raises(ValueError, match=f"n_classes must be 2 or more; got {n_classes}"):
        head_of(n_classes)


@pytest.mark.parametrize(("n_classes", "error"), [(2, TypeError), (3, ValueError)])
@pytest.mark.parametrize("vocabulary", ["ab", {"a", "b"}, np.array(["a", "b"]), iter(["a"])])
def test_a_vocabulary_that_is_no_list_is_refused_by_each_head_in_its_way(
    n_classes: int, error: type[Exception], vocabulary: Any
) -> None:
    with pytest.raises(error, match="label_vocabulary must be a list or tuple"):
        head_of(n_classes, vocabulary)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("reduction", ["none", "sum", None])
def test_a_reduction_that_gives_no_single_number_is_refused(n_classes: int, reduction: Any) -> None:
    with pytest.raises(ValueError, match="loss_reduction"):
        classification_head(n_classes, None, reduction)


@pytest.mark.parametrize("reduction", [each for each in Reduction.all() if each != Reduction.NONE])
def test_every_other_reduction_is_accepted(reduction: str) -> None:
    assert classification_head(3, None, reduction).loss_reduction == reduction


@pytest.mark.parametrize(("n_classes", "kind"), [(2, "binary"), (3, "multiclass")])
def test_labels_are_encoded_for_the_head(n_classes: int, kind: str) -> None:
    encoder = head_of(n_classes, ["a", "b", "c"]).label_encoder
    assert (encoder.kind, encoder.n_classes, encoder.vocabulary) == (kind, n_classes, ("a", "b", "c"))
    assert head_of(n_classes).label_encoder.vocabulary is None


# --- Losses


@pytest.mark.parametrize("label", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("logit", [-90.0, -2.0, 0.0, 0.5, 90.0])
def test_the_binary_loss_is_the_sigmoid_cross_entropy(logit: float, label: float) -> None:
    expected = max(logit, 0) - logit * label + math.log1p(math.exp(-abs(logit)))
    losses = head_of(2).losses(torch.tensor([[logit]]), torch.tensor([label]))
    assert losses.shape == (1,)
    assert losses.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize("logits", [[0.0, 0.0, 0.0], [1.0, -2.0, 0.5], [500.0, -500.0, 499.0]])
def test_the_multiclass_loss_is_the_softmax_cross_entropy(logits: list[float], label: int) -> None:
    expected = np.logaddexp.reduce(logits) - logits[label]
    losses = head_of(3).losses(torch.tensor([logits]), torch.tensor([label]))
    assert losses.shape == (1,)
    assert losses.item() == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("n_classes", "dtype"), [(2, torch.float32), (3, torch.int64)])
def test_no_rows_have_no_losses(n_classes: int, dtype: torch.dtype) -> None:
    head = head_of(n_classes)
    logits = torch.zeros(0, head.logits_dimension)
    assert head.losses(logits, torch.zeros(0, dtype=dtype)).shape == (0,)


# --- Predictions


def test_binary_predictions_follow_from_the_logit() -> None:
    logits = torch.tensor([[0.485], [-1.2], [0.0]])
    found = head_of(2).predictions(logits)
    assert list(found) == [KEYS[0], "logistic", *KEYS[1:]]
    chance = 1 / (1 + np.exp(-logits.double().numpy()))
    np.testing.assert_allclose(found["logistic"], chance, rtol=1e-6)
    np.testing.assert_allclose(found["probabilities"], np.concatenate([1 - chance, chance], 1), rtol=1e-6)
    assert found["class_ids"].tolist() == [[1], [0], [0]]
    assert found["classes"].tolist() == [[b"1"], [b"0"], [b"0"]]
    assert found["all_class_ids"].tolist() == [[0, 1]] * 3
    assert found["all_classes"].tolist() == [[b"0", b"1"]] * 3


def test_multiclass_predictions_follow_from_the_logits() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0], [5.0, 5.0, 0.0]])
    found = head_of(3, ["cat", "dog", "öwl"]).predictions(logits)
    assert list(found) == KEYS
    powers = np.exp(logits.double().numpy())
    np.testing.assert_allclose(found["probabilities"], powers / powers.sum(1, keepdims=True), rtol=1e-6)
    assert found["class_ids"].tolist() == [[1], [0]]
    assert found["classes"].tolist() == [[b"dog"], [b"cat"]]
    assert found["all_class_ids"].tolist() == [[0, 1, 2]] * 2
    assert found["all_classes"].tolist() == [[b"cat", b"dog", "öwl".encode()]] * 2


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("rows", [0, 1, 4])
def test_predictions_have_the_shapes_and_dtypes_of_tensorflow(n_classes: int, rows: int) -> None:
    head = head_of(n_classes)
    found = head.predictions(torch.zeros(rows, head.logits_dimension))
    shapes = {key: tuple(value.shape) for key, value in found.items()}
    assert shapes["logits"] == (rows, head.logits_dimension)
    assert shapes["probabilities"] == shapes["all_class_ids"] == shapes["all_classes"] == (rows, n_classes)
    assert shapes["class_ids"] == shapes["classes"] == (rows, 1)
    dtypes = {key: str(value.dtype).removeprefix("torch.") for key, value in found.items()}
    assert dtypes == {
        **dict.fromkeys(("logits", "probabilities"), "float32"),
        **({"logistic": "float32"} if n_classes == 2 else {}),
        "class_ids": "int64",
        "classes": "object",
        "all_class_ids": "int32",
        "all_classes": "object",
    }


def test_a_class_beyond_a_short_vocabulary_is_printed_as_unknown() -> None:
    found = head_of(3, ["cat", "dog"]).predictions(torch.eye(3))
    assert found["classes"].tolist() == [[b"cat"], [b"dog"], [b"UNK"]]
    assert found["all_classes"].tolist() == [[b"cat", b"dog"]] * 3
    assert found["all_class_ids"].tolist() == [[0, 1, 2]] * 3


def test_a_vocabulary_that_is_too_long_is_listed_whole() -> None:
    found = head_of(2, ["no", "yes", "maybe"]).predictions(torch.tensor([[1.0]]))
    assert found["classes"].tolist() == [[b"yes"]]
    assert found["all_classes"].tolist() == [[b"no", b"yes", b"maybe"]]
