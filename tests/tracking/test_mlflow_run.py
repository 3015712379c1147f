"""MLflow runs: one per model_dir, whatever the number of processes, and no trouble for the training."""

import logging
import math
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from raydnn.tracking.mlflow_run import MlflowRun
from raydnn.tracking.run_record import RunRecord, read_record
from raydnn.tracking.settings import MLflowSettings

MakeRun = Callable[..., MlflowRun]

# MLflow's own, while it is imported and while it makes its database.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Any type hint is inferred as AnyType", "ignore:The ``noload`` loader strategy is deprecated"
)


@pytest.fixture
def client(store_settings: MLflowSettings) -> MlflowClient:
    return MlflowClient(tracking_uri=store_settings.tracking_uri)


@pytest.fixture
def stored_run(tmp_path: Path, client: MlflowClient) -> Callable[[], Run]:
    """Reads the run of the test's model_dir from the store."""

    def read() -> Run:
        return client.get_run(_record(tmp_path / "model").run_id)

    return read


def _record(model_dir: Path) -> RunRecord:
    record = read_record(model_dir)
    assert record is not None
    return record


def test_default_settings_keep_store_artifacts_and_record_in_the_model_dir(default_store_dir: Path) -> None:
    record = _record(default_store_dir)
    client = MlflowClient(tracking_uri=f"sqlite:///{default_store_dir / 'mlflow.db'}")
    run = client.get_run(record.run_id)
    assert record.tracking_uri is None
    assert (run.info.run_name, run.info.status) == ("census", "FINISHED")
    assert run.info.artifact_uri.startswith((default_store_dir / "mlartifacts").as_uri())
    assert client.get_experiment(record.experiment_id).name == "raydnn"


def test_two_objects_of_one_model_dir_share_the_run(
    make_run: MakeRun, client: MlflowClient, stored_run: Callable[[], Run]
) -> None:
    first = make_run()
    first.log_metric("loss", 2.0, step=1)
    first.finish()
    run_id = stored_run().info.run_id
    second = make_run()
    second.log_metrics({"loss": 1.0, "accuracy": 0.5}, step=2)
    second.finish()
    assert run_id == stored_run().info.run_id
    assert [(m.step, m.value) for m in client.get_metric_history(run_id, "loss")] == [(1, 2.0), (2, 1.0)]
    assert stored_run().data.metrics == {"loss": 1.0, "accuracy": 0.5}


def test_two_processes_that_start_together_share_the_run(
    make_run: MakeRun, client: MlflowClient, stored_run: Callable[[], Run]
) -> None:
    runs = [make_run(), make_run()]
    threads = []
    for index, run in enumerate(runs):
        run.log_metric(f"metric_{index}", float(index), step=1)
        threads.append(threading.Thread(target=run.finish))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stored_run().data.metrics == {"metric_0": 0.0, "metric_1": 1.0}
    active = client.search_runs([stored_run().info.experiment_id], "metrics.metric_0 = 0")
    assert len(active) == 1


def test_later_process_needs_no_settings_to_go_on(
    tmp_path: Path, make_run: MakeRun, stored_run: Callable[[], Run]
) -> None:
    first = make_run()
    first.log_metric("loss", 2.0, step=1)
    first.finish()
    later = MlflowRun(tmp_path / "model")
    later.log_metric("loss", 1.0, step=2)
    later.finish()
    assert stored_run().data.metrics == {"loss": 1.0}
    assert not (tmp_path / "model" / "mlflow.db").exists()


def test_param_keeps_its_first_value(
    make_run: MakeRun, stored_run: Callable[[], Run], caplog: pytest.LogCaptureFixture
) -> None:
    first = make_run()
    first.log_params({"hidden_units": [64, 32], "batch_size": 128})
    first.finish()
    second = make_run()
    with caplog.at_level(logging.DEBUG, logger="raydnn"):
        second.log_params({"hidden_units": [8], "batch_size": 128, "dropout": None})
        second.flush(wait=True)
    assert stored_run().data.params == {"hidden_units": "[64, 32]", "batch_size": "128", "dropout": "None"}
    assert "hidden_units" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_params_are_cut_and_many_at_once_are_fine(make_run: MakeRun, stored_run: Callable[[], Run]) -> None:
    run = make_run()
    run.log_params({"long": "x" * 10_000} | {f"param_{index}": index for index in range(250)})
    run.finish()
    params = stored_run().data.params
    assert params["long"] == "x" * 6000
    assert len(params) == 251


def test_thousands_of_metrics_come_back_with_their_steps(
    make_run: MakeRun, client: MlflowClient, stored_run: Callable[[], Run]
) -> None:
    run = make_run()
    for step in range(2500):
        run.log_metric("loss", step / 2, step=step)
    run.finish()
    history = client.get_metric_history(stored_run().info.run_id, "loss")
    assert [(step, step / 2) for step in range(2500)] == sorted((m.step, m.value) for m in history)


