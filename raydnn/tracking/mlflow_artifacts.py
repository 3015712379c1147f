"""Files that are added to the MLflow run of a model_dir, whatever has become of the run meanwhile."""

import logging

from raydnn import storage
from raydnn.tracking.mlflow_store import MlflowStore
from raydnn.tracking.run_record import read_record
from raydnn.tracking.server import check_reached
from raydnn.tracking.settings import MLflowSettings

__all__ = ["log_artifacts"]

_logger = logging.getLogger(__name__)


def log_artifacts(model_dir: str, folder: str, name: str) -> bool:
    """Copy the files of a folder into the artifacts of a model's run; its status stays as it is.

    Args:
        model_dir: of the model, local or any fsspec URL.
        folder: local, with the files.
        name: of the folder among the artifacts; files in it that have the same names are replaced.

    Returns:
        Whether that was done. If it fails, a warning says why.
    """
    record = read_record(model_dir)
    if record is None:
        _logger.warning("%s has no MLflow run to log %s with", model_dir, name)
        return False
    try:
        store = MlflowStore(storage.absolute(model_dir), MLflowSettings())
        check_reached(store.tracking_uri)
        store.client.log_artifacts(record.run_id, folder, name)
    except Exception as error:
        _logger.warning("%s is not logged with MLflow run %s: %s", name, record.run_id, " ".join(str(error).split()))
        return False
    return True
