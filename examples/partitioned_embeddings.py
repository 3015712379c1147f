"""Embedding tables too large for one worker: 20 million rows, spread over two.

    python examples/partitioned_embeddings.py

Made-up clicks (users, items) are trained on three times with the same seed: by one worker that holds all rows, by two
that hold all rows each, and by two that hold half of them each. The losses agree; the memory of a worker does not.
"""

import argparse
import json
import os
import resource
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from rich import print
from rich.table import Table

import raydnn
from raydnn.feature_column import categorical_column_with_identity, embedding_column, numeric_column
from raydnn.train import SessionRunArgs, SessionRunHook

BATCH = 4096


class Witness(SessionRunHook):
    """Writes the losses and the largest memory of its worker into a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self) -> None:
        self._losses: list[float] = []

    def before_run(self, run_context: Any) -> SessionRunArgs:
        return SessionRunArgs("loss")

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self._losses.append(float(run_values.results))

    def end(self, session: Any) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{os.getpid()}.json").write_text(json.dumps({"losses": self._losses, "peak": peak}))


def clicks(num_users: int, num_items: int, steps: int) -> pa.Table:
    """Made-up clicks: a few users and items are in most rows, and each has a taste."""
    random = np.random.default_rng(0)
    rows = steps * BATCH
    users = (num_users * random.power(0.2, rows)).astype(np.int64)
    items = (num_items * random.power(0.2, rows)).astype(np.int64)
    hour = random.uniform(0, 24, rows)
    taste = np.sin(users * 12.9898) + np.sin(items * 78.233) + np.cos(hour / 12 * np.pi)
    clicked = (taste + random.normal(size=rows) > 1).astype(np.int64)
    return pa.table({"user": users, "item": items, "hour": hour.astype(np.float32), "clicked": clicked})


def train(name: str, folder: Path, table: pa.Table, arguments: argparse.Namespace, workers: int, slices: int) -> Any:
    """Train and return the losses and each worker's largest memory."""
    columns = [
        numeric_column("hour", normalizer_fn=raydnn.feature_column.normalizers.Standardize(12.0, 7.0)),
        embedding_column(categorical_column_with_identity("user", arguments.users), arguments.dimension),
        embedding_column(categorical_column_with_identity("item", arguments.items), arguments.dimension),
    ]
    config = raydnn.RunConfig(
        str(folder / name),
        tf_random_seed=1,
        num_workers=workers,
        num_ps_replicas=slices,
        save_checkpoints_steps=0,
        save_summary_steps=0,
    )
    # Steps small enough that the rounding of sums does not grow from step to step.
    classifier = raydnn.DNNClassifier(
        [64, 32], columns, optimizer=lambda: raydnn.train.AdagradOptimizer(0.01), config=config
    )
    classifier.train(
        lambda: raydnn.inputs.from_arrow(table, label="clicked", batch_size=BATCH),
        hooks=[Witness(folder / f"{name}-seen")],
    )
    seen = [json.loads(path.read_text()) for path in sorted((folder / f"{name}-seen").iterdir())]
    return seen[0]["losses"], [each["peak"] for each in seen]


def main() -> None:
    """Train three times and compare."""
    arguments = parse_arguments()
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    table = clicks(arguments.users, arguments.items, arguments.steps)
    runs = {"one worker, all rows": (1, 0), "two workers, all rows each": (2, 0), "two workers, half each": (2, 2)}
    shown = Table("run", "loss of the last step", "memory of the largest worker", "against one worker")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for place, (name, (workers, slices)) in enumerate(runs.items()):
            results[name] = train(f"run{place}", Path(folder), table, arguments, workers, slices)
    alone, together, spread = results.values()
    for name, (losses, peaks) in results.items():
        shown.add_row(name, f"{losses[-1]:.4f}", f"{max(peaks) / 1e9:.2f} GB", f"{max(peaks) / max(alone[1]):.2f}")
    print(shown)
    np.testing.assert_allclose(spread[0], together[0], rtol=1e-5)
    np.testing.assert_allclose(spread[0], alone[0], rtol=1e-5)
    print("The losses of the three runs are equal within 1e-5.")


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=12_000_000, help="rows of the first table")
    parser.add_argument("--items", type=int, default=8_000_000, help="rows of the second table")
    parser.add_argument("--dimension", type=int, default=16, help="of the vectors")
    parser.add_argument("--steps", type=int, default=20, help="steps of training")
    return parser.parse_args()


if __name__ == "__main__":
    main()
