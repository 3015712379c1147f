"""What the parts of a step cost here: trainings in one process, and bare processes that send to each other."""

import json
import os
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from metered import Report, train_on_clicks
from scale_formulae import ROW_BYTES, Costs, Line, Step, distinct_rows
from workloads import CLICK_BUCKETS, CLICK_DIMENSION, CLICK_HIDDEN, CLICK_WORDS, Workload

from raydnn.model.tables import sum_rows

FIT_ROWS = (256, 1024, 2048, 4096)
SMALL, LARGE = 64, 4 << 20


def measure_costs(workload: Workload, steps: int) -> Costs:
    """Train in one process with batches of several sizes, and run the micro-benchmarks."""
    reports = [train_on_clicks(workload, rows, steps, None, 1, False)[0] for rows in FIT_ROWS]
    touched = [distinct_rows(CLICK_WORDS, rows, CLICK_BUCKETS) for rows in FIT_ROWS]
    parts = [measured_step(report) for report in reports]
    found = micro_benchmarks()
    tables = len(CLICK_WORDS) * CLICK_BUCKETS * 2 * ROW_BYTES
    return Costs(
        compute=Line.through(FIT_ROWS, [part.compute for part in parts]),
        update=Line.through(touched, [part.update for part in parts]),
        sum_row=sum_row_seconds(),
        busy=max(sum(report.cpu for report in reports) / sum(report.step for report in reports), 1.0),
        crowding=found["crowding"],
        exchange=Line(found["exchange_message"], found["exchange_byte"]),
        sums=Line(found["sums_message"], found["sums_byte"]),
        overhead=max(report.peak for report in reports) - tables,
        relative=sorted(step / mean(report.steps) for report in reports for step in report.steps),
    )


def measured_step(report: Report) -> Step:
    """The parts of a measured step as the model has them."""

    def of(*names: str) -> float:
        return sum(report.seconds.get(name, 0.0) for name in names)

    return Step(of("forward", "backward", "hooks", "input"), of("optimizer"), of("exchange"), of("all-reduce", "vote"))


def sum_row_seconds() -> float:
    """Seconds to sum a row's gradient, where each of some thousand rows has come from one or two workers."""
    torch.set_num_threads(1)
    rows = torch.from_numpy(np.random.default_rng(0).integers(0, 1 << 20, 20_000)).repeat(2)[:30_000]
    values = torch.ones(len(rows), CLICK_DIMENSION)
    return seconds_of(lambda: sum_rows(rows, values), 30) / len(rows)


def seconds_of(work: Callable[[], object], times: int) -> float:
    """The median of some runs, after a few that do not count."""
    taken = []
    for _ in range(times + 3):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return median(taken[3:])


def micro_benchmarks() -> dict[str, float]:
    """'crowding', and seconds of a message and of a byte that a worker sends, in all-to-alls and in all-reduces."""
    with tempfile.TemporaryDirectory() as folder:
        size = max(os.cpu_count() or 2, 2)
        mp.spawn(_micro_benchmark, (size, folder), nprocs=size)
        found: dict[str, float] = json.loads(Path(folder, "found.json").read_text())
    return found


def _micro_benchmark(rank: int, size: int, folder: str) -> None:
    """One of some processes, of which the first two send to each other; the first writes what it finds."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meeting", timedelta(seconds=120), size, rank)
    pair = dist.new_group([0, 1])
    left, right = torch.ones(1024, CLICK_HIDDEN[0]), torch.ones(CLICK_HIDDEN[0], CLICK_HIDDEN[1])
    ratios = []
    for _ in range(5):
        alone = seconds_of(lambda: left @ right, 10) if rank == 0 else 1.0
        dist.barrier()
        ratios.append(seconds_of(lambda: left @ right, 20) / alone)
        dist.barrier()
    found = {"crowding": max(median(ratios), 1.0)}
    if rank < 2:
        found |= _link("exchange", 1, lambda values, out: dist.all_to_all_single(out, values, group=pair), 2)
        # In a ring of two a worker sends two messages, half of the bytes in each.
        found |= _link("sums", 2, lambda values, out: dist.all_reduce(values, group=pair), 1)
    if rank == 0:
        Path(folder, "found.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


def _link(
    name: str, messages: int, collective: Callable[[torch.Tensor, torch.Tensor], object], parts: int
) -> dict[str, float]:
    """Seconds of a message and of a byte.

    Args:
        name: of both.
        messages: that a worker sends.
        collective: (values, room for the result).
        parts: as many times the bytes that a worker sends has the tensor.
    """
    taken = []
    for sent, times in ((SMALL, 400), (LARGE, 40)):
        values = torch.zeros(parts * sent // 4)
        out = torch.empty_like(values)
        taken.append(seconds_of(lambda values=values, out=out: collective(values, out), times))
    byte = (taken[1] - taken[0]) / (LARGE - SMALL)
    return {f"{name}_message": (taken[0] - SMALL * byte) / messages, f"{name}_byte": byte}
