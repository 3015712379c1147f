"""What an exported model may give."""

from typing import Any

import numpy as np
import pytest
import torch

from raydnn import EstimatorSpec
from raydnn.estimator.export import ClassificationOutput, PredictOutput, RegressionOutput

SCORES, NAMES = torch.zeros(2, 3), np.full((2, 3), b"a", object)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClassificationOutput(), "scores or classes"),
        (lambda: ClassificationOutput(scores=torch.zeros(2, dtype=torch.int64)), "scores must be a float"),
        (lambda: ClassificationOutput(scores=[0.5]), "scores must be a float"),
        (lambda: ClassificationOutput(classes=SCORES), "classes must be an array of strings"),
        (lambda: RegressionOutput(NAMES), "value must be a float"),
        (lambda: PredictOutput({}), "needs outputs"),
        (lambda: PredictOutput({3: SCORES}), "names of outputs"),
        (lambda: PredictOutput({"x": [1]}), "'x' must be a tensor"),
    ],
)
def test_bad_outputs_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_outputs_go_by_tensorflows_names() -> None:
    assert list(ClassificationOutput(SCORES, NAMES).values) == ["classes", "scores"]
    assert list(ClassificationOutput(scores=SCORES).values) == ["scores"]
    assert list(RegressionOutput(SCORES).values) == ["outputs"]
    assert list(PredictOutput(SCORES).values) == ["output"]


def spec(export_outputs: Any) -> Any:
    return EstimatorSpec("infer", predictions=SCORES, export_outputs=export_outputs).export_outputs


def test_one_output_is_the_default_and_several_need_one() -> None:
    only = RegressionOutput(SCORES)
    assert spec(None) is None
    assert spec({"own": only}) == {"own": only, "serving_default": only}
    two = {"own": only, "serving_default": PredictOutput(SCORES)}
    assert spec(two) == two
    with pytest.raises(ValueError, match="one must be called 'serving_default'"):
        spec({"a": only, "b": only})


@pytest.mark.parametrize("bad", [[RegressionOutput(SCORES)], {"a": SCORES}])
def test_outputs_of_a_wrong_type_are_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match="ExportOutput"):
        spec(bad)


def test_outputs_are_looked_at_in_prediction_only() -> None:
    loss = torch.zeros(())
    assert EstimatorSpec("eval", loss=loss, export_outputs={"a": SCORES}).export_outputs is not None  # type: ignore[dict-item]
