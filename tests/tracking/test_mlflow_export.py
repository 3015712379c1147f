"""Exports in MLflow: stored whole, described, and tied to the run."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.models import Model

from raydnn.tracking.mlflow_run import MlflowRun
from raydnn.tracking.run_record import read_record
from raydnn.tracking.settings import MLflowSettings

# MLflow's own, while it is imported and while it makes its database.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Any type hint is inferred as AnyType",
    "ignore:.*An input example was not provided",
    "ignore:The ``noload`` loader strategy is deprecated",
)

SIGNATURE: dict[str, list[dict[str, Any]]] = {
    "inputs": [{"name": "age", "dtype": "float32", "shape": [1], "ragged": False}],
    "outputs": [{"name": "probabilities", "dtype": "float32", "shape": [2], "ragged": False}],
}


@pytest.fixture
def export_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "export" / "1700000000"
    (folder / "variables").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "variables" / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def client(store_settings: MLflowSettings) -> MlflowClient:
    return MlflowClient(tracking_uri=store_settings.tracking_uri)


def _log(model_dir: Path, settings: MLflowSettings, folder: Path, **options: Any) -> str:
    run = MlflowRun(model_dir, settings)
    run.log_params({"batch_size": 128})
    run.log_metric("loss", 0.5, step=10)
    uri = run.log_export(folder, SIGNATURE, **options)
    run.finish()
    return uri


def _stored_folder(client: MlflowClient, uri: str) -> Path:
    location = client.get_logged_model(uri.removeprefix("models:/")).artifact_location
    return Path(location.removeprefix("file://"))


def test_model_belongs_to_the_run_with_its_params_and_the_metrics_of_its_step(
    tmp_path: Path, store_settings: MLflowSettings, export_folder: Path, client: MlflowClient
) -> None:
    uri = _log(tmp_path / "model", store_settings, export_folder, step=10)
    record = read_record(tmp_path / "model")
    assert record is not None
    model = client.get_logged_model(uri.removeprefix("models:/"))
    assert (record.run_id, record.experiment_id) == (model.source_run_id, model.experiment_id)
    assert str(model.status) == "READY"
    assert model.params["batch_size"] == "128"
    assert model.metrics is not None
    assert [(metric.key, metric.value, metric.step) for metric in model.metrics] == [("loss", 0.5, 10)]
    run = client.get_run(record.run_id)
    assert run.info.status == "FINISHED"
    assert run.outputs is not None
    assert [model.model_id] == [output.model_id for output in run.outputs.model_outputs]


def test_stored_model_holds_the_export_the_code_and_the_signature_but_no_pickle(
    tmp_path: Path, store_settings: MLflowSettings, export_folder: Path, client: MlflowClient
) -> None:
    uri = _log(tmp_path / "model", store_settings, export_folder)
    folder = _stored_folder(client, uri)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    stored_export = f"artifacts/{export_folder.name}"
    assert {f"{stored_export}/manifest.json", f"{stored_export}/variables/model.safetensors"} <= files
    assert "pyfunc_model.py" in files
    assert not [name for name in files if name.endswith(".pkl")]
    assert "raydnn" in (folder / "requirements.txt").read_text()
    signature = Model.load(str(folder)).signature
    assert signature is not None
    assert signature.inputs.input_names() == ["age"]
    assert signature.outputs.input_names() == ["probabilities"]


def test_each_registered_export_is_a_new_version(
    tmp_path: Path, store_settings: MLflowSettings, export_folder: Path, client: MlflowClient
) -> None:
    settings = replace(store_settings, registered_model_name="census")
    for version in ("1", "2"):
        _log(tmp_path / "model", settings, export_folder)
        latest = client.get_model_version("census", version)
        record = read_record(tmp_path / "model")
        assert record is not None
        assert record.run_id == latest.run_id


@pytest.mark.parametrize("variable", [None, "sqlite:///elsewhere.db"])
def test_global_tracking_uri_stays_as_it_was(
    tmp_path: Path,
    store_settings: MLflowSettings,
    export_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
) -> None:
    if variable is None:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", variable)
    before = mlflow.get_tracking_uri()
    _log(tmp_path / "model", store_settings, export_folder)
    assert variable == os.environ.get("MLFLOW_TRACKING_URI")
    assert before == mlflow.get_tracking_uri()


def test_failed_export_is_raised_and_logging_goes_on(
    tmp_path: Path, store_settings: MLflowSettings, client: MlflowClient
) -> None:
    run = MlflowRun(tmp_path / "model", store_settings)
    with pytest.raises(Exception, match="missing_export"):
        run.log_export(tmp_path / "missing_export", SIGNATURE)
    run.log_metric("loss", 0.5, step=10)
    run.finish()
    record = read_record(tmp_path / "model")
    assert record is not None
    assert client.get_run(record.run_id).data.metrics == {"loss": 0.5}
