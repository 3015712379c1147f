"""A training that MLflow's server tracks: runs in PostgreSQL, artifacts on an object store."""

import mlflow
import numpy as np
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

import raydnn
from raydnn import storage
from raydnn.tracking.run_record import read_record

from .conftest import MODEL_DIR, STEPS, KilledRun

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_both_processes_of_a_killed_training_are_one_run_of_the_server(killed_run: KilledRun, mlflow_uri: str) -> None:
    record = read_record(MODEL_DIR)
    assert record is not None
    assert record.tracking_uri == mlflow_uri
    client = MlflowClient(tracking_uri=mlflow_uri)
    (run,) = client.search_runs([record.experiment_id])
    assert (run.info.run_id, run.info.run_name, run.info.status) == (record.run_id, "clicks", "FINISHED")
    assert run.data.params["hidden_units"] == "[4]"
    steps = {point.step for point in client.get_metric_history(record.run_id, "loss")}
    # Of the killed process, up to 500 steps were not sent yet.
    assert set(range(killed_run.killed_at + 1, STEPS + 1)) <= steps
    assert run.data.metrics["eval/auc"] == pytest.approx(killed_run.outcome["metrics"]["auc"])


def test_the_exported_model_is_loaded_through_the_server(
    killed_run: KilledRun, mlflow_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = read_record(MODEL_DIR)
    assert record is not None
    client = MlflowClient(tracking_uri=mlflow_uri)
    model = max(client.search_logged_models([record.experiment_id]), key=lambda model: model.creation_timestamp)
    assert model.artifact_location.startswith("mlflow-artifacts:/")
    stored = storage.list_folder("s3://bucket/mlflow")
    assert stored == [record.experiment_id]
    # Who asks the server needs no rights of its own.
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_uri)
    loaded = mlflow.pyfunc.load_model(model.model_uri)
    rows = pq.read_table(killed_run.run_file.parent / "new.parquet", columns=["age", "city"])
    found = loaded.predict(rows.to_pandas().assign(city=[[city] for city in rows["city"].to_pylist()]))
    monkeypatch.undo()
    expected = raydnn.export.load(killed_run.outcome["exports"][-1]).predict(
        {name: rows[name].to_numpy() for name in ("age", "city")}
    )
    np.testing.assert_allclose(found["probabilities"].tolist(), expected["probabilities"], rtol=1e-6)
