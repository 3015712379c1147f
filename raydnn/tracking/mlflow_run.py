"""The MLflow run of a model_dir, fed from a training loop without making it wait."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from raydnn import storage
from raydnn.tracking.background import BackgroundWorker
from raydnn.tracking.metric_point import MetricPoint, metric_points
from raydnn.tracking.run_record import RunStatus, read_record
from raydnn.tracking.settings import MLflowSettings

if TYPE_CHECKING:
    from raydnn.tracking.mlflow_store import MlflowStore

__all__ = ["MlflowRun"]


class MlflowRun:
    """One MLflow run per model_dir, which later processes go on with.

    The run's address is kept in `<model_dir>/mlflow_run.json`. All work, the import of MLflow and the making
    of its database included, happens on one background thread. If it fails there, a warning tells why and the
    rest is dropped: tracking never stops a training. To be used from one thread.

    Args:
        model_dir: folder of the model, local or any fsspec URL; made if missing.
        settings: where and under which names; None: the defaults.

    Raises:
        ValueError: the model_dir is not local, and no tracking_uri says where runs are: MLflow's database inside the
            model_dir is a local file.

    Example:
        run = MlflowRun("/models/census", MLflowSettings(experiment="census"))
        run.log_params({"hidden_units": [64, 32]})
        run.log_metric("loss", 0.5, step=100)
        run.finish()
    """

    def __init__(self, model_dir: str | Path, settings: MLflowSettings | None = None) -> None:
        # Now, because the process may change its working directory before the thread starts.
        self._model_dir = storage.absolute(str(model_dir))
        self._settings = settings or MLflowSettings()
        if self._settings.tracking_uri is None and not storage.is_local(self._model_dir):
            record = read_record(self._model_dir)
            if record is None or record.tracking_uri is None:
                raise ValueError(
                    f"MLflow's own database cannot lie in {model_dir}, which is not a local folder: give a server, "
                    "such as MLflowSettings(tracking_uri='http://host:5000')"
                )
        self._worker = BackgroundWorker("MLflow tracking")
        self._store: MlflowStore | None = None
        self._points: list[MetricPoint] = []
        self._is_used = False

    def log_params(self, params: Mapping[str, object]) -> None:
        """Adds params as text, cut to MLflow's limit; one that the run already has keeps its value."""
        # Text now: the caller may change a list or an object before the thread gets to it.
        texts = {key: str(value) for key, value in params.items()}
        self._is_used = True
        self._worker.submit(lambda: self._get_store().log_params(texts))

    def log_metric(self, key: str, value: float, step: int) -> None:
        """Buffers one value (NaN allowed); characters that MLflow refuses in a name become `_`."""
        self.log_metrics({key: value}, step)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Buffers one value of each metric."""
        self._points += metric_points(metrics, step)

    def flush(self, *, wait: bool = False) -> None:
        """Hands the buffered values to the background thread.

        Args:
            wait: return only when they, and everything before them, are stored or given up.
        """
        if self._points:
            points, self._points = self._points, []
            self._is_used = True
            self._worker.submit(lambda: self._get_store().log_points(points))
        if wait:
            self._worker.wait()

    def log_export(
        self,
        folder: str | Path,
        signature_json: Mapping[str, Sequence[Mapping[str, Any]]],
        *,
        step: int = 0,
    ) -> str:
        """Copies an export into MLflow as a model of this run, and waits for it.

        Args:
            folder: the export, local or any fsspec URL.
            signature_json: `{"inputs": [...], "outputs": [...]}` of `{"name", "dtype", "shape", "ragged"}`.
            step: the global step the export was made at.

        Returns:
            The model's URI, `models:/<id>`.

        Raises:
            Exception: what went wrong at MLflow. Unlike the other methods this one never drops its work, and
                tries even if tracking was turned off before.
        """
        self.flush()
        self._is_used = True
        url = storage.absolute(str(folder))

        def work() -> str:
            from raydnn.tracking.mlflow_export import log_export

            with storage.local_folder(url) as path:
                return log_export(
                    self._get_store(),
                    path,
                    signature_json,
                    registered_model_name=self._settings.registered_model_name,
                    step=step,
                )

        return self._worker.call(work)

    def finish(self, status: RunStatus = "FINISHED") -> None:
        """Stores what is left, sets the run's status and ends the thread; does nothing if nothing was logged.

        A later call of any method sets the run to RUNNING again.

        Raises:
            ValueError: an unknown status.
        """
        if status not in get_args(RunStatus):
            raise ValueError(f"status must be one of {', '.join(get_args(RunStatus))}; got {status!r}")
        self.flush()
        if self._is_used:
            self._worker.submit(lambda: self._get_store().finish(status))
            self._is_used = False
        self._worker.close()

    def _get_store(self) -> "MlflowStore":
        """The store, made on the background thread because it imports MLflow (seconds)."""
        if self._store is None:
            from raydnn.tracking.mlflow_store import MlflowStore

            self._store = MlflowStore(self._model_dir, self._settings)
        return self._store
