"""Shared by the tests of sweeps."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from small_sweep import write_run


@pytest.fixture(scope="session")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Puts an empty MLflow database into a folder, mlflow.db, and gives its address: to make one takes seconds."""
    template = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{template}").search_experiments()

    def copy(folder: Path) -> str:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mlflow.db").write_bytes(template.read_bytes())
        return f"sqlite:///{folder / 'mlflow.db'}"

    return copy


@pytest.fixture
def small_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a small run in it."""
    write_run(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
