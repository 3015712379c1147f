"""How the cost of training grows with tables, columns, workers and batches.

    python benchmarks/growth.py --plots benchmarks/growth

Made-up words and floats in memory train the network of the click logs (see `benchmarks/workloads.py`) for some steps;
one property changes at a time. Speeds relative to the first of their kind can be compared between machines.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import ray
import torch

import raydnn
from raydnn.feature_column import categorical_column_with_identity, embedding_column, numeric_column
from raydnn.train import SessionRunHook

FLOATS, DIMENSION, HIDDEN, WARM_UP = 13, 16, [1024, 512, 256], 3


@dataclass(frozen=True)
class Case:
    """One training.

    Attributes:
        table_rows: of all tables together.
        columns: of words, each with a table of its own.
        workers: of one thread each; None is this process, with as many threads as `threads`.
        batch: rows of a global batch.
        threads: of each process.
    """

    table_rows: int = 2_600_000
    columns: int = 26
    workers: int | None = None
    batch: int = 4096
    threads: int = 2


GROWTH: dict[str, list[Case]] = {
    "table_rows": [Case(table_rows=rows) for rows in (10_000, 100_000, 1_000_000, 10_000_000, 50_000_000)],
    "columns": [Case(columns=columns) for columns in (5, 20, 50, 100, 200)],
    "workers": [Case(workers=workers, threads=1) for workers in (1, 2, 4)],
    "batch": [Case(batch=batch) for batch in (128, 512, 2048, 4096, 16_384)],
}


class Times(SessionRunHook):
    """Leaves what the parts of a step take, after the first few, in a file for each process."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._folder = folder
        self._threads = threads
        self._steps = 0

    def begin(self) -> None:
        torch.set_num_threads(self._threads)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self._steps += 1
        if self._steps == WARM_UP:
            self._before = run_context.session.step_times
        self._now = run_context.session.step_times

    def end(self, session: Any) -> None:
        steps = self._steps - WARM_UP
        times = {part: (seconds - self._before.get(part, 0.0)) / steps for part, seconds in self._now.items()}
        (self._folder / f"{os.getpid()}.json").write_text(json.dumps(times))


def seconds_a_step(case: Case, steps: int) -> dict[str, float]:
    """What the parts of a step take on the slowest worker."""
    random = np.random.default_rng(0)
    rows, words = case.batch * 4, max(case.table_rows // case.columns, 1)
    # Most words are few, whatever the size of the table.
    columns: dict[str, Any] = {
        f"word{place}": (words ** random.random(rows)).astype(np.int64) - 1 for place in range(case.columns)
    }
    columns |= {f"float{place}": random.normal(size=rows).astype(np.float32) for place in range(FLOATS)}
    table = pa.table(columns | {"clicked": random.integers(0, 2, rows)})
    features = [numeric_column(f"float{place}") for place in range(FLOATS)]
    features += [
        embedding_column(categorical_column_with_identity(f"word{place}", words), DIMENSION)
        for place in range(case.columns)
    ]
    with tempfile.TemporaryDirectory() as folder:
        config = raydnn.RunConfig(
            f"{folder}/model",
            tf_random_seed=1,
            num_workers=case.workers,
            num_ps_replicas=case.workers,
            resources_per_worker={"CPU": 0.25} if case.workers else None,
            save_checkpoints_steps=0,
            save_summary_steps=0,
            log_step_count_steps=None,
        )
        classifier = raydnn.DNNClassifier(
            HIDDEN,
            features,
            input_layer_partitioner=raydnn.fixed_size_partitioner(case.workers) if case.workers else None,
            config=config,
        )
        classifier.train(
            lambda: raydnn.inputs.from_arrow(table, label="clicked", batch_size=case.batch, num_epochs=None),
            steps=steps,
            hooks=[Times(Path(folder), case.threads)],
        )
        found = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
    return max(found, key=lambda times: sum(times.values()))


@contextmanager
def cluster() -> Iterator[None]:
    """Ray on this machine, whose workers share its cores."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()


def plot(folder: Path, kind: str, cases: list[Case], speeds: list[float]) -> None:
    """Draw the speeds of one kind of growth."""
    folder.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(5, 3.2))
    axes.plot([getattr(case, kind) for case in cases], [speed / speeds[0] for speed in speeds], marker="o")
    axes.set(xscale="log", xlabel=kind.replace("_", " "), ylabel="rows/s, relative", ylim=(0, None))
    figure.tight_layout()
    figure.savefig(folder / f"{kind}.svg")
    plt.close(figure)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=list(GROWTH), default=list(GROWTH))
    parser.add_argument("--steps", type=int, default=20, help="of each training, the first 3 of which do not count")
    parser.add_argument("--plots", type=Path, help="folder for the pictures")
    parser.add_argument("--out", type=Path, help="JSON file for all figures, with the parts of the steps")
    arguments = parser.parse_args()
    figures = []
    for kind in arguments.kinds:
        speeds: list[float] = []
        for case in GROWTH[kind]:
            with cluster() if case.workers else tempfile.TemporaryDirectory():
                times = seconds_a_step(case, arguments.steps)
            speeds.append(case.batch / sum(times.values()))
            figures.append({**asdict(case), "kind": kind, "seconds": times})
            print(f"{kind} {getattr(case, kind):,}: {speeds[-1]:,.0f} rows/s, {speeds[-1] / speeds[0]:.2f}", flush=True)
        if arguments.plots is not None:
            plot(arguments.plots, kind, GROWTH[kind], speeds)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
