"""Trainings of which each worker notes where the time of its steps goes and what it sends to the others."""

import json
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray
import torch
import torch.distributed as dist
from peers.raydnn_estimator import feature_columns
from workloads import Workload

import raydnn
from raydnn.train import SessionRunHook

WARM_UP = 5


@dataclass(frozen=True)
class Report:
    """What one process needed for a step, on average, the first `WARM_UP` aside.

    Attributes:
        seconds: of the training thread by part; see `raydnn.train.step_times`.
        sent: bytes to other workers by what they were: 'counts', 'ids', 'rows' (gradients of rows too), 'summed
            gradients', 'votes and sums'.
        steps: seconds from the end of each step to that of the next.
        cpu: seconds of all threads of the process.
        peak: bytes of memory that the process had at most.
    """

    seconds: dict[str, float]
    sent: dict[str, float]
    steps: list[float]
    cpu: float
    peak: int

    @property
    def step(self) -> float:
        """Seconds of a step."""
        return sum(self.seconds.values())


class Meter(SessionRunHook):
    """Notes the times and counts the sent bytes of a process's steps, and writes its report into a file of its own.

    Args:
        folder: for the reports.
        threads: that torch gets in each process.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        self._folder = folder
        self._threads = threads

    def begin(self) -> None:
        torch.set_num_threads(self._threads)
        self._steps = 0
        self._ends: list[float] = []
        self._bytes: Counter[str] = Counter()
        if dist.is_initialized():
            self._all_to_all, self._all_reduce = dist.all_to_all_single, dist.all_reduce
            dist.all_to_all_single, dist.all_reduce = self._exchange, self._sum

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self._steps += 1
        self._now = run_context.session.step_times, time.process_time()
        if self._steps == WARM_UP:
            self._before = self._now
            self._bytes.clear()
        if self._steps >= WARM_UP:
            self._ends.append(time.perf_counter())

    def end(self, session: Any) -> None:
        if dist.is_initialized():
            dist.all_to_all_single, dist.all_reduce = self._all_to_all, self._all_reduce
        steps = self._steps - WARM_UP
        (before, cpu_before), (now, cpu) = self._before, self._now
        report = Report(
            {part: (seconds - before.get(part, 0.0)) / steps for part, seconds in now.items()},
            {kind: sent / steps for kind, sent in self._bytes.items()},
            [later - earlier for earlier, later in pairwise(self._ends)],
            (cpu - cpu_before) / steps,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )
        (self._folder / f"{os.getpid()}.json").write_text(json.dumps(asdict(report)))

    def _exchange(self, output: Any, values: Any, receive: Any = None, send: Any = None, **options: Any) -> Any:
        rank, size = dist.get_rank(), dist.get_world_size()
        parts = send or [len(values) // size] * size
        row_bytes = values.element_size() * (values[0].numel() if len(values) else 0)
        kind = "rows" if values.dim() == 2 else "counts" if set(parts) == {1} else "ids"
        self._bytes[kind] += (sum(parts) - parts[rank]) * row_bytes
        return self._all_to_all(output, values, receive, send, **options)

    def _sum(self, values: Any, *arguments: Any, **options: Any) -> Any:
        # What a worker of a ring sends of n bytes is 2 (W - 1) / W of them.
        sent = values.numel() * values.element_size() * 2 * (1 - 1 / dist.get_world_size())
        self._bytes["summed gradients" if values.numel() > 1000 else "votes and sums"] += sent
        return self._all_reduce(values, *arguments, **options)


def train(
    hidden: list[int],
    columns: Sequence[Any],
    input_fn: Callable[[], Any],
    *,
    steps: int | None = None,
    workers: int | None,
    threads: int,
    is_spread: bool = False,
) -> list[Report]:
    """Train a new model, without checkpoints and summaries.

    Args:
        hidden: units of the hidden layers.
        columns: feature columns.
        input_fn: of the training.
        steps: None trains to the end of the input.
        workers: of Ray, which must be running; None is this process.
        threads: of torch in each process.
        is_spread: whether the tables are spread over the workers.

    Returns:
        The report of each process.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = raydnn.RunConfig(
            f"{folder}/model",
            tf_random_seed=1,
            num_workers=workers,
            # They may be more than the cores.
            resources_per_worker={"CPU": 0.25} if workers else None,
            # Reading in other processes would take cores that nobody counts.
            input_engine="thread",
            save_checkpoints_steps=0,
            save_summary_steps=0,
            log_step_count_steps=None,
        )
        partitioner = raydnn.fixed_size_partitioner(workers) if is_spread and workers else None
        classifier = raydnn.DNNClassifier(hidden, columns, input_layer_partitioner=partitioner, config=config)
        classifier.train(input_fn, steps=steps, hooks=[Meter(Path(folder), threads)])
        return [Report(**json.loads(path.read_text())) for path in sorted(Path(folder).glob("*.json"))]


def train_on_clicks(
    workload: Workload, batch: int, steps: int, workers: int | None, threads: int, is_spread: bool
) -> list[Report]:
    """Train on the first rows of the click logs, in memory: see `workloads.clicks`, which needs rows for all steps."""
    columns = feature_columns(asdict(workload))
    table = click_rows(workload, batch * steps)
    return train(
        workload.hidden,
        columns,
        lambda: raydnn.inputs.from_arrow(table, label=workload.label, batch_size=batch),
        workers=workers,
        threads=threads,
        is_spread=is_spread,
    )


def click_rows(workload: Workload, rows: int) -> pa.Table:
    """The first rows of a workload, words as the dictionaries of the Parquet file."""
    return pq.read_table(workload.path, read_dictionary=list(workload.words)).slice(0, rows)


def slowest(reports: Sequence[Report]) -> Report:
    """That of the process whose steps took longest."""
    return max(reports, key=lambda report: report.step)


def mean_of(reports: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each figure over the processes."""
    return {name: sum(report.get(name, 0.0) for report in reports) / len(reports) for name in reports[0]}


@contextmanager
def cluster() -> Iterator[None]:
    """Ray on this machine, whose workers share its cores."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()
