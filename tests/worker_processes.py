"""Training workers as plain processes in a gloo group: the collectives are real, and no cluster has to be started."""

import multiprocessing
import sys
import traceback
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from raydnn.estimator import estimator as estimator_module
from raydnn.estimator.training import TrainJob

_TESTS = str(Path(__file__).parent)


class WorkerProcesses:
    """A launcher (see `raydnn.train.launcher`) whose workers stay for the next job."""

    def __init__(self, size: int, folder: Path) -> None:
        self.size = size
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(size)]
        meeting = f"file://{folder}/meeting"
        self._processes = [
            context.Process(target=_serve, args=(rank, size, meeting, child), daemon=True)
            for rank, (_, child) in enumerate(pipes)
        ]
        self._connections = [parent for parent, _ in pipes]
        for process in self._processes:
            process.start()

    def launch(self, job: TrainJob) -> None:
        for module in list(sys.modules.values()):
            # The processes cannot import test modules by name.
            if str(getattr(module, "__file__", "")).startswith(_TESTS):
                cloudpickle.register_pickle_by_value(module)
        self.run(job.run, None)

    def stand_in_for_ray(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the trainings that ask for workers."""
        local = estimator_module.get_launcher
        monkeypatch.setattr(
            estimator_module, "get_launcher", lambda config: self if config.num_workers is not None else local(config)
        )

    def run(self, function: Any, *arguments: Any) -> list[Any]:
        """What `function(replicas, *arguments)` returns in each process."""
        for connection in self._connections:
            connection.send_bytes(cloudpickle.dumps((function, arguments)))
        answers = [cloudpickle.loads(connection.recv_bytes()) for connection in self._connections]
        for is_error, answer in answers:
            if is_error:
                raise answer
        return [answer for _, answer in answers]

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.join(10)


def _serve(rank: int, size: int, meeting: str, connection: Connection) -> None:
    import torch
    import torch.distributed as dist

    from raydnn.distributed.process_group import ProcessGroupReplicas

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size, timeout=timedelta(seconds=60))
    replicas = ProcessGroupReplicas(torch.device("cpu"))
    while True:
        try:
            function, arguments = cloudpickle.loads(connection.recv_bytes())
        except EOFError:
            return
        try:
            answer = False, function(replicas, *arguments)
        except Exception as error:
            error.add_note(traceback.format_exc())
            answer = True, error
        connection.send_bytes(cloudpickle.dumps(answer))
