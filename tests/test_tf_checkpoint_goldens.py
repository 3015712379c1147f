"""Models that TensorFlow trained go on here, with the state of their optimizers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_case import GOLDENS, GoldenCase, LossRecorder, as_arrays, as_batch

import raydnn
from raydnn.estimator.export import build_raw_serving_input_receiver_fn
from raydnn.feature_column import make_parse_example_spec

NAMES = ["adagrad_partitioned", "adam_batch_norm"]


def load_case(name: str) -> dict[str, Any]:
    return json.loads((GOLDENS / "tf_checkpoints" / name / "expected.json").read_text())


def estimator(case: dict[str, Any], model_dir: Path, **arguments: Any) -> raydnn.DNNClassifier:
    golden = GoldenCase.__new__(GoldenCase)
    golden.name, golden.case = case["name"], case
    return golden.estimator(model_dir, **arguments)


@pytest.mark.parametrize("name", NAMES)
def test_an_imported_model_evaluates_and_predicts_as_in_tensorflow(name: str, tmp_path: Path):
    case = load_case(name)
    raydnn.import_tf_checkpoint(str(GOLDENS / "tf_checkpoints" / name), str(tmp_path))
    model = estimator(case, tmp_path)
    batches = [as_batch(batch) for batch in case["batches"]]
    expected = case["evaluate"].get("metrics", case["evaluate"])
    metrics = model.evaluate(lambda: iter(batches))
    for key, value in expected.items():
        np.testing.assert_allclose(metrics[key], value, rtol=2e-5, atol=2e-6, err_msg=key)
    rows = list(model.predict(lambda: iter([batches[0][0]])))
    for row, wanted in zip(rows, case["predict"], strict=True):
        np.testing.assert_allclose(row["logits"], wanted["logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_training_goes_on_as_in_tensorflow(name: str, tmp_path: Path):
    case = load_case(name)
    raydnn.import_tf_checkpoint(str(GOLDENS / "tf_checkpoints" / name), str(tmp_path))
    model = estimator(case, tmp_path)
    batches = [as_batch(batch) for batch in case["batches"]]
    goes_on = case["continue_training"]
    recorder = LossRecorder()
    steps = len(goes_on["losses"])
    model.train(lambda: iter([batches[step % len(batches)] for step in range(steps)]), hooks=[recorder])
    np.testing.assert_allclose(recorder.losses, goes_on["losses"], rtol=2e-5, atol=2e-6)
    final = as_arrays(goes_on["final_variables"])
    assert set(model.get_variable_names()) == set(final)
    for variable, value in final.items():
        np.testing.assert_allclose(model.get_variable_value(variable), value, rtol=1e-4, atol=1e-5, err_msg=variable)


def test_checkpoints_of_tensorflow_are_read_like_our_own():
    folder = str(GOLDENS / "tf_checkpoints" / "adam_batch_norm")
    case = load_case("adam_batch_norm")
    names = dict(raydnn.train.list_variables(folder))
    assert set(names) == set(case["variables"])
    name = "dnn/logits/kernel"
    np.testing.assert_array_equal(raydnn.train.load_variable(folder, name), as_arrays(case["variables"])[name])
    np.testing.assert_array_equal(
        raydnn.train.load_checkpoint(f"{folder}/model.ckpt-6").get_tensor(name),
        raydnn.train.load_variable(folder, name),
    )


@pytest.mark.parametrize("source", ["tensorflow", "export"])
def test_a_warm_start_takes_the_weights_of_other_kinds_of_model(source: str, tmp_path: Path):
    folder = GOLDENS / "tf_checkpoints" / "adam_batch_norm"
    case = load_case("adam_batch_norm")
    path = str(folder)
    if source == "export":
        raydnn.import_tf_checkpoint(str(folder), str(tmp_path / "imported"))
        model = estimator(case, tmp_path / "imported")
        golden = GoldenCase.__new__(GoldenCase)
        golden.case = case
        receiver = build_raw_serving_input_receiver_fn(make_parse_example_spec(golden.columns(tmp_path)))
        path = model.export_saved_model(tmp_path / "export", receiver).decode()
    warm = estimator(case, tmp_path / "warm")
    warm_started = raydnn.DNNClassifier(
        feature_columns=warm._model_fn.columns,
        model_dir=tmp_path / "warm",
        config=raydnn.RunConfig(tf_random_seed=0),
        warm_start_from=path,
        optimizer=lambda: raydnn.train.GradientDescentOptimizer(0.0),
        **{key: value for key, value in case["classifier"].items() if key != "optimizer"},
    )
    warm_started.train(lambda: iter([as_batch(case["batches"][0])]))
    np.testing.assert_array_equal(
        warm_started.get_variable_value("dnn/logits/kernel"), as_arrays(case["variables"])["dnn/logits/kernel"]
    )
    assert warm_started.get_variable_value("global_step") == 1


def test_what_is_no_checkpoint_of_tensorflow_is_refused(tmp_path: Path):
    with pytest.raises(raydnn.errors.NotFoundError, match="neither a TensorFlow checkpoint nor a folder with one"):
        raydnn.import_tf_checkpoint(str(tmp_path), str(tmp_path / "model"))