def test_nan_and_infinity_are_kept(make_run: MakeRun, stored_run: Callable[[], Run]) -> None:
    run = make_run()
    run.log_metrics({"nan": math.nan, "inf": math.inf}, step=1)
    run.finish()
    metrics = stored_run().data.metrics
    assert math.isnan(metrics["nan"])
    assert metrics["inf"] > 1e308


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("label/mean", "label/mean"),
        ("global_step/sec", "global_step/sec"),
        ("precision@0.5 (macro)", "precision_0.5 _macro_"),
        ("/a//b/", "a/b"),
        ("../up", "__/up"),
        ("", "_"),
    ],
)
def test_metric_names_become_ones_that_mlflow_takes(
    make_run: MakeRun, stored_run: Callable[[], Run], given: str, stored: str
) -> None:
    run = make_run()
    run.log_metric(given, 1.0, step=1)
    run.finish()
    assert [stored] == list(stored_run().data.metrics)


def test_finish_sets_the_status_and_later_values_reopen_the_run(
    make_run: MakeRun, stored_run: Callable[[], Run]
) -> None:
    run = make_run()
    run.log_metric("loss", 1.0, step=1)
    run.flush(wait=True)
    assert stored_run().info.status == "RUNNING"
    run.finish("FAILED")
    assert stored_run().info.status == "FAILED"
    run.log_metric("loss", 0.5, step=2)
    run.flush(wait=True)
    assert stored_run().info.status == "RUNNING"
    run.finish()
    assert stored_run().info.status == "FINISHED"


def test_run_that_logged_nothing_touches_nothing(tmp_path: Path) -> None:
    run = MlflowRun(tmp_path / "model")
    run.flush(wait=True)
    run.finish()
    assert not (tmp_path / "model").exists()


def test_unknown_status_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ENDED"):
        MlflowRun(tmp_path).finish("ENDED")  # type: ignore[arg-type]


def test_deleted_run_is_followed_by_a_new_one_with_a_warning(
    make_run: MakeRun,
    client: MlflowClient,
    stored_run: Callable[[], Run],
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = make_run()
    first.log_metric("loss", 2.0, step=1)
    first.finish()
    old_id = stored_run().info.run_id
    client.delete_run(old_id)
    second = make_run()
    second.log_metric("loss", 1.0, step=2)
    second.finish()
    assert old_id != stored_run().info.run_id
    assert stored_run().data.metrics == {"loss": 1.0}
    assert old_id in caplog.text


def test_unreachable_server_costs_one_warning_and_no_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    run = MlflowRun(tmp_path / "model", MLflowSettings(tracking_uri="http://127.0.0.1:9"))
    run.log_params({"batch_size": 128})
    run.log_metric("loss", 1.0, step=1)
    run.flush(wait=True)
    run.log_metric("loss", 0.5, step=2)
    run.finish()
    warnings = [record for record in caplog.records if record.name.startswith("raydnn")]
    assert len(warnings) == 1
    assert "MLflow tracking is turned off" in warnings[0].getMessage()
    assert read_record(tmp_path / "model") is None
    columns = [{"name": "x", "dtype": "float32", "shape": [], "ragged": False}]
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        run.log_export(tmp_path, {"inputs": columns, "outputs": columns})


def test_model_dir_on_an_object_store_needs_a_server(store_settings: MLflowSettings) -> None:
    model_dir = f"memory://{uuid.uuid4().hex}/census"
    with pytest.raises(ValueError, match="give a server"):
        MlflowRun(model_dir)
    run = MlflowRun(model_dir, store_settings)
    run.log_metric("loss", 0.5, step=1)
    run.finish()
    # A later process finds the run, and needs no settings.
    again = MlflowRun(model_dir)
    again.log_metric("loss", 0.25, step=2)
    again.finish()
    record = read_record(model_dir)
    assert record is not None
    client = MlflowClient(tracking_uri=store_settings.tracking_uri)
    assert client.get_run(record.run_id).info.run_name == "census"
    assert [point.step for point in client.get_metric_history(record.run_id, "loss")] == [1, 2]


def test_empty_settings_are_refused_together() -> None:
    with pytest.raises(ValueError, match="tracking_uri, run_name"):
        MLflowSettings(tracking_uri="", run_name="")


def test_building_a_run_imports_neither_mlflow_nor_tensorboard() -> None:
    code = (
        "import sys, raydnn.tracking, raydnn.tracking.settings\n"
        "from raydnn.tracking.mlflow_run import MlflowRun\n"
        "MlflowRun('unused')\n"
        "assert not {'mlflow', 'tensorboardX', 'pandas'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
