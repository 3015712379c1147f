"""How a training job is run: in this process, or by workers elsewhere."""

from importlib import import_module
from typing import Any, Protocol, cast

from raydnn.train.hooks.progress import ProgressSink
from raydnn.train.replicas import Replicas, SingleReplica


class TrainingJob(Protocol):
    """A call of `Estimator.train`, ready to run; it can be sent to another process."""

    @property
    def config(self) -> Any:
        """The run's `RunConfig`."""

    @property
    def total_steps(self) -> int | None:
        """How many steps it will make, as far as that is known."""

    def run(self, replicas: Replicas, sink: ProgressSink | None) -> None:
        """Train on one replica; all replicas of the group call it."""


class Launcher(Protocol):
    """Runs a job to its end."""

    def launch(self, job: TrainingJob) -> None:
        """Run the job; what it raises is raised here."""


class LocalLauncher:
    """Runs a job in this process."""

    def launch(self, job: TrainingJob) -> None:
        if not job.config.progress:
            job.run(SingleReplica(), None)
            return
        with progress_display() as sink:
            job.run(SingleReplica(), sink)


def get_launcher(config: Any) -> Launcher:
    """The launcher that a `RunConfig` asks for."""
    if config.num_workers is None:
        return LocalLauncher()
    # By name: this package knows no Ray, and a local run must not import it.
    module = import_module("raydnn.distributed.launcher")
    return cast("Launcher", module.RayLauncher())


def progress_display() -> Any:
    """A context manager that draws progress in the terminal and gives the sink for reports."""
    return import_module("raydnn.cli.progress").ProgressDisplay()
