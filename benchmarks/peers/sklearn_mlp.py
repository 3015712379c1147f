"""Times scikit-learn's MLPClassifier on a workload; see `benchmarks/speed.py`.

Words are encoded beforehand, each as a column of its own in a sparse matrix of float32, beside the normalised floats.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix, hstack
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import OneHotEncoder


def read(workload: dict[str, Any], rows: int) -> tuple[csr_matrix, np.ndarray]:
    """The first rows as a sparse matrix, and their labels; words of all rows get their columns."""
    table = pq.read_table(workload["path"])
    floats = [(table[name].to_numpy() - mean) / std for name, (mean, std) in workload["floats"].items()]
    words = [table[name].to_numpy()[:, None] for name in workload["words"]]
    encoded = [OneHotEncoder(dtype=np.float32).fit_transform(column)[:rows] for column in words]
    matrix = hstack([csr_matrix(np.stack(floats, 1)[:rows], dtype=np.float32), *encoded], format="csr")
    return matrix, table[workload["label"]].to_numpy()[:rows]


def main() -> None:
    """Train, and print rows a second as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", type=Path)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True, help="batches in all")
    parser.add_argument("--warm-up", type=int, default=2, help="batches that do not count")
    arguments = parser.parse_args()
    workload = json.loads(arguments.workload.read_text())
    features, labels = read(workload, arguments.batch * arguments.steps)
    batches = [
        (features[start : start + arguments.batch], labels[start : start + arguments.batch])
        for start in range(0, features.shape[0] - arguments.batch + 1, arguments.batch)
    ]
    classifier = MLPClassifier(workload["hidden"], batch_size=arguments.batch, random_state=1)
    times = []
    for step in range(arguments.steps):
        classifier.partial_fit(*batches[step % len(batches)], classes=[0, 1])
        times.append(time.perf_counter())
    seconds = times[-1] - times[arguments.warm_up - 1]
    print(json.dumps({"train": (arguments.steps - arguments.warm_up) * arguments.batch / seconds}))


if __name__ == "__main__":
    main()
