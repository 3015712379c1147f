"""Files that are added to a run: beside what is there, without touching its status, and never in the way."""

import logging
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from raydnn.tracking.mlflow_artifacts import log_artifacts
from raydnn.tracking.mlflow_run import MlflowRun
from raydnn.tracking.run_record import RunRecord, read_record, replace_record
from raydnn.tracking.settings import MLflowSettings

# MLflow's own, while it is imported and while it makes its database.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Any type hint is inferred as AnyType", "ignore:The ``noload`` loader strategy is deprecated"
)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "report.html").write_text("<html>")
    return folder


def test_files_become_artifacts_and_a_failed_run_stays_failed(
    make_run: Callable[..., MlflowRun], store_settings: MLflowSettings, tmp_path: Path, files: Path
) -> None:
    run = make_run()
    run.log_metric("loss", 0.5, step=1)
    run.finish("FAILED")
    for _ in range(2):
        assert log_artifacts(str(tmp_path / "model"), str(files), "report")
    record = read_record(tmp_path / "model")
    assert record is not None
    client = MlflowClient(tracking_uri=store_settings.tracking_uri)
    assert [each.path for each in client.list_artifacts(record.run_id, "report")] == ["report/report.html"]
    assert client.get_run(record.run_id).info.status == "FAILED"


def test_a_server_that_does_not_answer_is_a_warning_at_once(
    tmp_path: Path, files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "model").mkdir()
    replace_record(
        tmp_path / "model", RunRecord(run_id="gone", experiment_id="1", tracking_uri=f"http://127.0.0.1:{port}")
    )
    with caplog.at_level(logging.WARNING):
        assert not log_artifacts(str(tmp_path / "model"), str(files), "report")
    assert f"report is not logged with MLflow run gone: nobody answers at 127.0.0.1:{port}" in caplog.text


def test_a_model_without_a_run_is_a_warning(tmp_path: Path, files: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not log_artifacts(str(tmp_path), str(files), "report")
    assert "has no MLflow run to log report with" in caplog.text
