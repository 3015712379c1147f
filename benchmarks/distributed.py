"""What workers cost: speed of two workers against one process, and the bytes they send each other.

    python benchmarks/distributed.py

Made-up click logs (13 floats, 26 strings of Zipf-distributed words, hashed into 100,000 buckets each) train a network
of 1024, 512 and 256 hidden units in batches of 4096: by one process with two threads, by two Ray workers with one
thread each that hold all rows, and by two that hold half of each table.
"""

import argparse
import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import torch
import torch.distributed as dist

import raydnn
from raydnn.feature_column import categorical_column_with_hash_bucket, embedding_column, numeric_column
from raydnn.train import SessionRunHook

FLOATS, STRINGS, BUCKETS, DIMENSION = 13, 26, 100_000, 16
WARM_UP = 5


def click_log(rows: int) -> pa.Table:
    """Made-up clicks; words come as dictionaries, as Parquet files give them."""
    random = np.random.default_rng(0)
    columns: dict[str, Any] = {f"float{place}": random.normal(size=rows).astype(np.float32) for place in range(FLOATS)}
    for place in range(STRINGS):
        words = int(np.geomspace(10, 200_000, STRINGS)[place])
        share = np.cumsum(1 / np.arange(1, words + 1) ** 1.05)
        ids = np.searchsorted(share, random.uniform(0, share[-1], rows)).astype(np.int32)
        columns[f"word{place}"] = pa.DictionaryArray.from_arrays(ids, pa.array([f"w{word}" for word in range(words)]))
    columns["clicked"] = random.integers(0, 2, rows)
    return pa.table(columns)


def feature_columns() -> list[Any]:
    """The columns of the click log."""
    words = [categorical_column_with_hash_bucket(f"word{place}", BUCKETS) for place in range(STRINGS)]
    return [
        *(numeric_column(f"float{place}") for place in range(FLOATS)),
        *(embedding_column(word, DIMENSION) for word in words),
    ]


class Meter(SessionRunHook):
    """Notes the times and counts the sent bytes of a worker's steps, and writes them into a file of its own."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._folder = folder
        self._threads = threads

    def begin(self) -> None:
        torch.set_num_threads(self._threads)
        self._steps = 0
        self._bytes: Counter[str] = Counter()
        if dist.is_initialized():
            self._all_to_all, self._all_reduce = dist.all_to_all_single, dist.all_reduce
            dist.all_to_all_single, dist.all_reduce = self._exchange, self._sum

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self._steps += 1
        if self._steps == WARM_UP:
            self._before = run_context.session.step_times
            self._bytes.clear()
        self._now = run_context.session.step_times

    def end(self, session: Any) -> None:
        if dist.is_initialized():
            dist.all_to_all_single, dist.all_reduce = self._all_to_all, self._all_reduce
        steps = self._steps - WARM_UP
        report = {
            "seconds": {name: (value - self._before.get(name, 0.0)) / steps for name, value in self._now.items()},
            "bytes": {name: value / steps for name, value in self._bytes.items()},
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{os.getpid()}.json").write_text(json.dumps(report))

    def _exchange(self, output: Any, values: Any, receive: Any = None, send: Any = None, **options: Any) -> Any:
        rank, size = dist.get_rank(), dist.get_world_size()
        parts = send or [len(values) // size] * size
        row_bytes = values.element_size() * (values[0].numel() if len(values) else 0)
        kind = "rows" if values.dim() == 2 else "ids" if values.dtype == torch.int32 else "counts"
        self._bytes[kind] += (sum(parts) - parts[rank]) * row_bytes
        return self._all_to_all(output, values, receive, send, **options)

    def _sum(self, values: Any, *arguments: Any, **options: Any) -> Any:
        self._bytes["summed gradients" if values.numel() > 1000 else "votes and sums"] += (
            values.numel() * values.element_size()
        )
        return self._all_reduce(values, *arguments, **options)


def measure(folder: Path, table: pa.Table, batch: int, workers: int | None, slices: int) -> list[dict[str, Any]]:
    """Train, and return what each worker's meter says."""
    config = raydnn.RunConfig(
        str(folder / "model"),
        tf_random_seed=1,
        num_workers=workers,
        num_ps_replicas=slices,
        save_checkpoints_steps=0,
        save_summary_steps=0,
        log_step_count_steps=None,
    )
    # Tables of 6.4 MB: TensorFlow's default would leave them whole.
    partitioner = raydnn.min_max_variable_partitioner(max(slices, 1), min_slice_size=1 << 20)
    classifier = raydnn.DNNClassifier(
        [1024, 512, 256], feature_columns(), input_layer_partitioner=partitioner, config=config
    )
    meter = Meter(folder / "meters", 2 if workers is None else 1)
    classifier.train(lambda: raydnn.inputs.from_arrow(table, label="clicked", batch_size=batch), hooks=[meter])
    return [json.loads(path.read_text()) for path in sorted((folder / "meters").iterdir())]


def main() -> None:
    """Measure all and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4096, help="rows of a global batch")
    parser.add_argument("--steps", type=int, default=40, help="steps of each run")
    arguments = parser.parse_args()
    table = click_log(arguments.batch * arguments.steps)
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    runs = {"1 process, 2 threads": (None, 0), "2 workers, all rows": (2, 0), "2 workers, half the rows": (2, 2)}
    base = 0.0
    for name, (workers, slices) in runs.items():
        with tempfile.TemporaryDirectory() as folder:
            reports = measure(Path(folder), table, arguments.batch, workers, slices)
        step = max(sum(report["seconds"].values()) for report in reports)
        base = base or step
        print(
            f"{name}: {arguments.batch / step:,.0f} rows/s, {base / step:.2f} of the first; {step * 1e3:.0f} ms a step"
        )
        for part, seconds in sorted(reports[0]["seconds"].items()):
            print(f"    {part}: {seconds * 1e3:.1f} ms")
        for kind, sent in sorted(reports[0]["bytes"].items()):
            print(f"    sent as {kind}: {sent / 1e3:,.1f} kB a step")
        if slices:
            rows = reports[0]["bytes"]["rows"]
            print(f"    all of the exchange against its rows and ids alone: {exchange_ratio(reports[0]['bytes']):.3f}")
            print(f"    rows, both ways, against the ids that asked for them: {rows / reports[0]['bytes']['ids']:.1f}")


def exchange_ratio(sent: dict[str, float]) -> float:
    """All bytes of the exchange against those of rows (both ways) and ids alone."""
    return (sent["rows"] + sent["ids"] + sent["counts"]) / (sent["rows"] + sent["ids"])


if __name__ == "__main__":
    main()
