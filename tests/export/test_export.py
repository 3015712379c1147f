"""Exports: whole, checked, and predicting in another process what the estimator predicts here."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from fake_data import CITIES, LABEL, fake_classifier, fake_columns, fake_features, fake_input_fn, fake_table

from raydnn import DNNClassifier, RunConfig, errors, export
from raydnn.estimator.export import ServingInputReceiver, build_raw_serving_input_receiver_fn
from raydnn.export import writer
from raydnn.feature_column import (
    categorical_column_with_vocabulary_list,
    embedding_column,
    indicator_column,
    make_parse_example_spec,
    numeric_column,
)

RECEIVER_FN = build_raw_serving_input_receiver_fn(make_parse_example_spec(fake_columns()))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> DNNClassifier:
    model_dir = tmp_path_factory.mktemp("trained")
    classifier = fake_classifier(model_dir, RunConfig(tf_random_seed=1, save_checkpoints_steps=2))
    return classifier.train(fake_input_fn(4))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def exported(trained: DNNClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(trained.export_saved_model(tmp_path_factory.mktemp("exported"), RECEIVER_FN).decode())


def expected_predictions(trained: DNNClassifier, features: dict[str, Any]) -> dict[str, np.ndarray]:
    (batch,) = trained.predict(lambda: iter([features]), yield_single_examples=False)
    return batch


PREDICTING = """
import json, sys
import numpy as np, pyarrow.parquet as pq
from raydnn import export

folder, export_dir = sys.argv[1:]
model = export.load(export_dir)
inputs = {"dict": json.load(open(f"{folder}/inputs.json")), "table": pq.read_table(f"{folder}/inputs.parquet")}
for kind, rows in inputs.items():
    outputs = {key: value.astype(str) if value.dtype == object else value for key, value in model.predict(rows).items()}
    np.savez(f"{folder}/{kind}.npz", **outputs)
