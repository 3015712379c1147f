"""Running a training job with the workers of Ray Train."""

import logging
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import ray.train
from pyarrow.fs import FSSpecHandler, PyFileSystem
from ray.train import FailureConfig, LoggingConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from raydnn import storage
from raydnn.distributed.cluster import check_cpus, cpus_wanted, ensure_ray, own_errors
from raydnn.distributed.draining import DrainWatch
from raydnn.distributed.environment import environment
from raydnn.distributed.process_group import ProcessGroupReplicas, waiting_at_most
from raydnn.distributed.reports import DriverReports, reports_from_workers
from raydnn.distributed.shared_storage import check_shared
from raydnn.distributed.streaming import fed
from raydnn.estimator.mode_keys import ModeKeys
from raydnn.estimator.run_config import RunConfig
from raydnn.estimator.streams import make_reader, resolve_source
from raydnn.estimator.training import TrainJob
from raydnn.inputs.dataset import Dataset
from raydnn.train.launcher import progress_display
from raydnn.train.stopping import is_stop_requested, listen_again

# Workers start one after the other on a busy machine: to find each other takes longer than a step.
MEETING_SECS = 60

# Measured: an exit with the default interval takes 5 s instead of 1 s, and two processes less are started.
_TRAIN_SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
}
# A lost node may be counted on for a moment: Ray looks again after this time, which is a minute by default.
_ELASTIC_SETTINGS = {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "20"}

# How often a look is taken for room for more workers. With Ray's minute new nodes would idle for half of it, as long as
# three restarts take; they should not join one by one either, as each change is a restart.
GROWTH_SECS = 15.0


class RayLauncher:
    """Runs a job in the data-parallel workers that its `RunConfig` asks for."""

    def launch(self, job: TrainJob) -> None:
        """Run the job to its end.

        Raises:
            ValueError: the cluster has too few CPUs, or nodes that do not see a local model_dir.
            Exception: whatever a worker raised, after `max_failures` restarts.
        """
        ensure_ray()
        config = job.config
        resources = dict(config.resources_per_worker or {"CPU": 1.0})
        check_cpus(*cpus_wanted(config))
        # Workers run elsewhere: paths must not depend on the working directory.
        if storage.is_local(job.model_dir):
            job = replace(job, model_dir=storage.absolute(job.model_dir))
            check_shared(job.model_dir)
        with ExitStack() as stack:
            if isinstance(job.source, Dataset):
                # Before the workers hold their CPUs, because encoding needs some.
                reader = make_reader(job.model_fn, ModeKeys.TRAIN)
                job = replace(job, source=resolve_source(job.source, reader.preparer))
                job = replace(job, source=self._dealt(job, stack))
            display = stack.enter_context(progress_display()) if config.progress else None
            is_checkpoint_due = DrainWatch().is_checkpoint_due
            reports = stack.enter_context(reports_from_workers(display, is_stop_requested, is_checkpoint_due))
            if is_stop_requested():
                return
            self._fit(job, resources, reports)

    def _dealt(self, job: TrainJob, stack: ExitStack) -> Dataset:
        """The input in a form that can be sent to workers.

        Raises:
            ValueError: it streams, and the workers leave no CPU for that.
        """
        assert isinstance(job.source, Dataset)
        if job.source.windows is None:
            job.source.check_has_batches()
            return job.source
        if job.config.is_elastic:
            # Ray Train counts all CPUs of the cluster as room for workers: there may be none left to read with.
            raise ValueError(
                f"a streamed Ray Dataset needs a fixed number of workers; got num_workers={job.config.num_workers}. "
                "Give one number, or keep the encoded rows with from_ray(streaming=False)"
            )
        check_cpus(*cpus_wanted(job.config, is_streamed=True), is_streamed=True)
        return stack.enter_context(fed(job.source))

    def _fit(self, job: TrainJob, resources: dict[str, float], reports: DriverReports) -> None:
        config: RunConfig = job.config
        run_name = f"train-{time.time_ns()}"
        storage_path = config.storage or storage.join(job.model_dir, "ray_train")
        trainer = _Trainer(
            _train_on_worker,
            train_loop_config={
                "job": job,
                "reports": reports,
                "log_level": logging.getLogger("raydnn").getEffectiveLevel(),
            },
            torch_config=TorchConfig(timeout_s=math.ceil(max(config.worker_timeout_secs, MEETING_SECS))),
            # Ray's types still show the classes of its first version.
            scaling_config=ScalingConfig(  # type: ignore[call-arg]
                num_workers=config.num_workers,  # type: ignore[arg-type]
                use_gpu=config.use_gpu,
                resources_per_worker=resources,
                elastic_resize_monitor_interval_s=GROWTH_SECS,
            ),
            run_config=ray.train.RunConfig(  # type: ignore[call-arg]
                name=run_name,
                **_ray_storage(storage_path),
                failure_config=FailureConfig(max_failures=config.max_failures),
                logging_config=LoggingConfig(log_level="ERROR"),
            ),
        )
        settings = _TRAIN_SETTINGS | (_ELASTIC_SETTINGS if config.is_elastic else {})
        with environment(settings), _ctrl_c_kept(), own_errors():
            trainer.fit()
        # Checkpoints are our own: what Ray Train kept of a finished run serves nobody.
        storage.remove_folder(storage_path if config.storage is None else storage.join(storage_path, run_name))


def _ray_storage(url: str) -> dict[str, Any]:
    """Where Ray Train keeps its state, as arguments of its RunConfig.

    Arrow knows fewer file systems than fsspec, takes its settings from elsewhere, and leaves empty objects for folders.
    """
    if storage.is_local(url):
        return {"storage_path": url}
    system, path = storage.filesystem(url)
    return {"storage_path": path, "storage_filesystem": PyFileSystem(FSSpecHandler(system))}


class _Trainer(TorchTrainer):
    """Leaves signals to those who stop training cleanly, if anybody does; Ray Train's way keeps no checkpoint."""

    def _register_sigint_handler(self, controller: Any) -> None:
        if not listen_again():
            super()._register_sigint_handler(controller)  # type: ignore[misc]


@contextmanager
def _ctrl_c_kept() -> Iterator[None]:
    """Ctrl-C means after the block what it meant before: Ray Train leaves its own handler behind."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


def _train_on_worker(config: dict[str, Any]) -> None:
    replicas = ProcessGroupReplicas(ray.train.torch.get_device())
    job: TrainJob = config["job"]
    reports: DriverReports = config["reports"]
    # What all workers would say alike is said by the chief.
    with (
        reports.logs_sent(config["log_level"] if replicas.rank == 0 else logging.WARNING),
        waiting_at_most(job.config.worker_timeout_secs),
    ):
        sink = reports if replicas.rank == 0 and job.config.progress else None
        wishes = reports.wishes()
        job.run(replicas, sink, wishes.is_stop_requested, wishes.is_checkpoint_due)
