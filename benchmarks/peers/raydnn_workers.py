"""Times raydnn on two Ray workers of one thread each that read with Ray Data; see `benchmarks/speed.py`.

memory   no Ray Data, for comparison: an Arrow table; with `--workers 0` in this process, with two threads
kept     `from_ray`, which encodes once and keeps the rows in the object store
streamed `from_ray(streaming=True)`, which reads and encodes in every epoch, beside the training
engine   `from_parquet` with `RunConfig(input_engine="ray_data")`, which does too
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import ray
import ray.data
import torch
from raydnn_estimator import feature_columns

import raydnn
from raydnn.train import SessionRunHook


class Clock(SessionRunHook):
    """Notes when steps end, and leaves that in a file for each process."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._folder = folder
        self._threads = threads
        self._times: list[float] = []

    def begin(self) -> None:
        torch.set_num_threads(self._threads)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self._times.append(time.monotonic())

    def end(self, session: Any) -> None:
        (self._folder / f"times-{os.getpid()}.json").write_text(json.dumps(self._times))


def make_rows(workload: dict[str, Any], kind: str, batch: int) -> Any:
    """The endless input of a training."""
    options = {"label": workload["label"], "batch_size": batch, "num_epochs": None, "drop_remainder": True}
    if kind == "memory":
        # As `from_parquet` reads them, and faster to hash than plain strings.
        words = [name for name, column in workload["words"].items() if column["dtype"] == "string"]
        return raydnn.inputs.from_arrow(pq.read_table(workload["path"], read_dictionary=words), **options)
    if kind == "engine":
        return raydnn.inputs.from_parquet(workload["path"], **options)
    return raydnn.inputs.from_ray(ray.data.read_parquet(workload["path"]), streaming=kind == "streamed", **options)


def main() -> None:
    """Train, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", type=Path)
    parser.add_argument("kind", choices=["memory", "kept", "streamed", "engine"])
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True, help="batches in all")
    parser.add_argument("--warm-up", type=int, default=10, help="batches that do not count")
    parser.add_argument("--workers", type=int, default=2, help="0 trains in this process")
    arguments = parser.parse_args()
    workload = json.loads(arguments.workload.read_text())
    if arguments.workers:
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    rows = make_rows(workload, arguments.kind, arguments.batch)
    with tempfile.TemporaryDirectory() as folder:
        config = raydnn.RunConfig(
            f"{folder}/model",
            tf_random_seed=1,
            save_checkpoints_steps=0,
            save_summary_steps=0,
            log_step_count_steps=None,
            num_workers=arguments.workers or None,
            # Half of what they use, so that of two CPUs Ray counts one as free for Ray Data.
            resources_per_worker={"CPU": 0.5} if arguments.workers else None,
            input_engine="ray_data" if arguments.kind == "engine" else "auto",
        )
        classifier = raydnn.DNNClassifier(workload["hidden"], feature_columns(workload), config=config)
        clock, start = Clock(Path(folder), 1 if arguments.workers else 2), time.monotonic()
        classifier.train(lambda: rows, steps=arguments.steps, hooks=[clock])
        found = [json.loads(path.read_text()) for path in Path(folder).glob("times-*.json")]
    seconds = max(times[-1] - times[arguments.warm_up - 1] for times in found)
    figures = {
        "first_step_s": max(times[0] for times in found) - start,
        "train": (arguments.steps - arguments.warm_up) * arguments.batch / seconds,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
