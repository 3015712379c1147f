"""A sweep in MLflow's own pages, opened in a browser on the sweep's SQLite file."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_sweep import made_sweep
from mlflow import MlflowClient
from playwright.sync_api import Browser, expect
from servers import free_port, server

from raydnn import tune
from raydnn.tracking.run_record import read_record
from raydnn.tune.tracking import tracked

TRIALS = 8

pytestmark = [
    pytest.mark.slow,
    # MLflow's own, while it is imported and while it makes its database.
    pytest.mark.filterwarnings(
        "ignore:.*Any type hint is inferred as AnyType", "ignore:The ``noload`` loader strategy is deprecated"
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep that MLflow has tracked, with its report."""
    record = made_sweep(tmp_path_factory.mktemp("tracked"), trials=TRIALS, tracking="mlflow")
    with tracked(record.sweep) as tracker:
        assert tracker is not None
        tracker.show(record.result)
        tracker.wait()
    assert tune.write_sweep_report(record.sweep.folder).mlflow_run is not None
    return Path(record.sweep.folder)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Of MLflow's server."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    with server([*command, *store], port, folder / "server.log", {"MLFLOW_DISABLE_TELEMETRY": "true"}, cwd=folder):
        yield f"http://127.0.0.1:{port}"


def test_the_report_and_its_pictures_are_artifacts_of_the_sweeps_run(folder: Path) -> None:
    record = read_record(folder)
    assert record is not None
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    names = [Path(each.path).name for each in client.list_artifacts(record.run_id, "report")]
    assert names == ["cost.png", "curves-auc.png", "importance.png", "parallel.png", "report.html"]


def test_the_runs_page_shows_the_sweep_and_its_trials(browser: Browser, address: str, folder: Path) -> None:
    record = read_record(folder)
    assert record is not None
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{address}/#/experiments/{record.experiment_id}/runs")
    parent = page.get_by_role("gridcell").filter(has=page.get_by_role("link", name="small", exact=True))
    expect(parent).to_be_visible(timeout=60_000)
    # The trials stand below the sweep, and are shown when it is opened.
    parent.get_by_role("button").first.click()
    for number in range(TRIALS + 1):
        expect(page.get_by_role("link", name=f"small {number:05d}", exact=True)).to_be_visible(timeout=60_000)
    assert errors == []
