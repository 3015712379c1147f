"""Times raydnn on a workload; see `benchmarks/speed.py`."""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
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


def main() -> None:
    """Train, evaluate and predict, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", type=Path)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compute-dtype", default="float32")
    parser.add_argument("--infer", action="store_true", help="evaluate and predict too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    workload = json.loads(arguments.workload.read_text())
    figures: dict[str, float] = {}
    options = {} if arguments.compute_dtype == "float32" else {"compute_dtype": arguments.compute_dtype}
    with tempfile.TemporaryDirectory() as folder:
        config = raydnn.RunConfig(
            folder,
            tf_random_seed=1,
            save_checkpoints_steps=0,
            save_summary_steps=0,
            log_step_count_steps=None,
            **options,
        )
        classifier = raydnn.DNNClassifier(workload["hidden"], feature_columns(workload), config=config)

        def rows(num_epochs: int | None, batch_size: int) -> Any:
            return raydnn.inputs.from_parquet(
                workload["path"], label=workload["label"], batch_size=batch_size, num_epochs=num_epochs
            )

        clock, start = Clock(), time.perf_counter()
        classifier.train(lambda: rows(None, arguments.batch), steps=arguments.steps, hooks=[clock])
        figures["first_step_s"] = clock.times[0] - start
        seconds = clock.times[-1] - clock.times[arguments.warm_up - 1]
        figures["train"] = (arguments.steps - arguments.warm_up) * arguments.batch / seconds
        if arguments.infer:
            count = pq.read_metadata(workload["path"]).num_rows
            start = time.perf_counter()
            classifier.evaluate(lambda: rows(1, 4096))
            figures["evaluate"] = count / (time.perf_counter() - start)
            start = time.perf_counter()
            for _ in classifier.predict(lambda: rows(1, 4096), yield_single_examples=False):
                pass
            figures["predict"] = count / (time.perf_counter() - start)
    figures["peak_rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
