"""Times raydnn on a workload, from its Parquet file; see `benchmarks/speed.py`."""

import argparse
import json
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch

import raydnn
from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    categorical_column_with_vocabulary_list,
    embedding_column,
    numeric_column,
)
from raydnn.feature_column.normalizers import Standardize
from raydnn.train import SessionRunHook


def feature_columns(workload: dict[str, Any]) -> list[Any]:
    """The columns of a workload."""
    columns = [
        numeric_column(name, normalizer_fn=Standardize(mean, std)) for name, (mean, std) in workload["floats"].items()
    ]
    for name, words in workload["words"].items():
        if words["vocabulary"]:
            ids = categorical_column_with_vocabulary_list(name, words["vocabulary"])
        else:
            ids = categorical_column_with_hash_bucket(name, words["buckets"], dtype=words["dtype"])
        columns.append(embedding_column(ids, words["dimension"]))
    return columns


class Clock(SessionRunHook):
    """Notes when steps end."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.times.append(time.perf_counter())


def peak_megabytes() -> float:
    """The most memory that this process has held, in MB."""
    # getrusage would begin with what the process that started this one held.
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024 / 1e6


def main() -> None:
    """Train, or evaluate and predict, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", type=Path)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True, help="batches in all")
    parser.add_argument("--warm-up", type=int, default=10, help="batches that do not count")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compute-dtype", default="float32")
    parser.add_argument("--infer", action="store_true", help="evaluate and predict, after one step of training")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    workload = json.loads(arguments.workload.read_text())

    def rows() -> Any:
        return raydnn.inputs.from_parquet(
            workload["path"],
            label=workload["label"],
            batch_size=arguments.batch,
            num_epochs=None,
            drop_remainder=True,
        )

    def rate(times: list[float]) -> float:
        seconds = times[-1] - times[arguments.warm_up - 1]
        return float((arguments.steps - arguments.warm_up) * arguments.batch / seconds)

    with tempfile.TemporaryDirectory() as folder:
        config = raydnn.RunConfig(
            folder,
            tf_random_seed=1,
            save_checkpoints_steps=0,
            save_summary_steps=0,
            log_step_count_steps=None,
            compute_dtype=arguments.compute_dtype,
        )
        classifier = raydnn.DNNClassifier(workload["hidden"], feature_columns(workload), config=config)
        clock, start = Clock(), time.perf_counter()
        classifier.train(rows, steps=1 if arguments.infer else arguments.steps, hooks=[clock])
        figures = {"first_step_s": clock.times[0] - start}
        if arguments.infer:
            clock = Clock()
            classifier.evaluate(rows, steps=arguments.steps, hooks=[clock])
            predicted = classifier.predict(rows, yield_single_examples=False)
            figures["evaluate"] = rate(clock.times)
            figures["predict"] = rate([time.perf_counter() for _ in islice(predicted, arguments.steps)])
        else:
            figures["train"] = rate(clock.times)
    figures["peak_mb"] = peak_megabytes()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
