"""The numbers of tf.compat.v1.metrics, after each of three batches."""

import json
from typing import Any

import numpy as np
import pytest
from golden_case import GOLDENS

import raydnn
from raydnn.model.metrics import NamedMetrics

GOLDEN: dict[str, Any] = json.loads((GOLDENS / "custom_model_fn.json").read_text())["metrics"]


def given(batch: dict[str, Any], value: Any) -> Any:
    """A part of a batch by its name; any other argument as it is."""
    if value not in batch:
        return value
    array = np.asarray(batch[value])
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def case_id(case: dict[str, Any]) -> str:
    return "-".join(str(value) for value in [case["function"], *case["arguments"].values(), case["weights"]])


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=case_id)
def test_metrics_equal_tensorflow(case: dict[str, Any]) -> None:
    function, found = getattr(raydnn.metrics, case["function"]), []
    total: NamedMetrics | None = None
    for batch in GOLDEN["batches"]:
        arguments = {name: given(batch, value) for name, value in case["arguments"].items()}
        metrics = NamedMetrics({"metric": function(**arguments, weights=given(batch, case["weights"]))})
        if total is None:
            total = metrics
        else:
            total.merge(metrics)
        found.append(total.result()["metric"])
    assert all(value.dtype == np.float32 for value in found)
    np.testing.assert_allclose(found, case["results"], rtol=1e-5, atol=1e-7)
