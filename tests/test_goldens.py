"""The numbers of TensorFlow's DNNClassifier, from the cases in `goldens`."""

from pathlib import Path

import numpy as np
import pytest
from golden_case import GoldenCase, LossRecorder, golden_names

import raydnn

LOSS = {"rtol": 2e-5, "atol": 2e-6}
VARIABLE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.mark.parametrize("name", golden_names())
def test_case_equals_tensorflow(name: str, tmp_path: Path):
    golden = GoldenCase(name)
    case = golden.case
    raydnn.train.save_checkpoint(
        str(tmp_path), golden.initial_variables(), int(case["initial_variables"]["global_step"])
    )
    estimator = golden.estimator(tmp_path)
    recorder = LossRecorder()
    estimator.train(lambda: iter(golden.training_batches()), hooks=[recorder])

    assert len(recorder.losses) == case["train"]["steps"]
    # Dropout makes the losses random; such a case has none.
    for step, (expected, found) in enumerate(zip(case["train"]["losses"] or (), recorder.losses, strict=False)):
        if expected is not None:
            np.testing.assert_allclose(found, expected, err_msg=f"loss of step {step}", **LOSS)
    assert set(estimator.get_variable_names()) == set(golden.final_variables())
    for variable, expected in golden.final_variables().items():
        np.testing.assert_allclose(estimator.get_variable_value(variable), expected, err_msg=variable, **VARIABLE)

    metrics = estimator.evaluate(lambda: iter(golden.evaluation_batches()), steps=case["evaluate"]["steps"])
    assert set(metrics) == set(case["evaluate"]["metrics"])
    for key, expected in case["evaluate"]["metrics"].items():
        np.testing.assert_allclose(metrics[key], expected, err_msg=key, rtol=2e-5, atol=2e-6)

    first_features = golden.training_batches()[0][0]
    rows = list(estimator.predict(lambda: iter([first_features])))
    assert len(rows) == len(case["predict"])
    for row, expected in zip(rows, case["predict"], strict=True):
        assert_prediction_equals(row, expected)


def assert_prediction_equals(row, expected):
    assert list(row) == list(expected) or set(row) == set(expected)
    for key, value in expected.items():
        if key in ("classes", "all_classes"):
            assert [name.decode() for name in row[key]] == value
        elif key in ("class_ids", "all_class_ids"):
            assert row[key].tolist() == value
        else:
            np.testing.assert_allclose(row[key], value, rtol=1e-4, atol=1e-5, err_msg=key)
