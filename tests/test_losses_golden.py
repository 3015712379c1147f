"""The numbers of tf.compat.v1.losses."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from fake_context import called
from golden_case import GOLDENS

import raydnn
from raydnn.losses import Reduction

GOLDEN: dict[str, Any] = json.loads((GOLDENS / "custom_model_fn.json").read_text())["losses"]


def given(value: Any) -> Any:
    """An input of the goldens by its name; any other argument as it is."""
    if not isinstance(value, str):
        return value
    array = torch.tensor(GOLDEN["inputs"][value])
    return array.float() if array.is_floating_point() else array


def case_id(case: dict[str, Any]) -> str:
    return "-".join(str(value) for value in [case["function"], *case["arguments"].values(), case["weights"]])


@pytest.mark.parametrize("reduction", ["NONE", "SUM", "MEAN", "SUM_OVER_BATCH_SIZE", "SUM_BY_NONZERO_WEIGHTS"])
@pytest.mark.parametrize("case", GOLDEN["cases"], ids=case_id)
def test_losses_equal_tensorflow(case: dict[str, Any], reduction: str) -> None:
    arguments = {name: given(value) for name, value in case["arguments"].items()}
    function = getattr(raydnn.losses, case["function"])
    loss = called(
        lambda: function(**arguments, weights=given(case["weights"]), reduction=getattr(Reduction, reduction))
    )
    expected = np.asarray(case["results"][reduction], np.float32)
    assert loss.shape == expected.shape
    assert loss.dtype == torch.float32
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-7)
