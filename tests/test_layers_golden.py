"""The numbers of tf.compat.v1.layers."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from fake_context import called, fake_context, variables
from golden_case import GOLDENS
from torch import Tensor

import raydnn

GOLDEN: dict[str, Any] = json.loads((GOLDENS / "custom_model_fn.json").read_text())["layers"]
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.mark.parametrize(
    "case", GOLDEN["batch_normalization"], ids=lambda case: f"{case['momentum']}-{case['epsilon']}"
)
def test_batch_normalization_equals_tensorflow(case: dict[str, Any]) -> None:
    context = fake_context()
    steps = [torch.tensor(values) for values in case["inputs"]]

    def normalized(x: Tensor, training: bool, is_building: bool = False) -> Tensor:
        return called(
            lambda: raydnn.layers.batch_normalization(x, case["momentum"], case["epsilon"], training),
            context,
            is_building,
        ).detach()

    normalized(steps[0][:0], training=True, is_building=True)
    found = variables(context)
    with torch.no_grad():
        found["batch_normalization/gamma"].copy_(torch.tensor(case["gamma"]))
        found["batch_normalization/beta"].copy_(torch.tensor(case["beta"]))
    for x, expected in zip(steps[:2], case["training"], strict=True):
        np.testing.assert_allclose(normalized(x, training=True), expected["outputs"], **CLOSE)
        for name in ("moving_mean", "moving_variance"):
            np.testing.assert_allclose(found[f"batch_normalization/{name}"], expected[name], err_msg=name, **CLOSE)
    np.testing.assert_allclose(normalized(steps[2], training=False), case["inference"], **CLOSE)


@pytest.mark.parametrize("case", GOLDEN["dense"], ids=lambda case: f"{case['units']}-{case['activation']}")
def test_dense_equals_tensorflow(case: dict[str, Any]) -> None:
    context = fake_context()
    use_bias = case["bias"] is not None
    x = torch.tensor(case["inputs"])

    def dense(is_building: bool = False) -> Tensor:
        return called(
            lambda: raydnn.layers.dense(x, case["units"], case["activation"], use_bias), context, is_building
        ).detach()

    dense(is_building=True)
    found = variables(context)
    with torch.no_grad():
        for name in ("kernel", "bias") if use_bias else ("kernel",):
            found[f"dense/{name}"].copy_(torch.tensor(case[name]))
    assert len(found) == 1 + use_bias
    np.testing.assert_allclose(dense(), case["outputs"], **CLOSE)
