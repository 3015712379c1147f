"""What a serving model receives."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from raydnn.estimator.export import ServingInputReceiver, build_raw_serving_input_receiver_fn
from raydnn.export.receivers import spec_to_json
from raydnn.feature_column import FixedLenFeature, VarLenFeature

AGE = {"age": FixedLenFeature((1,), "float32")}


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
@pytest.mark.parametrize("bad", [{}, [AGE], None, {3: AGE["age"]}, {"age": "float32"}])
def test_a_receiver_holds_layouts_by_name(field: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=field):
        ServingInputReceiver(**{"features": AGE, "receiver_tensors": AGE, field: bad})


def test_alternatives_are_refused_for_now() -> None:
    with pytest.raises(ValueError, match="receiver_tensors_alternatives"):
        ServingInputReceiver(AGE, AGE, {"other": AGE})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (FixedLenFeature((2, 3), "int64"), {"dtype": "int64", "shape": [2, 3], "ragged": False}),
        (VarLenFeature("string"), {"dtype": "string", "shape": [], "ragged": True}),
    ],
)
def test_an_input_is_described_by_plain_values(spec: Any, expected: dict[str, Any]) -> None:
    assert spec_to_json("x", spec) == {"name": "x", **expected}
