"""One MLflow store for all tests of this folder: making one takes MLflow about six seconds."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

# Before anything imports mlflow, which reads it once.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import pytest

from raydnn.tracking.mlflow_run import MlflowRun
from raydnn.tracking.settings import MLflowSettings


@pytest.fixture(scope="session")
def default_store_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model_dir with the store that default settings make, and one metric in it."""
    model_dir = tmp_path_factory.mktemp("default_store") / "census"
    run = MlflowRun(model_dir)
    run.log_metric("loss", 0.5, step=1)
    run.finish()
    return model_dir


@pytest.fixture(scope="session")
def store_settings(default_store_dir: Path) -> MLflowSettings:
    """Settings that put other model_dirs' runs into the shared store."""
    return MLflowSettings(tracking_uri=f"sqlite:///{default_store_dir / 'mlflow.db'}")


@pytest.fixture
def make_run(tmp_path: Path, store_settings: MLflowSettings) -> Iterator[Callable[..., MlflowRun]]:
    """Makes MlflowRuns of one model_dir in the shared store; each call is what a new process would do."""
    made = []

    def make(name: str = "model") -> MlflowRun:
        run = MlflowRun(tmp_path / name, store_settings)
        made.append(run)
        return run

    yield make
    for run in made:
        run.finish()
