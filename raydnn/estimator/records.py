"""What MLflow is told of evaluations and exports."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from raydnn.estimator.run_config import RunConfig
from raydnn.export.reader import read_manifest
from raydnn.tracking.mlflow_run import MlflowRun
from raydnn.tracking.settings import MLflowSettings

logger = logging.getLogger(__name__)


def record_evaluation(model_dir: str, config: RunConfig, metrics: Mapping[str, Any], name: str | None) -> None:
    """Log the metrics of an evaluation, if the run is tracked; arrays are left to the event file.

    Args:
        model_dir, config: of the estimator.
        metrics: as `Estimator.evaluate` returns them.
        name: of the evaluation, or None.
    """
    if not isinstance(config.tracking, MLflowSettings):
        return
    run = MlflowRun(model_dir, config.tracking)
    run.log_metrics(scalars_of(metrics, name), int(metrics["global_step"]))
    run.finish()


def scalars_of(metrics: Mapping[str, Any], name: str | None) -> dict[str, float]:
    """The metrics of an evaluation under the names that MLflow has them by, without arrays and the global step.

    Args:
        metrics: as `Estimator.evaluate` returns them.
        name: of the evaluation, or None.
    """
    prefix = f"eval_{name}" if name else "eval"
    return {
        f"{prefix}/{key}": float(value)
        for key, value in metrics.items()
        if key != "global_step" and not isinstance(value, np.ndarray)
    }


def record_export(model_dir: str, config: RunConfig, path: str) -> None:
    """Log an export as a model, if the run is tracked.

    Args:
        model_dir, config: of the estimator.
        path: of the export.
    """
    if not isinstance(config.tracking, MLflowSettings):
        return
    manifest = read_manifest(path)
    if "model_fn" in manifest.model:
        logger.warning("The export is not logged as an MLflow model: serving it takes the model function's code")
        return
    run = MlflowRun(model_dir, config.tracking)
    run.log_export(path, manifest.describe(), step=manifest.global_step)
    run.finish()
