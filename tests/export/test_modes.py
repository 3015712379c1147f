"""Exports of model functions of one's own, for training and evaluation, and of serialized examples."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from custom_models import normalized_model_fn, twin_model_fn
from fake_data import fake_batches, fake_classifier, fake_columns, fake_features, fake_input_fn, fake_labels
from fake_examples import example

import raydnn
from raydnn import EstimatorSpec, ModeKeys, export
from raydnn.estimator.export import (
    PredictOutput,
    RegressionOutput,
    ServingInputReceiver,
    TensorServingInputReceiver,
    build_parsing_serving_input_receiver_fn,
    build_raw_serving_input_receiver_fn,
    build_raw_supervised_input_receiver_fn,
)
from raydnn.feature_column import FixedLenFeature, make_parse_example_spec

CONFIG = raydnn.RunConfig(tf_random_seed=1)
SPEC = make_parse_example_spec(fake_columns())
RAW_FN = build_raw_serving_input_receiver_fn(SPEC)
SUPERVISED_FN = build_raw_supervised_input_receiver_fn(SPEC, "int64")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> raydnn.DNNClassifier:
    trained = fake_classifier(tmp_path_factory.mktemp("model"), CONFIG, weight_column=None, batch_norm=True)
    return trained.train(fake_input_fn(4))  # type: ignore[return-value]


def test_all_modes_go_into_one_export(classifier: raydnn.DNNClassifier, tmp_path: Path) -> None:
    receivers = {ModeKeys.PREDICT: RAW_FN, ModeKeys.EVAL: SUPERVISED_FN, ModeKeys.TRAIN: SUPERVISED_FN}
    model = export.load(classifier.experimental_export_all_saved_models(tmp_path, receivers))
    assert set(model.signatures) == {"train", "eval", "predict"}
    features, labels = fake_features(50), fake_labels(50)
    request = {**features, "label": labels}

    measured = model.predict(request, "eval")
    expected = classifier.evaluate(lambda: iter([(features, labels)]))
    np.testing.assert_allclose(measured["loss"], expected["loss"], rtol=1e-6)
    for name in ("accuracy", "auc", "average_loss", "precision"):
        np.testing.assert_allclose(measured[f"metrics/{name}/value"], expected[name], rtol=1e-6)
        assert measured[f"metrics/{name}/update_op"] == measured[f"metrics/{name}/value"]
    predicted = model.predict(features)
    np.testing.assert_array_equal(measured["predictions/logits"], predicted["logits"])

    trained = model.predict(request, "train")
    assert not any(name.startswith("metrics/") for name in trained)
    assert abs(trained["loss"] - measured["loss"]) > 1e-3, "training normalises by the statistics of the batch"
    np.testing.assert_array_equal(model.predict(features)["logits"], predicted["logits"])
    assert model.manifest.global_step == 4


def test_an_export_for_training_holds_the_slots_and_one_for_serving_does_not(
    classifier: raydnn.DNNClassifier, tmp_path: Path
) -> None:
    paths = [
        classifier.export_saved_model(tmp_path / mode, receiver_fn, experimental_mode=mode).decode()
        for mode, receiver_fn in (("infer", RAW_FN), ("eval", SUPERVISED_FN), ("train", SUPERVISED_FN))
    ]
    has_slots = []
    for path in paths:
        warm = fake_classifier(tmp_path / "unused", CONFIG, batch_norm=True, warm_start_from=path)
        warm.evaluate(fake_input_fn(1))
        has_slots.append(b"Adagrad" in (Path(path) / "weights.safetensors").read_bytes()[:5000])
    assert has_slots == [False, False, True]


@pytest.mark.parametrize("receivers", [{}, {"serve": RAW_FN}])
def test_a_map_without_a_known_mode_is_refused(
    receivers: dict[str, Any], classifier: raydnn.DNNClassifier, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="receivers must be given for some of the modes"):
        classifier.experimental_export_all_saved_models(tmp_path, receivers)
    assert list(tmp_path.iterdir()) == []


def test_the_old_name_exports_too(classifier: raydnn.DNNClassifier, tmp_path: Path) -> None:
    assert "predict" in export.load(classifier.export_savedmodel(tmp_path, RAW_FN)).signatures


def test_serialized_examples_are_parsed_and_predicted(classifier: raydnn.DNNClassifier, tmp_path: Path) -> None:
    examples = [
        example({"age": [30.0], "city": [b"cairo"], "size": [0.5, -1.0], "tags": [b"tag1", b"tag2"]}),
        example({"size": [1.0, 2.0]}),
    ]
    features = {
        "age": [30.0, 40.0],
        "city": ["cairo", ""],
        "size": [[0.5, -1.0], [1.0, 2.0]],
        "tags": [["tag1", "tag2"], []],
    }
    model = export.load(classifier.export_saved_model(tmp_path, build_parsing_serving_input_receiver_fn(SPEC)))
    assert set(model.signatures) == {"serving_default", "classification", "regression", "predict"}
    raw = export.load(classifier.export_saved_model(tmp_path / "raw", RAW_FN))
    expected = raw.predict(features)
    np.testing.assert_allclose(model.predict({"examples": examples})["logits"], expected["logits"], rtol=1e-6)
    scores = model.predict({"inputs": examples}, "serving_default")["scores"]
    np.testing.assert_allclose(scores, expected["probabilities"], rtol=1e-6)


def test_an_alternative_takes_the_features_themselves(classifier: raydnn.DNNClassifier, tmp_path: Path) -> None:
    def receiver_fn() -> ServingInputReceiver:
        return ServingInputReceiver(SPEC, {"examples": FixedLenFeature((), "string")}, {"raw": SPEC})

    model = export.load(classifier.export_saved_model(tmp_path, receiver_fn))
    by_name = model.predict(fake_features(3), "raw:predict")
    assert by_name["logits"].shape == (3, 1)


def test_a_model_function_of_ones_own_is_exported_and_loaded_with_its_code(tmp_path: Path) -> None:
    estimator = raydnn.Estimator(twin_model_fn, tmp_path / "model", CONFIG, params={"hidden_units": [3]})
    estimator.train(fake_input_fn(2))
    path = estimator.export_saved_model(tmp_path / "base", RAW_FN)
    with pytest.raises(ValueError, match="model function custom_models.twin_model_fn.*load\\(export_dir, model_fn"):
        export.load(path)
    model = export.load(path, model_fn=twin_model_fn)
    assert set(model.signatures) == {"serving_default"}
    expected = [row["logistic"] for row in estimator.predict(fake_input_fn(1))]
    np.testing.assert_array_equal(model.predict(fake_batches(1)[0][0])["logistic"], expected)
    with pytest.raises(ValueError, match="no variable"):
        export.load(path, model_fn=normalized_model_fn)


def test_a_model_function_may_name_its_outputs(tmp_path: Path) -> None:
    def model_fn(features: Any, mode: str) -> EstimatorSpec:
        value = features["x"].sum(1, keepdim=True) * raydnn.train.get_variable("w", ())
        outputs = {"serving_default": PredictOutput({"twice": value * 2}), "regressed": RegressionOutput(value)}
        return EstimatorSpec(mode, predictions=value, export_outputs=outputs)

    raydnn.train.save_checkpoint(str(tmp_path / "model"), {"w": np.float32(3.0)}, 1)
    estimator = raydnn.Estimator(model_fn, tmp_path / "model", CONFIG)
    receiver_fn = build_raw_serving_input_receiver_fn({"x": np.zeros((1, 2), np.float32)})
    model = export.load(estimator.export_saved_model(tmp_path / "base", receiver_fn), model_fn)
    assert set(model.signatures) == {"serving_default"}
    np.testing.assert_array_equal(model.predict({"x": [[1.0, 2.0]]})["twice"], [[18.0]])


def test_a_model_function_may_take_one_tensor(tmp_path: Path) -> None:
    def model_fn(features: Any, mode: str) -> EstimatorSpec:
        x = features if isinstance(features, torch.Tensor) else features["feature"]
        return EstimatorSpec(mode, predictions={"kind": x.sum(1) * 0 + isinstance(features, torch.Tensor)})

    layout = FixedLenFeature((2,), "float32")
    raydnn.train.save_checkpoint(str(tmp_path / "model"), {}, 1)
    estimator = raydnn.Estimator(model_fn, tmp_path / "model", CONFIG)
    kinds = {}
    for receiver in (TensorServingInputReceiver, ServingInputReceiver):
        path = estimator.export_saved_model(tmp_path / receiver.__name__, lambda kind=receiver: kind(layout, layout))
        kinds[receiver] = export.load(path, model_fn).predict({"input": [[1.0, 2.0]]})["kind"].tolist()
    assert kinds == {TensorServingInputReceiver: [1.0], ServingInputReceiver: [0.0]}


def test_a_request_that_does_not_fit_its_layout_is_refused(tmp_path: Path) -> None:
    def model_fn(features: Any, mode: str) -> EstimatorSpec:
        return EstimatorSpec(mode, predictions=features["x"])

    raydnn.train.save_checkpoint(str(tmp_path / "model"), {}, 1)
    receiver_fn = build_raw_serving_input_receiver_fn({"x": FixedLenFeature((2,), "float32")})
    path = raydnn.Estimator(model_fn, tmp_path / "model", CONFIG).export_saved_model(tmp_path / "base", receiver_fn)
    for bad in ([[1.0, 2.0, 3.0]], [["a", "b"]], [1.0]):
        with pytest.raises(ValueError, match="feature 'x' should be fixed_size_list"):
            export.load(path, model_fn).predict({"x": bad})


def test_params_that_are_no_plain_values_cannot_be_exported(tmp_path: Path) -> None:
    def model_fn(features: Any, mode: str, params: Any) -> EstimatorSpec:
        return EstimatorSpec(mode, predictions=features["size"])

    raydnn.train.save_checkpoint(str(tmp_path / "model"), {}, 1)
    estimator = raydnn.Estimator(model_fn, tmp_path / "model", CONFIG, params={"layer": torch.nn.Linear})
    with pytest.raises(ValueError, match="params of an exported model must be plain values"):
        estimator.export_saved_model(tmp_path / "base", RAW_FN)