"""


def test_a_fresh_process_predicts_what_the_estimator_predicts(
    trained: DNNClassifier, exported: Path, tmp_path: Path
) -> None:
    features = fake_features(20)
    expected = expected_predictions(trained, features)
    as_lists = {name: getattr(value, "tolist", lambda value=value: value)() for name, value in features.items()}
    (tmp_path / "inputs.json").write_text(json.dumps(as_lists))
    pq.write_table(fake_table(20), tmp_path / "inputs.parquet")
    subprocess.run([sys.executable, "-c", PREDICTING, str(tmp_path), str(exported)], check=True)
    for kind in ("dict", "table"):
        found = np.load(tmp_path / f"{kind}.npz")
        assert set(found) == set(expected)
        for key, values in expected.items():
            if values.dtype == object:
                assert found[key].tolist() == [[name.decode() for name in row] for row in values]
            else:
                np.testing.assert_allclose(found[key], values, rtol=1e-5, err_msg=f"{key} from a {kind}")
                assert found[key].dtype == values.dtype


def test_the_folder_is_named_by_its_second_and_holds_readable_json_and_weights(
    trained: DNNClassifier, tmp_path: Path
) -> None:
    before = int(time.time())
    path = trained.export_saved_model(str(tmp_path), RECEIVER_FN)
    assert isinstance(path, bytes)
    folder = Path(path.decode())
    assert folder.parent == tmp_path
    assert before <= int(folder.name) <= int(time.time())
    assert sorted(file.name for file in folder.iterdir()) == ["model.json", "weights.safetensors"]
    manifest = json.loads((folder / "model.json").read_text())
    assert manifest["global_step"] == 4
    assert set(manifest["signatures"]["predict"]["inputs"]) == {"age", "city", "size", "tags"}


def test_two_exports_in_one_second_get_names_of_their_own(trained: DNNClassifier, tmp_path: Path) -> None:
    paths = [trained.export_saved_model(tmp_path, RECEIVER_FN).decode() for _ in range(2)]
    assert int(Path(paths[0]).name) < int(Path(paths[1]).name)
    assert len(list(tmp_path.iterdir())) == 2


def test_when_all_names_are_taken_it_gives_up(
    trained: DNNClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_TIMESTAMP_TRIES", 1)
    for second in range(int(time.time()), int(time.time()) + 60):
        (tmp_path / str(second)).mkdir()
    with pytest.raises(RuntimeError, match=f"no free name for an export in {tmp_path}"):
        trained.export_saved_model(tmp_path, RECEIVER_FN)


def test_a_checkpoint_can_be_chosen(trained: DNNClassifier, tmp_path: Path) -> None:
    checkpoint = f"{trained.model_dir}/model.ckpt-2"
    model = export.load(trained.export_saved_model(tmp_path, RECEIVER_FN, checkpoint_path=checkpoint))
    assert model.manifest.global_step == 2
    with pytest.raises(ValueError, match="checkpoint_path"):
        trained.export_saved_model(tmp_path, RECEIVER_FN, checkpoint_path=f"{trained.model_dir}/model.ckpt-3")


def test_extra_assets_lie_beside_the_model(trained: DNNClassifier, tmp_path: Path) -> None:
    (tmp_path / "source.txt").write_text("read me")
    assets = {"README": str(tmp_path / "source.txt"), "deep/er.txt": str(tmp_path / "source.txt")}
    folder = Path(trained.export_saved_model(tmp_path / "base", RECEIVER_FN, assets_extra=assets).decode())
    for name in assets:
        assert (folder / "assets.extra" / name).read_text() == "read me"


def numeric_names(base: Path) -> list[str]:
    return [path.name for path in base.glob("*") if path.name.isdigit()]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"serving_input_receiver_fn": None}, ValueError, "serving_input_receiver_fn must be given"),
        ({"serving_input_receiver_fn": dict}, ValueError, "must return a ServingInputReceiver"),
        (
            {"serving_input_receiver_fn": build_raw_serving_input_receiver_fn({"age": "float32"})},
            ValueError,
            "lacks the features city, size, tags.*make_parse_example_spec",
        ),
        ({"assets_extra": {"a": "/missing/file"}}, errors.NotFoundError, "there is no file /missing/file"),
        ({"assets_extra": {"../a": __file__}}, ValueError, "outside the export"),
        ({"experimental_mode": "train"}, ValueError, "mode 'train' needs a SupervisedInputReceiver"),
        ({"experimental_mode": "serve"}, ValueError, "the modes 'train', 'eval', 'infer'; got serve"),
    ],
)
def test_an_export_that_fails_leaves_no_folder(
    trained: DNNClassifier, tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments = {"export_dir_base": tmp_path, "serving_input_receiver_fn": RECEIVER_FN, **options}
    with pytest.raises(error, match=message):
        trained.export_saved_model(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_without_a_checkpoint_there_is_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"no checkpoint in {tmp_path / 'model'} to export: train the model first"):
        fake_classifier(tmp_path / "model").export_saved_model(tmp_path / "base", RECEIVER_FN)
    assert not (tmp_path / "base").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"feature_columns": [numeric_column("size", shape=2, normalizer_fn=lambda x: x)]},
            "normalizer_fn .* has no name.*register_normalizer",
        ),
        ({"activation_fn": lambda x: x}, "activation_fn .* has no name.*'relu'"),
    ],
)
def test_a_function_without_a_name_trains_but_is_refused_with_the_remedy(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    classifier = fake_classifier(tmp_path / "model", **arguments).train(fake_input_fn(1))
    with pytest.raises(ValueError, match=message):
        classifier.export_saved_model(tmp_path / "base", RECEIVER_FN)
    assert numeric_names(tmp_path / "base") == []


def test_a_model_that_has_changed_since_its_checkpoint_is_refused_by_what_lacks(
    trained: DNNClassifier, tmp_path: Path
) -> None:
    deeper = fake_classifier(trained.model_dir, hidden_units=[4, 4])
    with pytest.raises(ValueError, match=r"no variable 'dnn/hiddenlayer_1/kernel'.*have changed since"):
        deeper.export_saved_model(tmp_path, RECEIVER_FN)
    assert numeric_names(tmp_path) == []


def test_a_model_of_another_shape_than_its_checkpoint_is_refused(trained: DNNClassifier, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="hiddenlayer_0/kernel' has shape"):
        fake_classifier(trained.model_dir, hidden_units=[5]).export_saved_model(tmp_path, RECEIVER_FN)
    assert numeric_names(tmp_path) == []


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (
            lambda folder: damage(folder / "weights.safetensors"),
            errors.DataLossError,
            r"weights\.safetensors is damaged",
        ),
        (lambda folder: (folder / "weights.safetensors").unlink(), errors.DataLossError, "weights.safetensors"),
        (lambda folder: (folder / "model.json").write_text("{"), errors.DataLossError, r"model\.json is damaged"),
        (lambda folder: (folder / "model.json").unlink(), errors.NotFoundError, r"is not an export: .*model\.json"),
        (
            lambda folder: (folder / "model.json").write_text('{"format": "raydnn-export-9"}'),
            errors.FailedPreconditionError,
            "raydnn-export-9",
        ),
    ],
    ids=["changed byte", "missing weights", "damaged manifest", "no manifest", "other format"],
)
def test_a_spoiled_export_is_not_loaded(
    trained: DNNClassifier, tmp_path: Path, spoil: Callable[[Path], Any], error: type[Exception], message: str
) -> None:
    folder = Path(trained.export_saved_model(tmp_path, RECEIVER_FN).decode())
    spoil(folder)
    with pytest.raises(error, match=message):
        export.load(folder)


def test_an_export_can_be_moved_and_named_by_text_bytes_or_path(
    trained: DNNClassifier, exported: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in exported.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    expected = expected_predictions(trained, fake_features(3))["logits"]
    for path in (str(moved), str(moved).encode(), moved):
        np.testing.assert_allclose(export.load(path).predict(fake_features(3))["logits"], expected, rtol=1e-5)


@pytest.mark.parametrize("num_rows", [0, 1, 50])
def test_any_number_of_rows_is_predicted_from_tables_and_batches(
    trained: DNNClassifier, exported: Path, num_rows: int
) -> None:
    model, table = export.load(exported), fake_table(num_rows)
    expected = expected_predictions(trained, table.to_pydict())["logits"] if num_rows else np.zeros((0, 1))
    for rows in (table, table.drop_columns([LABEL]), *table.to_batches()[:1]):
        np.testing.assert_allclose(model.predict(rows)["logits"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"city": None, "tags": None}, "the inputs lack city, tags; they are age, size"),
        ({"size": np.zeros((4, 3))}, r"'size' is declared with shape \(2,\)"),
        ({"age": ["a"] * 4}, "'age' is declared numeric"),
        ({"age": [1.0]}, "different numbers of rows"),
    ],
)
def test_a_bad_request_is_refused_by_the_name_of_its_feature(
    exported: Path, change: dict[str, Any], message: str
) -> None:
    request = {name: value for name, value in {**fake_features(4), **change}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        export.load(exported).predict(request)


def test_a_single_text_input_can_be_classified_and_regressed(tmp_path: Path) -> None:
    city = categorical_column_with_vocabulary_list("city", CITIES)
    columns = [indicator_column(city), embedding_column(city, 2)]
    classifier = fake_classifier(tmp_path / "model", feature_columns=columns, label_vocabulary=["no", "yes"])
    classifier.train(lambda: iter([({"city": list(CITIES)}, ["no", "yes", "no"])]))
    receiver_fn = build_raw_serving_input_receiver_fn({"city": str})
    model = export.load(classifier.export_saved_model(tmp_path / "base", receiver_fn))
    assert set(model.signatures) == {"serving_default", "classification", "regression", "predict"}

    predicted = model.predict({"city": ["cairo", "berlin"]})
    classified = model.predict({"inputs": ["cairo", "berlin"]}, signature="serving_default")
    assert classified["classes"].tolist() == [[b"no", b"yes"]] * 2
    np.testing.assert_array_equal(classified["scores"], predicted["probabilities"])
    regressed = model.predict({"inputs": ["cairo", "berlin"]}, signature="regression")
    np.testing.assert_array_equal(regressed["outputs"], predicted["logistic"])
    with pytest.raises(ValueError, match="no signature 'train'; there are serving_default"):
        model.predict({"city": ["cairo"]}, signature="train")


def test_a_receiver_may_carry_more_than_the_model_reads(trained: DNNClassifier, tmp_path: Path) -> None:
    specs = dict(RECEIVER_FN().features)
    more = {**specs, "more": next(iter(specs.values()))}
    model = export.load(trained.export_saved_model(tmp_path, lambda: ServingInputReceiver(more, more)))
    expected = expected_predictions(trained, fake_features(3))["logits"]
    found = model.predict({**fake_features(3), "more": [1.0, 2.0, 3.0]})
    np.testing.assert_allclose(found["logits"], expected, rtol=1e-5)


def test_inputs_and_outputs_are_described_for_other_tools(exported: Path) -> None:
    described = export.load(exported).manifest.describe()
    inputs = {each["name"]: (each["dtype"], each["shape"], each["ragged"]) for each in described["inputs"]}
    assert inputs == {
        "age": ("float32", [1], False),
        "city": ("string", [], True),
        "size": ("float32", [2], False),
        "tags": ("string", [], True),
    }
    outputs = {each["name"]: (each["dtype"], each["shape"]) for each in described["outputs"]}
    assert outputs["probabilities"] == ("float32", [2])
    assert outputs["all_classes"] == ("string", [2])


def test_an_export_may_lie_on_an_object_store(trained: DNNClassifier) -> None:
    path = trained.export_saved_model("memory://test_an_export_may_lie_on_an_object_store", RECEIVER_FN)
    expected = expected_predictions(trained, fake_features(3))["logits"]
    np.testing.assert_allclose(export.load(path).predict(fake_features(3))["logits"], expected, rtol=1e-5)
