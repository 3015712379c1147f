"""What a serving model receives."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from raydnn.estimator.export import (
    ServingInputReceiver,
    SupervisedInputReceiver,
    TensorServingInputReceiver,
    build_parsing_serving_input_receiver_fn,
    build_raw_serving_input_receiver_fn,
    build_raw_supervised_input_receiver_fn,
)
from raydnn.export.receivers import spec_to_json
from raydnn.feature_column import FixedLenFeature, VarLenFeature

AGE = {"age": FixedLenFeature((1,), "float32")}
LABEL = FixedLenFeature((), "int64")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (FixedLenFeature((2,), "int64"), FixedLenFeature((2,), "int64")),
        (VarLenFeature("string"), VarLenFeature("string")),
        (np.zeros((5, 3), np.float32), FixedLenFeature((3,), "float32")),
        (np.zeros(5, np.int32), FixedLenFeature((), "int32")),
        (np.array(["a", "b"]), FixedLenFeature((), "string")),
        (np.array(["a", None], object), FixedLenFeature((), "string")),
        (torch.zeros(5, 3), FixedLenFeature((3,), "float32")),
        ("int64", FixedLenFeature((), "int64")),
        (str, FixedLenFeature((), "string")),
        (np.float64, FixedLenFeature((), "float64")),
        (np.dtype("int8"), FixedLenFeature((), "int8")),
        (pa.string(), FixedLenFeature((), "string")),
        (torch.float32, FixedLenFeature((), "float32")),
    ],
)
def test_a_layout_is_given_by_a_spec_an_example_or_a_dtype(value: Any, expected: Any) -> None:
    receiver = build_raw_serving_input_receiver_fn({"x": value})()
    assert receiver.features == receiver.receiver_tensors == {"x": expected}


@pytest.mark.parametrize("value", ["text", 3, None, object()])
def test_what_tells_no_layout_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="dtype"):
        build_raw_serving_input_receiver_fn({"x": value})


@pytest.mark.parametrize("field", ["features", "receiver_tensors"])
@pytest.mark.parametrize("bad", [{}, [AGE], None, {3.5: AGE["age"]}, {"age": "float32"}])
def test_a_receiver_holds_layouts_by_name(field: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=field):
        ServingInputReceiver(**{"features": AGE, "receiver_tensors": AGE, field: bad})


def test_single_layouts_get_tensorflows_names() -> None:
    receiver = ServingInputReceiver(AGE["age"], AGE["age"])  # type: ignore[arg-type]
    assert (list(receiver.features), list(receiver.receiver_tensors)) == (["feature"], ["input"])
    supervised = SupervisedInputReceiver(AGE, LABEL, {**AGE, "label": LABEL})  # type: ignore[arg-type]
    assert (supervised.label, supervised.labels) == ("label", {"label": LABEL})


def test_features_may_have_numbers_for_names() -> None:
    assert list(ServingInputReceiver({7: AGE["age"]}, {"7": AGE["age"]}).features) == ["7"]


def test_a_receiver_of_a_tensor_takes_one_layout() -> None:
    assert TensorServingInputReceiver(AGE["age"], AGE["age"]).takes_tensor  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be one layout"):
        TensorServingInputReceiver(AGE, AGE)


def test_the_parsing_receiver_takes_serialized_examples() -> None:
    receiver = build_parsing_serving_input_receiver_fn(AGE)()
    assert receiver.features == AGE
    assert receiver.receiver_tensors == {"examples": FixedLenFeature((), "string")}


@pytest.mark.parametrize("inputs", [{"size": AGE["age"]}, {"a": LABEL, "b": LABEL}, {"text": VarLenFeature("string")}])
def test_inputs_that_give_no_features_are_refused(inputs: Any) -> None:
    two = {**AGE, "other": LABEL}
    with pytest.raises(ValueError, match="lack age, other; a request must carry"):
        ServingInputReceiver(two, inputs)
    with pytest.raises(ValueError, match="lack age, other"):
        ServingInputReceiver(two, two, {"alternative": inputs})


def test_raw_features_and_label_of_one_name_are_refused() -> None:
    assert build_raw_supervised_input_receiver_fn(AGE, "int64")().label == "label"
    with pytest.raises(ValueError, match="both have age"):
        build_raw_supervised_input_receiver_fn(AGE, {"age": "int64"})
    with pytest.raises(ValueError, match="one layout; got a, b"):
        build_raw_supervised_input_receiver_fn(AGE, {"a": "int64", "b": "int64"})()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (FixedLenFeature((2, 3), "int64"), {"dtype": "int64", "shape": [2, 3], "ragged": False}),
        (VarLenFeature("string"), {"dtype": "string", "shape": [], "ragged": True}),
    ],
)
def test_an_input_is_described_by_plain_values(spec: Any, expected: dict[str, Any]) -> None:
    assert spec_to_json("x", spec) == {"name": "x", **expected}
