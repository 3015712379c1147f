"""A raydnn export as an MLflow logged model."""

import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import mlflow
import mlflow.pyfunc
from mlflow.models import Model

from raydnn.tracking.mlflow_signature import make_signature
from raydnn.tracking.mlflow_store import MlflowStore

__all__ = ["log_export"]

_global_uri_lock = threading.Lock()


def log_export(
    store: MlflowStore,
    folder: Path,
    signature_json: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    registered_model_name: str | None,
    step: int,
    alias: str | None = None,
) -> str:
    """Copies an export into MLflow as a model that belongs to the store's run.

    Args:
        store: the run.
        folder: the export.
        signature_json: see `make_signature`.
        registered_model_name: name in the registry, or None.
        step: the global step the export was made at; the run's metrics of this step become the model's.
        alias: that the new version in the registry gets, in place of the version that had it; or None.

    Returns:
        The model's URI, `models:/<id>`.
    """
    signature = make_signature(signature_json)
    run = store.run()
    # pyfunc.log_model attaches a model only to MLflow's active run, which is not ours to set; with the model
    # made here first, Model.log (what pyfunc.log_model calls) needs no active run.
    model = store.client.create_logged_model(
        run.info.experiment_id, name="model", source_run_id=run.info.run_id, params=run.data.params
    )
    with _global_tracking_uri(store.tracking_uri), warnings.catch_warnings():
        # The signature comes from the model itself, not from an example.
        warnings.filterwarnings("ignore", message=".*An input example was not provided")
        info = Model.log(
            artifact_path=None,
            name="model",
            flavor=mlflow.pyfunc,
            run_id=run.info.run_id,
            model_id=model.model_id,
            step=step,
            registered_model_name=registered_model_name,
            python_model=str(Path(__file__).with_name("pyfunc_model.py")),
            artifacts={"export": str(folder)},
            signature=signature,
            pip_requirements=[_own_requirement()],
        )
    if registered_model_name is not None and alias is not None:
        store.client.set_registered_model_alias(registered_model_name, alias, str(info.registered_model_version))
    return str(info.model_uri)


def _own_requirement() -> str:
    try:
        return f"raydnn=={version('raydnn')}"
    except PackageNotFoundError:
        # Run from a source folder that was never installed.
        return "raydnn"


@contextmanager
def _global_tracking_uri(uri: str) -> Iterator[None]:
    """Points MLflow's global functions at a store, and back to where they were."""
    with _global_uri_lock:
        # The variable is kept apart because MLflow's setter overwrites it.
        environment = os.environ.get("MLFLOW_TRACKING_URI")
        before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None  # type: ignore[no-untyped-call]
        mlflow.set_tracking_uri(uri)
        try:
            yield
        finally:
            # None, which the annotation leaves out, is MLflow's own value for "not set".
            mlflow.set_tracking_uri(cast("str", before))
            if environment is None:
                os.environ.pop("MLFLOW_TRACKING_URI", None)
            else:
                os.environ["MLFLOW_TRACKING_URI"] = environment
