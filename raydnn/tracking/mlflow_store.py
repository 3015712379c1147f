"""The MLflow side of a run: every slow call, made through MlflowClient and without MLflow's global state."""

import logging
import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    ErrorCode,
)

from raydnn import storage
from raydnn.tracking.metric_point import MetricPoint
from raydnn.tracking.run_record import RunRecord, RunStatus, claim_record, read_record, replace_record
from raydnn.tracking.settings import MLflowSettings

__all__ = ["MlflowStore"]

_logger = logging.getLogger(__name__)

# MLflow's own limits, which its validation module does not export.
_MAX_PARAM_LENGTH = 6000
_MAX_KEY_LENGTH = 250
_MAX_METRICS_PER_BATCH = 1000


class MlflowStore:
    """The run of one model_dir, opened at the first call that needs it.

    Args:
        model_dir: absolute local folder, or any fsspec URL; then a tracking_uri is known.
        settings: where and under which names.
        identity: tags that no other run of the experiment has all of; None where there are none. A run that has them
            is this one: who made it may have been killed before that was written into the model_dir.
    """

    def __init__(self, model_dir: str, settings: MLflowSettings, identity: Mapping[str, str] | None = None) -> None:
        self._model_dir = model_dir
        self._settings = settings
        self._identity = dict(identity or {})
        record = read_record(model_dir)
        self._record: RunRecord | None = record
        # A later process need not repeat the settings to go on with the run.
        self._stored_uri = settings.tracking_uri or (record.tracking_uri if record else None)
        self.tracking_uri = self._stored_uri or f"sqlite:///{storage.join(model_dir, 'mlflow.db')}"
        self._client: MlflowClient | None = None
        self._is_running = False

    @property
    def client(self) -> MlflowClient:
        """The client of the tracking store."""
        if self._client is None:
            if self._stored_uri is None:
                # SQLite makes the file but not its folder.
                Path(self._model_dir).mkdir(parents=True, exist_ok=True)
            self._client = MlflowClient(tracking_uri=self.tracking_uri)
        return self._client

    def open(self) -> RunRecord:
        """Finds or makes the run and sets it to RUNNING.

        Returns:
            The address of the run.
        """
        if self._record is None or not self._is_running:
            # Another process may have made the run since this object was built.
            record = self._record or read_record(self._model_dir)
            if record is None:
                record = claim_record(self._model_dir, made := self._make_run())
                if record.run_id != made.run_id:
                    self.client.delete_run(made.run_id)
            elif not self._has_run(record):
                _logger.warning(
                    "MLflow run %s of %s does not exist at %s; a new run is started",
                    record.run_id, self._model_dir, self.tracking_uri,
                )  # fmt: skip
                record = self._make_run()
                replace_record(self._model_dir, record)
            self.client.update_run(record.run_id, status="RUNNING")
            self._record = record
            self._is_running = True
        return self._record

    def run(self) -> Run:
        """The run as the store knows it."""
        return self.client.get_run(self.open().run_id)

    def status(self) -> str | None:
        """How the run stands, which this does not change; None where there is none."""
        record = self._record or read_record(self._model_dir)
        if record is None or not self._has_run(record):
            return None
        return str(self.client.get_run(record.run_id).info.status)

    def log_params(self, params: Mapping[str, object]) -> None:
        """Adds params; one that the run already has keeps its first value."""
        new = {_clean_key(key): str(value)[:_MAX_PARAM_LENGTH] for key, value in params.items()}
        try:
            self._log_new_params(new)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(INVALID_PARAMETER_VALUE):
                raise
            # Another process of the same run wrote one of them in between.
            self._log_new_params(new)

    def log_points(self, points: Sequence[MetricPoint]) -> None:
        """Adds metric values, in as few requests as MLflow allows."""
        run_id = self.open().run_id
        metrics = [Metric(_clean_key(p.key), p.value, p.timestamp_ms, p.step) for p in points]
        for start in range(0, len(metrics), _MAX_METRICS_PER_BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + _MAX_METRICS_PER_BATCH])

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Sets tags, in place of those of the same names."""
        self.client.log_batch(self.open().run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])

    def steps_of(self, key: str) -> set[int]:
        """The steps that the run has a value of a metric for."""
        return {metric.step for metric in self.client.get_metric_history(self.open().run_id, _clean_key(key))}

    def finish(self, status: RunStatus) -> None:
        """Ends the run with a status; the next `open` sets it to RUNNING again."""
        self.client.set_terminated(self.open().run_id, status)
        self._is_running = False

    def _log_new_params(self, params: Mapping[str, str]) -> None:
        known = self.run().data.params
        for key, value in params.items():
            if known.get(key, value) != value:
                _logger.debug("param %s of the MLflow run stays %r; not %r", key, known[key], value)
        new = [Param(key, value) for key, value in params.items() if key not in known]
        self.client.log_batch(self.open().run_id, params=new)

    def _has_run(self, record: RunRecord) -> bool:
        if record.tracking_uri != self._stored_uri:
            return False
        try:
            run = self.client.get_run(record.run_id)
        except MlflowException as error:
            if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                return False
            raise
        return bool(run.info.lifecycle_stage == LifecycleStage.ACTIVE)

    def _make_run(self) -> RunRecord:
        experiment_id = self._find_or_make_experiment()
        name = self._settings.run_name or self._model_dir.rstrip("/").rpartition("/")[2]
        run = self._find_run(experiment_id) or self.client.create_run(experiment_id, run_name=name, tags=self._identity)
        return RunRecord(run_id=run.info.run_id, experiment_id=experiment_id, tracking_uri=self._stored_uri)

    def _find_run(self, experiment_id: str) -> Run | None:
        """The run with the identity, if there is one."""
        if not self._identity:
            return None
        wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in self._identity.items())
        return next(iter(self.client.search_runs([experiment_id], wanted, max_results=1)), None)

    def _find_or_make_experiment(self) -> str:
        name = self._settings.experiment
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            # A server has its own place for artifacts; the folder's own store would put them
            # into the working directory.
            artifacts = None if self._stored_uri else Path(self._model_dir, "mlartifacts").as_uri()
            try:
                return str(self.client.create_experiment(name, artifact_location=artifacts))
            except MlflowException as error:
                if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                    raise
                # Another process made it in between.
                experiment = self.client.get_experiment_by_name(name)
                assert experiment is not None
        return str(experiment.experiment_id)


def _clean_key(key: str) -> str:
    """The nearest name that MLflow takes: other characters become `_`, the path plain and relative."""
    allowed = re.sub(r"[^\w/. :-]", "_", key)
    path = posixpath.normpath(allowed.lstrip("/"))
    if path == "." or path.startswith(".."):
        path = path.replace(".", "_")
    return path[:_MAX_KEY_LENGTH].rstrip("/")
